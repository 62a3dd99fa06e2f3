// SPDX-License-Identifier: Apache-2.0
use gym_env::{Context, Instance, Response};
use serde_json::{Value, json};

use super::*;

fn instance() -> Instance<MathAdvancedCalculations> {
    Instance::new(Context::for_test().build())
}

fn grade(truth: Value, response: &Value) -> Result<f64, Failure> {
    let request = json!({"ground_truth": truth, "id": 0, "depth": 1, "breadth": 1, "response": response});
    instance().verify(request.to_string()).map(|verdict| verdict.reward())
}

#[test]
fn calls_go_by_the_functions_name() {
    for (name, arguments, reply) in [
        ("add", r#"{"a":1.5,"b":2}"#, r#"{"solution":4.7}"#),
        ("pi", "{}", r#"{"solution":2.718281828459045}"#),
        ("multiply", r#"{"a":3,"b":7,"base":null}"#, r#"{"solution":23.1}"#),
        ("power", r#"{"a":10,"b":20}"#, r#"{"solution":1e+22}"#),
        ("add", r#"{"a":1e308,"b":1e308}"#, r#"{"solution":null}"#),
    ] {
        assert_eq!(instance().call_tool(name, arguments).unwrap(), reply);
    }
    for (name, arguments, status, detail) in [
        ("modulo", r#"{"a":1,"b":2}"#, 404, json!("Function not found")),
        ("divide", r#"{"a":1,"b":0}"#, 500, json!("float division by zero")),
    ] {
        match instance().call_tool(name, arguments) {
            Err(Failure::Refused(refuse)) => assert_eq!((refuse.status(), refuse.detail()), (status, &detail)),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn every_value_must_be_among_the_solutions() {
    let response = Response::builder()
        .call("add", json!({}))
        .call_output(json!({"solution": 4.7}))
        .call("pi", json!({}))
        .call_output(json!({"solution": "2.5"}))
        .call("divide", json!({}))
        .call_output(json!({"detail": "float division by zero"}))
        .message("7")
        .to_value();
    for (truth, reward) in [
        ("[4.7, 2.5]", 1.0),
        ("[4.7]", 1.0),
        ("[]", 1.0),
        ("[4.7, 4.7]", 1.0),
        ("[4.700000000000001]", 0.0),
        ("[7]", 0.0),
        ("[\"4.7\"]", 0.0),
        ("[NaN]", 0.0),
        ("[null]", 1.0),
    ] {
        assert_eq!(grade(json!(truth), &response).unwrap(), reward, "{truth}");
    }
    assert_eq!(grade(json!("[null]"), &json!({"output": []})).unwrap(), 0.0, "no call failed");
}

#[test]
fn a_ground_truth_that_is_no_text_of_a_list_is_a_fault() {
    for truth in [json!([4.7]), json!("4.7"), json!("[4.7"), json!("{}"), json!("")] {
        assert!(matches!(grade(truth.clone(), &json!({"output": []})), Err(Failure::Fault(_))), "{truth}");
    }
}

#[test]
fn nothing_that_a_request_holds_traps() {
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut instance = instance();
    for name in ["add", "log", "", "\u{0}", "__class__"] {
        for arguments in [&*deep, r#"{"a":"\ud800"}"#, r#"{"a":{"a":1}}"#, "nonsense", r#"{"a":-1e999,"base":"nan"}"#] {
            let _outcome = instance.call_tool(name, arguments);
        }
    }
    let output = json!({"type": "function_call_output", "output": deep}).to_string();
    for fields in [
        format!(r#""ground_truth":"[1]","id":1,"depth":1,"breadth":1,"response":{{"output":[{output},{deep}]}}"#),
        r#""ground_truth":"[1]","id":1,"depth":1,"breadth":1,"response":{"output":[{"type":"function_call_output","output":[1]}]}"#.to_owned(),
    ] {
        assert_eq!(instance.verify(format!("{{{fields}}}")).unwrap().reward(), 0.0);
    }
    let deep_truth = format!(r#"{{"ground_truth":"{deep}","id":1,"depth":1,"breadth":1}}"#);
    match instance.verify(deep_truth) {
        Ok(verdict) => assert_eq!(verdict.reward(), 0.0),
        Err(failure) => assert!(matches!(failure, Failure::Fault(_)), "{failure:?}"),
    }
    assert!(matches!(instance.verify(r#"{"ground_truth":"[1]"}"#), Err(Failure::Refused(_))));
}
