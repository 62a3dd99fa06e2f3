// SPDX-License-Identifier: Apache-2.0
//! Model servers behind [`gym_agents::Model`], and the HTTP client through which this process reaches servers elsewhere.
//!
//! [`build_model`] makes a model server from its block of the configuration. Everything that leaves the process goes
//! through [`outbound`]: one connection pool, and per server the limits, retries, circuit breaker and counters.
//! Conversions between the three request dialects ([`chat`], [`messages`]) are pure functions over JSON slices.

pub mod agent_dialects;
pub mod bounded;
pub mod build;
pub mod chat;
pub mod hosted;
pub mod messages;
pub mod network;
pub mod openai;
pub mod outbound;
pub mod remote;
pub mod replay;
pub mod response;
pub mod scripted;
pub mod secret;
pub mod settings;
pub mod vllm;

pub use agent_dialects::AgentDialects;
pub use bounded::Bounds;
pub use build::{Built, IMPLEMENTATIONS, ModelContext, build_model, limits_of_calls};
pub use network::{EndpointError, Endpoints};
pub use openai::OpenAiModel;
pub use outbound::{ModelStats, Outbound, OutboundSettings};
pub use remote::{RemoteAgent, RemoteModel, RemoteResourcesServer};
pub use replay::ReplayModel;
pub use scripted::ScriptedModel;
pub use secret::Secret;
pub use settings::ModelError;
pub use vllm::VllmModel;

#[cfg(test)]
mod test_upstream;
