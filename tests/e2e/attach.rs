// SPDX-License-Identifier: Apache-2.0
//! `gym-host attach`: the folder for a NeMo Gym launcher, against running servers.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use gym_tests::{Host, PATIENCE, gym_host, run};

use crate::serve::SERVERS;

/// Starts the stand-in for a server, as the launcher does.
fn stand_in(folder: &std::path::Path, config: &str) -> Child {
    let mut command = Command::new("python3");
    command.arg("app.py").current_dir(folder).env("NEMO_GYM_CONFIG_DICT", config).stdout(Stdio::null());
    command.spawn().expect("python3 starts")
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "the stand-in does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
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
        // Before its handlers are set the process would end as well, though with another status.
        let ended = loop {
            let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
            let began = Instant::now();
            assert!(killed.success());
            let status = wait(&mut child);
            if status.success() {
                break began.elapsed();
            }
            child = stand_in(&folder, "");
            std::thread::sleep(Duration::from_millis(500));
        };
        assert!(ended < Duration::from_secs(1), "it took {ended:?}");
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
