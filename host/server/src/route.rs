// SPDX-License-Identifier: Apache-2.0
//! Which path is which call, for each kind of server.

use gym_protocol::{ServerKind, names::is_tool_route};
use http::Method;

use crate::path::decode_segment;

/// A call that a server may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteRoute {
    /// `GET /` and `GET /livez`.
    Alive,
    /// `GET /readyz`, `/healthz`, `/health`.
    Ready,
    /// `POST /seed_session`.
    Seed,
    /// `POST /verify`.
    Verify,
    /// `POST /<tool>`.
    Tool(String),
    /// `POST /reset`.
    Reset,
    /// `POST /step`.
    Step,
    /// `POST /close`.
    Close,
    /// `POST /close_session`.
    CloseSession,
    /// `POST /aggregate_metrics`.
    AggregateMetrics,
    /// `GET /reverify_mode`.
    ReverifyMode,
    /// `GET` and `POST /mcp`.
    Mcp,
    /// `POST /run`.
    Run,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/messages`.
    Messages,
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/<name>`.
    OneModel(String),
    /// `POST /v1/agent_sessions`.
    AgentSession,
    /// `POST /v1/agent_sessions/close`.
    CloseAgentSession,
    /// `GET /global_config_dict_yaml` of the head server.
    ConfigYaml,
    /// `GET /server_instances` of the head server.
    ServerInstances,
    /// `GET /gym-host/status` of the head server and the gateway.
    Status,
}

impl SiteRoute {
    /// Names for counters and logs, in the order of [`index`](Self::index).
    pub(crate) const NAMES: [&str; 23] = [
        "alive",
        "ready",
        "seed_session",
        "verify",
        "tool",
        "reset",
        "step",
        "close",
        "close_session",
        "aggregate_metrics",
        "reverify_mode",
        "mcp",
        "run",
        "responses",
        "chat_completions",
        "messages",
        "models",
        "one_model",
        "agent_session",
        "close_agent_session",
        "config_yaml",
        "server_instances",
        "status",
    ];

    /// Position in [`NAMES`](Self::NAMES).
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Alive => 0,
            Self::Ready => 1,
            Self::Seed => 2,
            Self::Verify => 3,
            Self::Tool(_) => 4,
            Self::Reset => 5,
            Self::Step => 6,
            Self::Close => 7,
            Self::CloseSession => 8,
            Self::AggregateMetrics => 9,
            Self::ReverifyMode => 10,
            Self::Mcp => 11,
            Self::Run => 12,
            Self::Responses => 13,
            Self::ChatCompletions => 14,
            Self::Messages => 15,
            Self::Models => 16,
            Self::OneModel(_) => 17,
            Self::AgentSession => 18,
            Self::CloseAgentSession => 19,
            Self::ConfigYaml => 20,
            Self::ServerInstances => 21,
            Self::Status => 22,
        }
    }

    /// The `Allow` header: the methods of the route.
    pub(crate) fn allow(&self) -> &'static str {
        match self {
            Self::Alive
            | Self::Ready
            | Self::ReverifyMode
            | Self::Models
            | Self::OneModel(_)
            | Self::ConfigYaml
            | Self::ServerInstances
            | Self::Status => "GET",
            Self::Mcp => "GET, POST",
            Self::Seed
            | Self::Verify
            | Self::Tool(_)
            | Self::Reset
            | Self::Step
            | Self::Close
            | Self::CloseSession
            | Self::AggregateMetrics
            | Self::Run
            | Self::Responses
            | Self::ChatCompletions
            | Self::Messages
            | Self::AgentSession
            | Self::CloseAgentSession => "POST",
        }
    }

    /// Whether the route answers this method.
    pub(crate) fn answers(&self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// Whether the route still answers while the process drains: what tells that it drains.
    pub(crate) fn survives_drain(&self) -> bool {
        matches!(self, Self::Alive | Self::Ready | Self::ConfigYaml | Self::ServerInstances | Self::Status)
    }
}

/// Which routes an address has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// Those of a server of this kind.
    Kind(ServerKind),
    /// Those of the head server.
    Head,
    /// Those of the gateway itself.
    Gateway,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A route.
    Route(SiteRoute),
    /// A route, if the trailing slash were not there.
    WithoutSlash(SiteRoute),
    /// Nothing.
    Nothing,
}

/// Finds the route of a path. `path` starts with `/` and has no correlation prefix.
pub(crate) fn find(table: Table, path: &str) -> Found {
    if let Some(route) = find_exact(table, path) {
        return Found::Route(route);
    }
    match path.strip_suffix('/').filter(|path| path.len() > 1).and_then(|path| find_exact(table, path)) {
        Some(route) => Found::WithoutSlash(route),
        None => Found::Nothing,
    }
}

fn find_exact(table: Table, path: &str) -> Option<SiteRoute> {
    let path = path.strip_prefix('/')?;
    match path {
        "" | "livez" => return Some(SiteRoute::Alive),
        "readyz" | "healthz" | "health" => return Some(SiteRoute::Ready),
        _ => {}
    }
    match table {
        Table::Kind(ServerKind::ResourcesServers) => Some(match path {
            "verify" => SiteRoute::Verify,
            "seed_session" => SiteRoute::Seed,
            "aggregate_metrics" => SiteRoute::AggregateMetrics,
            "reverify_mode" => SiteRoute::ReverifyMode,
            "close_session" => SiteRoute::CloseSession,
            "reset" => SiteRoute::Reset,
            "step" => SiteRoute::Step,
            "close" => SiteRoute::Close,
            "mcp" => SiteRoute::Mcp,
            _ if path.contains('/') => return None,
            _ => {
                let name = decode_segment(path)?;
                // An escaped `%` or `?` may be part of a name; only a plain one is no tool.
                if path == name && !is_tool_route(&name) || matches!(&*name, "." | "..") {
                    return None;
                }
                SiteRoute::Tool(name.into_owned())
            }
        }),
        Table::Kind(ServerKind::ResponsesApiAgents) => match path {
            "run" => Some(SiteRoute::Run),
            "aggregate_metrics" => Some(SiteRoute::AggregateMetrics),
            "v1/responses" => Some(SiteRoute::Responses),
            "v1/agent_sessions" => Some(SiteRoute::AgentSession),
            "v1/agent_sessions/close" => Some(SiteRoute::CloseAgentSession),
            _ => find_model(path),
        },
        Table::Kind(ServerKind::ResponsesApiModels) => match path {
            "v1/responses" => Some(SiteRoute::Responses),
            "v1/chat/completions" => Some(SiteRoute::ChatCompletions),
            "v1/messages" => Some(SiteRoute::Messages),
            _ => find_model(path),
        },
        Table::Kind(ServerKind::EnvironmentServers) => match path {
            "run" => Some(SiteRoute::Run),
            "aggregate_metrics" => Some(SiteRoute::AggregateMetrics),
            _ => None,
        },
        Table::Head => match path {
            "global_config_dict_yaml" => Some(SiteRoute::ConfigYaml),
            "server_instances" => Some(SiteRoute::ServerInstances),
            "gym-host/status" => Some(SiteRoute::Status),
            _ => None,
        },
        Table::Gateway => match path {
            "v1/responses" => Some(SiteRoute::Responses),
            "v1/chat/completions" => Some(SiteRoute::ChatCompletions),
            "v1/messages" => Some(SiteRoute::Messages),
            "gym-host/status" => Some(SiteRoute::Status),
            _ => find_model(path),
        },
    }
}

fn find_model(path: &str) -> Option<SiteRoute> {
    match path.strip_prefix("v1/models")? {
        "" => Some(SiteRoute::Models),
        rest => {
            let name = rest.strip_prefix('/').filter(|name| !name.is_empty() && !name.contains('/'))?;
            Some(SiteRoute::OneModel(decode_segment(name)?.into_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCES: Table = Table::Kind(ServerKind::ResourcesServers);
    const AGENTS: Table = Table::Kind(ServerKind::ResponsesApiAgents);
    const ENVIRONMENTS: Table = Table::Kind(ServerKind::EnvironmentServers);

    fn tool(name: &str) -> Found {
        Found::Route(SiteRoute::Tool(name.to_owned()))
    }

    #[test]
    fn each_kind_of_server_has_its_routes() {
        let cases = [
            (RESOURCES, "/", Found::Route(SiteRoute::Alive)),
            (RESOURCES, "/verify", Found::Route(SiteRoute::Verify)),
            (RESOURCES, "/verify/", Found::WithoutSlash(SiteRoute::Verify)),
            (RESOURCES, "/get_weather", tool("get_weather")),
            (RESOURCES, "/get%20weather", tool("get weather")),
            (RESOURCES, "/50%25", tool("50%")),
            (RESOURCES, "/%76erify", Found::Nothing),
            (RESOURCES, "/%2e%2E", Found::Nothing),
            (RESOURCES, "/a/b", Found::Nothing),
            (RESOURCES, "//verify", Found::Nothing),
            (RESOURCES, "//", Found::Nothing),
            (RESOURCES, "/run", Found::Nothing),
            (RESOURCES, "/v1/responses", Found::Nothing),
            (RESOURCES, "/openapi.json", Found::Nothing),
            (AGENTS, "/run", Found::Route(SiteRoute::Run)),
            (AGENTS, "/v1/responses", Found::Route(SiteRoute::Responses)),
            (AGENTS, "/v1/responses/", Found::WithoutSlash(SiteRoute::Responses)),
            (AGENTS, "/verify", Found::Nothing),
            (AGENTS, "/v1/models/a%2Db", Found::Route(SiteRoute::OneModel("a-b".to_owned()))),
            (ENVIRONMENTS, "/run", Found::Route(SiteRoute::Run)),
            (ENVIRONMENTS, "/v1/responses", Found::Nothing),
            (Table::Head, "/global_config_dict_yaml", Found::Route(SiteRoute::ConfigYaml)),
            (Table::Head, "/gym-host/status", Found::Route(SiteRoute::Status)),
            (Table::Gateway, "/v1/models", Found::Route(SiteRoute::Models)),
        ];
        for (table, path, expected) in cases {
            assert_eq!(find(table, path), expected, "{table:?} {path}");
        }
    }

    #[test]
    fn routes_answer_their_methods_only() {
        assert!(SiteRoute::Verify.answers(&Method::POST));
        assert!(!SiteRoute::Verify.answers(&Method::GET));
        assert!(!SiteRoute::Mcp.answers(&Method::DELETE));
        assert!(!SiteRoute::Alive.answers(&Method::HEAD));
    }
}
