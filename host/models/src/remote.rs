// SPDX-License-Identifier: Apache-2.0
//! Servers that run elsewhere: NeMo Gym's own, or those of another gym-host, over HTTP.

mod cookies;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Agent, Cookies, Model, ModelRoute, Reply, RequestContext, ResourcesServer, Route, Session, Streamed};
use gym_protocol::{Fault, FaultKind, ModelRequest, ObjectWriter, ServerName};
use http::{HeaderName, header};
use serde_json::{Map, Value};

use crate::hosted::escape;
use crate::openai::{base_url, streamed, without_streaming};
use crate::outbound::transport::is_http_url;
use crate::outbound::{Answered, Call, Opening, Outbound, Policy, Repeat, Upstream};
use crate::settings::{ModelError, Settings};

/// The address of a server, and the way to it.
#[derive(Clone)]
struct Remote {
    name: ServerName,
    base: String,
    upstream: Arc<Upstream>,
    /// `observability_enabled`.
    observability: bool,
}

/// Which prefix a call carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// Servers whose calls may be captured: models.
    Capture,
    /// Only where rollouts are observed: resources servers.
    Observed,
    /// Whenever the rollout has an id: agents.
    Always,
}

impl Remote {
    /// `block` may set the keys of [`Policy`].
    fn new(settings: Settings<'_>, url: &str, outbound: &Outbound, fault: FaultKind) -> Result<Self, ModelError> {
        let name = settings.server();
        if !is_http_url(url) {
            return Err(settings.wrong("url", "an http or https URL", &url.into()));
        }
        let base = url.trim_end_matches('/').to_owned();
        let upstream = outbound.upstream(name, &base, Policy::read(settings)?, fault);
        Ok(Self { name: name.clone(), base, upstream, observability: outbound.observability() })
    }

    /// A POST with the cookies and the trace of the client, under its rollout prefix if there is to be one.
    fn call(&self, path: &str, body: Bytes, cookies: &Cookies, context: &RequestContext, kind: Prefix) -> Call {
        let wanted = match kind {
            Prefix::Capture => self.observability || context.prefixed || context.token_capture,
            Prefix::Observed => self.observability,
            Prefix::Always => true,
        };
        let prefix = match context.rollout_id.as_ref().filter(|_| wanted) {
            None => String::new(),
            Some(id) if kind != Prefix::Observed && context.token_capture => {
                format!("/ng-rollout/{}/training-token-capture", escape(id))
            }
            Some(id) => format!("/ng-rollout/{}", escape(id)),
        };
        let mut call = Call::json(format!("{}{prefix}{path}", self.base), body);
        if !cookies.is_empty() {
            call = call.header(header::COOKIE, &cookies.header());
        }
        match &context.traceparent {
            Some(traceparent) => call.header(HeaderName::from_static("traceparent"), traceparent),
            None => call,
        }
    }
}

/// An answer as a reply. `Retry-After` is kept if it is a number of seconds.
fn reply(answered: Answered) -> Reply {
    let retry_after = answered.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Reply { status: answered.status, body: answered.body, retry_after }
}

/// A model server elsewhere.
pub struct RemoteModel(Remote);

impl RemoteModel {
    /// A model server at `url` (without path); `block` may set the keys of [`Policy`].
    pub fn new(
        name: &ServerName,
        url: &str,
        block: &Map<String, Value>,
        outbound: &Outbound,
    ) -> Result<Self, ModelError> {
        Remote::new(Settings::new(name, block), url, outbound, FaultKind::ModelFailed).map(Self)
    }

    /// `remote_model`: a block with `url`.
    pub(crate) fn from_settings(settings: Settings<'_>, outbound: &Outbound) -> Result<Self, ModelError> {
        let url = base_url(settings, "url")?;
        Remote::new(settings, &url, outbound, FaultKind::ModelFailed).map(Self)
    }

    async fn post(&self, path: &str, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        let call = self.0.call(path, body, &context.cookies, context, Prefix::Capture);
        let answered = self.0.upstream.post(&call, Repeat::Always).await?;
        cookies::update(&mut context.cookies, &answered.headers);
        Ok(reply(answered))
    }
}

#[async_trait]
impl Model for RemoteModel {
    fn name(&self) -> &ServerName {
        &self.0.name
    }

    async fn respond(&self, mut request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        without_streaming(&mut request.params);
        self.post("/v1/responses", request.to_body(), context).await
    }

    async fn chat(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        self.post("/v1/chat/completions", body, context).await
    }

    async fn messages(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        self.post("/v1/messages", body, context).await
    }

    async fn respond_stream(
        &self,
        route: ModelRoute,
        body: &Bytes,
        context: &mut RequestContext,
    ) -> Option<Result<Streamed, Fault>> {
        let path = match route {
            ModelRoute::Responses => "/v1/responses",
            ModelRoute::Chat => "/v1/chat/completions",
            ModelRoute::Messages => "/v1/messages",
        };
        let call = self.0.call(path, body.clone(), &context.cookies, context, Prefix::Capture);
        let opened = self.0.upstream.stream(&call).await;
        if let Ok(Opening::Stream { headers, .. } | Opening::Answered(Answered { headers, .. })) = &opened {
            cookies::update(&mut context.cookies, headers);
        }
        Some(opened.map(streamed))
    }
}

/// A resources server elsewhere.
pub struct RemoteResourcesServer(Remote);

impl RemoteResourcesServer {
    /// A resources server at `url` (without path); `block` may set the keys of [`Policy`].
    pub fn new(
        name: &ServerName,
        url: &str,
        block: &Map<String, Value>,
        outbound: &Outbound,
    ) -> Result<Self, ModelError> {
        Remote::new(Settings::new(name, block), url, outbound, FaultKind::Unreachable).map(Self)
    }
}

#[async_trait]
impl ResourcesServer for RemoteResourcesServer {
    fn name(&self) -> &ServerName {
        &self.0.name
    }

    fn session(&self, context: &RequestContext) -> Box<dyn Session> {
        Box::new(RemoteSession { remote: self.0.clone(), cookies: context.cookies.clone(), context: context.clone() })
    }

    async fn aggregate_metrics(&self, body: Bytes) -> Result<Reply, Fault> {
        let call =
            self.0.call("/aggregate_metrics", body, &Cookies::default(), &RequestContext::default(), Prefix::Observed);
        self.0.upstream.post(&call, Repeat::Unanswered).await.map(reply)
    }
}

/// A session at a resources server elsewhere: its cookies.
struct RemoteSession {
    remote: Remote,
    cookies: Cookies,
    context: RequestContext,
}

#[async_trait]
impl Session for RemoteSession {
    async fn post(&mut self, route: &Route, body: Bytes) -> Result<Reply, Fault> {
        let (path, repeat) = match route {
            Route::Seed => ("/seed_session".to_owned(), Repeat::Unsent),
            Route::Verify => ("/verify".to_owned(), Repeat::Unsent),
            // A name is one segment of the path, whatever it contains.
            Route::Tool(name) => (format!("/{}", escape(name)), Repeat::Unsent),
            Route::Reset => ("/reset".to_owned(), Repeat::Unsent),
            Route::Step => ("/step".to_owned(), Repeat::Unsent),
            Route::Close => ("/close".to_owned(), Repeat::Unsent),
            Route::CloseSession => ("/close_session".to_owned(), Repeat::Unanswered),
        };
        let call = self.remote.call(&path, body, &self.cookies, &self.context, Prefix::Observed);
        let answered = self.remote.upstream.post(&call, repeat).await?;
        cookies::update(&mut self.cookies, &answered.headers);
        Ok(reply(answered))
    }

    fn cookies(&self) -> &Cookies {
        &self.cookies
    }
}

/// An agent elsewhere.
pub struct RemoteAgent(Remote);

impl RemoteAgent {
    /// An agent at `url` (without path); `block` may set the keys of [`Policy`].
    pub fn new(
        name: &ServerName,
        url: &str,
        block: &Map<String, Value>,
        outbound: &Outbound,
    ) -> Result<Self, ModelError> {
        Remote::new(Settings::new(name, block), url, outbound, FaultKind::Unreachable).map(Self)
    }

    async fn post(&self, path: &str, body: Bytes, context: &mut RequestContext, repeat: Repeat) -> Reply {
        let call = self.0.call(path, body, &context.cookies, context, Prefix::Always);
        match self.0.upstream.post(&call, repeat).await {
            Ok(answered) => {
                cookies::update(&mut context.cookies, &answered.headers);
                reply(answered)
            }
            Err(fault) => {
                tracing::warn!(server = %self.0.name, internal = fault.internal, "{fault}");
                let mut detail = ObjectWriter::with_capacity(fault.message.len() + 16);
                detail.string("detail", &fault.message);
                let body = detail.finish().bytes().clone();
                Reply { status: fault.kind.http_status(), body, retry_after: fault.retry_after }
            }
        }
    }
}

#[async_trait]
impl Agent for RemoteAgent {
    fn name(&self) -> &ServerName {
        &self.0.name
    }

    async fn run(&self, row: Bytes, context: &mut RequestContext) -> Reply {
        self.post("/run", row, context, Repeat::Unsent).await
    }

    async fn responses(&self, body: Bytes, context: &mut RequestContext) -> Reply {
        self.post("/v1/responses", body, context, Repeat::Unsent).await
    }

    async fn aggregate_metrics(&self, body: Bytes) -> Reply {
        self.post("/aggregate_metrics", body, &mut RequestContext::default(), Repeat::Unanswered).await
    }
}

#[cfg(test)]
mod tests;
