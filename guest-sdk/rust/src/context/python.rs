// SPDX-License-Identifier: Apache-2.0
//! Programs in native tests: the runner's own source, executed by `python3`.

use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::{
        net::{UnixListener, UnixStream},
        process::ExitStatusExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::program::{Ending, Program, Run, RunFailure, RunningProgram};

/// Reads what to do from a socket, does it and says how it ended and what CPU time it took; standard streams are the
/// program's. The bound of CPU time is that of the whole process in whole seconds, so it grows with every call and is
/// rounded up: no call gets less than it may use.
const DRIVER: &str = "
import json, math, resource, socket, sys
folder, address, memory = sys.argv[1:4]
sys.path.insert(0, folder)
import runner
resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
talk = socket.socket(socket.AF_UNIX)
talk.connect(address)
stream = talk.makefile('rw')
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
for line in stream:
    given = json.loads(line)
    before = used()
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(before) + given['cpu'], -1))
    call = given['call'] and tuple(given['call'])
    if 'source' in given:
        files = [(path, bytes(content)) for path, content in given['files']]
        outcome = runner.run(given['source'], given['arguments'], files, call)
    else:
        outcome = runner.call(*call)
    stream.write(json.dumps([outcome.status, outcome.returned, used() - before]) + chr(10))
    stream.flush()
";
/// What a run may use where nothing is said, as in the host's defaults.
const CPU_MS: u32 = 60_000;
const MEMORY_MIB: u32 = 512;
const OUTPUT_BYTES: u32 = 1 << 20;
/// Address space that the interpreter takes without using it.
const OVERHEAD_MIB: u64 = 512;
/// The signal of a process that has used up its CPU time, on Linux and macOS.
const SIGXCPU: i32 = 24;

/// A program in an interpreter of the operating system.
pub(super) struct Native {
    child: Child,
    /// None when the interpreter is gone.
    stream: Option<BufReader<UnixStream>>,
    stdout: File,
    stderr: File,
    _scratch: Scratch,
}

/// Executes a program with the runner in `folder`. Limits are those of the operating system, so they are met roughly.
pub(super) fn start(folder: &Path, program: &Program) -> Result<(Native, Run), RunFailure> {
    let failed = |what: &str, error: std::io::Error| RunFailure::Unavailable(format!("{what}: {error}"));
    let mut native = Native::new(folder, program)
        .map_err(|error| failed("native tests run programs with `python3`, which cannot be started", error))?;
    let given = json!({
        "source": program.source, "arguments": program.arguments, "files": program.files, "call": program.call,
    });
    let run = native.ask(given, program.cpu_ms, program.output_bytes)?;
    Ok((native, run))
}

impl Native {
    fn new(folder: &Path, program: &Program) -> std::io::Result<Self> {
        let scratch = Scratch::new()?;
        let address = scratch.0.join("socket");
        let listener = UnixListener::bind(&address)?;
        let path = |name: &str| scratch.0.join(name);
        std::fs::write(path("stdin"), &program.stdin)?;
        let memory = (u64::from(program.memory_mib.unwrap_or(MEMORY_MIB)) + OVERHEAD_MIB) << 20;
        let mut child = Command::new("python3")
            .args(["-I", "-c", DRIVER])
            .args([folder, &address])
            .arg(memory.to_string())
            .stdin(Stdio::from(File::open(path("stdin"))?))
            .stdout(Stdio::from(File::create(path("stdout"))?))
            .stderr(Stdio::from(File::create(path("stderr"))?))
            .spawn()?;
        let (stdout, stderr) = (File::open(path("stdout"))?, File::open(path("stderr"))?);
        listener.set_nonblocking(true)?;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if let Some(status) = child.try_wait()? {
                        let message = std::fs::read_to_string(path("stderr")).unwrap_or_default();
                        return Err(std::io::Error::other(format!("{status}: {message}")));
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        };
        stream.set_nonblocking(false)?;
        Ok(Self { child, stream: Some(BufReader::new(stream)), stdout, stderr, _scratch: scratch })
    }

    fn ask(&mut self, mut given: Value, cpu_ms: Option<u32>, output_bytes: Option<u32>) -> Result<Run, RunFailure> {
        let failed =
            |error: std::io::Error| RunFailure::Unavailable(format!("the interpreter is out of reach: {error}"));
        let Some(stream) = &mut self.stream else {
            return Err(RunFailure::Unavailable("the program has ended".to_owned()));
        };
        let began = Instant::now();
        let cpu_ms = cpu_ms.unwrap_or(CPU_MS);
        given["cpu"] = cpu_ms.div_ceil(1000).into();
        // For programs that wait for something; a busy machine takes several times the CPU time.
        let patience = Duration::from_millis(u64::from(cpu_ms) * 4 + 30_000);
        stream.get_ref().set_read_timeout(Some(patience)).map_err(failed)?;
        // An interpreter that is gone cannot read; what it says, or does not say, counts.
        drop(stream.get_mut().write_all(format!("{given}\n").as_bytes()));
        let mut line = String::new();
        let said: Option<(i32, Option<String>, f64)> = match stream.read_line(&mut line) {
            Ok(_) => serde_json::from_str(&line).ok(),
            Err(_) => None,
        };
        let most = output_bytes.unwrap_or(OUTPUT_BYTES) as usize;
        let (stdout, cut_out) = kept(&mut self.stdout, most).map_err(failed)?;
        let (stderr, cut_err) = kept(&mut self.stderr, most).map_err(failed)?;
        let (ending, returned, cpu) = match said {
            Some((status, returned, cpu)) => {
                let starved = status != 0 && String::from_utf8_lossy(&stderr).contains("MemoryError");
                let ending = if starved { Ending::OutOfMemory } else { Ending::Exited(status) };
                (ending, returned, Duration::from_secs_f64(cpu.max(0.0)))
            }
            None => match self.last().map_err(failed)? {
                Ending::OutOfTime => (Ending::OutOfTime, None, Duration::from_millis(u64::from(cpu_ms))),
                ending => (ending, None, began.elapsed()),
            },
        };
        Ok(Run { ending, stdout, stderr, output_cut: cut_out || cut_err, returned, cpu })
    }

    /// How an interpreter ended that did not answer.
    fn last(&mut self) -> std::io::Result<Ending> {
        self.stream = None;
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                // The socket of one that ends is closed a moment before.
                None if began.elapsed() < Duration::from_secs(1) => thread::sleep(Duration::from_millis(1)),
                None => {
                    self.child.kill()?;
                    self.child.wait()?;
                    return Ok(Ending::OutOfTime);
                }
            }
        };
        Ok(match status.code() {
            Some(code) => Ending::Exited(code),
            None if status.signal() == Some(SIGXCPU) => Ending::OutOfTime,
            None => Ending::Crashed(status.to_string()),
        })
    }
}

impl RunningProgram for Native {
    fn call(
        &mut self,
        name: &str,
        arguments: &[String],
        cpu_ms: Option<u32>,
        output_bytes: Option<u32>,
    ) -> Result<Run, RunFailure> {
        self.ask(json!({ "call": [name, arguments] }), cpu_ms, output_bytes)
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // One that is gone already is as good as one that is ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What was written since the last time, and whether it is more than what is kept.
fn kept(file: &mut File, most: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::End(0))?;
    let cut = bytes.len() > most;
    bytes.truncate(most);
    Ok((bytes, cut))
}

/// A folder that goes away.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("gym-env-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of a temporary folder is the system's to clean.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
