// SPDX-License-Identifier: Apache-2.0
//! What a resources server does with a request, whatever runs the environment behind it: validation, sessions, the
//! reply of verify, metrics.

mod cookie;
pub mod environment;
pub mod service;
mod sessions;

pub use cookie::CookieKeys;
pub use environment::{Environment, Instance, InstanceFor};
pub use service::{MCP_TOKEN_HEADER, McpHeaders, Method, Outcome, ResourcesService, ServiceError, ServiceOptions};
pub use sessions::SessionOptions;
