// SPDX-License-Identifier: Apache-2.0
//! A day's calendar, kept through a conversation and graded as a whole. See the README for the reward rule.

use std::collections::BTreeMap;

use gym_env::{AnyJson, Attempt, Content, Fault, Schema, Verdict, python::loads, resources_server};
use serde::Deserialize;

mod clock;
mod grade;
mod listing;

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct Calendar;

/// What grading needs of a row.
#[derive(Debug, Deserialize, Schema)]
struct Task {
    /// The events that the calendar should have, by id: objects with `event_id`, `duration` (minutes), `constraint`
    /// (text or null), `min_time` and `max_time`.
    exp_cal_state: BTreeMap<String, AnyJson>,
}

#[resources_server(reusable, reverify = "stateless")]
impl Calendar {
    #[verify]
    fn verify(attempt: &Attempt<Task>) -> Result<Verdict, Fault> {
        let text = text_of(attempt)?;
        // Not even an empty calendar is right when there is no answer, or when reasoning was left in it.
        if text.is_empty() || text.contains("<think>") {
            return Ok(Verdict::from(false));
        }
        let expected = &attempt.task.exp_cal_state;
        if expected.is_empty() {
            return Ok(Verdict::from(true));
        }
        let answer = listing::first(&text).and_then(|list| loads(list).ok());
        let is_right = answer.is_some_and(|answer| grade::is_right(&answer, expected).is_some_and(|right| right));
        Ok(Verdict::from(is_right))
    }
}

/// The text of the last item; empty where there is none. Content that is a plain string is not what a model's message has:
/// nobody graded by this rule could say what it means, so there is no grade.
fn text_of(attempt: &Attempt<Task>) -> Result<String, Fault> {
    match attempt.output().next_back().map(|item| item.content()) {
        Some(Content::Text(text)) if !text.is_empty() => {
            Err(Fault::new("the content of the last item is a plain string, not a list of parts"))
        }
        _ => Ok(attempt.last_item_text().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
