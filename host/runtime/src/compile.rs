// SPDX-License-Identifier: Apache-2.0
//! Compiling components in a process of its own.
//!
//! Compiling takes time and memory that can grow much faster than the component, and it cannot be stopped. So it runs in a
//! child process with limits on address space and CPU time, which is killed when it takes too long. The child reads the
//! component from its standard input and writes code to its standard output; it needs no file.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitCode, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use parking_lot::RwLock;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::engine::Profile;

/// How the runtime starts its compiler: a program whose `main` hands its arguments to [`compile_in_this_process`].
#[derive(Clone, Debug)]
pub struct CompilerCommand {
    /// The program.
    pub program: PathBuf,
    /// Arguments before those of the runtime, for example a subcommand.
    pub args: Vec<OsString>,
}

/// Limits of compiling one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompileLimits {
    /// Bytes of the component. Default 256 MiB.
    pub component_bytes: u64,
    /// Address space of the compiler in bytes. Default 6 GiB.
    pub memory_bytes: u64,
    /// CPU time of the compiler in seconds, over all its threads. Default 300: components of 100 MB take some 30 on a
    /// machine that is neither fast nor slow.
    pub cpu_seconds: u64,
    /// Time on the clock in milliseconds, after which the compiler is killed. Default 1,800,000 (half an hour).
    pub wall_ms: u64,
    /// Bytes of code. Default 1 GiB.
    pub code_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            component_bytes: 256 << 20,
            memory_bytes: 6 << 30,
            cpu_seconds: 300,
            wall_ms: 1_800_000,
            code_bytes: 1 << 30,
        }
    }
}

/// Why a component could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler could not be started or talked to.
    #[error("failed to run the compiler `{program}`")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The component is not acceptable, with the compiler's message.
    #[error("the component cannot be compiled: {0}")]
    Rejected(String),
    /// Compiling took more CPU time than allowed.
    #[error("compiling used up its {0} s of CPU time")]
    CpuTime(u64),
    /// Compiling took too long on the clock.
    #[error("compiling took longer than {0} ms")]
    WallTime(u64),
    /// Compiling needed more memory than allowed.
    #[error("compiling needs more than {} MiB of memory", .0 >> 20)]
    Memory(u64),
    /// The code is larger than allowed.
    #[error("the compiled code is larger than {} MiB", .0 >> 20)]
    CodeSize(u64),
    /// The code does not fit the engine: a table or memory is larger than the engine's slots.
    #[error("the component does not fit the engine: {0}")]
    Unfit(String),
    /// The compiler ended in a way that has no other name.
    #[error("the compiler ended with {status}: {message}")]
    Ended {
        /// Exit code or signal.
        status: String,
        /// The end of what it wrote to its standard error.
        message: String,
    },
}

/// The variable that tells a compiler how many threads to use.
const THREADS: &str = "RAYON_NUM_THREADS";
/// Threads of a compiler at most.
const MOST_THREADS: usize = 8;

/// Exit code of a compiler that did not accept the component.
const REJECTED: u8 = 3;

pub(crate) async fn compile(
    command: &CompilerCommand,
    limits: &CompileLimits,
    profile: Profile,
    component: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let failed = |source| CompileError::Start { program: command.program.clone(), source };
    let mut process = Command::new(&command.program);
    process
        .args(&command.args)
        .args(["--profile", profile.name()])
        .args(["--memory-bytes", &limits.memory_bytes.to_string()])
        .args(["--cpu-seconds", &limits.cpu_seconds.to_string()])
        .args(["--component-bytes", &limits.component_bytes.to_string()])
        // The host's environment may hold secrets that a compiler has no use for.
        .env_clear()
        // Each thread takes address space of its own, which is limited.
        .env(THREADS, std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        process.env("LD_LIBRARY_PATH", path);
    }
    let mut child = process.spawn().map_err(failed)?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");

    let talk = async {
        // A compiler that dies early does not read its input to the end; its exit status tells why.
        let feed = async {
            let written = stdin.write_all(component).await;
            drop(stdin);
            written
        };
        let (written, code, message) =
            tokio::join!(feed, read_at_most(stdout, limits.code_bytes), read_at_most(stderr, 64 << 10));
        let status = child.wait().await?;
        Ok::<_, io::Error>((written, code?, message?, status))
    };
    let (written, code, message, status) = match tokio::time::timeout(Duration::from_millis(limits.wall_ms), talk).await
    {
        Err(_) => return Err(CompileError::WallTime(limits.wall_ms)),
        Ok(outcome) => outcome.map_err(failed)?,
    };

    if status.success() {
        written.map_err(failed)?;
        if code.len() as u64 > limits.code_bytes {
            return Err(CompileError::CodeSize(limits.code_bytes));
        }
        return Ok(code);
    }
    if code.len() as u64 > limits.code_bytes {
        return Err(CompileError::CodeSize(limits.code_bytes));
    }
    Err(explain(status, String::from_utf8_lossy(&message).trim(), limits))
}

/// Reads to the end, or one byte past `most`.
async fn read_at_most(source: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn explain(status: ExitStatus, message: &str, limits: &CompileLimits) -> CompileError {
    // An allocation that fails aborts the process, a mapping that fails is an error; both say so.
    if ["memory allocation of", "Cannot allocate memory"].iter().any(|text| message.contains(text)) {
        return CompileError::Memory(limits.memory_bytes);
    }
    if status.code() == Some(i32::from(REJECTED)) {
        return CompileError::Rejected(message.to_owned());
    }
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        return CompileError::CpuTime(limits.cpu_seconds);
    }
    CompileError::Ended { status: status.to_string(), message: message.to_owned() }
}

/// The compiler. Takes the arguments that the runtime adds to a [`CompilerCommand`], puts limits on the process it runs in,
/// reads a component from standard input, and writes code to standard output. What goes wrong is said on standard error.
pub fn compile_in_this_process(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match try_compile(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            // With standard error closed there is nobody left to tell; the exit code says the same.
            let told = io::stderr().write_all(message.as_bytes());
            ExitCode::from(if told.is_ok() { code } else { code.max(1) })
        }
    }
}

fn try_compile(args: impl IntoIterator<Item = OsString>) -> Result<(), (u8, String)> {
    let usage = |what: String| (2, what);
    let mut profile = None;
    let mut memory_bytes = None;
    let mut cpu_seconds = None;
    let mut component_bytes = None;
    let mut args = args.into_iter();
    while let Some(name) = args.next() {
        let value = args.next().and_then(|value| value.into_string().ok());
        let (Some(name), Some(value)) = (name.to_str(), value) else {
            return Err(usage("expected `--name value` pairs".into()));
        };
        let number = || value.parse::<u64>().map_err(|_| usage(format!("`{name}` wants a number, got `{value}`")));
        match name {
            "--profile" => profile = Profile::from_name(&value),
            "--memory-bytes" => memory_bytes = Some(number()?),
            "--cpu-seconds" => cpu_seconds = Some(number()?),
            "--component-bytes" => component_bytes = Some(number()?),
            other => return Err(usage(format!("unknown argument `{other}`"))),
        }
    }
    let (Some(profile), Some(memory_bytes), Some(cpu_seconds), Some(component_bytes)) =
        (profile, memory_bytes, cpu_seconds, component_bytes)
    else {
        return Err(usage("expected `--profile`, `--memory-bytes`, `--cpu-seconds` and `--component-bytes`".into()));
    };

    let limit = |resource, value: u64, hard: u64| {
        // Whoever started the host may have set lower ones.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(resource, Rlimit { current: Some(value.min(most)), maximum: Some(hard.min(most)) })
            .map_err(|error| (1, format!("failed to set a limit of the compiler: {error}")))
    };
    limit(Resource::Core, 0, 0)?;
    limit(Resource::As, memory_bytes, memory_bytes)?;
    // The first signal ends the process; should it be ignored, the second cannot be.
    limit(Resource::Cpu, cpu_seconds, cpu_seconds + 2)?;

    let failed = |error: io::Error| (1, error.to_string());
    let mut component = Vec::new();
    io::stdin().lock().take(component_bytes + 1).read_to_end(&mut component).map_err(failed)?;
    if component.len() as u64 > component_bytes {
        return Err((REJECTED, format!("it is larger than {component_bytes} bytes")));
    }
    let engine = profile.compiler(threads_can_be_started()).map_err(|error| (1, format!("{error:#}")))?;
    let code = engine.precompile_component(&component).map_err(|error| (REJECTED, format!("{error:#}")))?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&code).and_then(|()| stdout.flush()).map_err(failed)
}

/// Whether this process may have the threads that it was told to use: a container may allow it few, and their stacks take
/// address space.
fn threads_can_be_started() -> bool {
    let threads = std::env::var(THREADS).ok().and_then(|count| count.parse::<usize>().ok()).unwrap_or(1);
    let gate = RwLock::new(());
    thread::scope(|scope| {
        // They end when all are there, or one cannot be.
        let _closed = gate.write();
        (0..threads).all(|_| thread::Builder::new().spawn_scoped(scope, || drop(gate.read())).is_ok())
    })
}
