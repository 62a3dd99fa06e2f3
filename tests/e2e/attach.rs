// SPDX-License-Identifier: Apache-2.0
//! `gym-host attach`: the folder for a NeMo Gym launcher, against running servers.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use gym_tests::{Client, Host, eventually, gym_host, response, run, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::serve::SERVERS;

/// Starts the stand-in for a server, as the launcher does.
fn stand_in(folder: &std::path::Path, config: &str) -> Child {
    let mut command = Command::new("python3");
    command.arg("app.py").current_dir(folder).env("NEMO_GYM_CONFIG_DICT", config).stdout(Stdio::null());
    command.spawn().expect("python3 starts")
}

#[test]
fn attach_writes_what_a_launcher_needs() {
    let host = Host::serve(SERVERS);
    let out = host.folder.path().join("out");
    let attach = |more: &[&str]| {
        let mut command = gym_host(host.folder.path());
        command.args(["attach", "--out", "out", "--head", &host.url("head")]).args(more);
        run(&mut command)
    };
    let ended = attach(&[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.contains("NEMO_GYM_EXTRA_ROOTS="), "{}", ended.stdout);
    let yaml = std::fs::read_to_string(out.join("gym_host.yaml")).unwrap();
    let port = |server: &str| host.url(server).rsplit_once(':').unwrap().1.to_owned();
    let block = |server: &str, kind: &str, implementation: &str, fields: &str| {
        format!(
            "{server}:\n  {kind}:\n    {implementation}:\n{fields}      host: '127.0.0.1'\n      port: {}\n",
            port(server)
        )
    };
    let started = "      entrypoint: app.py\n      domain: agent\n";
    let weather = block("weather", "resources_servers", "gym_host_attached", started);
    let agent = block("weather_agent", "responses_api_agents", "simple_agent", "");
    let relay = format!(
        "weather_environment_server:\n  environment_servers:\n    legacy_agent:\n      host: '127.0.0.1'\n      port: {}\n      \
         agent_server:\n        type: responses_api_agents\n        name: weather_agent\n",
        port("weather_agent")
    );
    for expected in [weather, agent, relay] {
        assert!(yaml.contains(&expected), "{yaml}\nhas not\n{expected}");
    }

    let elsewhere = attach(&["--host", "node-7", "--without", "policy_model"]);
    assert!(elsewhere.status.success(), "{}", elsewhere.stderr);
    let yaml = std::fs::read_to_string(out.join("gym_host.yaml")).unwrap();
    assert!(yaml.contains("host: node-7") && !yaml.contains("127.0.0.1"), "{yaml}");
    assert!(!yaml.contains("policy_model:"), "{yaml}");

    let unknown = attach(&["--without", "policy_modle"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("policy_modle"), "{}", unknown.stderr);
}

#[test]
fn the_stand_in_lives_until_the_launcher_ends_it() {
    let host = Host::serve(SERVERS);
    let mut command = gym_host(host.folder.path());
    assert!(run(command.args(["attach", "--out", "out", "--head", &host.url("head")])).status.success());
    for kind in ["resources_servers", "responses_api_models"] {
        let folder = host.folder.path().join("out").join(kind).join("gym_host_attached");
        assert!(wait(&mut stand_in(&folder, "mcqa: {}\ndry_run: true\n")).success(), "a dry run ends at once");
        let mut child = stand_in(&folder, "mcqa: {}\ndry_run: false\n");
        // Before its handlers are set the process would end as well, though with another status: it gets more time with
        // every try.
        for pause in [0, 1, 4, 16, 64] {
            std::thread::sleep(Duration::from_secs(pause));
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
            if wait(&mut child).success() {
                break;
            }
            assert!(pause < 64, "it does not end in good order");
            child = stand_in(&folder, "");
        }
    }
}

#[test]
fn attach_without_servers_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(gym_host(folder.path()).args(["attach", "--out", "out", "--head", "http://127.0.0.1:9"]));
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("gym-host serve"), "{}", ended.stderr);
    assert!(!folder.path().join("out").exists(), "nothing was written");
}

/// The configuration that a launcher of NeMo Gym hands to the processes that it starts: everything has an address.
fn launched(ports: [u16; 4]) -> String {
    let [environment, model, agent, relay] = ports;
    format!(
        "\
mcqa:
  resources_servers:
    mcqa: {{entrypoint: app.py, domain: knowledge, grading_mode: lenient_boxed, host: 127.0.0.1, port: {environment}}}
policy_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      host: 127.0.0.1
      port: {model}
      script:
      - contains: '2 + 2'
        attempts:
        - - text: \\boxed{{B}}
mcqa_simple_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      host: 127.0.0.1
      port: {agent}
      resources_server: {{type: resources_servers, name: mcqa}}
      model_server: {{type: responses_api_models, name: policy_model}}
mcqa_environment_server:
  environment_servers:
    legacy_agent:
      entrypoint: app.py
      host: 127.0.0.1
      port: {relay}
      agent_server: {{type: responses_api_agents, name: mcqa_simple_agent}}
head_server: {{host: 127.0.0.1, port: 1}}
ray_head_node_address: null
dry_run: false
"
    )
}

/// The folders that the launcher finds, and the instances whose implementations they are.
const STARTED: [(&str, &str); 4] = [
    ("resources_servers/mcqa", "mcqa"),
    ("responses_api_models/scripted_model", "policy_model"),
    ("responses_api_agents/simple_agent", "mcqa_simple_agent"),
    ("environment_servers/legacy_agent", "mcqa_environment_server"),
];

/// Starts one instance as the launcher does: in its folder, with the configuration and the instance's name.
fn launch(out: &std::path::Path, folder: &str, instance: &str, config: &str) -> Child {
    let mut command = Command::new("python3");
    command.arg("app.py").current_dir(out.join(folder)).env("NEMO_GYM_CONFIG_DICT", config);
    command.env("NEMO_GYM_CONFIG_PATH", instance).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("python3 starts")
}

#[test]
fn a_launcher_starts_one_gym_host_for_each_instance() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = gym_host(folder.path());
    command.args(["attach", "--out", "out"]);
    for (implementation, _) in STARTED {
        command.args(["--start", implementation]);
    }
    let ended = run(&mut command);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.contains("NEMO_GYM_EXTRA_ROOTS="), "{}", ended.stdout);
    let out = folder.path().join("out");

    // All of them listen until the last one has its port.
    let taken = [(); 4].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = taken.each_ref().map(|listener| listener.local_addr().unwrap().port());
    drop(taken);
    let config = launched(ports);
    let dry = config.replace("dry_run: false", "dry_run: true");
    for (folder, instance) in STARTED {
        assert!(wait(&mut launch(&out, folder, instance, &dry)).success(), "a dry run of {instance} ends at once");
    }
    let mut children = STARTED.map(|(folder, instance)| launch(&out, folder, instance, &config));
    for port in ports {
        eventually("the server answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert_eq!(gym_tests::get(&format!("http://127.0.0.1:{port}/")).text, r#"{"status":"ok"}"#);
    }

    let row = json!({"responses_create_params": {"input": [{"role": "user", "content": "What is 2 + 2?"}]},
        "options": [{"A": "3"}, {"B": "4"}], "expected_answer": "B"});
    let [environment, _, agent, relay] = ports;
    for port in [agent, relay] {
        let reply = Client::default().post(&format!("http://127.0.0.1:{port}/run"), &row);
        assert_eq!((reply.status, reply.json()["reward"].as_f64()), (200, Some(1.0)), "{reply:?}");
    }
    let episode = json!({"episode_id": {"rollout_id": "r1", "attempt": 0},
        "task": {"task_id": {"taskset": "mcqa", "task_id": "1"}, "task_input": row}});
    let reply = Client::default().post(&format!("http://127.0.0.1:{relay}/run"), &episode).json();
    assert_eq!((&reply["failure"], reply["result"]["reward"].as_f64()), (&Value::Null, Some(1.0)), "{reply}");
    let mut graded = row.clone();
    graded["response"] = response("\\boxed{A}");
    let reply = Client::default().post(&format!("http://127.0.0.1:{environment}/verify"), &graded).json();
    assert_eq!(reply["reward"], 0.0, "{reply}");

    for child in &mut children {
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        assert!(wait(child).success(), "an interrupt ends it");
    }
    let mut unknown = launch(&out, STARTED[0].0, "mcqb", &config);
    assert!(!wait(&mut unknown).success());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut unknown.stderr.take().unwrap(), &mut text).unwrap();
    assert!(text.contains("mcqb"), "{text}");

    let unknown =
        run(gym_host(folder.path()).args(["attach", "--out", "out", "--start", "responses_api_agents/simple"]));
    assert_eq!(unknown.status.code(), Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("simple_agent"), "{}", unknown.stderr);
}
