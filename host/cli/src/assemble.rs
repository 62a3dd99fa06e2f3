// SPDX-License-Identifier: Apache-2.0
//! From settings to everything that runs: models first, then environments, then agents.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use gym_agents::{
    Agent, AgentError, Directory, Model, ResourcesServer, build_agent,
    network::{Network, NoNetwork},
};
use gym_config::{Place, ServerSettings, Settings};
use gym_models::{
    Bounds, Endpoints, ModelContext, ModelError, Outbound, OutboundSettings, RemoteAgent, RemoteModel,
    RemoteResourcesServer, build_model,
};
use gym_protocol::{ServerKind, ServerName};
use gym_resources::{CookieKeys, ResourcesService, ServiceOptions, SessionOptions};
use gym_runtime::{
    CompilerCommand, Limits, LoadError, LoadRequest, ModelDirectory, RunLimits, RunnerRequest, Runtime, RuntimeOptions,
    StaticModels,
};
use serde_json::{Map, Value};

use crate::{
    failure::{Failure, chain},
    options::HostOptions,
    places::Places,
};

/// Everything that runs in this process.
pub(crate) struct Deployment {
    pub runtime: Arc<Runtime>,
    pub outbound: Arc<Outbound>,
    pub models: BTreeMap<String, Arc<dyn Model>>,
    pub resources: BTreeMap<String, Resources>,
    pub agents: BTreeMap<String, Arc<dyn Agent>>,
}

/// A resources server.
#[derive(Clone)]
pub(crate) enum Resources {
    /// In this process.
    Here(ResourcesService),
    /// Elsewhere, over HTTP.
    Elsewhere(Arc<dyn ResourcesServer>),
}

impl Resources {
    /// The server, wherever it is.
    pub(crate) fn port(&self) -> Arc<dyn ResourcesServer> {
        match self {
            Self::Here(service) => Arc::new(service.clone()),
            Self::Elsewhere(server) => Arc::clone(server),
        }
    }
}

/// Models that stand in for configured ones, by name. The test command plays its cases through them.
pub(crate) type StandIns = BTreeMap<String, Arc<dyn Model>>;

/// The parts that outlive a deployment and are dear to make.
#[derive(Clone)]
pub(crate) struct Foundation {
    pub runtime: Arc<Runtime>,
    pub outbound: Arc<Outbound>,
    pub keys: CookieKeys,
}

impl Foundation {
    /// Starts the engines. `outbound` are the limits of calls to servers elsewhere.
    pub(crate) fn new(options: &HostOptions, outbound: OutboundSettings, places: &Places) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::infrastructure(format!("failed to find this program: {error}")))?;
        let mut runtime = RuntimeOptions::new(CompilerCommand { program, args: vec!["compile-component".into()] });
        let cache = options.cache_dir.clone().unwrap_or_else(|| places.cache());
        runtime.cache = Some(cache.join("components"));
        runtime.admission = options.admission();
        let runtime = Runtime::new(runtime).map_err(|error| Failure::infrastructure(chain(&error)))?;
        let outbound = Outbound::new(outbound).map_err(|error| Failure::infrastructure(chain(&error)))?;
        Ok(Self { runtime, outbound, keys: cookie_keys(&cache)? })
    }
}

/// The limits of calls to servers elsewhere.
pub(crate) fn outbound_settings(settings: &Settings) -> OutboundSettings {
    OutboundSettings {
        observability: settings.observability,
        ..OutboundSettings::with_limits(settings.connector_limit, settings.connector_limit_per_host)
    }
}

/// The key of session cookies. It survives a restart, so that the cookie of a session that did not is recognised: its
/// owner gets a clear fault and not a reward for an empty session.
fn cookie_keys(cache: &Path) -> Result<CookieKeys, Failure> {
    let path = cache.join("cookie.key");
    let problem =
        |error: std::io::Error| Failure::infrastructure(format!("failed to use the key {}: {error}", path.display()));
    if let Ok(bytes) = std::fs::read(&path)
        && let Ok(secret) = <[u8; 32]>::try_from(bytes)
    {
        return Ok(CookieKeys::new(secret));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::infrastructure(format!("the system gives no random numbers: {error}")))?;
    std::fs::create_dir_all(cache).map_err(problem)?;
    match write_private(&path, &secret) {
        Ok(()) => {}
        // Without a place to keep it the key lives as long as this process.
        Err(error) => tracing::warn!(%error, path = %path.display(), "session cookies will not survive a restart"),
    }
    Ok(CookieKeys::new(secret))
}

fn write_private(path: &Path, secret: &[u8]) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    file.write_all(secret)?;
    std::fs::rename(&partial, path)
}

/// Makes all servers of the settings.
pub(crate) async fn assemble(
    settings: &Settings,
    places: &Places,
    foundation: &Foundation,
    stand_ins: &StandIns,
) -> Result<Deployment, Failure> {
    let models = models(settings, places, foundation, stand_ins)?;
    let resources = resources(settings, foundation, &models).await?;
    let mut agents: BTreeMap<String, Arc<dyn Agent>> = BTreeMap::new();
    for server in of_kind(settings, ServerKind::ResponsesApiAgents) {
        if let Place::Elsewhere { url } = &server.place {
            let remote = RemoteAgent::new(&server.name, url, &server.block, &foundation.outbound);
            let remote = remote.map_err(|error| model_failure(server, &error))?;
            agents.insert(server.name.to_string(), Arc::new(remote));
            continue;
        }
        let directory =
            Servers { models: &models, resources: &resources, outbound: &foundation.outbound, block: &server.block };
        let agent = build_agent(&server.implementation, &server.name, &server.block, &directory)
            .map_err(|error| agent_failure(server, &error))?;
        agents.insert(server.name.to_string(), agent);
    }
    Ok(Deployment {
        runtime: Arc::clone(&foundation.runtime),
        outbound: Arc::clone(&foundation.outbound),
        models,
        resources,
        agents,
    })
}

fn of_kind(settings: &Settings, kind: ServerKind) -> impl Iterator<Item = &ServerSettings> {
    settings.servers.iter().filter(move |server| server.kind == kind)
}

fn models(
    settings: &Settings,
    places: &Places,
    foundation: &Foundation,
    stand_ins: &StandIns,
) -> Result<BTreeMap<String, Arc<dyn Model>>, Failure> {
    let context = ModelContext { roots: places.roots.clone(), outbound: Arc::clone(&foundation.outbound) };
    let mut models: BTreeMap<String, Arc<dyn Model>> = BTreeMap::new();
    for server in of_kind(settings, ServerKind::ResponsesApiModels) {
        let name = server.name.to_string();
        if stand_ins.contains_key(&name) {
            continue;
        }
        let model = match &server.place {
            Place::Here => build_model(&server.implementation, &server.name, &server.block, &context)
                .map_err(|error| model_failure(server, &error))?,
            Place::Elsewhere { url } => {
                let remote = RemoteModel::new(&server.name, url, &server.block, &foundation.outbound);
                Arc::new(remote.map_err(|error| model_failure(server, &error))?)
            }
        };
        models.insert(name, model);
    }
    models.extend(stand_ins.iter().map(|(name, model)| (name.clone(), Arc::clone(model))));
    Ok(models)
}

async fn resources(
    settings: &Settings,
    foundation: &Foundation,
    models: &BTreeMap<String, Arc<dyn Model>>,
) -> Result<BTreeMap<String, Resources>, Failure> {
    let mut loading = Vec::new();
    let mut made = BTreeMap::new();
    for server in of_kind(settings, ServerKind::ResourcesServers) {
        match &server.place {
            Place::Here => loading.push(load(settings, server, foundation, models)),
            Place::Elsewhere { url } => {
                let remote = RemoteResourcesServer::new(&server.name, url, &server.block, &foundation.outbound);
                let remote = remote.map_err(|error| model_failure(server, &error))?;
                made.insert(server.name.to_string(), Resources::Elsewhere(Arc::new(remote)));
            }
        }
    }
    // Compiling happens in processes of their own, so several at a time use the machine.
    for service in futures_util::future::join_all(loading).await {
        let service = service?;
        made.insert(service.name().to_string(), Resources::Here(service));
    }
    Ok(made)
}

fn model_failure(server: &ServerSettings, error: &ModelError) -> Failure {
    let failure = Failure::user(format!("{}: {}", server.origin, chain(error)));
    error.hint().into_iter().fold(failure, Failure::with_hint)
}

fn agent_failure(server: &ServerSettings, error: &AgentError) -> Failure {
    let failure = Failure::user(format!("{}: {}", server.origin, chain(error)));
    error.hint().into_iter().fold(failure, Failure::with_hint)
}

async fn load(
    settings: &Settings,
    server: &ServerSettings,
    foundation: &Foundation,
    models: &BTreeMap<String, Arc<dyn Model>>,
) -> Result<ResourcesService, Failure> {
    let folder = folder(settings, server)?;
    let component = component(server, &folder)?;
    let limits = limits(server)?;
    let request = LoadRequest {
        component,
        folder,
        server: server.name.clone(),
        config: Value::Object(visible_block(&server.block)),
        limits,
        models: visible_models(server, models)?,
        runners: runners(settings, server)?,
        network: granted_network(server)?,
    };
    let environment = foundation.runtime.load(request).await.map_err(|error| load_failure(server, &error))?;
    let sessions: SessionBlock = read_block(server, "sessions")?.unwrap_or_default();
    let tools_over_mcp = match server.block.get("expose_tools_over_mcp").filter(|value| !value.is_null()) {
        None => false,
        Some(value) => gym_protocol::lax::from_value(value.clone()).map_err(|error| {
            Failure::user(format!("{}: `{}.expose_tools_over_mcp`: {error}", server.origin, server.name))
        })?,
    };
    let options = ServiceOptions { sessions: sessions.options(), tools_over_mcp };
    ResourcesService::new(server.name.clone(), environment, options, &foundation.keys)
        .map_err(|error| Failure::environment(format!("{}: `{}`: {}", server.origin, server.name, chain(&error))))
}

/// The environment's folder: under some root's `environments/`, or right under a root, for environments that live alone.
fn folder(settings: &Settings, server: &ServerSettings) -> Result<PathBuf, Failure> {
    let roots = settings.composed().roots();
    roots.resolve_environment(&server.implementation).or_else(|error| {
        let alone = roots.in_order().into_iter().map(|root| root.join(&server.implementation));
        let mut alone = alone.filter(|folder| folder.join("configs").is_dir());
        alone.next().ok_or_else(|| {
            let failure = Failure::user(format!("{}: `{}`: {}", server.origin, server.name, error.text));
            let hint = error.hint().map(|hint| format!("{hint}; {}", gym_protocol::names::ELSEWHERE));
            hint.into_iter().fold(failure, Failure::with_hint)
        })
    })
}

/// The component: `component:` of the block, or the file that `gym-host build` writes.
fn component(server: &ServerSettings, folder: &Path) -> Result<PathBuf, Failure> {
    let path = match server.block.get("component").and_then(Value::as_str) {
        Some(path) => folder.join(path),
        None => folder.join(format!("{}.wasm", server.implementation)),
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::user(format!("{}: the environment `{}` is not built", server.origin, server.implementation))
        .with_hint(format!("run `gym-host build {}`", server.implementation)))
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

/// Who may run programs for the environment: what the block says, or `python` with the default limits. How many run at a
/// time is `num_processes`, NeMo Gym's name for it, where the block says nothing else.
fn runners(settings: &Settings, server: &ServerSettings) -> Result<Vec<RunnerRequest>, Failure> {
    let shipped = || {
        let folder = settings.composed().roots().resolve_environment(PYTHON_RUNNER).ok()?;
        Some(folder.join("runner.wasm")).filter(|component| component.is_file())
    };
    let at_a_time = server.block.get("num_processes").filter(|count| count.as_u64().is_some_and(|count| count > 0));
    let limits_of = |place: &str, mut limits: Map<String, Value>| {
        if let Some(count) = at_a_time {
            limits.entry("max_concurrent_runs").or_insert_with(|| count.clone());
        }
        let limits: RunLimits = serde_json::from_value(Value::Object(limits))
            .map_err(|error| Failure::user(format!("{place}: {error}")))?;
        limits.validate().map_err(|error| Failure::user(format!("{place}: {error}")))?;
        Ok::<_, Failure>(limits)
    };
    let Some(blocks) = read_block::<BTreeMap<String, RunnerBlock>>(server, "run_code")? else {
        let limits = limits_of(&format!("{}: `{}`", server.origin, server.name), Map::new())?;
        let python = |component| RunnerRequest { name: "python".to_owned(), component, limits, eager: false };
        return Ok(shipped().map(python).into_iter().collect());
    };
    let mut runners = Vec::new();
    for (name, block) in blocks {
        let place = format!("{}: `{}.run_code.{name}`", server.origin, server.name);
        let limits = limits_of(&place, block.limits)?;
        let component = match block.component {
            Some(path) => folder(settings, server)?.join(path),
            None if name == "python" => shipped().ok_or_else(|| {
                Failure::user(format!("{place}: the component that runs programs is not built"))
                    .with_hint(format!("run `gym-host build {PYTHON_RUNNER}`"))
            })?,
            None => {
                let failure = Failure::user(format!("{place} has no `component`"));
                return Err(failure.with_hint("only `python` has a component of its own"));
            }
        };
        runners.push(RunnerRequest { name, component, limits, eager: true });
    }
    Ok(runners)
}

fn load_failure(server: &ServerSettings, error: &LoadError) -> Failure {
    Failure::environment(format!("{}: `{}` cannot be loaded: {}", server.origin, server.name, chain(error)))
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

/// The model servers that the block refers to, at any depth, within the bounds that it sets. No other is in reach of the
/// environment.
fn visible_models(
    server: &ServerSettings,
    models: &BTreeMap<String, Arc<dyn Model>>,
) -> Result<Arc<dyn ModelDirectory>, Failure> {
    fn walk(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                let is_model =
                    members.get("type").and_then(Value::as_str) == Some(ServerKind::ResponsesApiModels.key());
                if let Some(name) = members.get("name").and_then(Value::as_str).filter(|_| is_model) {
                    names.push(name.to_owned());
                }
                members.values().for_each(|value| walk(value, names));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    server.block.values().for_each(|value| walk(value, &mut names));
    let bounds = Bounds::read(&server.implementation, &server.block)
        .map_err(|error| Failure::user(format!("{}: `{}`: {error}", server.origin, server.name)))?;
    let reached = names.iter().filter_map(|name| models.get(name)).map(|model| bounds.around(Arc::clone(model)));
    Ok(Arc::new(StaticModels::new(reached)))
}

/// The block `gym_host:` of a resources server: what the host does for it, hidden from the environment.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GrantBlock {
    endpoints: Value,
}

/// The endpoints that `gym_host.endpoints` grants to the environment.
fn granted_network(server: &ServerSettings) -> Result<Arc<dyn Network>, Failure> {
    let grants: GrantBlock = read_block(server, "gym_host")?.unwrap_or_default();
    if grants.endpoints.is_null() {
        return Ok(Arc::new(NoNetwork));
    }
    let endpoints = Endpoints::from_json(&grants.endpoints)
        .map_err(|error| Failure::user(format!("{}: `{}.gym_host`: {}", server.origin, server.name, chain(&error))))?;
    Ok(Arc::new(endpoints))
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

fn read_block<T: serde::de::DeserializeOwned>(server: &ServerSettings, key: &str) -> Result<Option<T>, Failure> {
    let Some(value) = server.block.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    serde_json::from_value(value.clone())
        .map(Some)
        .map_err(|error| Failure::user(format!("{}: `{}.{key}`: {error}", server.origin, server.name)))
}

/// The block `limits:`. Where it says nothing of CPU time, `library_verifier_timeout_seconds` does.
fn limits(server: &ServerSettings) -> Result<Limits, Failure> {
    let limits: Limits = read_block(server, "limits")?.unwrap_or_default();
    let cpu_ms = library_cpu_ms(&server.block).unwrap_or(limits.cpu_ms);
    Ok(Limits { cpu_ms, ..limits })
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

struct Servers<'a> {
    models: &'a BTreeMap<String, Arc<dyn Model>>,
    resources: &'a BTreeMap<String, Resources>,
    outbound: &'a Arc<Outbound>,
    /// The agent's own block, with the limits of its calls.
    block: &'a Map<String, Value>,
}

impl Directory for Servers<'_> {
    fn resources_server(&self, name: &ServerName) -> Option<Arc<dyn ResourcesServer>> {
        self.resources.get(name.as_str()).map(Resources::port)
    }

    fn model(&self, name: &ServerName) -> Option<Arc<dyn Model>> {
        self.models.get(name.as_str()).cloned()
    }

    fn remote_agent(&self, agent: &ServerName, base_url: &str) -> Option<Arc<dyn Model>> {
        match RemoteModel::new(agent, base_url, self.block, self.outbound) {
            Ok(remote) => Some(Arc::new(remote)),
            Err(error) => {
                tracing::error!(%agent, "{}", chain(&error));
                None
            }
        }
    }
}

/// What a rollout records of how it was made, by agent.
pub(crate) fn provenance(settings: &Settings, deployment: &Deployment) -> BTreeMap<String, Value> {
    let mut by_agent = BTreeMap::new();
    for server in of_kind(settings, ServerKind::ResponsesApiAgents) {
        let mut record = Map::new();
        record.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        let block = Value::Object(server.block.clone());
        record.insert("agent_config".to_owned(), digest(&block).into());
        let resources = server.reference("resources_server").map(|reference| reference.name.as_str());
        if let Some(name) = resources
            && let Some(Resources::Here(service)) = deployment.resources.get(name)
            && let Some(resources) = settings.server(name)
        {
            record.insert("component".to_owned(), service.environment().digest().into());
            // The component has its own digest, wherever its file is.
            let mut config = resources.block.clone();
            config.shift_remove("component");
            record.insert("config".to_owned(), digest(&Value::Object(config)).into());
        }
        by_agent.insert(server.name.to_string(), Value::Object(record));
    }
    by_agent
}

fn digest(value: &Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex().to_string()
}

/// Why a server cannot be served by this installation, without trying it: its implementation is not one of ours, or its
/// environment is not here or not built.
pub(crate) fn cannot_be_served(settings: &Settings, server: &ServerSettings) -> Option<Failure> {
    if !server.is_here() {
        return None;
    }
    let implementation = server.implementation.clone();
    match server.kind {
        ServerKind::ResponsesApiModels if !gym_models::IMPLEMENTATIONS.contains(&implementation.as_str()) => Some(
            model_failure(server, &ModelError::UnknownImplementation { server: server.name.clone(), implementation }),
        ),
        ServerKind::ResponsesApiAgents if !gym_agents::IMPLEMENTATIONS.contains(&implementation.as_str()) => Some(
            agent_failure(server, &AgentError::UnknownImplementation { name: server.name.to_string(), implementation }),
        ),
        ServerKind::ResourcesServers => folder(settings, server).and_then(|folder| component(server, &folder)).err(),
        ServerKind::ResponsesApiModels | ServerKind::ResponsesApiAgents | ServerKind::EnvironmentServers => None,
    }
}

/// Limits as the configuration has them, for checks without loading.
pub(crate) fn check_blocks(settings: &Settings) -> Result<(), Failure> {
    for server in of_kind(settings, ServerKind::ResourcesServers).filter(|server| server.is_here()) {
        limits(server)?
            .validate()
            .map_err(|error| Failure::user(format!("{}: `{}.limits`: {error}", server.origin, server.name)))?;
        read_block::<SessionBlock>(server, "sessions")?;
    }
    Ok(())
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
