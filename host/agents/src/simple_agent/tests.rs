// SPDX-License-Identifier: Apache-2.0
use bytes::Bytes;
use gym_protocol::{Fault, FaultKind};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    fakes::{Answer, World, call, member, message, ok, output, response, status},
    ports::{Cookies, RequestContext},
};

const ROW: &str = r#"{"responses_create_params":{"input":"hi","temperature":1.0},"expected":1.50,"_ng_task_index":3,"_ng_rollout_index":1}"#;
const USER: &str = r#"{"role":"user","content":"hi","type":"message"}"#;

/// Seeds and grades well; `verify` answers with reward 1.
fn world(model: impl IntoIterator<Item = Answer>) -> World {
    World::new(model, []).route("seed", [ok("{}")]).route("verify", [ok(r#"{"reward":1.0,"x":1.50}"#)])
}

#[tokio::test]
async fn a_run_is_seed_then_calls_in_order_then_verify_and_the_transcript_is_exact() {
    let first = [call("c1", "add", r#""{\"a\": 1.50}""#), call("c2", "nope", r#""{}""#)].join(",");
    let last = message("done");
    let world = world([response(&first), response(&last)]).route("tool add", [ok(r#"{"sum": 2.50}"#)]);
    let agent = world.agent("simple_agent", json!({}));
    let reply = world.run(&*agent, ROW).await;
    assert_eq!(reply, r#"{"reward":1.0,"x":1.50}"#);
    let outputs = [output("c1", r#""{\"sum\": 2.50}""#), output("c2", r#""{\"detail\":\"Not Found\"}""#)].join(",");
    let graded = ROW.strip_suffix('}').unwrap();
    assert_eq!(
        world.log.entries(),
        [
            format!("seed {ROW}"),
            format!(r#"m {{"input":[{USER}],"temperature":1.0}}"#),
            r#"tool add {"a": 1.50}"#.to_owned(),
            "tool nope {}".to_owned(),
            format!(r#"m {{"input":[{USER},{first},{outputs}],"temperature":1.0}}"#),
            format!(
                r#"verify {graded},"response":{{"id":"resp","object":"response","output":[{first},{outputs},{last}],"usage":null}}}}"#
            ),
        ]
    );
    let contexts = world.model.contexts.lock().unwrap();
    assert_eq!(contexts[0].rollout_id.as_deref(), Some("3-1"));
    assert!(contexts[0].cookies.is_empty(), "the first call goes without cookies");
    assert_eq!(contexts[1].cookies.header(), "model=1", "later calls go with the model's only");
}

#[tokio::test]
async fn routes_of_the_server_are_no_tools_and_bad_arguments_are_answered_without_a_request() {
    let calls = [
        call("1", "verify", r#""{}""#),
        call("2", "a/../verify", r#""{}""#),
        call("3", "add", r#""{""#),
        call("4", "add", r#""[1]""#),
    ];
    let world = world([response(&calls.join(",")), response(&message("x"))]).route("tool add", [status(422, "no")]);
    let agent = world.agent("simple_agent", json!({}));
    world.run(&*agent, ROW).await;
    assert_eq!(world.log.of("tool "), ["add [1]"]);
    let expected = [
        output("1", r#""{\"error\":\"there is no tool `verify`\"}""#),
        output("2", r#""{\"error\":\"there is no tool `a/../verify`\"}""#),
        output(
            "3",
            r#""{\"error\": \"Invalid tool call arguments: JSONDecodeError('Expecting property name enclosed in double quotes: line 1 column 2 (char 1)')\"}""#,
        ),
        output("4", r#""no""#),
    ];
    let second = &world.log.of("m ")[1];
    assert!(second.contains(&expected.join(",")), "{second}");
}

#[tokio::test]
async fn calls_are_graded_as_they_are_where_the_configuration_says_so() {
    let asked = call("c", "add", r#""{}""#);
    let world = world([response(&asked), response(&message("x"))]).route("tool add", [ok("1")]);
    let agent = world.agent("simple_agent", json!({"execute_tool_calls": false}));
    world.run(&*agent, ROW).await;
    assert_eq!(world.log.of("tool "), Vec::<String>::new());
    assert_eq!(world.log.of("m ").len(), 1, "the model is asked once");
    assert!(world.log.of("verify ")[0].contains(&format!(r#""output":[{asked}]"#)));
}

#[tokio::test]
async fn an_answer_ends_the_loop_as_the_rules_of_its_time_say() {
    let reasoning = r#"{"type":"reasoning","id":"r","summary":[]}"#;
    let cut = r#"{"id":"resp","output":[{"type":"function_call","call_id":"c","name":"add","arguments":"{}"}],"incomplete_details":{"reason":"max_output_tokens"}}"#;
    let add = call("c", "add", r#""{}""#);
    // What the model says, the configuration, the number of model calls, and `status` and reason of the end.
    let cases = [
        (vec![response(reasoning)], json!({}), 1, json!(["incomplete", "incomplete_reasoning"])),
        (vec![response("")], json!({}), 1, json!(["incomplete", "empty_output"])),
        (
            vec![response(reasoning), response(&message("x"))],
            json!({"reward_rules": "august_2026"}),
            2,
            json!([null, null]),
        ),
        (
            vec![response(reasoning), response(&message("x"))],
            json!({"agent_rules": "august_2026"}),
            2,
            json!([null, null]),
        ),
        (vec![ok(cut)], json!({}), 1, json!([null, null])),
        (vec![response(&add), response(&add)], json!({"max_steps": 2}), 2, json!([null, null])),
        (vec![response(&add), response(&message("x"))], json!({"max_steps": 0}), 2, json!([null, null])),
    ];
    for (model, config, asked, end) in cases {
        let world = world(model).route("tool add", [ok("1")]);
        let agent = world.agent("simple_agent", config.clone());
        world.run(&*agent, ROW).await;
        assert_eq!(world.log.of("m ").len(), asked, "{config}");
        let response = member(&world.log.of("verify ")[0], "response");
        assert_eq!(json!([response["status"], response["metadata"]["ng_termination_reason"]]), end, "{config}");
        let is_cut = response["incomplete_details"].is_object();
        assert_eq!(world.log.of("tool add ").is_empty(), is_cut || !response.to_string().contains("add"));
    }
}

#[tokio::test]
async fn max_steps_ends_after_the_tools_and_the_ceiling_is_a_failure() {
    let add = call("c", "add", r#""{}""#);
    let world = world([response(&add)]).route("tool add", [ok("1")]);
    world.run(&*world.agent("simple_agent", json!({"max_steps": 1})), ROW).await;
    let response = member(&world.log.of("verify ")[0], "response");
    assert_eq!(response["output"][1]["output"], "1");

    let world = self::world([self::response(&add)]).route("tool add", [ok("1")]);
    let row = world.run(&*world.agent("simple_agent", json!({"step_ceiling": 1})), ROW).await;
    assert_eq!(member(&row, "_ng_failure_class"), "agent_run_error");
    assert_eq!(member(&row, "_ng_failure_partial_response")["output"][1]["output"], "1");
    assert!(world.log.of("verify ").is_empty());
}

#[tokio::test]
async fn failures_are_rows_without_a_usable_reward() {
    let fault = |kind| Answer::Fault(Fault::new(kind, "gone"));
    let add = call("c", "add", r#""{}""#);
    let cases = [
        (world([status(500, "oh")]), "provider_unavailable", "agent", false, None),
        (world([status(400, "too long")]), "agent_request_failed", "agent", true, None),
        (world([fault(FaultKind::Unreachable)]), "transport_unreachable", "agent", false, None),
        (world([ok("[]")]), "provider_unavailable", "agent", false, None),
        (
            world([response(&add), fault(FaultKind::ModelFailed)]).route("tool add", [ok("1")]),
            "provider_unavailable",
            "agent",
            false,
            Some(2),
        ),
        (
            world([response(&add)]).route("tool add", [fault(FaultKind::SessionLost)]),
            "session_lost",
            "agent",
            false,
            Some(1),
        ),
        (
            world([response(&add)]).route("tool add", [status(503, "full")]),
            "transport_local_resource",
            "agent",
            false,
            Some(1),
        ),
        (World::new([], []).route("seed", [status(422, "bad row")]), "agent_request_failed", "seed", true, None),
        (
            World::new([response(&message("x"))], []).route("seed", [ok("")]).route("verify", [status(500, "oh")]),
            "verifier_error",
            "verification",
            true,
            Some(1),
        ),
        (
            World::new([response(&message("x"))], []).route("seed", [ok("")]).route("verify", [ok("{}")]),
            "verifier_error",
            "verification",
            true,
            Some(1),
        ),
    ];
    for (world, class, stage, terminal, items) in cases {
        let row = world.run(&*world.agent("simple_agent", json!({})), ROW).await;
        assert_eq!(member(&row, "_ng_failure_class"), class, "{row}");
        assert_eq!(member(&row, "failure_kind"), class);
        assert_eq!(member(&row, "_ng_failure_stage"), stage);
        assert_eq!(member(&row, "_ng_failure_terminal"), terminal, "{row}");
        assert_eq!(member(&row, "mask_sample"), true);
        assert_eq!(member(&row, "instance_config"), json!({"mask_sample": true}));
        assert!(row.contains(r#""expected":1.50"#), "the row is kept as it came");
        let partial = member(&row, "_ng_failure_partial_response");
        assert_eq!(partial["output"].as_array().map(Vec::len), items, "{row}");
    }
}

#[tokio::test]
async fn a_row_that_is_none_is_refused() {
    let world = world([]);
    let agent = world.agent("simple_agent", json!({}));
    for (body, expected) in [("{", 422), ("[]", 422), ("{}", 422), (r#"{"responses_create_params":{"inputs":1}}"#, 422)]
    {
        let reply = agent.run(Bytes::copy_from_slice(body.as_bytes()), &mut RequestContext::default()).await;
        assert_eq!(reply.status, expected, "{body}");
    }
    assert!(world.log.entries().is_empty());
}

#[tokio::test]
async fn without_verification_every_attempt_gets_the_fixed_reward() {
    let world = world([response(&message("x"))]);
    let config = json!({"skip_verification": true, "skip_verification_reward": 2, "resources_server": null});
    let row = world.run(&*world.agent("simple_agent", config), ROW).await;
    assert!(row.ends_with(r#","reward":2.0,"verification_skipped":true}"#), "{row}");
    assert!(world.log.of("verify ").is_empty());
}

#[tokio::test]
async fn responses_answers_with_the_cookies_of_all_servers() {
    let world = world([response(&call("c", "add", r#""{}""#)), response(&message("x"))]).route("tool add", [ok("1")]);
    let agent = world.agent("simple_agent", json!({"token_id_capture": true}));
    let mut context = RequestContext { cookies: Cookies::parse(["other=1"]), ..Default::default() };
    let reply = agent.responses(Bytes::from_static(br#"{"input":"hi"}"#), &mut context).await;
    assert_eq!(reply.status, 200);
    assert_eq!(context.cookies.header(), "other=1; model=1; session=s");
    assert!(world.model.contexts.lock().unwrap().iter().all(|context| context.token_capture));
    let reply = agent.responses(Bytes::from_static(br#"{"input":"hi","x":1}"#), &mut context).await;
    assert_eq!(reply.status, 422);
}

#[tokio::test]
async fn a_dropped_run_leaves_nothing_behind() {
    let world = world([Answer::Hang]);
    let agent = world.agent("simple_agent", json!({}));
    let mut context = RequestContext::default();
    let mut run = Box::pin(agent.run(Bytes::from_static(ROW.as_bytes()), &mut context));
    let mut no_waker = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(run.as_mut().poll(&mut no_waker).is_pending());
    assert_eq!(world.log.of("m ").len(), 1);
    let alive = std::sync::Arc::strong_count(&world.resources.sessions);
    drop(run);
    // The session is ended by a task of its own.
    tokio::task::yield_now().await;
    assert_eq!(std::sync::Arc::strong_count(&world.resources.sessions), 1);
    assert!(alive > 1);
}

#[test]
fn unknown_agents_and_servers_are_named() {
    let world = world([]);
    let error = world.try_agent("simple_agnt", json!({})).err().unwrap();
    assert!(error.hint().unwrap().contains("simple_agent"));
    let error = world.try_agent("simple_agent", json!({"model_server": {"type": "resources_servers", "name": "r"}}));
    assert_eq!(
        error.err().unwrap().to_string(),
        "failed to make the agent `agent`: `model_server` names `r` of `resources_servers`, which is not served"
    );
}

/// A number as some server may write it.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u32>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("JSON has no NaN", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        (0u32..1000, 0u32..1000).prop_map(|(a, b)| format!("-{a}.{b}0")),
    ]
}

fn turn() -> impl Strategy<Value = String> {
    (prop::collection::vec(number(), 0..40), prop::collection::vec(number(), 0..40), any::<bool>()).prop_map(
        |(ids, logs, spaced)| {
            let comma = if spaced { " , " } else { "," };
            format!(
                r#""prompt_token_ids":[{}],"generation_token_ids":[1],"generation_log_probs":[ {} ]"#,
                ids.join(comma),
                logs.join(comma)
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn token_fields_reach_every_later_request_and_the_grade_byte_for_byte(turns in prop::collection::vec(turn(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut items: Vec<String> = turns
            .iter()
            .enumerate()
            .map(|(n, tokens)| format!(r#"{{"type":"function_call","call_id":"{n}","name":"add","arguments":"{{ }}",{tokens}}}"#))
            .collect();
        items.push(message("end"));
        let world = world(items.iter().map(|item| response(item))).route("tool add", [ok("1")]);
        runtime.block_on(world.run(&*world.agent("simple_agent", json!({})), ROW));
        let mut said = String::new();
        for (n, request) in world.log.of("m ").iter().enumerate() {
            prop_assert_eq!(request, &format!(r#"{{"input":[{USER}{said}],"temperature":1.0}}"#));
            said.push_str(&format!(",{}", items[n]));
            if n < turns.len() {
                said.push_str(&format!(",{}", output(&n.to_string(), r#""1""#)));
            }
        }
        let graded = &world.log.of("verify ")[0];
        let output = format!(r#""output":[{}],"#, &said[1..]);
        prop_assert!(graded.contains(&output), "{}", graded);
    }
}
