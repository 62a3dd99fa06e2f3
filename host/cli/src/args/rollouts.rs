// SPDX-License-Identifier: Apache-2.0
//! Commands that make rollouts or work with them.

use std::path::PathBuf;

use clap::Args;

use super::ConfigArgs;

const COLLECT_HELP: &str = "\
Options of NeMo Gym's `ng_collect_rollouts`, `ng_e2e_collect_rollouts` and `gym eval run` are understood as KEY=VALUE:
  +input_jsonl_fpath=…  +output_jsonl_fpath=…  +agent_name=…  +agent_map.NAME=…  +limit=…  +split=…
  +num_repeats=N  +num_repeats.AGENT=N  +num_repeats_add_seed=true  +num_samples_in_parallel=N
  +responses_create_params.temperature=…  +prompt_config=FILE  +resume_from_cache=false  +disable_aggregation=true
A run that was cut short is completed unless `resume_from_cache=false` or --fresh says otherwise. Flags win.";

const AGGREGATE_HELP: &str = "\
Options of NeMo Gym's `ng_aggregate_rollouts` and `gym eval aggregate` are understood as KEY=VALUE:
  +input_glob=…  +output_jsonl_fpath=…  +merge_shards=false";

/// A file that can be completed by a later run.
fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "-" => {
            Err("rollouts go to a file, so that a later run can complete them; --json prints events".to_owned())
        }
        path => Ok(path.into()),
    }
}

fn from_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "a number from 0 on is expected".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    from_zero(text).ok().filter(|share| *share <= 1.0).ok_or_else(|| "a number from 0 to 1 is expected".to_owned())
}

/// What to collect and where to.
#[derive(Args, Clone, Debug)]
pub(crate) struct CollectOptions {
    /// Agent for rows that name none.
    #[arg(short, long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Rollouts are appended here, one JSON object a line, in order of completion.
    #[arg(short, long, value_name = "FILE", value_parser = file)]
    pub output: Option<PathBuf>,
    /// How often each task is attempted: a number [default: 1], or one for each agent, `first_agent=4,_default=1`.
    #[arg(short = 'n', long, value_name = "N|AGENT=N,…")]
    pub num_repeats: Option<String>,
    /// Only the first rows.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// How many rollouts run at once [default: 64].
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: Option<u32>,
    /// Only every n-th task, for example `--shard 2/8`.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Give each repeat its own sampling seed.
    #[arg(long)]
    pub seed_repeats: bool,
    /// Seed of the sessions' clocks and random numbers, together with task and repeat; rollouts record it.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// Begin anew: files of an earlier run are removed. Without it, a run that was cut short is completed.
    #[arg(long)]
    pub fresh: bool,
    /// Sampling temperature, in place of the rows' own.
    #[arg(long, value_name = "NUMBER", value_parser = from_zero)]
    pub temperature: Option<f64>,
    /// Nucleus sampling, in place of the rows' own.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub top_p: Option<f64>,
    /// Limit of each response's length in tokens, in place of the rows' own.
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_output_tokens: Option<u64>,
    /// A YAML file `{user: …, system: …}` with `{field}` placeholders that makes the prompts of rows without `input`.
    #[arg(long, value_name = "FILE")]
    pub prompt_config: Option<PathBuf>,
    /// Seconds that rollouts in flight may take to finish after the first Ctrl-C or SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub grace: u64,
    /// Compute no metrics at the end.
    #[arg(long)]
    pub disable_aggregation: bool,
    /// Events on standard output, one JSON object a line, in place of the table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(after_help = COLLECT_HELP)]
pub(crate) struct CollectArgs {
    /// The dataset: one task a line.
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub options: CollectOptions,
    /// Head server of running servers to use. Without it and without a configuration: http://127.0.0.1:11000.
    #[arg(long, value_name = "URL")]
    pub head: Option<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Args)]
#[command(after_help = COLLECT_HELP)]
pub(crate) struct EvalArgs {
    /// A dataset in place of the configured ones.
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Type of the configured datasets to use [default: example].
    #[arg(long, value_parser = ["example", "train", "validation", "benchmark"])]
    pub split: Option<String>,
    #[command(flatten)]
    pub options: CollectOptions,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Args)]
#[command(after_help = AGGREGATE_HELP)]
pub(crate) struct AggregateArgs {
    /// Files of rollouts: paths, patterns such as `runs/shard_*.jsonl`, or lists of them with commas. Repeatable.
    #[arg(short, long, value_name = "FILE|PATTERN")]
    pub input: Vec<String>,
    /// Where the rollouts of all files go, by task and repeat; the metrics go beside it. One input needs none.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write no file with the rollouts of all files, only their metrics.
    #[arg(long)]
    pub no_merge: bool,
    /// Head server of running servers whose environments add their own metrics.
    #[arg(long, value_name = "URL")]
    pub head: Option<String>,
    /// The metrics on standard output, as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Args)]
pub(crate) struct MergeArgs {
    /// Files of rollouts: paths, patterns such as `runs/shard_*.jsonl`, or lists of them with commas.
    #[arg(value_name = "FILE|PATTERN", required = true)]
    pub inputs: Vec<String>,
    /// Where the rollouts of all files go.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

const PROFILE_HELP: &str = "\
Options of NeMo Gym's `ng_reward_profile` and `gym eval profile` are understood as KEY=VALUE in place of files:
  +rollouts_jsonl_fpath=…  +materialized_inputs_jsonl_fpath=…  ++allow_partial_rollouts=true
If the rows that were run are there, NeMo Gym's files are written beside the rollouts:
  <stem>_reward_profiling.jsonl  <stem>_agent_metrics.json  <stem>_repeat_level_metrics.json

Bands: unsolved (every reward 0), hard, medium, easy, solved (every reward 1).
Example: --band hard --band medium --min-std 0.1 --subset train.jsonl";

#[derive(Args)]
#[command(after_help = PROFILE_HELP)]
pub(crate) struct ProfileArgs {
    /// Files of rollouts, or patterns such as `runs/shard_*.jsonl`.
    #[arg(value_name = "ROLLOUTS|KEY=VALUE")]
    pub files: Vec<String>,
    /// A file of rollouts, as an option. Repeatable.
    #[arg(short, long, value_name = "FILE|PATTERN")]
    pub rollouts: Vec<String>,
    /// The rows that were run; by default `<stem>_materialized_inputs.jsonl` beside the rollouts.
    #[arg(short, long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
    /// Rollouts may be missing.
    #[arg(long)]
    pub partial: bool,
    /// Write none of NeMo Gym's files.
    #[arg(long)]
    pub no_gym_files: bool,
    /// Means up to the first are hard, up to the second medium, above easy.
    #[arg(long, value_name = "MEAN,MEAN", default_value = "0.25,0.75")]
    pub bands: gym_reports::Bands,
    /// How many tasks the table lists.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub tasks: usize,
    /// One line for each task, as CSV.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// All figures as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// A page with plots that needs nothing else, to be sent to somebody.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the rows of the chosen tasks here, as a dataset.
    #[arg(long, value_name = "FILE", help_heading = "Choosing tasks")]
    pub subset: Option<PathBuf>,
    /// Only tasks of this band. Repeatable.
    #[arg(long, value_parser = ["unsolved", "hard", "medium", "easy", "solved"], value_name = "BAND", help_heading = "Choosing tasks")]
    pub band: Vec<String>,
    /// Only tasks of this agent.
    #[arg(short, long, value_name = "NAME", help_heading = "Choosing tasks")]
    pub agent: Option<String>,
    /// The lowest mean reward.
    #[arg(long, value_name = "REWARD", allow_negative_numbers = true, help_heading = "Choosing tasks")]
    pub min_mean: Option<f64>,
    /// The highest mean reward.
    #[arg(long, value_name = "REWARD", allow_negative_numbers = true, help_heading = "Choosing tasks")]
    pub max_mean: Option<f64>,
    /// The smallest standard deviation of the rewards of a task.
    #[arg(long, value_name = "REWARD", help_heading = "Choosing tasks")]
    pub min_std: Option<f64>,
    /// The fewest measured rollouts.
    #[arg(long, value_name = "N", help_heading = "Choosing tasks")]
    pub min_rollouts: Option<u64>,
    /// The fewest tool calls on average.
    #[arg(long, value_name = "N", help_heading = "Choosing tasks")]
    pub min_calls: Option<f64>,
    /// The most tool calls on average.
    #[arg(long, value_name = "N", help_heading = "Choosing tasks")]
    pub max_calls: Option<f64>,
}

const REVERIFY_HELP: &str = "\
Beside the rollouts with their new grades are written:
  <output stem>_changed.jsonl   every reward that changed
  <output stem>_failures.jsonl  what could not be graded
Each rollout says under `gym_host` which component and configuration gave its reward.
The same command again goes on where an earlier one was cut short.

Options of NeMo Gym are understood as KEY=VALUE:
  +rollouts_jsonl_fpath=…  +materialized_inputs_jsonl_fpath=…  +output_jsonl_fpath=…  +limit=…";

#[derive(Args)]
#[command(after_help = REVERIFY_HELP)]
pub(crate) struct ReverifyArgs {
    /// The stored rollouts.
    #[arg(short, long, value_name = "FILE")]
    pub rollouts: Option<PathBuf>,
    /// The rows that were run; by default `<stem>_materialized_inputs.jsonl` beside the rollouts.
    #[arg(short, long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
    /// Where the rollouts with their new grades go; by default `<stem>_reverified.jsonl` beside the rollouts.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Grade with this component in place of the environment's own; with several servers, `SERVER=FILE`.
    #[arg(long, value_name = "[SERVER=]FILE")]
    pub component: Vec<String>,
    /// How many are graded at once.
    #[arg(short = 'j', long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
    /// Only so many rollouts.
    #[arg(long, value_name = "ROLLOUTS")]
    pub limit: Option<u64>,
    /// Grade only failed attempts whose judge failed; rollouts are taken over as they are.
    #[arg(long)]
    pub judge_failed_only: bool,
    /// Grade also where the server does not declare it safe; the output's name then begins with `unsafe_`.
    #[arg(long)]
    pub force: bool,
    /// Begin anew: files of an earlier run are removed.
    #[arg(long, visible_alias = "overwrite")]
    pub fresh: bool,
    /// End with exit code 1 if a reward changed.
    #[arg(long)]
    pub fail_on_change: bool,
    /// Compute no metrics at the end.
    #[arg(long)]
    pub disable_aggregation: bool,
    /// Changes and the result on standard output, one JSON object a line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}
