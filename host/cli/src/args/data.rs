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
    #[command(verbatim_doc_comment, after_help = PREPARE_HELP)]
    Prepare(PrepareArgs),
}

const PREPARE_HELP: &str = "\
Options of NeMo Gym's `ng_prepare_data` and `gym dataset collate` are understood as KEY=VALUE:
  +mode=…  +output_dirpath=…  +overwrite_metrics_conflicts=…";

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
    /// Write statistics anew where they differ from those that are there; the same as
    /// `overwrite_metrics_conflicts=true`.
    #[arg(long)]
    pub overwrite_metrics_conflicts: bool,
    /// Write the files although rows are not right: such rows are copied as they are and not counted.
    #[arg(long)]
    pub keep_invalid_rows: bool,
    /// Count tokens with this `tokenizer.json` (or the one in this model's folder), into files
    /// `<stem>_token_metrics.json`; the same as `tokenizer=…`. Without one, words stand for tokens, as in NeMo Gym.
    #[arg(long, value_name = "FILE", env = "GYM_HOST_TOKENIZER")]
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
