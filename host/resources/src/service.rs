// SPDX-License-Identifier: Apache-2.0
//! One resources server: what it answers, whoever asks.
//!
//! The same handlers serve HTTP ([`ResourcesService::handle`]) and callers in this process, who reach them through the
//! agents' ports without cookies in headers, paths or content types.

mod body;
mod by_env_id;
mod calls;
mod compiled;
mod group;
mod gymnasium;
mod local;
mod mcp;
mod metrics;
mod reply;
mod routes;
mod seed;
mod tools;
mod typed;
mod verify;

use std::sync::Arc;

use bytes::Bytes;
use gym_agents::{Cookie, Reply, RequestContext, Route};
use gym_protocol::{
    Fault, FaultKind, ServerName,
    environment::{ENV_ID_TOOLS, Style},
};
use tokio_util::task::TaskTracker;

use self::{body::Payload, compiled::Compiled, group::Groups, typed::TypedSessions};
use crate::{
    cookie::{CookieJar, CookieKeys, Ticket, set_cookie},
    environment::Environment,
    sessions::{SessionOptions, Sessions},
};

pub use self::{
    compiled::ServiceError,
    mcp::{MCP_TOKEN_HEADER, McpHeaders},
    routes::Method,
};

/// How a resources server is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Of its sessions.
    pub sessions: SessionOptions,
    /// Whether its tools are offered over MCP too (`expose_tools_over_mcp`).
    pub tools_over_mcp: bool,
}

impl From<SessionOptions> for ServiceOptions {
    fn from(sessions: SessionOptions) -> Self {
        Self { sessions, tools_over_mcp: false }
    }
}

/// One resources server. Clones share everything.
#[derive(Clone)]
pub struct ResourcesService {
    server: Arc<Server>,
}

/// The answer to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Status, body and `Retry-After`.
    pub reply: Reply,
    /// Value of the `Set-Cookie` header. Every answer has one, errors included: clients replace their cookies with
    /// those of each reply.
    pub set_cookie: String,
    /// For status 405: value of the `Allow` header.
    pub allow: Option<&'static str>,
    /// For status 307: the path to go to.
    pub location: Option<String>,
}

struct Server {
    name: ServerName,
    environment: Arc<dyn Environment>,
    compiled: Compiled,
    jar: CookieJar,
    boot: u64,
    sessions: Arc<Sessions>,
    typed: TypedSessions,
    /// Calls into sessions. They run to their end even if the caller goes away, because a call that stops half-way
    /// takes the session with it.
    running: TaskTracker,
    /// `mcp__<server>__`: agents that reach tools over MCP put it before their names.
    tool_prefix: String,
    /// Whether the tools are offered over MCP.
    mcp: bool,
    /// Where attempts are graded together.
    groups: Option<Arc<Groups>>,
}

/// One client during one request.
struct Caller {
    ticket: Ticket,
}

impl ResourcesService {
    /// A server of that name. Fails if the environment's description makes no sense, for example a schema that cannot
    /// be used.
    pub fn new(
        name: ServerName,
        environment: Arc<dyn Environment>,
        options: impl Into<ServiceOptions>,
        keys: &CookieKeys,
    ) -> Result<Self, ServiceError> {
        let ServiceOptions { sessions: options, tools_over_mcp } = options.into();
        let description = environment.description();
        let compiled = Compiled::new(description)?;
        let mcp = tools_over_mcp && description.style == Style::Tools;
        if mcp && let Some(tool) = description.tools.iter().find(|tool| !is_mcp_name(&tool.name)) {
            return Err(ServiceError::McpToolName(tool.name.clone()));
        }
        let boot = random_u128().map_err(ServiceError::Randomness)? as u64;
        let jar = CookieJar::new(keys, &description.name, &name);
        let typed = TypedSessions::new(options.remembered.saturating_add(options.limit));
        let tool_prefix = format!("mcp__{name}__");
        let sessions = Sessions::new(options, boot);
        let running = TaskTracker::new();
        running.close();
        let groups = Groups::new(&description.verify_fields, description.verify_runs_in)?.map(Arc::new);
        let server =
            Server { name, environment, compiled, jar, boot, sessions, typed, running, tool_prefix, mcp, groups };
        Ok(Self { server: Arc::new(server) })
    }

    /// Answers an HTTP request. `path` is without host, query string and `/ng-rollout` prefix, still percent-encoded;
    /// `content_type` is the header's value. The cookies are those of `context`.
    pub async fn handle(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
        context: &RequestContext,
    ) -> Outcome {
        let mut caller = self.server.caller(context);
        let payload = Payload::Http { content_type, body };
        let found = routes::find(method, path, |name| self.server.has_tool(name), self.server.style());
        let (reply, allow, location) = match found {
            routes::Found::Post(route) => (self.server.post(&route, payload, &mut caller).await, None, None),
            routes::Found::Aggregate => (self.server.aggregate(payload).await, None, None),
            routes::Found::Alive => (Reply::ok(&b"{\"status\":\"ok\"}"[..]), None, None),
            routes::Found::ReverifyMode => {
                let mode = self.server.environment.description().reverify.wire_name();
                (Reply::ok(format!("\"{mode}\"")), None, None)
            }
            routes::Found::Nothing => (reply::not_found(), None, None),
            routes::Found::NotAllowed(allow) => (reply::not_allowed(), Some(allow), None),
            routes::Found::Redirect(path) => (Reply::new(307, Bytes::new()), None, Some(path)),
        };
        Outcome { reply, set_cookie: set_cookie(&self.server.cookie(&caller)), allow, location }
    }

    /// The server's name in the configuration.
    pub fn name(&self) -> &ServerName {
        &self.server.name
    }

    /// The environment behind the server.
    pub fn environment(&self) -> &Arc<dyn Environment> {
        &self.server.environment
    }

    /// How many sessions have an instance, or are about to.
    pub fn live_sessions(&self) -> usize {
        self.server.sessions.live()
    }

    /// Ends all sessions, waiting for calls that are running. Clients of these sessions get faults of kind
    /// [`FaultKind::Shutdown`] from now on.
    pub async fn shutdown(&self) {
        let reason = Fault::new(FaultKind::Shutdown, "the server is shutting down");
        self.server.sessions.end_all(&reason).await;
        self.server.running.wait().await;
    }
}

impl Server {
    /// The client behind a request: the one that its cookie names, or a new one.
    fn caller(&self, context: &RequestContext) -> Caller {
        let ticket = self.jar.read(&context.cookies).unwrap_or_else(|| self.new_ticket());
        Caller { ticket }
    }

    fn new_ticket(&self) -> Ticket {
        let id = random_u128().expect("the operating system has random numbers, as it had at the start");
        // The id may be shown as a UUID.
        let id = uuid::Builder::from_random_bytes(id.to_be_bytes()).into_uuid().as_u128();
        Ticket { id, boot: self.boot, stateful: false }
    }

    fn cookie(&self, caller: &Caller) -> Cookie {
        self.jar.issue(&caller.ticket)
    }

    fn style(&self) -> Style {
        self.environment.description().style
    }

    fn has_tool(&self, name: &str) -> bool {
        self.compiled.tools.contains_key(name) || self.environment.description().any_tool
    }

    /// Answers a request to one of the POST routes.
    async fn post(self: &Arc<Self>, route: &Route, payload: Payload<'_>, caller: &mut Caller) -> Reply {
        let result = match (route, self.style()) {
            (Route::Seed, Style::Tools) => self.seed(payload, caller).await,
            (Route::Verify, Style::Tools) => self.verify(payload, caller).await,
            (Route::Tool(name), Style::Tools) => self.tool(name, payload, caller).await,
            (Route::CloseSession, Style::Tools) => self.close_session(payload, caller).await,
            (Route::Reset, Style::Gymnasium) => self.reset(payload, caller).await,
            (Route::Step, Style::Gymnasium) => self.step(payload, caller).await,
            (Route::Close, Style::Gymnasium) => self.close(caller).await,
            (Route::Step, Style::Tools) => self.tool(ENV_ID_TOOLS[0], payload, caller).await,
            (Route::Close, Style::Tools) => self.tool(ENV_ID_TOOLS[1], payload, caller).await,
            _ => Ok(reply::not_found()),
        };
        result.unwrap_or_else(|error| error.into_reply(&self.name, route))
    }
}

/// Names of tools that MCP clients and models take.
fn is_mcp_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn random_u128() -> Result<u128, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests;
