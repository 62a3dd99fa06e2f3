// SPDX-License-Identifier: Apache-2.0
//! A `/run` of full size: 30 turns whose token data makes a transcript of 10 MB.

use gym_tests::{Act, Client, Host, Seen, Upstream};
use serde_json::json;

/// Calls of the attempt.
const TURNS: usize = 30;
/// Bytes of token data in all answers.
const BYTES: usize = 10_000_000;

/// The three lists of one answer, as members of an object. The numbers tell the turns apart, and have forms that nobody
/// keeps who reads and writes them.
fn token_data(turn: usize) -> String {
    let count = BYTES / TURNS / 32;
    let ids = |from: usize| (0..count).map(|at| (from + at).to_string()).collect::<Vec<_>>().join(",");
    let floats = (0..count).map(|at| format!("-{turn}.{at:013}0")).collect::<Vec<_>>().join(", ");
    let (prompt, generated) = (ids(100_000 + turn), ids(200_000 + turn));
    format!(
        "\"prompt_token_ids\":[{prompt}],\"generation_token_ids\":[{generated}],\"generation_log_probs\":[{floats}]"
    )
}

fn engine(seen: &Seen) -> Act {
    let turn = seen.body.matches("\"role\":\"assistant\"").count();
    let said = match turn + 1 == TURNS {
        true => "\"content\":\"It is cold.\"".to_owned(),
        false => format!(
            "\"content\":null,\"tool_calls\":[{{\"id\":\"c{turn}\",\"type\":\"function\",\"function\":\
             {{\"name\":\"get_weather\",\"arguments\":\"{{\\\"city\\\":\\\"Oslo\\\"}}\"}}}}]"
        ),
    };
    Act::json(format!(
        "{{\"id\":\"x\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"finish_reason\":\"stop\",\"message\":\
         {{\"role\":\"assistant\",{said},{}}}}}]}}",
        token_data(turn)
    ))
}

#[test]
fn a_run_of_full_size_takes_few_times_its_size_and_changes_no_number() {
    let upstream = Upstream::start(engine);
    let config = format!(
        "head_server: {{host: 127.0.0.1, port: 0}}
gateway: {{host: 127.0.0.1, port: 0}}
weather:
  resources_servers:
    example_single_tool_call: {{entrypoint: app.py, domain: agent}}
policy_model:
  responses_api_models:
    vllm_model: {{entrypoint: app.py, base_url: {}/v1, api_key: k, model: m, return_token_id_information: true,
      uses_reasoning_parser: true}}
agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      resources_server: {{type: resources_servers, name: weather}}
      model_server: {{type: responses_api_models, name: policy_model}}
",
        upstream.url
    );
    // What the allocator keeps for later depends on the threads and the time; here it gives everything back at once.
    let host = Host::serve_where(&config, &[], &[("MIMALLOC_PURGE_DELAY", "0")]);
    let before = host.memory();
    let row = json!({"responses_create_params": {"input": [{"role": "user", "content": "Weather in Oslo?"}]}});
    let reply = Client::default().post(&format!("{}/run", host.url("agent")), &row);
    assert_eq!(reply.status, 200);
    assert!(reply.text.contains("\"reward\":1.0"), "{}", &reply.text[reply.text.len() - 500..]);
    assert!(reply.text.len() > BYTES * 9 / 10, "the rollout has {} bytes", reply.text.len());
    let mut from = 0;
    for turn in 0..TURNS {
        let found = reply.text[from..].find(&token_data(turn));
        from += found.unwrap_or_else(|| panic!("the token data of turn {turn} is not as the engine wrote it"));
    }
    let asked = upstream.seen();
    let last = asked.last().expect("the engine was asked");
    assert_eq!(asked.len(), TURNS);
    assert!((0..TURNS - 1).all(|turn| last.body.contains(&token_data(turn))), "the engine gets its own numbers back");

    // The answers, the request of the last turn, the row that is graded and the reply, and as much again.
    let grown = host.peak_memory().saturating_sub(before);
    let times = grown as f64 / reply.text.len() as f64;
    assert!(times < 12.0, "memory grew by {times:.1} times the size of the rollout");
}
