// SPDX-License-Identifier: Apache-2.0
//! Programs that nobody trusts, for [`Context::run_code`](crate::Context::run_code).

use std::{borrow::Cow, time::Duration};

/// A program to be run in an instance of its own, apart from the environment and from every other run.
///
/// ```
/// let program = gym_env::Program::new("print(input()[::-1])").stdin("abc").cpu_ms(1000);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    pub(crate) source: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) stdin: String,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) call: Option<(String, Vec<String>)>,
    pub(crate) cpu_ms: Option<u32>,
    pub(crate) memory_mib: Option<u32>,
    pub(crate) output_bytes: Option<u32>,
}

impl Program {
    /// A script with this text.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// What it reads from standard input.
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = text.into();
        self
    }

    /// One more argument of the command line.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A file that it finds.
    pub fn file(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }

    /// Executes the source and then calls this function, or this method of a new `Solution` where the source has such a
    /// class. The arguments are JSON texts; the result is in [`Run::returned`].
    pub fn call(mut self, name: impl Into<String>, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.call = Some((name.into(), arguments.into_iter().map(Into::into).collect()));
        self
    }

    /// Most CPU time in milliseconds, if that is less than what the configuration allows.
    pub fn cpu_ms(mut self, milliseconds: u32) -> Self {
        self.cpu_ms = Some(milliseconds);
        self
    }

    /// Most memory in MiB, the interpreter's own included, if that is less than what the configuration allows.
    pub fn memory_mib(mut self, mebibytes: u32) -> Self {
        self.memory_mib = Some(mebibytes);
        self
    }

    /// Bytes to keep of each output stream, if that is less than what the configuration allows.
    pub fn output_bytes(mut self, bytes: u32) -> Self {
        self.output_bytes = Some(bytes);
        self
    }

    /// The program's text.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status: 0 at its end, 1 after an exception that nothing caught.
    Exited(i32),
    /// It used up its CPU time.
    OutOfTime,
    /// It needed more memory than it may have.
    OutOfMemory,
    /// The interpreter broke.
    Crashed(String),
}

/// What came of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub ending: Ending,
    /// Standard output until then.
    pub stdout: Vec<u8>,
    /// Standard error until then.
    pub stderr: Vec<u8>,
    /// Whether the streams were longer than what is kept.
    pub output_cut: bool,
    /// JSON text of what the called function returned.
    pub returned: Option<String>,
    /// CPU time.
    pub cpu: Duration,
}

impl Run {
    /// Whether it came to its end without an error.
    pub fn succeeded(&self) -> bool {
        self.ending == Ending::Exited(0)
    }

    /// Standard output as text; bytes that are none are replaced.
    pub fn stdout_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Standard error as text; bytes that are none are replaced.
    pub fn stderr_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }
}

/// A program that stays after it was executed: see [`Context::start_code`](crate::Context::start_code).
///
/// It takes the place of a run until it is dropped.
pub struct Process(Box<dyn RunningProgram>);

/// A host's side of a [`Process`].
pub trait RunningProgram {
    /// Calls a function of the program with arguments as JSON texts. The bounds are CPU time in milliseconds and bytes of
    /// output, both of this call.
    fn call(
        &mut self,
        name: &str,
        arguments: &[String],
        cpu_ms: Option<u32>,
        output_bytes: Option<u32>,
    ) -> Result<Run, RunFailure>;
}

impl Process {
    /// A process of this host.
    pub fn new(running: impl RunningProgram + 'static) -> Self {
        Self(Box::new(running))
    }

    /// Calls a function of the program, as [`Program::call`] does. CPU time and output are bounded anew for each call.
    ///
    /// After any other ending than [`Ending::Exited`], and after a program that ended its process, there is nothing left to
    /// call: that is a [`RunFailure::Unavailable`].
    pub fn call(&mut self, call: &Call) -> Result<Run, RunFailure> {
        self.0.call(&call.name, &call.arguments, call.cpu_ms, call.output_bytes)
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Process")
    }
}

/// One call of a function of a [`Process`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    name: String,
    arguments: Vec<String>,
    cpu_ms: Option<u32>,
    output_bytes: Option<u32>,
}

impl Call {
    /// A call of the function of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// One more argument, a JSON text.
    pub fn argument(mut self, json: impl Into<String>) -> Self {
        self.arguments.push(json.into());
        self
    }

    /// Most CPU time in milliseconds, if that is less than what the configuration allows.
    pub fn cpu_ms(mut self, milliseconds: u32) -> Self {
        self.cpu_ms = Some(milliseconds);
        self
    }

    /// Bytes to keep of each output stream, if that is less than what the configuration allows.
    pub fn output_bytes(mut self, bytes: u32) -> Self {
        self.output_bytes = Some(bytes);
        self
    }
}

/// Why a program was not run. It says nothing about the program: `?` makes a [`Fault`](crate::Fault) of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunFailure {
    /// The server's configuration has no runner of that name.
    UnknownRunner(String),
    /// The runner cannot be used now.
    Unavailable(String),
}

impl std::fmt::Display for RunFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownRunner(name) => write!(f, "the configuration has no code runner `{name}`"),
            Self::Unavailable(reason) => write!(f, "the program was not run: {reason}"),
        }
    }
}

impl std::error::Error for RunFailure {}
