// SPDX-License-Identifier: Apache-2.0
//! Preparing datasets.

use std::path::Path;

use gym_tests::{gym_host, run};
use serde_json::{Value, json};

const CONFIG: &str = "\
weather:
  resources_servers:
    example_single_tool_call: {entrypoint: app.py, domain: agent}
first_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: weather}
      model_server: {type: responses_api_models, name: policy_model}
      datasets:
      - {name: one, type: example, jsonl_fpath: one.jsonl}
      - {name: two, type: example, jsonl_fpath: two.jsonl, num_repeats: 2, start_idx: 1, end_idx: 3}
second_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: weather}
      model_server: {type: responses_api_models, name: policy_model}
      datasets:
      - {name: three, type: train, license: MIT, jsonl_fpath: three.jsonl}
";

fn row(text: &str) -> String {
    format!("{}\n", json!({"responses_create_params": {"input": text}, "answer": text, "agent_ref": {"name": "old"}}))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("config.yaml", CONFIG.to_owned());
    write("one.jsonl", row("a"));
    write("two.jsonl", row("b") + &row("c") + &row("d") + &row("e"));
    folder
}

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn examples_are_checked_counted_and_put_into_one_file() {
    let folder = folder();
    let options = ["data", "prepare", "--config", "config.yaml", "+mode=example_validation", "+output_dirpath=out"];
    let ended = run(gym_host(folder.path()).args(options));
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stderr.contains("MB/s"), "{}", ended.stderr);
    let collated = rows(&folder.path().join("out/example.jsonl"));
    let answers: Vec<&str> = collated.iter().map(|row| row["answer"].as_str().unwrap()).collect();
    assert_eq!(answers, ["a", "c", "c", "d", "d"]);
    for row in &collated {
        assert_eq!(row["agent_ref"], json!({"type": "responses_api_agents", "name": "first_agent"}));
    }
    let metrics = std::fs::read_to_string(folder.path().join("two_metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(metrics["Number of examples"], 4);
    assert_eq!(metrics["answer"], json!({"unique_count": 2, "total_count": 4}));
    // What was collated can be collected, and other data is a conflict with the statistics.
    std::fs::write(folder.path().join("one.jsonl"), row("a") + &row("z")).unwrap();
    let ended = run(gym_host(folder.path()).args(options));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("`Number of examples` was 1 and is 2"), "{}", ended.stderr);
    assert_eq!(rows(&folder.path().join("out/example.jsonl")).len(), 5, "the earlier file is untouched");
    let ended = run(gym_host(folder.path()).args(options).arg("--overwrite-metrics-conflicts"));
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(rows(&folder.path().join("out/example.jsonl")).len(), 6);
}

#[test]
fn every_row_that_is_not_right_is_named_and_nothing_is_left() {
    let folder = folder();
    let mut text: String = (1..70_001).map(|index| row(&index.to_string())).collect();
    text.push_str("{\"responses_create_params\": \n");
    text.push_str("{\"responses_create_params\":{\"input\":\"x\",\"temperature\":\"hot\"}}\n");
    std::fs::write(folder.path().join("one.jsonl"), text).unwrap();
    let command = ["data", "prepare", "--config", "config.yaml", "--mode", "example_validation", "-o", "out"];
    let ended = run(gym_host(folder.path()).args(command));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("one.jsonl:70001: the line is not a JSON object"), "{}", ended.stderr);
    assert!(ended.stderr.contains("one.jsonl:70002: `responses_create_params.temperature`"), "{}", ended.stderr);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("prepare") || name.contains("metrics") || name.contains("partial"))
        .collect();
    assert!(left.is_empty() && !folder.path().join("out/example.jsonl").exists(), "{left:?}");
}

#[test]
fn missing_datasets_are_named_before_any_work() {
    let folder = folder();
    let options = ["data", "prepare", "--config", "config.yaml", "--mode", "train_preparation", "-o", "out"];
    let ended = run(gym_host(folder.path()).args(options));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("second_agent: three (three.jsonl)"), "{}", ended.stderr);
    assert!(!folder.path().join("out").exists());
}
