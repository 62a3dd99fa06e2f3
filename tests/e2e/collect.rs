// SPDX-License-Identifier: Apache-2.0
//! Collecting rollouts: complete, durable, resumable.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gym_tests::{eventually, gym_host, run, wait};
use serde_json::Value;

const CONFIG: &str = "\
head_server: {host: 127.0.0.1, port: 0}
weather:
  resources_servers:
    example_single_tool_call: {entrypoint: app.py, domain: agent}
policy_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      delay_ms: 5
      script:
      - attempts:
        - - calls: [{name: get_weather, arguments: {city: Oslo}}]
          - text: It is cold in Oslo.
weather_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: weather}
      model_server: {type: responses_api_models, name: policy_model}
";

struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn new(tasks: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.yaml"), CONFIG).unwrap();
        let rows: String = (0..tasks)
            .map(|task| {
                let row = serde_json::json!({
                    "responses_create_params": {"input": [{"role": "user", "content": format!("Weather, please ({task}).")}]},
                    "agent_ref": {"type": "responses_api_agents", "name": "weather_agent"}});
                format!("{row}\n")
            })
            .collect();
        std::fs::write(folder.path().join("tasks.jsonl"), rows).unwrap();
        Self { folder }
    }

    fn command(&self) -> Command {
        let mut command = gym_host(self.folder.path());
        command.args(["collect", "--config", "config.yaml", "--input", "tasks.jsonl", "--output", "out.jsonl"]);
        command.args(["--num-repeats", "2", "--concurrency", "4"]);
        command
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out.jsonl")
    }
}

/// The keys of all whole rows; fails on a row that occurs twice.
fn keys(path: &Path) -> BTreeSet<(u64, u64)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert_eq!(row["reward"], serde_json::json!(1.0));
        let key = (row["_ng_task_index"].as_u64().unwrap(), row["_ng_rollout_index"].as_u64().unwrap());
        assert!(keys.insert(key), "{key:?} twice");
    }
    keys
}

fn all(tasks: u64) -> BTreeSet<(u64, u64)> {
    (0..tasks).flat_map(|task| [(task, 0), (task, 1)]).collect()
}

#[test]
fn every_rollout_is_collected_and_summed_up() {
    let collection = Run::new(20);
    let ended = run(&mut collection.command());
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(keys(&collection.output()), all(20));
    assert!(ended.stdout.contains("weather_agent"), "{}", ended.stdout);
    let metrics = std::fs::read_to_string(collection.folder.path().join("out_aggregate_metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(metrics[0]["agent_ref"]["name"], "weather_agent");
    assert_eq!(metrics[0]["agent_metrics"]["mean/reward"], serde_json::json!(1.0));
    assert!(collection.folder.path().join("out_failures.jsonl").is_file());
}

#[test]
fn a_terminated_collection_is_completed_by_a_second_run() {
    let collection = Run::new(150);
    // Slow enough not to be done before it is told to end, and then as fast as ever.
    let config = collection.folder.path().join("config.yaml");
    std::fs::write(&config, CONFIG.replace("delay_ms: 5", "delay_ms: 500")).unwrap();
    let mut child = collection.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lines = || std::fs::read_to_string(collection.output()).unwrap_or_default().lines().count();
    eventually("some rollouts are written", || lines() >= 20);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert_eq!(wait(&mut child).code(), Some(130));
    let first = keys(&collection.output());
    assert!(first.len() >= 20 && first.len() < 300, "{}", first.len());
    std::fs::write(&config, CONFIG).unwrap();
    let ended = run(&mut collection.command());
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(keys(&collection.output()), all(150));
}

/// `GYM_HOST_TEST_KILLS=100` does it a hundred times.
#[test]
fn a_collection_killed_at_random_moments_loses_nothing_and_repeats_nothing() {
    let kills: u64 = std::env::var("GYM_HOST_TEST_KILLS").map_or(20, |text| text.parse().expect("a number"));
    let mut collection = Run::new(300);
    let mut before = String::new();
    // A linear congruential generator: other moments each time, the same ones in each run of the test.
    let mut state: u64 = 1;
    for _ in 0..kills {
        let mut child =
            collection.command().arg("--json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(std::time::Duration::from_millis(state >> 33 & 0x1ff));
        child.kill().unwrap();
        let told = child.wait_with_output().unwrap().stdout;
        let text = std::fs::read_to_string(collection.output()).unwrap_or_default();
        // The last line may be torn, and is then not counted.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        assert!(whole.starts_with(&before), "rows of an earlier run changed");
        std::fs::write(collection.folder.path().join("whole.jsonl"), whole).unwrap();
        let there = keys(&collection.folder.path().join("whole.jsonl"));
        for line in String::from_utf8_lossy(&told).split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let event: Value = serde_json::from_str(line).unwrap();
            if event["event"] == "done" {
                let key = (event["task"].as_u64().unwrap(), event["rollout"].as_u64().unwrap());
                assert!(there.contains(&key), "{key:?} was counted and is lost");
            }
        }
        before = whole.to_owned();
        if there == all(300) {
            collection = Run::new(300);
            before.clear();
        }
    }
    let ended = run(&mut collection.command());
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(keys(&collection.output()), all(300));
}

#[test]
fn bad_input_is_named_by_file_and_line() {
    let collection = Run::new(3);
    let path = collection.folder.path().join("tasks.jsonl");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"responses_create_params\": \n");
    std::fs::write(&path, text).unwrap();
    let ended = run(&mut collection.command());
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("tasks.jsonl:4"), "{}", ended.stderr);
}

#[test]
fn an_input_that_is_not_there_is_the_users_to_mend() {
    let collection = Run::new(1);
    for missing in ["nothing.jsonl", "."] {
        let mut command = gym_host(collection.folder.path());
        let ended =
            run(command.args(["collect", "--config", "config.yaml", "--input", missing, "--output", "other.jsonl"]));
        assert_eq!(ended.status.code(), Some(2), "{missing}: {}", ended.stderr);
        assert!(!collection.folder.path().join("other.jsonl").exists(), "no output is left");
    }
}
