// SPDX-License-Identifier: Apache-2.0
//! `gym-host attach`: what an unmodified NeMo Gym launcher needs to use servers that run here.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use gym_config::{Composed, Settings, Sources};

mod start;

use crate::{
    args::AttachArgs,
    configuration,
    failure::{CommandResult, Failure},
    head_dispatch,
    places::Places,
};

/// The implementation that the launcher starts in place of each server that runs here.
const SLEEPER: &str = "gym_host_attached";
/// Kinds of servers that need something that is started.
const KINDS: [&str; 2] = ["resources_servers", "responses_api_models"];

const APP: &str = r#"# SPDX-License-Identifier: Apache-2.0
"""Stands in for a server that runs in gym-host.

NeMo Gym's launcher starts one process for each server and waits until its address answers. gym-host answers there
already, so this process has nothing to do but to live as long as the launcher wants it to.
"""

import os
import re
import signal
import sys
import threading


def main() -> None:
    if re.search(r"(?m)^dry_run:\s*true\b", os.environ.get("NEMO_GYM_CONFIG_DICT", "")):
        return
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    # A signal is seen between two waits.
    while not ended.wait(0.2):
        pass


if __name__ == "__main__":
    sys.exit(main())
"#;

const REQUIREMENTS: &str = "# The stand-in needs nothing but Python.\n";

pub(crate) async fn run(arguments: &AttachArgs, places: &Places) -> CommandResult {
    if !arguments.start.is_empty() {
        return start::run(arguments, places);
    }
    let text = head_dispatch::configuration_text(&arguments.head).await?;
    let yaml = attached(text, arguments, places)?;
    let out = places.current.join(&arguments.out);
    let mut written = vec![write(&out.join("gym_host.yaml"), &yaml)?];
    for kind in KINDS {
        let folder = out.join(kind).join(SLEEPER);
        written.push(write(&folder.join("app.py"), APP)?);
        written.push(write(&folder.join("requirements.txt"), REQUIREMENTS)?);
    }
    for path in written {
        eprintln!("    wrote  {}", path.display());
    }
    let config = out.join("gym_host.yaml");
    println!("NEMO_GYM_EXTRA_ROOTS={} ng_run \"+config_paths=[{}]\"", out.display(), config.display());
    Ok(ExitCode::SUCCESS)
}

fn attached(text: String, arguments: &AttachArgs, places: &Places) -> Result<String, Failure> {
    let sources = Sources {
        cwd: places.current.clone(),
        install_root: places.install.clone(),
        text: Some(text),
        ..Sources::default()
    };
    let composed = Composed::load(sources).map_err(|errors| configuration::failure(&errors))?;
    let mut settings: Settings = composed.settings().map_err(|errors| configuration::failure(&errors))?;
    let names: Vec<String> = settings.servers.iter().map(|server| server.name.to_string()).collect();
    if names.is_empty() {
        return Err(Failure::user(format!("the head server at {} serves no servers", arguments.head)));
    }
    if let Some(unknown) = arguments.without.iter().find(|name| !names.contains(name)) {
        let failure = Failure::user(format!("there is no server `{unknown}` to leave out"));
        return Err(failure.with_hint(format!("there are: {}", names.join(", "))));
    }
    settings.servers.retain(|server| !arguments.without.iter().any(|name| server.name.as_str() == name));
    let mut local = false;
    for name in &names {
        let Some(address) = settings.address(name) else { continue };
        match &arguments.host {
            Some(host) if is_local(&address.host) => {
                settings.assign_address(name, host, address.port);
            }
            _ => local |= is_local(&address.host),
        }
    }
    if local {
        eprintln!(
            "     note  the servers can be reached from this machine only; --host and `default_host` change that"
        );
    }
    Ok(format!(
        "# Servers that run in gym-host, for a NeMo Gym launcher. Made by `gym-host attach`.\n{}",
        settings.attach_yaml(SLEEPER)
    ))
}

/// Whether other machines cannot use this address.
fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// Writes a whole file or none.
fn write(path: &Path, text: &str) -> Result<PathBuf, Failure> {
    let fail = |error: std::io::Error| Failure::user(format!("failed to write {}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let partial = path.with_extension("part");
    std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path)).map_err(fail)?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_in_all_its_forms() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("localhost", true),
            ("::1", true),
            ("[::1]", true),
            ("0.0.0.0", true),
            ("10.0.0.1", false),
            ("node-7", false),
        ] {
            assert_eq!(is_local(host), expected, "{host}");
        }
    }
}
