// SPDX-License-Identifier: Apache-2.0
//! `gym-host attach --start`: folders from which NeMo Gym's launcher starts gym-host in place of its own servers.
//!
//! The launcher looks for `<kind>/<implementation>/` in `NEMO_GYM_EXTRA_ROOTS` first, and runs the entrypoint there, with
//! the whole configuration and the name of one instance in the environment. The entrypoint written here becomes
//! `gym-host serve`, which reads both, serves that instance at its address, and ends soon after SIGINT.

use std::{path::PathBuf, process::ExitCode};

use gym_protocol::ServerKind;

use super::{REQUIREMENTS, write};
use crate::{
    args::AttachArgs,
    failure::{CommandResult, Failure},
    places::Places,
};

/// Environment servers of NeMo Gym: gym-host serves an agent's `/run` for flat rows and typed episodes under any of them.
const ENVIRONMENT_SERVERS: &[&str] = &["legacy_agent", "single_agent_turn", "single_agent_turn_legacy"];

const APP: &str = r#"# SPDX-License-Identifier: Apache-2.0
"""Becomes a gym-host that serves the one instance that NeMo Gym's launcher names in its environment."""

import os
import shutil
import sys

PROGRAM = @PROGRAM@
ROOT = @ROOT@
SEARCH = @SEARCH@


def main() -> None:
    program = PROGRAM if os.access(PROGRAM, os.X_OK) else shutil.which("gym-host")
    if program is None:
        sys.exit(f"{PROGRAM} is gone, and there is no gym-host on the path; run `gym-host attach --start` again")
    if ROOT:
        os.environ.setdefault("GYM_HOST_ROOT", ROOT)
    arguments = [program]
    for folder in SEARCH:
        arguments += ["--search-dir", folder]
    os.execv(program, [*arguments, "serve"])


if __name__ == "__main__":
    main()
"#;

pub(super) fn run(arguments: &AttachArgs, places: &Places) -> CommandResult {
    let out = places.current.join(&arguments.out);
    let mut search = places.search.clone();
    let mut folders = Vec::new();
    for name in &arguments.start {
        let (kind, implementation) = implementation(name, places, &mut search)?;
        folders.push(out.join(kind.key()).join(implementation));
    }
    let app = app(places, &search)?;
    for folder in folders {
        for path in [write(&folder.join("app.py"), &app)?, write(&folder.join("requirements.txt"), REQUIREMENTS)?] {
            eprintln!("    wrote  {}", path.display());
        }
    }
    println!("NEMO_GYM_EXTRA_ROOTS={} ng_run \"+config_paths=[…]\"", out.display());
    Ok(ExitCode::SUCCESS)
}

/// What a name stands for. The root of an environment that is named by path is added to `search`.
fn implementation(name: &str, places: &Places, search: &mut Vec<PathBuf>) -> Result<(ServerKind, String), Failure> {
    let split = name.split_once('/').unwrap_or((ServerKind::ResourcesServers.key(), name));
    let (kind, wanted, known) = match split {
        ("responses_api_agents", wanted) => (ServerKind::ResponsesApiAgents, wanted, gym_agents::IMPLEMENTATIONS),
        ("responses_api_models", wanted) => (ServerKind::ResponsesApiModels, wanted, gym_models::IMPLEMENTATIONS),
        ("environment_servers", wanted) => (ServerKind::EnvironmentServers, wanted, ENVIRONMENT_SERVERS),
        (kind, _) => {
            let is_kind = kind == ServerKind::ResourcesServers.key();
            let folder = places.environment(if is_kind { split.1 } else { name })?;
            let root = folder.root();
            if !search.contains(&root) && places.install.as_ref() != Some(&root) {
                search.push(root);
            }
            return Ok((ServerKind::ResourcesServers, folder.name));
        }
    };
    if known.contains(&wanted) {
        return Ok((kind, wanted.to_owned()));
    }
    let failure = Failure::user(format!("gym-host has no `{name}`"));
    Err(failure.with_hint(format!("under {} there are: {}", kind.key(), known.join(", "))))
}

/// The entrypoint, with the places of this gym-host in it.
fn app(places: &Places, search: &[PathBuf]) -> Result<String, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::infrastructure(format!("failed to find this program: {error}")))?;
    // A JSON text or list is one of Python too, but for characters beyond the basic plane, which JSON may write raw.
    let python = |value: serde_json::Value| value.to_string();
    let root = places.install.as_ref().map(|root| root.display().to_string());
    let search: Vec<String> = search.iter().map(|folder| folder.display().to_string()).collect();
    Ok(APP
        .replace("@PROGRAM@", &python(program.display().to_string().into()))
        .replace("@ROOT@", &python(root.unwrap_or_default().into()))
        .replace("@SEARCH@", &python(search.into())))
}
