// SPDX-License-Identifier: Apache-2.0
//! Running commands and reading what they print.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};

/// The repository's top folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate is two folders deep").to_owned()
}

/// A command to be run in the repository's top folder.
pub(crate) struct Step(Command);

/// What makes programs that download more patient than they are: a package index may be out of reach for a moment.
const PATIENT: [(&str, &str); 3] = [("CARGO_NET_RETRY", "10"), ("PIP_RETRIES", "10"), ("PIP_DEFAULT_TIMEOUT", "60")];

/// A program.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Step {
    let mut command = Command::new(program);
    command.current_dir(root());
    command.envs(PATIENT.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()));
    Step(command)
}

/// How long to wait before a step that downloads something is tried again.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(40)];

/// Runs a step that downloads something, and again after a while when it fails.
pub(crate) fn run_patiently(step: impl Fn() -> Step) -> anyhow::Result<()> {
    for pause in PAUSES {
        match step().run() {
            Ok(()) => return Ok(()),
            Err(error) => eprintln!("{error:#}; trying again in {} s", pause.as_secs()),
        }
        std::thread::sleep(pause);
    }
    step().run()
}

/// Cargo, the one that runs this program.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Step {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(arguments)
}

impl Step {
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.0.current_dir(root().join(folder));
        self
    }

    /// Runs the command; its output goes through. Fails when it fails.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        let text = self.announce();
        let status = self.0.status().with_context(|| format!("failed to start `{text}`"))?;
        if !status.success() {
            bail!("`{text}` ended with {status}");
        }
        Ok(())
    }

    /// Runs the command, shows its standard output and error, and returns both as text with whether it succeeded.
    pub(crate) fn run_and_read(mut self) -> anyhow::Result<(bool, String)> {
        let text = self.announce();
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.0.spawn().with_context(|| format!("failed to start `{text}`"))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        let reader = std::thread::spawn(move || pass_on(stdout, std::io::stdout()));
        let errors = pass_on(stderr, std::io::stderr())?;
        let output = reader.join().expect("the reader does not panic")?;
        let status = child.wait().with_context(|| format!("failed to wait for `{text}`"))?;
        Ok((status.success(), output + &errors))
    }

    /// Runs the command silently and returns its standard output, or nothing when it fails or does not exist.
    pub(crate) fn read_quietly(mut self) -> Option<String> {
        let output = self.0.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn announce(&self) -> String {
        let program = Path::new(self.0.get_program()).file_name().unwrap_or(self.0.get_program());
        let words = std::iter::once(program).chain(self.0.get_args()).map(|word| word.to_string_lossy());
        let text = words.collect::<Vec<_>>().join(" ");
        eprintln!("\n> {text}");
        text
    }
}

fn pass_on(from: impl std::io::Read, mut to: impl Write) -> anyhow::Result<String> {
    let mut text = String::new();
    for line in BufReader::new(from).split(b'\n') {
        let line = line.context("failed to read what the command prints")?;
        let line = String::from_utf8_lossy(&line);
        writeln!(to, "{line}").context("failed to pass on what the command prints")?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}
