// SPDX-License-Identifier: Apache-2.0
//! Whatever a row and an answer hold, grading ends in a verdict or in a failure.

use gym_env::{Context, Instance, Response, Rng};
use serde_json::{Value, json};

use super::*;

/// Values of all types, odd ones among them.
fn any_value(rng: &mut Rng, depth: u64) -> Value {
    match rng.below(if depth == 0 { 8 } else { 11 }) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(1e300),
        4 => json!(u64::MAX),
        5 => json!(""),
        6 => json!("[(\\"),
        7 => json!("\u{0}é\u{fffd} a.b! C"),
        8 => json!([any_value(rng, depth - 1)]),
        9 => json!({"keyword": any_value(rng, depth - 1)}),
        _ => json!([]),
    }
}

#[test]
fn no_arguments_and_no_text_make_a_class_trap() {
    let mut rng = Rng::from_seed(7);
    let mut instance = Instance::<InstructionFollowing>::new(Context::for_test().build());
    for round in 0..3_000 {
        let class = &checks::CLASSES[round % checks::CLASSES.len()];
        let kwargs: Map<String, Value> =
            class.parameters.iter().map(|name| ((*name).to_owned(), any_value(&mut rng, 2))).collect();
        let marks = ["a", "B ", "é", ".", "!", "\"", "***", "\n\n", "-", "<<", ">>", "[", "]", "1", "\u{0}", "ſ", "İ"];
        let text: String = (0..rng.below(12)).filter_map(|_| rng.choose(&marks).copied()).collect();
        let request = json!({
            "id": 1,
            "verifier_metadata": {"instruction_id_list": [class.name], "prompt": "", "kwargs": [kwargs]},
            "response": Response::builder().message(text).to_value(),
        });
        if let Ok(verdict) = instance.verify(request.to_string()) {
            assert!([0.0, 1.0].contains(&verdict.reward()), "{request}");
        }
    }
}

#[test]
fn names_and_arguments_are_what_a_loop_goes_over() {
    let mut instance = Instance::<InstructionFollowing>::new(Context::for_test().build());
    for (names, kwargs, reward) in [
        (json!({"punctuation:no_comma": 1}), json!([{}]), 1.0),
        (json!(["startend:quotation"]), json!([{}]), 0.0),
        // No arguments, so that there is nothing to follow.
        (json!(["startend:quotation"]), json!({}), 1.0),
        (json!(["punctuation:no_comma"]), json!("x"), 0.0),
        (json!("x"), json!([{}]), 0.0),
    ] {
        let request = json!({
            "id": 1,
            "verifier_metadata": {"instruction_id_list": names, "prompt": "", "kwargs": kwargs},
            "response": Response::builder().message("x").to_value(),
        });
        let verdict = instance.verify(request.to_string()).expect("the row can be graded");
        assert_eq!(verdict.reward(), reward, "{request}");
    }
}

#[test]
fn rows_of_any_form_are_graded_or_rejected() {
    let mut rng = Rng::from_seed(11);
    let mut instance = Instance::<InstructionFollowing>::new(Context::for_test().build());
    for _ in 0..2_000 {
        let mut row = json!({"id": any_value(&mut rng, 1), "response": {"output": any_value(&mut rng, 2)}});
        for name in ["verifier_metadata", "instruction_id_list", "kwargs", "prompt", "grading_mode", "response"] {
            if rng.below(2) == 0 {
                row[name] = any_value(&mut rng, 3);
            }
        }
        if let Ok(verdict) = instance.verify(row.to_string()) {
            assert!((0.0..=1.0).contains(&verdict.reward()), "{row}");
        }
    }
}

#[test]
fn deep_metadata_and_lone_surrogates_are_no_trap() {
    let mut instance = Instance::<InstructionFollowing>::new(Context::for_test().build());
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let request = format!(r#"{{"id":1,"instruction_id_list":[],"prompt":"","kwargs":{deep},"response":{{}}}}"#);
    assert!(instance.verify(request).is_err());
    let text = r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"a\ud800,"}]}]}"#;
    let row = r#""id":1,"instruction_id_list":["punctuation:no_comma"],"prompt":"","kwargs":[{}]"#;
    let verdict = instance.verify(format!(r#"{{{row},"response":{text}}}"#)).expect("the request is complete");
    assert_eq!(verdict.reward(), 0.0);
}
