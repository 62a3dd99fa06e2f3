// SPDX-License-Identifier: Apache-2.0
//! Fake servers and a running HTTP layer around them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::client::PATIENCE;
use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::ports::{Agent, Cookie, Model, Reply, RequestContext};
use gym_protocol::{Fault, FaultKind, ModelRequest, ServerKind, ServerName};
use gym_server::{
    AgentSite, Answer, Call, EnvironmentSite, HeadPlan, HttpLimits, ListenAt, Listeners, ModelSite, PortRange, Purpose,
    RunningServer, ServedPlan, Server, ServerPlan, Site, SiteRoute,
};
use tokio::sync::{Notify, Semaphore};

pub(crate) fn name(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

/// What tests see of the fake resources server, and how they hold it.
pub(crate) struct Watch {
    /// Calls that have begun to wait.
    pub(crate) waiting: AtomicUsize,
    /// Calls whose client went away while they waited.
    pub(crate) dropped: AtomicUsize,
    /// Something of the above changed.
    pub(crate) changed: Notify,
    /// Lets waiting calls go on, one permit each.
    pub(crate) gate: Semaphore,
}

impl Watch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            changed: Notify::new(),
            gate: Semaphore::new(0),
        })
    }

    /// Waits until `counter` is at least `count`.
    pub(crate) async fn until(&self, counter: &AtomicUsize, count: usize) {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let changed = self.changed.notified();
                if counter.load(Ordering::SeqCst) >= count {
                    return;
                }
                changed.await;
            }
        })
        .await
        .expect("the state comes in time");
    }
}

struct DropCount<'a>(&'a Watch, bool);

impl Drop for DropCount<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
            self.0.changed.notify_waiters();
        }
    }
}

/// A resources server with the tools `echo`, `wait`, `panic`, `context`.
struct Fake(Arc<Watch>);

#[async_trait]
impl Site for Fake {
    fn offers(&self, route: &SiteRoute) -> bool {
        match route {
            SiteRoute::Tool(name) => ["echo", "wait", "panic", "context"].contains(&&**name),
            _ => matches!(route, SiteRoute::Verify | SiteRoute::Seed | SiteRoute::ReverifyMode),
        }
    }

    async fn set_cookie(&self, context: &RequestContext) -> Option<String> {
        let value = context.cookies.get("fake").unwrap_or("new");
        Some(format!("fake={value}; path=/; Max-Age=1209600; httponly; samesite=lax"))
    }

    async fn answer(&self, route: SiteRoute, call: Call, context: &mut RequestContext) -> Answer {
        match route {
            SiteRoute::Tool(tool) if tool == "echo" => Answer::json(200, call.body),
            SiteRoute::Tool(tool) if tool == "panic" => panic!("secret of {tool}"),
            SiteRoute::Tool(tool) if tool == "context" => {
                let text = format!(
                    "{:?} {} {:?} {}",
                    context.rollout_id,
                    context.token_capture,
                    context.traceparent,
                    context.cookies.header()
                );
                Answer::json(200, serde_json::to_string(&text).unwrap())
            }
            SiteRoute::Tool(_) => {
                let mut guard = DropCount(&self.0, false);
                self.0.waiting.fetch_add(1, Ordering::SeqCst);
                self.0.changed.notify_waiters();
                self.0.gate.acquire().await.unwrap().forget();
                guard.1 = true;
                Answer::json(200, "\"waited\"")
            }
            SiteRoute::Verify => Answer::json(200, r#"{"reward":1.0}"#),
            SiteRoute::ReverifyMode => Answer::json(200, "\"stateless\""),
            _ => Answer::json(200, "{}"),
        }
    }
}

const RESPONSE: &str = r#"{"id":"resp_1","created_at":1.0,"model":"m","object":"response","output":[{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[]}]}],"parallel_tool_calls":true,"tool_choice":"auto","tools":[]}"#;

/// An agent that answers at once, or when the watch lets it.
struct FakeAgent(ServerName, Arc<Watch>);

#[async_trait]
impl Agent for FakeAgent {
    fn name(&self) -> &ServerName {
        &self.0
    }

    async fn run(&self, row: Bytes, context: &mut RequestContext) -> Reply {
        context.cookies.set(Cookie { name: "fake".to_owned(), value: "of-the-tool".to_owned() });
        let row = String::from_utf8(row.to_vec()).unwrap();
        Reply::ok(format!(
            r#"{{"reward":1.0,"rollout":{:?},"row":{row}}}"#,
            context.rollout_id.as_deref().unwrap_or("")
        ))
    }

    async fn responses(&self, body: Bytes, context: &mut RequestContext) -> Reply {
        context.cookies.set(Cookie { name: "fake".to_owned(), value: "of-the-tool".to_owned() });
        let body = String::from_utf8(body.to_vec()).unwrap();
        if body.contains("\"stream\"") || body.contains("\"model\"") {
            return Reply::new(422, r#"{"detail":"extra"}"#);
        }
        if body.contains("wait") {
            self.1.waiting.fetch_add(1, Ordering::SeqCst);
            self.1.changed.notify_waiters();
            self.1.gate.acquire().await.unwrap().forget();
        }
        if body.contains("fail") { Reply::new(502, r#"{"detail":"no model"}"#) } else { Reply::ok(RESPONSE) }
    }

    async fn aggregate_metrics(&self, _body: Bytes) -> Reply {
        Reply::ok("{}")
    }
}

/// A model server without streaming of its own.
struct FakeModel(ServerName);

#[async_trait]
impl Model for FakeModel {
    fn name(&self) -> &ServerName {
        &self.0
    }

    async fn respond(&self, request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        context.cookies.set(Cookie { name: "replica".to_owned(), value: "2".to_owned() });
        if request.params.get("user").is_some() {
            return Err(Fault::new(FaultKind::ModelFailed, "the model is away"));
        }
        Ok(Reply::ok(RESPONSE))
    }

    async fn chat(&self, _body: Bytes, _context: &mut RequestContext) -> Result<Reply, Fault> {
        Ok(Reply::ok(
            r#"{"id":"c1","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#,
        ))
    }
}

pub(crate) struct Running {
    pub(crate) server: RunningServer,
    pub(crate) watch: Arc<Watch>,
}

impl Running {
    pub(crate) async fn new(limits: HttpLimits) -> Self {
        let watch = Watch::new();
        let agent: Arc<dyn Agent> = Arc::new(FakeAgent(name("fake_agent"), Arc::clone(&watch)));
        let keep_alive = limits.stream_keep_alive;
        let served = |known: &str, kind, site: Arc<dyn Site>| ServedPlan {
            name: name(known),
            kind,
            site,
            implementation: "example".to_owned(),
            directory: "environments/example".to_owned(),
            entrypoint: "app.py".to_owned(),
        };
        let plan = ServerPlan {
            servers: vec![
                served("fake", ServerKind::ResourcesServers, Arc::new(Fake(Arc::clone(&watch)))),
                served(
                    "fake_agent",
                    ServerKind::ResponsesApiAgents,
                    Arc::new(
                        AgentSite::new(Arc::clone(&agent), keep_alive)
                            .with_sessions(Some(name("fake")), Duration::from_secs(300)),
                    ),
                ),
                served(
                    "fake_model",
                    ServerKind::ResponsesApiModels,
                    Arc::new(ModelSite::new(Arc::new(FakeModel(name("fake_model"))), keep_alive)),
                ),
                served(
                    "fake_environment_server",
                    ServerKind::EnvironmentServers,
                    Arc::new(EnvironmentSite::new(agent)),
                ),
            ],
            head: Some(HeadPlan {
                config_yaml: Arc::new(|| "fake:\n  \"a\": 1\n".to_owned()),
                runtime_status: Arc::new(|| serde_json::json!({"sessions": 0})),
            }),
            limits,
        };
        let at = |purpose| ListenAt { purpose, host: "127.0.0.1".to_owned(), port: Some(0) };
        let wanted = [
            at(Purpose::Head),
            at(Purpose::Gateway),
            at(Purpose::Server(name("fake"))),
            at(Purpose::Server(name("fake_agent"))),
            at(Purpose::Server(name("fake_model"))),
            at(Purpose::Server(name("fake_environment_server"))),
        ];
        let listeners = Listeners::bind(&wanted, &PortRange::default()).await.unwrap();
        Self { server: Server::start(plan, listeners).unwrap(), watch }
    }

    pub(crate) fn address(&self, purpose: &Purpose) -> SocketAddr {
        self.server.addresses().iter().find(|bound| bound.purpose == *purpose).unwrap().address
    }

    pub(crate) fn fake(&self) -> SocketAddr {
        self.address(&Purpose::Server(name("fake")))
    }
}
