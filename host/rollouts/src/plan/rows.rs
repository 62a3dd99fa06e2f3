// SPDX-License-Identifier: Apache-2.0
//! From dataset rows to rows that can be run.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use gym_data::{
    jsonl::{Reader, Row},
    task::{Task, taskset},
};
use gym_protocol::{Members, Raw};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{CollectPlan, SESSION_SEED, name_of};
use crate::{dispatch::Dispatch, error::CollectError};

/// Writes all rows to `target`, whole or not at all, and counts them.
pub(super) fn write(plan: &CollectPlan, target: &Path, dispatch: &dyn Dispatch) -> Result<u64, CollectError> {
    let problem = |source| CollectError::File { path: target.display().to_string(), source };
    let partial = target.with_extension("partial");
    let mut output = BufWriter::with_capacity(1 << 20, File::create(&partial).map_err(problem)?);
    let mut rows = Rows { plan, dispatch, tasks: Tasks::default(), problems: Problems::default() };
    let result =
        rows.write(|row| output.write_all(row.bytes()).and_then(|()| output.write_all(b"\n")).map_err(problem));
    let result = result.and_then(|total| {
        output.flush().and_then(|()| output.get_ref().sync_data()).map_err(problem)?;
        std::fs::rename(&partial, target).map_err(problem)?;
        Ok(total)
    });
    if result.is_err() {
        // What was written so far is of no use; the error that matters is the one returned.
        std::fs::remove_file(&partial).ok();
    }
    result
}

struct Rows<'a> {
    plan: &'a CollectPlan,
    dispatch: &'a dyn Dispatch,
    tasks: Tasks,
    problems: Problems,
}

/// Rows that cannot be routed. All of them are looked for, so that one run names them all.
#[derive(Default)]
struct Problems {
    without_agent: Vec<u64>,
    unknown: BTreeMap<String, u64>,
    without_repeats: BTreeMap<String, u64>,
}

/// Who runs a row.
struct Route {
    agent: String,
    /// The row's own `agent_ref` is not the one to be used.
    changed: bool,
    source: Option<String>,
}

impl Rows<'_> {
    fn write(&mut self, mut put: impl FnMut(&Raw) -> Result<(), CollectError>) -> Result<u64, CollectError> {
        let mut reader = Reader::open(&self.plan.input)?;
        let (mut total, mut rows) = (0, 0);
        while self.plan.limit.is_none_or(|limit| rows < limit) {
            let Some(row) = reader.next_row()? else { break };
            rows += 1;
            let (row, taskset) = flat(row).map_err(|(row, error)| self.wrong(&row, error))?;
            let task = self.task_of(&row)?;
            let Some((route, repeats)) = self.route(&row, taskset.as_deref()) else { continue };
            let first = self.tasks.take_repeats(task, repeats);
            if self.plan.shard.is_some_and(|shard| task % shard.count != shard.index) || !self.problems.is_empty() {
                continue;
            }
            let members = self.base_of(&row, task, &route)?;
            for repeat in first..first + repeats {
                put(&self.repeat_of(&row, members.clone(), task, repeat)?)?;
                total += 1;
            }
        }
        let path = || self.plan.input.display().to_string();
        if rows == 0 {
            return Err(CollectError::Empty { path: path() });
        }
        match std::mem::take(&mut self.problems).into_error(path(), self.dispatch) {
            Some(error) => Err(error),
            None => Ok(total),
        }
    }

    /// The row's own number, or the number of its text among all texts.
    fn task_of(&mut self, row: &Row) -> Result<u64, CollectError> {
        match row.members.get_set("_ng_task_index") {
            Some(index) => {
                index.read().map_err(|_| self.wrong(row, "`_ng_task_index` is not a whole number from 0 on"))
            }
            None => Ok(self.tasks.number(&row.text)),
        }
    }

    /// A task is run by the agent of its set, whatever else the row says.
    fn route(&mut self, row: &Row, taskset: Option<&str>) -> Option<(Route, u64)> {
        let own = row.members.get_set("agent_ref").and_then(name_of);
        let source = row.members.get_set("task_source");
        let source = source.and_then(|source| source.read::<String>().ok().or_else(|| name_of(source)));
        let of_set = taskset.and_then(|taskset| self.dispatch.agent_of_taskset(taskset));
        let mapped = [own.as_deref(), source.as_deref(), Some("_default")]
            .into_iter()
            .flatten()
            .find_map(|name| self.plan.agent_map.get(name));
        let mapped = of_set.as_ref().or(mapped);
        let agent = match (mapped, &own, &self.plan.agent, &source) {
            (Some(agent), ..) | (None, Some(agent), ..) | (None, None, Some(agent), _) => agent.clone(),
            (None, None, None, Some(source)) => self.dispatch.agent_of_source(source).unwrap_or_else(|| source.clone()),
            (None, None, None, None) => {
                self.problems.without_agent.push(row.line);
                return None;
            }
        };
        if !self.dispatch.knows(&agent) {
            self.problems.unknown.entry(agent).or_insert(row.line);
            return None;
        }
        let names = [Some(agent.as_str()), taskset, own.as_deref(), source.as_deref()];
        let Some(repeats) = self.plan.num_repeats.of(&names) else {
            self.problems.without_repeats.entry(agent).or_insert(row.line);
            return None;
        };
        let changed = own.as_ref() != Some(&agent);
        Some((Route { agent, changed, source }, repeats))
    }

    /// The row without what is different from repeat to repeat.
    fn base_of(&self, row: &Row, task: u64, route: &Route) -> Result<Members, CollectError> {
        let mut members = row.members.clone();
        if let Some(prompt) = &self.plan.prompt {
            prompt.apply(&mut members).map_err(|error| self.wrong(row, error))?;
        }
        let mut params = match members.get_set("responses_create_params") {
            Some(params) => {
                params.members().map_err(|_| self.wrong(row, "`responses_create_params` is not an object"))?
            }
            None => return Err(self.wrong(row, "`responses_create_params` is missing")),
        };
        if params.get("input").is_none() {
            return Err(self.wrong(row, "`responses_create_params.input` is missing"));
        }
        if !self.plan.overrides.is_empty() {
            for (name, value) in &self.plan.overrides {
                params.set(name, Raw::from_value(value));
            }
            members.set("responses_create_params", params.to_raw());
        }
        if route.changed {
            let reference = json!({"type": "responses_api_agents", "name": route.agent});
            members.set("agent_ref", Raw::from_value(&reference));
        }
        if members.get_set("_ng_task_index").is_none() {
            members.set("_ng_task_index", Raw::from_value(&task));
        }
        if let Some(source) = &route.source
            && members.get_set("task_source").is_none()
        {
            members.set("task_source", Raw::from_value(source));
        }
        Ok(members)
    }

    fn repeat_of(&self, row: &Row, mut members: Members, task: u64, repeat: u64) -> Result<Raw, CollectError> {
        members.set("_ng_rollout_index", Raw::from_value(&repeat));
        if members.get_set(SESSION_SEED).is_none() {
            members.set(SESSION_SEED, Raw::from_value(&session_seed(self.plan.session_seed, task, repeat)));
        }
        if self.plan.seed_repeats {
            let params = members.get_set("responses_create_params").and_then(|params| params.members().ok());
            let mut params = params.unwrap_or_default();
            add_seed(&mut params, repeat).map_err(|reason| self.wrong(row, reason))?;
            members.set("responses_create_params", params.to_raw());
        }
        Ok(members.to_raw())
    }

    fn wrong(&self, row: &Row, reason: impl std::fmt::Display) -> CollectError {
        CollectError::Row { path: self.plan.input.display().to_string(), line: row.line, reason: reason.to_string() }
    }
}

impl Problems {
    fn is_empty(&self) -> bool {
        self.without_agent.is_empty() && self.unknown.is_empty() && self.without_repeats.is_empty()
    }

    fn into_error(self, path: String, dispatch: &dyn Dispatch) -> Option<CollectError> {
        if !self.without_agent.is_empty() {
            return Some(CollectError::NoAgent { path, lines: self.without_agent });
        }
        if let Some((agent, line)) = self.unknown.into_iter().min_by_key(|(_, line)| *line) {
            return Some(CollectError::UnknownAgent { agent, path, line, known: dispatch.agents() });
        }
        let (agent, line) = self.without_repeats.into_iter().min_by_key(|(_, line)| *line)?;
        Some(CollectError::NoRepeats { agent, path, line })
    }
}

/// A materialised task as the flat row it was made from, with the name of its set. All other rows stay as they are. The
/// error is the row and what is wrong with it.
fn flat(mut row: Row) -> Result<(Row, Option<String>), (Row, String)> {
    let Some(taskset) = taskset(&row.members) else { return Ok((row, None)) };
    let flat = Task::read(&row.members).and_then(|task| task.flat());
    let mut members = match flat {
        Ok(members) => members,
        Err(error) => return Err((row, format!("`{}`: {error}", error.field))),
    };
    // What identifies the rollout stands beside the task.
    for (name, value) in row.members.iter().filter(|(name, _)| name.starts_with("_ng_") || *name == "task_source") {
        members.set(name, value.clone());
    }
    if members.get_set("task_source").is_none() {
        members.set("task_source", Raw::from_value(&taskset));
    }
    row.members = members;
    Ok((row, Some(taskset)))
}

/// Numbers tasks by their text, and counts their repeats. A digest of 16 bytes stands for the text, so that a million
/// tasks need some 50 MB.
#[derive(Default)]
struct Tasks {
    numbers: HashMap<[u8; 16], u64>,
    repeats: Vec<u32>,
    /// For numbers that rows brought along and that are far beyond the others.
    other_repeats: HashMap<u64, u64>,
}

impl Tasks {
    fn number(&mut self, text: &[u8]) -> u64 {
        let next = self.numbers.len() as u64;
        *self.numbers.entry(digest(text)).or_insert(next)
    }

    /// The first repeat that is not taken yet; takes that and the following ones.
    fn take_repeats(&mut self, task: u64, count: u64) -> u64 {
        const DENSE: u64 = 4 << 20;
        if task < DENSE
            && let Ok(count) = u32::try_from(count)
        {
            let index = task as usize;
            if self.repeats.len() <= index {
                self.repeats.resize(index + 1, 0);
            }
            let first = self.repeats[index];
            self.repeats[index] = first.saturating_add(count);
            return first.into();
        }
        let taken = self.other_repeats.entry(task).or_default();
        std::mem::replace(taken, *taken + count)
    }
}

/// Writes the seed where model servers look for it: a JSON text in `metadata.extra_body`.
fn add_seed(params: &mut Members, seed: u64) -> Result<(), &'static str> {
    let mut metadata = match params.get_set("metadata") {
        Some(metadata) => metadata.members().map_err(|_| "`metadata` is not an object")?,
        None => Members::new(),
    };
    let mut extra: Map<String, Value> = match metadata.get_set("extra_body") {
        Some(text) => text
            .read::<String>()
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or("`metadata.extra_body` is not the text of a JSON object")?,
        None => Map::new(),
    };
    extra.insert("seed".to_owned(), seed.into());
    metadata.set("extra_body", Raw::from_value(&Value::Object(extra).to_string()));
    params.set("metadata", metadata.to_raw());
    Ok(())
}

/// A seed of 53 bits, which every JSON reader takes for the same number.
fn session_seed(seed: u64, task: u64, repeat: u64) -> u64 {
    let digest = digest(format!("{seed}/{task}/{repeat}").as_bytes());
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) >> 11
}

fn digest(text: &[u8]) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(text)[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        Raw::parse(text.to_owned().into()).unwrap().members().unwrap()
    }

    #[test]
    fn a_seed_is_added_to_what_is_there() {
        let mut params = members(r#"{"metadata":{"extra_body":"{\"top_k\":5}","a":"b"}}"#);
        add_seed(&mut params, 7).unwrap();
        assert_eq!(params.to_raw().as_str(), r#"{"metadata":{"extra_body":"{\"top_k\":5,\"seed\":7}","a":"b"}}"#);
        assert!(add_seed(&mut members(r#"{"metadata":{"extra_body":"no"}}"#), 7).is_err());
    }

    #[test]
    fn tasks_of_a_taskset_become_flat() {
        let text = r#"{"task_id":{"taskset":"t","task_id":"9"},"task_input":{"x":1},"_ng_task_index":3}"#;
        let flat = |text: &str| {
            let row = Row { line: 1, offset: 0, text: text.to_owned().into(), members: members(text) };
            flat(row).map(|(row, set)| (row.members.to_raw().as_str().to_owned(), set)).map_err(|(_, reason)| reason)
        };
        let set = Some("t".to_owned());
        assert_eq!(flat(text), Ok((r#"{"x":1,"_ng_task_index":3,"task_source":"t"}"#.to_owned(), set.clone())));
        let data = r#"{"task_id":{"taskset":"t","task_id":"9"},"task_source":"s","task_input":{"task_data":{"x":1}}}"#;
        assert_eq!(flat(data), Ok((r#"{"x":1,"task_source":"s"}"#.to_owned(), set)));
        for other in [r#"{"task_id":"9","task_input":{"x":1}}"#, r#"{"task_id":{"taskset":1},"task_input":{"x":1}}"#] {
            assert_eq!(flat(other), Ok((other.to_owned(), None)));
        }
        let wrong = r#"{"task_id":{"taskset":"t","task_id":9},"task_input":{}}"#;
        assert_eq!(flat(wrong), Err("`task_id.task_id`: Input should be a valid string".to_owned()));
    }
}
