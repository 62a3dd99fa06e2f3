// SPDX-License-Identifier: Apache-2.0
//! From settings to everything that runs: models first, then environments, then agents.

mod environment;
mod provenance;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use gym_agents::{Agent, AgentError, Directory, Model, ResourcesServer, build_agent};
use gym_config::{Place, ServerSettings, Settings};
use gym_models::{
    ModelContext, ModelError, Outbound, OutboundSettings, RemoteAgent, RemoteModel, RemoteResourcesServer, build_model,
};
use gym_protocol::{ServerKind, ServerName, lax::is_common_key};
use gym_resources::{CookieKeys, ResourcesService};
use gym_runtime::{CompilerCommand, Runtime, RuntimeOptions};
use serde_json::{Map, Value};

use crate::{
    failure::{Failure, chain},
    options::HostOptions,
    places::Places,
};

pub(crate) use environment::check_blocks;
pub(crate) use provenance::provenance;

/// The key of an agent's block for how long it remembers closed sessions.
pub(crate) const CLOSE_RETRY_KEY: &str = "session_close_retry_window_seconds";

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
    if let Ok(bytes) = std::fs::read(&path)
        && let Ok(secret) = <[u8; 32]>::try_from(bytes)
    {
        return Ok(CookieKeys::new(secret));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::infrastructure(format!("the system gives no random numbers: {error}")))?;
    // Without a place to keep it the key lives as long as this process.
    if let Err(error) = std::fs::create_dir_all(cache).and_then(|()| write_private(&path, &secret)) {
        tracing::warn!(%error, path = %path.display(), "session cookies will not survive a restart");
    }
    Ok(CookieKeys::new(secret))
}

fn write_private(path: &Path, secret: &[u8]) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    let written = file.write_all(secret).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // On a full disk an empty file would stay.
        std::fs::remove_file(&partial).ok();
    }
    written
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
        let limits = gym_models::limits_of_calls();
        let of_agent = gym_agents::known_keys(&server.implementation);
        let of_calls = limits.iter().map(String::as_str).filter(|_| server.implementation == "remote_agent");
        warn_of_unknown_keys(settings, server, of_agent.into_iter().chain([CLOSE_RETRY_KEY]).chain(of_calls));
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
            Place::Here => {
                let built = build_model(&server.implementation, &server.name, &server.block, &context);
                let (model, asked) = built.map_err(|error| model_failure(server, &error))?;
                warn_of_unknown_keys(settings, server, asked.iter().map(String::as_str));
                model
            }
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
            Place::Here => loading.push(environment::load(settings, server, foundation, models)),
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

/// Keys of a block that nobody reads are allowed, as in NeMo Gym, and most often a mistake.
fn warn_of_unknown_keys<'a>(settings: &Settings, server: &ServerSettings, known: impl Iterator<Item = &'a str>) {
    let known: Vec<&str> = known.collect();
    for key in server.block.keys().filter(|key| !known.contains(&key.as_str()) && !is_common_key(key)) {
        let (name, implementation) = (server.name.as_str(), server.implementation.as_str());
        let origin = settings.origin_of([name, server.kind.key(), implementation, key]);
        let near = gym_config::nearest(key, known.iter().copied());
        let hint = near.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        tracing::warn!("{origin}: `{name}.{key}` has no effect: `{implementation}` does not know it{hint}");
    }
}

fn model_failure(server: &ServerSettings, error: &ModelError) -> Failure {
    let failure = Failure::user(format!("{}: {}", server.origin, chain(error)));
    error.hint().into_iter().fold(failure, Failure::with_hint)
}

fn agent_failure(server: &ServerSettings, error: &AgentError) -> Failure {
    let failure = Failure::user(format!("{}: {}", server.origin, chain(error)));
    error.hint().into_iter().fold(failure, Failure::with_hint)
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
        ServerKind::ResourcesServers => environment::missing(settings, server),
        ServerKind::ResponsesApiModels | ServerKind::ResponsesApiAgents | ServerKind::EnvironmentServers => None,
    }
}
