// SPDX-License-Identifier: Apache-2.0
use serde_json::json;

use crate::fakes::{World, member, message, ok, output, response, status};

const ROW: &str = r#"{"responses_create_params":{"input":"hi"},"goal":1.50}"#;

#[tokio::test]
async fn an_attempt_is_reset_then_steps_until_the_environment_ends_it() {
    let (first, second) = (message("one"), message("two"));
    let world = World::new([response(&first), response(&second)], [])
        .route("reset", [ok(r#"{"observation":"go","info":{"supports_explicit_close":true}}"#)])
        .route(
            "step",
            [
                ok(r#"{"observation":"more","reward":0.25,"info":{"tool_outputs":[{"call_id":"c","output":"42"}]}}"#),
                ok(r#"{"observation":"bye","reward":1,"terminated":true,"info":{"won":1.50}}"#),
            ],
        )
        .route("close", [ok("{}")]);
    let reply = world.run(&*world.agent("gymnasium_agent", json!({})), ROW).await;
    let input = r#"{"role":"user","content":"hi","type":"message"},{"role":"user","content":"go","type":"message"}"#;
    let between = format!(r#"{},{{"role":"user","content":"more","type":"message"}}"#, output("c", r#""42""#));
    let answer = |items: &str| format!(r#"{{"id":"resp","object":"response","output":[{items}],"usage":null}}"#);
    let row = ROW.strip_suffix('}').unwrap();
    assert_eq!(
        world.log.entries(),
        [
            format!("reset {ROW}"),
            format!(r#"m {{"input":[{input}]}}"#),
            format!(r#"step {row},"response":{}}}"#, answer(&first)),
            format!(r#"m {{"input":[{input},{first},{between}]}}"#),
            format!(r#"step {row},"response":{}}}"#, answer(&second)),
            "close {}".to_owned(),
        ]
    );
    assert_eq!(
        reply,
        format!(
            r#"{{"responses_create_params":{{"input":[{input}]}},"response":{},"reward":1.25,"terminated":true,"truncated":false,"info":{{"won":1.50}}}}"#,
            answer(&format!("{first},{between},{second}"))
        )
    );
}

#[tokio::test]
async fn an_attempt_without_end_is_truncated() {
    let world = World::new([response(&message("a")), response(&message("b"))], [])
        .route("reset", [ok(r#"{"observation":null,"info":{"supports_step_idempotency":true}}"#)])
        .route(
            "step",
            [
                ok(r#"{"observation":null,"reward":0.5}"#),
                ok(r#"{"observation":"last","reward":0.5,"info":{"tool_outputs":[{"call_id":"c","output":"42"}]}}"#),
            ],
        );
    let reply = world.run(&*world.agent("gymnasium_agent", json!({"max_steps": 2})), ROW).await;
    let kinds: Vec<_> = member(&reply, "response")["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["type"].clone(), item["role"].clone()))
        .collect();
    assert_eq!(
        kinds,
        [
            (json!("message"), json!("assistant")),
            (json!("message"), json!("assistant")),
            (json!("function_call_output"), json!(null)),
            (json!("message"), json!("user"))
        ]
    );
    assert_eq!(member(&reply, "truncated"), true);
    assert_eq!(member(&reply, "terminated"), false);
    assert_eq!(member(&reply, "reward"), 1.0);
    assert!(world.log.of("close ").is_empty(), "nobody asked for it");
    let ids: Vec<_> = world.log.of("step ").iter().map(|step| member(step, "_ng_step_request_id")).collect();
    assert_eq!(ids[0].as_str().unwrap().len(), 32);
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_failed_close_is_a_warning_and_a_failed_step_is_a_failure() {
    let reset = ok(r#"{"observation":null,"info":{"supports_explicit_close":true}}"#);
    let world = World::new([response(&message("a"))], [])
        .route("reset", [reset.clone()])
        .route("step", [ok(r#"{"observation":null,"reward":0.5,"terminated":true}"#)])
        .route("close", [status(500, "oh")]);
    let reply = world.run(&*world.agent("gymnasium_agent", json!({})), ROW).await;
    assert_eq!(member(&reply, "info")["cleanup_warning"]["message"], "`close` answered 500");
    assert_eq!(member(&reply, "reward"), 0.5);

    let world = World::new([response(&message("a"))], []).route("reset", [reset]).route("step", [status(500, "oh")]);
    let reply = world.run(&*world.agent("gymnasium_agent", json!({})), ROW).await;
    assert_eq!(member(&reply, "_ng_failure_class"), "agent_request_failed");
    assert_eq!(member(&reply, "mask_sample"), true);
    assert_eq!(member(&reply, "_ng_failure_partial_response")["output"].as_array().unwrap().len(), 1);
    assert_eq!(world.log.of("close "), ["{}"], "it is closed all the same");
}

#[test]
fn no_steps_at_all_are_no_configuration() {
    assert!(World::new([], []).try_agent("gymnasium_agent", json!({"max_steps": 0})).is_err());
}
