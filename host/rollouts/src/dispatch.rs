// SPDX-License-Identifier: Apache-2.0
//! The port to the agents.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Agent, Reply, RequestContext};
use gym_data::metrics::{MetricOptions, aggregate};
use gym_protocol::{Fault, FaultKind, Raw, scan};

/// Sends rows to agents, wherever they run.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Whether there is an agent of that name.
    fn knows(&self, agent: &str) -> bool;

    /// The names of all agents, for error texts.
    fn agents(&self) -> Vec<String>;

    /// The agent for rows that only say which instance declared their dataset (`task_source`). An agent's own dataset is
    /// for itself.
    fn agent_of_source(&self, source: &str) -> Option<String> {
        self.knows(source).then(|| source.to_owned())
    }

    /// The agent for the tasks of a set (`task_id.taskset`), if the configuration has a route for it.
    fn agent_of_taskset(&self, _taskset: &str) -> Option<String> {
        None
    }

    /// `POST /run`.
    async fn run(&self, agent: &str, row: Bytes) -> Result<Reply, Fault>;

    /// `POST /aggregate_metrics`.
    async fn aggregate_metrics(&self, agent: &str, body: Bytes) -> Result<Reply, Fault>;
}

/// Agents in this process.
#[derive(Clone, Default)]
pub struct AgentDispatch {
    agents: BTreeMap<String, Arc<dyn Agent>>,
    sources: BTreeMap<String, String>,
    tasksets: BTreeMap<String, String>,
}

impl AgentDispatch {
    /// These agents, by their names.
    pub fn new(agents: impl IntoIterator<Item = Arc<dyn Agent>>) -> Self {
        let agents = agents.into_iter().map(|agent| (agent.name().to_string(), agent)).collect();
        Self { agents, ..Self::default() }
    }

    /// Says which agents are for the datasets of which instances.
    pub fn with_sources(mut self, sources: BTreeMap<String, String>) -> Self {
        self.sources = sources;
        self
    }

    /// Says which agents are for the tasks of which sets.
    pub fn with_tasksets(mut self, tasksets: BTreeMap<String, String>) -> Self {
        self.tasksets = tasksets;
        self
    }

    fn agent(&self, name: &str) -> Result<&Arc<dyn Agent>, Fault> {
        self.agents.get(name).ok_or_else(|| Fault::new(FaultKind::AgentRun, format!("there is no agent `{name}`")))
    }
}

#[async_trait]
impl Dispatch for AgentDispatch {
    fn knows(&self, agent: &str) -> bool {
        self.agents.contains_key(agent)
    }

    fn agents(&self) -> Vec<String> {
        self.agents.keys().cloned().collect()
    }

    fn agent_of_source(&self, source: &str) -> Option<String> {
        self.sources.get(source).cloned().or_else(|| self.knows(source).then(|| source.to_owned()))
    }

    fn agent_of_taskset(&self, taskset: &str) -> Option<String> {
        self.tasksets.get(taskset).cloned()
    }

    async fn run(&self, agent: &str, row: Bytes) -> Result<Reply, Fault> {
        Ok(self.agent(agent)?.run(row, &mut RequestContext::default()).await)
    }

    async fn aggregate_metrics(&self, agent: &str, body: Bytes) -> Result<Reply, Fault> {
        Ok(self.agent(agent)?.aggregate_metrics(body).await)
    }
}

/// Computes the metrics that all servers have in common, without asking any server: means, deviations and so on, but
/// neither `pass@k`, whose scores are the environment's choice, nor metrics of its own. Nothing can be run.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainMetrics;

#[async_trait]
impl Dispatch for PlainMetrics {
    fn knows(&self, _agent: &str) -> bool {
        false
    }

    fn agents(&self) -> Vec<String> {
        Vec::new()
    }

    async fn run(&self, agent: &str, _row: Bytes) -> Result<Reply, Fault> {
        Err(Fault::new(FaultKind::AgentRun, format!("there is no agent `{agent}`")))
    }

    async fn aggregate_metrics(&self, _agent: &str, body: Bytes) -> Result<Reply, Fault> {
        let rows = scan::member(&body, "verify_responses").unwrap_or_default();
        let rows: Vec<Raw> = scan::elements(rows).map(|row| Raw::trusted(body.slice_ref(row))).collect();
        match aggregate(&rows, MetricOptions::default()) {
            Ok(metrics) => Ok(Reply::ok(metrics.into_json())),
            Err(error) => Ok(Reply::new(500, error.to_string())),
        }
    }
}
