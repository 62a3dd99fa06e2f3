// SPDX-License-Identifier: Apache-2.0
//! `gym-host data push`, `pull`, `list` and `prepare --download` against servers that speak the protocols of GitLab's
//! registry and of the Hugging Face hub.

use std::path::Path;

use gym_tests::{
    Ended, gym_host,
    registries::{Fault, Shared, TOKEN, start_in_background},
    run,
};
use serde_json::{Value, json};

struct Bench {
    world: Shared,
    folder: tempfile::TempDir,
}

impl Bench {
    /// A folder with an `env.yaml` that names both servers.
    fn new(token: &str) -> Self {
        let bench = Self { world: start_in_background(), folder: tempfile::tempdir().unwrap() };
        let url = bench.world.lock().url.clone();
        bench.write(
            "env.yaml",
            &format!(
                "mlflow_tracking_uri: {url}/gl/api/v4/projects/7/ml/mlflow\nmlflow_tracking_token: {token}\n\
                 hf_endpoint: {url}\nhf_token: {token}\n"
            ),
        );
        bench
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Runs `gym-host -vv data …`. Whatever it prints, the token is not in it.
    fn data(&self, arguments: &[&str]) -> Ended {
        let mut command = gym_host(self.path());
        for name in ["HF_TOKEN", "HF_ENDPOINT", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN"] {
            command.env_remove(name);
        }
        command.env("XDG_CACHE_HOME", self.path().join("cache"));
        let ended = run(command.args(["-vv", "data"]).args(arguments));
        let said = format!("{}{}", ended.stdout, ended.stderr);
        for secret in [TOKEN, "wrong-token-0815"] {
            assert!(!said.contains(secret), "{arguments:?} prints the token: {said}");
        }
        ended
    }

    fn done(&self, arguments: &[&str]) -> String {
        let ended = self.data(arguments);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    fn fails(&self, arguments: &[&str], code: i32, says: &str) {
        let ended = self.data(arguments);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(says), "{arguments:?} does not say `{says}`: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }

    fn fault(&self, text: &str, fault: Fault) {
        self.world.lock().faults.push_back((text.to_owned(), fault));
    }

    fn asked(&self, text: &str) -> usize {
        self.world.lock().log.iter().filter(|line| line.contains(text)).count()
    }
}

fn rows(count: usize) -> String {
    (0..count)
        .map(|row| {
            format!("{}\n", json!({"responses_create_params": {"input": format!("Weather {row}?")}, "row": row}))
        })
        .collect()
}

#[test]
fn what_is_pushed_is_listed_and_comes_back() {
    let bench = Bench::new(TOKEN);
    bench.write("train.jsonl", &rows(200));
    for (to, all, address) in [
        ("gitlab:my_set/0.0.1", "gitlab:my_set/0.0.1", "gitlab:my_set/0.0.1/train.jsonl"),
        ("hf:o/n", "hf:o/n", "hf:o/n/train.jsonl"),
        ("store/", "store/", "store/train.jsonl"),
    ] {
        assert_eq!(bench.done(&["push", "train.jsonl", to]).trim(), address);
        let again: Value = serde_json::from_str(&bench.done(&["push", "train.jsonl", to, "--json"])).unwrap();
        assert_eq!((&again["already_there"], &again["verified"]), (&json!(true), &json!(true)), "{to}");
        let listed = bench.done(&["list", all]);
        assert!(listed.contains(address), "{listed}");
        let listed = bench.done(&["list", all, "--json"]);
        let mut listed = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let listed = listed.find(|entry| entry["address"] == json!(address)).unwrap();
        assert_eq!((&listed["address"], &listed["size"]), (&json!(address), &json!(rows(200).len())), "{to}");
        let pulled: Value =
            serde_json::from_str(&bench.done(&["pull", address, "-o", "pulled.jsonl", "--json"])).unwrap();
        // A folder tells no checksum.
        let verified = !to.ends_with('/');
        assert_eq!((&pulled["already_there"], &pulled["verified"]), (&json!(false), &json!(verified)), "{to}");
        assert_eq!(bench.read("pulled.jsonl"), rows(200), "{to}");
        std::fs::remove_file(bench.path().join("pulled.jsonl")).unwrap();
    }
}

#[test]
fn an_upload_that_fails_in_the_middle_is_finished_by_the_same_command() {
    let bench = Bench::new(TOKEN);
    {
        let mut world = bench.world.lock();
        (world.large_from, world.chunk) = (100, 1000);
    }
    bench.write("train.jsonl", &rows(100));
    let parts = rows(100).len().div_ceil(1000);
    assert!(parts > 6, "{parts}");
    for _ in 0..5 {
        bench.fault("/signed/part/", Fault::Status(500));
    }
    bench.fault("POST /complete", Fault::Status(400));
    bench.fails(&["push", "train.jsonl", "hf:o/n"], 3, "refuse");
    let sent = bench.asked("PUT /signed/part/");
    assert!(bench.world.lock().files.is_empty());
    assert_eq!(bench.done(&["push", "train.jsonl", "hf:o/n"]).trim(), "hf:o/n/train.jsonl");
    assert_eq!(bench.asked("PUT /signed/part/"), sent, "parts that had arrived were sent again");
    assert_eq!(bench.world.lock().files["train.jsonl"], rows(100).into_bytes());
}

#[test]
fn refusals_are_named_with_what_to_do_and_leave_no_file() {
    let wrong = Bench::new("wrong-token-0815");
    wrong.write("train.jsonl", &rows(2));
    for (place, key) in [("gitlab:my_set/0.0.1", "mlflow_tracking_token"), ("hf:o/n", "hf_token")] {
        for more in [&[][..], &["--json"]] {
            wrong.fails(&[&["push", "train.jsonl", place], more].concat(), 2, key);
            wrong.fails(&[&["list", place], more].concat(), 2, key);
            wrong.fails(&[&["pull", &format!("{place}/train.jsonl"), "-o", "new.jsonl"], more].concat(), 2, key);
        }
    }
    let bench = Bench::new(TOKEN);
    bench.write("train.jsonl", &rows(2));
    bench.done(&["push", "train.jsonl", "gitlab:my_set/0.0.1"]);
    bench.done(&["push", "train.jsonl", "hf:o/n"]);
    for (from, route) in [
        ("gitlab:my_set/0.0.1/train.jsonl", "GET /gl/api/v4/projects/7/packages/ml_models/"),
        ("hf:o/n/train.jsonl", "GET /datasets/o/n/resolve/"),
    ] {
        let other = from.replace("train.jsonl", "other.jsonl");
        bench.fails(&["pull", &other, "-o", "new.jsonl"], 2, "other.jsonl");
        bench.fault(route, Fault::Garbled);
        bench.fails(&["pull", from, "-o", "new.jsonl"], 3, "checksum");
        // Asked again five times: a fault that stays.
        for _ in 0..5 {
            bench.fault(route, Fault::Status(500));
        }
        bench.fails(&["pull", from, "-o", "new.jsonl", "--json"], 3, "500");
        bench.fault(route, Fault::Status(400));
        bench.fails(&["pull", from, "-o", "new.jsonl"], 3, "400");
        bench.world.lock().faults.clear();
        bench.write("mine.jsonl", "mine");
        bench.fails(&["pull", from, "-o", "mine.jsonl"], 2, "is there already");
        assert_eq!(bench.read("mine.jsonl"), "mine");
        bench.done(&["pull", from, "-o", "mine.jsonl", "--force"]);
        assert_eq!(bench.read("mine.jsonl"), rows(2));
    }
    let left = std::fs::read_dir(bench.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.contains("new") || name.contains("partial")).collect();
    assert_eq!(left, [""; 0]);
    // Nobody listens there.
    std::fs::remove_file(bench.path().join("env.yaml")).unwrap();
    bench.fails(&["list", "gitlab:"], 2, "mlflow_tracking_uri");
    bench.fails(&["push", "train.jsonl", "hf:o/n"], 2, "hf_token");
    bench.fails(&["push", "nothing.jsonl", "store/"], 2, "nothing.jsonl");
    bench.fails(&["list", "s3://bucket/rows.jsonl"], 2, "places are");
}

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
      - name: hub
        type: train
        license: MIT
        jsonl_fpath: data/train.jsonl
        huggingface_identifier: {repo_id: o/n}
      - name: registry
        type: validation
        license: MIT
        jsonl_fpath: data/validation.jsonl
        gitlab_identifier: {dataset_name: my_set, version: 0.0.1, artifact_fpath: dev.jsonl}
      - name: both
        type: train
        license: MIT
        jsonl_fpath: data/both.jsonl
        huggingface_identifier: {repo_id: o/n, artifact_fpath: validation.jsonl}
        gitlab_identifier: {dataset_name: my_set, version: 0.0.1, artifact_fpath: both.jsonl}
";

#[test]
fn missing_datasets_are_fetched_and_prepared() {
    let bench = Bench::new(TOKEN);
    bench.write("config.yaml", CONFIG);
    for (name, count) in [("train.jsonl", 3), ("validation.jsonl", 4), ("dev.jsonl", 5), ("both.jsonl", 6)] {
        bench.write(name, &rows(count));
    }
    for (file, to) in [
        ("train.jsonl", "hf:o/n"),
        ("validation.jsonl", "hf:o/n"),
        ("dev.jsonl", "gitlab:my_set/0.0.1"),
        ("both.jsonl", "gitlab:my_set/0.0.1"),
    ] {
        bench.done(&["push", file, to]);
    }
    let prepare = ["prepare", "--config", "config.yaml", "--mode", "train_preparation", "-o", "out"];
    let with = |more: &[&'static str]| [&prepare[..], more].concat();
    bench.fails(&prepare, 2, "--download");
    assert!(!bench.path().join("data").exists() && !bench.path().join("out").exists());
    bench.fails(&with(&["+should_download=true", "+data_source=elsewhere"]), 2, "elsewhere");
    bench.done(&with(&["+should_download=true"]));
    // The file of the split; of two places the hub, unless the other is asked for.
    assert_eq!(bench.read("out/train.jsonl").lines().count(), 3 + 4);
    assert_eq!(bench.read("out/validation.jsonl").lines().count(), 5);
    // What is there is not fetched again.
    let asked = bench.world.lock().log.len();
    bench.done(&with(&["--download"]));
    assert_eq!(bench.world.lock().log.len(), asked);
    for folder in ["data", "out"] {
        std::fs::remove_dir_all(bench.path().join(folder)).unwrap();
    }
    bench.done(&with(&["--download", "+data_source=gitlab"]));
    assert_eq!(bench.read("out/train.jsonl").lines().count(), 3 + 6);
    std::fs::remove_dir_all(bench.path().join("data")).unwrap();
    std::fs::remove_dir_all(bench.path().join("out")).unwrap();
    bench.world.lock().models.clear();
    bench.fails(&with(&["--download"]), 2, "my_set");
    assert!(!bench.path().join("out").exists());
}
