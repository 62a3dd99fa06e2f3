// SPDX-License-Identifier: Apache-2.0
//! The loop of a collection.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use gym_data::jsonl::{JsonlError, Reader, SyncHandle, Writer};
use gym_protocol::Raw;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    aggregate::aggregate,
    attempt::{Attempt, attempt},
    dispatch::Dispatch,
    error::CollectError,
    events::{Event, Observer},
    files::Files,
    past::Past,
    plan::{CollectPlan, Job, SESSION_SEED, STATE_FORMAT, State},
    record::{Record, record},
    summary::Summary,
};

/// How often written rows are made to survive the end of the machine.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Collects the rollouts of one plan.
pub struct Collector {
    plan: CollectPlan,
    files: Files,
    dispatch: Arc<dyn Dispatch>,
    observer: Arc<dyn Observer>,
}

/// What one run has at hand.
struct Run<'a> {
    collector: &'a Collector,
    past: Past,
    /// The rows to be run, until all are read.
    inputs: Option<Reader>,
    rollouts: Writer,
    failures: Writer,
    /// Rollouts that failed in this run and are tried again, with how often they failed in it.
    again: Vec<(Job, u64)>,
    provenance: BTreeMap<&'a str, Raw>,
    summary: Summary,
    /// Something was written that may not be on the disk yet.
    dirty: bool,
}

impl Collector {
    /// A collector that tells `observer` what happens.
    pub fn new(plan: CollectPlan, dispatch: Arc<dyn Dispatch>, observer: Arc<dyn Observer>) -> Self {
        Self { files: Files::of(&plan.output), plan, dispatch, observer }
    }

    /// The files that it reads and writes.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Does what is missing. When `stop` is cancelled no new rollouts are begun; when `abort` is, those that run are
    /// dropped. What is on disk by then stays, and another run goes on from there.
    pub async fn run(&self, stop: CancellationToken, abort: CancellationToken) -> Result<Summary, CollectError> {
        let started = Instant::now();
        let _lock = self.files.lock()?;
        if self.plan.fresh {
            self.files.clear()?;
        }
        let total = self.prepare()?;
        let (rollouts, cut) = Writer::append(&self.files.rollouts)?;
        let (failures, _) = Writer::append(&self.files.failures)?;
        let mut summary = Summary {
            total,
            rollouts_file: self.files.rollouts.clone(),
            failures_file: self.files.failures.clone(),
            ..Summary::default()
        };
        let past = Past::read(&self.files, &mut summary)?;
        summary.done = past.done.len();
        self.observer.event(&Event::Started { total, done: summary.done, repaired_bytes: cut });
        let provenance =
            self.plan.provenance.iter().map(|(agent, value)| (agent.as_str(), Raw::from_value(value))).collect();
        let inputs = Some(Reader::open(&self.files.inputs)?);
        let again = Vec::new();
        let mut run =
            Run { collector: self, past, inputs, rollouts, failures, again, provenance, summary, dirty: false };
        let result = run.work(&stop, &abort).await;
        // Whatever happened: what was written is made to last first.
        let synced = run.rollouts.sync().and_then(|()| run.failures.sync());
        result?;
        synced?;
        let Run { past, mut summary, .. } = run;
        summary.failed = past.given_up(self.plan.max_attempts);
        summary.missing = total.saturating_sub(summary.done + summary.failed);
        if self.plan.aggregate && !summary.stopped {
            let errors = aggregate(&self.files.rollouts, &self.files.metrics, self.dispatch.as_ref()).await?;
            summary.metrics_file = Some(self.files.metrics.clone());
            for (agent, error) in errors {
                let message = format!("no metrics of `{agent}`: {error}");
                summary.failures.entry("aggregate_metrics".to_owned()).or_insert((0, message)).0 += 1;
            }
        }
        summary.seconds = started.elapsed().as_secs_f64();
        self.observer.event(&Event::Finished(summary.clone()));
        Ok(summary)
    }

    /// Makes the file of rows to be run, or finds that an earlier run made it from the same input.
    fn prepare(&self) -> Result<u64, CollectError> {
        let digest = self.plan.digest()?;
        let other = || CollectError::OtherInput { path: self.files.rollouts.display().to_string() };
        let has_inputs = self.files.inputs.exists();
        if has_inputs && let Ok(text) = std::fs::read(&self.files.state) {
            let state: serde_json::Value = serde_json::from_slice(&text).map_err(|_| other())?;
            let format = state["format"].as_u64().and_then(|format| u32::try_from(format).ok()).unwrap_or(0);
            if format > STATE_FORMAT {
                return Err(CollectError::Newer { path: self.files.state.display().to_string(), format });
            }
            let state: State = serde_json::from_value(state).map_err(|_| other())?;
            return if state.digest == digest { Ok(state.total) } else { Err(other()) };
        }
        let has_rollouts = std::fs::metadata(&self.files.rollouts).is_ok_and(|data| data.len() > 0);
        if has_rollouts && !has_inputs {
            // Rollouts of unknown origin are not added to.
            return Err(other());
        }
        let total = if has_rollouts {
            // Another program collected them (NeMo Gym leaves the same files). They are gone on with if that program
            // made the same rows of the input.
            let own = self.files.inputs.with_extension("check");
            let total = self.plan.materialize(&own, self.dispatch.as_ref());
            let same = total.and_then(|total| Ok((total, same_rows(&own, &self.files.inputs)?)));
            std::fs::remove_file(&own).ok();
            let (total, same) = same?;
            if !same {
                return Err(other());
            }
            total
        } else {
            self.plan.materialize(&self.files.inputs, self.dispatch.as_ref())?
        };
        let state = State { format: STATE_FORMAT, digest, total };
        Files::replace(&self.files.state, &serde_json::to_vec_pretty(&state).expect("plain data serialises"))?;
        Ok(total)
    }
}

/// Whether two files of rows have the same rollouts to be run, by the same agents and with the same parameters.
fn same_rows(one: &std::path::Path, other: &std::path::Path) -> Result<bool, CollectError> {
    let (mut one, mut other) = (Reader::open(one)?, Reader::open(other)?);
    loop {
        let (one, other) = match (one.next_row()?, other.next_row()?) {
            (Some(one), Some(other)) => (one, other),
            (None, None) => return Ok(true),
            _ => return Ok(false),
        };
        let params = |row: &gym_data::jsonl::Row| -> Option<serde_json::Value> {
            row.members.get("responses_create_params")?.read().ok()
        };
        let same = match (Job::read(one.members.clone()), Job::read(other.members.clone())) {
            (Some(one), Some(other)) => one.key == other.key && one.agent == other.agent,
            _ => false,
        };
        if !same || params(&one) != params(&other) {
            return Ok(false);
        }
    }
}

impl Run<'_> {
    async fn work(&mut self, stop: &CancellationToken, abort: &CancellationToken) -> Result<(), CollectError> {
        let mut running = JoinSet::new();
        let mut syncing: JoinSet<Result<(), JsonlError>> = JoinSet::new();
        let mut tick = tokio::time::interval(SYNC_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while !stop.is_cancelled() && running.len() < self.collector.plan.concurrency.max(1) {
                let Some((job, earlier, retries)) = self.next_job()? else { break };
                let dispatch = Arc::clone(&self.collector.dispatch);
                running.spawn(attempt(dispatch, job, earlier, retries, stop.clone()));
            }
            if stop.is_cancelled() {
                self.stopping();
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = abort.cancelled() => {
                    self.stopping();
                    running.shutdown().await;
                    break;
                }
                () = stop.cancelled(), if !self.summary.stopped => {}
                Some(synced) = syncing.join_next() => {
                    synced.unwrap_or_else(|error| {
                        tracing::error!(%error, "making rows last ended without a result");
                        Ok(())
                    })?;
                }
                _ = tick.tick(), if self.dirty && syncing.is_empty() => {
                    self.dirty = false;
                    for handle in [self.rollouts.sync_handle()?, self.failures.sync_handle()?] {
                        syncing.spawn_blocking(move || SyncHandle::sync(&handle));
                    }
                }
                Some(ended) = running.join_next() => match ended {
                    Ok(attempt) => self.take(attempt)?,
                    Err(error) => tracing::error!(%error, "an attempt ended without a result"),
                },
            }
        }
        while let Some(synced) = syncing.join_next().await {
            if let Ok(synced) = synced {
                synced?;
            }
        }
        Ok(())
    }

    fn stopping(&mut self) {
        if !self.summary.stopped {
            self.summary.stopped = true;
            self.collector.observer.event(&Event::Stopping);
        }
    }

    /// The next rollout to be had, how often it failed before, and how often in this run.
    fn next_job(&mut self) -> Result<Option<(Job, u64, u64)>, CollectError> {
        if let Some((job, retries)) = self.again.pop() {
            let earlier = self.past.failures(job.key);
            return Ok(Some((job, earlier, retries)));
        }
        while let Some(reader) = &mut self.inputs {
            let Some(row) = reader.next_row()? else {
                self.inputs = None;
                break;
            };
            let line = row.line;
            let job = Job::read(row.members).ok_or_else(|| CollectError::Row {
                path: self.collector.files.inputs.display().to_string(),
                line,
                reason: "it has no `_ng_task_index`, `_ng_rollout_index` or `agent_ref`".to_owned(),
            })?;
            if !self.past.is_settled(job.key, self.collector.plan.max_attempts) {
                let earlier = self.past.failures(job.key);
                return Ok(Some((job, earlier, 0)));
            }
        }
        Ok(None)
    }

    /// Writes what came of an attempt, and only then counts it.
    fn take(&mut self, attempt: Attempt) -> Result<(), CollectError> {
        let Attempt { job, earlier, result, retries, duration } = attempt;
        let Some(result) = result else { return Ok(()) };
        let (task, rollout) = job.key;
        match record(&job, earlier, &result, self.provenance_of(&job).as_ref()) {
            Record::Rollout { row, reward, tokens } => {
                self.rollouts.write(&row)?;
                self.dirty = true;
                if !self.past.done.insert(job.key) {
                    return Ok(());
                }
                self.summary.done += 1;
                self.summary.added += 1;
                self.summary.agents.entry(job.agent.clone()).or_default().add(reward, tokens);
                let event = Event::Done { task, rollout, agent: job.agent, reward, tokens, duration };
                self.collector.observer.event(&event);
            }
            Record::Failure { row, class, message, terminal } => {
                self.failures.write(&row)?;
                self.dirty = true;
                let count = self.past.fail(job.key, terminal);
                let again = !terminal && count < self.collector.plan.max_attempts && !self.summary.stopped;
                self.summary.failures.entry(class.clone()).or_insert((0, message.clone())).0 += 1;
                let agent = job.agent.clone();
                self.collector.observer.event(&Event::Failed { task, rollout, agent, class, message, again });
                if again {
                    self.again.push((job, retries + 1));
                }
            }
            Record::Forgotten => {}
        }
        Ok(())
    }

    /// What made a rollout, with the seed of its session, and the sampling seed if the collector chose it.
    fn provenance_of(&self, job: &Job) -> Option<Raw> {
        let raw = self.provenance.get(job.agent.as_str())?;
        let Ok(mut members) = raw.members() else { return Some(raw.clone()) };
        if let Some(seed) = job.members.get_set(SESSION_SEED) {
            members.set("seed", seed.clone());
        }
        if self.collector.plan.seed_repeats {
            members.set("sampling_seed", Raw::from_value(&job.key.1));
        }
        Some(members.to_raw())
    }
}

#[cfg(test)]
mod tests;
