// SPDX-License-Identifier: Apache-2.0
//! Real Python clients against the real binary. Each script under `tests/python` gets the addresses in its environment
//! and fails by raising.

use std::process::Command;

use gym_tests::{Host, root, run};

use crate::serve::SERVERS;

/// Runs a script with the interpreter that has the clients installed. Without one the test has nothing to drive:
/// `cargo xtask test` installs it, and a plain `cargo test` says so instead of passing in silence.
fn script(name: &str, host: &Host, servers: &[&str]) {
    script_with(name, host, servers, &[]);
}

/// The same with more variables in its environment.
pub(crate) fn script_with(name: &str, host: &Host, servers: &[&str], variables: &[(&str, &str)]) {
    let python =
        std::env::var_os("GYM_TEST_PYTHON").map_or_else(|| root().join("target/python-clients/bin/python"), Into::into);
    assert!(python.is_file(), "no Python clients: run `cargo xtask test`, or set GYM_TEST_PYTHON");
    let mut command = Command::new(python);
    command.arg(root().join("tests/python").join(name));
    command.envs(variables.iter().copied());
    for server in servers {
        command.env(format!("URL_{}", server.to_uppercase()), host.url(server));
    }
    let ended = run(&mut command);
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);
}

#[test]
fn the_openai_package_talks_to_an_agent() {
    let host = Host::serve(SERVERS);
    script("openai_client.py", &host, &["weather_agent", "gateway", "policy_model"]);
}

#[test]
fn an_aiohttp_client_drives_a_session_as_nemo_gym_does() {
    let host = Host::serve(SERVERS);
    script("gym_client.py", &host, &["head", "counter", "weather_agent"]);
}

#[test]
fn the_mcp_package_calls_tools_in_the_session_of_the_seed() {
    let exposed = "counter:
  resources_servers:
    example_session_state_mgmt:
      {entrypoint: app.py, domain: agent, host: 127.0.0.1, port: 0, expose_tools_over_mcp: true}
";
    let host = Host::serve(&format!("head_server: {{host: 127.0.0.1, port: 0}}\n{exposed}"));
    script("mcp_client.py", &host, &["counter"]);
}

#[test]
fn the_anthropic_package_talks_to_a_model_server() {
    let host = Host::serve(SERVERS);
    script("anthropic_client.py", &host, &["policy_model"]);
}

#[test]
fn an_agents_items_are_streamed_as_they_come() {
    let slow = SERVERS
        .replace("          - text: It is cold in Oslo.", "          - {delay_ms: 2000, text: It is cold in Oslo.}");
    assert_ne!(slow, SERVERS);
    let host = Host::serve(&slow);
    script("stream_client.py", &host, &["gateway"]);
}
