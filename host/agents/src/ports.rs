// SPDX-License-Identifier: Apache-2.0
//! What agents need from the rest of the world, and what the rest of the world needs from agents.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use gym_protocol::{Fault, Raw, ServerName};
use tokio::sync::mpsc;

/// An answer as it would go over HTTP. Errors that a server answers itself (404, 422, 500, …) are replies too; a
/// [`Fault`] instead of a reply means that there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body, normally JSON.
    pub body: Bytes,
    /// Seconds for the `Retry-After` header.
    pub retry_after: Option<u32>,
}

impl Reply {
    /// A reply with this status and body.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), retry_after: None }
    }

    /// Status 200.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(200, body)
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A cookie that one server set for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name, unique to the server that set it.
    pub name: String,
    /// Its value, opaque to everyone else.
    pub value: String,
}

/// The cookies that a client sent, or would send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies(Vec<Cookie>);

impl Cookies {
    /// Reads the values of `Cookie` headers. What is not a cookie is passed over; quotes around a value are removed.
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut cookies = Self::default();
        for part in headers.into_iter().flat_map(|header| header.split(';')) {
            if let Some((name, value)) = part.trim().split_once('=') {
                let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
                cookies.set(Cookie { name: name.trim().to_owned(), value: value.to_owned() });
            }
        }
        cookies
    }

    /// The value of a cookie.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    /// Adds a cookie, or replaces the one of that name.
    pub fn set(&mut self, cookie: Cookie) {
        match self.0.iter_mut().find(|known| known.name == cookie.name) {
            Some(known) => *known = cookie,
            None => self.0.push(cookie),
        }
    }

    /// Adds all cookies of `other`, replacing those of the same name.
    pub fn merge(&mut self, other: &Cookies) {
        for cookie in &other.0 {
            self.set(cookie.clone());
        }
    }

    /// All cookies.
    pub fn iter(&self) -> impl Iterator<Item = &Cookie> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a `Cookie` header.
    pub fn header(&self) -> String {
        self.0.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
    }
}

/// What travels beside a request's body.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The cookies of the client.
    pub cookies: Cookies,
    /// The id in an `/ng-rollout/<id>` prefix, of a typed episode or of a row.
    pub rollout_id: Option<String>,
    /// Whether the id came as a prefix or with a typed episode: then it goes on to model servers as a prefix.
    pub prefixed: bool,
    /// Whether the prefix went on with `/training-token-capture`.
    pub token_capture: bool,
    /// W3C `traceparent`, passed on as it came.
    pub traceparent: Option<String>,
    /// Where an agent tells each output item as it comes, for a caller that wants a stream. The items are those of the
    /// response's `output`, from its beginning; those that are not told before the response are only in it.
    pub watch: Option<ItemWatch>,
}

/// Tells output items to whoever made the channel. One who no longer listens is not an error.
#[derive(Clone, Debug)]
pub struct ItemWatch(mpsc::UnboundedSender<Raw>);

impl ItemWatch {
    /// A watch, and where its items arrive. Items are shared with the response, so the channel costs no copies.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Raw>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells one item.
    pub fn tell(&self, item: &Raw) {
        if self.0.send(item.clone()).is_err() {
            tracing::trace!("nobody listens to the items");
        }
    }
}

/// The POST routes of a resources server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/seed_session`
    Seed,
    /// `/verify`
    Verify,
    /// `/<tool>`. The name comes from a model or a URL and may be anything.
    Tool(String),
    /// `/reset` of a gymnasium-style server.
    Reset,
    /// `/step` of a gymnasium-style server.
    Step,
    /// `/close` of a gymnasium-style server.
    Close,
    /// `/close_session` of NeMo Gym 0.7.0.
    CloseSession,
}

/// A resources server, wherever it runs.
#[async_trait]
pub trait ResourcesServer: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &ServerName;

    /// A session for a client that came with these cookies: the one they name, or a new one. Nothing is sent or
    /// started before the first post.
    fn session(&self, context: &RequestContext) -> Box<dyn Session>;

    /// `POST /aggregate_metrics`.
    async fn aggregate_metrics(&self, body: Bytes) -> Result<Reply, Fault>;
}

/// One client's side of one session at one resources server.
#[async_trait]
pub trait Session: Send {
    /// Sends one request. Any HTTP status is a reply.
    async fn post(&mut self, route: &Route, body: Bytes) -> Result<Reply, Fault>;

    /// The cookies that name this session: those it was made with, updated by every reply.
    fn cookies(&self) -> &Cookies;

    /// Nothing more will come. A server in this process then ends the session at once, if it began with this value and
    /// not with a cookie that somebody else holds; elsewhere sessions end by themselves.
    async fn end(&mut self) {}
}

/// The POST routes of a model server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelRoute {
    /// `/v1/responses`
    Responses,
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/messages`
    Messages,
}

/// Chunks of `text/event-stream` as an upstream sent them. Dropping the stream ends the upstream call. An error is the
/// last thing that comes.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>;

/// The answer to a request for a stream.
pub enum Streamed {
    /// Status 200 and these bytes, to be passed on as they come.
    Events(EventStream),
    /// An answer in one piece, normally an error.
    Reply(Reply),
}

/// A model server, wherever it runs.
#[async_trait]
pub trait Model: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &ServerName;

    /// `POST /v1/responses`, not streaming: create params in, a Response object (or an error body) out. `context`
    /// carries the cookies of earlier replies, for sticky routing; the reply's cookies are set in it.
    async fn respond(&self, request: gym_protocol::ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault>;

    /// `POST /v1/chat/completions`, not streaming.
    async fn chat(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault>;

    /// `POST /v1/messages` (Anthropic Messages), not streaming. A model server without it answers 404.
    async fn messages(&self, _body: Bytes, _context: &mut RequestContext) -> Result<Reply, Fault> {
        Ok(Reply::new(404, Bytes::from_static(br#"{"detail":"Not Found"}"#)))
    }

    /// One of the three routes with `stream: true`. `None` when this server cannot stream such a request: then the
    /// caller makes the call without streaming and writes the events itself.
    async fn respond_stream(
        &self,
        _route: ModelRoute,
        _body: &Bytes,
        _context: &mut RequestContext,
    ) -> Option<Result<Streamed, Fault>> {
        None
    }
}

/// An agent: drives one session with one model.
#[async_trait]
pub trait Agent: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &ServerName;

    /// `POST /run`: a dataset row in, the verify reply out.
    async fn run(&self, row: Bytes, context: &mut RequestContext) -> Reply;

    /// `POST /v1/responses`: create params in, a Response object out. The cookies of the servers it used are set in
    /// `context`.
    async fn responses(&self, body: Bytes, context: &mut RequestContext) -> Reply;

    /// `POST /aggregate_metrics`.
    async fn aggregate_metrics(&self, body: Bytes) -> Reply;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_among_others_and_unquoted() {
        let cookies = Cookies::parse(["a=1; B___b=\"x.y\"; c=d=e", "a=2"]);
        assert_eq!(cookies.get("a"), Some("2"));
        assert_eq!(cookies.get("B___b"), Some("x.y"));
        assert_eq!(cookies.get("c"), Some("d=e"));
        assert_eq!(cookies.header(), "a=2; B___b=x.y; c=d=e");
    }
}
