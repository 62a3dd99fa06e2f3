// SPDX-License-Identifier: Apache-2.0
//! The agent loops, and the ports through which they reach environments and models.
//!
//! Nothing here knows HTTP, WebAssembly or where a server runs: a resources server or a model server in this process
//! and one elsewhere look the same.

mod arguments;
mod aviary_agent;
mod calls;
mod conversational_tool_use;
mod directory;
mod driver;
mod failure;
#[cfg(test)]
mod fakes;
mod gymnasium_agent;
mod metrics;
pub mod network;
mod non_executing_simple_agent;
pub mod ports;
mod remote_agent;
mod request_body;
mod simple_agent;
mod tool_simulation_agent;
mod transcript;

pub use directory::{AgentError, Directory, IMPLEMENTATIONS, build_agent, known_keys};
pub use ports::{
    Agent, Cookie, Cookies, EventStream, ItemWatch, Model, ModelRoute, Reply, RequestContext, ResourcesServer, Route,
    Session, Streamed,
};
