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
fn validate_reads_the_blocks_of_agents_models_and_environments() {
    let folder = tempfile::tempdir().unwrap();
    let config = "\
weather:
  resources_servers:
    example_single_tool_call: {entrypoint: app.py, domain: agent}
policy_model:
  responses_api_models:
    scripted_model: {entrypoint: app.py, script: []}
weather_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: weather}
      model_server: {type: responses_api_models, name: policy_model}
";
    std::fs::write(folder.path().join("c.yaml"), config).unwrap();
    let validate = |more: &[&str]| run(gym_host(folder.path()).args(["validate", "--config", "c.yaml"]).args(more));
    let ended = validate(&[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    for (mistake, part) in [
        ("++weather_agent.responses_api_agents.simple_agent.max_steps=x", "weather_agent"),
        (
            "++weather_agent.responses_api_agents.simple_agent.resources_server.type=resource_servers",
            "resource_servers",
        ),
        ("++policy_model.responses_api_models.scripted_model.script=5", "script"),
        ("++weather.resources_servers.example_single_tool_call.reward_rules=whenever", "whenever"),
        ("++weather.resources_servers.example_single_tool_call.expose_tools_over_mcp=perhaps", "expose_tools_over_mcp"),
    ] {
        let ended = validate(&[mistake]);
        assert!(!ended.status.success(), "{mistake}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "`{part}` in {}", ended.stderr);
    }
    let quick = validate(&["--quick", "++weather.resources_servers.example_single_tool_call.reward_rules=whenever"]);
    assert!(quick.status.success(), "{}", quick.stderr);
}

#[test]
fn config_dump_tells_where_every_value_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("base.yaml", "base:\n  resources_servers:\n    mcqa:\n      entrypoint: app.py\n      domain: math\n");
    write(
        "c.yaml",
        "config_paths: [base.yaml]\nmine:\n  _inherit_from: base\n  resources_servers:\n    mcqa: {grading_mode: x}\n",
    );
    write("env.yaml", "policy_model_name: m\n");
    let mut command = gym_host(folder.path());
    command.args([
        "config",
        "dump",
        "--origin",
        "--config",
        "c.yaml",
        "++mine.resources_servers.mcqa.domain=knowledge",
    ]);
    let ended = run(&mut command);
    assert!(ended.status.success(), "{}", ended.stderr);
    let at = |key: &str| {
        let line = ended.stdout.lines().find(|line| line.trim_start().starts_with(&format!("{key}: ")));
        let line = line.unwrap_or_else(|| panic!("no `{key}` in {}", ended.stdout));
        line.rsplit_once('#').unwrap().1.trim().rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(
        ["entrypoint", "domain", "grading_mode", "policy_model_name"].map(at),
        ["base.yaml:4:19", "command line", "c.yaml:5:26", "env.yaml:1:20"]
    );
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
    for part in ["c.yaml:3", "`some_judge`", "start vLLM yourself", "c.yaml:7", "`other_agent`", "`host` and `port`"] {
        assert!(ended.stderr.contains(part), "`{part}` in {}", ended.stderr);
    }
    assert_eq!(ended.stdout.matches("cannot be served").count(), 3, "{}", ended.stdout);
}
