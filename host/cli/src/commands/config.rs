// SPDX-License-Identifier: Apache-2.0
//! `gym-host config dump` and `gym-host validate`.

use std::process::ExitCode;

use gym_config::{DumpOptions, Place, Purpose};
use gym_protocol::ServerKind;

use crate::{
    args::{ConfigCommand, ValidateArgs},
    assemble::{Foundation, StandIns, assemble, cannot_be_served, check_blocks, outbound_settings},
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

/// Where servers are in the eyes of the others that this installation cannot serve. Nothing is sent there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Does everything that serving does but listening: blocks of agents and models are read, environments get their
/// options. What this installation cannot serve is told, and is no error of the configuration.
pub(crate) async fn validate(arguments: &ValidateArgs, places: &Places) -> CommandResult {
    let mut settings = configuration::settings(&arguments.config, places, Purpose::Serve)?;
    let options = HostOptions::read(&settings)?;
    options.http_limits()?;
    check_blocks(&settings)?;
    let (mut problems, mut unserved) = (Vec::new(), Vec::new());
    let width = settings.servers.iter().map(|server| server.name.as_str().chars().count()).max().unwrap_or_default();
    for server in &settings.servers {
        let problem = cannot_be_served(&settings, server);
        let place = match (&problem, server.is_here()) {
            (Some(_), _) => "cannot be served",
            (None, true) => "here",
            (None, false) => "elsewhere",
        };
        unserved.extend(problem.is_some().then(|| server.name.clone()));
        problems.extend(problem);
        println!("{:<width$} {:<22} {:<30} {place}", server.name, server.kind.key(), server.implementation);
    }
    for problem in &problems {
        eprintln!("warning: {}", problem.message);
        problem.hint.iter().for_each(|hint| eprintln!("  hint: {hint}"));
    }
    for server in settings.servers.iter_mut() {
        let skipped = arguments.quick && server.kind == ServerKind::ResourcesServers && server.is_here();
        if !skipped && !unserved.contains(&server.name) {
            continue;
        }
        server.place = Place::Elsewhere { url: NOWHERE.to_owned() };
    }
    let foundation = Foundation::new(&options, outbound_settings(&settings), places)?;
    assemble(&settings, places, &foundation, &StandIns::new()).await?;
    let servers = settings.servers.len();
    match problems.len() {
        0 => eprintln!("the configuration is valid: {servers} servers"),
        count => {
            eprintln!("the configuration is valid: {servers} servers, {count} of which this gym-host cannot serve")
        }
    }
    Ok(ExitCode::SUCCESS)
}
