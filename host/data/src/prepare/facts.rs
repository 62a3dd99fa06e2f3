// SPDX-License-Identifier: Apache-2.0
//! What preparation looks at in one row.

use std::hash::{BuildHasher, RandomState};

use gym_protocol::{
    Members, Raw,
    responses::write_create_params,
    scan::{self, Kind},
    validate::{Errors, LocPart, Path},
};

use crate::{
    python_json::{dump, dump_like},
    task::{self, Task, TaskError},
    tokens::TokenCounter,
};

use super::dataset::{Dataset, RowError};

/// How many tasks are of which set.
const TASKSETS: &str = "Tasksets";

/// What the statistics need of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) tools: Option<f64>,
    /// Words of the parameters; none if the row is a task, or is for an environment that needs no parameters.
    pub(super) words: Option<f64>,
    /// Words of a task's input.
    pub(super) task_words: Option<f64>,
    pub(super) turns: Option<f64>,
    pub(super) temperature: Option<f64>,
    pub(super) tokens: Option<u64>,
    pub(super) others: Vec<(String, Observation)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Observation {
    Number(f64),
    /// A digest of the text: only how many are different is counted.
    Text(u128),
    /// One of a few words, each of which is counted.
    Category(String),
}

/// Digests texts; two seeds, so that a million different texts have a million digests.
#[derive(Clone, Default)]
pub(super) struct Digests(RandomState, RandomState);

impl Digests {
    fn of(&self, text: &str) -> u128 {
        u128::from(self.0.hash_one(text)) << 64 | u128::from(self.1.hash_one(text))
    }
}

/// A row that was read: what it counts, and the line that goes into the collated file.
pub(super) struct Prepared {
    pub(super) facts: Result<Facts, Vec<RowError>>,
    /// None if there is nothing that could be written.
    pub(super) line: Option<Vec<u8>>,
}

/// Reads the text of one line. `index` is the row's number among the rows of its type.
pub(super) fn read(
    text: &bytes::Bytes,
    index: u64,
    dataset: &Dataset,
    digests: &Digests,
    tokens: Option<&TokenCounter>,
) -> Prepared {
    let members = Raw::parse(text.clone()).and_then(|row| row.members());
    let mut row = match members {
        Ok(row) => row,
        Err(error) => {
            let reason = match text.is_empty() {
                true => "the line is empty".to_owned(),
                false => format!("the line is not a JSON object: {error}"),
            };
            return Prepared { facts: Err(vec![RowError { field: String::new(), reason }]), line: None };
        }
    };
    let mut errors = Vec::new();
    if let Some(prompt) = &dataset.prompt
        && let Err(error) = prompt.apply(&mut row)
    {
        errors.push(RowError { field: "responses_create_params".to_owned(), reason: error.to_string() });
    }
    let mut facts = Facts::default();
    let mut params = row.get("responses_create_params").cloned();
    if dataset.taskset.is_none() && task::is_materialized(&row) {
        params = of_task(&row, &mut facts, &mut errors);
    } else {
        of_row(&row, dataset.taskset.is_some(), digests, &mut facts, &mut errors);
    }
    let counted = params.filter(|_| errors.is_empty() && (facts.words.is_some() || facts.task_words.is_some()));
    if let (Some(counter), Some(params)) = (tokens, counted) {
        match counter.count_prompt(params.bytes()) {
            Ok(tokens) => facts.tokens = Some(tokens),
            Err(error) => errors.push(RowError {
                field: "responses_create_params".to_owned(),
                reason: format!("the tokenizer cannot read it: {error}"),
            }),
        }
    }
    if let Some(check) = &dataset.check {
        errors.extend(check(&row));
    }
    // NeMo Gym routes tasks by their set.
    match dataset.agent.as_ref().filter(|_| !task::is_materialized(&row)) {
        Some(agent) => {
            let reference = serde_json::json!({"type": "responses_api_agents", "name": agent});
            row.set("agent_ref", Raw::from_value(&reference));
        }
        None => {
            row.remove("agent_ref");
        }
    }
    row.set("task_source", Raw::from_value(&dataset.instance));
    if let Some(taskset) = &dataset.taskset {
        match task::materialize(&row, taskset, index) {
            Ok(task) => row = task,
            Err(TaskError { field, reason }) => errors.push(RowError { field, reason }),
        }
    }
    let mut line = Vec::with_capacity(text.len() + text.len() / 8 + 128);
    let line = match dump(row.to_raw().bytes(), &mut line) {
        Ok(()) => {
            line.push(b'\n');
            Some(line)
        }
        Err(_) => {
            errors.push(too_deep());
            None
        }
    };
    Prepared { facts: if errors.is_empty() { Ok(facts) } else { Err(errors) }, line }
}

/// A task: its input is its environment's to check. Gives the parameters in it, if there are some.
fn of_task(row: &Members, facts: &mut Facts, errors: &mut Vec<RowError>) -> Option<Raw> {
    let task = match Task::read(row) {
        Ok(task) => task,
        Err(TaskError { field, reason }) => {
            errors.push(RowError { field, reason });
            return None;
        }
    };
    let mut text = Vec::with_capacity(task.input.bytes().len());
    match dump(task.input.bytes(), &mut text) {
        Ok(()) => facts.task_words = Some(words(&text)),
        Err(_) => errors.push(too_deep()),
    }
    facts.others.push((TASKSETS.to_owned(), Observation::Category(task.taskset)));
    let params = scan::member(task.input.bytes(), "responses_create_params");
    params.map(|params| Raw::trusted(task.input.bytes().slice_ref(params)))
}

/// A flat row. What is `lenient` need not have parameters.
fn of_row(row: &Members, lenient: bool, digests: &Digests, facts: &mut Facts, errors: &mut Vec<RowError>) {
    let before = errors.len();
    match row.get("responses_create_params") {
        None => {
            errors.push(RowError { field: "responses_create_params".to_owned(), reason: "Field required".to_owned() })
        }
        Some(params) => of_params(params, facts, errors),
    }
    if lenient {
        errors.truncate(before);
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in row.iter() {
        // Names that begin with `_` are no statistics, as in NeMo Gym.
        let is_counted = !matches!(name, "responses_create_params" | "response") && !name.starts_with('_');
        if is_counted && !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let Some(value) = row.get(name) else { continue };
        let mut observe = |item: &[u8]| {
            let observation = match scan::kind(item) {
                Kind::Bool => Observation::Number(if item == b"true" { 1.0 } else { 0.0 }),
                Kind::Number => Observation::Number(std::str::from_utf8(item).ok()?.parse().ok()?),
                Kind::String => Observation::Text(digests.of(&scan::string(item)?)),
                Kind::Null | Kind::Array | Kind::Object => return None,
            };
            facts.others.push((name.to_owned(), observation));
            Some(())
        };
        if value.is_array() {
            for item in scan::elements(value.bytes()) {
                observe(item);
            }
        } else {
            observe(value.bytes());
        }
    }
}

fn of_params(params: &Raw, facts: &mut Facts, errors: &mut Vec<RowError>) {
    let mut dumped = Vec::with_capacity(params.bytes().len() + 768);
    let mut found = Errors::new();
    let path = Path::Name(&Path::Body, "responses_create_params");
    write_create_params(params.bytes(), &path, &mut dumped, &mut found);
    if !found.is_empty() {
        errors
            .extend(found.into_vec().into_iter().map(|error| RowError { field: field(&error.loc), reason: error.msg }));
        return;
    }
    let member = |name: &str| scan::member(params.bytes(), name);
    facts.tools = member("tools")
        .filter(|tools| scan::kind(tools) == Kind::Array)
        .map(|tools| scan::elements(tools).count() as f64);
    facts.temperature =
        member("temperature").and_then(|value| std::str::from_utf8(value).ok()?.trim_matches('"').parse().ok());
    let turns = member("input").map_or(0, |input| match scan::kind(input) {
        Kind::String => 1,
        _ => scan::elements(input).filter(|item| scan::member(item, "role") == Some(b"\"user\"")).count(),
    });
    facts.turns = (turns > 0).then_some(turns as f64);
    // Words of what the row sets, without what a dump would drop.
    let mut text = Vec::with_capacity(dumped.len());
    match dump_like(params.bytes(), &dumped, &mut text) {
        Ok(()) => facts.words = Some(words(&text)),
        Err(_) => errors.push(too_deep()),
    }
}

/// Words between spaces of a dumped text.
fn words(text: &[u8]) -> f64 {
    let first = text.first().is_some_and(|byte| *byte != b' ');
    let later = text.windows(2).filter(|pair| pair[0] == b' ' && pair[1] != b' ').count();
    (usize::from(first) + later) as f64
}

fn too_deep() -> RowError {
    RowError { field: String::new(), reason: "the row is nested more than 500 levels deep".to_owned() }
}

/// `responses_create_params.input.0.content`.
fn field(place: &[LocPart]) -> String {
    let parts: Vec<String> = place
        .iter()
        .skip(1)
        .map(|part| match part {
            LocPart::Name(name) => name.to_string(),
            LocPart::Index(index) => index.to_string(),
        })
        .collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_between_spaces() {
        for (text, count) in [("", 0), (" ", 0), ("a", 1), (" a", 1), ("a ", 1), ("a  b", 2), ("  a b   c  ", 3)] {
            assert_eq!(words(text.as_bytes()), f64::from(count), "{text:?}");
        }
    }
}
