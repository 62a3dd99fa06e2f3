// SPDX-License-Identifier: Apache-2.0
//! Plays `cases.jsonl` natively, with the routes that the agent `conversational_tool_use` calls. `gym-host test` plays
//! the same file with that agent and the component.

use std::{fs, path::Path};

use conversational_tool_use::Conversation;
use gym_env::{Context, Failure, Instance, Response};
use serde_json::{Value, json};

fn lines(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the folder has its files");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn post(instance: &mut Instance<Conversation>, route: &str, body: &Value) -> Result<Value, Failure> {
    Ok(serde_json::from_str(&instance.call_tool(route, &body.to_string())?)?)
}

/// The reply of grading: its fields, and the reward.
fn play(case: &Value, row: &Value) -> Result<Value, Failure> {
    let mut test = Context::for_test().config(case["config"].clone()).folder(env!("CARGO_MANIFEST_DIR"));
    if case["config"].is_null() {
        test = test.config(json!({}));
    }
    for (server, turns) in case["models"].as_object().into_iter().flatten() {
        let texts = turns.as_array().into_iter().flatten().map(|turn| turn["text"].as_str().unwrap_or_default());
        test = test.model(server, texts.map(|text| Ok(Response::builder().message(text).build())));
    }
    let mut instance = Instance::<Conversation>::new(test.build());
    instance.seed_session(&row.to_string())?;
    assert!(
        post(&mut instance, "session_tools", &json!({}))?["tools"].as_array().is_some_and(|tools| tools.len() == 8)
    );
    let is_open = row["responses_create_params"]["input"]
        .as_array()
        .is_some_and(|items| items.iter().any(|item| item["role"] == "user"));
    if !is_open {
        post(&mut instance, "next_user_message", &json!({}))?;
    }
    for turn in case["turns"].as_array().into_iter().flatten() {
        post(&mut instance, "record_agent_outputs", &json!({"outputs": []}))?;
        if let Some(calls) = turn["calls"].as_array() {
            for call in calls {
                let body = json!({"tool_name": call["name"], "tool_call_id": "c", "arguments": call["arguments"], "response": {}});
                match instance.call_tool("execute_agent_tool_call", &body.to_string()) {
                    Ok(_) | Err(Failure::Rejected(_) | Failure::Refused(_)) => {}
                    Err(fault) => return Err(fault),
                }
            }
            continue;
        }
        let Some(text) = turn["text"].as_str() else { break };
        post(&mut instance, "record_agent_message", &json!({"message": text}))?;
        if post(&mut instance, "next_user_message", &json!({}))?["should_continue"] == false {
            break;
        }
    }
    let mut request = row.clone();
    request["response"] = json!({"output": []});
    let verdict = instance.verify(request.to_string())?;
    let mut reply = Value::Object(verdict.fields().clone());
    reply["reward"] = json!(verdict.reward());
    Ok(reply)
}

#[test]
fn every_case_has_the_outcome_it_states() {
    let rows = lines("data/example.jsonl");
    let cases = lines("tests/cases.jsonl");
    assert!(rows.len() >= 20);
    for (index, _) in rows.iter().enumerate() {
        for kind in ["perfect", "wrong"] {
            assert!(cases.iter().any(|case| case["kind"] == kind && case["task"] == index), "{index} {kind}");
        }
    }
    for case in &cases {
        let name = &case["name"];
        let row = case["task"].as_u64().map_or(&case["task"], |index| &rows[index as usize]);
        match play(case, row) {
            Ok(reply) => {
                assert_eq!(reply["reward"], case["reward"], "{name}: {reply}");
                for (field, value) in case["expect"].as_object().into_iter().flatten() {
                    assert_eq!(&reply[field], value, "{name}: {field}");
                }
            }
            Err(failure) => assert!(case["reward"].is_null(), "{name}: {failure:?}"),
        }
    }
}

#[test]
fn requests_that_are_not_as_they_should_be_do_not_trap() {
    gym_env::cases::check_malformed::<Conversation>(env!("CARGO_MANIFEST_DIR"), 400);
}

#[test]
fn the_generator_writes_what_is_there() {
    gym_env::cases::check_generated(env!("CARGO_MANIFEST_DIR"), &["generate.py"]);
}

#[test]
fn routes_of_the_agent_take_any_body() {
    let row = lines("data/example.jsonl").remove(0).to_string();
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_arguments = format!(r#"{{"tool_name":"x","tool_call_id":"c","arguments":{deep},"response":{{}}}}"#);
    let bodies = ["", "{", "null", "[]", "{}", "3", r#""\ud800""#, r#"{"message":null}"#, r#"{"message":"\ud800"}"#];
    let calls = [
        r#"{"message":[1]}"#,
        r#"{"outputs":3}"#,
        r#"{"outputs":[null,{"type":3}]}"#,
        r#"{"tool_name":null,"tool_call_id":null,"arguments":null}"#,
        r#"{"tool_name":"\udfff","tool_call_id":1,"arguments":"{","response":[]}"#,
        r#"{"tool_name":"get_order","tool_call_id":"c","arguments":{"order_id":1e308},"response":{}}"#,
    ];
    let routes = [
        "session_tools",
        "next_user_message",
        "record_agent_outputs",
        "record_agent_message",
        "execute_agent_tool_call",
        "no_such_route",
    ];
    for seeded in [true, false] {
        for body in bodies.iter().chain(&calls).copied().chain([&*deep, &*deep_arguments]) {
            let test = Context::for_test().config(json!({})).folder(env!("CARGO_MANIFEST_DIR"));
            let mut instance = Instance::<Conversation>::new(test.build());
            if seeded {
                instance.seed_session(&row).unwrap();
            }
            for route in routes {
                if let Ok(reply) = instance.call_tool(route, body) {
                    assert!(serde_json::from_str::<serde::de::IgnoredAny>(&reply).is_ok(), "{route} {reply}");
                }
            }
        }
    }
}
