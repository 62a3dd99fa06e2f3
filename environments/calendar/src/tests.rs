// SPDX-License-Identifier: Apache-2.0

use gym_env::{Context, Failure, Instance, Response};
use serde_json::{Value, json};

use super::*;

fn verify(request: &Value) -> Result<f64, Failure> {
    let mut instance = Instance::<Calendar>::new(Context::for_test().build());
    instance.verify(request.to_string()).map(|verdict| verdict.reward())
}

fn reward(expected: &Value, answer: &str) -> f64 {
    let response = Response::builder().message(answer).to_value();
    verify(&json!({"exp_cal_state": expected, "response": response})).unwrap()
}

fn expected(constraint: &Value) -> Value {
    json!({"3": {"event_id": 3, "duration": 45, "constraint": constraint, "min_time": "10am", "max_time": "4pm"}})
}

fn event(start: &str) -> String {
    format!(r#"[{{"event_id": 3, "start_time": "{start}", "duration": 45}}]"#)
}

#[test]
fn constraints_bound_the_event() {
    for (constraint, start, right) in [
        (json!(null), "10am", 1.0),
        (json!(null), "9:59am", 0.0),
        (json!(null), "3:15pm", 1.0),
        (json!(null), "3:16pm", 0.0),
        (json!("before 1pm"), "12:15pm", 1.0),
        (json!("before 1pm"), "12:16pm", 0.0),
        (json!("after 1:30pm"), "13:30", 1.0),
        (json!("after 1:30pm"), "13:29", 0.0),
        (json!("between 11am and 12:15pm"), "11:30am", 1.0),
        (json!("between 11am and 12:15pm"), "10:59am", 0.0),
        (json!("between 11am and 12:15pm"), "11:31am", 0.0),
        (json!("between 11am"), "11am", 0.0),
        (json!("at 2pm"), "14:00", 1.0),
        (json!("at 2pm"), "2:05pm", 0.0),
        (json!("at 2 o'clock"), "2pm", 0.0),
        (json!("whenever you like"), "2pm", 1.0),
        (json!(""), "2pm", 1.0),
        (json!("Before 1pm"), "3pm", 1.0),
        (json!(5), "2pm", 0.0),
    ] {
        assert_eq!(reward(&expected(&constraint), &event(start)), right, "{constraint} {start}");
    }
}

#[test]
fn only_the_first_list_counts() {
    let wanted = expected(&json!("at 2pm"));
    let (right, wrong) = (event("2pm"), event("3pm"));
    for (answer, reward_of_it) in [
        (format!("Sure. {right} Anything else?"), 1.0),
        (format!("```json\n{right}\n```"), 1.0),
        (format!("{wrong} no, {right}"), 0.0),
        (format!("{right} or {wrong}"), 1.0),
        (format!("[1, 2] {right}"), 1.0),
        (format!("[{{}}] {right}"), 0.0),
        (right.replace('"', "'"), 0.0),
        ("It is at 2pm.".to_owned(), 0.0),
        ("[]".to_owned(), 0.0),
    ] {
        assert_eq!(reward(&wanted, &answer), reward_of_it, "{answer}");
    }
}

#[test]
fn ids_are_compared_as_text_and_counted() {
    let wanted = expected(&json!(null));
    for (answer, right) in [
        (r#"[{"event_id": "3", "start_time": "1pm", "duration": 45}]"#, 1.0),
        (r#"[{"event_id": 3.0, "start_time": "1pm", "duration": 45}]"#, 0.0),
        (r#"[{"event_id": 3, "start_time": "1pm", "duration": 45.0}]"#, 1.0),
        (r#"[{"event_id": 3, "start_time": "1pm", "duration": "45"}]"#, 0.0),
        (r#"[{"event_id": 3, "start_time": "1pm", "duration": NaN}]"#, 0.0),
        (r#"[{"event_id": 4, "start_time": "1pm", "duration": 45}]"#, 0.0),
        (r#"[{"event_id": 3, "start_time": 13, "duration": 45}]"#, 0.0),
        (r#"[{"event_id": 3, "duration": 45}]"#, 0.0),
        (r#"[{"start_time": "1pm", "duration": 45}]"#, 0.0),
        (r#"[{"event_id": 3, "start_time": "1pm", "duration": 45}, 7]"#, 0.0),
        // The same event twice is one event; twice at different times it is one too, and the last one counts.
        (
            r#"[{"event_id": 3, "start_time": "1pm", "duration": 45}, {"duration": 45, "event_id": 3, "start_time": "1pm"}]"#,
            1.0,
        ),
        (
            r#"[{"event_id": 3, "start_time": "8am", "duration": 45}, {"event_id": 3, "start_time": "1pm", "duration": 45}]"#,
            1.0,
        ),
        (
            r#"[{"event_id": 3, "start_time": "1pm", "duration": 45}, {"event_id": 3, "start_time": "1pm", "duration": 45, "x": 1}]"#,
            0.0,
        ),
        (
            r#"[{"event_id": 3, "start_time": "1pm", "duration": 45}, {"event_id": 4, "start_time": "2pm", "duration": 45}]"#,
            0.0,
        ),
    ] {
        assert_eq!(reward(&wanted, answer), right, "{answer}");
    }
}

#[test]
fn events_may_touch_but_not_overlap() {
    let wanted = json!({
        "1": {"event_id": 1, "duration": 60, "constraint": null, "min_time": "10am", "max_time": "4pm"},
        "2": {"event_id": 2, "duration": 30, "constraint": null, "min_time": "10am", "max_time": "4pm"},
    });
    for (first, second, right) in
        [("10am", "11am", 1.0), ("10am", "10:59am", 0.0), ("10:30am", "10am", 1.0), ("1pm", "13:00", 0.0)]
    {
        let answer = format!(
            r#"[{{"event_id": 1, "start_time": "{first}", "duration": 60}}, {{"event_id": 2, "start_time": "{second}", "duration": 30}}]"#
        );
        assert_eq!(reward(&wanted, &answer), right, "{answer}");
    }
}

#[test]
fn an_answer_is_needed_even_when_nothing_is_expected() {
    for (expected_state, answer, right) in [
        (json!({}), "Good morning.", 1.0),
        (json!({}), "", 0.0),
        (json!({}), " ", 1.0),
        (json!({}), "<think>hm</think> Good morning.", 0.0),
        (json!({}), "</think> Good morning.", 1.0),
    ] {
        assert_eq!(reward(&expected_state, answer), right, "{answer}");
    }
}

#[test]
fn the_first_part_of_the_last_item_is_graded() {
    let message = |text: &str| {
        json!({"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": text}, {"type": "output_text", "text": "<think>"}]})
    };
    let reasoning = json!({"type": "reasoning", "summary": []});
    for (output, right) in [
        (json!([message("hello")]), 1.0),
        (json!([message("<think>"), message("hello")]), 1.0),
        (json!([message("hello"), reasoning]), 0.0),
        (json!([]), 0.0),
        (json!([{"type": "message", "role": "assistant", "content": []}]), 0.0),
    ] {
        assert_eq!(verify(&json!({"exp_cal_state": {}, "response": {"output": output}})).unwrap(), right, "{output}");
    }
}

#[test]
fn rows_without_an_expected_calendar_are_refused() {
    for row in [json!({}), json!({"exp_cal_state": null}), json!({"exp_cal_state": []})] {
        assert!(matches!(verify(&row), Err(Failure::Refused(_))), "{row}");
    }
}

#[test]
fn a_last_item_with_plain_text_is_a_fault_and_no_reward() {
    for (content, is_fault) in [(json!("[]"), true), (json!(""), false), (json!([]), false), (json!(null), false)] {
        let response = json!({"output": [{"type": "message", "role": "user", "content": content}]});
        let graded = verify(&json!({"exp_cal_state": {}, "response": response}));
        assert_eq!(matches!(graded, Err(Failure::Fault(_))), is_fault, "{content}: {graded:?}");
    }
}

/// Takes pieces out of a request, doubles them and puts odd ones in: whatever comes of it is graded or refused.
#[test]
fn no_request_traps() {
    let answer = r#"[{"event_id": 3, "start_time": "1pm", "duration": 45}, {"event_id": 4, "start_time": "2:30pm", "duration": 1e400}]"#;
    let response = Response::builder().message(answer).to_value();
    let whole = json!({"exp_cal_state": expected(&json!("between 1pm and 2pm")), "response": response}).to_string();
    let odd = [
        "[",
        "{",
        "\"",
        "\\ud800",
        "1e999",
        "-0",
        "null",
        "NaN",
        "[[[[",
        "99999999999999999999999999999999999999999",
        "é",
        ":",
        ",",
    ];
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut graded = 0;
    for _ in 0..20_000 {
        let mut text: Vec<char> = whole.chars().collect();
        for _ in 0..1 + below(3) {
            let at = below(text.len());
            match below(3) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, text[below(text.len())]),
                _ => drop(text.splice(at..at, odd[below(odd.len())].chars())),
            }
        }
        let text: String = text.into_iter().collect();
        let mut instance = Instance::<Calendar>::new(Context::for_test().build());
        match instance.verify(text.as_str()) {
            Ok(verdict) => {
                assert!([0.0, 1.0].contains(&verdict.reward()), "{text}");
                graded += 1;
            }
            Err(Failure::Refused(refuse)) => assert_eq!(refuse.status(), 422, "{text}"),
            Err(other) => panic!("{text}: {other:?}"),
        }
    }
    assert!(graded > 1000, "most requests should still be readable: {graded}");
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let answer = json!(format!("[{{\"event_id\": {deep}}}]"));
    let request = format!(
        r#"{{"exp_cal_state":{{"3":{deep}}},"response":{{"output":[{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":{answer}}}]}}]}}}}"#
    );
    let mut instance = Instance::<Calendar>::new(Context::for_test().build());
    assert_eq!(instance.verify(request).unwrap().reward(), 0.0);
}
