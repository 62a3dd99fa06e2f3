// SPDX-License-Identifier: Apache-2.0
use gym_env::{Instance, Response, TestContext};
use serde_json::{Value, json};

use super::*;

const TEMPLATE: &str = "Q {question}\nE {expected_answer}\nG {generated_answer}";

fn context(config: Value, verdicts: &[&str]) -> TestContext {
    let mut block = json!({
        "judge_model_server": {"type": "responses_api_models", "name": "judge"},
        "judge_responses_create_params": {"input": [], "temperature": 0.5},
        "entrypoint": "app.py",
    });
    for (name, value) in config.as_object().unwrap() {
        block[name] = value.clone();
    }
    let answers = verdicts.iter().map(|text| Ok(Response::builder().message(*text).build()));
    Context::for_test()
        .config(block)
        .file("prompt_templates/equivalence_llm_judge.txt", format!("\n{TEMPLATE}\n"))
        .model("judge", answers)
}

/// The reward, and the messages to the judge.
fn grade(config: Value, row: Value, said: &str, verdicts: &[&str]) -> (f64, Vec<String>) {
    let test = context(config, verdicts);
    let mut request = json!({"responses_create_params": {"input": "Why?"}, "expected_answer": "gold"});
    for (name, value) in row.as_object().unwrap() {
        request[name] = value.clone();
    }
    request["response"] = Response::builder().message("earlier").message(said).to_value();
    let verdict = Instance::<EquivalenceLlmJudge>::new(test.build()).verify(request.to_string()).unwrap();
    let requests = test.requests("judge");
    let evaluations = verdict.fields()["judge_evaluations"].as_array().unwrap();
    assert_eq!(evaluations.len(), requests.len());
    for (evaluation, request) in evaluations.iter().zip(&requests) {
        assert_eq!(request["temperature"], 0.5);
        // The reply also has the parameters that were not sent, and the messages' type.
        let told = &evaluation["responses_create_params"];
        assert_eq!((&told["temperature"], &told["tool_choice"]), (&json!(0.5), &json!("auto")));
        assert_eq!(told["input"][0]["content"], request["input"][0]["content"]);
    }
    let prompts = requests.iter().map(|request| request["input"][0]["content"].as_str().unwrap().to_owned());
    (verdict.reward(), prompts.collect())
}

fn prompt(question: &str, expected: &str, generated: &str) -> String {
    format!("Q {question}\nE {expected}\nG {generated}")
}

const BOX: &str = r"\[(.*?)\]";

#[test]
fn the_judge_reads_question_and_answers() {
    let (reward, prompts) = grade(json!({}), json!({}), " said ", &["[[A=B]]"]);
    assert_eq!((reward, prompts), (1.0, vec![prompt("Why?", "gold", "said")]));
    let config = json!({"question_extract_regex": "Q: (.*)", "response_extract_regex": "A: (.*)"});
    let row = json!({"responses_create_params": {"input": [{"role": "user", "content": "Text.\nQ: Who?"}]}});
    let (reward, prompts) = grade(config, row, "A: me", &["[[A!=B]]"]);
    assert_eq!((reward, prompts), (0.0, vec![prompt("Who?", "gold", "me")]));
}

#[test]
fn the_swap_check_exchanges_the_answers() {
    for (verdict, reward) in [("[[A=B]]", 1.0), ("[[A!=B]]", -0.5), ("?", -0.5)] {
        let config = json!({"check_twice_swap": true, "reward_if_swap_fails": -0.5});
        let outcome = grade(config, json!({}), "said", &["[[A=B]]", verdict]);
        assert_eq!(outcome, (reward, vec![prompt("Why?", "gold", "said"), prompt("Why?", "said", "gold")]));
    }
    let (reward, prompts) = grade(json!({"check_twice_swap": true}), json!({}), "said", &["[[A!=B]]"]);
    assert_eq!((reward, prompts.len()), (0.0, 1));
}

#[test]
fn a_rows_pattern_comes_before_that_of_the_configuration() {
    let row = json!({"template_metadata": {"output_regex": BOX}});
    let config = json!({"response_extract_regex": "said"});
    let (_, prompts) = grade(config.clone(), row.clone(), "I said [x]", &["[[A=B]]"]);
    assert_eq!(prompts, [prompt("Why?", "gold", "x")]);
    let without = json!({"response_extract_regex": "said", "use_per_record_regex": false});
    let (reward, prompts) = grade(without, row, "I said [x]", &["[[A!=B]]"]);
    assert_eq!((reward, prompts), (0.0, vec![prompt("Why?", "gold", "said")]), "and there is no rescue");
    for nothing in [json!({"output_regex": ""}), json!({"output_regex": null}), json!("text"), json!(null)] {
        let (_, prompts) = grade(config.clone(), json!({"template_metadata": nothing}), "I said [x]", &["[[A!=B]]"]);
        assert_eq!(prompts, [prompt("Why?", "gold", "said")]);
    }
}

#[test]
fn the_whole_answer_may_rescue_half_of_the_reward() {
    let row = json!({"template_metadata": {"output_regex": BOX}});
    for (verdict, reward) in [("[[A=B]]", 0.5), ("[[A!=B]]", 0.0)] {
        let outcome = grade(json!({}), row.clone(), "gold [x]", &["[[A!=B]]", verdict]);
        assert_eq!(outcome, (reward, vec![prompt("Why?", "gold", "x"), prompt("Why?", "gold", "gold [x]")]));
    }
    let config = json!({"check_full_generation_on_fail": false});
    assert_eq!(grade(config, row, "gold [x]", &["[[A!=B]]"]).0, 0.0);
}

#[test]
fn a_long_expected_answer_is_compared_once_with_the_whole_answer() {
    let row =
        |length: usize| json!({"expected_answer": "ä".repeat(length), "template_metadata": {"output_regex": BOX}});
    let config = json!({"check_twice_swap": true});
    let (reward, prompts) = grade(config.clone(), row(121), "all [x]", &["[[A=B]]"]);
    assert_eq!((reward, prompts), (1.0, vec![prompt("Why?", &"ä".repeat(121), "all [x]")]));
    let (reward, prompts) = grade(config.clone(), row(121), "all [x]", &["[[A!=B]]"]);
    assert_eq!((reward, prompts.len()), (0.0, 1));
    let (_, prompts) = grade(config.clone(), row(120), "all [x]", &["[[A=B]]", "[[A=B]]"]);
    assert_eq!(prompts[0], prompt("Why?", &"ä".repeat(120), "x"));
    let unlimited = json!({"extraction_length_threshold": null});
    let (_, prompts) = grade(unlimited, row(500), "all [x]", &["[[A=B]]"]);
    assert_eq!(prompts[0], prompt("Why?", &"ä".repeat(500), "x"));
    // Without a pattern of the row the length does not matter.
    let (_, prompts) = grade(config, json!({"expected_answer": "ä".repeat(500)}), "all", &["[[A=B]]", "[[A=B]]"]);
    assert_eq!(prompts.len(), 2);
}

#[test]
fn an_empty_answer_is_wrong_without_a_judge_by_the_current_rules() {
    let (reward, prompts) = grade(json!({}), json!({}), " \n", &[]);
    assert_eq!((reward, prompts.len()), (0.0, 0));
    let config = json!({"reward_rules": "august_2026", "response_extract_regex": "VALID"});
    let (reward, prompts) = grade(config, json!({}), "", &["[[A!=B]]"]);
    assert_eq!((reward, prompts), (0.0, vec![prompt("Why?", "gold", "[NO VALID ANSWER EXTRACTED]")]));
}

#[test]
fn the_release_decides_which_verdict_counts() {
    let verdict = &["[[A!=B]], no, [[A=B]]"];
    assert_eq!(grade(json!({}), json!({}), "said", verdict).0, 1.0);
    assert_eq!(grade(json!({"reward_rules": "august_2026"}), json!({}), "said", verdict).0, 0.0);
}

#[test]
fn mistakes_in_the_configuration_show_when_it_is_loaded() {
    let load = |config: Value| {
        let outcome = Instance::<EquivalenceLlmJudge>::new(context(config, &[]).build()).describe();
        outcome.map(|_| ()).map_err(|failure| format!("{failure:?}"))
    };
    assert_eq!(load(json!({})), Ok(()));
    for (config, word) in [
        (json!({"judge_prompt_template_fpath": "missing.txt"}), "missing.txt"),
        (json!({"response_extract_regex": "("}), "response_extract_regex"),
        (json!({"judge_model_server": "judge"}), "configuration"),
        (json!({"check_twice_swap": "perhaps"}), "configuration"),
        (json!({"max_answer_chars": 0}), "configuration"),
        (json!({"reward_rules": "july"}), "configuration"),
    ] {
        assert!(load(config.clone()).unwrap_err().contains(word), "{config}");
    }
}

#[test]
fn the_rate_of_parsing_issues_counts_rollouts() {
    let evaluation = |text: &str| {
        json!({"verdict_label": null, "response": {"output": [
            {"type": "message", "content": [{"type": "output_text", "text": text}]}]}})
    };
    let replies = json!([[
        {"judge_evaluations": [evaluation("[[A=B]]"), evaluation("[[A=B]] [[A!=B]]")]},
        {"judge_evaluations": [{"verdict_label": null, "judgement_parsing_issues": ["no_verdict"]}]},
        {"judge_evaluations": [evaluation("[[A=B]]")]},
        {"judge_evaluations": [evaluation("?")]},
        {"judge_evaluations": []},
        {"judge_evaluations": [{"verdict_label": "JUDGE_ERROR", "response": {"output": []}}]},
        {"reward": 1.0},
    ]]);
    let request = json!({"tasks": replies, "agent_metrics": {"mean/reward": 0.5, "max/reward": 1.0}});
    let metrics = Instance::<EquivalenceLlmJudge>::new(context(json!({}), &[]).build())
        .aggregate_metrics(&request.to_string())
        .unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(
        metrics,
        json!({
            "agent_metrics": {
                "judgement_parsing_issue_rate": 0.75,
                "judgement_parsing_issue_rate/conflicting_verdicts": 0.25,
                "judgement_parsing_issue_rate/no_verdict": 0.5,
            },
            "key_metrics": {"mean/reward": 0.5, "judgement_parsing_issue_rate": 0.75},
        })
    );
}

#[test]
fn nothing_that_a_request_holds_traps() {
    let deep = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    for fields in [
        format!(r#""metadata":{deep},"options":{deep},"response":{deep}"#),
        format!(r#""template_metadata":{deep}"#),
        format!(r#""template_metadata":{{"output_regex":{deep}}}"#),
        format!(r#""responses_create_params":{{"input":{deep}}}"#),
        r#""metadata":{"expected_answer":1e999}"#.to_owned(),
        r#""metadata":{"expected_answer":"\ud800"}"#.to_owned(),
        r#""template_metadata":{"output_regex":123456789012345678901234567890}"#.to_owned(),
        r#""uuid":[],"options":3"#.to_owned(),
    ] {
        let text = r#""response":{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"\udfff x"}]}]}"#;
        let mut instance = Instance::<EquivalenceLlmJudge>::new(context(json!({}), &["[[A!=B]]"; 2]).build());
        match instance.verify(format!("{{{text},{fields}}}")) {
            Ok(verdict) => assert_eq!(verdict.reward(), 0.0, "{fields:.60}"),
            Err(Failure::Refused(refuse)) => assert_eq!(refuse.status(), 422),
            Err(other) => panic!("{fields:.60}: {other:?}"),
        }
    }
}
