// SPDX-License-Identifier: Apache-2.0
//! Configured servers in this process, for commands that use them without serving them.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Model, Reply, RequestContext};
use gym_config::{Purpose, ServerSettings, Settings};
use gym_protocol::{Fault, FaultKind, ModelRequest, ServerKind, ServerName};
use gym_rollouts::{AgentDispatch, Dispatch};
use gym_runtime::Runtime;
use serde_json::Value;

use crate::{
    args::ConfigArgs,
    assemble::{Foundation, Resources, StandIns, assemble, outbound_settings, provenance},
    configuration,
    failure::Failure,
    options::HostOptions,
    places::Places,
};

/// Servers in this process.
pub(crate) struct Local {
    pub(crate) settings: Settings,
    /// The agents.
    pub(crate) dispatch: Arc<dyn Dispatch>,
    /// The resources servers.
    pub(crate) resources: BTreeMap<String, Resources>,
    /// What a rollout records of how it was made, by agent.
    pub(crate) provenance: BTreeMap<String, Value>,
    /// Loads what an environment needs only later.
    _runtime: Arc<Runtime>,
}

impl Local {
    /// Starts them. Every model must be configured.
    pub(crate) async fn start(config: &ConfigArgs, places: &Places) -> Result<Self, Failure> {
        Self::of(configuration::settings(config, places, Purpose::Serve)?, places, &StandIns::new()).await
    }

    /// Starts them for work that needs no policy. Asking a model that is not configured is a fault.
    pub(crate) async fn without_policy(config: &ConfigArgs, places: &Places) -> Result<Self, Failure> {
        let settings = configuration::settings(config, places, Purpose::Data)?;
        let models = settings.servers.iter().filter(|server| server.kind == ServerKind::ResponsesApiModels);
        let stand_ins = models
            .filter(|server| is_placeholder(server))
            .map(|server| (server.name.to_string(), Arc::new(NoModel(server.name.clone())) as Arc<dyn Model>))
            .collect();
        Self::of(settings, places, &stand_ins).await
    }

    async fn of(settings: Settings, places: &Places, stand_ins: &StandIns) -> Result<Self, Failure> {
        let foundation = Foundation::new(&HostOptions::read(&settings)?, outbound_settings(&settings), places)?;
        let deployment = assemble(&settings, places, &foundation, stand_ins).await?;
        if deployment.agents.is_empty() {
            return Err(Failure::user("the configuration has no agent that could work on tasks")
                .with_hint("add an instance under `responses_api_agents`"));
        }
        let provenance = provenance(&settings, &deployment);
        let sources = configuration::agents_of_sources(&settings);
        let tasksets = configuration::agents_of_tasksets(&settings);
        let agents = AgentDispatch::new(deployment.agents.into_values()).with_sources(sources).with_tasksets(tasksets);
        Ok(Self {
            settings,
            dispatch: Arc::new(agents),
            resources: deployment.resources,
            provenance,
            _runtime: foundation.runtime,
        })
    }
}

/// Whether a model server has no endpoint: nobody said where the policy is.
fn is_placeholder(server: &ServerSettings) -> bool {
    let empty = |(key, value): (&String, &Value)| key.ends_with("base_url") && value.as_str() == Some("");
    server.implementation == "dummy_model" || server.block.iter().any(empty)
}

/// A model that is not configured.
struct NoModel(ServerName);

impl NoModel {
    fn fault(&self) -> Fault {
        Fault::new(FaultKind::ModelFailed, format!("the model `{}` has no endpoint in the configuration", self.0))
    }
}

#[async_trait]
impl Model for NoModel {
    fn name(&self) -> &ServerName {
        &self.0
    }

    async fn respond(&self, _request: ModelRequest, _context: &mut RequestContext) -> Result<Reply, Fault> {
        Err(self.fault())
    }

    async fn chat(&self, _body: Bytes, _context: &mut RequestContext) -> Result<Reply, Fault> {
        Err(self.fault())
    }
}
