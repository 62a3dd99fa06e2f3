// SPDX-License-Identifier: Apache-2.0
//! A server in front of an environment written for these tests.

mod by_env_id;
pub(super) mod fake;
mod gymnasium;
mod http;
mod lifetimes;
mod mcp;
mod metrics;
mod typed;
mod verify;
