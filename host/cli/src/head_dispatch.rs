// SPDX-License-Identifier: Apache-2.0
//! Agents of running servers, found through their head server: NeMo Gym's or our own.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::Reply;
use gym_config::{Node, Source, read_yaml};
use gym_protocol::{Fault, FaultKind, ServerKind};
use gym_rollouts::Dispatch;
use serde_json::Value;

use crate::failure::{Failure, chain};

/// Where the head server of running servers is, unless something else is said.
pub(crate) const DEFAULT_HEAD: &str = "http://127.0.0.1:11000";

/// Agents by name, with their base URLs.
pub(crate) struct HeadDispatch {
    client: reqwest::Client,
    head: String,
    agents: BTreeMap<String, String>,
    /// The agent of each resources server that only one agent uses.
    sources: BTreeMap<String, String>,
    /// The agent behind the environment server of each set of tasks.
    tasksets: BTreeMap<String, String>,
}

impl HeadDispatch {
    /// Asks a head server where the agents are.
    pub(crate) async fn connect(head: &str) -> Result<Self, Failure> {
        // A rollout may take hours, so the whole request has no time limit; connecting has one.
        let client = client()?;
        let yaml = configuration_text(head).await?;
        let config = read_yaml(&yaml, &Source::EnvironmentVariable("the head server's answer".into()))
            .map_err(|errors| wrong_answer(head, &chain(&errors)))?;
        let head = head.trim_end_matches('/').to_owned();
        let (agents, sources) = (addresses(&config), sources(&config));
        Ok(Self { client, head, agents, sources, tasksets: tasksets(&config) })
    }

    /// What rollouts record of how they were made, by agent. Only our own servers tell; from others there is nothing.
    pub(crate) async fn provenance(&self) -> BTreeMap<String, Value> {
        let request = self.client.get(format!("{}/gym-host/status", self.head)).timeout(Duration::from_secs(30)).send();
        let Ok(response) = request.await.and_then(reqwest::Response::error_for_status) else { return BTreeMap::new() };
        let Ok(text) = response.text().await else { return BTreeMap::new() };
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        let known = status.pointer("/runtime/provenance").and_then(Value::as_object);
        known.into_iter().flatten().map(|(agent, value)| (agent.clone(), value.clone())).collect()
    }

    async fn post(&self, agent: &str, route: &str, body: Bytes) -> Result<Reply, Fault> {
        let base = self
            .agents
            .get(agent)
            .ok_or_else(|| Fault::new(FaultKind::AgentRun, format!("there is no agent `{agent}`")))?;
        let unreachable = |error: reqwest::Error| {
            Fault::new(FaultKind::Unreachable, format!("the agent `{agent}` gave no answer"))
                .with_internal(chain(&error))
        };
        let request = self.client.post(format!("{base}{route}")).header("content-type", "application/json").body(body);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.bytes().await.map_err(unreachable)?;
        Ok(Reply { status, body, retry_after })
    }
}

fn client() -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(15))
        .no_proxy()
        .build()
        .map_err(|error| Failure::infrastructure(format!("failed to make an HTTP client: {}", chain(&error))))
}

fn wrong_answer(head: &str, reason: &str) -> Failure {
    Failure::infrastructure(format!("the head server at {head} answered {reason}"))
}

/// The YAML text of the whole configuration that a head server gives.
pub(crate) async fn configuration_text(head: &str) -> Result<String, Failure> {
    let url = format!("{}/global_config_dict_yaml", head.trim_end_matches('/'));
    let unreachable = |error: reqwest::Error| {
        if error.is_builder() {
            return Failure::user(format!("`{head}` is no address of a head server"))
                .with_hint("write for example --head http://127.0.0.1:11000");
        }
        Failure::infrastructure(format!("no answer from the head server at {head}: {}", chain(&error)))
            .with_hint("start servers with `gym-host serve`, or name a configuration with --config")
    };
    let request = client()?.get(&url).timeout(Duration::from_secs(30)).send();
    let response = request.await.and_then(reqwest::Response::error_for_status).map_err(unreachable)?;
    let text = response.text().await.map_err(unreachable)?;
    serde_json::from_str(&text).map_err(|error| wrong_answer(head, &format!("no JSON string: {error}")))
}

/// The agent of each resources server that only one agent uses.
fn sources(config: &Node) -> BTreeMap<String, String> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, instance) in config.as_map().into_iter().flatten() {
        let Ok(instance) = instance.to_json() else { continue };
        let kind = instance.get(ServerKind::ResponsesApiAgents.key()).and_then(Value::as_object);
        let Some(block) = kind.and_then(|kind| kind.values().next()) else { continue };
        if let Some(server) = block.pointer("/resources_server/name").and_then(Value::as_str) {
            users.entry(server.to_owned()).or_default().push(name.as_str().to_owned());
        }
    }
    users
        .into_iter()
        .filter(|(_, agents)| agents.len() == 1)
        .map(|(server, mut agents)| (server, agents.remove(0)))
        .collect()
}

/// The agent behind the environment server of each set of tasks.
fn tasksets(config: &Node) -> BTreeMap<String, String> {
    let json = |name: &str| config.child(name)?.to_json().ok();
    let agent_of = |environment: &Value| {
        let environment = json(environment.as_str()?)?;
        let kind = environment.get(ServerKind::EnvironmentServers.key())?.as_object()?;
        Some(kind.values().next()?.pointer("/agent_server/name")?.as_str()?.to_owned())
    };
    let routes = json("environment_server_routes").unwrap_or_default();
    let routes = routes.as_object().into_iter().flatten();
    routes.filter_map(|(set, to)| Some((set.clone(), agent_of(to)?))).collect()
}

/// Host and port of every agent in a configuration as head servers give it.
fn addresses(config: &Node) -> BTreeMap<String, String> {
    let mut agents = BTreeMap::new();
    for (name, instance) in config.as_map().into_iter().flatten() {
        let Ok(instance) = instance.to_json() else { continue };
        let kind = instance.get(ServerKind::ResponsesApiAgents.key()).and_then(Value::as_object);
        let Some(block) = kind.and_then(|kind| kind.values().next()) else { continue };
        let (host, port) =
            (block.get("host").and_then(|host| host.as_str()), block.get("port").and_then(|port| port.as_u64()));
        if let (Some(host), Some(port)) = (host, port) {
            agents.insert(name.as_str().to_owned(), format!("http://{host}:{port}"));
        }
    }
    agents
}

#[async_trait]
impl Dispatch for HeadDispatch {
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
        self.post(agent, "/run", row).await
    }

    async fn aggregate_metrics(&self, agent: &str, body: Bytes) -> Result<Reply, Fault> {
        self.post(agent, "/aggregate_metrics", body).await
    }
}
