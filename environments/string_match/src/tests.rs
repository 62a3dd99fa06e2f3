// SPDX-License-Identifier: Apache-2.0
use gym_env::{Context, Failure, Instance, Response};
use serde_json::{Value, json};

use super::*;

/// Grades a text: the reward, and the extracted answer.
fn grade(row: Value, response: &Response) -> (f64, Value) {
    let mut request = row;
    request["response"] = serde_json::from_str(response.json()).unwrap();
    let verdict = Instance::<StringMatch>::new(Context::for_test().build()).verify(request.to_string()).unwrap();
    (verdict.reward(), verdict.fields()["extracted_answer"].clone())
}

#[test]
fn all_messages_are_read_as_lines() {
    let response = Response::builder().message("Answer: Lyon").reasoning("Answer: Nice").message("Bye.").build();
    assert_eq!(grade(json!({"expected_answer": "Lyon"}), &response), (1.0, json!("Lyon")));
    let row = json!({"expected_answer": "Bye.", "extraction_mode": "last_line"});
    assert_eq!(grade(row, &response), (1.0, json!("Bye.")));
}

#[test]
fn the_case_matters_where_the_row_says_so() {
    for (answer, reward) in [("LaTeX", 1.0), ("latex", 0.0), ("LaTeX!", 0.0), ("42.0", 0.0)] {
        let row = json!({"expected_answer": " LaTeX ", "case_sensitive": true});
        let response = Response::builder().message(format!("Answer: {answer}")).build();
        assert_eq!(grade(row, &response), (reward, json!(answer)));
    }
}

#[test]
fn without_an_answer_or_an_expected_one_there_is_no_reward() {
    let response = Response::builder().message("I do not know").build();
    assert_eq!(grade(json!({"expected_answer": "x"}), &response), (0.0, Value::Null));
    let row = json!({"expected_answer": "", "extraction_mode": "full_response"});
    assert_eq!(grade(row, &response), (0.0, json!("I do not know")));
    assert_eq!(grade(json!({"expected_answer": "x"}), &Response::new("{}")), (0.0, Value::Null));
}

#[test]
fn nothing_that_a_request_holds_traps() {
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let digits = "1,".repeat(50_000);
    for fields in [
        format!(r#""expected_answer":"a","metadata":{{"x":{deep}}},"response":{{"output":{deep}}}"#),
        format!(r#""expected_answer":"{digits}","response":{{"output":[{{"type":"message","role":"assistant","content":"{digits}"}}]}}"#),
        r#""expected_answer":"\u0000","response":{"output":[{"type":"message","role":"assistant","content":"Answer: \ud800"}]}"#.to_owned(),
    ] {
        let verdict = Instance::<StringMatch>::new(Context::for_test().build()).verify(format!("{{{fields}}}"));
        assert_eq!(verdict.unwrap().reward(), 0.0);
    }
    for fields in [r#""expected_answer":1"#, r#""expected_answer":"a","extraction_mode":"xml""#, r#""a":1"#] {
        let outcome = Instance::<StringMatch>::new(Context::for_test().build()).verify(format!("{{{fields}}}"));
        assert!(matches!(outcome, Err(Failure::Refused(_))), "{fields}");
    }
}

#[test]
fn arbitrary_texts_get_a_reward_between_zero_and_one() {
    let pieces =
        ["\\text{", "}", "{", "$", "1", ",", ".", "and", " ", "π", "²", "^\\circ", "new york", "\"", "e5", "\u{fb01}"];
    let mut rng = gym_env::Rng::from_seed(7);
    let mut text = || -> String { (0..rng.between(0, 12)).map(|_| pieces[rng.between(0, 15) as usize]).collect() };
    for _ in 0..3_000 {
        let (expected, answer) = (text(), text());
        let row = json!({"expected_answer": expected, "extraction_mode": "full_response"});
        let (reward, _) = grade(row, &Response::builder().message(&answer).build());
        assert!([0.0, 0.98, 1.0].contains(&reward), "{answer:?} for {expected:?}: {reward}");
        let own = compare::grade(&expected, &expected);
        assert_eq!(own, 1.0, "{expected:?} is itself");
    }
}
