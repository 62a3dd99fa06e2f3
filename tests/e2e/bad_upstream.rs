// SPDX-License-Identifier: Apache-2.0
//! Model endpoints that misbehave: whatever they do, an attempt ends in time and gets no reward that it did not earn.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use gym_tests::{Act, Answer, Client, Gate, Host, Seen, Upstream, eventually, get, response, run};
use serde_json::{Value, json};

/// Everything that an endpoint may do wrong; the first part of the path says what this one does.
const MISDEEDS: &[&str] =
    &["reset", "hang", "drip", "busy", "broken", "garbage", "truncated", "short", "huge", "other", "nohttp", "closed"];

/// A server, a model and an agent.
fn config(models: &[(String, String)], head: &str) -> String {
    let mut config = format!(
        "{head}head_server: {{host: 127.0.0.1, port: 0}}
gateway: {{host: 127.0.0.1, port: 0}}
weather:
  resources_servers:
    example_single_tool_call: {{entrypoint: app.py, domain: agent, host: 127.0.0.1, port: 0}}
"
    );
    for (name, model) in models {
        write!(
            config,
            "m_{name}:
  responses_api_models:
    {model}
a_{name}:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      resources_server: {{type: resources_servers, name: weather}}
      model_server: {{type: responses_api_models, name: m_{name}}}
"
        )
        .expect("a text takes any text");
    }
    config
}

fn openai(url: &str, more: &str) -> String {
    format!(
        "openai_model: {{entrypoint: app.py, host: 127.0.0.1, port: 0, openai_base_url: {url}/v1, openai_api_key: k, openai_model: m{more}}}"
    )
}

fn vllm(url: &str, more: &str) -> String {
    format!(
        "vllm_model: {{entrypoint: app.py, host: 127.0.0.1, port: 0, base_url: {url}/v1, api_key: k, model: m, \
         return_token_id_information: false, uses_reasoning_parser: true{more}}}"
    )
}

fn attempt(host: &Host, agent: &str) -> Answer {
    let row = json!({"responses_create_params": {"input": [{"role": "user", "content": "Weather in Oslo?"}]}});
    Client::default().post(&format!("{}/run", host.url(agent)), &row)
}

/// The counters of the way to one server.
fn counters(host: &Host, server: &str) -> Value {
    let status = get(&format!("{}/gym-host/status", host.url("head"))).json();
    let all = status["runtime"]["models"].as_array().expect("the models are listed").clone();
    all.into_iter().find(|one| one["server"] == server).unwrap_or_else(|| panic!("no `{server}` in {status}"))
}

fn misbehave(seen: &Seen) -> Act {
    let body = response("It is cold.").to_string();
    let misdeed = seen.path.split('/').nth(1).unwrap_or_default();
    match misdeed {
        "reset" | "closed" => Act::Reset,
        "hang" => Act::Hang,
        "drip" => {
            Act::Drip(format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{body}").into(), Duration::from_secs(1))
        }
        "busy" => Act::Answer(429, "retry-after: 1\r\n", json!({"error": {"message": "later"}}).to_string()),
        "broken" => Act::Answer(500, "", "Internal Server Error".into()),
        "garbage" => Act::Answer(200, "content-type: text/html\r\n", "<html>\u{0}</html>".into()),
        "truncated" => Act::json(&body[..body.len() / 2]),
        "short" => Act::Raw(format!("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n{body}").into()),
        "huge" => Act::json(format!("\"{}\"", "x".repeat(3_000_000))),
        "other" => Act::json(r#"{"a":[1]}"#),
        "nohttp" => Act::Raw(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        other => panic!("nothing is known of `{other}`"),
    }
}

#[test]
fn whatever_an_endpoint_does_an_attempt_ends_in_time_without_a_reward() {
    let upstream = Upstream::start(misbehave);
    let limits = ", max_http_attempts: 3, retry_base_s: 0.05, max_response_bytes: 1000000";
    // Two never come to an end, so that the time that a call may take is used up. The others should be told apart also
    // where everything takes long.
    let in_time = ", attempt_timeout_s: 2, read_timeout_s: 1, total_timeout_s: 5";
    let mut models = Vec::new();
    for misdeed in MISDEEDS {
        let limits = if matches!(*misdeed, "hang" | "drip") { format!("{limits}{in_time}") } else { limits.to_owned() };
        let limits = limits.as_str();
        let url = format!("{}/{misdeed}", upstream.url);
        models.push((format!("{misdeed}_responses"), openai(&url, limits)));
        models.push((format!("{misdeed}_chat"), vllm(&url, limits)));
    }
    // Nobody listens there.
    models.push(("nobody".to_owned(), openai("http://127.0.0.1:9", limits)));
    let host = Host::serve(&config(&models, ""));
    let host = &host;
    std::thread::scope(|scope| {
        for (name, _) in &models {
            scope.spawn(move || {
                // The endpoints that hang do so for longer than `attempt` waits.
                let reply = attempt(host, &format!("a_{name}"));
                assert_eq!(reply.status, 200, "{name}: {reply:?}");
                let row = reply.json();
                assert!(row["_ng_failure_class"].is_string(), "{name}: {row}");
                assert_eq!((&row["mask_sample"], &row["instance_config"]["mask_sample"]), (&json!(true), &json!(true)));
                assert_eq!(row["_ng_failure_terminal"], json!(false), "{name} can be tried again: {row}");
                assert_eq!(row["_ng_failure_stage"], "agent", "{name}");
                assert!(
                    row["failure_reason"]
                        .as_str()
                        .is_some_and(|reason| reason.contains("m_") || reason.contains("model server")),
                    "{name}: {row}"
                );
                // An answer that is a JSON object of the wrong kind is found by the agent, and counts as an answer.
                if name != "other_responses" {
                    let counters = counters(host, &format!("m_{name}"));
                    let failures = counters["failures"].as_object().is_some_and(|failures| !failures.is_empty());
                    assert!(failures || name == "other_chat", "{name}: {counters}");
                    assert!(
                        counters["attempts"].as_u64().is_some_and(|attempts| (1..=3).contains(&attempts)),
                        "{name}: {counters}"
                    );
                }
            });
        }
    });
    // What `status` prints names the server and what went wrong.
    let mut command = gym_tests::gym_host(host.folder.path());
    let shown = run(command.args(["status", "--head", &host.url("head")]));
    for text in ["m_hang_chat", "timeout", "m_garbage_responses", "garbage", "status_500", "status_429", "connect"] {
        assert!(shown.stdout.contains(text), "`{text}` is not in\n{}", shown.stdout);
    }
}

/// A run's budget ends it even when every single call is allowed to take longer.
#[test]
fn a_run_ends_when_its_own_time_is_used_up() {
    let upstream = Upstream::start(|_| Act::Hang);
    let model = openai(&upstream.url, "");
    let config = config(&[("slow".to_owned(), model)], "")
        .replace("      model_server:", "      run_timeout_seconds: 4\n      model_server:");
    let host = Host::serve(&config);
    let row = attempt(&host, "a_slow").json();
    assert_eq!((&row["_ng_failure_class"], &row["_ng_failure_terminal"]), (&json!("agent_timeout"), &json!(false)));
    eventually("the upstream call is given up", || upstream.given_up() == 1);
}

#[test]
fn an_endpoint_that_recovers_costs_nothing_but_time() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let upstream = Upstream::start(|_| match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 => Act::Answer(503, "", "no room".into()),
        1 => Act::Answer(429, "retry-after: 1\r\n", "{}".into()),
        2 => Act::Raw(Vec::new()),
        3 => {
            let call = json!({"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{\"city\": \"Oslo\"}"});
            let mut answer = response("");
            answer["output"] = json!([call]);
            Act::json(answer.to_string())
        }
        _ => Act::json(response("It is cold.").to_string()),
    });
    let host = Host::serve(&config(&[("m".to_owned(), openai(&upstream.url, ", retry_base_s: 0.01"))], ""));
    let row = attempt(&host, "a_m").json();
    assert_eq!((&row["reward"], row.get("_ng_failure_class")), (&json!(1.0), None), "{row}");
    let seen = upstream.seen();
    assert_eq!(seen.len(), 5);
    assert!(seen[2].at - seen[1].at >= Duration::from_secs(1), "`Retry-After` was not honoured");
    let counters = counters(&host, "m_m");
    assert_eq!((&counters["retries"], &counters["answered"], &counters["faults"]), (&json!(3), &json!(2), &json!(0)));
}

#[test]
fn a_dead_endpoint_is_left_alone_and_tried_again() {
    let upstream = Upstream::start(|_| Act::Answer(500, "", "no".into()));
    let limits = ", max_http_attempts: 1, circuit_breaker_failures: 4, circuit_breaker_cooldown_s: 300";
    let host = Host::serve(&config(&[("m".to_owned(), openai(&upstream.url, limits))], ""));
    for _ in 0..12 {
        assert_eq!(attempt(&host, "a_m").json()["mask_sample"], json!(true));
    }
    assert_eq!(upstream.seen().len(), 4, "nothing is sent while the circuit is open");
    let counters = counters(&host, "m_m");
    assert_eq!(
        (&counters["circuit"], &counters["failures"]["circuit_open"]),
        (&json!("open"), &json!(8)),
        "{counters}"
    );
}

#[test]
fn calls_beyond_the_caps_wait_or_are_told_so() {
    let held = || {
        let gate = Gate::default();
        let behind = gate.clone();
        let upstream = Upstream::start(move |_| {
            let body = response("It is cold.").to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            Act::Pieces(behind.clone(), vec![answer.into()])
        });
        (upstream, gate)
    };
    let ((capped, capped_gate), (narrow, narrow_gate), (both, both_gate)) = (held(), held(), held());
    let models = [
        ("capped".to_owned(), openai(&capped.url, ", max_concurrent_requests: 2")),
        ("narrow".to_owned(), openai(&narrow.url, ", max_concurrent_requests: 1, max_waiting_requests: 1")),
        ("one".to_owned(), openai(&both.url, "")),
        ("two".to_owned(), openai(&both.url, "")),
    ];
    let host = Host::serve(&config(&models, "global_aiohttp_connector_limit: 3\n"));
    // Eight calls, whose answers are let go when all have come as far as they may.
    let ungraded = |agents: [&str; 2], gate: &Gate, all_have_come: &dyn Fn(usize) -> bool| -> usize {
        let ended = AtomicUsize::new(0);
        let call = |agent: &str| {
            let row = attempt(&host, agent).json();
            ended.fetch_add(1, Ordering::Relaxed);
            usize::from(row["mask_sample"] == json!(true))
        };
        let call = &call;
        std::thread::scope(|scope| {
            let calls: Vec<_> =
                agents.into_iter().cycle().take(8).map(|agent| scope.spawn(move || call(agent))).collect();
            eventually("all calls have come", || all_have_come(ended.load(Ordering::Relaxed)));
            gate.open(8);
            calls.into_iter().map(|call| call.join().expect("an answer")).sum()
        })
    };
    let waiting = |model: &str| counters(&host, model)["waiting"].as_u64().expect("a number");
    let come = |_| capped.running() == 2 && waiting("m_capped") == 6;
    assert_eq!(ungraded(["a_capped"; 2], &capped_gate, &come), 0);
    assert_eq!(capped.most_at_once(), 2);
    // One call runs and one waits; the others are refused.
    assert_eq!(ungraded(["a_narrow"; 2], &narrow_gate, &|ended| ended == 6), 6);
    assert_eq!(narrow.most_at_once(), 1);
    let come = |_| both.running() == 3 && waiting("m_one") + waiting("m_two") == 5;
    assert_eq!(ungraded(["a_one", "a_two"], &both_gate, &come), 0);
    assert_eq!(both.most_at_once(), 3);
}

/// Sends a request by hand, so that the client can go away in the middle.
fn begin(url: &str, path: &str, body: &Value) -> TcpStream {
    let address = url.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let body = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is sent");
    stream
}

#[test]
fn a_client_that_goes_away_ends_the_upstream_call() {
    let upstream = Upstream::start(|_| Act::Hang);
    let host = Host::serve(&config(
        &[("r".to_owned(), openai(&upstream.url, "")), ("c".to_owned(), vllm(&upstream.url, ""))],
        "",
    ));
    let row = json!({"responses_create_params": {"input": "Weather?"}});
    let chat = |stream: bool| json!({"messages": [{"role": "user", "content": "q"}], "stream": stream});
    let cases = [
        ("m_r", "/v1/responses", json!({"input": "q"})),
        ("m_r", "/v1/responses", json!({"input": "q", "stream": true})),
        ("m_c", "/v1/responses", json!({"input": "q", "stream": true})),
        ("m_c", "/v1/chat/completions", chat(false)),
        ("m_c", "/v1/chat/completions", chat(true)),
        ("m_c", "/v1/messages", json!({"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "q"}]})),
        ("a_r", "/run", row),
        ("a_c", "/v1/responses", json!({"input": "q"})),
    ];
    for (done, (server, path, body)) in cases.iter().enumerate() {
        let stream = begin(&host.url(server), path, body);
        eventually("the upstream is called", || upstream.seen().len() == done + 1);
        drop(stream);
        eventually(&format!("the call of {server}{path} ends"), || upstream.given_up() == done + 1);
    }
}

#[test]
fn a_stream_is_passed_on_piece_by_piece() {
    let gate = Gate::default();
    let behind = gate.clone();
    let upstream = Upstream::start(move |_| {
        let pieces = [
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n",
            "data: {\"n\": 1}\n\n",
            "data: {\"n\": 2.50}\n\n",
            "data: [DONE]\n\n",
        ];
        Act::Pieces(behind.clone(), pieces.map(|piece| piece.as_bytes().to_vec()).into())
    });
    let host = Host::serve(&config(
        &[("r".to_owned(), openai(&upstream.url, "")), ("c".to_owned(), vllm(&upstream.url, ""))],
        "",
    ));
    let chat = json!({"messages": [{"role": "user", "content": "q"}], "stream": true});
    for (server, path, body) in [
        ("m_r", "/v1/responses", json!({"input": "q", "stream": true})),
        ("m_r", "/v1/chat/completions", chat.clone()),
        ("m_c", "/v1/chat/completions", chat),
    ] {
        let mut stream = begin(&host.url(server), path, &body);
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        // The endpoint says more only when the client has what came before.
        gate.open(1);
        for awaited in ["\"n\": 1", "\"n\": 2.50", "[DONE]"] {
            gate.open(1);
            while !String::from_utf8_lossy(&text).contains(awaited) {
                let read = stream.read(&mut piece).expect("the stream goes on");
                assert!(read > 0, "the stream ended early: {}", String::from_utf8_lossy(&text));
                text.extend_from_slice(&piece[..read]);
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("text/event-stream") && text.contains("{\"n\": 2.50}"), "{text}");
        let sent: Value = serde_json::from_str(&upstream.seen().last().expect("a request").body).expect("JSON");
        assert_eq!((&sent["stream"], &sent["model"]), (&json!(true), &json!("m")));
    }
}
