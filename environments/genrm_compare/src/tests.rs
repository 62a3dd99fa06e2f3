// SPDX-License-Identifier: Apache-2.0
use gym_env::{Instance, ModelFailure, Response, TestContext};

use super::*;

fn context(config: Value, answers: &[&str]) -> TestContext {
    let mut block = json!({
        "genrm_model_server": {"type": "responses_api_models", "name": "judge"},
        "genrm_responses_create_params": {"input": [], "temperature": 0.6},
        "num_rollouts_per_prompt": 3,
        "genrm_parse_retries": 1,
    });
    for (name, value) in config.as_object().unwrap() {
        block[name] = value.clone();
    }
    let answers = answers.iter().map(|text| Ok(Response::builder().message(*text).build()));
    Context::for_test().config(block).model("judge", answers)
}

fn scores(one: f64, other: f64, ranking: f64) -> String {
    json!({"score_1": one, "score_2": other, "ranking": ranking}).to_string()
}

fn member(index: usize, text: &str) -> Value {
    json!({
        "responses_create_params": {"input": "Which is best?"}, "response": Response::builder().message(text).to_value(),
        "_ng_rollout_index": index, "_ng_group_id": "g", "principle": "Be short.",
    })
}

fn group(test: &TestContext) -> Result<Vec<f64>, Failure> {
    let mut request = member(0, "a");
    request["group"] = json!([member(0, "a"), member(1, "b"), member(2, " ")]);
    let verdict = Instance::<GenrmCompare>::new(test.build()).verify(request.to_string())?;
    let group = verdict.fields()["group"].as_array().unwrap();
    for (index, member) in group.iter().enumerate() {
        assert_eq!((&member["_ng_rollout_index"], &member["_ng_group_id"]), (&json!(index), &json!("g")));
    }
    Ok(group.iter().map(|member| member["reward"].as_f64().unwrap()).collect())
}

#[test]
fn members_of_a_group_are_compared_in_a_circle() {
    let answers = [scores(5.0, 3.0, 1.0), scores(4.0, 4.0, 2.0), scores(2.0, 3.0, 6.0)];
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    let test = context(json!({"use_principle": true}), &answers);
    assert_eq!(group(&test).unwrap(), [4.0, 4.25, 2.25]);
    let requests = test.requests("judge");
    assert_eq!(requests.len(), 3);
    assert_eq!(
        requests[2],
        json!({
            "input": [{"role": "user", "content": "Which is best?", "type": "message"}],
            "temperature": 0.6,
            "metadata": {"response_1": "None", "response_2": "a", "principle": "Be short."},
        })
    );
    let test = context(json!({"score_normalization": "min_max"}), &answers);
    assert_eq!(group(&test).unwrap(), [0.875, 1.0, 0.0]);
    assert!(test.requests("judge")[0]["metadata"].get("principle").is_none());
}

#[test]
fn a_judge_that_is_not_legible_is_asked_again() {
    let good = scores(4.0, 2.0, 1.0);
    let test = context(json!({}), &["what?", &good, &good, &good]);
    assert_eq!(group(&test).unwrap(), [3.0, 3.0, 3.0]);
    let asked = test.requests("judge");
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[3]["metadata"], asked[0]["metadata"]);
    // Both tries of the first pair fail: the neutral 3 for the first and the second.
    let test = context(json!({}), &["what?", &good, &good, "{}"]);
    assert_eq!(group(&test).unwrap(), [2.5, 3.5, 3.0]);
}

#[test]
fn a_judge_that_fails_leaves_no_reward() {
    let good = scores(4.0, 2.0, 1.0);
    let test = context(json!({}), &[&good, " ", ""]);
    let judge_failed = |failure: Failure| matches!(failure, Failure::Fault(fault) if fault.is_judge_failure());
    assert!(judge_failed(group(&test).unwrap_err()), "empty answers are no answers");
    for (failure, asked) in [
        (ModelFailure::Status { status: 400, body: String::new() }, 3),
        (ModelFailure::Status { status: 503, body: String::new() }, 6),
        (ModelFailure::Unavailable("it hung up".to_owned()), 6),
        (ModelFailure::Unavailable("it took longer than 9 s (`judge_request_timeout_s`)".to_owned()), 3),
    ] {
        let test = context(json!({}), &[]).model("judge", [Err(failure.clone()), Err(failure)]);
        assert!(judge_failed(group(&test).unwrap_err()));
        assert_eq!(test.requests("judge").len(), asked);
    }
}

#[test]
fn a_group_may_be_compared_at_once() {
    let answers = [scores(5.0, 3.0, 1.0), scores(3.0, 3.0, 3.0)];
    let test = context(json!({}), &[&answers[0], &answers[1]]);
    let response = |text: &str| Response::builder().message(text).to_value();
    let body = json!({"conversation_history": [{"role": "user", "content": "?"}], "response_objs": [response("a"), response("b")]});
    let reply = Instance::<GenrmCompare>::new(test.build()).call_tool("compare", &body.to_string()).unwrap();
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["rewards"], json!([3.75, 3.25]));
    assert_eq!(
        reply["comparison_results"][1],
        json!({"response_i": 1, "response_j": 0, "judge_idx": 0, "score_1": 3.0, "score_2": 3.0, "ranking": 3.0})
    );
    assert_eq!(reply["metrics"]["mean_individual_score"], 3.5);
    assert_eq!(reply["metrics"]["tiebreak_usage_rate"], 0.5);
    for (responses, rewards) in [(json!([]), json!([])), (json!([response("a")]), json!([3.0]))] {
        let body = json!({"conversation_history": [], "response_objs": responses});
        let reply = Instance::<GenrmCompare>::new(test.build()).call_tool("compare", &body.to_string()).unwrap();
        assert_eq!(reply, json!({"rewards": rewards, "comparison_results": null, "metrics": null}).to_string());
    }
    let status = |name: &str, body: &str| match Instance::<GenrmCompare>::new(context(json!({}), &[]).build())
        .call_tool(name, body)
    {
        Err(Failure::Refused(refuse)) => refuse.status(),
        other => panic!("{other:?}"),
    };
    assert_eq!(status("compare", "{}"), 422);
    assert_eq!(status("other", "{}"), 404);
    let two = json!({"conversation_history": [], "response_objs": [response("a"), response("b")]}).to_string();
    assert_eq!(status("compare", &two), 503);
}

#[test]
fn an_attempt_alone_gets_the_neutral_score_or_is_compared_with_the_rows_responses() {
    let grade = |row: Value, answers: &[&str]| {
        let test = context(json!({"num_rollouts_per_prompt": 1, "score_normalization": "min_max"}), answers);
        let mut request = member(0, "a");
        request.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        Instance::<GenrmCompare>::new(test.build()).verify(request.to_string()).unwrap().reward()
    };
    assert_eq!(grade(json!({}), &[]), 3.0);
    let answers = [scores(5.0, 2.0, 1.0), scores(2.0, 5.0, 6.0)];
    assert_eq!(grade(json!({"reference_responses": ["b"]}), &[&answers[0], &answers[1]]), 1.0);
    assert_eq!(grade(json!({"reference_responses": ["b"]}), &[&answers[1], &answers[0]]), 0.0);
}

#[test]
fn the_description_tells_the_host_of_groups() {
    let describe = |config: Value| Instance::<GenrmCompare>::new(context(config, &[]).build()).describe();
    let group = describe(json!({})).unwrap().verify_fields["x-gym-group"].clone();
    assert_eq!(
        group,
        json!({"size": 3, "collect_seconds": 1800.0, "evaluate_seconds": 1800.0, "keep_seconds": 3600.0, "keep": 4096,
            "same": ["principle"], "alone_with": "reference_responses", "explicit": true})
    );
    let august = describe(json!({"reward_rules": "august_2026"})).unwrap();
    assert_eq!(august.verify_fields["x-gym-group"]["explicit"], false);
    assert_eq!(describe(json!({"num_rollouts_per_prompt": 1})).unwrap().verify_fields.get("x-gym-group"), None);
    for config in [
        json!({"genrm_model_server": null}),
        json!({"num_judges_per_comparison": 0}),
        json!({"comparison_strategy": "random"}),
        json!({"aggregator_method": "elo"}),
    ] {
        assert!(describe(config.clone()).is_err(), "{config}");
    }
}

#[test]
fn nothing_that_a_request_holds_traps() {
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut instance = Instance::<GenrmCompare>::new(context(json!({}), &["{", "}", "x", "x"]).build());
    for request in [
        format!(r#"{{"group":[{{"response":{deep}}},{{"responses_create_params":{{"input":{deep}}}}}]}}"#),
        format!(r#"{{"group":{deep}}}"#),
        r#"{"group":[3,null]}"#.to_owned(),
        r#"{"group":[{"principle":3}]}"#.to_owned(),
        r#"{"group":[{"response":{"output":[{"type":"message","content":[{"type":"output_text","text":"\ud800"}]}]}}]}"#.to_owned(),
    ] {
        let _outcome = instance.verify(request);
    }
    for body in [&*deep, r#"{"conversation_history":[{"role":"\ud800"}],"response_objs":[]}"#, "x"] {
        assert!(instance.call_tool("compare", body).is_err());
    }
}
