// SPDX-License-Identifier: Apache-2.0
//! `gym-host data …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgs;

#[derive(Subcommand)]
pub(crate) enum DataCommand {
    /// Check every row of the configured datasets, compute statistics, and put the rows of each type into one file.
    ///
    /// Each row gets the `agent_ref` of its dataset's agent. Every row that is not right is named with file, line and
    /// field; nothing is written then. Beside each dataset are written `<stem>_metrics.json` (compared with the one
    /// that is there) and `<stem>_prepare.jsonl`, and in the output folder `<type>.jsonl` and `<type>_metrics.json`.
    #[command(after_help = PREPARE_HELP)]
    Prepare(PrepareArgs),
    /// Make rows with an environment that can: `reasoning_gym` makes them from a seed.
    ///
    /// The rows are made inside the environment's component. Equal task, size, seed and settings give equal files.
    #[command(after_help = GENERATE_HELP)]
    Generate(GenerateArgs),
    /// Send a file to a registry of datasets or to a folder.
    ///
    /// What is there already is not sent again; an upload to the Hugging Face hub that was cut off goes on where it
    /// stopped. Checksums are compared.
    #[command(after_help = PLACES_HELP)]
    Push(PushArgs),
    /// Fetch a file from a registry of datasets or from a folder.
    ///
    /// The file has its name only when it is whole and its checksum is right. A pull that was cut off goes on where it
    /// stopped.
    #[command(after_help = PLACES_HELP)]
    Pull(PullArgs),
    /// Show what a registry of datasets has: datasets, versions, files.
    #[command(after_help = PLACES_HELP)]
    List(ListArgs),
}

const GENERATE_HELP: &str = "\
Example:
  gym-host data generate reasoning_gym --task chain_sum,gcd --size 500 --seed 42 --output train.jsonl";

#[derive(Args)]
pub(crate) struct GenerateArgs {
    /// The environment: its name, or the path of its folder.
    #[arg(value_name = "NAME|DIR")]
    pub environment: String,
    /// What to make, as the environment calls it. Several are mixed. Repeatable.
    #[arg(short, long = "task", visible_alias = "tasks", value_name = "TASK", value_delimiter = ',', required = true)]
    pub tasks: Vec<String>,
    /// How many rows.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub size: u64,
    /// What chance follows from.
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    pub seed: u32,
    /// Settings of the task, as a JSON object; where several are mixed, an object of settings for each by name.
    #[arg(long = "settings", visible_alias = "config", value_name = "JSON", default_value = "{}")]
    pub settings: String,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Overwrite a file that is there.
    #[arg(long)]
    pub force: bool,
    /// The result as JSON.
    #[arg(long)]
    pub json: bool,
}

const PLACES_HELP: &str = "\
Places:
  gitlab:NAME/VERSION/FILE        GitLab's model registry, as NeMo Gym uses it
  hf:OWNER/NAME[@REVISION]/FILE   a dataset of the Hugging Face hub
  PATH                            a file or a folder

Settings, in env.yaml, as +KEY=VALUE, or in the environment in capitals:
  mlflow_tracking_uri    https://gitlab.example/api/v4/projects/ID/ml/mlflow
  mlflow_tracking_token  a token with the scope `api`
  hf_token               a token that may write; public datasets are read without one
  hf_endpoint            another hub than https://huggingface.co";

#[derive(Args)]
pub(crate) struct PushArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to. Without a file name in it the file keeps its own.
    #[arg(value_name = "PLACE")]
    pub to: String,
    /// Make a new dataset on the Hugging Face hub public.
    #[arg(long)]
    pub public: bool,
    /// Propose the change on the Hugging Face hub rather than making it.
    #[arg(long)]
    pub create_pr: bool,
    /// The result as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Args)]
pub(crate) struct PullArgs {
    /// Where from. Without a file name in it the only file, or the only one of rows, is meant.
    #[arg(value_name = "PLACE")]
    pub from: String,
    /// The file to write, or a folder to put it in.
    #[arg(short, long, value_name = "FILE|DIR", default_value = ".")]
    pub output: PathBuf,
    /// Overwrite a file that has other content.
    #[arg(long)]
    pub force: bool,
    /// The result as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Where: `gitlab:` lists all datasets, `gitlab:NAME` versions, `gitlab:NAME/VERSION` files; `hf:OWNER` lists
    /// datasets, `hf:OWNER/NAME` files.
    #[arg(value_name = "PLACE")]
    pub place: String,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

const PREPARE_HELP: &str = "\
Options of NeMo Gym's `ng_prepare_data` and `gym dataset collate` are understood as KEY=VALUE:
  +mode=…  +output_dirpath=…  +should_download=…  +data_source=gitlab|huggingface  +overwrite_metrics_conflicts=…";

#[derive(Args)]
pub(crate) struct PrepareArgs {
    /// `example_validation` takes the datasets of type example, `train_preparation` those of type train, validation and
    /// benchmark; the same as `mode=…`.
    #[arg(long, value_parser = ["train_preparation", "example_validation"], value_name = "MODE")]
    pub mode: Option<String>,
    /// Where the file of each type goes; the same as `output_dirpath=…`.
    #[arg(short, long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Only rows from this one on, counted from 0, of every dataset that has no `start_idx` of its own.
    #[arg(long, value_name = "ROW")]
    pub start_idx: Option<u64>,
    /// Only rows before this one, counted from 0, of every dataset that has no `end_idx` of its own.
    #[arg(long, value_name = "ROW")]
    pub end_idx: Option<u64>,
    /// Fetch datasets that are not there from where their configuration says; the same as `should_download=true`.
    #[arg(long)]
    pub download: bool,
    /// Write statistics anew where they differ from those that are there; the same as
    /// `overwrite_metrics_conflicts=true`.
    #[arg(long)]
    pub overwrite_metrics_conflicts: bool,
    /// Write the files although rows are not right: such rows are copied as they are and not counted.
    #[arg(long)]
    pub keep_invalid_rows: bool,
    /// Count tokens with this `tokenizer.json` (or the one in this model's folder), into files
    /// `<stem>_token_metrics.json`; the same as `tokenizer=…`. Without one, words stand for tokens, as in NeMo Gym.
    #[arg(long, value_name = "FILE", env = "GYM_HOST_TOKENIZER", hide_env_values = true)]
    pub tokenizer: Option<PathBuf>,
    /// Threads that check rows; by default one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Problems and the result on standard output, one JSON object a line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}
