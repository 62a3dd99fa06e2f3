// SPDX-License-Identifier: Apache-2.0
//! `gym-host data …`: work with datasets.

mod generate;
mod prepare;
mod transfer;

use crate::{args::DataCommand, failure::CommandResult, on_runtime, places::Places};

pub(crate) fn run(command: &DataCommand, places: &Places, quiet: bool) -> CommandResult {
    match command {
        DataCommand::Prepare(arguments) => prepare::run(arguments, places, quiet),
        DataCommand::Generate(arguments) => on_runtime(generate::run(arguments, places, quiet)),
        DataCommand::Push(arguments) => on_runtime(transfer::push(arguments, places)),
        DataCommand::Pull(arguments) => on_runtime(transfer::pull(arguments, places)),
        DataCommand::List(arguments) => on_runtime(transfer::list(arguments, places)),
    }
}
