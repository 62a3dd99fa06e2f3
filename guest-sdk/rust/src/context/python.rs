// SPDX-License-Identifier: Apache-2.0
//! Programs in native tests: the runner's own source, executed by `python3`.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::program::{Ending, Program, Run, RunFailure};

/// Reads the program, runs it and writes how it ended; standard streams are the program's.
const DRIVER: &str = "
import json, resource, sys
folder, given, result, cpu, memory = sys.argv[1:6]
sys.path.insert(0, folder)
import runner
resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), int(cpu)))
resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
given = json.load(open(given))
result = open(result, 'w')
call = given['call'] and tuple(given['call'])
files = [(path, bytes(content)) for path, content in given['files']]
outcome = runner.run(given['source'], given['arguments'], files, call)
json.dump([outcome.status, outcome.returned], result)
result.flush()
";
/// What a run may use where nothing is said, as in the host's defaults.
const CPU_MS: u32 = 10_000;
const MEMORY_MIB: u32 = 512;
const OUTPUT_BYTES: u32 = 1 << 20;
/// Address space that the interpreter takes without using it.
const OVERHEAD_MIB: u64 = 512;

/// Runs a program with the runner in `folder`. Limits are those of the operating system, so they are met roughly.
pub(super) fn run(folder: &Path, program: &Program) -> Result<Run, RunFailure> {
    let failed = |what: &str, error: std::io::Error| RunFailure::Unavailable(format!("{what}: {error}"));
    let scratch = Scratch::new().map_err(|error| failed("no temporary folder", error))?;
    let given = json!({
        "source": program.source, "arguments": program.arguments, "files": program.files, "call": program.call,
    });
    let (given_path, result_path) = (scratch.0.join("given"), scratch.0.join("result"));
    std::fs::write(&given_path, given.to_string()).map_err(|error| failed("the program cannot be written", error))?;
    let cpu_ms = program.cpu_ms.unwrap_or(CPU_MS);
    let memory = (u64::from(program.memory_mib.unwrap_or(MEMORY_MIB)) + OVERHEAD_MIB) << 20;
    let mut child = Command::new("python3")
        .args(["-I", "-c", DRIVER])
        .arg(folder)
        .args([&given_path, &result_path])
        .args([cpu_ms.div_ceil(1000).to_string(), memory.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed("native tests run programs with `python3`", error))?;
    let most = program.output_bytes.unwrap_or(OUTPUT_BYTES) as usize;
    let stdin = child.stdin.take().map(|mut pipe| {
        let text = program.stdin.clone();
        // A program need not read what it is given.
        thread::spawn(move || drop(pipe.write_all(text.as_bytes())))
    });
    let stdout = child.stdout.take().map(|pipe| thread::spawn(move || kept(pipe, most)));
    let stderr = child.stderr.take().map(|pipe| thread::spawn(move || kept(pipe, most)));
    let began = Instant::now();
    let in_time = wait(&mut child, Duration::from_millis(u64::from(cpu_ms) * 2 + 5000))
        .map_err(|error| failed("the interpreter cannot be waited for", error))?;
    let collect = |stream: Option<thread::JoinHandle<(Vec<u8>, bool)>>| {
        stream.and_then(|stream| stream.join().ok()).unwrap_or_default()
    };
    let ((stdout, cut_out), (stderr, cut_err)) = (collect(stdout), collect(stderr));
    if let Some(stdin) = stdin {
        stdin.join().map_err(|_| RunFailure::Unavailable("the input could not be written".to_owned()))?;
    }
    let finished: Option<(i32, Option<String>)> =
        std::fs::read(&result_path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let (ending, returned) = match (in_time, finished) {
        (Some(_), Some((status, returned))) => {
            let starved = status != 0 && String::from_utf8_lossy(&stderr).contains("MemoryError");
            (if starved { Ending::OutOfMemory } else { Ending::Exited(status) }, returned)
        }
        (None, _) => (Ending::OutOfTime, None),
        (Some(status), None) => match status.code() {
            Some(code) => (Ending::Exited(code), None),
            // The operating system ends a process that used up its CPU time.
            None if began.elapsed() >= Duration::from_millis(u64::from(cpu_ms) / 2) => (Ending::OutOfTime, None),
            None => (Ending::Crashed(status.to_string()), None),
        },
    };
    Ok(Run { ending, stdout, stderr, output_cut: cut_out || cut_err, returned, cpu: began.elapsed() })
}

/// The beginning of a stream, and whether there was more. Everything is read, so that the program never waits.
fn kept(mut pipe: impl Read, most: usize) -> (Vec<u8>, bool) {
    let (mut bytes, mut cut, mut buffer) = (Vec::new(), false, [0; 8192]);
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let taken = count.min(most - bytes.len());
        bytes.extend_from_slice(&buffer[..taken]);
        cut |= taken < count;
    }
    (bytes, cut)
}

/// Waits for the end, and ends a child that takes too long (`None`).
fn wait(child: &mut Child, most: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() > most {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
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
