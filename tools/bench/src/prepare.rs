// SPDX-License-Identifier: Apache-2.0
//! How fast `gym-host data prepare` is, beside the disk that it reads from and writes to.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::process;

/// Runs; the best one counts, as what disturbs only makes slower.
const RUNS: usize = 3;

const CONFIG: &str = "\
weather:
  resources_servers:
    example_single_tool_call: {entrypoint: app.py, domain: agent}
weather_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: weather}
      model_server: {type: responses_api_models, name: policy_model}
      datasets:
      - {name: big, type: train, license: Apache 2.0, jsonl_fpath: big.jsonl}
";

/// Prepares a file of so many megabytes and prints what that cost. What is written is twice that: the prepared file, and
/// that of the type.
pub(crate) fn measure(host: &Path, megabytes: u64) -> anyhow::Result<()> {
    // It runs in the folder of the data.
    let host = &std::path::absolute(host).context("failed to find the binary")?;
    let folder = tempfile::tempdir().context("failed to make a folder for the data")?;
    std::fs::write(folder.path().join("config.yaml"), CONFIG)?;
    let (rows, bytes) = write_rows(&folder.path().join("big.jsonl"), megabytes * 1_000_000)?;
    println!("preparing {rows} rows, {:.0} MB", bytes as f64 / 1e6);
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    let mut best: Option<Cost> = None;
    for _ in 0..RUNS {
        let cost = run(host, folder.path())?;
        if best.as_ref().is_none_or(|best| cost.wall < best.wall) {
            best = Some(cost);
        }
    }
    let best = best.context("there was a run")?;
    println!(
        "gym-host data prepare   {:>6.0} MB/s  {:>5.1} cores  {:>5.0} MB/s a core  {:>5.0} MB of memory",
        rate(best.wall),
        best.cpu.as_secs_f64() / best.wall.as_secs_f64(),
        rate(best.cpu),
        best.peak_bytes as f64 / 1e6
    );
    let disk = copy_twice(folder.path())?;
    println!("copying the file twice  {:>6.0} MB/s", rate(disk));
    Ok(())
}

struct Cost {
    wall: Duration,
    cpu: Duration,
    peak_bytes: u64,
}

fn run(host: &Path, folder: &Path) -> anyhow::Result<Cost> {
    let started = Instant::now();
    let mut child = Command::new(host)
        .args(["--quiet", "data", "prepare", "--config", "config.yaml", "--mode", "train_preparation", "-o", "out"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("failed to start {}", host.display()))?;
    let mut cost = Cost { wall: Duration::ZERO, cpu: Duration::ZERO, peak_bytes: 0 };
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // A process that ends just now has no memory any more; the last look before that counts.
        if let Ok(usage) = process::usage(child.id()) {
            cost.cpu = usage.cpu;
            cost.peak_bytes = cost.peak_bytes.max(usage.resident_bytes);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    cost.wall = started.elapsed();
    ensure!(status.success(), "the preparation failed: {status}");
    Ok(cost)
}

/// What the disk alone takes to write as much, to the end.
fn copy_twice(folder: &Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for name in ["one.jsonl", "two.jsonl"] {
        let mut input = File::open(folder.join("big.jsonl"))?;
        let mut output = File::create(folder.join(name))?;
        // Through memory, as a program does that looks at what it copies.
        let mut block = vec![0; 1 << 20];
        loop {
            let count = std::io::Read::read(&mut input, &mut block)?;
            if count == 0 {
                break;
            }
            output.write_all(&block[..count])?;
        }
        output.sync_data()?;
    }
    Ok(started.elapsed())
}

/// Writes rows like those of tool-calling datasets: a system prompt, a question, tools, and fields for the verifier.
fn write_rows(path: &Path, bytes: u64) -> anyhow::Result<(u64, u64)> {
    const WORDS: [&str; 16] = [
        "weather",
        "in",
        "the",
        "city",
        "of",
        "Oslo",
        "tomorrow",
        "compare",
        "it",
        "with",
        "that",
        "Zürich",
        "wind",
        "rain",
        "and",
        "temperature",
    ];
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut text = move |words: u64| {
        let count = words / 2 + random(words);
        (0..count).map(|_| WORDS[random(16) as usize]).collect::<Vec<_>>().join(" ")
    };
    let tools = serde_json::json!([{
        "type": "function", "name": "get_weather", "description": "The weather in a city.", "strict": true,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
            "additionalProperties": false},
    }]);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut rows, mut written) = (0, 0);
    while written < bytes {
        let row = serde_json::json!({
            "responses_create_params": {
                "input": [
                    {"role": "system", "content": text(60)},
                    {"role": "user", "content": text(200)},
                ],
                "tools": tools,
                "temperature": 0.7,
            },
            "expected_answer": text(4),
            "uuid": format!("row-{rows}"),
            "difficulty": rows % 7,
            "verifier_metadata": {"reference": text(40), "weights": [0.25, 0.75]},
        });
        let mut line = serde_json::to_vec(&row)?;
        line.push(b'\n');
        file.write_all(&line)?;
        written += line.len() as u64;
        rows += 1;
    }
    file.flush()?;
    Ok((rows, written))
}
