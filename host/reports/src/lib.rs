// SPDX-License-Identifier: Apache-2.0
//! What rollouts say of tasks: how rewards spread over the repeats of each task, how hard tasks are, what tools are good
//! for, how long responses are. Read once, shown as a table, CSV, JSON or one HTML page, and used to choose tasks.
//!
//! Rewards that are no measurements are counted and otherwise left out.

mod bands;
mod content;
mod html;
mod plot;
mod profile;
mod rollout;
mod statistics;
mod subset;
mod text;

pub use bands::{Band, Bands, BandsError};
pub use html::html;
pub use profile::{AgentProfile, BandCount, ByCalls, ByLength, Profile, TaskProfile, ToolUse};
pub use rollout::Reader;
pub use subset::{Filter, SubsetError, write_subset};
pub use text::{csv, table};
