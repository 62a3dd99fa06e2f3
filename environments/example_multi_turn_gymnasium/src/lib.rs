// SPDX-License-Identifier: Apache-2.0
//! A conversation of several turns, in the style of Gymnasium. See the README for the reward rule.

use gym_env::{Attempt, Fault, Observation, Schema, StepOutcome, resources_server};
use serde::Deserialize;

/// One attempt: how many of the follow-ups the user has said.
#[derive(Debug, Default)]
pub struct Conversation {
    said: usize,
}

/// What the dataset row says.
#[derive(Debug, Deserialize, Schema)]
struct Task {
    /// What the user says after the model's answers, one after the other.
    #[serde(default)]
    follow_ups: Vec<String>,
    /// What the last answer must contain.
    #[serde(default)]
    expected_answer: String,
}

#[resources_server]
impl Conversation {
    #[reset]
    fn reset(&mut self) -> Result<Observation, Fault> {
        self.said = 0;
        Ok(Observation::silent())
    }

    #[step]
    fn step(&mut self, attempt: &Attempt<Task>) -> Result<StepOutcome, Fault> {
        if let Some(follow_up) = attempt.task.follow_ups.get(self.said) {
            self.said += 1;
            return Ok(StepOutcome::go_on(follow_up.as_str()));
        }
        let expected = attempt.task.expected_answer.to_lowercase();
        let text = attempt.message_text()?.to_lowercase();
        let right = !expected.is_empty() && text.contains(&expected);
        Ok(StepOutcome::terminated(Observation::silent(), if right { 1.0 } else { 0.0 }))
    }
}

#[cfg(test)]
mod tests {
    use gym_env::{Context, Failure, Instance, Response};
    use serde_json::{Value, json};

    use super::*;

    fn instance() -> Instance<Conversation> {
        let mut instance = Instance::new(Context::for_test().build());
        assert_eq!(instance.reset("{}").unwrap(), Observation::silent());
        instance
    }

    fn step(instance: &mut Instance<Conversation>, row: &Value, text: &str) -> StepOutcome {
        let mut request = row.clone();
        request["response"] = Response::builder().message(text).to_value();
        instance.step(request.to_string()).unwrap()
    }

    #[test]
    fn follow_ups_come_in_order_and_the_answer_after_the_last_counts() {
        let row = json!({"follow_ups": ["Double it.", "Add one."], "expected_answer": "Seven"});
        let mut instance = instance();
        assert_eq!(step(&mut instance, &row, "seven"), StepOutcome::go_on("Double it."));
        assert_eq!(step(&mut instance, &row, "6"), StepOutcome::go_on("Add one."));
        assert_eq!(step(&mut instance, &row, "That makes SEVEN."), StepOutcome::terminated(Observation::silent(), 1.0));
    }

    #[test]
    fn the_answer_is_looked_for_in_any_case_of_letters_and_an_empty_one_is_never_found() {
        for (expected, text, reward) in [
            ("Straße", "die STRASSE", 0.0),
            ("ÉTÉ", "un bel été", 1.0),
            ("", "anything", 0.0),
            ("a b", "a  b", 0.0),
            (" x", "x", 0.0),
            ("7", "17", 1.0),
        ] {
            let row = json!({"expected_answer": expected});
            let outcome = step(&mut instance(), &row, text);
            assert_eq!((outcome.reward, outcome.terminated), (reward, true), "{expected} in {text}");
        }
    }

    #[test]
    fn a_second_reset_begins_the_conversation_anew() {
        let row = json!({"follow_ups": ["And now?"], "expected_answer": "x"});
        let mut instance = instance();
        step(&mut instance, &row, "x");
        instance.reset("{}").unwrap();
        assert_eq!(step(&mut instance, &row, "x"), StepOutcome::go_on("And now?"));
    }

    #[test]
    fn plain_text_counts_and_parts_of_an_input_are_a_fault() {
        let step = |content: Value| {
            let request = json!({"expected_answer": "x", "response": {"output": [
                {"type": "message", "role": "assistant", "content": content}]}});
            instance().step(request.to_string())
        };
        assert_eq!(step(json!("the x")).unwrap(), StepOutcome::terminated(Observation::silent(), 1.0));
        assert!(matches!(step(json!([{"type": "input_text", "text": "x"}])), Err(Failure::Fault(_))));
    }
}
