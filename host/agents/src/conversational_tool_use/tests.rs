// SPDX-License-Identifier: Apache-2.0
use serde_json::json;

use crate::fakes::{World, call, member, message, ok, output, response, status, user_model};

const ROW: &str = r#"{"responses_create_params":{"input":[]},"user_instructions":"You want a refund."}"#;
const AGENT: &str = "conversational_tool_use";

fn said(role: &str, text: &str) -> String {
    format!(r#"{{"role":"{role}","content":"{text}","type":"message"}}"#)
}

#[tokio::test]
async fn the_server_keeps_the_books_and_speaks_for_the_user() {
    let (look, one, two) = (call("c", "look", r#""{\"x\":1}""#), message("one"), message("two"));
    let world = World::new([response(&look), response(&one), response(&two)], [])
        .route("seed", [ok("{}")])
        .route("tool session_tools", [ok(r#"{"tools":[{"type":"function","name":"look"}]}"#)])
        .route("tool record_agent_outputs", [ok(r#"{"should_continue":true,"terminal_state":null}"#)])
        .route(
            "tool execute_agent_tool_call",
            [ok(r#"{"output":{"n":[1,2]},"schema_valid":true,"should_continue":true}"#)],
        )
        .route(
            "tool next_user_message",
            [
                ok(r#"{"message":"hi","should_continue":true,"terminal_state":null}"#),
                ok(r#"{"message":"and?","should_continue":true,"terminal_state":null}"#),
                ok(r#"{"message":"","should_continue":false,"terminal_state":"done"}"#),
            ],
        )
        .route("verify", [ok(r#"{"reward":1.0}"#)]);
    let reply = world.run(&*world.agent(AGENT, json!({})), ROW).await;
    assert_eq!(member(&reply, "reward"), 1.0);
    let tools = r#""tools":[{"type":"function","name":"look"}]"#;
    let (hi, found, more) = (said("user", "hi"), output("c", r#""{\"n\": [1, 2]}""#), said("user", "and?"));
    let whole = |item: &str| format!(r#"{{"id":"resp","object":"response","output":[{item}],"usage":null}}"#);
    let recorded = |output: &str, item: &str| {
        format!(
            r#"tool record_agent_outputs {{"outputs":[{{{output},"response_output_index":0}}],"response":{}}}"#,
            whole(item)
        )
    };
    assert_eq!(
        world.log.entries(),
        [
            format!("seed {ROW}"),
            "tool session_tools {}".to_owned(),
            "tool next_user_message {}".to_owned(),
            format!(r#"m {{"input":[{hi}],{tools}}}"#),
            recorded(r#""type":"function_call","tool_name":"look","tool_call_id":"c","arguments":"{\"x\":1}""#, &look),
            format!(
                r#"tool execute_agent_tool_call {{"tool_name":"look","tool_call_id":"c","arguments":"{{\"x\":1}}","response":{}}}"#,
                whole(&look)
            ),
            format!(r#"m {{"input":[{hi},{look},{found}],{tools}}}"#),
            recorded(r#""type":"message","content":"one""#, &one),
            "tool next_user_message {}".to_owned(),
            format!(r#"m {{"input":[{hi},{look},{found},{one},{more}],{tools}}}"#),
            recorded(r#""type":"message","content":"two""#, &two),
            "tool next_user_message {}".to_owned(),
            format!(
                r#"verify {},"response":{{"id":"resp","object":"response","output":[{look},{found},{one},{more},{two}],"usage":null}}}}"#,
                ROW.replace("[]", &format!("[{hi}]")).strip_suffix('}').unwrap()
            ),
        ]
    );
}

#[tokio::test]
async fn a_model_plays_the_user_from_the_other_side_until_it_stops() {
    let user = [response(&message("hi")), response(&message("thanks ###STOP###"))];
    let look = call("c", "look", r#""{}""#);
    let world = World::new([response(&look), response(&message("done"))], user)
        .route("seed", [ok("{}")])
        .route("tool look", [ok("found")])
        .route("verify", [ok(r#"{"reward":1.0}"#)]);
    let config = json!({"user_model_server": user_model(), "user_prompt": "Play."});
    world.run(&*world.agent(AGENT, config), ROW).await;
    let asked = world.log.of("u ");
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[1],
        format!(
            r#"{{"input":[{},{}],"instructions":"Play.\n\nYou want a refund."}}"#,
            said("assistant", "hi"),
            said("user", "done")
        )
    );
    assert_eq!(world.log.of("tool look "), ["{}"], "without a route for calls they go to the tool itself");
    let graded = member(&world.log.of("verify ")[0], "response");
    let last = graded["output"].as_array().unwrap().last().unwrap();
    assert_eq!(last["content"], "thanks");
}

#[tokio::test]
async fn the_agent_s_own_routes_are_no_tools_and_the_step_limit_is_recorded() {
    let calls = [call("a", "next_user_message", r#""{}""#), call("b", "verify", r#""{}""#)].join(",");
    let more = call("c", "look", r#""{}""#);
    let world = World::new([response(&calls), response(&more)], [])
        .route("seed", [ok("{}")])
        .route("tool next_user_message", [ok(r#"{"message":"hi","should_continue":true}"#)])
        .route("verify", [ok(r#"{"reward":0.0}"#)]);
    world.run(&*world.agent(AGENT, json!({"max_agent_steps": 2})), ROW).await;
    assert_eq!(world.log.of("tool next_user_message ").len(), 1);
    let limit = &world.log.of("tool record_agent_step_limit ")[0];
    assert_eq!((member(limit, "max_agent_steps"), member(limit, "tool_calls")), (json!(2), json!([])));
    assert_eq!(member(limit, "response")["output"][0]["call_id"], "c");
    assert!(world.log.of("tool look ").is_empty(), "the calls of the last step are not executed");
    let graded = member(&world.log.of("verify ")[0], "response");
    assert_eq!(graded["output"][2]["output"], r#"{"error":"there is no tool `next_user_message`"}"#);
    assert_eq!(graded["output"][3]["output"], r#"{"error":"there is no tool `verify`"}"#);
    assert_eq!(graded["output"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_failed_conversation_is_recorded_and_discarded() {
    let world = World::new([status(500, "oh")], [])
        .route("seed", [ok("{}")])
        .route("tool next_user_message", [ok(r#"{"message":"hi","should_continue":true}"#)]);
    let reply = world.run(&*world.agent(AGENT, json!({})), ROW).await;
    assert_eq!(member(&reply, "_ng_failure_class"), "provider_unavailable");
    for route in ["tool record_generation_error ", "tool record_agent_generation_error "] {
        let error = r#"{"source":"agent","error":"the model server answered 500: oh"}"#;
        assert_eq!(world.log.of(route), [error], "the older name when there is none of the newer");
    }
    assert_eq!(world.log.of("tool discard_session "), ["{}"]);
}

#[tokio::test]
async fn a_conversation_without_a_user_is_a_failure() {
    let world = World::new([], []).route("seed", [ok("{}")]);
    let reply = world.run(&*world.agent(AGENT, json!({})), ROW).await;
    assert_eq!(member(&reply, "_ng_failure_class"), "agent_run_error");
}

#[tokio::test]
async fn either_side_of_the_books_ends_the_conversation() {
    let (look, end) = (call("c", "look", r#""{""#), ok(r#"{"output":"no","should_continue":false}"#));
    let stops = ok(r#"{"should_continue":false,"terminal_state":"incomplete"}"#);
    let user = ok(r#"{"message":"hi","should_continue":true}"#);
    for (route, answer, outputs) in [("record_agent_outputs", stops, 1), ("execute_agent_tool_call", end, 2)] {
        let world = World::new([response(&look)], [])
            .route("seed", [ok("{}")])
            .route("tool next_user_message", [user.clone()])
            .route(&format!("tool {route}"), [answer])
            .route("verify", [ok(r#"{"reward":0.0}"#)]);
        world.run(&*world.agent(AGENT, json!({})), ROW).await;
        assert_eq!(world.log.of("m ").len(), 1, "{route}");
        assert_eq!(member(&world.log.of("verify ")[0], "response")["output"].as_array().unwrap().len(), outputs);
    }
}

#[tokio::test]
async fn the_user_s_last_words_are_no_part_of_the_transcript_and_a_failed_grading_discards() {
    let world = World::new([response(&message("done"))], [])
        .route("seed", [ok("{}")])
        .route("tool next_user_message", [ok(r####"{"message":"###STOP###","should_continue":false}"####)])
        .route("verify", [status(503, "no judge")]);
    let row = r#"{"responses_create_params":{"input":[]},"initial_user_message":"hi"}"#;
    let reply = world.run(&*world.agent(AGENT, json!({})), row).await;
    assert!(!member(&reply, "_ng_failure_class").is_null(), "{reply}");
    let graded = &world.log.of("verify ")[0];
    assert_eq!(member(graded, "response")["output"].as_array().unwrap().len(), 1);
    assert_eq!(member(graded, "responses_create_params")["input"][0]["content"], "hi");
    assert_eq!(world.log.of("tool discard_session "), ["{}"]);
}

#[tokio::test]
async fn a_conversation_goes_on_where_the_row_ends() {
    let look = call("c", "look", r#""{}""#);
    let cases =
        [(said("assistant", "Hello?"), 1, 0, 1), (look.clone(), 0, 1, 1), (said("user", "thanks ###STOP###"), 0, 0, 0)];
    for (last, users, calls, models) in cases {
        let world = World::new([response(&message("done"))], [])
            .route("seed", [ok("{}")])
            .route("tool look", [ok("found")])
            .route("tool next_user_message", [ok(r#"{"message":"no","should_continue":false}"#)])
            .route("verify", [ok(r#"{"reward":0.0}"#)]);
        let row = format!(r#"{{"responses_create_params":{{"input":[{last}]}}}}"#);
        world.run(&*world.agent("conversational_tool_use/simulation", json!({})), &row).await;
        let asked = world.log.of("tool next_user_message ").len() - usize::from(models == 1 && users == 0);
        assert_eq!((asked, world.log.of("tool look ").len()), (users, calls), "{last}");
        // The user who is asked first has nothing more to say, so that the model is not asked at all.
        assert_eq!(world.log.of("m ").len(), models - users, "{last}");
    }
}

#[tokio::test]
async fn one_call_at_a_time_and_no_empty_messages() {
    let (a, b) = (call("a", "look", r#""{}""#), call("b", "look", r#""{}""#));
    let first = [message(" "), a, b].join(",");
    let world = World::new([response(&first), response(&message(" "))], [])
        .route("seed", [ok("{}")])
        .route("tool look", [ok("found")])
        .route("tool record_generation_error", [ok("{}")])
        .route("verify", [ok(r#"{"reward":0.0}"#)]);
    let row = r#"{"responses_create_params":{"input":[{"role":"user","content":"hi"}],"parallel_tool_calls":false}}"#;
    world.run(&*world.agent(AGENT, json!({})), row).await;
    let graded = member(&world.log.of("verify ")[0], "response");
    let items: Vec<_> = graded["output"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(items, ["function_call", "function_call_output"]);
    assert_eq!(graded["parallel_tool_calls"], false);
    assert_eq!(world.log.of("tool record_generation_error ").len(), 1);
}
