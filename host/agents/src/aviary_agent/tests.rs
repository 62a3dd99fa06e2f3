// SPDX-License-Identifier: Apache-2.0
use serde_json::{Value, json};

use crate::fakes::{World, call, member, message, ok, output, response, status};

const ROW: &str = r#"{"responses_create_params":{"input":[]},"task_idx":7}"#;
const TOOLS: &str = r#"[{"type":"function","name":"look"}]"#;

fn world(model: &[String], steps: &[&str]) -> World {
    let seed =
        format!(r#"{{"env_id":"e","obs":[{{"role":"user","content":"one","is_env_state":true}}],"tools":{TOOLS}}}"#);
    World::new(model.iter().map(|items| response(items)), [])
        .route("seed", [status(500, "not yet"), status(503, "not yet"), ok(seed)])
        .route("step", steps.iter().map(|step| ok(*step)))
        .route("close", [ok(r#"{"message":"","success":true}"#)])
        .route("verify", [ok(r#"{"reward":0.75}"#)])
}

#[tokio::test]
async fn an_attempt_goes_by_the_environment_s_own_id() {
    let look = call("c", "look", r#""{}""#);
    let observed = output("c", r#""a wall""#);
    let step = format!(r#"{{"obs":[{observed}],"reward":0.75,"done":true}}"#);
    let world = world(std::slice::from_ref(&look), &[&step]);
    let reply = world.run(&*world.agent("aviary_agent", json!({})), ROW).await;
    assert_eq!(member(&reply, "reward"), 0.75);
    let first = r#"{"role":"user","content":"one"}"#;
    assert_eq!(
        world.log.entries(),
        [
            r#"seed {"task_idx":7}"#.to_owned(),
            r#"seed {"task_idx":7}"#.to_owned(),
            r#"seed {"task_idx":7}"#.to_owned(),
            format!(r#"m {{"input":[{first}],"tools":{TOOLS}}}"#),
            format!(r#"step {{"env_id":"e","action":[{look}]}}"#),
            r#"close {"env_id":"e"}"#.to_owned(),
            format!(
                r#"verify {},"response":{{"id":"resp","object":"response","output":[[{first},{look},{observed}]],"usage":null,"env_id":"e","group_id":"7","contains_transitions":true}}}}"#,
                ROW.strip_suffix('}').unwrap()
            ),
        ]
    );
}

#[tokio::test]
async fn old_states_are_hidden_from_the_model_but_not_from_earlier_transitions() {
    let look = call("c", "look", r#""{}""#);
    let step = r#"{"obs":[{"role":"user","content":"two","is_env_state":true}],"done":false}"#;
    let world = world(&[look, message("end")], &[step]);
    let config = json!({"collapse_old_env_states": true, "old_env_state_message": "old"});
    world.run(&*world.agent("aviary_agent", config), ROW).await;
    let seen = |request: &str| -> Vec<Value> {
        let items = member(request, "input");
        let texts = items.as_array().unwrap().iter();
        texts.filter_map(|item| item.get("content").filter(|text| text.is_string()).cloned()).collect()
    };
    assert_eq!(seen(&world.log.of("m ")[1]), ["old", "two"]);
    let graded = member(&world.log.of("verify ")[0], "response");
    assert_eq!(graded["output"][0][0]["content"], "old", "the state after the first step had the second state in it");
    assert_eq!(graded["output"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_model_that_must_call_tools_is_told_so_and_limits_end_an_attempt() {
    let say = message("hm");
    let world = world(&[say.clone(), say.clone()], &[]);
    let config = json!({"done_if_no_tool_calls": false, "max_steps": 2, "return_transitions": false});
    world.run(&*world.agent("aviary_agent", config), ROW).await;
    let second = member(&world.log.of("m ")[1], "input");
    assert_eq!(second[2]["role"], "user");
    let graded = member(&world.log.of("verify ")[0], "response");
    assert_eq!(graded["contains_transitions"], false);
    // What the model said; neither the task nor the agent's own words.
    let said: Value = serde_json::from_str(&format!("[{say},{say}]")).unwrap();
    assert_eq!(graded["output"], said);
}

#[tokio::test]
async fn an_answer_of_nothing_but_reasoning_is_an_action_without_calls() {
    let think = r#"{"type":"reasoning","id":"r","summary":[]}"#.to_owned();
    let steps = [r#"{"obs":[{"role":"user","content":"go on"}],"done":false}"#];
    let world = world(&[think.clone(), message("end")], &steps);
    let config = json!({"return_transitions": false});
    world.run(&*world.agent("aviary_agent", config), ROW).await;
    assert_eq!(world.log.of("step "), [r#"{"env_id":"e","action":[]}"#]);
    let graded = member(&world.log.of("verify ")[0], "response");
    assert_eq!(graded["output"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_failed_step_is_a_failure_and_the_environment_is_closed() {
    let world = world(&[call("c", "look", r#""{}""#)], &["[]"]);
    let reply = world.run(&*world.agent("aviary_agent", json!({})), ROW).await;
    assert_eq!(member(&reply, "_ng_failure_class"), "verifier_error");
    assert_eq!(world.log.of("close "), [r#"{"env_id":"e"}"#]);
}

#[tokio::test]
async fn a_row_needs_its_task() {
    let world = world(&[], &[]);
    let agent = world.agent("aviary_agent", json!({}));
    let row = bytes::Bytes::from_static(br#"{"responses_create_params":{"input":[]}}"#);
    let reply = agent.run(row, &mut Default::default()).await;
    assert_eq!(reply.status, 422);
    assert!(String::from_utf8_lossy(&reply.body).contains(r#""loc":["body","task_idx"]"#));
}
