// SPDX-License-Identifier: Apache-2.0
//! What is done with rollouts: shards, metrics, profiles, new grades.

use std::path::Path;

use gym_tests::{Ended, gym_host, run};
use serde_json::{Value, json};

const CONFIG: &str = "\
head_server: {host: 127.0.0.1, port: 0}
mcqa:
  resources_servers:
    mcqa: {entrypoint: app.py, domain: knowledge, grading_mode: lenient_answer_colon}
policy_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      script:
      - attempts:
        - - text: 'Answer: B'
        - - text: 'The answer is \\boxed{B}'
";

const AGENT: &str = "
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: mcqa}
      model_server: {type: responses_api_models, name: policy_model}
";

struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("{CONFIG}one_agent:{AGENT}two_agent:{AGENT}");
        std::fs::write(folder.path().join("config.yaml"), config).unwrap();
        let rows: String = (0..6)
            .map(|task| {
                let agent = if task < 4 { "one_agent" } else { "two_agent" };
                let row = json!({
                    "responses_create_params": {"input": [{"role": "user", "content": format!("Question {task}?")}]},
                    "options": [{"A": "no"}, {"B": "yes"}], "expected_answer": "B", "uuid": task.to_string(),
                    "agent_ref": {"type": "responses_api_agents", "name": agent}, "unknown_field": {"x": [1.5, null]}});
                format!("{row}\n")
            })
            .collect();
        std::fs::write(folder.path().join("tasks.jsonl"), rows).unwrap();
        Self(folder)
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(gym_host(self.0.path()).args(arguments))
    }

    fn done(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        ended
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Collects with NeMo Gym's option names.
    fn collect(&self, output: &str, more: &[&str]) {
        let output = format!("+output_jsonl_fpath={output}");
        let mut arguments =
            vec!["collect", "--config", "config.yaml", "+input_jsonl_fpath=tasks.jsonl", output.as_str(), "-q"];
        arguments.extend(more);
        self.done(&arguments);
    }
}

#[test]
fn options_have_the_names_that_they_have_in_nemo_gym() {
    let work = Work::new();
    let options = [
        "+num_repeats.one_agent=3",
        "+num_repeats._default=1",
        "+limit=5",
        "+num_samples_in_parallel=2",
        "+responses_create_params.temperature=0.25",
        "+num_repeats_add_seed=true",
        "+disable_aggregation=true",
    ];
    work.collect("out.jsonl", &options);
    let rollouts = work.rows("out.jsonl");
    let of = |agent: &str| rollouts.iter().filter(|row| row["agent_ref"]["name"] == agent).count();
    assert_eq!((of("one_agent"), of("two_agent")), (12, 1));
    assert!(!work.path("out_aggregate_metrics.json").exists());
    for row in &rollouts {
        assert_eq!(row["responses_create_params"]["temperature"], 0.25);
        let made = row["gym_host"].as_object().unwrap();
        for name in ["component", "config", "seed", "sampling_seed"] {
            assert!(made.contains_key(name), "{name} in {made:?}");
        }
    }
    let unknown = "+rollout_collection_driver=a:b";
    let ended = work.run(&["collect", "--config", "config.yaml", "-i", "tasks.jsonl", "-o", "other.jsonl", unknown]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("`rollout_collection_driver`"), "{}", ended.stderr);
    assert!(!work.path("other.jsonl").exists());
}

#[test]
fn shards_come_together_and_have_the_metrics_of_the_whole() {
    let work = Work::new();
    work.collect("all.jsonl", &["-n", "2"]);
    for shard in ["1/3", "2/3", "3/3"] {
        let output = format!("shard_{}.jsonl", &shard[..1]);
        work.collect(&output, &["-n", "2", "-j", "1", "--shard", shard, "--disable-aggregation"]);
    }
    work.done(&["aggregate", "--config", "config.yaml", "-i", "shard_*.jsonl", "-o", "merged.jsonl"]);
    let keys = |rows: &[Value]| -> Vec<(u64, u64)> {
        let mut keys: Vec<_> = rows
            .iter()
            .map(|row| (row["_ng_task_index"].as_u64().unwrap(), row["_ng_rollout_index"].as_u64().unwrap()))
            .collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(&work.rows("merged.jsonl")), keys(&work.rows("all.jsonl")));
    assert_eq!(work.rows("merged_materialized_inputs.jsonl").len(), 12);
    // The same rows have the same metrics.
    let collected = work.json("all_aggregate_metrics.json");
    std::fs::remove_file(work.path("all_aggregate_metrics.json")).unwrap();
    work.done(&["aggregate", "--config", "config.yaml", "-i", "all.jsonl"]);
    assert_eq!(work.json("all_aggregate_metrics.json"), collected);
    let names =
        |metrics: &Value| -> Vec<String> { metrics[0]["agent_metrics"].as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names(&work.json("merged_aggregate_metrics.json")), names(&collected));
    assert!(names(&collected).iter().any(|name| name == "pass@2/accuracy"));
    // Without the environment the common metrics are there all the same.
    work.done(&["aggregate", "-i", "merged.jsonl", "-o", "plain.jsonl", "--no-merge"]);
    let plain = work.json("plain_aggregate_metrics.json");
    assert_eq!(plain[0]["agent_metrics"]["mean/reward"], 0.5);
    assert!(!names(&plain).iter().any(|name| name == "pass@2/accuracy"));
    assert!(!work.path("plain.jsonl").exists());
    // The same rollouts twice are an error, and nothing is written.
    let ended = work.run(&["merge", "all.jsonl", "merged.jsonl", "-o", "twice.jsonl"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(!work.path("twice.jsonl").exists());
}

#[test]
fn a_profile_is_shown_written_and_used_to_choose_tasks() {
    let work = Work::new();
    work.collect(
        "out.jsonl",
        &["-n", "2", "-j", "1", "++mcqa.resources_servers.mcqa.grading_mode=strict_single_letter_boxed"],
    );
    let files = ["--csv", "p.csv", "--json", "p.json", "--html", "p.html"];
    let ended = work.done(&[&["profile", "out.jsonl"], &files[..]].concat());
    assert!(ended.stdout.contains("one_agent: 4 tasks, 8 rollouts"), "{}", ended.stdout);
    assert_eq!(std::fs::read_to_string(work.path("p.csv")).unwrap().lines().count(), 7);
    let profile = work.json("p.json");
    assert_eq!(profile["agents"].as_array().unwrap().len(), 3);
    let html = std::fs::read_to_string(work.path("p.html")).unwrap();
    assert!(html.contains("<svg") && !html.contains("http"), "the page stands alone");
    let groups = work.rows("out_reward_profiling.jsonl");
    assert_eq!(groups.len(), 6);
    assert_eq!(groups[0]["sample"]["unknown_field"], json!({"x": [1.5, null]}), "unknown fields are kept");
    assert_eq!(groups[0]["expected_num_rollouts"], 2);
    // Every task was solved once by the second of its attempts, so all are of medium difficulty.
    work.done(&["profile", "out.jsonl", "--band", "medium", "--agent", "two_agent", "--subset", "subset.jsonl"]);
    let subset = work.rows("subset.jsonl");
    assert_eq!(subset.len(), 2);
    assert!(subset.iter().all(|row| row.as_object().unwrap().keys().all(|name| !name.starts_with("_ng"))));
    let ended = work.run(&["profile", "out.jsonl", "--band", "medium"]);
    assert_eq!(ended.status.code(), Some(2), "choosing without writing is a mistake");
}

#[test]
fn stored_rollouts_are_graded_again_and_every_change_is_told() {
    let work = Work::new();
    work.collect("out.jsonl", &["-n", "2"]);
    let config = ["reverify", "--config", "config.yaml", "--rollouts", "out.jsonl"];
    let same = work.done(&config);
    assert_eq!(same.stdout, "", "nothing changed");
    assert_eq!(work.rows("out_reverified.jsonl").len(), 12);
    assert_eq!(std::fs::read_to_string(work.path("out_reverified_changed.jsonl")).unwrap(), "");
    // Another rule: "Answer: B" is right no more, and the box is right now.
    let strict = "++mcqa.resources_servers.mcqa.grading_mode=strict_single_letter_boxed";
    let ended = work.run(&[&config[..], &["-o", "strict.jsonl", "--fail-on-change", strict]].concat());
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let before: Vec<f64> = work.rows("out.jsonl").iter().map(|row| row["reward"].as_f64().unwrap()).collect();
    let changes = work.rows("strict_changed.jsonl");
    assert_eq!(ended.stdout.lines().count(), changes.len());
    assert!(!changes.is_empty() && changes.len() <= before.len());
    for change in &changes {
        assert_ne!(change["old_reward"], change["new_reward"]);
        assert_eq!(change["old"]["component"], change["new"]["component"]);
        assert_ne!(change["old"]["config"], change["new"]["config"], "the audit says which rule graded");
    }
    let graded = work.rows("strict.jsonl");
    for change in &changes {
        let key = ["_ng_task_index", "_ng_rollout_index"];
        let row = graded.iter().find(|row| key.iter().all(|name| row[name] == change[name])).unwrap();
        assert_eq!(row["reward"], change["new_reward"]);
    }
    // Other rules do not go on with files of these.
    let ended = work.run(&[&config[..], &["-o", "strict.jsonl"]].concat());
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
}

#[test]
fn servers_that_keep_sessions_are_not_asked_to_grade_again() {
    let work = Work::new();
    let config = std::fs::read_to_string(work.path("config.yaml")).unwrap();
    std::fs::write(
        work.path("config.yaml"),
        config.replace(
            "mcqa: {entrypoint: app.py, domain: knowledge, grading_mode: lenient_answer_colon}",
            "example_session_state_mgmt: {entrypoint: app.py, domain: agent}",
        ),
    )
    .unwrap();
    for (name, more) in [("r.jsonl", ",\"response\":{},\"reward\":1.0"), ("r_materialized_inputs.jsonl", "")] {
        let row = format!(
            "{{\"_ng_task_index\":0,\"_ng_rollout_index\":0,\"agent_ref\":{{\"name\":\"one_agent\"}}{more}}}\n"
        );
        std::fs::write(work.path(name), row).unwrap();
    }
    let ended = work.run(&["reverify", "--config", "config.yaml", "--rollouts", "r.jsonl"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("does not say that stored responses may be graded again"), "{}", ended.stderr);
    assert!(!Path::new(&work.path("r_reverified.jsonl")).exists());
}
