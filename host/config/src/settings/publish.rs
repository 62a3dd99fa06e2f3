// SPDX-License-Identifier: Apache-2.0
//! The configuration as the head server hands it out, and as an unmodified NeMo Gym launcher takes it to use servers
//! that run here.

use super::{Address, Place, ServerSettings, Settings, references};
use crate::{
    compose::set,
    error::Origin,
    node::{Key, Map, Node, Value},
    secrets, writer,
};
use gym_protocol::{ServerKind, ServerName};
use std::collections::HashSet;

impl Settings {
    /// Records where an instance listens. `false` if there is no instance of that name.
    pub fn assign_address(&mut self, name: &str, host: &str, port: u16) -> bool {
        let Some(server) = self.server(name).map(|server| server.name.clone()) else { return false };
        self.addresses.insert(server, Address::new(host, port));
        self.disallowed_ports.insert(port);
        true
    }

    /// Where an instance is reached: the assigned address, or the configured one. An environment server without an
    /// address is reached at its agent's.
    pub fn address(&self, name: &str) -> Option<Address> {
        let server = self.server(name)?;
        self.own_address(server).or_else(|| {
            let agent = server.refs.iter().find(|(_, to)| to.kind == ServerKind::ResponsesApiAgents);
            let agent = agent.filter(|_| server.kind == ServerKind::EnvironmentServers)?;
            self.own_address(self.server(agent.1.name.as_str())?)
        })
    }

    fn own_address(&self, server: &ServerSettings) -> Option<Address> {
        let configured = || match &server.place {
            Place::Elsewhere { url } if server.port.is_none() => url_address(url),
            _ => server.port.filter(|port| *port != 0).map(|port| Address::new(server.host.clone(), port)),
        };
        self.addresses.get(&server.name).cloned().or_else(configured)
    }

    /// The configuration as the head server hands it out: as composed, with interpolations as they were written and
    /// secrets in clear text (unless `gym_host.head_secrets` is `masked`), plus host and port of every instance, the keys that NeMo Gym fills in, and an environment
    /// server for every agent that has none.
    pub fn composed_yaml_with_addresses(&self) -> String {
        writer::to_yaml(&self.composed_with_addresses())
    }

    /// The same as a tree.
    pub fn composed_with_addresses(&self) -> Node {
        let mut root = self.composed.root.clone();
        for server in &self.servers {
            let address = self.address(server.name.as_str());
            let path = server.path();
            let block = path.0.iter().try_fold(&mut root, |node, segment| node.child_mut(segment));
            let Some(block) = block else { continue };
            if let Some(target) = block.as_text().and_then(|_| self.resolved_block(server)) {
                *block = target;
            }
            if let Some(address) = address {
                set(block, "host", text(address.host));
                set(block, "port", int(address.port));
            }
            if server.kind != ServerKind::ResourcesServers
                && let Some(entries) = block.as_map_mut()
            {
                entries.shift_remove("domain");
            }
            if server.kind == ServerKind::ResponsesApiAgents {
                for key in ["skip_verification", "skip_verification_reward"] {
                    if self.composed.root.child(key).is_some_and(|node| !node.is_null())
                        && let Some(value) = server.block.get(key)
                        && let Ok(value) = Node::from_json(value, &Origin::default_value())
                    {
                        set(block, key, value);
                    }
                }
            }
        }
        for (name, block) in self.published_environment_servers(&root) {
            set(&mut root, &name, block);
        }
        self.fill_in(&mut root);
        if self.host_options.get("head_secrets").and_then(|value| value.as_str()) == Some("masked") {
            secrets::mask(&mut root);
        }
        root
    }

    /// A block that is an interpolation as a whole, resolved.
    fn resolved_block(&self, server: &ServerSettings) -> Option<Node> {
        Node::from_json(&serde_json::Value::Object(server.block.clone()), &server.origin).ok()
    }

    /// An environment server without entrypoint for every agent that no environment server names, at the agent's
    /// address. Clients of NeMo Gym 0.7 dispatch to no other agents; older ones take it for a value.
    fn published_environment_servers(&self, root: &Node) -> Vec<(String, Node)> {
        let covered: HashSet<&str> = references::covered_agents(&self.servers).collect();
        let agents = self.servers.iter().filter(|server| server.kind == ServerKind::ResponsesApiAgents);
        let mut taken = root.clone();
        agents
            .filter(|agent| !covered.contains(agent.name.as_str()))
            .filter_map(|agent| {
                let address = self.address(agent.name.as_str())?;
                let name = references::relay_name(&agent.name, &agent.implementation, &taken);
                let block = environment_server(&agent.name, &address);
                set(&mut taken, &name, text(""));
                Some((name, block))
            })
            .collect()
    }

    /// The keys that NeMo Gym's launcher fills in.
    fn fill_in(&self, root: &mut Node) {
        let head = map([("host", text(self.head.host.as_str())), ("port", int(self.head.port))]);
        set(root, "head_server", head);
        let ports = self.disallowed_ports.iter().map(|port| int(*port)).collect();
        set(root, "disallowed_ports", node(Value::List(ports)));
        let flag = |flag: bool| node(Value::Bool(flag));
        let [results, cache] = self.composed.folders();
        for (key, value) in [
            ("use_absolute_ip", flag(false)),
            ("port_range_low", int(*self.port_range.start())),
            ("port_range_high", int(*self.port_range.end())),
            ("allow_openai_version_skew", flag(false)),
            ("head_server_deps", node(Value::List(Vec::new()))),
            ("python_version", text("3.13")),
            ("skip_venv_if_present", flag(false)),
            ("dry_run", flag(false)),
            ("model_endpoint_readiness_timeout_seconds", int(600)),
            (results.0, text(results.1)),
            (cache.0, text(cache.1)),
            ("uv_cache_dir", text("cache/uv")),
            ("uv_venv_dir", text("cache/venvs")),
        ] {
            if root.child(key).is_none_or(Node::is_null) {
                set(root, key, value);
            }
        }
    }

    /// A configuration with which an unmodified NeMo Gym launcher, of August 2026 or of 0.7, uses the servers that run
    /// here: agents without entrypoint at their address, an environment server without entrypoint for each, and
    /// resources servers and model servers of the implementation `sleeper` (a folder with an `app.py` that only sleeps:
    /// the launcher starts it, and finds the server here answering at the same address).
    pub fn attach_yaml(&self, sleeper: &str) -> String {
        let mut root = Node::empty_map(Origin::default_value());
        for server in &self.servers {
            let Some(address) = self.address(server.name.as_str()) else { continue };
            let mut fields = Vec::new();
            let implementation = match server.kind {
                ServerKind::ResourcesServers => {
                    fields.push(("entrypoint", text("app.py")));
                    fields.push(("domain", text(server.domain.as_deref().unwrap_or("other"))));
                    sleeper
                }
                ServerKind::ResponsesApiModels => {
                    fields.push(("entrypoint", text("app.py")));
                    sleeper
                }
                ServerKind::ResponsesApiAgents | ServerKind::EnvironmentServers => server.implementation.as_str(),
            };
            fields.push(("host", text(address.host)));
            fields.push(("port", int(address.port)));
            if server.kind == ServerKind::EnvironmentServers {
                for (key, reference) in &server.refs {
                    let to = [("type", text(reference.kind.key())), ("name", text(reference.name.as_str()))];
                    fields.push((key, map(to)));
                }
            }
            let block = map([(server.kind.key(), map([(implementation, map(fields))]))]);
            set(&mut root, server.name.as_str(), block);
        }
        for (name, block) in self.published_environment_servers(&root) {
            set(&mut root, &name, block);
        }
        writer::to_yaml(&root)
    }
}

fn environment_server(agent: &ServerName, address: &Address) -> Node {
    let reference = map([("type", text(ServerKind::ResponsesApiAgents.key())), ("name", text(agent.as_str()))]);
    let block = map([("host", text(address.host.as_str())), ("port", int(address.port)), ("agent_server", reference)]);
    map([(ServerKind::EnvironmentServers.key(), map([("legacy_agent", block)]))])
}

/// Host and port of a base URL that has no path.
fn url_address(url: &str) -> Option<Address> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let default = if scheme == "https" { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    Some(Address::new(host, port))
}

fn node(value: Value) -> Node {
    Node::new(value, Origin::default_value())
}

fn text(text: impl Into<String>) -> Node {
    node(Value::Text(text.into()))
}

fn int(int: impl Into<i128>) -> Node {
    node(Value::Int(int.into()))
}

fn map<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, Node)>) -> Node {
    let entries: Map = entries.into_iter().map(|(key, value)| (Key::text(key.as_ref()), value)).collect();
    node(Value::Map(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_have_an_address() {
        for (url, expected) in [
            ("http://h:81/v1", Some(("h", 81))),
            ("http://h", Some(("h", 80))),
            ("https://h/x", Some(("h", 443))),
            ("http://[::1]:82", Some(("[::1]", 82))),
            ("http://[::1]", Some(("[::1]", 80))),
            ("http://h:port", None),
            ("h:80", None),
        ] {
            assert_eq!(url_address(url), expected.map(|(host, port)| Address::new(host, port)), "{url}");
        }
    }

    #[test]
    fn addresses_are_urls() {
        for (host, expected) in [("h", "http://h:1"), ("::1", "http://[::1]:1"), ("[::1]", "http://[::1]:1")] {
            assert_eq!(Address::new(host, 1).url(), expected);
        }
    }

    #[test]
    fn relays_are_named_after_their_agent() {
        let mut root = Node::empty_map(Origin::default_value());
        set(&mut root, "taken_environment_server", text(""));
        for (agent, implementation, expected) in [
            ("mcqa_simple_agent", "simple_agent", "mcqa_environment_server"),
            ("mcqa_agent", "simple_agent", "mcqa_environment_server"),
            ("mcqa", "simple_agent", "mcqa_environment_server"),
            ("simple_agent", "simple_agent", "simple_environment_server"),
            ("taken_agent", "x", "taken_environment_server_environment_server"),
        ] {
            let agent = ServerName::new(agent).expect("not empty");
            assert_eq!(references::relay_name(&agent, implementation, &root), expected);
        }
    }
}
