// SPDX-License-Identifier: Apache-2.0
//! Endpoints that a server's configuration grants to its environment: HTTP and WebSocket, behind
//! [`gym_agents::network::Network`].
//!
//! The environment says a name and a path. Which address that is, and which headers go with it, it does not learn; and
//! whatever path it says, the request goes to that address and below its path. No redirect is followed.

mod websocket;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use gym_agents::network::{HttpReply, HttpRequest, Network, NetworkChannel, NetworkError};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::outbound::{PoolSettings, transport::proxies};

/// Headers that a request's own have no say in.
const OWN_HEADERS: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
];

/// Why endpoints cannot be granted.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The block is not a map from names to endpoints.
    #[error("`endpoints` must be a map from names to URLs, or to `{{url: …, headers: {{…}}}}`: {0}")]
    Shape(#[source] serde_json::Error),
    /// A URL cannot be called.
    #[error("endpoint `{name}`: `{url}` is no URL that begins with http, https, ws or wss and has no query")]
    Url {
        /// Name of the endpoint.
        name: String,
        /// The URL.
        url: String,
    },
    /// A header cannot be sent.
    #[error("endpoint `{name}`: the header `{header}` cannot be sent")]
    Header {
        /// Name of the endpoint.
        name: String,
        /// Name of the header.
        header: String,
    },
    /// There is no HTTP client.
    #[error("failed to set up the HTTP client: {0}")]
    Client(String),
}

/// How an endpoint is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Url(String),
    Whole(Whole),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

struct Endpoint {
    /// Without a slash at the end.
    url: Url,
    headers: HeaderMap,
}

/// The endpoints of one server.
pub struct Endpoints {
    client: reqwest::Client,
    by_name: BTreeMap<String, Endpoint>,
}

impl Endpoints {
    /// Reads the map `endpoints` of a server's block: from names to URLs, or to a `url` with `headers` that go with every
    /// request.
    pub fn from_json(endpoints: &Value) -> Result<Self, EndpointError> {
        let written: BTreeMap<String, Written> = Deserialize::deserialize(endpoints).map_err(EndpointError::Shape)?;
        let mut by_name = BTreeMap::new();
        for (name, written) in written {
            let whole = match written {
                Written::Url(url) => Whole { url, headers: BTreeMap::new() },
                Written::Whole(whole) => whole,
            };
            let url = base_url(&whole.url).ok_or_else(|| EndpointError::Url { name: name.clone(), url: whole.url })?;
            let mut headers = HeaderMap::new();
            for (header, value) in &whole.headers {
                let wrong = || EndpointError::Header { name: name.clone(), header: header.clone() };
                let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
                value.set_sensitive(true);
                headers.insert(HeaderName::try_from(header.as_str()).map_err(|_| wrong())?, value);
            }
            by_name.insert(name, Endpoint { url, headers });
        }
        let pool = PoolSettings::default();
        let mut client = reqwest::Client::builder()
            .connect_timeout(pool.connect_timeout)
            // A connection for each request: nothing is sent twice, so one that the other side is about to close (as
            // some do after an error of theirs) would be a fault.
            .pool_max_idle_per_host(0)
            .tcp_keepalive(Duration::from_secs(60))
            .tcp_nodelay(true)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("gym-host/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        for proxy in proxies(|name| std::env::var(name).ok()) {
            client = client.proxy(proxy.map_err(|error| EndpointError::Client(error.to_string()))?);
        }
        let client = client.build().map_err(|error| EndpointError::Client(error.to_string()))?;
        Ok(Self { client, by_name })
    }

    fn endpoint(&self, name: &str) -> Result<&Endpoint, NetworkError> {
        self.by_name.get(name).ok_or_else(|| NetworkError::UnknownEndpoint(name.to_owned()))
    }
}

/// The URL of an endpoint. The schemes of WebSocket mean the same addresses as those of HTTP.
fn base_url(text: &str) -> Option<Url> {
    let text = match text.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => text.to_owned(),
    };
    let url = Url::parse(text.trim_end_matches('/')).ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain).then_some(url)
}

impl Endpoint {
    /// The whole URL: the endpoint's, followed by `path`. It never leads elsewhere.
    fn join(&self, name: &str, path: &str) -> Result<Url, NetworkError> {
        let wrong = || NetworkError::Unavailable(format!("`{path}` is no path below endpoint `{name}`"));
        if !path.is_empty() && !path.starts_with(['/', '?']) {
            return Err(wrong());
        }
        let base = self.url.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}{path}")).map_err(|_| wrong())?;
        let below = self.url.path().trim_end_matches('/');
        let stays = url.origin() == self.url.origin()
            && url.username().is_empty()
            && url.path().strip_prefix(below).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if stays { Ok(url) } else { Err(wrong()) }
    }
}

/// What a failed request means, without the address.
fn unavailable(name: &str, error: &reqwest::Error) -> NetworkError {
    let what = if error.is_connect() {
        "cannot be reached"
    } else if error.is_timeout() {
        "is too slow"
    } else {
        "broke off the connection"
    };
    tracing::debug!(endpoint = name, ?error, "a request to an endpoint failed");
    NetworkError::Unavailable(format!("endpoint `{name}` {what}"))
}

#[async_trait]
impl Network for Endpoints {
    async fn exchange(&self, name: &str, request: HttpRequest, most: usize) -> Result<HttpReply, NetworkError> {
        let endpoint = self.endpoint(name)?;
        let url = endpoint.join(name, &request.path)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT)
            .ok_or_else(|| NetworkError::Unavailable(format!("`{}` is no HTTP method", request.method)))?;
        let mut headers = HeaderMap::new();
        for (header, value) in &request.headers {
            let wrong = || NetworkError::Unavailable(format!("the header `{header}` cannot be sent"));
            let header = HeaderName::try_from(header.as_str()).map_err(|_| wrong())?;
            let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            if !OWN_HEADERS.contains(&header) {
                headers.append(header, value);
            }
        }
        // What the configuration says wins.
        headers.extend(endpoint.headers.clone());
        let sent = self.client.request(method, url).headers(headers).body(request.body).send().await;
        let response = sent.map_err(|error| unavailable(name, &error))?;
        let status = response.status().as_u16();
        let text_of =
            |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
        let headers = response.headers().iter().filter_map(text_of).collect();
        let mut body = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| unavailable(name, &error))?;
            if body.len() + chunk.len() > most {
                return Err(NetworkError::TooLarge { endpoint: name.to_owned(), most });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply { status, headers, body: body.freeze() })
    }

    async fn open(&self, name: &str, path: &str, most: usize) -> Result<Box<dyn NetworkChannel>, NetworkError> {
        let endpoint = self.endpoint(name)?;
        let url = endpoint.join(name, path)?;
        let request = self.client.get(url).headers(endpoint.headers.clone());
        Ok(Box::new(websocket::open(name, request, most).await?))
    }
}

#[cfg(test)]
mod tests;
