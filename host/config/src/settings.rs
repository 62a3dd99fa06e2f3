// SPDX-License-Identifier: Apache-2.0
//! From the composed tree to what is served: instances told from other values, checked, and their blocks resolved.
//!
//! Checks come in NeMo Gym's order, and each pass reports all it finds: values that are still `???`; then what each
//! instance is, its fields, its datasets and the general settings; then references between instances.

mod datasets;
mod fields;
mod instance;
mod publish;
mod references;

pub use datasets::{Dataset, DatasetKind, DatasetSource};

use crate::{
    compose::{Composed, entries},
    error::{ConfigError, ConfigErrors, ErrorKind, Origin, Warning},
    interpolation::Resolver,
    nearest,
    node::{Key, Node, Path, Value},
    reserved::{KNOWN_VALUES, RESERVED_KEYS},
};
use fields::{Fields, as_flag};
use gym_protocol::{ServerKind, ServerName, ServerRef};
use std::collections::{BTreeMap, BTreeSet};
use std::{net::ToSocketAddrs, ops::RangeInclusive};

/// The port of the head server if none is configured.
pub const HEAD_PORT: u16 = 11000;
/// The ports that are handed out if no range is configured.
pub const PORT_RANGE: RangeInclusive<u16> = 10001..=20000;

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// The port; 0 before a free one has been found.
    pub port: u16,
}

impl Address {
    /// That host and port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// `http://host:port`, with brackets around an IPv6 address.
    pub fn url(&self) -> String {
        if self.host.contains(':') && !self.host.starts_with('[') {
            format!("http://[{}]:{}", self.host, self.port)
        } else {
            format!("http://{}:{}", self.host, self.port)
        }
    }
}

/// Where an instance runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process.
    Here,
    /// Elsewhere: it is used over HTTP at this base URL.
    Elsewhere {
        /// The base URL, without a slash at its end.
        url: String,
    },
}

/// One instance of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// Its name: the top-level key.
    pub name: ServerName,
    /// What it is: the second-level key.
    pub kind: ServerKind,
    /// The third-level key: for a resources server, the name of its environment.
    pub implementation: String,
    /// The implementation's block, interpolations resolved, `name` set to the instance's name, `domain` only for
    /// resources servers, and for agents with the top-level `skip_verification*` values.
    pub block: serde_json::Map<String, serde_json::Value>,
    /// The file that NeMo Gym would start; `None` for an instance that somebody else serves.
    pub entrypoint: Option<String>,
    /// The host to listen on, or where it is.
    pub host: String,
    /// The configured port; `None` to take one of the range.
    pub port: Option<u16>,
    /// Where it runs.
    pub place: Place,
    /// How many processes NeMo Gym would use. One process serves all here, whatever the number.
    pub num_workers: Option<u32>,
    /// What it is about; only for resources servers.
    pub domain: Option<String>,
    /// The direct values of the block that are references, by key.
    pub refs: Vec<(String, ServerRef)>,
    /// Its datasets.
    pub datasets: Vec<Dataset>,
    /// Where the instance was written.
    pub origin: Origin,
}

impl ServerSettings {
    /// The reference of that key.
    pub fn reference(&self, key: &str) -> Option<&ServerRef> {
        self.refs.iter().find(|(name, _)| name == key).map(|(_, reference)| reference)
    }

    /// Whether it runs in this process.
    pub fn is_here(&self) -> bool {
        self.place == Place::Here
    }

    /// The dotted path of its block.
    fn path(&self) -> Path {
        Path::of([self.name.as_str(), self.kind.key(), &self.implementation])
    }
}

/// Everything that is served, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The instances, in the order of the configuration.
    pub servers: Vec<ServerSettings>,
    /// Where the head server listens.
    pub head: Address,
    /// The host of servers that have none.
    pub default_host: String,
    /// The ports to hand out.
    pub port_range: RangeInclusive<u16>,
    /// Ports never to hand out: those configured, the head's, and those of all instances.
    pub disallowed_ports: BTreeSet<u16>,
    /// Where all servers are reachable under one port, if configured: the top-level block `gateway: {host, port}`.
    pub gateway: Option<Address>,
    /// The top-level block `gym_host`: options of this program. Read here is only `head_secrets`: `clear` (as NeMo Gym,
    /// whose clients take their keys from the head server) or `masked`.
    pub host_options: serde_json::Map<String, serde_json::Value>,
    /// Calls to servers elsewhere that may be under way at a time (`global_aiohttp_connector_limit`); 0: any number.
    pub connector_limit: Option<usize>,
    /// The same for one of these servers (`global_aiohttp_connector_limit_per_host`).
    pub connector_limit_per_host: Option<usize>,
    /// Whether calls to servers elsewhere name the rollout in their path (`observability_enabled`).
    pub observability: bool,
    /// Which environment server plays the tasks of a task set.
    pub environment_server_routes: BTreeMap<String, ServerName>,
    /// The one instance that this process shall serve, when NeMo Gym's launcher started it.
    pub only: Option<ServerName>,
    /// Whether to stop once everything has been checked and loaded.
    pub dry_run: bool,
    /// What was noticed.
    pub warnings: Vec<Warning>,
    composed: Composed,
    addresses: BTreeMap<ServerName, Address>,
}

impl Composed {
    /// Checks the configuration and resolves what is served.
    ///
    /// # Errors
    /// Everything that one pass finds: `???` that are left; or wrong instances, fields and interpolations; or
    /// references to what is not there.
    pub fn settings(self) -> Result<Settings, ConfigErrors> {
        // A launcher that starts one instance has checked the others, by its own rules.
        let own = match self.only.as_deref() {
            Some(name) => Some((name, references::only(&self.root, name)?)),
            None => None,
        };
        let missing = match own {
            Some((name, node)) => missing_values(node, Path::of([name])),
            None => missing_values(&self.root, Path::default()),
        };
        ConfigErrors::check(missing)?;
        let mut errors = Vec::new();
        let mut warnings = self.warnings.clone();
        let variables = |name: &str| self.environment.get(name).cloned();
        let root = self.root_with_folders();
        let mut resolver = Resolver::new(&root, &variables);
        let general = General::read(&self, &mut resolver, &mut errors);
        let mut found = instance::Found::default();
        for (name, node) in entries(&self.root) {
            let mut reader = instance::Reader {
                general: &general,
                roots: &self.roots,
                resolver: &mut resolver,
                errors: &mut errors,
                warnings: &mut warnings,
            };
            if RESERVED_KEYS.contains(&name.as_str()) {
                reader.reserved(name.as_str(), node);
            } else if own.is_none_or(|(own, _)| own == name.as_str()) {
                reader.read(name.as_str(), node, &mut found);
            } else {
                reader.neighbour(name.as_str(), node, &mut found);
            }
        }
        misspelt_keys(&self.root, &found, &mut warnings);
        ConfigErrors::check(std::mem::take(&mut errors))?;

        let servers = found.servers;
        if own.is_none() {
            references::check(&servers, &general, &self, &mut errors, &mut warnings);
            references::check_ports(&servers, &general, &self, &mut errors);
        }
        ConfigErrors::check(errors)?;
        let mut disallowed_ports = general.disallowed_ports;
        disallowed_ports.insert(general.head.port);
        disallowed_ports.extend(servers.iter().filter_map(|server| server.port));
        disallowed_ports.extend(general.gateway.as_ref().map(|gateway| gateway.port));
        disallowed_ports.remove(&0);
        Ok(Settings {
            servers,
            head: general.head,
            default_host: general.default_host,
            port_range: general.port_range,
            disallowed_ports,
            gateway: general.gateway,
            host_options: general.host_options,
            connector_limit: general.connector_limit,
            connector_limit_per_host: general.connector_limit_per_host,
            observability: general.observability,
            environment_server_routes: general.routes,
            only: self.only.clone().and_then(ServerName::new),
            dry_run: general.dry_run,
            warnings,
            composed: self,
            addresses: BTreeMap::new(),
        })
    }
}

impl Settings {
    /// The configuration that these settings were made from.
    pub fn composed(&self) -> &Composed {
        &self.composed
    }

    /// The instance of that name.
    pub fn server(&self, name: &str) -> Option<&ServerSettings> {
        self.servers.iter().find(|server| server.name.as_str() == name)
    }

    /// Where a value was written, or else the nearest value above it that is in the configuration.
    pub fn origin_of<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> &Origin {
        let mut node = self.composed.root();
        for segment in path {
            match node.child(segment) {
                Some(child) => node = child,
                None => break,
            }
        }
        &node.origin
    }

    /// A value of the configuration by its dotted path, resolved; `None` if it is not there or null.
    ///
    /// # Errors
    /// Interpolations in it that cannot be resolved, or numbers that JSON does not have.
    pub fn value(&self, path: &str) -> Result<Option<serde_json::Value>, ConfigErrors> {
        let Some(path) = Path::parse(path) else { return Ok(None) };
        let variables = |name: &str| self.composed.environment.get(name).cloned();
        let mut errors = Vec::new();
        let root = self.composed.root_with_folders();
        let node = Resolver::new(&root, &variables).resolve(&path, &mut errors);
        let json = node.filter(|node| !node.is_null()).and_then(|node| to_json(&node, &path, &mut errors));
        ConfigErrors::check(errors)?;
        Ok(json)
    }
}

/// JSON of a resolved value; a number that JSON does not have is an error.
fn to_json(node: &Node, path: &Path, errors: &mut Vec<ConfigError>) -> Option<serde_json::Value> {
    match node.to_json() {
        Ok(json) => Some(json),
        Err(inner) => {
            let origin = node.at(&inner).map_or(&node.origin, |node| &node.origin);
            let text = "expected a finite number of at most 64 bits";
            errors.push(ConfigError::new(ErrorKind::InvalidValue, path.then(&inner), origin, text));
            None
        }
    }
}

/// All `???` in the value that stands at `path`.
fn missing_values(node: &Node, mut path: Path) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    node.walk(&mut path, &mut |path, node| {
        if node.is_missing() {
            let mut error =
                ConfigError::new(ErrorKind::ConfigMissingValues, path, &node.origin, "the value is still `???`");
            if errors.is_empty() {
                error.hint = Some(format!("give it in `env.yaml`, or on the command line: `++{path}=…`"));
            }
            errors.push(error);
        }
    });
    errors
}

/// Warns of top-level keys that look like a known one.
fn misspelt_keys(root: &Node, found: &instance::Found, warnings: &mut Vec<Warning>) {
    let known: Vec<&str> = RESERVED_KEYS.iter().chain(KNOWN_VALUES).copied().collect();
    let mut referenced = BTreeSet::new();
    root.walk(&mut Path::default(), &mut |_, node| {
        if let Some(text) = node.as_text().filter(|text| text.contains("${")) {
            for part in text.split("${").skip(1) {
                referenced.insert(part.trim_start().split(['.', '}', '[', ' ']).next().unwrap_or_default().to_owned());
            }
        }
    });
    for (key, node) in entries(root) {
        let name = key.as_str();
        let used = found.seen.contains(name) || referenced.contains(name) || known.contains(&name);
        if used || name.len() < 5 {
            continue;
        }
        let likely = known.iter().find(|known| strsim::normalized_damerau_levenshtein(name, known) >= 0.8);
        if let Some(likely) = likely {
            warnings.push(Warning {
                key: name.to_owned(),
                origin: node.origin.clone(),
                text: format!("nothing reads this key; did you mean `{likely}`?"),
            });
        }
    }
}

/// The settings that are not about one instance.
struct General {
    head: Address,
    default_host: String,
    port_range: RangeInclusive<u16>,
    disallowed_ports: BTreeSet<u16>,
    gateway: Option<Address>,
    host_options: serde_json::Map<String, serde_json::Value>,
    connector_limit: Option<usize>,
    connector_limit_per_host: Option<usize>,
    observability: bool,
    routes: BTreeMap<String, ServerName>,
    dry_run: bool,
    error_on_almost_servers: bool,
    error_on_agent_without_environment_server: bool,
    allow_unsupported_pairing: bool,
    /// `skip_verification*`, for every agent.
    for_agents: Vec<(&'static str, Node)>,
}

/// The top-level keys that [`General`] reads.
const GENERAL_KEYS: &[&str] = &[
    "use_absolute_ip",
    "default_host",
    "head_server",
    "port_range_low",
    "port_range_high",
    "disallowed_ports",
    "gateway",
    "gym_host",
    "environment_server_routes",
    "global_aiohttp_connector_limit",
    "global_aiohttp_connector_limit_per_host",
    "observability_enabled",
    "dry_run",
    "error_on_almost_servers",
    "error_on_agent_without_environment_server",
    "allow_unsupported_pairing",
    "skip_verification",
    "skip_verification_reward",
];

impl General {
    fn read(composed: &Composed, resolver: &mut Resolver<'_>, errors: &mut Vec<ConfigError>) -> Self {
        let mut root = Node::empty_map(Origin::default_value());
        for key in GENERAL_KEYS {
            if let Some(node) = resolver.resolve(&Path::of([*key]), errors) {
                crate::compose::set(&mut root, key, node);
            }
        }
        let mut fields = Fields { node: &root, path: Path::default(), kind: ErrorKind::InvalidValue, errors };
        let default_host = match (fields.text("default_host"), fields.flag("use_absolute_ip")) {
            (Some(host), _) => host,
            (None, Some(true)) => machine_address().unwrap_or_else(|error| {
                fields.problem("use_absolute_ip", format!("failed to find this machine's address: {error}"));
                String::new()
            }),
            (None, _) => "127.0.0.1".to_owned(),
        };
        let mut address = |key: &str, port: u16| {
            let mut fields = fields.below(key)?;
            fields.only(&["host", "port"]);
            let host = fields.text("host").unwrap_or_else(|| default_host.clone());
            Some(Address { host, port: fields.port("port").unwrap_or(port) })
        };
        let head = address("head_server", HEAD_PORT).unwrap_or_else(|| Address::new(default_host.clone(), HEAD_PORT));
        let gateway = address("gateway", 0);
        let low = fields.int("port_range_low", 1, u16::MAX.into()).unwrap_or_else(|| (*PORT_RANGE.start()).into());
        let high = fields.int("port_range_high", 1, u16::MAX.into()).unwrap_or_else(|| (*PORT_RANGE.end()).into());
        if low > high {
            fields.problem("port_range_low", format!("the range of ports {low} to {high} is empty"));
        }
        let mut limit = |key: &str| {
            let limit = fields.int(key, 0, i128::from(u32::MAX))?;
            Some(usize::try_from(limit).expect("`int` checks the range"))
        };
        let connector_limit = limit("global_aiohttp_connector_limit");
        let connector_limit_per_host = limit("global_aiohttp_connector_limit_per_host");
        let port = |port: i128| u16::try_from(port).expect("`int` checks the range");
        Self {
            head,
            gateway,
            port_range: port(low)..=port(high),
            disallowed_ports: disallowed_ports(&mut fields),
            host_options: host_options(&mut fields),
            connector_limit,
            connector_limit_per_host,
            observability: fields.flag("observability_enabled").unwrap_or(false),
            routes: routes(&mut fields),
            dry_run: fields.flag("dry_run").unwrap_or(false),
            error_on_almost_servers: fields.flag("error_on_almost_servers").unwrap_or(true),
            error_on_agent_without_environment_server: fields
                .flag("error_on_agent_without_environment_server")
                .unwrap_or(false),
            allow_unsupported_pairing: fields.flag("allow_unsupported_pairing").unwrap_or(false)
                || composed
                    .environment
                    .get("NEMO_GYM_ALLOW_UNSUPPORTED_PAIRING")
                    .is_some_and(|value| as_flag(&Node::text(value.as_str(), Origin::caller())) == Some(true)),
            for_agents: ["skip_verification", "skip_verification_reward"]
                .into_iter()
                .filter_map(|key| Some((key, fields.get(key)?.clone())))
                .collect(),
            default_host,
        }
    }
}

fn disallowed_ports(fields: &mut Fields<'_>) -> BTreeSet<u16> {
    let Some(node) = fields.get("disallowed_ports") else { return BTreeSet::new() };
    let ports = node.as_list().and_then(|items| {
        items
            .iter()
            .map(|item| match item.value {
                Value::Int(int) => u16::try_from(int).ok(),
                _ => None,
            })
            .collect::<Option<_>>()
    });
    ports.unwrap_or_else(|| {
        fields.problem("disallowed_ports", "expected a list of ports, each an integer from 0 to 65535");
        BTreeSet::new()
    })
}

fn host_options(fields: &mut Fields<'_>) -> serde_json::Map<String, serde_json::Value> {
    let Some(mut below) = fields.below("gym_host") else { return serde_json::Map::new() };
    below.choice("head_secrets", &["clear", "masked"]);
    match to_json(below.node, &below.path, below.errors) {
        Some(serde_json::Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    }
}

fn routes(fields: &mut Fields<'_>) -> BTreeMap<String, ServerName> {
    let Some(mut below) = fields.below("environment_server_routes") else { return BTreeMap::new() };
    let keys: Vec<String> = entries(below.node).map(|(key, _)| key.as_str().to_owned()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let name = below.required_text(&key).and_then(ServerName::new)?;
            Some((key, name))
        })
        .collect()
}

/// The address of this machine's host name.
fn machine_address() -> std::io::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let addresses: Vec<_> = (name.trim(), 0).to_socket_addrs()?.map(|address| address.ip()).collect();
    let found = addresses.iter().find(|ip| ip.is_ipv4()).or(addresses.first());
    found
        .map(ToString::to_string)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "the host name has no address"))
}

/// "did you mean" among these servers, or all their names.
fn nearest_server<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    nearest::did_you_mean(wanted, known.clone()).unwrap_or_else(|| {
        let mut names: Vec<_> = known.map(|name| format!("`{name}`")).collect();
        names.sort();
        if names.is_empty() {
            "there is none of that type".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        }
    })
}

/// The keys of a node, as texts.
fn keys(node: &Node) -> impl Iterator<Item = &str> {
    node.as_map().into_iter().flat_map(|entries| entries.keys()).map(Key::as_str)
}
