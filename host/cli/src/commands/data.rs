// SPDX-License-Identifier: Apache-2.0
//! `gym-host data …`: work with datasets.

mod prepare;

use crate::{args::DataCommand, failure::CommandResult, places::Places};

pub(crate) fn run(command: &DataCommand, places: &Places, quiet: bool) -> CommandResult {
    match command {
        DataCommand::Prepare(arguments) => prepare::run(arguments, places, quiet),
    }
}
