// SPDX-License-Identifier: Apache-2.0
use gym_env::{Context, Instance, Response};
use serde_json::{Value, json};

use super::ToolCall;
use gym_env::Verdict;

fn row() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({
        "responses_create_params": {"input": "x", "tools": [
            {"type": "function", "name": "other", "parameters": null},
            {"type": "function", "name": "get_weather", "parameters": parameters}]},
        "expected_call": {"name": "get_weather", "arguments": {"city": "Oslo"}},
    })
}

fn verify(mut row: Value, response: Value) -> Result<Verdict, gym_env::Failure> {
    row["response"] = response;
    Instance::<ToolCall>::new(Context::for_test().build()).verify(row.to_string())
}

/// The three components, in their order.
fn parts(verdict: &Verdict) -> [f64; 3] {
    assert_eq!(verdict.reward(), verdict.components().iter().map(|(_, part)| part).sum::<f64>());
    ["correctness", "schema_valid", "format"].map(|name| {
        let part = verdict.components().iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(verdict.fields()[name], json!(part));
        part
    })
}

#[test]
fn each_reward_stands_for_itself() {
    let oslo = json!({"city": "Oslo"});
    let build = Response::builder;
    for (response, expected) in [
        (build().call("get_weather", oslo.clone()), [1.0, 1.0, 1.0]),
        (build().call("get_weather", json!({"city": "Rome"})), [0.0, 1.0, 1.0]),
        (build().call("get_weather", json!({"town": "Oslo"})), [0.0, 0.0, 1.0]),
        (build().call("get_weather", json!({"city": "Oslo", "unit": "K"})), [1.0, 1.0, 1.0]),
        (build().call("get_weather", json!("no JSON")), [0.0, 0.0, 1.0]),
        (build().call("forecast", oslo.clone()), [0.0, 1.0, 1.0]),
        (build().message("Let me see.").call("get_weather", oslo.clone()), [1.0, 1.0, 0.0]),
        (build().message("").call("get_weather", oslo.clone()), [1.0, 1.0, 0.0]),
        (build().reasoning("hm").call("get_weather", oslo.clone()), [1.0, 1.0, 1.0]),
        (build().call("forecast", json!({})).call("get_weather", oslo.clone()), [1.0, 1.0, 0.0]),
        (build().call("get_weather", json!([])).call("get_weather", oslo), [1.0, 0.0, 0.0]),
        (build().message("It is cold in Oslo."), [0.0, 0.0, 0.0]),
        (build(), [0.0, 0.0, 0.0]),
    ] {
        let response = response.to_value();
        assert_eq!(parts(&verify(row(), response.clone()).unwrap()), expected, "{response}");
    }
}

#[test]
fn what_the_model_called_is_reported() {
    let response = Response::builder().call("a", json!({"x": 1})).call("b", json!("{")).to_value();
    let verdict = verify(row(), response).unwrap();
    let expected = json!([{"name": "a", "arguments": {"x": 1}}, {"name": "b", "arguments": {}}]);
    assert_eq!(verdict.fields()["predicted_calls"], expected);
}

#[test]
fn the_wanted_call_may_say_little() {
    let response = Response::builder().call("get_weather", json!({"city": "Oslo"})).to_value();
    for (expected, correct) in [
        (json!({}), 0.0),
        (json!({"name": "get_weather"}), 1.0),
        (json!({"name": "get_weather", "arguments": null}), 1.0),
        (json!({"name": "get_weather", "arguments": {"unit": null}}), 1.0),
        (json!({"name": "get_weather", "arguments": {"unit": "K"}}), 0.0),
        (json!({"arguments": {"city": "Oslo"}}), 0.0),
        (json!({"name": 3}), 0.0),
        (json!({"name": "get_weather", "arguments": []}), 1.0),
    ] {
        let mut row = row();
        row["expected_call"] = expected.clone();
        assert_eq!(parts(&verify(row, response.clone()).unwrap())[0], correct, "{expected}");
    }
    let mut bare = row();
    bare.as_object_mut().unwrap().remove("expected_call");
    assert_eq!(parts(&verify(bare, response.clone()).unwrap()), [0.0, 1.0, 1.0]);
    let mut odd = row();
    odd["expected_call"]["arguments"] = json!(["Oslo"]);
    assert!(matches!(verify(odd, response), Err(gym_env::Failure::Fault(_))));
}

#[test]
fn arguments_are_read_and_compared_as_in_python() {
    for (arguments, expected, parts_expected) in [
        (r#"{"city":"Oslo","days":1.0}"#, json!({"days": true}), [1.0, 1.0, 1.0]),
        (r#"{"city":NaN}"#, json!({"city": "Oslo"}), [0.0, 1.0, 1.0]),
        (r#"{"city":"a","city":"Oslo"}"#, json!({"city": "Oslo"}), [1.0, 1.0, 1.0]),
        (r#"{"city":[1,{"a":2}]}"#, json!({"city": [1.0, {"a": 2}]}), [1.0, 1.0, 1.0]),
        (r#"{"city":"Oslo"} "#, json!({"city": "oslo"}), [0.0, 1.0, 1.0]),
        (&format!("{{\"city\":{}", "[".repeat(100_000)), json!({"city": "Oslo"}), [0.0, 0.0, 1.0]),
    ] {
        let mut row = row();
        row["expected_call"]["arguments"] = expected.clone();
        let response = Response::builder().call("get_weather", json!(arguments)).to_value();
        assert_eq!(parts(&verify(row, response).unwrap()), parts_expected, "{arguments:.40} {expected}");
    }
}

#[test]
fn what_a_tool_requires_is_read_as_in_python() {
    let graded = |parameters: Value| {
        let mut row = row();
        row["responses_create_params"]["tools"] = json!([{"type": "function", "name": "f", "parameters": parameters}]);
        let response = Response::builder().call("f", json!({"c": 1, "city": 2})).to_value();
        verify(row, response).map(|verdict| parts(&verdict)[1]).ok()
    };
    for (required, valid) in [
        (json!(["c"]), Some(1.0)),
        (json!([]), Some(1.0)),
        (json!(null), Some(1.0)),
        (json!(0), Some(1.0)),
        (json!(["c", "d"]), Some(0.0)),
        (json!([null]), Some(0.0)),
        (json!("c"), Some(1.0)),
        (json!("city"), Some(0.0)),
        (json!({"city": 1}), Some(1.0)),
        (json!(3), None),
        (json!(true), None),
    ] {
        assert_eq!(graded(json!({"required": required})), valid, "{required}");
    }
    assert_eq!(graded(json!({})), Some(1.0));
    assert_eq!(graded(Value::Null), None);
}
