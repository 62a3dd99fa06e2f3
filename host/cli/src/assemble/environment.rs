// SPDX-License-Identifier: Apache-2.0
//! From the block of a resources server to its environment: the component, and what the host does for it.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gym_agents::{
    Model,
    network::{Network, NoNetwork},
};
use gym_config::{ServerSettings, Settings};
use gym_models::{Bounds, Endpoints};
use gym_protocol::{
    ServerKind,
    lax::{self, Misfit},
};
use gym_resources::{ResourcesService, ServiceOptions, SessionOptions};
use gym_runtime::{Limits, LoadRequest, ModelDirectory, RunLimits, RunnerRequest, StaticModels};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Foundation, of_kind};
use crate::{
    failure::{Failure, chain},
    options::with_known_keys,
};

/// Loads the environment of a server.
pub(super) async fn load(
    settings: &Settings,
    server: &ServerSettings,
    foundation: &Foundation,
    models: &BTreeMap<String, Arc<dyn Model>>,
) -> Result<ResourcesService, Failure> {
    let block = Block { settings, server };
    let folder = block.folder()?;
    let component = block.component(&folder)?;
    let request = LoadRequest {
        component,
        folder,
        server: server.name.clone(),
        config: Value::Object(visible_block(&server.block)),
        limits: block.limits()?,
        models: block.visible_models(models)?,
        runners: block.runners()?,
        network: block.granted_network()?,
    };
    let sessions = block.sessions()?;
    let tools_over_mcp = block.read("expose_tools_over_mcp")?.unwrap_or_default();
    let environment = foundation.runtime.load(request).await.map_err(|error| block.cannot_be_loaded(&error))?;
    let options = ServiceOptions { sessions: sessions.options(), tools_over_mcp };
    ResourcesService::new(server.name.clone(), environment, options, &foundation.keys)
        .map_err(|error| block.cannot_be_loaded(&error))
}

/// Why an environment cannot be found here, or is not built.
pub(super) fn missing(settings: &Settings, server: &ServerSettings) -> Option<Failure> {
    let block = Block { settings, server };
    block.folder().and_then(|folder| block.component(&folder)).err()
}

/// Checks what the host itself reads of the blocks, without loading anything.
pub(crate) fn check_blocks(settings: &Settings) -> Result<(), Failure> {
    for server in of_kind(settings, ServerKind::ResourcesServers).filter(|server| server.is_here()) {
        let block = Block { settings, server };
        block.limits()?;
        block.sessions()?;
    }
    Ok(())
}

/// The environment whose folder has the component in which Python programs run.
const PYTHON_RUNNER: &str = "python_exec";

/// One entry of the block `run_code:`, by the runner's name.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct RunnerBlock {
    /// The component, relative to the environment's folder; by default the one that comes with gym-host.
    component: Option<PathBuf>,
    #[serde(flatten)]
    limits: Map<String, Value>,
}

/// The block of a resources server.
struct Block<'a> {
    settings: &'a Settings,
    server: &'a ServerSettings,
}

impl Block<'_> {
    /// What is wrong at a place of the block, with file and line.
    fn wrong(&self, place: &[&str], what: impl Display) -> Failure {
        let server = self.server;
        let path = [server.name.as_str(), server.kind.key(), &server.implementation];
        let origin = self.settings.origin_of(path.into_iter().chain(place.iter().copied()));
        let keys: Vec<&str> = std::iter::once(server.name.as_str()).chain(place.iter().copied()).collect();
        Failure::user(format!("{origin}: `{}`: {what}", keys.join(".")))
    }

    /// A value of the block, unless it is absent or null.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.server.block.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        lax::from_value(value.clone()).map(Some).map_err(|misfit| self.misfit(&[key], &misfit))
    }

    fn misfit(&self, above: &[&str], misfit: &Misfit) -> Failure {
        let place: Vec<&str> = above.iter().copied().chain(misfit.place.iter().map(String::as_str)).collect();
        with_known_keys(self.wrong(&place, misfit.reason()), misfit)
    }

    fn cannot_be_loaded(&self, error: &dyn std::error::Error) -> Failure {
        self.wrong(&[], format_args!("the environment cannot be loaded: {}", chain(error)))
    }

    /// The block `limits:`. Where it says nothing of CPU time, `library_verifier_timeout_seconds` does.
    fn limits(&self) -> Result<Limits, Failure> {
        let limits: Limits = self.read("limits")?.unwrap_or_default();
        let cpu_ms = library_cpu_ms(&self.server.block).unwrap_or(limits.cpu_ms);
        let limits = Limits { cpu_ms, ..limits };
        limits.validate().map_err(|error| self.wrong(&["limits"], error))?;
        Ok(limits)
    }

    fn sessions(&self) -> Result<SessionBlock, Failure> {
        let sessions: SessionBlock = self.read("sessions")?.unwrap_or_default();
        let SessionBlock { idle_seconds, absolute_seconds, max, .. } = &sessions;
        let max = max.map(|max| max as u64);
        for (key, value) in [("idle_seconds", *idle_seconds), ("absolute_seconds", *absolute_seconds), ("max", max)] {
            if value == Some(0) {
                return Err(self.wrong(&["sessions", key], "with 0 there would be no sessions"));
            }
        }
        Ok(sessions)
    }

    /// The environment's folder: under some root's `environments/`, or right under a root, for environments that live
    /// alone.
    fn folder(&self) -> Result<PathBuf, Failure> {
        let roots = self.settings.composed().roots();
        let implementation = &self.server.implementation;
        roots.resolve_environment(implementation).or_else(|error| {
            let alone = roots.in_order().into_iter().map(|root| root.join(implementation));
            let mut alone = alone.filter(|folder| folder.join("configs").is_dir());
            alone.next().ok_or_else(|| {
                let failure = self.wrong(&[], &error.text);
                let hint = error.hint().map(|hint| format!("{hint}\nhint: {}", gym_protocol::names::ELSEWHERE));
                hint.into_iter().fold(failure, Failure::with_hint)
            })
        })
    }

    /// The component: `component:` of the block, or the file that `gym-host build` writes.
    fn component(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let implementation = &self.server.implementation;
        let build = format!("run `gym-host build {implementation}`");
        let own = self.read::<PathBuf>("component")?.map(|path| folder.join(path));
        let path = own.clone().unwrap_or_else(|| folder.join(format!("{implementation}.wasm")));
        if !path.is_file() {
            return Err(match own {
                Some(path) => self.wrong(&["component"], format_args!("there is no file {}", path.display())),
                None => {
                    self.wrong(&[], format_args!("the environment `{implementation}` is not built")).with_hint(build)
                }
            });
        }
        if !is_wasm(&path) {
            let failure = self.wrong(&[], format_args!("{} is no WebAssembly", path.display()));
            return Err(if own.is_none() { failure.with_hint(build) } else { failure });
        }
        if own.is_none()
            && let Some(source) = newer_source(folder, &path)
        {
            let (server, source) = (&self.server.name, source.display());
            tracing::warn!("{source} was changed after `{server}` was built; {build}");
        }
        Ok(path)
    }

    /// Who may run programs for the environment: what the block says, or `python` with the default limits. How many run
    /// at a time is `num_processes`, NeMo Gym's name for it, where the block says nothing else.
    fn runners(&self) -> Result<Vec<RunnerRequest>, Failure> {
        let at_a_time = self.server.block.get("num_processes").and_then(lax::count).filter(|count| *count > 0);
        let limits_of = |place: &[&str], mut limits: Map<String, Value>| {
            if let Some(count) = at_a_time {
                limits.entry("max_concurrent_runs").or_insert_with(|| count.into());
            }
            let limits: RunLimits =
                lax::from_value(Value::Object(limits)).map_err(|misfit| self.misfit(place, &misfit))?;
            limits.validate().map_err(|error| self.wrong(place, error))?;
            Ok::<_, Failure>(limits)
        };
        let Some(blocks) = self.read::<BTreeMap<String, RunnerBlock>>("run_code")? else {
            let limits = limits_of(&[], Map::new())?;
            let python = |component| RunnerRequest { name: "python".to_owned(), component, limits, eager: false };
            return Ok(self.shipped_runner().map(python).into_iter().collect());
        };
        let mut runners = Vec::new();
        for (name, block) in blocks {
            let place = ["run_code", &name];
            let limits = limits_of(&place, block.limits)?;
            let component = match block.component {
                Some(path) => self.folder()?.join(path),
                None if name == "python" => self.shipped_runner().ok_or_else(|| {
                    self.wrong(&place, "the component that runs programs is not built")
                        .with_hint(format!("run `gym-host build {PYTHON_RUNNER}`"))
                })?,
                None => {
                    let failure = self.wrong(&place, "there is no `component`");
                    return Err(failure.with_hint("only `python` has a component of its own"));
                }
            };
            runners.push(RunnerRequest { name, component, limits, eager: true });
        }
        Ok(runners)
    }

    /// The component for Python programs that comes with gym-host, if it is built.
    fn shipped_runner(&self) -> Option<PathBuf> {
        let folder = self.settings.composed().roots().resolve_environment(PYTHON_RUNNER).ok()?;
        Some(folder.join("runner.wasm")).filter(|component| component.is_file())
    }

    /// The model servers that the block refers to, at any depth, within the bounds that it sets. No other is in reach of
    /// the environment.
    fn visible_models(&self, models: &BTreeMap<String, Arc<dyn Model>>) -> Result<Arc<dyn ModelDirectory>, Failure> {
        let mut names = Vec::new();
        self.server.block.values().for_each(|value| models_in(value, &mut names));
        let bounds =
            Bounds::read(&self.server.implementation, &self.server.block).map_err(|error| self.wrong(&[], error))?;
        let reached = names.iter().filter_map(|name| models.get(*name)).map(|model| bounds.around(Arc::clone(model)));
        Ok(Arc::new(StaticModels::new(reached)))
    }

    /// The endpoints that `gym_host.endpoints` grants to the environment.
    fn granted_network(&self) -> Result<Arc<dyn Network>, Failure> {
        let grants: GrantBlock = self.read("gym_host")?.unwrap_or_default();
        if grants.endpoints.is_null() {
            return Ok(Arc::new(NoNetwork));
        }
        let endpoints =
            Endpoints::from_json(&grants.endpoints).map_err(|error| self.wrong(&["gym_host"], chain(&error)))?;
        Ok(Arc::new(endpoints))
    }
}

/// Whether a file begins as WebAssembly does.
fn is_wasm(path: &Path) -> bool {
    let mut magic = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\0asm"
}

/// A file of the environment's source that was written after the component.
fn newer_source(folder: &Path, component: &Path) -> Option<PathBuf> {
    /// What is copied together may be written in any order.
    const TOGETHER: Duration = Duration::from_secs(10);
    /// More folders are not looked into.
    const MOST: usize = 200;
    let changed = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let built = changed(component)? + TOGETHER;
    let is_source = |path: &Path| {
        let is_manifest = ["Cargo.toml", "pyproject.toml", "requirements.txt", "requirements.lock"]
            .iter()
            .any(|name| path.file_name() == Some(name.as_ref()));
        is_manifest || path.extension().is_some_and(|ending| ending == "rs" || ending == "py")
    };
    let mut folders = vec![folder.to_owned()];
    for at in 0..MOST {
        let Ok(entries) = std::fs::read_dir(folders.get(at)?) else { continue };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let is_folder = path.is_dir() && !path.is_symlink();
            if is_folder && (at > 0 || path.ends_with("src")) {
                folders.push(path);
            } else if !is_folder && is_source(&path) && changed(&path).is_some_and(|time| time > built) {
                return Some(path);
            }
        }
    }
    None
}

/// The names of all model servers that a value refers to, at any depth.
fn models_in<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            let is_model = members.get("type").and_then(Value::as_str) == Some(ServerKind::ResponsesApiModels.key());
            names.extend(members.get("name").and_then(Value::as_str).filter(|_| is_model));
            members.values().for_each(|value| models_in(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| models_in(value, names)),
        _ => {}
    }
}

/// What the environment sees of its block: not the keys that are for the host.
fn visible_block(block: &Map<String, Value>) -> Map<String, Value> {
    const HOST_KEYS: [&str; 5] = ["limits", "sessions", "component", "run_code", "gym_host"];
    block
        .iter()
        .filter(|(key, _)| !HOST_KEYS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The block `gym_host:` of a resources server: what the host does for it, hidden from the environment.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GrantBlock {
    endpoints: Value,
}

/// The block `sessions:` of a resources server.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SessionBlock {
    idle_seconds: Option<u64>,
    absolute_seconds: Option<u64>,
    after_verify_seconds: Option<u64>,
    max: Option<usize>,
}

impl SessionBlock {
    fn options(&self) -> SessionOptions {
        let mut options = SessionOptions::default();
        let seconds = std::time::Duration::from_secs;
        options.idle = self.idle_seconds.map_or(options.idle, seconds);
        options.absolute = self.absolute_seconds.map_or(options.absolute, seconds);
        options.after_verify = self.after_verify_seconds.map_or(options.after_verify, seconds);
        options.limit = self.max.unwrap_or(options.limit);
        options
    }
}

/// CPU time as `library_verifier_timeout_seconds` has it, NeMo Gym's name for how long a verifier's library may take; `None`
/// where `limits.cpu_ms` is set. What is no number above 0 is for the environment to refuse.
fn library_cpu_ms(block: &Map<String, Value>) -> Option<u64> {
    if block.get("limits").is_some_and(|limits| limits.get("cpu_ms").is_some()) {
        return None;
    }
    let seconds: f64 = match block.get("library_verifier_timeout_seconds")? {
        Value::String(text) => text.trim().parse().ok()?,
        value => value.as_f64()?,
    };
    (seconds > 0.0).then(|| (seconds * 1000.0).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_time_of_a_verifiers_library_is_cpu_time_unless_the_limits_say_it() {
        for (block, cpu_ms) in [
            (json!({}), None),
            (json!({"library_verifier_timeout_seconds": 2.5}), Some(2500)),
            (json!({"library_verifier_timeout_seconds": "20"}), Some(20_000)),
            (json!({"library_verifier_timeout_seconds": 0.0001}), Some(1)),
            (json!({"library_verifier_timeout_seconds": 0}), None),
            (json!({"library_verifier_timeout_seconds": "soon"}), None),
            (json!({"library_verifier_timeout_seconds": 3, "limits": {"memory_mib": 9}}), Some(3000)),
            (json!({"library_verifier_timeout_seconds": 3, "limits": {"cpu_ms": 9}}), None),
        ] {
            assert_eq!(library_cpu_ms(block.as_object().unwrap()), cpu_ms, "{block}");
        }
    }
}
