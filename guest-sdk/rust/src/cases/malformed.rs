// SPDX-License-Identifier: Apache-2.0
//! Requests that are not as they should be: whatever comes in, an environment answers with a result or a clear failure,
//! and never panics.

use std::{cell::Cell, marker::PhantomData, path::Path};

use serde_json::{Map, Value, json};

use super::{Case, Task, Turn, read_lines};
use crate::{
    context::{Context, TestContext},
    description::{Description, Style},
    failure::Failure,
    response::Response,
    rng::Rng,
    server::{Instance, ResourcesServer},
};

/// What a value gets in its place: other types, numbers out of range, lone surrogates. All are JSON.
const VALUES: [&str; 20] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"x\"",
    "0",
    "-1",
    "-0.0",
    "0.5",
    "1e308",
    "1e999",
    "9223372036854775807",
    "99999999999999999999999999",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[null,{}]",
    "[[[]],3,\"\\udfff\"]",
    "{\"type\":\"function_call\"}",
    "{\"\":null}",
];
/// What a text gets in place of a piece, besides these values.
const PIECES: [&str; 8] = ["[[[[[[", "{\"a\":", "\"", "}", "]", ",", ":", "\\"];
/// Levels of the deepest values that are put in.
const DEEP: usize = 20_000;
/// Stands for a value that is no [`Value`].
const PLACE: &str = "\u{1}odd ";

/// Checks the environment in this folder with [`check_malformed_with`] and no settings.
///
/// # Panics
/// As [`check_malformed_with`].
pub fn check_malformed<E: ResourcesServer>(folder: impl AsRef<Path>, requests: u32) {
    check_malformed_with::<E>(folder, requests, &Map::new(), |test| test);
}

/// Sends requests that are not as they should be to the environment in this folder. `config` has the settings that it
/// cannot do without; `prepare` adds what else its context needs.
///
/// - Of the first example: each field absent, and with each odd value in its place, for seeding and grading.
/// - Every tool, in a session that is alive: each argument absent and with each odd value, and arguments that are no
///   object, too deep, or no JSON.
/// - So many `requests` that are made of examples and cases by a fixed seed: values replaced or removed anywhere, pieces
///   of their text replaced.
///
/// # Panics
/// When the environment does, when a reward is not finite, or when files cannot be read.
pub fn check_malformed_with<E: ResourcesServer>(
    folder: impl AsRef<Path>,
    requests: u32,
    config: &Map<String, Value>,
    prepare: impl Fn(TestContext) -> TestContext,
) {
    let folder = folder.as_ref();
    let rows: Vec<Map<String, Value>> = read_lines(&folder.join("data/example.jsonl"));
    let cases: Vec<Case> = read_lines(&folder.join("tests/cases.jsonl"));
    let check = Check::<E, _> { folder, config, prepare, results: Cell::new(0), environment: PhantomData };
    check.fields(&cases[0], &rows);
    check.tools(&cases[0], &rows);
    let mut rng = Rng::from_seed(u64::from(requests));
    for _ in 0..requests {
        let case = &cases[below(&mut rng, cases.len())];
        check.session(&mut rng, case, &rows);
    }
    assert!(check.results.get() > 0, "not one request had a result");
}

struct Check<'a, E, P> {
    folder: &'a Path,
    config: &'a Map<String, Value>,
    prepare: P,
    /// How many requests had a result.
    results: Cell<u32>,
    environment: PhantomData<E>,
}

impl<E: ResourcesServer, P: Fn(TestContext) -> TestContext> Check<'_, E, P> {
    /// A new instance with the settings of a case, whose model servers give the case's answers and odd ones.
    fn instance(&self, case: &Case) -> (Instance<E>, Description) {
        let mut config = self.config.clone();
        config.extend(case.config.clone());
        let mut test = Context::for_test().folder(self.folder);
        for server in model_servers(&Value::Object(config.clone())) {
            let answers = case.models.get(&server).into_iter().flatten().map(Turn::answer);
            let odd = VALUES.iter().map(|value| Ok(Response::new(format!("{{\"output\":[{value}]}}"))));
            test = test.model(&server, answers.chain(odd));
        }
        let test = (self.prepare)(test.config(Value::Object(config)));
        let mut instance = Instance::new(test.build());
        let description = instance.describe().expect("the configuration of a case can be loaded");
        (instance, description)
    }

    fn count<T>(&self, result: Result<T, Failure>) {
        self.results.set(self.results.get() + u32::from(result.is_ok()));
    }

    /// Grades, or makes the one step of an attempt.
    fn grade(&self, instance: &mut Instance<E>, style: Style, request: &str) {
        let finite = |reward: f64| assert!(reward.is_finite(), "the reward {reward} of {request}");
        self.count(match style {
            Style::Gymnasium => instance.step(request).map(|outcome| finite(outcome.reward)),
            Style::Tools => instance.verify(request).map(|verdict| finite(verdict.reward())),
        });
    }

    fn begin(&self, instance: &mut Instance<E>, style: Style, row: &str) {
        match style {
            Style::Gymnasium => self.count(instance.reset(row)),
            Style::Tools => self.count(instance.seed_session(row)),
        }
    }

    fn fields(&self, case: &Case, rows: &[Map<String, Value>]) {
        let row = case.row(rows);
        let mut request = row.clone();
        request.insert("response".to_owned(), json!({"output": case.transcript(), "env_id": "x"}));
        for name in request.keys() {
            for text in instead_of_member(&request, name) {
                let (mut instance, description) = self.instance(case);
                self.begin(&mut instance, description.style, &text);
                self.grade(&mut instance, description.style, &text);
                self.grade(&mut instance, description.style, &Value::Object(request.clone()).to_string());
            }
        }
    }

    fn tools(&self, case: &Case, rows: &[Map<String, Value>]) {
        let row = Value::Object(case.row(rows).clone()).to_string();
        let (_, description) = self.instance(case);
        for tool in &description.tools {
            let mut arguments = Map::new();
            for name in tool.parameters["properties"].as_object().into_iter().flat_map(Map::keys) {
                arguments.insert(name.clone(), json!("x"));
            }
            let deep = VALUES.iter().map(|value| (*value).to_owned()).chain(deep_values());
            let odd = arguments.keys().flat_map(|name| instead_of_member(&arguments, name));
            let (mut instance, _) = self.instance(case);
            self.begin(&mut instance, description.style, &row);
            for text in odd.chain(deep).chain(PIECES.iter().map(|piece| (*piece).to_owned())) {
                self.count(instance.call_tool(&tool.name, &text));
            }
        }
    }

    fn session(&self, rng: &mut Rng, case: &Case, rows: &[Map<String, Value>]) {
        let (mut instance, description) = self.instance(case);
        let transcript = case.transcript();
        let calls: Vec<Value> = transcript.iter().filter(|item| item["type"] == "function_call").cloned().collect();
        let row = Value::Object(case.row(rows).clone());
        let mut request = row.clone();
        request["response"] = json!({"output": transcript, "env_id": "x"});
        let changed = |rng: &mut Rng, value: &Value| match rng.below(2) {
            0 => reshaped(rng, value),
            _ => rewritten(rng, &value.to_string()),
        };
        // Half of the sessions begin well, so that what comes after is met in a session that is alive.
        let begin = if rng.below(2) == 0 { row.to_string() } else { changed(rng, &row) };
        self.begin(&mut instance, description.style, &begin);
        if description.style == Style::Tools {
            for call in calls {
                let name = call["name"].as_str().unwrap_or_default();
                let arguments = rewritten(rng, call["arguments"].as_str().unwrap_or_default());
                self.count(instance.call_tool(name, &arguments));
                if description.is_known_by_env_id() {
                    let step = json!({"env_id": "x", "action": [call]});
                    self.count(instance.call_tool("step", &changed(rng, &step)));
                }
            }
        }
        let request = changed(rng, &request);
        self.grade(&mut instance, description.style, &request);
    }
}

impl Case {
    fn row<'a>(&'a self, rows: &'a [Map<String, Value>]) -> &'a Map<String, Value> {
        match &self.task {
            Task::Row(row) => row,
            Task::Example(index) => &rows[*index],
        }
    }

    /// All that the model says.
    fn transcript(&self) -> Vec<Value> {
        let mut transcript = Vec::new();
        for turn in &self.turns {
            transcript.extend(turn.items(transcript.len()));
        }
        transcript
    }
}

/// The names of the model servers that a configuration refers to.
fn model_servers(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("name").filter(|_| members.get("type") == Some(&json!("responses_api_models")));
            let own = own.and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(model_servers)).collect()
        }
        Value::Array(items) => items.iter().flat_map(model_servers).collect(),
        _ => Vec::new(),
    }
}

fn deep_values() -> [String; 2] {
    let list = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    [list, format!("{}1{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP))]
}

/// The object without a member, and with each odd value in its place.
fn instead_of_member(object: &Map<String, Value>, name: &str) -> Vec<String> {
    let mut object = object.clone();
    object.insert(name.to_owned(), json!(PLACE));
    let text = Value::Object(object.clone()).to_string();
    object.remove(name);
    let place = json!(PLACE).to_string();
    let values = VALUES.iter().map(|value| (*value).to_owned()).chain(deep_values());
    let replaced = values.map(|value| text.replacen(&place, &value, 1));
    std::iter::once(Value::Object(object).to_string()).chain(replaced).collect()
}

/// The value with one to three of those in it removed or replaced.
fn reshaped(rng: &mut Rng, value: &Value) -> String {
    let mut value = value.clone();
    for _ in 0..=rng.below(3) {
        let count = nodes(&value);
        let mut at = below(rng, count);
        let remove = rng.below(4) == 0;
        change(&mut value, &mut at, remove);
    }
    let place = json!(PLACE).to_string();
    let mut text = value.to_string();
    while text.contains(&place) {
        let odd = match rng.below(12) {
            0 => deep_values()[below(rng, 2)].clone(),
            _ => VALUES[below(rng, VALUES.len())].to_owned(),
        };
        text = text.replacen(&place, &odd, 1);
    }
    text
}

/// How many values there are inside of one, at any depth.
fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + nodes(item)).sum(),
        Value::Object(members) => members.values().map(|member| 1 + nodes(member)).sum(),
        _ => 0,
    }
}

/// Removes or replaces the value at a place, counted from the front; whether it was reached.
fn change(value: &mut Value, at: &mut usize, remove: bool) -> bool {
    let mut reached = |child: &mut Value| -> Option<bool> {
        if *at == 0 {
            *child = json!(PLACE);
            return Some(true);
        }
        *at -= 1;
        change(child, at, remove).then_some(false)
    };
    match value {
        Value::Array(items) => {
            let found = items.iter_mut().enumerate().find_map(|(index, item)| Some((index, reached(item)?)));
            if let Some((index, true)) = found
                && remove
            {
                items.remove(index);
            }
            found.is_some()
        }
        Value::Object(members) => {
            let found = members.iter_mut().find_map(|(name, member)| Some((name.clone(), reached(member)?)));
            if let Some((name, true)) = &found
                && remove
            {
                members.remove(name);
            }
            found.is_some()
        }
        _ => false,
    }
}

fn below(rng: &mut Rng, end: usize) -> usize {
    usize::try_from(rng.below(end as u64)).unwrap_or_default()
}

/// The text with one to three changes: a piece of it, or one of its values, is replaced.
fn rewritten(rng: &mut Rng, text: &str) -> String {
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
            0 => deep_values()[below(rng, 2)].clone(),
            1..8 => PIECES[below(rng, PIECES.len())].to_owned(),
            _ => VALUES[below(rng, VALUES.len())].to_owned(),
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
        let value: Value = serde_json::from_str(text).unwrap();
        let all = |seed| {
            let mut rng = Rng::from_seed(seed);
            let both = (0..100).flat_map(|_| [rewritten(&mut rng, text), reshaped(&mut rng, &value)]);
            both.collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        let valid = |text: &&String| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let good = all(1).iter().filter(valid).count();
        assert!((50..200).contains(&good), "{good} of 200 are JSON");
    }

    #[test]
    fn every_value_of_a_request_is_within_reach() {
        let value = json!({"a": 1, "b": ["x", {"c": null}]});
        assert_eq!(nodes(&value), 5);
        let changed = |mut at: usize, remove| {
            let mut value = value.clone();
            assert!(change(&mut value, &mut at, remove));
            value
        };
        for (at, without, instead) in [
            (0, json!({"b": ["x", {"c": null}]}), json!({"a": PLACE, "b": ["x", {"c": null}]})),
            (1, json!({"a": 1}), json!({"a": 1, "b": PLACE})),
            (2, json!({"a": 1, "b": [{"c": null}]}), json!({"a": 1, "b": [PLACE, {"c": null}]})),
            (3, json!({"a": 1, "b": ["x"]}), json!({"a": 1, "b": ["x", PLACE]})),
            (4, json!({"a": 1, "b": ["x", {}]}), json!({"a": 1, "b": ["x", {"c": PLACE}]})),
        ] {
            assert_eq!((changed(at, true), changed(at, false)), (without, instead), "{at}");
        }
        assert!(!change(&mut json!(3), &mut 0, false));
        assert_eq!(instead_of_member(json!({"a": 1}).as_object().unwrap(), "a")[..2], ["{}", r#"{"a":null}"#]);
    }

    #[test]
    fn model_servers_are_found_anywhere_in_a_configuration() {
        let judge = json!({"type": "responses_api_models", "name": "judge"});
        let config = json!({"a": {"b": [judge, {"name": "x"}]}, "c": {"type": "resources_servers", "name": "y"}});
        assert_eq!(model_servers(&config), ["judge"]);
    }
}
