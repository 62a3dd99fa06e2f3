// SPDX-License-Identifier: Apache-2.0
//! NeMo Gym's files of a reward profile: one object for each task, with its figures and its row.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use gym_data::{
    jsonl::{BlankLines, Reader},
    metrics::{MetricOptions, aggregate},
};
use gym_protocol::Raw;
use serde_json::{Map, Value, json};

use crate::{
    aggregate::strip,
    error::CollectError,
    files::Files,
    plan::{Key, SESSION_SEED, agent, key},
};

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardProfile {
    /// `<stem>_reward_profiling.jsonl`: one object for each task.
    pub tasks: PathBuf,
    /// `<stem>_agent_metrics.json`: one object for each agent.
    pub agents: PathBuf,
    /// `<stem>_repeat_level_metrics.json`: one object for each agent and repeat.
    pub repeats: PathBuf,
    /// Rollouts that are still to be had.
    pub missing: u64,
}

/// A task among the rows that were run.
struct Task {
    line: u64,
    offset: u64,
    expected: u64,
}

/// Writes the files beside `rollouts`. `inputs` are the rows that were run (`<stem>_materialized_inputs.jsonl`). Every
/// rollout must be of one of these rows and be there once; unless `partial`, every row must have its rollout.
pub fn reward_profile(rollouts: &Path, inputs: &Path, partial: bool) -> Result<RewardProfile, CollectError> {
    let (tasks, mut open) = read_inputs(inputs)?;
    let by_agent = read_rollouts(rollouts, inputs, &tasks, &mut open)?;
    let missing = open.len() as u64;
    if missing > 0 && !partial {
        let (task, rollout) = open.iter().map(|(_, key)| *key).min().unwrap_or_default();
        return Err(CollectError::Incomplete { path: rollouts.display().to_string(), missing, task, rollout });
    }
    let stem = rollouts.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = |end: &str| rollouts.with_file_name(format!("{stem}{end}"));
    let profile = RewardProfile {
        tasks: beside("_reward_profiling.jsonl"),
        agents: beside("_agent_metrics.json"),
        repeats: beside("_repeat_level_metrics.json"),
        missing,
    };
    let partial_file = profile.tasks.with_extension("partial");
    let problem = |source| CollectError::File { path: profile.tasks.display().to_string(), source };
    let (mut agents, mut repeats) = (Vec::new(), Vec::new());
    let write = || -> Result<(), CollectError> {
        let mut samples = Reader::open_for_seeking(inputs)?;
        let mut file = BufWriter::new(File::create(&partial_file).map_err(problem)?);
        let mut groups = Vec::new();
        for (agent, mut rows) in by_agent {
            rows.sort_unstable_by_key(|(key, _)| *key);
            let rows: Vec<Raw> = rows.into_iter().map(|(_, row)| row).collect();
            let metrics = aggregate(&rows, MetricOptions::default()).map_err(|error| CollectError::Metrics {
                path: rollouts.display().to_string(),
                reason: error.to_string(),
            })?;
            let mut entry = Map::new();
            entry.insert("agent_ref".to_owned(), json!({ "name": agent }));
            repeats.extend(metrics.repeat_level_metrics.into_iter().map(|repeat| {
                let mut one = entry.clone();
                one.extend(repeat);
                one
            }));
            // How many repeats there were is part of an aggregation, not of a profile.
            let metrics_of_agent = metrics.agent_metrics.into_iter().filter(|(name, _)| name != "num_repeats");
            entry.extend(metrics_of_agent);
            agents.push(entry);
            for known in metrics.group_level_metrics {
                let number = u64::try_from(known.task).unwrap_or_default();
                groups.push((number, agent.clone(), known));
            }
        }
        // By task, as NeMo Gym writes them; the agents of one task by name.
        groups.sort_by_key(|(number, ..)| *number);
        for (number, agent, known) in groups {
            let mut group = known.metrics();
            if let Some(task) = tasks.get(&(agent, number)) {
                complete(&mut group, task, &mut samples)?;
            }
            let line = serde_json::to_vec(&group).expect("plain data serialises");
            file.write_all(&line).and_then(|()| file.write_all(b"\n")).map_err(problem)?;
        }
        file.flush().and_then(|()| file.get_ref().sync_data()).map_err(problem)?;
        std::fs::rename(&partial_file, &profile.tasks).map_err(problem)
    };
    if let Err(error) = write() {
        // What was written so far is of no use; the error that matters is the one returned.
        std::fs::remove_file(&partial_file).ok();
        return Err(error);
    }
    let pretty = |value: &Vec<Map<String, Value>>| serde_json::to_vec_pretty(value).expect("plain data serialises");
    Files::replace(&profile.agents, &pretty(&agents))?;
    Files::replace(&profile.repeats, &pretty(&repeats))?;
    Ok(profile)
}

/// Adds what is only known from the row: the row itself, and how many rollouts it should have.
fn complete(group: &mut Map<String, Value>, task: &Task, samples: &mut Reader) -> Result<(), CollectError> {
    samples.seek(task.line, task.offset)?;
    if let Some(mut row) = samples.next_row()? {
        for name in ["_ng_task_index", "_ng_rollout_index", SESSION_SEED] {
            row.members.remove(name);
        }
        group.insert("sample".to_owned(), row.members.to_raw().read().unwrap_or_default());
    }
    let had = group.get("num_rollouts").and_then(Value::as_u64).unwrap_or_default();
    group.insert("expected_num_rollouts".to_owned(), task.expected.into());
    group.insert("missing_num_rollouts".to_owned(), task.expected.saturating_sub(had).into());
    let share = 100.0 * had as f64 / task.expected.max(1) as f64;
    group.insert("reward_profile_completion_pct".to_owned(), json!(share));
    Ok(())
}

type Tasks = HashMap<(String, u64), Task>;
type Open = HashSet<(String, Key)>;

fn read_inputs(path: &Path) -> Result<(Tasks, Open), CollectError> {
    let mut tasks = Tasks::new();
    let mut open = Open::new();
    let mut reader = Reader::open(path)?;
    while let Some(row) = reader.next_row()? {
        let (Some(key), Some(agent)) = (key(&row.members), agent(&row.members)) else {
            return Err(CollectError::Row {
                path: path.display().to_string(),
                line: row.line,
                reason: "it has no `_ng_task_index`, `_ng_rollout_index` or `agent_ref`".to_owned(),
            });
        };
        if !open.insert((agent.clone(), key)) {
            return Err(twice(path, row.line, key));
        }
        let task = Task { line: row.line, offset: row.offset, expected: 0 };
        tasks.entry((agent, key.0)).or_insert(task).expected += 1;
    }
    Ok((tasks, open))
}

type ByAgent = BTreeMap<String, Vec<(Key, Raw)>>;

/// Whose task it is, for rollouts that do not say so, as older ones do not: None where several agents have it.
fn only_agents(tasks: &Tasks) -> HashMap<u64, Option<&str>> {
    let mut only = HashMap::new();
    for (agent, task) in tasks.keys() {
        only.entry(*task).and_modify(|known| *known = None).or_insert(Some(agent.as_str()));
    }
    only
}

/// The rollouts without their large parts. Each is taken out of `open`.
fn read_rollouts(path: &Path, inputs: &Path, tasks: &Tasks, open: &mut Open) -> Result<ByAgent, CollectError> {
    let mut by_agent = ByAgent::new();
    let mut only = None;
    let mut seen = HashSet::new();
    let mut reader = Reader::open(path)?.blank_lines(BlankLines::Skipped);
    while let Some(row) = reader.next_row()? {
        let wrong = |reason: String| CollectError::Row { path: path.display().to_string(), line: row.line, reason };
        let key = key(&row.members)
            .ok_or_else(|| wrong("it has no `_ng_task_index` or no `_ng_rollout_index`".to_owned()))?;
        let agent = agent(&row.members).unwrap_or_else(|| {
            let only = only.get_or_insert_with(|| only_agents(tasks));
            only.get(&key.0).copied().flatten().unwrap_or_default().to_owned()
        });
        if !seen.insert((agent.clone(), key)) {
            return Err(twice(path, row.line, key));
        }
        if !open.remove(&(agent.clone(), key)) {
            return Err(wrong(format!("its row is not in {}", inputs.display())));
        }
        by_agent.entry(agent).or_default().push((key, strip(&row.members)));
    }
    if by_agent.is_empty() {
        return Err(CollectError::Empty { path: path.display().to_string() });
    }
    Ok(by_agent)
}

fn twice(path: &Path, line: u64, (task, rollout): Key) -> CollectError {
    let path = path.display().to_string();
    CollectError::Twice { other: path.clone(), path, line, task, rollout }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case(tempfile::TempDir);

    impl Case {
        fn new(inputs: &[(u64, u64)], rollouts: &[(u64, u64, f64)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let key = |task: u64, rollout: u64| {
                format!("\"_ng_task_index\":{task},\"_ng_rollout_index\":{rollout},\"agent_ref\":{{\"name\":\"a\"}}")
            };
            let inputs: String = inputs
                .iter()
                .map(|(task, rollout)| format!("{{\"x\":{task},{},\"_ng_session_seed\":1}}\n", key(*task, *rollout)))
                .collect();
            let rollouts: String = rollouts
                .iter()
                .map(|(task, rollout, reward)| format!("{{{},\"reward\":{reward:?}}}\n", key(*task, *rollout)))
                .collect();
            std::fs::write(folder.path().join("in.jsonl"), inputs).unwrap();
            std::fs::write(folder.path().join("r.jsonl"), rollouts).unwrap();
            Self(folder)
        }

        fn run(&self, partial: bool) -> Result<RewardProfile, CollectError> {
            reward_profile(&self.0.path().join("r.jsonl"), &self.0.path().join("in.jsonl"), partial)
        }
    }

    #[test]
    fn rollouts_that_name_no_agent_are_of_the_only_agent_of_their_row() {
        let case = Case::new(&[(0, 0), (1, 0)], &[]);
        let rollouts = case.0.path().join("r.jsonl");
        let rows = "{\"_ng_task_index\":1,\"_ng_rollout_index\":0,\"reward\":1.0}\n\
                    {\"_ng_task_index\":0,\"_ng_rollout_index\":0,\"reward\":0.0}\n";
        std::fs::write(&rollouts, rows).unwrap();
        let profile = case.run(false).unwrap();
        let agents: Value = serde_json::from_slice(&std::fs::read(&profile.agents).unwrap()).unwrap();
        assert_eq!((&agents[0]["agent_ref"], &agents[0]["mean/reward"]), (&json!({"name": "a"}), &json!(0.5)));

        // Two agents had task 0: which of them made the rollout cannot be told.
        let other = "{\"_ng_task_index\":0,\"_ng_rollout_index\":0,\"agent_ref\":{\"name\":\"b\"}}\n";
        let inputs = case.0.path().join("in.jsonl");
        let text = std::fs::read_to_string(&inputs).unwrap() + other;
        std::fs::write(&inputs, text).unwrap();
        assert!(matches!(case.run(true), Err(CollectError::Row { line: 2, .. })));
    }

    #[test]
    fn each_task_has_its_figures_and_its_row() {
        let case = Case::new(&[(0, 0), (0, 1), (1, 0), (1, 1)], &[(1, 0, 1.0), (0, 1, 1.0), (0, 0, 0.0)]);
        assert!(matches!(case.run(false), Err(CollectError::Incomplete { missing: 1, task: 1, rollout: 1, .. })));
        let profile = case.run(true).unwrap();
        assert_eq!(profile.missing, 1);
        let text = std::fs::read_to_string(&profile.tasks).unwrap();
        let groups: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0]["mean/reward"], 0.5);
        assert_eq!(groups[0]["sample"], json!({"x": 0, "agent_ref": {"name": "a"}}));
        assert_eq!(groups[1]["expected_num_rollouts"], 2);
        assert_eq!(groups[1]["missing_num_rollouts"], 1);
        assert_eq!(groups[1]["reward_profile_completion_pct"], 50.0);
        assert_eq!(groups[0]["rollout_infos"][1]["rollout_id"], "0:1");
        let agents: Value = serde_json::from_slice(&std::fs::read(&profile.agents).unwrap()).unwrap();
        assert_eq!(agents[0]["agent_ref"], json!({"name": "a"}));
        assert_eq!(agents[0]["max/reward"], 1.0);
        assert_eq!(agents[0].get("num_repeats"), None);
    }

    #[test]
    fn tasks_of_several_agents_are_in_the_order_of_the_tasks() {
        let case = Case::new(&[], &[]);
        let row = |task: u64, agent: &str| {
            format!(
                "{{\"_ng_task_index\":{task},\"_ng_rollout_index\":0,\"agent_ref\":{{\"name\":\"{agent}\"}},\"reward\":1.0}}\n"
            )
        };
        let rows = [row(0, "z"), row(1, "a"), row(2, "z")].concat();
        for name in ["in.jsonl", "r.jsonl"] {
            std::fs::write(case.0.path().join(name), &rows).unwrap();
        }
        let text = std::fs::read_to_string(case.run(false).unwrap().tasks).unwrap();
        let tasks = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["_ng_task_index"].clone());
        assert_eq!(tasks.collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn rollouts_that_do_not_belong_are_errors() {
        let twice = Case::new(&[(0, 0)], &[(0, 0, 1.0), (0, 0, 1.0)]);
        assert!(matches!(twice.run(true), Err(CollectError::Twice { line: 2, .. })));
        let extra = Case::new(&[(0, 0)], &[(0, 0, 1.0), (5, 0, 1.0)]);
        assert!(matches!(extra.run(true), Err(CollectError::Row { line: 2, .. })));
        assert!(matches!(Case::new(&[(0, 0)], &[]).run(true), Err(CollectError::Empty { .. })));
        assert_eq!(std::fs::read_dir(extra.0.path()).unwrap().count(), 2, "nothing is left");
    }
}
