// SPDX-License-Identifier: Apache-2.0
//! Why a collection did not come to its end.

use gym_data::jsonl::JsonlError;

/// Why a collection did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file of rows cannot be read or written.
    #[error(transparent)]
    Rows(#[from] JsonlError),
    /// A file cannot be read or written.
    #[error("failed to use {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A row cannot be run, or a rollout not be used.
    #[error("{path}:{line} cannot be used: {reason}")]
    Row {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Rows name no agent, and there is no default.
    #[error("{path} has {} rows without an agent (`agent_ref`), the first at line {}", lines.len(), lines.first().copied().unwrap_or_default())]
    NoAgent {
        /// The file.
        path: String,
        /// The lines, from 1.
        lines: Vec<u64>,
    },
    /// A row names an agent that is not there.
    #[error("{path}:{line} names the agent `{agent}`, which is not served")]
    UnknownAgent {
        /// The agent.
        agent: String,
        /// The file.
        path: String,
        /// The first such line.
        line: u64,
        /// The agents that there are.
        known: Vec<String>,
    },
    /// The numbers of repeats by agent lack one.
    #[error("{path}:{line} is for the agent `{agent}`, which has no number of repeats")]
    NoRepeats {
        /// The agent.
        agent: String,
        /// The file.
        path: String,
        /// The first such line.
        line: u64,
    },
    /// There are no rows.
    #[error("{path} has no rows")]
    Empty {
        /// The file.
        path: String,
    },
    /// Another process writes the same files.
    #[error("another process is collecting into {path}")]
    Locked {
        /// The output file.
        path: String,
    },
    /// The files belong to another input or other options.
    #[error("{path} was collected from other rows or with other options")]
    OtherInput {
        /// The output file.
        path: String,
    },
    /// The files were written by a newer version.
    #[error("{path} was written by a newer version of this program (format {format})")]
    Newer {
        /// The state file.
        path: String,
        /// Its format.
        format: u32,
    },
    /// Rollouts are missing.
    #[error("{path} lacks {missing} rollouts, for example rollout {rollout} of task {task}")]
    Incomplete {
        /// The file.
        path: String,
        /// How many.
        missing: u64,
        /// `_ng_task_index` of one.
        task: u64,
        /// `_ng_rollout_index` of it.
        rollout: u64,
    },
    /// The metrics cannot be computed.
    #[error("{path}: {reason}")]
    Metrics {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A server does not declare that stored responses may be graded again.
    #[error("the verifier of `{agent}` does not say that stored responses may be graded again (it is {mode})")]
    NotStateless {
        /// The agent of the rollouts.
        agent: String,
        /// What it says.
        mode: &'static str,
    },
    /// Files to be merged have the same rollout.
    #[error("{path}:{line} is rollout {rollout} of task {task}, which {other} has as well")]
    Twice {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// `_ng_task_index`.
        task: u64,
        /// `_ng_rollout_index`.
        rollout: u64,
        /// The other file.
        other: String,
    },
}

impl CollectError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoAgent { .. } => Some("name one with --agent".to_owned()),
            Self::UnknownAgent { known, .. } => Some(format!("served are: {}", known.join(", "))),
            Self::Incomplete { .. } => {
                Some("run the collection again to do the rest, or allow it with --partial".to_owned())
            }
            Self::NotStateless { mode: "not configured", .. } => {
                Some("name its environment with --environment or --config".to_owned())
            }
            Self::NotStateless { .. } => Some(
                "its grade may depend on the session that is gone; --force grades all the same and marks the files as unsafe"
                    .to_owned(),
            ),
            Self::Row { .. } => Some("mend or remove that row".to_owned()),
            Self::Empty { .. } => Some("give a file with one JSON object a line".to_owned()),
            Self::NoRepeats { .. } => Some("add it, or `_default`".to_owned()),
            Self::OtherInput { .. } => {
                Some("use another --output, or --fresh to remove the earlier rollouts and begin anew".to_owned())
            }
            Self::Locked { .. } => Some("wait for it, or use another --output".to_owned()),
            Self::Rows(JsonlError::Write { .. }) => {
                Some("every row that was counted is in the file".to_owned())
            }
            _ => None,
        }
    }
}
