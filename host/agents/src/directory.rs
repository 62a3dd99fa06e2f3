// SPDX-License-Identifier: Apache-2.0
//! How agents are made from their block of the configuration.

use std::sync::Arc;

use gym_protocol::{ServerKind, ServerName, ServerRef, lax::keys_of};
use serde_json::{Map, Value};

use crate::{
    aviary_agent::{AviaryAgent, AviaryConfig},
    conversational_tool_use::{ConversationalAgent, ConversationalConfig},
    driver::{Base, Common, Driven},
    gymnasium_agent::{GymnasiumAgent, GymnasiumAgentConfig},
    non_executing_simple_agent::{NonExecutingConfig, NonExecutingSimpleAgent},
    ports::{Agent, Model, ResourcesServer},
    remote_agent::{RemoteAgent, RemoteAgentConfig},
    simple_agent::{SimpleAgent, SimpleAgentConfig},
    tool_simulation_agent::{ToolSimulationAgent, ToolSimulationConfig},
};

/// Finds the servers that an agent's configuration names.
pub trait Directory {
    /// A resources server by name.
    fn resources_server(&self, name: &ServerName) -> Option<Arc<dyn ResourcesServer>>;

    /// A model server by name.
    fn model(&self, name: &ServerName) -> Option<Arc<dyn Model>>;

    /// The server at `base_url`, for an agent that passes its work on to an agent elsewhere: that one answers
    /// `/v1/responses` as a model server does. `None` when this process reaches nothing elsewhere.
    fn remote_agent(&self, _agent: &ServerName, _base_url: &str) -> Option<Arc<dyn Model>> {
        None
    }
}

/// Why an agent cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no agent of that kind.
    #[error("failed to make the agent `{name}`: there is no agent implementation `{implementation}`")]
    UnknownImplementation {
        /// Name of the agent.
        name: String,
        /// Third-level key of its configuration.
        implementation: String,
    },
    /// A setting has the wrong form.
    #[error("failed to make the agent `{name}`")]
    Config {
        /// Name of the agent.
        name: String,
        /// What is wrong.
        #[source]
        source: gym_protocol::lax::Misfit,
    },
    /// A reference leads nowhere.
    #[error("failed to make the agent `{name}`: `{key}` names {reference}, which is not served")]
    Reference {
        /// Name of the agent.
        name: String,
        /// The setting.
        key: &'static str,
        /// The server that it names.
        reference: String,
    },
    /// Nothing elsewhere can be reached, or not this.
    #[error("failed to make the agent `{name}`: this process cannot reach `agent_base_url`")]
    Unreachable {
        /// Name of the agent.
        name: String,
    },
}

impl AgentError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownImplementation { .. } => Some(format!(
                "known implementations: {}; {}",
                IMPLEMENTATIONS.join(", "),
                gym_protocol::names::ELSEWHERE
            )),
            Self::Config { .. } | Self::Reference { .. } | Self::Unreachable { .. } => None,
        }
    }
}

/// The agents that there are: third-level keys of the configuration.
pub const IMPLEMENTATIONS: &[&str] = &[
    "aviary_agent",
    "conversational_tool_use",
    "conversational_tool_use/simulation",
    "conversational_tool_use_agent",
    "gymnasium_agent",
    "non_executing_simple_agent",
    "remote_agent",
    "simple_agent",
    "tool_simulation_agent",
];

/// The keys of a block that this implementation reads, besides those that every server may have.
pub fn known_keys(implementation: &str) -> Vec<&'static str> {
    let own = match implementation {
        "simple_agent" => keys_of::<SimpleAgentConfig>(),
        "aviary_agent" => keys_of::<AviaryConfig>(),
        "conversational_tool_use" | "conversational_tool_use/simulation" | "conversational_tool_use_agent" => {
            keys_of::<ConversationalConfig>()
        }
        "gymnasium_agent" => keys_of::<GymnasiumAgentConfig>(),
        "non_executing_simple_agent" => keys_of::<NonExecutingConfig>(),
        "remote_agent" => keys_of::<RemoteAgentConfig>(),
        "tool_simulation_agent" => keys_of::<ToolSimulationConfig>(),
        _ => &[],
    };
    [own, keys_of::<Common>()].concat()
}

/// Makes the agent of a configuration block.
pub fn build_agent(
    implementation: &str,
    name: &ServerName,
    block: &Map<String, Value>,
    directory: &dyn Directory,
) -> Result<Arc<dyn Agent>, AgentError> {
    let maker = Maker { name, block, directory };
    match implementation {
        "simple_agent" => {
            let config: SimpleAgentConfig = maker.config()?;
            let base = maker.base(config.resources_server.as_ref())?;
            let model = maker.model("model_server", &config.model_server)?;
            Ok(Arc::new(Driven(SimpleAgent::new(base, config, model))))
        }
        "aviary_agent" => {
            let config: AviaryConfig = maker.config()?;
            let base = maker.base(Some(&config.resources_server))?;
            let model = maker.model("model_server", &config.model_server)?;
            Ok(Arc::new(Driven(AviaryAgent::new(base, config, model))))
        }
        "conversational_tool_use" | "conversational_tool_use/simulation" | "conversational_tool_use_agent" => {
            let config: ConversationalConfig = maker.config()?;
            let base = maker.base(Some(&config.resources_server))?;
            let model = maker.model("model_server", &config.model_server)?;
            let user = maker.optional_model("user_model_server", config.user_model_server.as_ref())?;
            Ok(Arc::new(Driven(ConversationalAgent::new(base, config, model, user))))
        }
        "gymnasium_agent" => {
            let config: GymnasiumAgentConfig = maker.config()?;
            let base = maker.base(Some(&config.resources_server))?;
            let model = maker.model("model_server", &config.model_server)?;
            Ok(Arc::new(Driven(GymnasiumAgent::new(base, config, model))))
        }
        "non_executing_simple_agent" => {
            let config: NonExecutingConfig = maker.config()?;
            let base = maker.base(config.resources_server.as_ref())?;
            let model = maker.model("model_server", &config.model_server)?;
            Ok(Arc::new(Driven(NonExecutingSimpleAgent::new(base, model))))
        }
        "remote_agent" => {
            let config: RemoteAgentConfig = maker.config()?;
            let base = maker.base(config.resources_server.as_ref())?;
            let remote = directory
                .remote_agent(name, &config.agent_base_url)
                .ok_or_else(|| AgentError::Unreachable { name: name.to_string() })?;
            Ok(Arc::new(Driven(RemoteAgent::new(base, config, remote))))
        }
        "tool_simulation_agent" => {
            let config: ToolSimulationConfig = maker.config()?;
            let base = maker.base(config.resources_server.as_ref())?;
            let model = maker.model("model_server", &config.model_server)?;
            let simulator = maker.optional_model("simulation_model_server", config.simulation_model_server.as_ref())?;
            Ok(Arc::new(Driven(ToolSimulationAgent::new(base, config, model, simulator))))
        }
        other => Err(AgentError::UnknownImplementation { name: name.to_string(), implementation: other.to_owned() }),
    }
}

/// Reads one block.
struct Maker<'a> {
    name: &'a ServerName,
    block: &'a Map<String, Value>,
    directory: &'a dyn Directory,
}

impl Maker<'_> {
    fn config<T: serde::de::DeserializeOwned>(&self) -> Result<T, AgentError> {
        gym_protocol::lax::from_value(Value::Object(self.block.clone()))
            .map_err(|source| AgentError::Config { name: self.name.to_string(), source })
    }

    fn base(&self, resources: Option<&ServerRef>) -> Result<Base, AgentError> {
        let resources = resources.map(|reference| self.resources("resources_server", reference)).transpose()?;
        Ok(Base { name: self.name.clone(), resources, common: self.config()? })
    }

    fn model(&self, key: &'static str, reference: &ServerRef) -> Result<Arc<dyn Model>, AgentError> {
        let is_right_kind = reference.kind == ServerKind::ResponsesApiModels;
        let found = is_right_kind.then(|| self.directory.model(&reference.name)).flatten();
        found.ok_or_else(|| self.unknown(key, reference))
    }

    fn optional_model(
        &self,
        key: &'static str,
        reference: Option<&ServerRef>,
    ) -> Result<Option<Arc<dyn Model>>, AgentError> {
        reference.map(|reference| self.model(key, reference)).transpose()
    }

    fn resources(&self, key: &'static str, reference: &ServerRef) -> Result<Arc<dyn ResourcesServer>, AgentError> {
        let is_right_kind = reference.kind == ServerKind::ResourcesServers;
        let found = is_right_kind.then(|| self.directory.resources_server(&reference.name)).flatten();
        found.ok_or_else(|| self.unknown(key, reference))
    }

    fn unknown(&self, key: &'static str, reference: &ServerRef) -> AgentError {
        let reference = format!("`{}` of `{}`", reference.name, reference.kind.key());
        AgentError::Reference { name: self.name.to_string(), key, reference }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_implementation_has_keys_of_its_own_and_the_common_ones() {
        for implementation in IMPLEMENTATIONS {
            let known = known_keys(implementation);
            for key in ["resources_server", "run_timeout_seconds", "skip_verification", "token_id_capture"] {
                assert!(known.contains(&key), "{implementation} has {known:?}, without `{key}`");
            }
            assert!(known.contains(&"model_server") || *implementation == "remote_agent", "{implementation}");
            assert!(!known.contains(&"max_stepz"));
        }
        assert!(known_keys("simple_agent").contains(&"execute_tools"), "other names of a key are known too");
    }
}
