// SPDX-License-Identifier: Apache-2.0
//! Collecting rollouts: what is to be done, who does it, and how it becomes durable. Nothing here prints; a
//! [`Collector`] tells an observer what happens.

mod aggregate;
mod attempt;
mod collector;
mod dispatch;
mod error;
mod events;
mod files;
mod merge;
mod past;
mod plan;
mod record;
mod reverify;
mod reward_profile;
mod summary;

pub use aggregate::{aggregate, headlines};
pub use collector::Collector;
pub use dispatch::{AgentDispatch, Dispatch, PlainMetrics};
pub use error::CollectError;
pub use events::{Event, Observer};
pub use files::Files;
pub use gym_data::prompt::Prompt;
pub use merge::{merge, merge_all};
pub use plan::{CollectPlan, Repeats, Shard};
pub use reverify::{Change, Reverified, ReverifyPlan, Verifier, reverify};
pub use reward_profile::{RewardProfile, reward_profile};
pub use summary::{AgentSummary, Summary};
