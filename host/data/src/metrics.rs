// SPDX-License-Identifier: Apache-2.0
//! Metrics over verify replies: the answer of `POST /aggregate_metrics`.
//!
//! The names and rules are NeMo Gym's. Every top-level number of a reply is a metric (booleans count as 0 and 1), and so
//! are the numbers of `response.usage`; names that begin with `_` are not. A reply with `mask_sample` is not a
//! measurement: it is counted, and left out of everything else.
//!
//! Numbers are to be equal to the last digit, so sums are made in the order in which pandas and Python make them; see
//! [`statistics`].

mod number;
mod passes;
mod performance;
mod repeats;
mod statistics;
mod student;
mod table;

use gym_protocol::{
    Raw,
    environment::PassMetrics,
    raw::write_array,
    scan,
    validate::{ErrorDetail, Errors, Path},
};
use serde_json::{Map, Value, json};

use table::{Row, Table};

/// What to compute beyond the statistics of all numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricOptions<'a> {
    /// `pass@k` and its relatives, if the environment asks for them.
    pub pass: Option<&'a PassMetrics>,
}

/// The metrics of one agent's replies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// One object for each task with a measured reply, in order of `_ng_task_index`.
    pub group_level_metrics: Vec<Group>,
    /// Metrics over all replies.
    pub agent_metrics: Map<String, Value>,
    /// The headline among them.
    pub key_metrics: Map<String, Value>,
    /// Figures of cost and time; none unless replies carry `ng_perf`.
    pub perf_summary: Option<Map<String, Value>>,
    /// One object for each rollout index, if there are several.
    pub repeat_level_metrics: Vec<Map<String, Value>>,
}

/// The metrics of one task. They are kept as text: of all metrics these alone grow with the number of tasks, and a text
/// takes a tenth of the memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// `_ng_task_index`.
    pub task: i64,
    metrics: Raw,
}

impl Group {
    fn new(task: i64, metrics: &Map<String, Value>) -> Self {
        Self { task, metrics: Raw::from_value(metrics) }
    }

    /// The metrics by name.
    pub fn metrics(&self) -> Map<String, Value> {
        self.metrics.read().expect("it was written from an object")
    }

    /// Adds metrics, in the place of those of their name.
    pub fn extend(&mut self, added: Map<String, Value>) {
        let mut metrics = self.metrics();
        metrics.extend(added);
        self.metrics = Raw::from_value(&metrics);
    }
}

impl Aggregate {
    /// The reply's body.
    pub fn into_json(self) -> Vec<u8> {
        let groups = &self.group_level_metrics;
        let size: usize = groups.iter().map(|group| group.metrics.bytes().len() + 1).sum();
        let mut body = Vec::with_capacity(size + 4096);
        body.extend_from_slice(b"{\"group_level_metrics\":");
        write_array(&mut body, groups.iter().map(|group| &group.metrics));
        for (name, value) in [
            ("agent_metrics", Raw::from_value(&self.agent_metrics)),
            ("key_metrics", Raw::from_value(&self.key_metrics)),
            ("perf_summary", Raw::from_value(&self.perf_summary)),
            ("repeat_level_metrics", Raw::from_value(&self.repeat_level_metrics)),
        ] {
            body.extend_from_slice(b",\"");
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(b"\":");
            body.extend_from_slice(value.bytes());
        }
        body.push(b'}');
        body
    }
}

/// The replies cannot be aggregated.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A reply is not an object.
    #[error("failed to aggregate: reply {0} is not an object")]
    NotAnObject(usize),
    /// Two replies are of the same rollout of the same task.
    #[error("failed to aggregate: rollout {rollout} of task {task} occurs twice")]
    Duplicate {
        /// `_ng_task_index`.
        task: i64,
        /// `_ng_rollout_index`.
        rollout: i64,
    },
}

/// The replies in the body of `POST /aggregate_metrics`: `verify_responses`, a list of objects. Otherwise the errors for
/// the 422.
pub fn verify_replies(body: &Raw) -> Result<Vec<Raw>, Vec<ErrorDetail>> {
    let mut errors = Errors::new();
    let path = Path::Name(&Path::Body, "verify_responses");
    let mut replies = Vec::new();
    match scan::member(body.bytes(), "verify_responses") {
        None => errors.missing(&path, body.bytes()),
        Some(list) if scan::kind(list) != scan::Kind::Array => {
            errors.add("list_type", &path, "Input should be a valid list", list);
        }
        Some(list) => {
            for (index, reply) in scan::elements(list).enumerate() {
                if scan::kind(reply) != scan::Kind::Object {
                    errors.add("dict_type", &Path::Index(&path, index), "Input should be a valid dictionary", reply);
                }
                replies.push(Raw::trusted(body.bytes().slice_ref(reply)));
            }
        }
    }
    if errors.is_empty() { Ok(replies) } else { Err(errors.into_vec()) }
}

/// Computes the metrics of verify replies. In replies without `_ng_task_index` or `_ng_rollout_index` these count as 0.
pub fn aggregate(replies: &[Raw], options: MetricOptions<'_>) -> Result<Aggregate, MetricsError> {
    let mut rows = Vec::with_capacity(replies.len());
    for (index, reply) in replies.iter().enumerate() {
        rows.push(Row::read(reply).ok_or(MetricsError::NotAnObject(index))?);
    }
    let mut keys: Vec<(i64, i64)> = rows.iter().map(|row| (row.task, row.rollout)).collect();
    keys.sort_unstable();
    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(MetricsError::Duplicate { task: pair[0].0, rollout: pair[0].1 });
    }
    let perf_summary = performance::summary(&rows);
    let coverage = coverage(&rows);
    let all_repeats = count_distinct(rows.iter().map(|row| row.rollout));
    // Environments see the replies of a task in the order in which they came; everything else goes by rollout index.
    let mut measured: Vec<Row> = rows.into_iter().filter(|row| !row.masked).collect();
    if measured.is_empty() {
        return Ok(Aggregate {
            agent_metrics: coverage.clone(),
            key_metrics: coverage,
            perf_summary,
            ..Aggregate::default()
        });
    }
    let pass = options.pass.map(|pass| {
        measured.sort_by_key(|row| row.task);
        (pass, passes::pass_metrics(&measured, pass))
    });
    measured.sort_by_key(|row| (row.task, row.rollout));
    let table = Table::new(&measured);
    let mut agent_metrics = table.describe(0..measured.len());
    let repeat_level_metrics = repeats::repeat_level(&measured, &table);
    repeats::across(&mut agent_metrics, &repeat_level_metrics);
    agent_metrics.extend(coverage.clone());
    let mut key_metrics: Map<String, Value> = match &pass {
        Some((pass, metrics)) => passes::headline(&agent_metrics, metrics, pass),
        None => agent_metrics
            .iter()
            .filter(|(name, _)| name.starts_with("mean/"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    };
    if let Some((_, metrics)) = pass {
        agent_metrics.extend(metrics);
    }
    agent_metrics.insert("num_repeats".to_owned(), json!(all_repeats));
    key_metrics.extend(coverage);
    Ok(Aggregate {
        group_level_metrics: group_level(&measured, &table),
        agent_metrics,
        key_metrics,
        perf_summary,
        repeat_level_metrics,
    })
}

fn group_level(rows: &[Row], table: &Table) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut start = 0;
    for task in rows.chunk_by(|one, other| one.task == other.task) {
        let range = start..start + task.len();
        start = range.end;
        let mut group = Map::new();
        group.insert("_ng_task_index".to_owned(), json!(task[0].task));
        group.extend(table.describe(range));
        group.insert("sample".to_owned(), json!({"agent_ref": {"name": "agent"}}));
        // Masked replies are in neither number, so nothing is ever missing.
        group.insert("num_rollouts".to_owned(), json!(task.len()));
        group.insert("expected_num_rollouts".to_owned(), json!(task.len()));
        group.insert("missing_num_rollouts".to_owned(), json!(0));
        group.insert("reward_profile_completion_pct".to_owned(), json!(100.0));
        group.insert("rollout_infos".to_owned(), task.iter().map(Row::info).collect());
        groups.push(Group::new(task[0].task, &group));
    }
    groups
}

/// How many replies are measurements. Empty when all are.
fn coverage(rows: &[Row]) -> Map<String, Value> {
    let masked = rows.iter().filter(|row| row.masked).count();
    if masked == 0 {
        return Map::new();
    }
    let tasks = count_distinct(rows.iter().map(|row| row.task));
    let measured = count_distinct(rows.iter().filter(|row| !row.masked).map(|row| row.task));
    [
        ("coverage/measured_rollouts", rows.len() - masked),
        ("coverage/masked_rollouts", masked),
        ("coverage/measured_tasks", measured),
        ("coverage/fully_masked_tasks", tasks - measured),
    ]
    .into_iter()
    .map(|(name, count)| (name.to_owned(), json!(count)))
    .collect()
}

fn count_distinct(values: impl Iterator<Item = i64>) -> usize {
    values.collect::<std::collections::HashSet<_>>().len()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
