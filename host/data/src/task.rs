// SPDX-License-Identifier: Apache-2.0
//! Materialised tasks of NeMo Gym 0.7.0: `{"task_id": {"taskset", "task_id"}, "task_input": {…}}`, and the flat rows they
//! are made of.

use gym_protocol::{
    Members, Raw,
    number::{is_integer_text, write_float},
    scan,
};
use serde_json::json;

/// What identifies a rollout stands beside the task, not in it.
const IDENTITY: [&str; 4] = ["_ng_task_index", "_ng_rollout_index", "_ng_rollout_id", "_ng_attempt_index"];

/// Who runs a row and with what is no part of its task.
const ROUTING: [&str; 3] = ["agent_ref", "task_source", "skills_ref"];

/// Fields that name a task, the first one that is set.
const NAMES: [&str; 3] = ["task_id", "problem_id", "instance_id"];

/// A row cannot be turned from one form into the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TaskError {
    /// The field, for example `task_id.taskset`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

fn wrong(field: impl Into<String>, reason: impl Into<String>) -> TaskError {
    TaskError { field: field.into(), reason: reason.into() }
}

/// Whether a row has the form of a materialised task: an object as `task_id`, and a `task_input`. Such a row is never
/// taken for a flat one, whatever is in them.
pub fn is_materialized(row: &Members) -> bool {
    row.get("task_input").is_some() && row.get("task_id").is_some_and(Raw::is_object)
}

/// The set of a materialised task. None for any other row, also for one whose set is no text: that one is flat to NeMo
/// Gym's collector.
pub fn taskset(row: &Members) -> Option<String> {
    let id = row.get("task_id").filter(|_| is_materialized(row))?.members().ok()?;
    id.get("taskset")?.read().ok().filter(|taskset: &String| !taskset.is_empty())
}

/// A materialised task.
#[derive(Clone, Debug)]
pub struct Task {
    /// The set of tasks that it belongs to.
    pub taskset: String,
    /// Its name in the set.
    pub id: String,
    /// `task_input`, an object.
    pub input: Raw,
}

impl Task {
    /// Reads a row that [`is_materialized`].
    pub fn read(row: &Members) -> Result<Self, TaskError> {
        let id = row.get("task_id").and_then(|id| id.members().ok());
        let id = id.ok_or_else(|| wrong("task_id", "Input should be an object"))?;
        if let Some((name, _)) = id.iter().find(|(name, _)| !matches!(*name, "taskset" | "task_id")) {
            return Err(wrong(format!("task_id.{name}"), "Extra inputs are not permitted"));
        }
        let text = |name: &str| {
            let field = format!("task_id.{name}");
            let Some(value) = id.get(name) else { return Err(wrong(field, "Field required")) };
            match value.read::<String>() {
                Ok(text) if text.is_empty() => Err(wrong(field, "String should have at least 1 character")),
                Ok(text) => Ok(text),
                Err(_) => Err(wrong(field, "Input should be a valid string")),
            }
        };
        let (taskset, id) = (text("taskset")?, text("task_id")?);
        match row.get("task_input") {
            Some(input) if input.is_object() => Ok(Self { taskset, id, input: input.clone() }),
            _ => Err(wrong("task_input", "Input should be an object")),
        }
    }

    /// The flat row: the fields of `task_input.task_data`, those beside it, and `responses_create_params`.
    pub fn flat(&self) -> Result<Members, TaskError> {
        let mut beside = self.input.members().map_err(|_| wrong("task_input", "Input should be an object"))?;
        let params = beside.remove("responses_create_params");
        let mut row = match beside.remove("task_data").filter(|data| !data.is_null()) {
            None => Members::new(),
            Some(data) => {
                data.members().map_err(|_| wrong("task_input.task_data", "Input should be a valid dictionary"))?
            }
        };
        for (name, value) in beside.iter() {
            if row.get(name).is_some_and(|known| known != value) {
                return Err(wrong(format!("task_input.{name}"), "it has another value in `task_input.task_data`"));
            }
            row.set(name, value.clone());
        }
        if let Some(params) = params {
            row.set("responses_create_params", params);
        }
        Ok(row)
    }
}

/// Makes a task of a flat row. It is named by the row (`task_id`, `problem_id` or `instance_id`), or by its number: the
/// row's own `_ng_task_index`, or else `index`.
pub fn materialize(row: &Members, taskset: &str, index: u64) -> Result<Members, TaskError> {
    if row.get("task_input").is_some() || row.get("task_id").is_some_and(Raw::is_object) {
        let field = if row.get("task_input").is_some() { "task_input" } else { "task_id" };
        return Err(wrong(field, "the dataset has a `taskset`, so its rows are flat, and this one is a task already"));
    }
    let named = NAMES.into_iter().find_map(|name| Some((name, row.get_set(name)?)));
    let id = match named {
        Some((name, value)) => match text_of(value) {
            Some(text) if text.is_empty() => return Err(wrong(name, "String should have at least 1 character")),
            Some(text) => text,
            None => return Err(wrong(name, "it names the task, so it must be a text or a number")),
        },
        None => match row.get("_ng_task_index") {
            None => index.to_string(),
            Some(number) => match number.read::<u64>() {
                Ok(number) => number.to_string(),
                Err(_) => return Err(wrong("_ng_task_index", "it must be a whole number from 0 on")),
            },
        },
    };
    let mut input = Members::new();
    for (name, value) in row.iter().filter(|(name, _)| !ROUTING.contains(name) && !name.starts_with("_ng_")) {
        input.set(name, value.clone());
    }
    let mut task = Members::new();
    task.set("task_id", Raw::from_value(&json!({"taskset": taskset, "task_id": id})));
    task.set("task_input", input.to_raw());
    for name in IDENTITY {
        if let Some(value) = row.get(name) {
            task.set(name, value.clone());
        }
    }
    Ok(task)
}

/// A text, a number or a boolean as Python's `str` writes it.
fn text_of(value: &Raw) -> Option<String> {
    match value.as_str() {
        "true" => Some("True".to_owned()),
        "false" => Some("False".to_owned()),
        "-0" => Some("0".to_owned()),
        _ if value.is_string() => value.read().ok(),
        text if scan::kind(text.as_bytes()) != scan::Kind::Number => None,
        text if is_integer_text(text.as_bytes()) => Some(text.to_owned()),
        text => {
            let mut written = Vec::new();
            write_float(&mut written, text.parse().ok()?);
            String::from_utf8(written).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        Raw::parse(text.to_owned().into()).unwrap().members().unwrap()
    }

    #[test]
    fn a_flat_row_becomes_a_task_and_keeps_its_identity_beside_it() {
        let cases = [
            (r#"{"x":1,"agent_ref":{},"task_source":"s","skills_ref":{},"_ng_y":2}"#, "7", r#"{"x":1}"#, ""),
            (r#"{"task_id":"a","problem_id":"b"}"#, "a", r#"{"task_id":"a","problem_id":"b"}"#, ""),
            (r#"{"task_id":null,"problem_id":5}"#, "5", r#"{"task_id":null,"problem_id":5}"#, ""),
            (r#"{"instance_id":1.50}"#, "1.5", r#"{"instance_id":1.50}"#, ""),
            (r#"{"instance_id":1e22}"#, "1e+22", r#"{"instance_id":1e22}"#, ""),
            (r#"{"instance_id":true}"#, "True", r#"{"instance_id":true}"#, ""),
            (
                r#"{"_ng_attempt_index":1,"_ng_task_index":3,"x":[]}"#,
                "3",
                r#"{"x":[]}"#,
                r#","_ng_task_index":3,"_ng_attempt_index":1"#,
            ),
        ];
        for (row, id, input, identity) in cases {
            let task = materialize(&members(row), "set", 7).unwrap();
            let expected =
                format!(r#"{{"task_id":{{"taskset":"set","task_id":"{id}"}},"task_input":{input}{identity}}}"#);
            assert_eq!(task.to_raw().as_str(), expected, "{row}");
        }
    }

    #[test]
    fn rows_that_cannot_be_tasks_are_refused_by_field() {
        for (row, field) in [
            (r#"{"task_input":null}"#, "task_input"),
            (r#"{"task_id":{"a":1}}"#, "task_id"),
            (r#"{"task_id":""}"#, "task_id"),
            (r#"{"problem_id":[1]}"#, "problem_id"),
            (r#"{"_ng_task_index":-1}"#, "_ng_task_index"),
            (r#"{"_ng_task_index":null}"#, "_ng_task_index"),
        ] {
            assert_eq!(materialize(&members(row), "set", 7).unwrap_err().field, field, "{row}");
        }
        for (row, field) in [
            (r#"{"task_id":{"taskset":"t"},"task_input":{}}"#, "task_id.task_id"),
            (r#"{"task_id":{"taskset":"","task_id":"1"},"task_input":{}}"#, "task_id.taskset"),
            (r#"{"task_id":{"taskset":"t","task_id":1},"task_input":{}}"#, "task_id.task_id"),
            (r#"{"task_id":{"taskset":"t","task_id":"1","x":1},"task_input":{}}"#, "task_id.x"),
            (r#"{"task_id":{"taskset":"t","task_id":"1"},"task_input":[]}"#, "task_input"),
        ] {
            let row = members(row);
            assert!(is_materialized(&row));
            assert_eq!(Task::read(&row).unwrap_err().field, field);
        }
        assert!(!is_materialized(&members(r#"{"task_id":"1","task_input":{}}"#)));
        assert_eq!(taskset(&members(r#"{"task_id":{"taskset":3},"task_input":{}}"#)), None);
    }

    #[test]
    fn a_task_becomes_the_flat_row_again() {
        let flat = |input: &str| {
            let row = format!(r#"{{"task_id":{{"taskset":"t","task_id":"1"}},"task_input":{input}}}"#);
            Task::read(&members(&row)).unwrap().flat().map(|row| row.to_raw().as_str().to_owned())
        };
        assert_eq!(flat(r#"{"responses_create_params":{},"x":1}"#).unwrap(), r#"{"x":1,"responses_create_params":{}}"#);
        assert_eq!(flat(r#"{"task_data":{"x":1,"y":2},"y":2,"z":3}"#).unwrap(), r#"{"x":1,"y":2,"z":3}"#);
        assert_eq!(flat(r#"{"task_data":{"y":2},"y":3}"#).unwrap_err().field, "task_input.y");
        assert_eq!(flat(r#"{"task_data":[]}"#).unwrap_err().field, "task_input.task_data");
    }
}
