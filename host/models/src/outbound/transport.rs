// SPDX-License-Identifier: Apache-2.0
//! One HTTP exchange, without any policy.

use std::error::Error as _;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::secret::Secret;

/// A POST request. Cloning is cheap enough to repeat it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The whole URL.
    pub url: String,
    /// Headers besides those that the client sets itself.
    pub headers: HeaderMap,
    /// The body, written once and sent as it is.
    pub body: Bytes,
}

impl Call {
    /// A request with a JSON body.
    pub fn json(url: impl Into<String>, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { url: url.into(), headers, body }
    }

    /// Adds `Authorization: Bearer …`. An empty key, or one that cannot be in a header, is left out.
    pub fn bearer(mut self, key: &Secret) -> Self {
        if !key.is_empty()
            && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", key.reveal()))
        {
            value.set_sensitive(true);
            self.headers.insert(header::AUTHORIZATION, value);
        }
        self
    }

    /// Sets headers, replacing those of the same name.
    pub fn headers<'a>(mut self, headers: impl IntoIterator<Item = &'a (HeaderName, HeaderValue)>) -> Self {
        for (name, value) in headers {
            self.headers.insert(name.clone(), value.clone());
        }
        self
    }

    /// Sets one header if the value can be in one.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// The body of an answer as it arrives.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send>>;

/// An answer whose head has arrived.
pub struct Opened {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: BodyStream,
}

/// Why an exchange failed. The texts are for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// There is no connection, so nothing was sent.
    #[error("failed to connect: {0}")]
    Connect(String),
    /// The connection broke, or the answer is not HTTP. The request may have been carried out.
    #[error("the exchange broke off: {0}")]
    Broken(String),
}

/// Something that carries requests. Dropping the future, or the body, ends the exchange.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the head of the answer.
    async fn open(&self, call: &Call) -> Result<Opened, TransportError>;
}

/// Limits of the connection pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// How long connecting may take, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Python servers close theirs after 5 s, so this is less.
    pub idle_timeout: Duration,
    /// Unused connections kept for one host.
    pub idle_per_host: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), idle_timeout: Duration::from_secs(4), idle_per_host: 1024 }
    }
}

/// Real HTTP with one connection pool.
pub struct HttpTransport(reqwest::Client);

impl HttpTransport {
    /// Sets up the pool. The error is for operators.
    pub fn new(settings: PoolSettings) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.idle_per_host)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::custom(same_origin))
            .user_agent(concat!("gym-host/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        for proxy in proxies(|name| std::env::var(name).ok()) {
            builder = builder.proxy(proxy.map_err(|error| error.to_string())?);
        }
        builder.build().map(Self).map_err(|error| error.to_string())
    }
}

/// Redirects are followed within one origin only: a key is never sent to another host.
fn same_origin(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let same = attempt.previous().last().is_some_and(|last| last.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= 3 { attempt.follow() } else { attempt.stop() }
}

/// The proxies of the usual environment variables. This machine itself is never reached through one.
pub(crate) fn proxies(variable: impl Fn(&str) -> Option<String>) -> Vec<Result<reqwest::Proxy, reqwest::Error>> {
    let set = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let mut direct = "localhost,127.0.0.0/8,::1".to_owned();
    if let Some(more) = set(&["NO_PROXY", "no_proxy"]) {
        direct = format!("{direct},{more}");
    }
    let direct = reqwest::NoProxy::from_string(&direct);
    let mut found = Vec::new();
    if let Some(url) = set(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) {
        found.push(reqwest::Proxy::https(url).map(|proxy| proxy.no_proxy(direct.clone())));
    }
    if let Some(url) = set(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]) {
        found.push(reqwest::Proxy::http(url).map(|proxy| proxy.no_proxy(direct)));
    }
    found
}

#[async_trait]
impl Transport for HttpTransport {
    async fn open(&self, call: &Call) -> Result<Opened, TransportError> {
        let request = self.0.post(&call.url).headers(call.headers.clone()).body(call.body.clone());
        let response = request.send().await.map_err(classify)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = Box::pin(response.bytes_stream().map(|chunk| chunk.map_err(classify)));
        Ok(Opened { status, headers, body })
    }
}

/// Whether `url` is one that can be called.
pub fn is_http_url(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn classify(error: reqwest::Error) -> TransportError {
    let connect = error.is_connect() || error.is_builder();
    let error = error.without_url();
    // The reason is in the chain of sources only.
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(reason) = source {
        text = format!("{text}: {reason}");
        source = reason.source();
    }
    if connect { TransportError::Connect(text) } else { TransportError::Broken(text) }
}
