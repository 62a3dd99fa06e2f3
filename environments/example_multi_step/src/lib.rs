// SPDX-License-Identifier: Apache-2.0
//! Several dependent tool calls: the model looks up values of synonyms, then hands in the list. See the README for the
//! reward rule.

use gym_env::{AnyJson, Attempt, Fault, Schema, Verdict, resources_server};
use serde::{Deserialize, Serialize};

mod handed_in;

use handed_in::Element;

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct Synonyms;

/// What grading needs.
#[derive(Debug, Deserialize, Schema)]
#[allow(dead_code, reason = "fields that only have to be there")]
struct Task {
    /// Number of the task, of any size.
    #[schema(json = r#"{"type": "integer"}"#)]
    id: AnyJson,
    /// The synonyms, in the order in which the user names their letters.
    expected_synonyms: Vec<String>,
    /// Their values, in the same order.
    expected_synonym_values: Vec<i64>,
    /// The word itself, which is no synonym.
    minefield_label: String,
    /// The value of the word itself.
    minefield_label_value: i64,
}

#[derive(Debug, Serialize)]
struct SynonymValue {
    synonym_value: u64,
}

#[derive(Debug, Serialize)]
struct Done {
    success: bool,
}

/// The tool whose last call is graded.
const HAND_IN: &str = "extract_synonym_values";

#[resources_server(reusable)]
impl Synonyms {
    /// Get the value of a synonym.
    #[tool]
    fn get_synonym_value(
        /// The synonym.
        synonym: String,
    ) -> SynonymValue {
        SynonymValue { synonym_value: synonym.chars().map(|letter| u64::from(u32::from(letter))).sum() }
    }

    /// Hand in the values of the synonyms, in the order that the user asked for.
    #[tool]
    fn extract_synonym_values(
        /// The values.
        synonym_values: Vec<i64>,
    ) -> Done {
        // Nothing is kept: grading reads the call from the transcript.
        drop(synonym_values);
        Done { success: true }
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>) -> Result<Verdict, Fault> {
        let task = &attempt.task;
        let elements = match attempt.last_call(HAND_IN) {
            Some(call) => handed_in::read(&call.arguments().unwrap_or_default())?,
            None => Vec::new(),
        };
        let expected = &task.expected_synonym_values;
        if expected.is_empty() {
            return Err(Fault::new("the task has no `expected_synonym_values`"));
        }
        let has = |value: i64| elements.iter().any(|element| element.is(value));
        let accuracy = elements.len() == expected.len()
            && elements.iter().zip(expected).all(|(element, value)| element.is(*value));
        // Each value counts once among those that were handed in, but the share is of all that are expected.
        let mut found: Vec<i64> = expected.iter().copied().filter(|value| has(*value)).collect();
        found.sort_unstable();
        found.dedup();
        let set_overlap = found.len() as f64 / expected.len() as f64;
        let minefield_hit =
            has(task.minefield_label_value) || elements.iter().any(|element| element.is_text(&task.minefield_label));
        Ok(Verdict::from(accuracy)
            .field("parsed_synonym_values", elements.iter().map(Element::number).collect::<Vec<_>>())
            .field("accuracy", accuracy)
            .field("set_overlap", set_overlap)
            .field("original_term_minefield_hit", minefield_hit)
            .field("order_instruction_following_failure", !accuracy && set_overlap == 1.0))
    }
}

#[cfg(test)]
mod tests {
    use gym_env::{Context, Instance, Response, ResponseBuilder};
    use serde_json::{Value, json};

    use super::*;

    fn task() -> Task {
        Task {
            id: AnyJson::default(),
            expected_synonyms: vec!["Big".into(), "Huge".into()],
            expected_synonym_values: vec![274, 393],
            minefield_label: "Large".into(),
            minefield_label_value: 489,
        }
    }

    fn grade(response: ResponseBuilder) -> Result<Value, Fault> {
        let verdict = Synonyms::verify(&Attempt::new(task(), response.build()))?;
        assert_eq!(verdict.reward() == 1.0, verdict.fields()["accuracy"] == json!(true));
        Ok(Value::Object(verdict.fields().clone()))
    }

    fn hand_in(arguments: Value) -> ResponseBuilder {
        Response::builder().call(HAND_IN, arguments)
    }

    #[test]
    fn values_are_sums_of_code_points() {
        let mut instance = Instance::<Synonyms>::new(Context::for_test().build());
        // 66 + 105 + 103, and U+1F600.
        for (synonym, value) in [("Big", 274), ("", 0), ("😀", 128_512)] {
            let reply = instance.call_tool("get_synonym_value", &json!({"synonym": synonym}).to_string()).unwrap();
            assert_eq!(reply, format!("{{\"synonym_value\":{value}}}"));
        }
        assert_eq!(instance.call_tool(HAND_IN, r#"{"synonym_values":[1]}"#).unwrap(), r#"{"success":true}"#);
    }

    #[test]
    fn the_last_list_handed_in_counts() {
        let twice = hand_in(json!({"synonym_values": [1]})).call(HAND_IN, json!({"synonym_values": [274, 393]}));
        assert_eq!(
            grade(twice).unwrap(),
            json!({
                "parsed_synonym_values": [274, 393], "accuracy": true, "set_overlap": 1.0,
                "original_term_minefield_hit": false, "order_instruction_following_failure": false,
            })
        );
    }

    #[test]
    fn what_went_wrong_is_told_apart() {
        for (values, overlap, minefield, order) in [
            (json!([393, 274]), 1.0, false, true),
            (json!([274, 393, 489]), 1.0, true, true),
            (json!([274, 274]), 0.5, false, false),
            (json!([489]), 0.0, true, false),
            (json!([]), 0.0, false, false),
            (json!(["274", "393"]), 0.0, false, false),
        ] {
            let fields = grade(hand_in(json!({"synonym_values": values}))).unwrap();
            assert_eq!(fields["accuracy"], json!(false), "{values}");
            assert_eq!(fields["set_overlap"], json!(overlap), "{values}");
            assert_eq!(fields["original_term_minefield_hit"], json!(minefield), "{values}");
            assert_eq!(fields["order_instruction_following_failure"], json!(order), "{values}");
        }
        let nothing = grade(Response::builder().message("274, 393")).unwrap();
        assert_eq!(nothing["parsed_synonym_values"], json!([]));
    }

    #[test]
    fn numbers_are_equal_as_numbers() {
        assert_eq!(grade(hand_in(json!({"synonym_values": [274.0, 393]}))).unwrap()["accuracy"], json!(true));
    }

    #[test]
    fn arguments_that_cannot_be_read_are_faults() {
        let deep = format!("{{\"synonym_values\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        for arguments in [
            json!("not json"),
            json!(""),
            json!(deep),
            json!({}),
            json!([1]),
            json!({"synonym_values": null}),
            json!({"synonym_values": "274"}),
            json!({"synonym_values": [1.5]}),
            json!({"synonym_values": [null]}),
            json!({"synonym_values": ["Large"]}),
        ] {
            assert!(grade(hand_in(arguments.clone())).is_err(), "{arguments}");
        }
    }

    #[test]
    fn a_task_without_values_is_a_fault() {
        let task = Task { expected_synonym_values: Vec::new(), ..task() };
        assert!(Synonyms::verify(&Attempt::new(task, Response::builder().build())).is_err());
    }
}
