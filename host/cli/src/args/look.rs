// SPDX-License-Identifier: Apache-2.0
//! `gym-host view` and `gym-host show`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct ViewArgs {
    /// Rollouts: one JSON object a line. A second file is compared with the first, task by task.
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    pub files: Vec<PathBuf>,
    /// Where the page is served. Anybody who reaches an address other than a loopback one can read the rollouts.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// The page's port; 0 for any that is free. Without it 8600, or any if that is taken.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Open the page in the browser.
    #[arg(long)]
    pub open: bool,
}

/// Examples under the help of `show`.
pub(crate) const SHOW_HELP: &str = "\
Filters are words of the prompt, the agent or the failure, and terms such as
  reward<1   tokens>=500   calls=0   agent:math   failure:judge   is:failed   -is:full
  is:scored  is:unscored   is:masked is:unreadable is:zero        file:b      \"two words\"

Examples:
  gym-host show rollouts.jsonl --sort reward --limit 20
  gym-host show rollouts.jsonl 'is:zero agent:math' --full | less
  gym-host show rollouts.jsonl --task 3 --rollout 0
  gym-host show rollouts.jsonl --color always | less -R";

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Rollouts: one JSON object a line.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which rollouts; all terms must hold.
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Only rollouts of this task (`_ng_task_index`), as whole conversations. Repeatable.
    #[arg(short, long, value_name = "N")]
    pub task: Vec<i64>,
    /// Only rollouts of this number (`_ng_rollout_index`).
    #[arg(short, long, value_name = "N")]
    pub rollout: Option<i64>,
    /// Order by a field, `-field` from the highest down: reward, tokens, output, calls, items, bytes, task, agent,
    /// failure, prompt, or a number of the verdict.
    #[arg(short, long, value_name = "FIELD", default_value = "", allow_hyphen_values = true)]
    pub sort: String,
    /// At most so many rollouts.
    #[arg(short, long, value_name = "N")]
    pub limit: Option<usize>,
    /// Whole conversations rather than a list.
    #[arg(short, long)]
    pub full: bool,
    /// The chosen lines as they stand in the file.
    #[arg(long, conflicts_with = "full")]
    pub json: bool,
    /// Colours: when standard output is a terminal, always, or never.
    #[arg(long, visible_alias = "colour", value_name = "WHEN", default_value = "auto")]
    pub color: ColourChoice,
}

/// When colours are used.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourChoice {
    Auto,
    Always,
    Never,
}
