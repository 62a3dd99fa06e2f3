// SPDX-License-Identifier: Apache-2.0
//! Measures gym-host: requests a second, latencies, CPU and memory, at several numbers of clients; and in the same run
//! the same verifier compiled natively into a bare axum handler.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

mod client;
mod load;
mod native;
mod prepare;
mod process;
mod table;
mod workload;

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;

use crate::{process::Server, table::Row, workload::Workload};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Drive gym-host with many clients and print what it costs, next to a native handler with the same verifier.
#[derive(Parser)]
#[command(name = "gym-bench")]
struct Arguments {
    /// The gym-host binary.
    #[arg(long, value_name = "FILE", required_unless_present = "serve_native")]
    host: Option<PathBuf>,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256, 1024, 4096])]
    clients: Vec<usize>,
    /// Seconds for each measurement, at most 60.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Only these workloads; `prepare` is `gym-host data prepare` beside the disk.
    #[arg(long, value_delimiter = ',', default_values_t = ["verify", "session", "run"].map(str::to_owned))]
    workloads: Vec<String>,
    /// Size of the dataset that is prepared.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    megabytes: u64,
    /// Serve the native handler; gym-bench starts itself with this option.
    #[arg(long, hide = true)]
    serve_native: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if !arguments.serve_native {
        // The load must not take more of the machine than it needs.
        builder.worker_threads(1);
    }
    let runtime = builder.enable_all().build().context("failed to start the load generator")?;
    if arguments.serve_native {
        return runtime.block_on(native::serve());
    }
    let host = arguments.host.clone().context("--host names the binary")?;
    let (prepare, served): (Vec<_>, Vec<_>) = arguments.workloads.iter().partition(|name| *name == "prepare");
    if !served.is_empty() {
        runtime.block_on(measure(&arguments, &served, &host))?;
    }
    if !prepare.is_empty() {
        prepare::measure(&host, arguments.megabytes)?;
    }
    Ok(())
}

const CONFIG: &str = "\
bench_mcqa:
  resources_servers:
    mcqa: {entrypoint: app.py, domain: knowledge, host: 127.0.0.1, port: 0}
bench_counter:
  resources_servers:
    example_session_state_mgmt: {entrypoint: app.py, domain: agent, host: 127.0.0.1, port: 0}
bench_weather:
  resources_servers:
    example_single_tool_call: {entrypoint: app.py, domain: agent, host: 127.0.0.1, port: 0}
bench_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      script:
      - attempts:
        - - calls: [{name: get_weather, arguments: {city: Oslo}}]
          - text: It is cold in Oslo.
bench_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      resources_server: {type: resources_servers, name: bench_weather}
      model_server: {type: responses_api_models, name: bench_model}
head_server: {host: 127.0.0.1, port: 0}
";

async fn measure(arguments: &Arguments, workloads: &[&String], host: &PathBuf) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("failed to make a folder for the configuration")?;
    let config = folder.path().join("bench.yaml");
    std::fs::write(&config, CONFIG).context("failed to write the configuration")?;
    let server = Server::start(Command::new(host).args(["--quiet", "serve", "--config"]).arg(&config), "ready")?;
    let native = Server::start(
        Command::new(std::env::current_exe().context("failed to find this program")?).arg("--serve-native"),
        "listening on http://",
    )?;
    println!("gym-host was ready {:.0} ms after its start\n", server.start.as_secs_f64() * 1000.0);
    println!("{}", table::HEADER);
    let duration = Duration::from_secs(arguments.seconds);
    for name in workloads {
        for clients in &arguments.clients {
            let (of_host, of_native) = match name.as_str() {
                "verify" => {
                    (Workload::verify(&address(&server, "bench_mcqa")?), Some(Workload::verify(&address(&native, "")?)))
                }
                "session" => (Workload::session(&address(&server, "bench_counter")?), None),
                "run" => (Workload::run(&address(&server, "bench_agent")?), None),
                other => anyhow::bail!("there is no workload `{other}`: verify, session, run, prepare"),
            };
            let native_row = match of_native {
                Some(workload) => Some(row(&native, workload, *clients, duration).await?),
                None => None,
            };
            let host_row = row(&server, of_host, *clients, duration).await?;
            println!("{}", table::line(name, "gym-host", *clients, &host_row, native_row.as_ref()));
            if let Some(native_row) = native_row {
                println!("{}", table::line(name, "native axum", *clients, &native_row, None));
            }
        }
    }
    let after = server.usage()?;
    println!("\nmemory of gym-host after all of it: {:.0} MB", after.resident_bytes as f64 / 1e6);
    Ok(())
}

async fn row(server: &Server, workload: Workload, clients: usize, duration: Duration) -> anyhow::Result<Row> {
    let workload = Arc::new(workload);
    // Connections, caches and pools warm up outside the measurement.
    load::drive(workload.clone(), clients.min(64), Duration::from_millis(300)).await;
    let before = server.usage()?;
    let measured = load::drive(workload, clients, duration).await;
    let after = server.usage()?;
    Ok(Row { measured, cpu: after.cpu - before.cpu, resident_bytes: after.resident_bytes })
}

/// The address in the line `listening on http://ADDRESS …` that names a server.
fn address(server: &Server, name: &str) -> anyhow::Result<String> {
    let line = server.lines.iter().find(|line| {
        line.starts_with("listening on http://")
            && (name.is_empty() || line.split_whitespace().any(|word| word == name))
    });
    let line = line.with_context(|| format!("the server printed no address for `{name}`"))?;
    let address = line.trim_start_matches("listening on http://").split([' ', '/']).next().unwrap_or_default();
    Ok(address.to_owned())
}
