// SPDX-License-Identifier: Apache-2.0
//! `gym-host serve`: everything in one process until it is told to stop.

use std::{io::ErrorKind, process::ExitCode, sync::Arc, time::Duration};

use gym_config::{Purpose as ConfigPurpose, ServerSettings, Settings};
use gym_models::AgentDialects;
use gym_protocol::{ServerKind, ServerName};
use gym_server::{
    AgentSite, BindError, Bound, EnvironmentSite, HeadPlan, ListenAt, Listeners, ModelSite, PortRange, Purpose,
    ResourcesSite, RunningServer, ServedPlan, Server, ServerPlan, Site,
};
use serde_json::json;

use crate::{
    args::{ConfigArgs, ServeArgs},
    assemble::{CLOSE_RETRY_KEY, Deployment, Foundation, Resources, StandIns, assemble, outbound_settings, provenance},
    configuration,
    failure::{CommandResult, Failure, chain},
    options::HostOptions,
    places::Places,
    signals::Signals,
};

/// Port of the gateway when the configuration names none, the one after the head server's.
const GATEWAY_PORT: u16 = 11001;
/// How long a closed agent session is remembered, so that closing it again gives the same answer.
const CLOSE_RETRY: Duration = Duration::from_secs(300);

pub(crate) async fn run(arguments: &ServeArgs, places: &Places) -> CommandResult {
    let mut signals = Signals::listen()?;
    raise_open_files();
    let mut settings = configuration::settings(&arguments.config, places, ConfigPurpose::Serve)?;
    if settings.servers.is_empty() {
        return Err(nothing_to_serve(&arguments.config));
    }
    let options = HostOptions::read(&settings)?;
    let foundation = Foundation::new(&options, outbound_settings(&settings), places)?;
    // Addresses first: a port that is taken should be known before components are compiled.
    let listeners = bind(&settings, arguments.gateway.as_deref()).await?;
    let stand_ins = StandIns::new();
    let starting = assemble(&settings, places, &foundation, &stand_ins);
    let deployment = tokio::select! {
        deployment = starting => deployment?,
        () = signals.first() => return Ok(ExitCode::SUCCESS),
    };
    if settings.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    for (purpose, address) in listeners.addresses() {
        if let Purpose::Server(name) = purpose
            && let Some(host) = settings.server(name.as_str()).map(|server| server.host.clone())
        {
            settings.assign_address(name.as_str(), &host, address.port());
        }
    }
    let plan = plan(&settings, &deployment, &options)?;
    let server = Server::start(plan, listeners).map_err(|error| Failure::user(chain(&error)))?;
    server.set_ready();
    announce(&server);
    signals.first().await;
    tracing::info!("finishing the requests in flight; a second signal aborts them");
    let grace = match settings.only {
        // NeMo Gym kills the servers that it started one second after its signal.
        Some(_) => Duration::from_millis(800),
        None => Duration::from_secs(arguments.grace),
    };
    let report = tokio::select! {
        report = server.shutdown(grace) => report,
        () = signals.second() => {
            server.abort();
            server.shutdown(Duration::ZERO).await
        }
    };
    for resources in deployment.resources.values() {
        if let Resources::Here(service) = resources {
            let ended = tokio::time::timeout(Duration::from_secs(5), service.shutdown()).await;
            if ended.is_err() {
                tracing::warn!(server = %service.name(), "calls that are still running were abandoned");
            }
        }
    }
    if report.aborted > 0 {
        eprintln!("aborted {} requests", report.aborted);
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing_to_serve(config: &ConfigArgs) -> Failure {
    let failure = Failure::user("there is nothing to serve: the configuration has no servers");
    failure.with_hint(if config.configs.is_empty() && config.environments.is_empty() {
        "name a configuration with --config FILE, or an environment with --environment NAME"
    } else {
        "a server is a block such as `NAME: {resources_servers: {ENVIRONMENT: {entrypoint: app.py, …}}}`"
    })
}

/// Every connection is an open file, and the usual soft limit of 1,024 is for programs that use `select`.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// One line for each address, then one that says that everything is up.
fn announce(server: &RunningServer) {
    for bound in server.addresses() {
        println!("listening on {} {}", bound.url(), name(bound));
    }
    println!("ready: {} addresses", server.addresses().len());
}

fn name(bound: &Bound) -> String {
    match &bound.purpose {
        Purpose::Head => "head".to_owned(),
        Purpose::Gateway => "gateway".to_owned(),
        Purpose::Server(name) => name.to_string(),
    }
}

/// Takes the addresses of all servers that run here.
async fn bind(settings: &Settings, gateway: Option<&str>) -> Result<Listeners, Failure> {
    let mut wanted: Vec<ListenAt> = settings
        .servers
        .iter()
        .filter(|server| server.is_here())
        .map(|server| ListenAt {
            purpose: Purpose::Server(server.name.clone()),
            host: server.host.clone(),
            port: server.port,
        })
        .collect();
    // A process that NeMo Gym started serves one instance; its head server is Gym's.
    if settings.only.is_none() {
        let head = &settings.head;
        wanted.push(ListenAt { purpose: Purpose::Head, host: head.host.clone(), port: Some(head.port) });
        let (host, port) = match gateway {
            Some(text) => parse_address(text)?,
            None => match &settings.gateway {
                Some(address) => (address.host.clone(), address.port),
                None => (settings.default_host.clone(), GATEWAY_PORT),
            },
        };
        wanted.push(ListenAt { purpose: Purpose::Gateway, host, port: Some(port) });
    }
    let range = PortRange {
        low: *settings.port_range.start(),
        high: *settings.port_range.end(),
        disallowed: settings.disallowed_ports.clone(),
    };
    Listeners::bind(&wanted, &range).await.map_err(|error| {
        let kind = match &error {
            BindError::Taken { source, .. } => Some(source.kind()),
            BindError::UnknownHost { .. } | BindError::NoneFree { .. } => None,
        };
        Failure::user(chain(&error)).with_hint(match (&error, kind) {
            (BindError::UnknownHost { .. }, _) | (_, Some(ErrorKind::AddrNotAvailable)) => {
                "`host`, `default_host`, `head_server.host` and `gateway.host` must be addresses of this machine, \
                 `0.0.0.0` or `::`"
            }
            (_, Some(ErrorKind::PermissionDenied)) => "ports below 1024 are for privileged users; choose another one",
            (BindError::NoneFree { .. }, _) => "widen the range: `port_range_low` and `port_range_high`",
            _ => {
                "choose another port in the configuration (`port`, `head_server.port`, `gateway.port`); 0 takes any free one"
            }
        })
    })
}

fn parse_address(text: &str) -> Result<(String, u16), Failure> {
    let wrong =
        || Failure::user(format!("`{text}` is no address")).with_hint("write HOST:PORT, for example 127.0.0.1:8080");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port.parse().map_err(|_| wrong())?))
}

/// How long an agent remembers closed sessions.
fn close_retry(server: &ServerSettings) -> Result<Duration, Failure> {
    let Some(value) = server.block.get(CLOSE_RETRY_KEY).filter(|value| !value.is_null()) else {
        return Ok(CLOSE_RETRY);
    };
    let seconds = gym_protocol::lax::number(value).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| {
        Failure::user(format!(
            "{}: `{}.{CLOSE_RETRY_KEY}` is {value}, and a number of seconds is expected",
            server.origin, server.name
        ))
    })
}

fn plan(settings: &Settings, deployment: &Deployment, options: &HostOptions) -> Result<ServerPlan, Failure> {
    let limits = options.http_limits()?;
    let keep_alive = limits.stream_keep_alive;
    let mut servers = Vec::new();
    for server in settings.servers.iter().filter(|server| server.is_here()) {
        let name = server.name.as_str();
        let site: Option<Arc<dyn Site>> = match server.kind {
            ServerKind::ResourcesServers => match deployment.resources.get(name) {
                Some(Resources::Here(service)) => Some(Arc::new(ResourcesSite::new(service.clone()))),
                _ => None,
            },
            ServerKind::ResponsesApiAgents => {
                deployment.agents.get(name).zip(Some(close_retry(server)?)).map(|(agent, window)| {
                    let tools_of = server.reference("resources_server").map(|reference| reference.name.clone());
                    let dialects = Arc::new(AgentDialects::new(Arc::clone(agent)));
                    let site = AgentSite::new(Arc::clone(agent), keep_alive);
                    Arc::new(site.with_sessions(tools_of, window).with_dialects(dialects)) as _
                })
            }
            ServerKind::ResponsesApiModels => {
                deployment.models.get(name).map(|model| Arc::new(ModelSite::new(Arc::clone(model), keep_alive)) as _)
            }
            ServerKind::EnvironmentServers => {
                let agent =
                    server.reference("agent_server").and_then(|agent| deployment.agents.get(agent.name.as_str()));
                agent.map(|agent| Arc::new(EnvironmentSite::new(Arc::clone(agent))) as _)
            }
        };
        let site = site.ok_or_else(|| {
            Failure::user(format!(
                "{}: `{name}` cannot be served here: what it refers to runs elsewhere",
                server.origin
            ))
        })?;
        servers.push(ServedPlan {
            name: server.name.clone(),
            kind: server.kind,
            site,
            implementation: server.implementation.clone(),
            directory: format!("{}/{}", server.kind.key(), server.implementation),
            entrypoint: server.entrypoint.clone().unwrap_or_default(),
        });
    }
    Ok(ServerPlan { servers, head: Some(head(settings, deployment)), limits })
}

fn head(settings: &Settings, deployment: &Deployment) -> HeadPlan {
    let yaml: Arc<str> = settings.composed_yaml_with_addresses().into();
    let runtime = Arc::clone(&deployment.runtime);
    let outbound = Arc::clone(&deployment.outbound);
    let services: Vec<(ServerName, _)> = deployment
        .resources
        .values()
        .filter_map(|resources| match resources {
            Resources::Here(service) => Some((service.name().clone(), service.clone())),
            Resources::Elsewhere(_) => None,
        })
        .collect();
    let provenance = provenance(settings, deployment);
    HeadPlan {
        config_yaml: Arc::new(move || yaml.to_string()),
        runtime_status: Arc::new(move || {
            let sessions: serde_json::Map<String, serde_json::Value> =
                services.iter().map(|(name, service)| (name.to_string(), service.live_sessions().into())).collect();
            json!({"environments": runtime.stats(), "sessions": sessions, "models": outbound.stats(),
                "provenance": provenance})
        }),
    }
}
