// SPDX-License-Identifier: Apache-2.0
use gym_env::{Failure, Instance, Response};
use serde_json::{Value, json};

use super::*;

const OPTIONS: [(&str, &str); 3] = [("A", "Paris"), ("B", "Lyon"), ("C", "Nice")];

/// Grades a text.
fn outcome(config: Value, row: Value, text: &str) -> Result<Verdict, Failure> {
    let cx = Context::for_test().config(config).build();
    let options: Vec<Value> = OPTIONS.iter().map(|(letter, text)| json!({*letter: text})).collect();
    let mut request = json!({"options": options, "expected_answer": "B"});
    for (name, value) in row.as_object().unwrap() {
        request[name] = value.clone();
    }
    request["response"] = Response::builder().message(text).to_value();
    Instance::<Mcqa>::new(cx).verify(request.to_string())
}

/// Grades a text: the reward, and the extracted answer.
fn grade(config: Value, row: Value, text: &str) -> (f64, Option<String>) {
    let verdict = outcome(config, row, text).unwrap();
    (verdict.reward(), verdict.fields()["extracted_answer"].as_str().map(str::to_owned))
}

fn check(config: Value, row: Value, cases: &[(&str, Option<&str>)]) {
    for (text, extracted) in cases {
        let reward = if *extracted == Some("B") { 1.0 } else { 0.0 };
        let expected = (reward, extracted.map(str::to_owned));
        assert_eq!(grade(config.clone(), row.clone(), text), expected, "{text:?} with {config} and {row}");
    }
}

#[test]
fn strict_mode_wants_one_capital_in_the_last_box() {
    check(
        json!({}),
        json!({}),
        &[
            (r"\boxed{B}", Some("B")),
            (r"\boxed{b}", None),
            (r"\boxed{ (B) }", Some("B")),
            (r"\boxed{\text{ B }}", Some("B")),
            (r"\boxed{ \text{\text{B}} }", Some("B")),
            (r"\boxed{B: Lyon}", Some("B")),
            (r"\boxed{B) Lyon}", Some("B")),
            (r"\boxed{B - Lyon}", Some("B")),
            (r"\boxed{B Lyon}", None),
            (r"\boxed{1B}", Some("B")),
            (r"\boxed{B and C}", None),
            (r"\boxed{Lyon}", None),
            (r"\boxed{D}", None),
            (r"\boxed{A} or rather \boxed{B}", Some("B")),
            (r"\boxed{B} or rather \boxed{A", None),
            (r"\boxed{}", None),
            ("B", None),
            ("  \n", None),
            ("", None),
        ],
    );
}

#[test]
fn lenient_boxed_mode_takes_the_text_of_one_choice() {
    check(
        json!({}),
        json!({"grading_mode": "lenient_boxed"}),
        &[
            (r"\boxed{B}", Some("B")),
            (r"\boxed{Lyon}", Some("B")),
            (r"\boxed{\text{the  city of LYON}}", Some("B")),
            (r"\boxed{Lyon or Nice}", None),
            (r"\boxed{Rome}", None),
            ("Lyon", None),
        ],
    );
}

#[test]
fn answer_colon_mode_takes_the_first_line_to_the_letter() {
    check(
        json!({"grading_mode": "lenient_answer_colon"}),
        json!({}),
        &[
            ("Answer: b", Some("B")),
            ("ANSWER: B\nAnswer: C", Some("B")),
            ("the answer :\n\n B", Some("B")),
            (r"answer: \text{B}", Some("B")),
            ("Answer:  lyon ", Some("B")),
            ("Answer: \\text{b}\nbye", Some("B")),
            ("Answer: \\text{b} \nbye", None),
            ("Answer: \\text{b}\r\nbye", None),
            ("Answer: b \r\nbye", Some("B")),
            ("Answer: B.", None),
            ("Answer: Lyon.", None),
            ("Answer: D", None),
            ("Answer: B or C", None),
            ("Answer:", None),
            ("Answer B", None),
            (r"\boxed{B}", None),
        ],
    );
}

#[test]
fn markdown_mode_takes_the_last_line_that_gives_a_letter() {
    for rules in ["current", "august_2026"] {
        check(
            json!({"grading_mode": "lenient_answer_colon_md", "reward_rules": rules}),
            json!({}),
            &[
                ("**Answer:** B", Some("B")),
                ("**Answer**: b.", Some("B")),
                ("__Answer__ : **B**", Some("B")),
                ("***Answer:*** B", Some("B")),
                ("Answer: C\nAnswer: B", Some("B")),
                ("Answer: B\nAnswer: unknown", Some("B")),
                ("Answer:\nB", Some("B")),
                ("Answer: B) Lyon", Some("B")),
                ("Answer: b, as shown", Some("B")),
                ("Answer: it must be B", Some("B")),
                ("Answer: not A but B", Some("B")),
                ("Answer: B or C", None),
                ("Answer: A/B", None),
                ("Answer: A, B and C", None),
                ("Answer: B, B", Some("B")),
                ("Answer: D", None),
                ("Answer: Ｂ", Some("B")),
                ("Answer: ب", Some("B")),
                ("Answer: (ব)", Some("B")),
                ("Answer: B2", None),
                ("Answer: Bologna", None),
                (r"\boxed{B}", None),
                ("Answer:", None),
            ],
        );
    }
}

#[test]
fn a_prefix_opens_further_payloads_by_the_current_rules() {
    let config = |rules: &str| json!({"grading_mode": "lenient_answer_colon_md", "reward_rules": rules});
    let row = json!({"template_metadata": {"answer_prefix": "Réponse ："}});
    check(
        config("current"),
        row.clone(),
        &[
            ("réponse :B", Some("B")),
            ("RÉPONSE :\n  b.", Some("B")),
            ("Answer: C\nRéponse : B", Some("B")),
            ("Réponse : B\nAnswer: C", Some("C")),
            ("Réponse : nobody knows\nso \\boxed{B}", Some("B")),
            ("Réponse : nobody knows", None),
        ],
    );
    check(config("august_2026"), row, &[("Réponse : B", None), (r"\boxed{B}", None)]);
    let row = |prefix: Value| json!({"template_metadata": {"answer_prefix": prefix}});
    check(config("current"), row(json!("")), &[(r"\boxed{B}", None)]);
    check(
        config("current"),
        row(json!("NİHAİ YANIT:")),
        &[("Nihai yanıt: B", Some("B")), ("nıhaı yanit: b", Some("B"))],
    );
    // White space is a prefix too: it occurs before `or`.
    check(config("current"), row(json!(" ")), &[(r"\boxed{B}", Some("B")), ("A or", None), ("take B", Some("B"))]);
    // Each occurrence opens a payload; the box is looked for in the text as it was written.
    check(
        config("current"),
        row(json!("R:")),
        &[("R: R: b", Some("B")), ("R: B\nr:  ", Some("B")), (r"\boxed{Ｂ}", None)],
    );
    assert!(matches!(outcome(config("current"), row(json!(5)), "B"), Err(Failure::Fault(_))));
}

#[test]
fn compatible_letters_count_by_the_current_rules() {
    let config = |rules: &str| json!({"grading_mode": "lenient_answer_colon_md", "reward_rules": rules});
    // Full-width colon, mathematical bold letter.
    for text in ["Answer： B", "Answer: 𝐁"] {
        check(config("current"), json!({}), &[(text, Some("B"))]);
        check(config("august_2026"), json!({}), &[(text, None)]);
    }
    let row = json!({"template_metadata": {"output_regex": "<(.)>"}});
    check(json!({}), row.clone(), &[("<𝐁>", Some("B"))]);
    check(json!({"reward_rules": "august_2026"}), row, &[("<𝐁>", Some("𝐁"))]);
}

#[test]
fn a_pattern_comes_before_the_mode() {
    check(
        json!({}),
        json!({"template_metadata": {"output_regex": "<(.+?)>"}}),
        &[
            ("<C> no, <b>", Some("B")),
            ("<Z>", Some("Z")),
            ("< lyon >", Some("B")),
            ("<أ>", Some("A")),
            ("<ঢ>", Some("D")),
            ("<12> \\boxed{B}", Some("B")),
            ("\\boxed{B}", Some("B")),
            ("none", None),
        ],
    );
}

#[test]
fn the_first_pattern_with_a_result_wins() {
    for (patterns, extracted) in [
        (json!(["(", "<(.)>", "#(.)"]), Some("C")),
        (json!(["<(.)>", 5, null]), Some("C")),
        (json!("["), None),
        (json!([]), None),
        (json!("no (.)(.)"), None),
        (json!(null), None),
    ] {
        check(json!({}), json!({"template_metadata": {"output_regex": patterns}}), &[("<C> #B", extracted)]);
    }
    for patterns in [json!(5), json!({"a": 1}), json!(true), json!(["nothing", 5]), json!([null]), json!("(.)(.)")] {
        let row = json!({"template_metadata": {"output_regex": patterns}});
        assert!(matches!(outcome(json!({}), row.clone(), "<C> #B"), Err(Failure::Fault(_))), "{row}");
    }
}

#[test]
fn letters_and_lists_are_those_of_the_rule() {
    let markdown = json!({"grading_mode": "lenient_answer_colon_md"});
    check(
        markdown,
        json!({}),
        &[
            // Two different choices side by side anywhere in the payload are a list.
            ("Answer: take B or C", None),
            ("Answer: B, because A / C", None),
            ("Answer: B or B", Some("B")),
            ("Answer: B, or C", Some("B")),
            ("Answer: B orC", Some("B")),
            // Other letters than Latin ones may follow.
            ("Answer: Bé", Some("B")),
            ("Answer: B7", None),
            // Arabic letters stand alone, also next to each other.
            ("Answer: أب", None),
            ("Answer: xxب", Some("B")),
            // No letter: a letter in a circle is one only in its compatible form.
            ("Answer: Ⓑ", Some("B")),
        ],
    );
    check(json!({"grading_mode": "lenient_answer_colon"}), json!({}), &[("anſwer: B", Some("B")), ("Answer: Ⓑ", None)]);
    // In upper case the letter ß is two.
    let row = json!({"options": [{"ß": "Lyon"}, {"Ⓒ": "Nice"}], "expected_answer": "ß"});
    assert_eq!(grade(json!({"grading_mode": "lenient_boxed"}), row, r"\boxed{lyon}"), (1.0, Some("SS".to_owned())));
    // The first of equal texts counts, in the order of the row.
    let row = json!({"options": [{"B": "xy", "A": "xy"}, {"C": ""}], "template_metadata": {"output_regex": "<(.*?)>"}});
    check(json!({}), row, &[("<Xy>", Some("B")), ("<>", Some("C"))]);
}

#[test]
fn rows_may_lack_what_they_may_lack() {
    for (row, text, expected) in [
        (json!({"options": null}), r"\boxed{B}", (0.0, None)),
        (json!({"options": [{"B": null, "BB": "x", "": "y"}]}), r"\boxed{B}", (0.0, None)),
        (json!({"options": [{"b": "Lyon"}]}), r"\boxed{B}", (1.0, Some("B"))),
        (json!({"expected_answer": null}), r"\boxed{B}", (0.0, Some("B"))),
        (json!({"expected_answer": " b "}), r"\boxed{B}", (1.0, Some("B"))),
        (json!({"expected_answer": "Z", "template_metadata": {"output_regex": "<(.)>"}}), "<z>", (1.0, Some("Z"))),
    ] {
        let (reward, extracted) = grade(json!({}), row.clone(), text);
        assert_eq!((reward, extracted.as_deref()), expected, "{row}");
    }
}

#[test]
fn the_configured_mode_wins_over_the_row() {
    let row = json!({"grading_mode": "lenient_answer_colon"});
    check(json!({"grading_mode": null}), row.clone(), &[("Answer: B", Some("B"))]);
    check(json!({"grading_mode": "lenient_boxed"}), row, &[("Answer: B", None), (r"\boxed{Lyon}", Some("B"))]);
}

#[test]
fn the_expected_answer_is_reported_levelled() {
    let mut instance = Instance::<Mcqa>::new(Context::for_test().build());
    let verdict = instance.verify(r#"{"expected_answer":" b","response":{"output":[]}}"#).unwrap();
    assert_eq!(Value::Object(verdict.fields().clone()), json!({"expected_answer": "B", "extracted_answer": null}));
}

#[test]
fn nothing_that_a_request_holds_traps() {
    let deep = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let mut instance = Instance::<Mcqa>::new(Context::for_test().build());
    for fields in [
        format!(r#""metadata":{deep},"response":{deep}"#),
        format!(r#""template_metadata":{deep}"#),
        format!(r#""template_metadata":{{"output_regex":{deep},"answer_prefix":{deep}}}"#),
        r#""response":{"output":[{"type":"message","content":[{"type":"output_text","text":"\ud800"}]}]}"#.to_owned(),
    ] {
        match instance.verify(format!("{{{fields}}}")) {
            Ok(verdict) => assert_eq!(verdict.reward(), 0.0),
            Err(failure) => assert!(matches!(failure, Failure::Fault(_)), "{fields}"),
        }
    }
    for fields in [r#""grading_mode":"lenient_answer_colon_md""#, r#""options":3"#, r#""uuid":[]"#] {
        assert!(matches!(instance.verify(format!("{{{fields}}}")), Err(Failure::Refused(_))), "{fields}");
    }
    let plain = r#"{"response":{"output":[{"type":"message","content":"B"}]}}"#;
    assert!(matches!(instance.verify(plain), Err(Failure::Fault(_))));
}

#[test]
fn the_description_says_what_is_repeated_and_counted() {
    let description = Instance::<Mcqa>::new(Context::for_test().build()).describe().unwrap();
    assert_eq!(
        description.echo,
        ["uuid", "options", "expected_answer", "metadata", "grading_mode", "template_metadata"]
    );
    let fields = &description.verify_fields["properties"];
    assert_eq!(
        fields["grading_mode"],
        json!({
            "type": "string",
            "enum": ["strict_single_letter_boxed", "lenient_boxed", "lenient_answer_colon"],
            "default": "strict_single_letter_boxed",
            "description": "How the letter is found.",
        })
    );
    assert_eq!(fields["template_metadata"]["type"], json!(["object", "null"]));
    assert_eq!(fields["template_metadata"]["default"], Value::Null);
    assert_eq!(description.verify_fields.get("required"), None);
    let metrics = description.metrics.unwrap();
    assert_eq!((&*metrics.scores[0].name, &*metrics.scores[0].field), ("accuracy", "reward"));
    assert_eq!(metrics.answer_field.as_deref(), Some("extracted_answer"));
}
