// SPDX-License-Identifier: Apache-2.0
//! Free-form answers, compared as text with some tolerance for how they are written. See the README for the reward rule.

use gym_env::{AnyObject, Attempt, Fault, Schema, Verdict, resources_server, text::strip};
use serde::Deserialize;

mod compare;
mod extract;
mod latex;
mod states;
mod units;

use extract::Mode;

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct StringMatch;

/// What grading needs of a row.
#[derive(Debug, Deserialize, Schema)]
#[allow(dead_code, reason = "one field only says what a row is")]
struct Task {
    /// The right answer.
    expected_answer: String,
    /// Where the answer stands.
    #[serde(default)]
    extraction_mode: Mode,
    /// Whether the answer must be the same letter for letter.
    #[serde(default)]
    case_sensitive: bool,
    /// Anything that the dataset says of the row.
    metadata: Option<AnyObject>,
}

#[resources_server(reusable, reverify = "stateless", scores(accuracy = "reward"), answer_field = "extracted_answer")]
impl StringMatch {
    #[verify]
    fn verify(attempt: &Attempt<Task>) -> Result<Verdict, Fault> {
        let task = &attempt.task;
        let extracted = task.extraction_mode.extract(&attempt.assistant_text())?;
        let reward = match &extracted {
            None => 0.0,
            Some(_) if task.expected_answer.is_empty() => 0.0,
            Some(answer) if task.case_sensitive => f64::from(u8::from(strip(answer) == strip(&task.expected_answer))),
            Some(answer) => compare::grade(&task.expected_answer, answer),
        };
        Ok(Verdict::new(reward).field("expected_answer", &task.expected_answer).field("extracted_answer", extracted))
    }
}

#[cfg(test)]
mod tests;
