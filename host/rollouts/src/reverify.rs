// SPDX-License-Identifier: Apache-2.0
//! Grading stored rollouts again, without a model: the row that was run and the response that came of it go to `/verify`.
//!
//! A response is graded without a session, so only servers that declare it safe (`stateless`) are asked. What an earlier
//! run of the same work has graded stays.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::Reply;
use gym_data::jsonl::{BlankLines, Reader, Writer};
use gym_protocol::{Fault, Members, Raw, environment::ReverifyMode};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use crate::{
    error::CollectError,
    files::Files,
    past::Past,
    plan::{Job, Key, STATE_FORMAT, State, agent, key},
    record::{Record, record, reward},
    summary::Summary,
};

/// Reaches the resources servers that stand behind agents.
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Whether the server of this agent may grade stored responses; none if there is no such agent or server.
    async fn mode(&self, agent: &str) -> Option<ReverifyMode>;

    /// `POST /verify` without a session.
    async fn verify(&self, agent: &str, body: Bytes) -> Result<Reply, Fault>;
}

/// What to grade again.
#[derive(Clone, Debug)]
pub struct ReverifyPlan {
    /// The stored rollouts.
    pub rollouts: PathBuf,
    /// The rows that were run: `<stem>_materialized_inputs.jsonl`.
    pub inputs: PathBuf,
    /// Where the rollouts with their new grades go.
    pub output: PathBuf,
    /// Grades at the same time; at least 1.
    pub concurrency: usize,
    /// Only so many rollouts.
    pub limit: Option<u64>,
    /// Ask servers that do not declare it safe as well.
    pub force: bool,
    /// Only failed attempts whose judge failed are graded; rollouts are taken over as they are.
    pub judge_failed_only: bool,
    /// Remove what an earlier run left first.
    pub fresh: bool,
    /// Added to every rollout as `gym_host`: which component, configuration and version graded it. By agent.
    pub provenance: BTreeMap<String, Value>,
}

/// A reward that is another one now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// `_ng_task_index`.
    #[serde(rename = "_ng_task_index")]
    pub task: u64,
    /// `_ng_rollout_index`.
    #[serde(rename = "_ng_rollout_index")]
    pub rollout: u64,
    /// Name of the agent.
    pub agent: String,
    /// What it was; none if the rollout was no measurement.
    pub old_reward: Option<f64>,
    /// What it is; none if the rollout is no measurement.
    pub new_reward: Option<f64>,
    /// What made the old reward, if the rollout says so.
    pub old: Value,
    /// What made the new one.
    pub new: Value,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reverified {
    /// Stored rollouts with a response.
    pub stored: u64,
    /// Those that this run graded.
    pub graded: u64,
    /// Those that an earlier run graded, or that were taken over.
    pub kept: u64,
    /// Rewards that are other ones now, of this run.
    pub changed: u64,
    /// Rollouts that could not be graded in this run; they are in the failures file.
    pub failed: u64,
    /// Stored rollouts whose row is not among the inputs.
    pub unmatched: u64,
    /// The components that gave the old rewards, with how many each.
    pub old_components: BTreeMap<String, u64>,
    /// The file with all rollouts.
    pub rollouts_file: PathBuf,
    /// The file with every change.
    pub changes_file: PathBuf,
    /// The file with the failures.
    pub failures_file: PathBuf,
}

/// Where a stored row stands.
struct Place {
    line: u64,
    offset: u64,
}

/// What one grade needs, and what it replaces.
struct Graded {
    job: Job,
    old: Members,
    result: Result<Reply, Fault>,
}

/// Grades the rollouts. `observer` is told of every reward that changed. Dropping the future stops it; what is written
/// by then stays, and the same work goes on from there.
pub async fn reverify(
    plan: &ReverifyPlan,
    verifier: Arc<dyn Verifier>,
    observer: &mut (dyn FnMut(&Change) + Send),
) -> Result<Reverified, CollectError> {
    let files = Files::of(&plan.output);
    let _lock = files.lock()?;
    let stem = plan.output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let changes_file = plan.output.with_file_name(format!("{stem}_changed.jsonl"));
    let stored = if plan.judge_failed_only { Files::of(&plan.rollouts).failures } else { plan.rollouts.clone() };
    let (places, agents) = index(&stored, plan.judge_failed_only)?;
    if places.is_empty() {
        return Err(CollectError::Empty { path: stored.display().to_string() });
    }
    for agent in agents {
        let mode = verifier.mode(&agent).await;
        if mode != Some(ReverifyMode::Stateless) && !(plan.force && mode.is_some()) {
            let mode = mode.map_or("not configured", ReverifyMode::wire_name);
            return Err(CollectError::NotStateless { agent, mode });
        }
    }
    if plan.fresh {
        files.clear()?;
        remove(&changes_file)?;
    }
    check_state(plan, &files, places.len() as u64)?;
    // Opened before they are read: that makes files that are missing, and mends a last row that is torn.
    let mut book = Book {
        rollouts: Writer::append(&files.rollouts)?.0,
        failures: Writer::append(&files.failures)?.0,
        changes: Writer::append(&changes_file)?.0,
        summary: Reverified {
            stored: places.len() as u64,
            rollouts_file: files.rollouts.clone(),
            changes_file,
            failures_file: files.failures.clone(),
            ..Reverified::default()
        },
    };
    let mut past = Past::read(&files, &mut Summary::default())?;
    if plan.judge_failed_only {
        book.summary.kept += take_over(plan, &mut past, &mut book.rollouts)?;
    }
    let mut inputs = Some(Reader::open(&plan.inputs)?);
    let mut responses = Reader::open_for_seeking(&stored)?;
    let mut running: JoinSet<Graded> = JoinSet::new();
    let (mut begun, mut matched) = (0, 0);
    loop {
        while running.len() < plan.concurrency.max(1) && plan.limit.is_none_or(|limit| begun < limit) {
            let Some(reader) = &mut inputs else { break };
            let Some(row) = reader.next_row()? else {
                inputs = None;
                break;
            };
            let Some(job) = Job::read(row.members) else { continue };
            let Some(place) = places.get(&job.key) else { continue };
            matched += 1;
            if past.done.contains(job.key) {
                book.summary.kept += u64::from(!plan.judge_failed_only);
                continue;
            }
            responses.seek(place.line, place.offset)?;
            let Some(stored) = responses.next_row()? else { continue };
            begun += 1;
            let verifier = Arc::clone(&verifier);
            running.spawn(async move {
                let mut body = job.members.clone();
                if let Some(response) = stored.members.get_set("response") {
                    body.set("response", response.clone());
                }
                let result = verifier.verify(&job.agent, body.to_raw().bytes().clone()).await;
                Graded { job, old: stored.members, result }
            });
        }
        let Some(ended) = running.join_next().await else { break };
        match ended {
            Ok(graded) => {
                let provenance = plan.provenance.get(&graded.job.agent).map(|own| with_seed(own, &graded.old));
                let key = graded.job.key;
                if book.enter(graded, provenance.as_ref(), observer)? {
                    past.done.insert(key);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a grade ended without a result");
                book.summary.failed += 1;
            }
        }
    }
    if inputs.is_none() {
        book.summary.unmatched = book.summary.stored - matched;
    }
    for file in [&book.rollouts, &book.failures, &book.changes] {
        file.sync()?;
    }
    Ok(book.summary)
}

/// The files that are written, and what is in them.
struct Book {
    rollouts: Writer,
    failures: Writer,
    changes: Writer,
    summary: Reverified,
}

impl Book {
    /// Writes what came of one grade; false if it is to be done again.
    fn enter(
        &mut self,
        graded: Graded,
        provenance: Option<&Raw>,
        observer: &mut (dyn FnMut(&Change) + Send),
    ) -> Result<bool, CollectError> {
        let Graded { job, old, result } = graded;
        let result = result.map(|reply| over(&old, reply));
        match record(&job, 0, &result, provenance) {
            Record::Rollout { row, reward: new_reward, .. } => {
                let old_reward = reward(&old);
                let made = old.get_set("gym_host").and_then(|made| made.read::<Value>().ok()).unwrap_or_default();
                let component = made.get("component").and_then(Value::as_str).unwrap_or("not recorded");
                *self.summary.old_components.entry(component.to_owned()).or_default() += 1;
                // The change is written first: a run that is cut short between the two finds it again.
                if old_reward != new_reward {
                    let new = provenance.and_then(|made| made.read::<Value>().ok()).unwrap_or_default();
                    let (task, rollout) = job.key;
                    let change = Change { task, rollout, agent: job.agent, old_reward, new_reward, old: made, new };
                    self.changes.write(&Raw::from_value(&change))?;
                    self.summary.changed += 1;
                    observer(&change);
                }
                self.rollouts.write(&row)?;
                self.summary.graded += 1;
                return Ok(true);
            }
            Record::Failure { row, .. } => {
                self.failures.write(&row)?;
                self.summary.failed += 1;
            }
            Record::Forgotten => self.summary.failed += 1,
        }
        Ok(false)
    }
}

/// The places of stored rows with a response, and their agents.
fn index(path: &Path, judge_failed: bool) -> Result<(HashMap<Key, Place>, BTreeSet<String>), CollectError> {
    let mut places = HashMap::new();
    let mut agents = BTreeSet::new();
    let mut reader = Reader::open(path)?.blank_lines(BlankLines::Skipped);
    while let Some(row) = reader.next_row()? {
        let class = row.members.get_set("_ng_failure_class").and_then(|class| class.read::<String>().ok());
        if judge_failed && class.as_deref() != Some("judge_failed") || row.members.get_set("response").is_none() {
            continue;
        }
        if let (Some(key), Some(agent)) = (key(&row.members), agent(&row.members)) {
            places.insert(key, Place { line: row.line, offset: row.offset });
            agents.insert(agent);
        }
    }
    Ok((places, agents))
}

/// Whether the output belongs to the same work; a new output is marked as such.
fn check_state(plan: &ReverifyPlan, files: &Files, total: u64) -> Result<(), CollectError> {
    let mut hash = Sha256::new();
    hash.update(json!({"provenance": plan.provenance, "judge_failed_only": plan.judge_failed_only}).to_string());
    for path in [&plan.rollouts, &plan.inputs] {
        let problem = |source| CollectError::File { path: path.display().to_string(), source };
        let mut file = std::fs::File::open(path).map_err(problem)?;
        std::io::copy(&mut file, &mut hash).map_err(problem)?;
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if files.rollouts.exists() {
        let state = std::fs::read(&files.state).ok().and_then(|text| serde_json::from_slice::<State>(&text).ok());
        if state.is_none_or(|state| state.digest != digest) {
            return Err(CollectError::OtherInput { path: files.rollouts.display().to_string() });
        }
    }
    let state = State { format: STATE_FORMAT, digest, total };
    Files::replace(&files.state, &serde_json::to_vec_pretty(&state).expect("plain data serialises"))
}

/// Copies the rollouts that need no new grade.
fn take_over(plan: &ReverifyPlan, past: &mut Past, rollouts: &mut Writer) -> Result<u64, CollectError> {
    let mut count = 0;
    let mut reader = Reader::open(&plan.rollouts)?.blank_lines(BlankLines::Skipped);
    while let Some(row) = reader.next_row()? {
        count += 1;
        if let Some(key) = key(&row.members).filter(|key| !past.done.contains(*key)) {
            rollouts.write(&row.members.to_raw())?;
            past.done.insert(key);
        }
    }
    Ok(count)
}

/// The reply over the stored row: fields that the server does not know stay, what said that an attempt failed does not.
fn over(old: &Members, reply: Reply) -> Reply {
    let Ok(new) = Raw::parse(reply.body.clone()).and_then(|body| body.members()) else { return reply };
    if !reply.is_success() {
        return reply;
    }
    const VERDICT: [&str; 4] = ["mask_sample", "failure_kind", "failure_reason", "gym_host"];
    let kept = old.iter().filter(|(name, _)| !name.starts_with("_ng_failure") && !VERDICT.contains(name));
    let mut row: Members = kept.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    for (name, value) in new.iter() {
        row.set(name, value.clone());
    }
    Reply { body: row.to_raw().bytes().clone(), ..reply }
}

/// What grades now, with the seed that the rollout was made with.
fn with_seed(provenance: &Value, old: &Members) -> Raw {
    let mut provenance = provenance.clone();
    let made = old.get_set("gym_host").and_then(|made| made.read::<Value>().ok()).unwrap_or_default();
    for name in ["seed", "sampling_seed"] {
        if let Some(seed) = made.get(name) {
            provenance[name] = seed.clone();
        }
    }
    Raw::from_value(&provenance)
}

fn remove(path: &Path) -> Result<(), CollectError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(CollectError::File { path: path.display().to_string(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use gym_protocol::{FaultKind, scan};

    use super::*;

    /// Grades with the length of `answer`, and fails for tasks with `broken`.
    struct Length(ReverifyMode);

    #[async_trait]
    impl Verifier for Length {
        async fn mode(&self, agent: &str) -> Option<ReverifyMode> {
            (agent == "a").then_some(self.0)
        }

        async fn verify(&self, _agent: &str, body: Bytes) -> Result<Reply, Fault> {
            if scan::member(&body, "broken").is_some() {
                return Err(Fault::new(FaultKind::Trap, "trapped"));
            }
            let response = scan::member(&body, "response").unwrap();
            let answer = scan::string(scan::member(response, "answer").unwrap()).unwrap();
            Ok(Reply::ok(format!("{{\"response\":{{}},\"reward\":{}.0}}", answer.len())))
        }
    }

    struct Case(tempfile::TempDir, ReverifyPlan);

    impl Case {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let row = |task: u64, rest: &str| {
                format!(
                    "{{\"_ng_task_index\":{task},\"_ng_rollout_index\":0,\"agent_ref\":{{\"name\":\"a\"}}{rest}}}\n"
                )
            };
            let at = |name: &str| folder.path().join(name);
            let inputs = row(0, "") + &row(1, "") + &row(2, ",\"broken\":1") + &row(9, "");
            std::fs::write(at("in.jsonl"), inputs).unwrap();
            let stored = row(1, ",\"response\":{\"answer\":\"xyz\"},\"reward\":1.0,\"own\":[1.50]")
                + &row(
                    0,
                    ",\"response\":{\"answer\":\"x\"},\"reward\":1.0,\"gym_host\":{\"component\":\"old\",\"seed\":7}",
                )
                + &row(2, ",\"response\":{\"answer\":\"x\"},\"reward\":1.0")
                + &row(4, ",\"response\":{\"answer\":\"x\"},\"reward\":1.0");
            std::fs::write(at("r.jsonl"), stored).unwrap();
            let plan = ReverifyPlan {
                rollouts: at("r.jsonl"),
                inputs: at("in.jsonl"),
                output: at("out.jsonl"),
                concurrency: 2,
                limit: None,
                force: false,
                judge_failed_only: false,
                fresh: false,
                provenance: [("a".to_owned(), json!({"component": "new"}))].into(),
            };
            Self(folder, plan)
        }

        async fn run(&self, mode: ReverifyMode) -> Result<(Reverified, Vec<Change>), CollectError> {
            let mut changes = Vec::new();
            let summary = reverify(&self.1, Arc::new(Length(mode)), &mut |change| changes.push(change.clone())).await?;
            Ok((summary, changes))
        }

        fn rows(&self, name: &str) -> Vec<Value> {
            let text = std::fs::read_to_string(self.0.path().join(name)).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    #[tokio::test]
    async fn every_reward_that_changed_is_told_and_written() {
        let case = Case::new();
        let (summary, changes) = case.run(ReverifyMode::Stateless).await.unwrap();
        assert_eq!((summary.stored, summary.graded, summary.changed), (4, 2, 1));
        assert_eq!((summary.failed, summary.unmatched, summary.kept), (1, 1, 0));
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].task, changes[0].old_reward, changes[0].new_reward), (1, Some(1.0), Some(3.0)));
        assert_eq!(case.rows("out_changed.jsonl")[0]["new"]["component"], "new");
        let rows = case.rows("out.jsonl");
        let of = |task: u64| rows.iter().find(|row| row["_ng_task_index"] == task).unwrap();
        assert_eq!(of(1)["own"], json!([1.5]), "what the server does not know stays");
        assert_eq!(of(0)["gym_host"], json!({"component": "new", "seed": 7}));
        assert_eq!(case.rows("out_failures.jsonl")[0]["_ng_failure_class"], "verifier_error");
        // The same work again: what is graded stays, what failed is tried again.
        let (again, changes) = case.run(ReverifyMode::Stateless).await.unwrap();
        assert_eq!((again.graded, again.kept, again.failed, changes.len()), (0, 2, 1, 0));
        assert_eq!(case.rows("out.jsonl").len(), 2);
    }

    #[tokio::test]
    async fn servers_that_do_not_declare_it_safe_are_not_asked() {
        let mut case = Case::new();
        for mode in [ReverifyMode::Unsupported, ReverifyMode::Unknown] {
            assert!(matches!(case.run(mode).await, Err(CollectError::NotStateless { .. })));
        }
        assert!(!case.1.output.exists());
        case.1.force = true;
        assert_eq!(case.run(ReverifyMode::Unknown).await.unwrap().0.graded, 2);
    }

    #[tokio::test]
    async fn only_failed_judges_can_be_asked_again() {
        let mut case = Case::new();
        case.1.judge_failed_only = true;
        let failure = |task: u64, class: &str| {
            format!(
                "{{\"_ng_task_index\":{task},\"_ng_rollout_index\":0,\"agent_ref\":{{\"name\":\"a\"}},\"response\":{{\"answer\":\"xx\"}},\"reward\":0.0,\"mask_sample\":true,\"_ng_failure_class\":\"{class}\"}}\n"
            )
        };
        let failures = failure(9, "judge_failed") + &failure(0, "agent_run_error");
        std::fs::write(case.0.path().join("r_failures.jsonl"), failures).unwrap();
        let (summary, changes) = case.run(ReverifyMode::Stateless).await.unwrap();
        assert_eq!((summary.graded, summary.kept), (1, 4));
        assert_eq!((changes[0].task, changes[0].old_reward, changes[0].new_reward), (9, None, Some(2.0)));
        let rows = case.rows("out.jsonl");
        assert_eq!(rows.len(), 5);
        assert!(rows.iter().all(|row| row.get("_ng_failure_class").is_none()));
    }
}
