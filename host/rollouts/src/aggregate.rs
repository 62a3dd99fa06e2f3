// SPDX-License-Identifier: Apache-2.0
//! The file with the metrics of all agents.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use gym_data::jsonl::{BlankLines, Reader};
use gym_protocol::{Members, Raw, raw::write_array, scan};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::{
    dispatch::Dispatch,
    error::CollectError,
    files::Files,
    plan::{Key, KeySet, agent, key},
};

/// Has every agent compute the metrics of its rollouts in `rollouts`, and writes them to `metrics`: a list with one
/// object for each agent, as NeMo Gym's collector does. An agent that cannot has `error` in its object; the texts are
/// returned by agent.
///
/// Agents need all their rollouts at once, so this takes memory in proportion to their number (2 to 3 KB for each), but
/// not to their size.
pub async fn aggregate(
    rollouts: &Path,
    metrics: &Path,
    dispatch: &dyn Dispatch,
) -> Result<BTreeMap<String, String>, CollectError> {
    let mut errors = BTreeMap::new();
    let mut entries = Vec::new();
    for (agent, rows) in rows(rollouts)? {
        let mut body = b"{\"verify_responses\":".to_vec();
        write_array(&mut body, &rows);
        body.push(b'}');
        drop(rows);
        let mut entry = Members::new();
        entry.set("agent_ref", Raw::from_value(&json!({ "name": agent })));
        let reply = match dispatch.aggregate_metrics(&agent, body.into()).await {
            Ok(reply) if reply.is_success() => {
                Raw::parse(reply.body).and_then(|body| body.members()).map_err(|error| error.to_string())
            }
            Ok(reply) => Err(format!("status {}: {}", reply.status, String::from_utf8_lossy(&reply.body))),
            Err(fault) => Err(fault.message),
        };
        match reply {
            Ok(mut reply) => {
                for name in ["agent_metrics", "key_metrics", "group_level_metrics", "repeat_level_metrics"] {
                    if let Some(value) = reply.remove(name) {
                        entry.set(name, value);
                    }
                }
                // Absent rather than null.
                for (name, value) in reply.iter().filter(|(_, value)| !value.is_null()) {
                    entry.set(name, value.clone());
                }
            }
            Err(error) => {
                entry.set("error", Raw::from_value(&error));
                errors.insert(agent, error);
            }
        }
        entries.push(Entry(entry));
    }
    Files::replace_with(metrics, |file| Ok(serde_json::to_writer_pretty(file, &entries)?))?;
    Ok(errors)
}

/// An agent's metrics, which are taken apart only while they are written: those of all tasks may be many.
struct Entry(Members);

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Part(value.bytes()))))
    }
}

/// A JSON text; a list is taken apart element by element.
struct Part<'a>(&'a [u8]);

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if scan::kind(self.0) == scan::Kind::Array {
            return serializer.collect_seq(scan::elements(self.0).map(Part));
        }
        serde_json::from_slice::<Value>(self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// The headlines of each agent in a file of metrics: its name, and the metrics by name. The rest of the file, which may
/// be large, is passed over.
pub fn headlines(metrics: &Path) -> io::Result<Vec<(String, Map<String, Value>)>> {
    #[derive(Deserialize)]
    struct Headline {
        #[serde(default)]
        agent_ref: Map<String, Value>,
        #[serde(default)]
        key_metrics: Map<String, Value>,
    }
    let entries: Vec<Headline> = serde_json::from_reader(BufReader::with_capacity(256 << 10, File::open(metrics)?))?;
    let name = |agent: &Map<String, Value>| agent.get("name").and_then(Value::as_str).map(str::to_owned);
    let named =
        |entry: Headline| (name(&entry.agent_ref).unwrap_or_else(|| "(no agent)".to_owned()), entry.key_metrics);
    Ok(entries.into_iter().map(named).collect())
}

/// The rollouts of each agent without their large parts, by task and repeat; what is there twice counts once.
fn rows(rollouts: &Path) -> Result<BTreeMap<String, Vec<Raw>>, CollectError> {
    let mut seen = KeySet::default();
    let mut rows: BTreeMap<String, Vec<(Key, Raw)>> = BTreeMap::new();
    let mut reader = Reader::open(rollouts)?.blank_lines(BlankLines::Skipped);
    while let Some(row) = reader.next_row()? {
        if let Some(key) = key(&row.members).filter(|key| seen.insert(*key)) {
            rows.entry(agent(&row.members).unwrap_or_default()).or_default().push((key, strip(&row.members)));
        }
    }
    Ok(rows
        .into_iter()
        .map(|(agent, mut rows)| {
            rows.sort_unstable_by_key(|(key, _)| *key);
            (agent, rows.into_iter().map(|(_, row)| row).collect())
        })
        .collect())
}

/// What aggregation reads of a rollout: everything but the large fields, with `usage` of the response kept.
pub(crate) fn strip(members: &Members) -> Raw {
    const LARGE: [&str; 6] = [
        "response",
        "responses_create_params",
        "ng_agent_observations",
        "ng_model_call_capture",
        "ng_trajectory",
        "gym_host",
    ];
    let mut small: Members = members
        .iter()
        .filter(|(name, _)| !LARGE.contains(name))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    let response = members.get_set("response").and_then(|response| response.members().ok());
    let kept: Members = ["usage", "incomplete_details"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), response.as_ref()?.get_set(name)?.clone())))
        .collect();
    if !kept.is_empty() {
        small.set("response", kept.to_raw());
    }
    small.to_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregation_reads_small_rows_with_usage() {
        let text =
            r#"{"reward":1.0,"response":{"output":[1],"usage":{"total_tokens":3}},"responses_create_params":{}}"#;
        let members = Raw::parse(text.to_owned().into()).unwrap().members().unwrap();
        assert_eq!(strip(&members).as_str(), r#"{"reward":1.0,"response":{"usage":{"total_tokens":3}}}"#);
    }

    #[test]
    fn rows_are_sorted_and_counted_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let row = |task: u64, repeat: u64, reward: f64| {
            format!(
                "{{\"_ng_task_index\":{task},\"_ng_rollout_index\":{repeat},\"agent_ref\":{{\"name\":\"a\"}},\"reward\":{reward:?}}}\n"
            )
        };
        std::fs::write(file.path(), row(1, 0, 0.0) + &row(0, 1, 1.0) + &row(0, 0, 0.5) + &row(0, 1, 0.0)).unwrap();
        let rows = rows(file.path()).unwrap();
        let rewards: Vec<f64> =
            rows["a"].iter().map(|row| row.members().unwrap().get("reward").unwrap().read().unwrap()).collect();
        assert_eq!(rewards, [0.5, 1.0, 0.0]);
    }
}
