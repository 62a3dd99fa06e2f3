// SPDX-License-Identifier: Apache-2.0
//! Telling instances from other values, and reading them.
//!
//! A top-level map with a server type (`resources_servers`, …) and an `entrypoint` in an implementation below it is
//! meant to be a server, and must be a valid one: an invalid one is an "almost server". A block without `entrypoint` is
//! a server that somebody else runs if it says where (`host` and `port`, or `url`), and otherwise just a value.

use super::{
    General, Place, ServerSettings, datasets,
    fields::{Fields, one_of},
    keys, to_json,
};
use crate::{
    compose::entries,
    error::{ConfigError, ErrorKind, Warning},
    interpolation::Resolver,
    nearest,
    node::{Key, Node, Path, Value},
    reserved::DOMAINS,
    roots::Roots,
};
use gym_protocol::{ServerKind, ServerName, ServerRef};
use std::collections::BTreeSet;

/// What has been found.
#[derive(Default)]
pub(super) struct Found {
    /// Valid instances.
    pub(super) servers: Vec<ServerSettings>,
    /// Top-level keys that are, or are nearly, instances.
    pub(super) seen: BTreeSet<String>,
}

pub(super) struct Reader<'r, 'a> {
    pub(super) general: &'r General,
    pub(super) roots: &'r Roots,
    pub(super) resolver: &'r mut Resolver<'a>,
    pub(super) errors: &'r mut Vec<ConfigError>,
    pub(super) warnings: &'r mut Vec<Warning>,
}

impl Reader<'_, '_> {
    /// Reads one top-level value.
    pub(super) fn read(&mut self, name: &str, node: &Node, found: &mut Found) {
        if node.as_map().is_none() {
            return;
        }
        let kinds: Vec<ServerKind> = keys(node).filter_map(ServerKind::from_key).collect();
        if kinds.is_empty() {
            self.misspelt_type(name, node, found);
            return;
        }
        found.seen.insert(name.to_owned());
        let blocks = |kind: &ServerKind| node.child(kind.key()).into_iter().flat_map(entries);
        let started = kinds.iter().flat_map(blocks).any(|(_, block)| block.child("entrypoint").is_some());
        let mut problems = Vec::new();
        let server = if started {
            self.shape(name, node, &kinds, &mut problems)
                .and_then(|(kind, implementation)| self.server(name, node, kind, &implementation, &mut problems))
        } else {
            match kinds.as_slice() {
                [kind] => self.elsewhere(name, node, *kind, &mut problems),
                _ => None,
            }
        };
        if !problems.is_empty() && started && !self.general.error_on_almost_servers {
            self.warnings.extend(problems.into_iter().map(|error| Warning {
                key: error.key,
                origin: error.origin,
                text: format!("{}; the server is left out ({})", error.text, error.kind.name()),
            }));
            return;
        }
        if problems.is_empty() && server.is_none() {
            self.warnings.push(Warning {
                key: name.to_owned(),
                origin: node.origin.clone(),
                text: "no server: the block has no `entrypoint`, and no `url` or `host` and `port` of one elsewhere"
                    .to_owned(),
            });
        }
        if problems.is_empty() {
            found.servers.extend(server);
        }
        self.errors.append(&mut problems);
    }

    /// Warns of an instance under a name that cannot be one.
    pub(super) fn reserved(&mut self, name: &str, node: &Node) {
        if keys(node).any(|key| ServerKind::from_key(key).is_some()) {
            self.warnings.push(Warning {
                key: name.to_owned(),
                origin: node.origin.clone(),
                text: "this name is reserved, so the block is not a server".to_owned(),
            });
        }
    }

    /// An instance that another process serves, next to the one that is served here. What is wrong with it is not this
    /// process's concern; without an address it is left out.
    pub(super) fn neighbour(&mut self, name: &str, node: &Node, found: &mut Found) {
        found.seen.insert(name.to_owned());
        let Some(kind) = keys(node).find_map(ServerKind::from_key) else { return };
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let mut reader = Reader {
            general: self.general,
            roots: self.roots,
            resolver: &mut *self.resolver,
            errors: &mut problems,
            warnings: &mut warnings,
        };
        let mut ignored = Vec::new();
        if let Some(server) = reader.elsewhere(name, node, kind, &mut ignored) {
            found.servers.push(server);
        }
    }

    /// One type, one implementation, and it a map.
    fn shape(
        &self,
        name: &str,
        node: &Node,
        kinds: &[ServerKind],
        problems: &mut Vec<ConfigError>,
    ) -> Option<(ServerKind, String)> {
        let mut almost = |path: Path, node: &Node, text: String| {
            problems.push(ConfigError::new(ErrorKind::AlmostServer, path, &node.origin, text));
        };
        let path = Path::of([name]);
        let [kind] = kinds else {
            let names: Vec<_> = kinds.iter().map(|kind| kind.key()).collect();
            almost(path, node, format!("expected one server type, found {}", one_of(&names).replace(" or ", " and ")));
            return None;
        };
        let path = path.join(kind.key());
        let blocks = node.child(kind.key())?;
        let names: Vec<&str> = keys(blocks).collect();
        let [implementation] = names.as_slice() else {
            let list = one_of(&names).replace(" or ", " and ");
            almost(path, blocks, format!("expected one implementation, found {list}"));
            return None;
        };
        Some((*kind, (*implementation).to_owned()))
    }

    /// An instance with an entrypoint.
    fn server(
        &mut self,
        name: &str,
        node: &Node,
        kind: ServerKind,
        implementation: &str,
        problems: &mut Vec<ConfigError>,
    ) -> Option<ServerSettings> {
        let path = Path::of([name, kind.key(), implementation]);
        let block = self.resolver.resolve(&path, self.errors)?;
        let mut fields = Fields { node: &block, path: path.clone(), kind: ErrorKind::AlmostServer, errors: problems };
        let entrypoint = fields.required_text("entrypoint");
        let domain = fields.choice("domain", DOMAINS).filter(|_| kind == ServerKind::ResourcesServers);
        if kind == ServerKind::ResourcesServers && fields.get("domain").is_none() {
            fields.missing("domain", &format!("one of {}", one_of(DOMAINS)));
        }
        if kind == ServerKind::ResponsesApiAgents {
            fields.flag("skip_verification");
        }
        if kind == ServerKind::ResourcesServers {
            fields.flag("expose_tools_over_mcp");
            fields.texts("allowed_agents");
            fields.texts("allowed_model_types");
        }
        let mut server = self.common(name, node, kind, implementation, fields)?;
        server.entrypoint = Some(entrypoint?);
        server.domain = domain;
        Some(server)
    }

    /// An instance without an entrypoint that says where it is.
    fn elsewhere(
        &mut self,
        name: &str,
        node: &Node,
        kind: ServerKind,
        problems: &mut Vec<ConfigError>,
    ) -> Option<ServerSettings> {
        let (implementation, block) = entries(node.child(kind.key())?).next()?;
        let has = |key: &str| block.child(key).is_some_and(|node| !node.is_null());
        if block.as_map().is_none() || !(has("url") || has("host") && has("port")) {
            return None;
        }
        let path = Path::of([name, kind.key(), implementation.as_str()]);
        let block = self.resolver.resolve(&path, self.errors)?;
        let mut fields = Fields { node: &block, path, kind: ErrorKind::InvalidValue, errors: problems };
        let url = match fields.text("url") {
            Some(url) if is_http_url(&url) => Some(url.trim_end_matches('/').to_owned()),
            Some(_) => {
                fields.wrong("url", "a URL that begins with `http://` or `https://`");
                None
            }
            None => None,
        };
        let mut server = self.common(name, node, kind, implementation.as_str(), fields)?;
        let address = super::Address::new(server.host.clone(), server.port.unwrap_or_default());
        server.place = Place::Elsewhere { url: url.unwrap_or_else(|| address.url()) };
        Some(server)
    }

    /// What all instances have in common.
    fn common(
        &mut self,
        name: &str,
        node: &Node,
        kind: ServerKind,
        implementation: &str,
        mut fields: Fields<'_>,
    ) -> Option<ServerSettings> {
        let host = fields.text("host").unwrap_or_else(|| self.general.default_host.clone());
        let port = fields.port("port");
        let num_workers = fields.int("num_workers", 1, u32::MAX.into()).and_then(|int| u32::try_from(int).ok());
        let block = fields.node;
        let path = fields.path.clone();
        let errors = fields.errors;
        let datasets = match (kind, block.child("datasets").filter(|node| !node.is_null())) {
            (ServerKind::ResponsesApiModels, Some(found)) => {
                let text = "a model server has no datasets; they belong to an agent or a resources server";
                errors.push(ConfigError::new(ErrorKind::AlmostServer, path.join("datasets"), &found.origin, text));
                Vec::new()
            }
            _ => datasets::read(block, &path, self.roots, errors),
        };
        let serde_json::Value::Object(mut json) = to_json(block, &path, errors)? else {
            let text = format!("expected a map, found {}", block.kind_in_words());
            errors.push(ConfigError::new(ErrorKind::AlmostServer, &path, &block.origin, text));
            return None;
        };
        json.insert("name".to_owned(), name.into());
        if kind != ServerKind::ResourcesServers {
            json.shift_remove("domain");
        }
        if kind == ServerKind::ResponsesApiAgents {
            for (key, value) in &self.general.for_agents {
                json.insert((*key).to_owned(), to_json(value, &Path::of([*key]), errors)?);
            }
        }
        Some(ServerSettings {
            name: ServerName::new(name)?,
            kind,
            implementation: implementation.to_owned(),
            block: json,
            entrypoint: None,
            host,
            port,
            place: Place::Here,
            num_workers,
            domain: None,
            refs: references(block),
            datasets,
            origin: node.origin.clone(),
        })
    }

    /// A map that would be a server if a key were spelt otherwise.
    fn misspelt_type(&mut self, name: &str, node: &Node, found: &mut Found) {
        for (key, below) in entries(node) {
            let started = entries(below).any(|(_, block)| block.child("entrypoint").is_some());
            let types = ServerKind::ALL.map(ServerKind::key);
            if started && let Some(hint) = nearest::did_you_mean(key.as_str(), types) {
                found.seen.insert(name.to_owned());
                let error = ConfigError::new(
                    ErrorKind::AlmostServer,
                    Path::of([name, key.as_str()]),
                    &below.origin,
                    format!("there is no server type `{key}`"),
                )
                .with_hint(hint);
                if self.general.error_on_almost_servers {
                    self.errors.push(error);
                } else {
                    self.warnings.push(Warning { key: error.key, origin: error.origin, text: error.text });
                }
            }
        }
    }
}

/// The direct values of a block that are exactly `{type: <a server type>, name: <text>}`.
fn references(block: &Node) -> Vec<(String, ServerRef)> {
    let reference = |(key, node): (&Key, &Node)| {
        let Value::Map(map) = &node.value else { return None };
        let kind = ServerKind::from_key(map.get("type")?.as_text()?)?;
        let name = ServerName::new(map.get("name")?.as_text()?)?;
        (map.len() == 2).then(|| (key.as_str().to_owned(), ServerRef { kind, name }))
    };
    entries(block).filter_map(reference).collect()
}

fn is_http_url(url: &str) -> bool {
    url.strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
}
