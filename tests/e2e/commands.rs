// SPDX-License-Identifier: Apache-2.0
//! The commands that do not serve.

use gym_tests::{gym_host, root, run};

#[test]
fn a_scaffolded_environment_builds_and_passes_its_tests_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(gym_host(folder.path()).args(["init", "my_first"]));
    assert!(made.status.success(), "{}", made.stderr);
    let built = run(gym_host(folder.path())
        .args(["build", "my_first"])
        .env("CARGO_TARGET_DIR", root().join("target/init-test")));
    assert!(built.status.success(), "{}", built.stderr);
    let tested = run(gym_host(folder.path()).args(["test", "my_first"]));
    assert!(tested.status.success(), "{}{}", tested.stdout, tested.stderr);
    assert!(tested.stdout.lines().last().unwrap_or_default().ends_with(" 0 failed"), "{}", tested.stdout);
}

#[test]
fn init_refuses_to_overwrite_and_to_use_bad_names() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("taken")).unwrap();
    let taken = run(gym_host(folder.path()).args(["init", "taken"]));
    assert_eq!(taken.status.code(), Some(2), "{}", taken.stderr);
    let bad = run(gym_host(folder.path()).args(["init", "Not-Good"]));
    assert_eq!(bad.status.code(), Some(2), "{}", bad.stderr);
    assert!(bad.stderr.contains("hint: "), "{}", bad.stderr);
}

#[test]
fn an_unknown_environment_is_an_error_that_names_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(gym_host(folder.path()).args(["test", "mcqaa"]));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("did you mean `mcqa`?"), "{}", ended.stderr);
}

#[test]
fn a_configuration_with_mistakes_names_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = "\
weather:
  resources_servers:
    example_single_tool_call: {entrypoint: app.py, domain: agent}
weather_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: wether}
      model_server: {type: responses_api_models, name: policy_model}
";
    std::fs::write(folder.path().join("bad.yaml"), config).unwrap();
    let ended = run(gym_host(folder.path()).args(["validate", "--config", "bad.yaml"]));
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    for part in ["bad.yaml:8", "wether", "weather", "policy_model"] {
        assert!(ended.stderr.contains(part), "`{part}` in {}", ended.stderr);
    }
}

#[test]
fn config_dump_masks_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("env.yaml"),
        "policy_api_key: sk-very-secret\npolicy_base_url: http://127.0.0.1:1/v1\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("c.yaml"), "a: 1\n").unwrap();
    let ended = run(gym_host(folder.path()).args(["config", "dump", "--config", "c.yaml", "b=2"]));
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(!ended.stdout.contains("sk-very-secret"), "{}", ended.stdout);
    assert!(ended.stdout.contains("a: 1") && ended.stdout.contains("b: 2"), "{}", ended.stdout);
}

#[test]
fn servers_of_nemo_gym_that_are_not_ours_are_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let config = "\
judge:
  resources_servers:
    some_judge: {entrypoint: app.py, domain: math}
policy_model:
  responses_api_models:
    local_vllm_model: {entrypoint: app.py, model: m}
judge_agent:
  responses_api_agents:
    other_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: judge}
      model_server: {type: responses_api_models, name: policy_model}
";
    std::fs::write(folder.path().join("c.yaml"), config).unwrap();
    let ended = run(gym_host(folder.path()).args(["validate", "--config", "c.yaml"]));
    assert!(ended.status.success(), "{}", ended.stderr);
    for part in ["c.yaml:1", "`some_judge`", "start vLLM yourself", "c.yaml:7", "`other_agent`", "`host` and `port`"] {
        assert!(ended.stderr.contains(part), "`{part}` in {}", ended.stderr);
    }
    assert_eq!(ended.stdout.matches("cannot be served").count(), 3, "{}", ended.stdout);
}
