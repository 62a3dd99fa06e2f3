// SPDX-License-Identifier: Apache-2.0
//! What the end-to-end tests share: a running `gym-host`, and a client for it.
#![expect(clippy::missing_panics_doc, reason = "a test that cannot go on panics")]

mod browser;
#[expect(clippy::unwrap_used, reason = "a server of tests: what it is asked wrongly ends the test")]
pub mod registries;
mod upstream;

pub use browser::{Browser, Key};
pub use upstream::{Act, Gate, Seen, Upstream};

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long a test waits for something that should happen at once: far beyond what a machine with much else to do needs.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// The top folder of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// The `gym-host` binary: `$GYM_HOST_BINARY`, or where cargo puts it.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("GYM_HOST_BINARY").map_or_else(|| root().join("target/debug/gym-host"), PathBuf::from);
    assert!(path.is_file(), "{} is missing: `cargo xtask test` builds it", path.display());
    path
}

/// `gym-host` with arguments, run in a folder, without the caller's settings.
pub fn gym_host(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).env("GYM_HOST_ROOT", root()).env_remove("NEMO_GYM_CONFIG_DICT").env("NO_COLOR", "1");
    command
}

/// A command that ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command.output().expect("the command starts");
    Ended {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A `gym-host serve` process. It is killed when dropped.
pub struct Host {
    child: Child,
    addresses: BTreeMap<String, String>,
    /// The folder that it runs in.
    pub folder: tempfile::TempDir,
}

impl Host {
    /// Serves a configuration. Every server should have `port: 0`.
    pub fn serve(config: &str) -> Self {
        Self::serve_with(config, &[])
    }

    /// Serves a configuration, with more arguments.
    pub fn serve_with(config: &str, arguments: &[&str]) -> Self {
        Self::serve_where(config, arguments, &[])
    }

    /// Serves a configuration, with more arguments and variables of the environment.
    pub fn serve_where(config: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("config.yaml"), config).expect("the configuration is written");
        let mut child = gym_host(folder.path())
            .args(["serve", "--config", "config.yaml"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gym-host starts");
        let mut stderr = child.stderr.take().expect("standard error is piped");
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            // What cannot be read cannot be shown; the test fails for its own reason.
            stderr.read_to_string(&mut text).ok();
            text
        });
        let (lines, received) = mpsc::channel();
        let stdout = child.stdout.take().expect("standard output is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let mut addresses = BTreeMap::new();
        // It may have to compile what nobody has compiled before.
        let deadline = Instant::now() + 4 * PATIENCE;
        loop {
            match received.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with("ready") => break,
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix("listening on ") {
                        let mut words = rest.split_whitespace();
                        let url = words.next().unwrap_or_default().to_owned();
                        addresses.insert(words.next().unwrap_or_default().to_owned(), url);
                    }
                }
                Err(error) => {
                    child.kill().ok();
                    let text = errors.join().unwrap_or_default();
                    panic!("gym-host did not become ready ({error}):\n{text}");
                }
            }
        }
        // The threads end with the process.
        std::thread::spawn(move || while received.recv().is_ok() {});
        Self { child, addresses, folder }
    }

    /// The base URL of a server; `gateway` and `head` are servers too.
    pub fn url(&self, name: &str) -> String {
        self.addresses.get(name).unwrap_or_else(|| panic!("no `{name}` among {:?}", self.addresses)).clone()
    }

    /// The process's id.
    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the process runs");
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:").expect("Linux says it")
    }

    /// Resident memory that is this process's alone, in bytes: without code and without the untouched images of
    /// instances, of which the kernel maps as many pages at once as it likes.
    pub fn private_memory(&self) -> u64 {
        self.status("RssAnon:").unwrap_or_else(|| self.memory())
    }

    /// The most resident memory that there ever was, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:").expect("Linux says it")
    }

    /// A size that Linux tells of the process.
    fn status(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits for a child process to end.
pub fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status;
        }
        assert!(Instant::now() < deadline, "the process did not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a condition holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers; of equal names the last one.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// `name=value` of the cookie that the answer sets.
    pub fn cookie(&self) -> Option<String> {
        Some(self.headers.get("set-cookie")?.split(';').next()?.to_owned())
    }
}

/// One client: keeps its cookie, as NeMo Gym's agents do.
#[derive(Default)]
pub struct Client {
    /// The cookie that goes with the next request.
    pub cookie: Option<String>,
}

impl Client {
    /// POST with a JSON body.
    pub fn post(&mut self, url: &str, body: &Value) -> Answer {
        self.post_text(url, &body.to_string())
    }

    /// POST with any text as a JSON body.
    pub fn post_text(&mut self, url: &str, body: &str) -> Answer {
        let mut request = agent().post(url).header("content-type", "application/json");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = answer(request.send(body));
        if let Some(cookie) = answer.cookie() {
            self.cookie = Some(cookie);
        }
        answer
    }
}

/// GET.
pub fn get(url: &str) -> Answer {
    answer(agent().get(url).call())
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    ureq::Agent::new_with_config(config.build())
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = result.expect("the server answers");
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string().expect("the body is text");
    Answer { status, headers, text }
}

/// A Response object whose only output is this text.
pub fn response(text: &str) -> Value {
    serde_json::json!({
        "id": "resp_1", "created_at": 1_750_000_000.0, "model": "m", "object": "response",
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}],
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": []
    })
}
