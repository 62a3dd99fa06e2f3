// SPDX-License-Identifier: Apache-2.0
//! What is to be collected.

mod key_set;
mod rows;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use gym_data::prompt::Prompt;
use gym_protocol::{Members, Raw};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{dispatch::Dispatch, error::CollectError};

pub(crate) use key_set::KeySet;

/// One part of the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 0.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

impl Shard {
    /// Reads `i/n`, counted from 1.
    pub fn parse(text: &str) -> Option<Self> {
        let (index, count) = text.split_once('/')?;
        let (index, count): (u64, u64) = (index.trim().parse().ok()?, count.trim().parse().ok()?);
        (index >= 1 && index <= count).then(|| Self { index: index - 1, count })
    }
}

/// How often each task is attempted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Repeats {
    /// All the same.
    All(u64),
    /// By the agent that runs the task, or the `task_source` of the row; `_default` for all others.
    ByAgent(BTreeMap<String, u64>),
}

impl Repeats {
    fn of(&self, names: &[Option<&str>]) -> Option<u64> {
        match self {
            Self::All(count) => Some(*count),
            Self::ByAgent(counts) => {
                let named = names.iter().flatten().find_map(|name| counts.get(*name));
                named.or_else(|| counts.get("_default")).copied()
            }
        }
    }
}

impl From<u64> for Repeats {
    fn from(count: u64) -> Self {
        Self::All(count)
    }
}

impl From<u32> for Repeats {
    fn from(count: u32) -> Self {
        Self::All(count.into())
    }
}

/// What to collect.
#[derive(Clone, Debug)]
pub struct CollectPlan {
    /// The dataset.
    pub input: PathBuf,
    /// Where rollouts go.
    pub output: PathBuf,
    /// Agent of rows that name none.
    pub agent: Option<String>,
    /// Other agents in place of those that rows name, by the row's agent or `task_source`; `_default` for all others.
    pub agent_map: BTreeMap<String, String>,
    /// How often each task is attempted.
    pub num_repeats: Repeats,
    /// Only so many rows of the dataset.
    pub limit: Option<u64>,
    /// Only a part of the tasks.
    pub shard: Option<Shard>,
    /// Gives each repeat its own sampling seed, in `metadata.extra_body`.
    pub seed_repeats: bool,
    /// Together with task and repeat it makes the seed of each session's clock and random numbers, so that a
    /// collection can be repeated. Rows that bring a session seed along keep it.
    pub session_seed: u64,
    /// Laid over every row's `responses_create_params`.
    pub overrides: BTreeMap<String, Value>,
    /// Makes the prompts of rows without `input`: `{field}` stands for a field of the row.
    pub prompt: Option<Prompt>,
    /// Rollouts at the same time; at least 1.
    pub concurrency: usize,
    /// How often a failing rollout is attempted, over all runs.
    pub max_attempts: u64,
    /// Whether metrics are computed at the end.
    pub aggregate: bool,
    /// Remove the files of an earlier run first.
    pub fresh: bool,
    /// Added to every rollout as `gym_host`: which component, configuration and version made it. By agent.
    pub provenance: BTreeMap<String, Value>,
}

impl CollectPlan {
    /// Every row of a dataset once, with the agents that the rows name.
    pub fn new(input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        Self {
            input: input.into(),
            output: output.into(),
            agent: None,
            agent_map: BTreeMap::new(),
            num_repeats: Repeats::All(1),
            limit: None,
            shard: None,
            seed_repeats: false,
            session_seed: 0,
            overrides: BTreeMap::new(),
            prompt: None,
            concurrency: 64,
            max_attempts: 3,
            aggregate: true,
            fresh: false,
            provenance: BTreeMap::new(),
        }
    }

    /// Writes the file of rows to be run, and says how many there are.
    pub(crate) fn materialize(&self, target: &Path, dispatch: &dyn Dispatch) -> Result<u64, CollectError> {
        rows::write(self, target, dispatch)
    }

    /// Digest of the dataset and of everything that shapes the rows.
    pub(crate) fn digest(&self) -> Result<String, CollectError> {
        let problem = |source| CollectError::File { path: self.input.display().to_string(), source };
        let mut hash = Sha256::new();
        let mut shape = serde_json::json!({
            "agent": self.agent, "agent_map": self.agent_map, "num_repeats": self.num_repeats, "limit": self.limit,
            "shard": self.shard, "seed_repeats": self.seed_repeats, "overrides": self.overrides, "prompt": self.prompt,
        });
        if self.session_seed != 0 {
            shape["session_seed"] = self.session_seed.into();
        }
        hash.update(shape.to_string());
        let mut file = File::open(&self.input).map_err(problem)?;
        std::io::copy(&mut file, &mut hash).map_err(problem)?;
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What the materialized inputs were made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Version of this file.
    pub format: u32,
    /// Digest of the dataset's bytes and of the options that shape the rows.
    pub digest: String,
    /// Rows to be run.
    pub total: u64,
}

pub(crate) const STATE_FORMAT: u32 = 1;

/// The field of a row with the seed of its session; our resources servers read it.
pub(crate) const SESSION_SEED: &str = "_ng_session_seed";

/// `_ng_task_index` and `_ng_rollout_index`: what tells one rollout from another.
pub(crate) type Key = (u64, u64);

/// One row to be run.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub key: Key,
    pub agent: String,
    pub members: Members,
}

impl Job {
    /// Reads a row of the materialized inputs.
    pub(crate) fn read(members: Members) -> Option<Self> {
        Some(Self { key: key(&members)?, agent: agent(&members)?, members })
    }
}

/// The rollout that a row belongs to.
pub(crate) fn key(members: &Members) -> Option<Key> {
    let number = |name: &str| members.get(name).and_then(|value| value.read::<u64>().ok());
    Some((number("_ng_task_index")?, number("_ng_rollout_index")?))
}

/// The agent that a row names.
pub(crate) fn agent(members: &Members) -> Option<String> {
    name_of(members.get_set("agent_ref")?)
}

/// The name in `{"name": …}`.
fn name_of(reference: &Raw) -> Option<String> {
    reference.members().ok()?.get_set("name")?.read().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!(Shard::parse("2/8"), Some(Shard { index: 1, count: 8 }));
        for bad in ["0/8", "9/8", "x", "1/0", ""] {
            assert_eq!(Shard::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn repeats_are_by_agent_then_by_source_then_by_default() {
        let counts = |pairs: &[(&str, u64)]| {
            Repeats::ByAgent(pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
        };
        let names = [Some("agent"), Some("source")];
        assert_eq!(Repeats::from(4_u32).of(&names), Some(4));
        assert_eq!(counts(&[("agent", 2), ("source", 3), ("_default", 4)]).of(&names), Some(2));
        assert_eq!(counts(&[("source", 3), ("_default", 4)]).of(&names), Some(3));
        assert_eq!(counts(&[("_default", 4)]).of(&names), Some(4));
        assert_eq!(counts(&[("other", 4)]).of(&names), None);
    }
}
