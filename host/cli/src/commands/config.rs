// SPDX-License-Identifier: Apache-2.0
//! `gym-host config dump` and `gym-host validate`.

use std::process::ExitCode;

use gym_config::{DumpOptions, Purpose};

use crate::{
    args::{ConfigCommand, ValidateArgs},
    assemble::{cannot_be_served, check_blocks},
    configuration,
    failure::CommandResult,
    options::HostOptions,
    places::Places,
};

pub(crate) fn run(command: &ConfigCommand, places: &Places) -> CommandResult {
    let ConfigCommand::Dump { config, origin, secrets } = command;
    let composed = configuration::compose(config, places, Purpose::Serve)?;
    print!("{}", composed.dump(DumpOptions { origin: *origin, mask_secrets: !secrets, resolve: true }));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn validate(arguments: &ValidateArgs, places: &Places) -> CommandResult {
    let settings = configuration::settings(&arguments.config, places, Purpose::Serve)?;
    HostOptions::read(&settings)?.http_limits()?;
    check_blocks(&settings)?;
    let mut problems = Vec::new();
    let width = settings.servers.iter().map(|server| server.name.as_str().chars().count()).max().unwrap_or_default();
    for server in &settings.servers {
        let problem = cannot_be_served(&settings, server);
        let place = match (&problem, server.is_here()) {
            (Some(_), _) => "cannot be served",
            (None, true) => "here",
            (None, false) => "elsewhere",
        };
        problems.extend(problem);
        println!("{:<width$} {:<22} {:<30} {place}", server.name, server.kind.key(), server.implementation);
    }
    for problem in &problems {
        eprintln!("warning: {}", problem.message);
        problem.hint.iter().for_each(|hint| eprintln!("  hint: {hint}"));
    }
    let servers = settings.servers.len();
    match problems.len() {
        0 => eprintln!("the configuration is valid: {servers} servers"),
        count => {
            eprintln!("the configuration is valid: {servers} servers, {count} of which this gym-host cannot serve")
        }
    }
    Ok(ExitCode::SUCCESS)
}
