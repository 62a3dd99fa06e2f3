// SPDX-License-Identifier: Apache-2.0
//! Requests that are not as they should be: whatever comes in, an environment answers with a result or a clear failure,
//! and never panics.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Case, Task, read_lines};
use crate::{
    context::Context,
    description::Style,
    failure::Failure,
    rng::Rng,
    server::{Instance, ResourcesServer},
};

/// What a good request gets in place of some of its text: other types, numbers out of range, lone surrogates, text that
/// is no JSON.
const ODD: [&str; 20] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "1e999",
    "-0.0",
    "99999999999999999999999999",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[[[[[[",
    "{\"a\":",
    "\"",
    "}",
    "]",
    ",",
    ":",
    "[null,{}]",
    "{\"type\":\"function_call\"}",
];
/// Levels of the deepest values that are put in.
const DEEP: usize = 20_000;

/// Sends `requests` changed requests to the environment in this folder, made of its examples and cases by a fixed seed.
///
/// # Panics
/// When the environment does, when a reward is not finite, or when files cannot be read.
pub fn check_malformed<E: ResourcesServer>(folder: impl AsRef<Path>, requests: u32) {
    let folder = folder.as_ref();
    let rows: Vec<Map<String, Value>> = read_lines(&folder.join("data/example.jsonl"));
    let cases: Vec<Case> = read_lines(&folder.join("tests/cases.jsonl"));
    let mut rng = Rng::from_seed(u64::from(requests));
    let mut results = 0_u32;
    for _ in 0..requests {
        let case = &cases[below(&mut rng, cases.len())];
        let row = match &case.task {
            Task::Row(row) => row,
            Task::Example(index) => &rows[*index],
        };
        let test = Context::for_test().config(Value::Object(case.config.clone())).folder(folder);
        let mut instance = Instance::<E>::new(test.build());
        let description = instance.describe().expect("the configuration of a case can be loaded");
        let mut transcript = Vec::new();
        for turn in &case.turns {
            transcript.extend(turn.items(transcript.len()));
        }
        let calls: Vec<Value> = transcript.iter().filter(|item| item["type"] == "function_call").cloned().collect();
        let row_text = Value::Object(row.clone()).to_string();
        let mut request = row.clone();
        request.insert("response".to_owned(), json!({"output": transcript, "env_id": "x"}));
        let request = Value::Object(request).to_string();
        // Half of the sessions begin well, so that what comes after is met in a session that is alive.
        let begin = if rng.below(2) == 0 { row_text } else { changed(&mut rng, &row_text) };
        if description.style == Style::Gymnasium {
            results += count(instance.reset(&begin));
            let stepped = instance.step(changed(&mut rng, &request));
            results += count(stepped.map(|outcome| assert!(outcome.reward.is_finite(), "{request}")));
            continue;
        }
        results += count(instance.seed_session(&begin));
        for call in calls {
            let name = call["name"].as_str().unwrap_or_default();
            let arguments = changed(&mut rng, call["arguments"].as_str().unwrap_or_default());
            results += count(instance.call_tool(name, &arguments));
            if description.is_known_by_env_id() {
                let step = json!({"env_id": "x", "action": [call]}).to_string();
                results += count(instance.call_tool("step", &changed(&mut rng, &step)));
            }
        }
        let verdict = instance.verify(changed(&mut rng, &request));
        results += count(verdict.map(|verdict| assert!(verdict.reward().is_finite(), "{request}")));
    }
    assert!(results > 0, "not one of {requests} requests had a result");
}

fn count<T>(result: Result<T, Failure>) -> u32 {
    u32::from(result.is_ok())
}

fn below(rng: &mut Rng, end: usize) -> usize {
    usize::try_from(rng.below(end as u64)).unwrap_or_default()
}

/// The text with one to three changes: a piece of it, or one of its values, is replaced.
fn changed(rng: &mut Rng, text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..=rng.below(3) {
        let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let start = below(rng, boundaries.len());
        let range = match rng.below(2) {
            // Any piece.
            0 => boundaries[start]..boundaries[(start + below(rng, 12)).min(boundaries.len() - 1)],
            // The rest of a value, so that the whole often stays JSON.
            _ => match text[boundaries[start]..].find([',', '}', ']']) {
                Some(length) => {
                    let begin = text[..boundaries[start]].rfind(':').map_or(boundaries[start], |colon| colon + 1);
                    begin..boundaries[start] + length
                }
                None => boundaries[start]..boundaries[start],
            },
        };
        let odd = match rng.below(24) {
            0 => format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)),
            1 => format!("{}1{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP)),
            _ => ODD[below(rng, ODD.len())].to_owned(),
        };
        text.replace_range(range, &odd);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_follow_from_the_seed_and_some_stay_json() {
        let text = r#"{"a":1,"b":["x","é"],"c":{"d":null}}"#;
        let all = |seed| {
            let mut rng = Rng::from_seed(seed);
            (0..200).map(|_| changed(&mut rng, text)).collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        let valid = |text: &&String| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let good = all(1).iter().filter(valid).count();
        assert!((1..200).contains(&good), "{good} of 200 are JSON");
    }
}
