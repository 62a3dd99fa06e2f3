// SPDX-License-Identifier: Apache-2.0
//! A table of the environments: domain, language, size of the component, and how long a host takes to serve it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{setup, shell};

/// Starts of the host, of which the fastest counts: the others had to share the machine.
const STARTS: usize = 3;

/// Builds everything with optimisations and prints a line for each environment, then one for all together. What was
/// compiled is in the cache from the first start on.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::for_environments()?;
    shell::cargo(["build", "--release", "-p", "gym-host"]).run()?;
    let host = shell::root().join("target/release/gym-host");
    shell::command(&host).args(["build", "--all"]).run()?;
    measure(&host)
}

/// The table, measured with this binary.
#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
pub(crate) fn measure(host: &Path) -> anyhow::Result<()> {
    let folder = shell::root().join("environments");
    let entries = fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context("failed to list the environments")?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().join("configs").join(format!("{name}.yaml")).is_file() {
            names.push(name);
        }
    }
    names.sort();
    println!("| environment | domain | language | component | start |\n|---|---|---|---|---|");
    for name in &names {
        let folder = folder.join(name);
        let config = folder.join("configs").join(format!("{name}.yaml"));
        let text = fs::read_to_string(&config).with_context(|| format!("failed to read {}", config.display()))?;
        let domain = text.lines().find_map(|line| line.trim().strip_prefix("domain:")).unwrap_or_default().trim();
        let language = if folder.join("Cargo.toml").is_file() { "Rust" } else { "Python" };
        let component = folder.join(format!("{name}.wasm"));
        let size = fs::metadata(&component).with_context(|| format!("{} is not built", component.display()))?.len();
        let start = fastest(host, &["--environment", name, "--model-type", "scripted_model"])?;
        println!("| {name} | {domain} | {language} | {} kB | {} ms |", size / 1000, start.as_millis());
    }
    let start = fastest(host, &["--config", "configs/all_environments.yaml"])?;
    println!("| all {} together | | | | {} ms |", names.len(), start.as_millis());
    Ok(())
}

fn fastest(host: &Path, arguments: &[&str]) -> anyhow::Result<Duration> {
    let mut best = start(host, arguments)?;
    for _ in 1..STARTS {
        best = best.min(start(host, arguments)?);
    }
    Ok(best)
}

/// Time from the start of the process until it serves.
fn start(host: &Path, arguments: &[&str]) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut child = Command::new(host)
        .current_dir(shell::root())
        .args(["--quiet", "serve", "--gateway", "127.0.0.1:0"])
        .args(arguments)
        .arg("++head_server.port=0")
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}", host.display()))?;
    let stdout = child.stdout.take().expect("standard output is piped");
    let mut ready = None;
    for line in BufReader::new(stdout).lines() {
        if line.context("failed to read what the host prints")?.starts_with("ready") {
            ready = Some(began.elapsed());
            break;
        }
    }
    child.kill().context("failed to stop the host")?;
    child.wait().context("failed to wait for the host")?;
    match ready {
        Some(time) => Ok(time),
        None => bail!("the host ended before it was ready: {arguments:?}"),
    }
}
