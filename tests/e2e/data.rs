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

const TASKSET: &str = "\
head_server: {host: 127.0.0.1, port: 0}
policy_model:
  responses_api_models:
    scripted_model: {entrypoint: app.py, script: [{attempts: [[{text: 'Answer: B'}]]}]}
mcqa:
  resources_servers:
    mcqa:
      entrypoint: app.py
      domain: knowledge
      grading_mode: lenient_answer_colon
      datasets:
      - {name: one, type: example, jsonl_fpath: one.jsonl, taskset: letters}
environment_server_routes: {letters: letters_environment}
letters_environment:
  environment_servers:
    single_agent_turn:
      entrypoint: app.py
      cleanup_timeout_seconds: 5
      resources_server: {type: resources_servers, name: mcqa}
      agent_server: {type: responses_api_agents, name: second}
";

#[test]
fn rows_of_a_taskset_are_prepared_as_tasks_and_run_by_the_agent_of_its_route() {
    let folder = tempfile::tempdir().unwrap();
    let agent = "{entrypoint: app.py, resources_server: {type: resources_servers, name: mcqa}, \
                 model_server: {type: responses_api_models, name: policy_model}}";
    let agents: String = ["first", "second"]
        .map(|name| format!("{name}: {{responses_api_agents: {{simple_agent: {agent}}}}}\n"))
        .concat();
    std::fs::write(folder.path().join("config.yaml"), TASKSET.to_owned() + &agents).unwrap();
    let row = json!({"responses_create_params": {"input": "A or B?"}, "options": [{"A": "no"}, {"B": "yes"}],
        "expected_answer": "B", "uuid": "x"});
    std::fs::write(folder.path().join("one.jsonl"), format!("{row}\n")).unwrap();
    let done = |arguments: &[&str]| {
        let ended = run(gym_host(folder.path()).args(arguments).args(["--config", "config.yaml"]));
        assert!(ended.status.success(), "{}", ended.stderr);
    };
    done(&["data", "prepare", "--mode", "example_validation", "-o", "out"]);
    let tasks = rows(&folder.path().join("out/example.jsonl"));
    assert_eq!(tasks, [json!({"task_id": {"taskset": "letters", "task_id": "0"}, "task_input": row})]);
    // Without a route nobody would know which of the two agents it is for.
    done(&["eval", "-i", "out/example.jsonl", "-o", "rollouts.jsonl"]);
    let rollouts = rows(&folder.path().join("rollouts.jsonl"));
    assert_eq!(rollouts[0]["agent_ref"]["name"], "second", "{}", rollouts[0]);
    assert_eq!((rollouts.len(), &rollouts[0]["reward"]), (1, &json!(1.0)));
    // The rows of the configuration go the same way.
    done(&["eval", "--split", "example", "-o", "again.jsonl"]);
    assert_eq!(rows(&folder.path().join("again.jsonl"))[0]["agent_ref"]["name"], "second");
}

/// Rows of `reasoning_gym`, to a file.
fn generate(folder: &Path, more: &[&str]) -> gym_tests::Ended {
    run(gym_host(folder).args(["data", "generate", "reasoning_gym"]).args(more))
}

#[test]
fn rows_are_made_inside_a_component_from_a_seed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mixed = ["--task", "chain_sum,gcd", "-n", "120", "--seed", "5"];
    for output in ["one.jsonl", "new/two.jsonl"] {
        let ended = generate(folder.path(), &[&mixed[..], &["-o", output]].concat());
        assert!(ended.status.success(), "{}", ended.stderr);
    }
    let one = std::fs::read_to_string(path("one.jsonl")).unwrap();
    assert_eq!(one, std::fs::read_to_string(path("new/two.jsonl")).unwrap());
    let rows: Vec<Value> = one.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 120);
    for row in &rows {
        assert!(["chain_sum", "gcd"].contains(&row["metadata"]["source_dataset"].as_str().unwrap()), "{row}");
        assert_eq!(row["responses_create_params"]["input"][0]["content"], row["question"]);
    }
    let sums = ["--task", "chain_sum", "-n", "3", "-o", "sums.jsonl"];
    let ended = generate(folder.path(), &[&sums[..], &["--settings", r#"{"min_terms": 7, "max_terms": 7}"#]].concat());
    assert!(ended.status.success(), "{}", ended.stderr);
    let row: Value =
        serde_json::from_str(std::fs::read_to_string(path("sums.jsonl")).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(row["metadata"]["difficulty"]["num_terms"], json!([7, 7]), "{row}");

    // What is wrong is said, and nothing is written.
    let wrong: [(&[&str], i32, &str); 9] = [
        (&["--task", "gcd", "-n", "3", "-o", "one.jsonl"], 2, "add --force"),
        (&["--task", "gcd", "-n", "3", "-o", "new"], 2, "is a folder"),
        (&["--task", "chain_sums", "-n", "3", "-o", "x.jsonl"], 2, "did you mean `chain_sum`"),
        (&["--task", "sokoban", "-n", "3", "-o", "x.jsonl"], 2, "cannot be generated here"),
        (&["--task", "gcd", "-n", "0", "-o", "x.jsonl"], 2, "0 is not in 1.."),
        (&["--task", "gcd", "-n", "3", "--seed", "x", "-o", "x.jsonl"], 2, "invalid value 'x'"),
        (&["--task", "gcd", "-n", "3", "--settings", "{bad", "-o", "x.jsonl"], 2, "no JSON object"),
        (&["--task", "gcd", "-n", "3", "--settings", r#"{"no_such": 1}"#, "-o", "x.jsonl"], 2, "no_such"),
        (
            &["--task", "gcd", "-n", "3", "--settings", r#"{"min_value": "x"}"#, "-o", "x.jsonl"],
            2,
            "the setting `min_value` of `gcd` should be a whole number and is str. The settings of `gcd` are",
        ),
    ];
    for (arguments, code, said) in wrong {
        let ended = generate(folder.path(), arguments);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
        assert!(!path("x.jsonl").exists() && !path("x.jsonl.partial").exists(), "{arguments:?}");
    }
    assert_eq!(one, std::fs::read_to_string(path("one.jsonl")).unwrap());
    let other =
        run(gym_host(folder.path()).args(["data", "generate", "mcqa", "--task", "x", "-n", "1", "-o", "x.jsonl"]));
    assert_eq!(other.status.code(), Some(2), "{}", other.stderr);
    assert!(other.stderr.contains("`mcqa` makes no rows"), "{}", other.stderr);
}
