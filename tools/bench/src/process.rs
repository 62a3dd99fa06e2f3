// SPDX-License-Identifier: Apache-2.0
//! A server in a process of its own, and what it costs.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// A running server; it is killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Lines that it printed until it was ready.
    pub lines: Vec<String>,
    /// From the start of the process to its being ready.
    pub start: Duration,
}

/// CPU time and memory of a process.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub cpu: Duration,
    pub resident_bytes: u64,
}

impl Server {
    /// Starts a server and waits until it prints a line that begins with `ready`.
    pub(crate) fn start(command: &mut Command, ready: &str) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("failed to start {command:?}"))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut reader = BufReader::new(stdout);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).context("failed to read what the server prints")? == 0 {
                child.kill().context("failed to stop the server")?;
                bail!("the server ended before it was ready: {}", lines.join(" | "));
            }
            let is_ready = line.starts_with(ready);
            lines.push(line.trim_end().to_owned());
            if is_ready {
                break;
            }
        }
        let start = started.elapsed();
        // The rest of its output must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Ok(Self { child, lines, start })
    }

    /// What the process has used up to now.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        usage(self.child.id())
    }
}

/// What a process has used up to now.
pub(crate) fn usage(process: u32) -> anyhow::Result<Usage> {
    let folder = format!("/proc/{}", process);
    let stat = std::fs::read_to_string(format!("{folder}/stat")).context("failed to read the process's usage")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let status = std::fs::read_to_string(format!("{folder}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = resident.trim().trim_end_matches(" kB").trim().parse()?;
    // Linux counts in hundredths of a second on every architecture that we run on.
    Ok(Usage { cpu: Duration::from_millis(ticks * 10), resident_bytes: kilobytes * 1024 })
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended by itself; then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
