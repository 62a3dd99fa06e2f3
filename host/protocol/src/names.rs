// SPDX-License-Identifier: Apache-2.0
//! Names of servers, and the routes that no tool may take.

use std::fmt;

/// What to do about a server that is not one of gym-host's: a hint for people.
pub const ELSEWHERE: &str =
    "a server of NeMo Gym can be started there, and used from here by `host` and `port` in place of `entrypoint`";

/// The name of a configured server: the top-level key of the configuration, and its only address on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ServerName(String);

impl ServerName {
    /// Any non-empty text is a name.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        (!name.is_empty()).then_some(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The kinds of servers; the second-level key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerKind {
    /// Hands out tasks, offers tools, grades.
    ResourcesServers,
    /// Drives one session with one model.
    ResponsesApiAgents,
    /// Answers as a model.
    ResponsesApiModels,
    /// NeMo Gym 0.7.0's address for an agent's `/run`.
    EnvironmentServers,
}

impl ServerKind {
    /// All kinds.
    pub const ALL: [Self; 4] =
        [Self::ResourcesServers, Self::ResponsesApiAgents, Self::ResponsesApiModels, Self::EnvironmentServers];

    /// The key in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::ResourcesServers => "resources_servers",
            Self::ResponsesApiAgents => "responses_api_agents",
            Self::ResponsesApiModels => "responses_api_models",
            Self::EnvironmentServers => "environment_servers",
        }
    }

    /// The kind of that key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.key() == key)
    }
}

/// A reference `{type, name}` to another server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ServerRef {
    /// The kind of the server.
    #[serde(rename = "type")]
    pub kind: ServerKind,
    /// Its name.
    pub name: ServerName,
}

/// Paths of a resources server that are not tools: a model that calls a function of such a name gets an error as the
/// tool's output, and an environment cannot name a tool so. `reset`, `step` and `close` are not among them: they are
/// routes of gymnasium-style servers, which have no tools, and may be tools of any other.
pub const RESERVED_ROUTES: &[&str] = &[
    "",
    "seed_session",
    "verify",
    "aggregate_metrics",
    "reverify_mode",
    "close_session",
    "mcp",
    "livez",
    "readyz",
    "healthz",
    "health",
    "openapi.json",
    "docs",
    "redoc",
    "stats",
    "ng-rollout",
    "training-token-capture",
    "run",
    "v1",
];

/// Whether `name` may be a tool: not reserved, and one plain path segment.
pub fn is_tool_route(name: &str) -> bool {
    !RESERVED_ROUTES.contains(&name) && !name.contains(['/', '?', '#', '%']) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_routes_are_no_tools() {
        for name in ["verify", "seed_session", "a/b", "..", "", "verify?x", "%76erify"] {
            assert!(!is_tool_route(name), "{name}");
        }
        for name in ["get_weather", "Verify2", "search.web", "été", "step"] {
            assert!(is_tool_route(name), "{name}");
        }
    }

    #[test]
    fn kinds_have_their_configuration_keys() {
        for kind in ServerKind::ALL {
            assert_eq!(ServerKind::from_key(kind.key()), Some(kind));
        }
        assert_eq!(ServerKind::from_key("resource_server"), None);
    }
}
