// SPDX-License-Identifier: Apache-2.0
use gym_env::{Instance, Response};
use serde_json::{Value, json};

use super::*;

const SPEC: Spec = Spec { seed: 11, words: 1_000, facts: 3 };

fn row() -> Value {
    json!({"document": {"seed": SPEC.seed, "words": SPEC.words, "facts": SPEC.facts}})
}

fn seeded() -> Instance<MultiNeedle> {
    let mut instance = Instance::new(Context::for_test().build());
    instance.seed_session(&row().to_string()).unwrap();
    instance
}

fn call(instance: &mut Instance<MultiNeedle>, name: &str, arguments: &Value) -> Result<Value, String> {
    match instance.call_tool(name, &arguments.to_string()) {
        Ok(reply) => Ok(serde_json::from_str(&reply).unwrap()),
        Err(Failure::Rejected(reject)) => Err(reject.text().to_owned()),
        Err(other) => panic!("{other:?}"),
    }
}

fn grade(config: Value, response: gym_env::ResponseBuilder) -> Verdict {
    let mut request = row();
    request["response"] = response.to_value();
    Instance::<MultiNeedle>::new(Context::for_test().config(config).build()).verify(request.to_string()).unwrap()
}

#[test]
fn a_fact_is_found_by_searching_and_reading() {
    let document = Document::new(SPEC);
    let mut instance = seeded();
    let outline = call(&mut instance, "get_outline", &json!({})).unwrap();
    assert_eq!(outline, json!({"pages": document.pages.len(), "words": document.words()}));
    for (question, answer) in document.questions.iter().zip(&document.answers) {
        let words = format!("{} {}", question.thing.to_uppercase(), question.place);
        let hits = call(&mut instance, "search", &json!({ "words": words })).unwrap();
        let pages = hits["pages"].as_array().unwrap();
        let on_page = |page: &Value| {
            let page = call(&mut instance, "read_page", &json!({ "page": page })).unwrap();
            page["text"].as_str().unwrap().contains(answer.as_str())
        };
        assert_eq!((pages.iter().map(on_page).filter(|found| *found).count(), &hits["more"]), (1, &json!(false)));
    }
}

#[test]
fn what_is_not_there_is_told_to_the_model() {
    let mut instance = seeded();
    for page in [0, 6, u64::MAX] {
        assert_eq!(
            call(&mut instance, "read_page", &json!({ "page": page })),
            Err(format!("there is no page {page}: the text has {}", Document::new(SPEC).pages.len()))
        );
    }
    assert!(call(&mut instance, "search", &json!({"words": " "})).is_err());
    assert!(call(&mut instance, "search", &json!({"words": "a ".repeat(17)})).is_err());
    assert_eq!(call(&mut instance, "search", &json!({"words": "zebra"})), Ok(json!({"pages": [], "more": false})));
    assert!(call(&mut instance, "submit_answers", &json!({"answers": ["x"]})).is_err());
}

#[test]
fn the_last_complete_submission_counts() {
    let right = Document::new(SPEC).answers;
    let submit = |answers: &[String]| json!({ "answers": answers });
    let mut partly = right.clone();
    partly[1] = "heron-1".to_owned();
    let loud: Vec<String> = right.iter().map(|answer| format!(" \"{}\". ", answer.to_uppercase())).collect();
    let mut turned = right.clone();
    turned.reverse();
    let build = Response::builder;
    for (response, found, all) in [
        (build().call("submit_answers", submit(&right)), 3, 1.0),
        (build().call("submit_answers", submit(&loud)), 3, 1.0),
        (build().call("submit_answers", submit(&partly)), 2, 0.0),
        (build().call("submit_answers", submit(&turned)), 1, 0.0),
        (build().call("submit_answers", submit(&partly)).call("submit_answers", submit(&right)), 3, 1.0),
        (build().call("submit_answers", submit(&right)).call("submit_answers", submit(&partly)), 2, 0.0),
        (build().call("submit_answers", submit(&right)).call("submit_answers", submit(&right[..1])), 3, 1.0),
        (build().call("submit_answers", submit(&right)).call("submit_answers", json!("no JSON")), 3, 1.0),
        (build().call("submit_answers", json!({"answers": [1, 2, 3]})), 0, 0.0),
        (build().message(right.join(", ")), 0, 0.0),
        (build(), 0, 0.0),
    ] {
        let verdict = grade(json!({}), response.clone());
        assert_eq!((verdict.reward(), &verdict.fields()["facts_found"]), (all, &json!(found)));
        assert_eq!(grade(json!({"grading": "fraction"}), response).reward(), f64::from(found) / 3.0);
    }
}

#[test]
fn rows_without_a_possible_text_are_refused() {
    for document in
        [json!({"seed": 1, "words": 10, "facts": 1}), json!({"seed": -1, "words": 500, "facts": 1}), json!(3)]
    {
        let request = json!({"document": document, "response": {"output": []}}).to_string();
        let mut instance = Instance::<MultiNeedle>::new(Context::for_test().build());
        assert!(matches!(instance.seed_session(&request), Err(Failure::Refused(_))), "{document}");
        assert!(matches!(instance.verify(request), Err(Failure::Refused(_))), "{document}");
    }
    assert!(
        Instance::<MultiNeedle>::new(Context::for_test().config(json!({"grading": "some"})).build())
            .describe()
            .is_err()
    );
}
