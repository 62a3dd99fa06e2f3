// SPDX-License-Identifier: Apache-2.0
//! `gym-host status`: the health and load of running servers.

use std::{process::ExitCode, time::Duration};

use serde_json::Value;

use crate::{
    args::StatusArgs,
    failure::{CommandResult, Failure, WITH_FAULTS, chain},
};

pub(crate) async fn run(arguments: &StatusArgs) -> CommandResult {
    let head = arguments.head.trim_end_matches('/');
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .no_proxy()
        .build()
        .map_err(|error| Failure::infrastructure(format!("failed to make an HTTP client: {}", chain(&error))))?;
    let instances = fetch(&client, &format!("{head}/server_instances")).await?;
    // NeMo Gym's own head server has no such route; then there is no more to show.
    let load = fetch(&client, &format!("{head}/gym-host/status")).await.unwrap_or(Value::Null);
    if arguments.json {
        println!("{}", serde_json::json!({"servers": instances, "load": load}));
        return Ok(ExitCode::SUCCESS);
    }
    let servers = instances.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut all_up = true;
    println!("{:<32} {:<22} {:<24} {:<30} {:>10}  state", "server", "kind", "implementation", "address", "up");
    for server in servers {
        let text = |key: &str| server[key].as_str().unwrap_or("-").to_owned();
        let state = match client.get(text("url")).send().await {
            Ok(_) => "up".to_owned(),
            Err(error) if error.is_timeout() => "timeout".to_owned(),
            Err(_) => "no answer".to_owned(),
        };
        all_up &= state == "up";
        let up = server["uptime_seconds"].as_f64().unwrap_or_default();
        println!(
            "{:<32} {:<22} {:<24} {:<30} {:>9.0}s  {state}",
            text("process_name"),
            text("server_type"),
            text("name"),
            text("url"),
            up
        );
    }
    print_load(&load);
    Ok(if all_up { ExitCode::SUCCESS } else { ExitCode::from(WITH_FAULTS) })
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Value, Failure> {
    let unreachable = |error: reqwest::Error| {
        if error.is_builder() {
            return Failure::user(format!("{url} is no address of a head server"))
                .with_hint("write for example --head http://127.0.0.1:11000");
        }
        Failure::infrastructure(format!("no answer from the head server at {url}: {}", chain(&error)))
            .with_hint("`gym-host serve` starts one; --head names another address")
    };
    let text = client.get(url).send().await.map_err(unreachable)?.text().await.map_err(unreachable)?;
    serde_json::from_str(&text).map_err(|error| Failure::infrastructure(format!("{url} did not answer JSON: {error}")))
}

/// Every number that the host reports, by its path.
fn print_load(load: &Value) {
    fn walk(path: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    walk(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value);
                }
            }
            Value::Null => {}
            Value::String(text) => println!("{path:<60} {text}"),
            other => println!("{path:<60} {other}"),
        }
    }
    if !load.is_null() {
        println!();
        walk("", load);
    }
}
