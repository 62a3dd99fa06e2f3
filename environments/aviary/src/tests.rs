// SPDX-License-Identifier: Apache-2.0
use gym_env::Instance;
use serde_json::Value;

use super::*;

const PROBLEMS: &str =
    "{\"question\":\"What is 3 times 4?\",\"answer\":12}\n\n{\"question\":\"Half of 1?\",\"answer\":\"#### 0.5\"}\n";

fn instance(config: Value) -> Instance<Aviary> {
    Instance::new(Context::for_test().config(config).file("data/problems.jsonl", PROBLEMS).build())
}

fn seeded(config: Value, task: i64) -> (Instance<Aviary>, Value) {
    let mut instance = instance(config);
    let reply = instance.seed_session(&json!({"task_idx": task, "other": 1}).to_string()).unwrap();
    (instance, serde_json::from_str(&reply).unwrap())
}

fn step(instance: &mut Instance<Aviary>, calls: &[(&str, &str)]) -> Value {
    let calls = calls.iter().enumerate().map(|(index, (name, arguments))| {
        json!({"type": "function_call", "call_id": format!("c{index}"), "name": name, "arguments": arguments})
    });
    let request = json!({"env_id": "e", "action": calls.collect::<Vec<_>>()});
    serde_json::from_str(&instance.call_tool("step", &request.to_string()).unwrap()).unwrap()
}

fn close(instance: &mut Instance<Aviary>) -> bool {
    let reply = instance.call_tool("close", r#"{"env_id":"e"}"#).unwrap();
    serde_json::from_str::<Value>(&reply).unwrap()["success"] == true
}

#[test]
fn a_seed_gives_the_problem_and_strict_tools() {
    let (_, reply) = seeded(json!({}), 1);
    assert_eq!(reply["obs"], json!([{"content": "Half of 1?", "role": "user", "type": "message"}]));
    let tools = reply["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["calculator", "submit_answer"]);
    for tool in tools {
        assert_eq!((&tool["type"], &tool["strict"]), (&json!("function"), &json!(true)));
        assert_eq!(tool["parameters"]["additionalProperties"], false);
        assert!(!tool["description"].as_str().unwrap().is_empty());
    }
}

#[test]
fn rewards_of_all_steps_add_up_also_after_the_end() {
    let (mut instance, _) = seeded(json!({"tool_success_reward": 0.25}), 0);
    assert_eq!(instance.verify("{}").unwrap().reward(), 0.0);
    let reply = step(&mut instance, &[("calculator", r#"{"expr":"3*4"}"#)]);
    let output = json!({"call_id": "c0", "output": "12", "type": "function_call_output", "id": null, "status": null});
    assert_eq!(reply, json!({"obs": [output], "reward": 0.25, "done": false}));
    let reply = step(&mut instance, &[("submit_answer", r#"{"answer":"12"}"#)]);
    assert_eq!((&reply["reward"], &reply["done"]), (&json!(1.0), &json!(true)));
    assert!(close(&mut instance));
    assert_eq!(instance.verify("{}").unwrap().reward(), 1.25);
    assert!(!close(&mut instance));
    assert!(matches!(instance.call_tool("step", r#"{"env_id":"e","action":[]}"#), Err(Failure::Refused(_))));
    assert_eq!(instance.verify("{}").unwrap().reward(), 1.25);
}

#[test]
fn arguments_that_are_not_json_undo_the_whole_step() {
    let (mut instance, _) = seeded(json!({}), 0);
    let reply = step(&mut instance, &[("submit_answer", r#"{"answer":"12"}"#), ("calculator", "{")]);
    let message = json!({"content": NOT_JSON, "role": "user", "type": "message"});
    assert_eq!(reply, json!({"obs": [message], "reward": 0.0, "done": false}));
    assert_eq!(instance.verify("{}").unwrap().reward(), 0.0);
}

#[test]
fn calls_of_one_answer_are_done_in_order() {
    let (mut instance, _) = seeded(json!({}), 0);
    let calls = [("submit_answer", r#"{"answer":"12"}"#), ("submit_answer", r#"{"answer":"12"}"#)];
    let reply = step(&mut instance, &calls);
    assert_eq!((reply["obs"].as_array().unwrap().len(), &reply["reward"]), (2, &json!(2.0)));
    // Each call counts, also after the end.
    assert_eq!(step(&mut instance, &calls)["reward"], 2.0);
    let reply = step(&mut instance, &[("ask", "{}"), ("calculator", r#"{"expr":"1"}"#)]);
    let ids: Vec<_> = reply["obs"].as_array().unwrap().iter().map(|seen| seen["call_id"].clone()).collect();
    assert_eq!((ids, &reply["reward"]), (vec![json!("c1"), json!("c0")], &json!(0.0)));
    assert_eq!(instance.verify("{}").unwrap().reward(), 4.0);
}

#[test]
fn settings_change_what_things_are_worth() {
    let config = json!({"done_on_failure": false, "tool_failure_reward": -0.5, "correct_reward": 2.0, "rel_tol": 0.1});
    let (mut instance, _) = seeded(config, 0);
    assert_eq!(step(&mut instance, &[("nothing", "{}")])["done"], false);
    assert_eq!(step(&mut instance, &[])["done"], false);
    step(&mut instance, &[("submit_answer", r#"{"answer":"13"}"#)]);
    assert_eq!(instance.verify("{}").unwrap().reward(), 1.0);
}

#[test]
fn what_is_not_there_is_refused_or_a_fault() {
    assert_eq!(seeded(json!({}), -1).1["obs"][0]["content"], "Half of 1?");
    for request in [r#"{"task_idx":2}"#, r#"{"task_idx":-3}"#, "{}", r#"{"task_idx":"x"}"#] {
        assert!(matches!(instance(json!({})).seed_session(request), Err(Failure::Refused(_))), "{request}");
    }
    assert!(matches!(instance(json!({})).verify("{}"), Err(Failure::Fault(_))));
    assert!(instance(json!({"entrypoint": "hotpotqa_app.py"})).describe().is_err());
    assert!(instance(json!({"rel_tol": "much"})).describe().is_err());
    assert!(instance(json!({"entrypoint": "gsm8k_app.py"})).describe().unwrap().is_known_by_env_id());
}
