// SPDX-License-Identifier: Apache-2.0
//! All rollouts, as facts to list them by.

use indexmap::{IndexMap, IndexSet};
use serde::Serialize;

use crate::extract::Facts;

/// What became of a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has a reward that counts.
    Scored,
    /// It has none.
    #[default]
    Unscored,
    /// It has one that does not count: something failed that was not the model's fault.
    Masked,
    /// The attempt failed; it stands in the failures file, or could.
    Failed,
    /// The line is not a JSON object.
    Unreadable,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Scored, Self::Unscored, Self::Masked, Self::Failed, Self::Unreadable];

    /// Its name in filters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scored => "scored",
            Self::Unscored => "unscored",
            Self::Masked => "masked",
            Self::Failed => "failed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One rollout. Numbers that it lacks are NaN.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which of the files that were asked for: 0 or 1.
    pub side: u8,
    /// Whether it stands in the failures file beside that file.
    pub in_failures: bool,
    /// The line, from 1.
    pub line: u64,
    /// Where the line begins, in bytes.
    pub offset: u64,
    /// The line's length in bytes, without the line break.
    pub bytes: u64,
    /// What became of it.
    pub state: State,
    /// `_ng_task_index`.
    pub task: Option<i64>,
    /// `_ng_rollout_index`.
    pub rollout: Option<i64>,
    /// `_ng_attempt_index`; 0 for the first attempt.
    pub attempt: i64,
    /// The reward.
    pub reward: f64,
    /// All tokens that the response counts.
    pub tokens: f64,
    /// The tokens that the model wrote.
    pub output_tokens: f64,
    /// Tool calls.
    pub calls: u32,
    /// Output items.
    pub items: u32,
    /// The first words of the prompt.
    pub title: Box<str>,
    pub(crate) search: Box<str>,
    pub(crate) group: u64,
    pub(crate) agent: u32,
    pub(crate) model: u32,
    pub(crate) failure: u32,
    pub(crate) has_task: bool,
}

/// All rollouts that were read so far.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
    names: IndexSet<Box<str>>,
    /// Other numbers by name; one value for each row.
    numbers: IndexMap<Box<str>, Vec<f64>>,
}

/// Names of other numbers beyond these are not listed: every name costs memory for every row.
const NUMBERS: usize = 48;

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub side: u8,
    pub in_failures: bool,
    pub line: u64,
    pub offset: u64,
    pub bytes: u64,
}

impl Table {
    pub(crate) fn push(&mut self, place: Place, facts: Facts) {
        let row = self.rows.len();
        for (name, value) in &facts.numbers {
            if let Some(column) = self.numbers.get_mut(name.as_str()) {
                column.resize(row, f64::NAN);
                column.push(*value);
            } else if self.numbers.len() < NUMBERS {
                let mut column = vec![f64::NAN; row];
                column.push(*value);
                self.numbers.insert(name.as_str().into(), column);
            }
        }
        let state = if place.in_failures && facts.state != State::Unreadable { State::Failed } else { facts.state };
        let agent = self.intern(facts.agent);
        let model = self.intern(facts.model);
        let failure = self.intern(facts.failure);
        self.rows.push(Row {
            side: place.side,
            in_failures: place.in_failures,
            line: place.line,
            offset: place.offset,
            bytes: place.bytes,
            state,
            task: facts.task,
            rollout: facts.rollout,
            attempt: facts.attempt,
            reward: facts.reward,
            tokens: facts.tokens,
            output_tokens: facts.output_tokens,
            calls: facts.calls,
            items: facts.items,
            title: facts.title.into(),
            search: facts.search.into(),
            group: facts.group,
            agent,
            model,
            failure,
            has_task: facts.has_task,
        });
    }

    fn intern(&mut self, name: String) -> u32 {
        let index = match self.names.get_index_of(name.as_str()) {
            Some(index) => index,
            None => self.names.insert_full(name.into()).0,
        };
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// Gives the rows without a prompt the one that `title` knows for their task.
    pub(crate) fn name_tasks(&mut self, title: impl Fn(u8, i64) -> Option<(String, String)>) {
        for row in self.rows.iter_mut().filter(|row| row.title.is_empty()) {
            if let Some((title, search)) = row.task.and_then(|task| title(row.side, task)) {
                (row.title, row.search) = (title.into(), search.into());
            }
        }
    }

    /// The rows in the order of their files.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Drops all rows.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn name(&self, index: u32) -> &str {
        self.names.get_index(index as usize).map_or("", |name| name)
    }

    /// The agent of a row; empty if it names none.
    pub fn agent(&self, row: &Row) -> &str {
        self.name(row.agent)
    }

    /// The model of a row; empty if it names none.
    pub fn model(&self, row: &Row) -> &str {
        self.name(row.model)
    }

    /// What failed in a row; empty if nothing did.
    pub fn failure(&self, row: &Row) -> &str {
        self.name(row.failure)
    }

    /// The names of other numbers, in the order they were met.
    pub fn number_names(&self) -> impl Iterator<Item = &str> {
        self.numbers.keys().map(|name| &**name)
    }

    /// Another number of the row at `index`; NaN if it has none of that name.
    pub(crate) fn number(&self, name: &str, index: usize) -> f64 {
        self.numbers.get(name).and_then(|column| column.get(index).copied()).unwrap_or(f64::NAN)
    }

    /// The number of a row's field by the name that filters and orders use; `None` if there is no such field.
    pub(crate) fn value(&self, field: &str, index: usize) -> Option<f64> {
        let row = &self.rows[index];
        let of = |number: Option<i64>| number.map_or(f64::NAN, |number| number as f64);
        Some(match field {
            "reward" => row.reward,
            "tokens" => row.tokens,
            "output" => row.output_tokens,
            "calls" => f64::from(row.calls),
            "items" => f64::from(row.items),
            "bytes" => row.bytes as f64,
            "task" => of(row.task),
            "rollout" => of(row.rollout),
            "attempt" => row.attempt as f64,
            "line" => row.line as f64,
            other if self.numbers.contains_key(other) => self.number(other, index),
            _ => return None,
        })
    }
}

/// Fields of every row that are numbers.
pub(crate) const NUMBER_FIELDS: [&str; 10] =
    ["reward", "tokens", "output", "calls", "items", "bytes", "task", "rollout", "attempt", "line"];
