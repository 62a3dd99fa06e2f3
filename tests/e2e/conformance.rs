// SPDX-License-Identifier: Apache-2.0
//! What NeMo Gym's clients see, route by route.
//!
//! | what | covered by |
//! |---|---|
//! | all servers: liveness, 404, 405, redirects, content types, 422 bodies | `wire_client.py` (`common`), `serve.rs` |
//! | resources servers: seed, tools, coercion, verify, metrics, re-verification | `wire_client.py` (`resources`), `gym_client.py` |
//! | sessions of release 0.7.0: typed seed, close, conflicts, late seeds | `wire_client.py` (`typed_sessions`) |
//! | gymnasium style: reset, step | `wire_client.py` (`gymnasium`) |
//! | tools over MCP | `mcp_client.py` |
//! | session cookies: attributes, on which answers, forged ones | `wire_client.py` (`cookies`), `serve.rs` |
//! | agents: run, responses, prefixes, cookies of all servers, metrics, skipped grading, steps, failed attempts | `wire_client.py` (`agents`) |
//! | agents' sessions and episodes of release 0.7.0 | `wire_client.py` (`agent_sessions`, `episodes`) |
//! | agents as models, items as they come | `openai_client.py`, `stream_client.py` |
//! | model servers: three routes, streams, tools, images, reasoning, usage, cut answers | `models_client.py` |
//! | options of model servers, conversion | `host/models/src/vllm/tests.rs`, `host/models/src/chat` |
//! | token data, byte by byte; bodies of full size | `tokens.rs`, `long_run.rs` |
//! | endpoints that misbehave, limits, streams passed on, clients that go away | `bad_upstream.rs` |
//! | head server, configuration, addresses | `wire_client.py` (`head`), `commands.rs`, `serve.rs`, `host/config` |
//! | the launcher of NeMo Gym: servers that run, servers that it starts | `attach.rs` |

use gym_tests::{Act, Host, Seen, Upstream};
use serde_json::{Value, json};

use crate::python::script_with;

/// Whether a request carries the result of the tool, and whether it asks to be cut off.
fn asks(seen: &Seen) -> (bool, bool) {
    (seen.body.contains("-3 degrees"), seen.body.contains("\"cut\""))
}

fn sse(events: &[Value], named: bool) -> Act {
    let mut text = String::new();
    for event in events {
        if named {
            text += &format!("event: {}\n", event["type"].as_str().expect("events have types"));
        }
        text += &format!("data: {event}\n\n");
    }
    if !named {
        text += "data: [DONE]\n\n";
    }
    Act::Answer(200, "content-type: text/event-stream\r\n", text)
}

fn chat(seen: &Seen) -> Act {
    let (answered, cut) = asks(seen);
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 2}});
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Oslo\"}"}});
    let (message, finish) = match (answered, cut) {
        (_, true) => (json!({"role": "assistant", "content": "It"}), "length"),
        (true, _) => (json!({"role": "assistant", "content": "It is cold."}), "stop"),
        _ => (
            json!({"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [call]}),
            "tool_calls",
        ),
    };
    let request: Value = serde_json::from_str(&seen.body).expect("JSON");
    let base = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "engine"});
    if request["stream"] == json!(true) {
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = base.clone();
            chunk["object"] = json!("chat.completion.chunk");
            chunk["choices"] = choices;
            chunk["usage"] = usage;
            chunk
        };
        let mut delta = message;
        if delta["tool_calls"].is_array() {
            delta["tool_calls"][0]["index"] = json!(0);
        }
        return sse(
            &[
                chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null),
                chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish}]), Value::Null),
                chunk(json!([]), usage),
            ],
            false,
        );
    }
    let mut completion = base;
    completion["choices"] = json!([{"index": 0, "message": message, "finish_reason": finish}]);
    completion["usage"] = usage;
    Act::json(completion.to_string())
}

fn responses(seen: &Seen) -> Act {
    let (answered, cut) = asks(seen);
    let mut response = gym_tests::response(if cut { "It" } else { "It is cold." });
    if !answered && !cut {
        response["output"] = json!([
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_weather",
             "arguments": "{\"city\": \"Oslo\"}", "status": "completed"}]);
    }
    response["usage"] = json!({"input_tokens": 11, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18});
    response["status"] = json!(if cut { "incomplete" } else { "completed" });
    if cut {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    let request: Value = serde_json::from_str(&seen.body).expect("JSON");
    if request["stream"] != json!(true) {
        return Act::json(response.to_string());
    }
    let mut created = response.clone();
    created["output"] = json!([]);
    created["status"] = json!("in_progress");
    let mut events = vec![json!({"type": "response.created", "sequence_number": 0, "response": created})];
    for (index, item) in response["output"].as_array().expect("a list").iter().enumerate() {
        events.push(json!({"type": "response.output_item.done", "sequence_number": index + 1, "output_index": index, "item": item}));
    }
    events.push(json!({"type": "response.completed", "sequence_number": events.len(), "response": response}));
    sse(&events, true)
}

#[test]
fn every_model_server_has_all_three_routes() {
    let upstream = Upstream::start(|seen| if seen.path.ends_with("/responses") { responses(seen) } else { chat(seen) });
    let url = &upstream.url;
    let common = "entrypoint: app.py, host: 127.0.0.1, port: 0";
    let tokens = "return_token_id_information: false, uses_reasoning_parser: true, api_key: k, model: m";
    let models = [
        (
            "m_openai",
            format!("openai_model: {{{common}, openai_base_url: {url}/v1, openai_api_key: k, openai_model: m}}"),
        ),
        ("m_vllm", format!("vllm_model: {{{common}, base_url: ['{url}/v1', '{url}/other/v1'], {tokens}}}")),
        ("m_native", format!("vllm_model: {{{common}, base_url: {url}/v1, is_responses_native: true, {tokens}}}")),
        (
            "m_azure",
            format!(
                "azure_openai_model: {{{common}, openai_base_url: {url}, openai_api_key: k, openai_model: m, \
             num_concurrent_requests: 4, default_query: {{api-version: v}}}}"
            ),
        ),
        (
            "m_provider",
            format!(
                "inference_provider: {{{common}, base_url: {url}/v1, api_key: k, model: m, uses_reasoning_parser: true, num_concurrent_requests: 4}}"
            ),
        ),
    ];
    let mut config = "head_server: {host: 127.0.0.1, port: 0}\ngateway: {host: 127.0.0.1, port: 0}\n".to_owned();
    for (name, model) in &models {
        config += &format!("{name}:\n  responses_api_models:\n    {model}\n");
    }
    let host = Host::serve(&config);
    let names: Vec<&str> = models.iter().map(|(name, _)| *name).collect();
    script_with("models_client.py", &host, &names, &[("MODELS", &names.join(" "))]);
    // What was configured is forced on every request.
    for seen in upstream.seen() {
        let body: Value = serde_json::from_str(&seen.body).expect("JSON");
        assert_eq!(body["model"], "m", "{}", seen.path);
        let key = seen.headers.get("authorization").or_else(|| seen.headers.get("api-key"));
        assert!(key.is_some_and(|key| key.ends_with('k')), "{}", seen.path);
    }
}

#[test]
fn every_route_is_as_nemo_gyms_clients_know_it() {
    let config = crate::serve::SERVERS.to_owned()
        + "game:
  resources_servers:
    example_multi_turn_gymnasium: {entrypoint: app.py, domain: agent, host: 127.0.0.1, port: 0}
dead_model:
  responses_api_models:
    openai_model:
      {entrypoint: app.py, host: 127.0.0.1, port: 0, openai_base_url: 'http://127.0.0.1:9/v1', openai_api_key: k,
       openai_model: m, max_http_attempts: 1}
";
    let agent = |name: &str, model: &str, more: &str| {
        format!(
            "{name}:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      resources_server: {{type: resources_servers, name: weather}}
      model_server: {{type: responses_api_models, name: {model}}}
{more}"
        )
    };
    let config = config
        + &agent("lazy_agent", "policy_model", "      skip_verification: true\n      skip_verification_reward: 0.25\n")
        + &agent("short_agent", "policy_model", "      max_steps: 1\n")
        + &agent("broken_agent", "dead_model", "");
    let host = Host::serve(&config);
    script_with("wire_client.py", &host, &["head"], &[]);
}
