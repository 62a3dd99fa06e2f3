// SPDX-License-Identifier: Apache-2.0
//! What the page is told.

use std::collections::BTreeMap;

use gym_protocol::{ObjectWriter, Raw};
use serde::Serialize;

use crate::{
    index::Index,
    table::{Row, State, Table},
};

/// Everything about the files but the rows.
#[derive(Serialize)]
pub(crate) struct Summary {
    files: Vec<FileSummary>,
    /// Number of rows, failures included.
    rows: usize,
    /// Changes when there are more.
    revision: u64,
    /// Whether all that was there at the start has been read.
    complete: bool,
    states: BTreeMap<&'static str, u64>,
    agents: Vec<Count>,
    failures: Vec<Count>,
    /// Names of other numbers that rows can be filtered and ordered by.
    numbers: Vec<String>,
    version: &'static str,
}

#[derive(Serialize)]
struct FileSummary {
    name: String,
    path: String,
    rows: u64,
    bytes: u64,
    length: u64,
    error: Option<String>,
    scored: u64,
    mean: Option<f64>,
}

#[derive(Serialize)]
struct Count {
    name: String,
    rows: u64,
}

/// How many agents and failures are listed.
const NAMES: usize = 200;

pub(crate) fn summary(index: &Index) -> Summary {
    let revision = index.revision();
    let complete = index.is_complete();
    let progress = index.progress();
    index.with(|table| {
        let mut states = BTreeMap::new();
        let mut agents = BTreeMap::new();
        let mut failures = BTreeMap::new();
        let mut sums = vec![(0_u64, 0.0); index.files().len()];
        for row in table.rows() {
            *states.entry(row.state.name()).or_insert(0) += 1;
            agents.entry(row.agent).or_insert((0, table.agent(row))).0 += 1;
            if !table.failure(row).is_empty() {
                failures.entry(row.failure).or_insert((0, table.failure(row))).0 += 1;
            }
            if row.state == State::Scored {
                let (scored, sum) = &mut sums[usize::from(row.side)];
                (*scored, *sum) = (*scored + 1, *sum + row.reward);
            }
        }
        let files = index.files().iter().zip(progress).zip(sums).map(|((file, progress), (scored, sum))| FileSummary {
            name: file.name(),
            path: file.path.display().to_string(),
            rows: progress.rows,
            bytes: progress.bytes,
            length: progress.length,
            error: progress.error,
            scored,
            mean: (scored > 0).then(|| sum / scored as f64),
        });
        Summary {
            files: files.collect(),
            rows: table.rows().len(),
            revision,
            complete,
            states,
            agents: counts(agents.into_values()),
            failures: counts(failures.into_values()),
            numbers: table.number_names().map(str::to_owned).collect(),
            version: env!("CARGO_PKG_VERSION"),
        }
    })
}

fn counts<'a>(counted: impl Iterator<Item = (u64, &'a str)>) -> Vec<Count> {
    let mut counts: Vec<Count> = counted
        .filter(|(_, name)| !name.is_empty())
        .map(|(rows, name)| Count { name: name.to_owned(), rows })
        .collect();
    counts.sort_by(|left, right| right.rows.cmp(&left.rows).then_with(|| left.name.cmp(&right.name)));
    counts.truncate(NAMES);
    counts
}

/// A row of the list.
#[derive(Serialize)]
pub(crate) struct RowBody<'a> {
    id: u32,
    side: u8,
    in_failures: bool,
    line: u64,
    bytes: u64,
    state: State,
    task: Option<i64>,
    rollout: Option<i64>,
    attempt: i64,
    agent: &'a str,
    model: &'a str,
    failure: &'a str,
    reward: Option<f64>,
    tokens: Option<f64>,
    output: Option<f64>,
    calls: u32,
    items: u32,
    title: &'a str,
    /// The other number that the page asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<f64>,
}

pub(crate) fn row<'a>(table: &'a Table, id: u32, number: Option<&str>) -> RowBody<'a> {
    let row: &Row = &table.rows()[id as usize];
    let there = |number: f64| (!number.is_nan()).then_some(number);
    RowBody {
        id,
        side: row.side,
        in_failures: row.in_failures,
        line: row.line,
        bytes: row.bytes,
        state: row.state,
        task: row.task,
        rollout: row.rollout,
        attempt: row.attempt,
        agent: table.agent(row),
        model: table.model(row),
        failure: table.failure(row),
        reward: there(row.reward),
        tokens: there(row.tokens),
        output: there(row.output_tokens),
        calls: row.calls,
        items: row.items,
        title: &row.title,
        number: number.and_then(|name| there(table.number(name, id as usize))),
    }
}

/// One rollout: its facts, the line as it stands in the file (as text if it is no JSON), and its task if that lies in
/// another file.
pub(crate) fn rollout(facts: &Raw, line: bytes::Bytes, task: Option<&Raw>) -> Raw {
    let mut writer = ObjectWriter::with_capacity(line.len() + 1024);
    writer.member("row", facts);
    match Raw::parse(line.clone()) {
        Ok(raw) if raw.is_object() => writer.member("record", &raw),
        _ => writer.string("text", &String::from_utf8_lossy(&line)),
    }
    if let Some(task) = task {
        writer.member("task", task);
    }
    writer.finish()
}
