// SPDX-License-Identifier: Apache-2.0
//! Requests that are made again when that can help, and downloads that go on where they stopped.

use std::{error::Error, path::Path, time::Duration};

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header, redirect};
use serde_json::Value;

use crate::{
    error::DatasetError,
    local::{Digests, Expected, Partial},
    secret::Token,
};

/// The longest answer that is read into memory, in bytes.
const ANSWER: usize = 64 << 20;
/// How much of a refusal is shown, in characters.
const SHOWN: usize = 300;
/// A server that sends nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Uploads may be as slow as this, in bytes a second.
const SLOWEST: u64 = 20_000;
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// How often something is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub attempts: u32,
    /// Before the second attempt; it doubles from then on.
    pub wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 5, wait: Duration::from_millis(500) }
    }
}

/// HTTP clients.
#[derive(Debug)]
pub(crate) struct Client {
    outward: reqwest::Client,
    /// For servers on this machine, which no proxy reaches.
    local: reqwest::Client,
    patience: Patience,
}

/// What a request is for, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Purpose<'a> {
    pub place: &'static str,
    /// The token's name in `env.yaml`.
    pub key: &'static str,
    pub token: Option<&'a Token>,
    /// Completes "refuses to …".
    pub action: String,
    /// Completes "has no …".
    pub what: String,
}

impl<'a> Purpose<'a> {
    fn mask(&self, text: &str) -> String {
        self.token.map_or_else(|| text.to_owned(), |token| token.mask(text))
    }

    pub(crate) fn nonsense(&self, reason: impl Into<String>) -> DatasetError {
        DatasetError::Answer { place: self.place, action: self.action.clone(), reason: self.mask(&reason.into()) }
    }

    fn unreachable(&self, reason: &str) -> DatasetError {
        DatasetError::Unreachable { place: self.place, action: self.action.clone(), reason: self.mask(reason) }
    }

    /// The same with another action.
    pub(crate) fn to(&self, action: impl Into<String>) -> Self {
        Self { action: action.into(), ..self.clone() }
    }

    /// The same as nobody: for addresses that are signed.
    pub(crate) fn unnamed(&self) -> Purpose<'static> {
        Purpose { place: self.place, key: self.key, token: None, action: self.action.clone(), what: self.what.clone() }
    }
}

impl Client {
    pub(crate) fn new(patience: Patience) -> Result<Self, DatasetError> {
        let make = |builder: reqwest::ClientBuilder| {
            builder
                .connect_timeout(Duration::from_secs(20))
                .redirect(redirect::Policy::custom(same_origin))
                .user_agent(concat!("gym-host/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| DatasetError::Unreachable {
                    place: "the network",
                    action: "make an HTTP client".to_owned(),
                    reason: error.to_string(),
                })
        };
        let outward = make(reqwest::Client::builder())?;
        let local = make(reqwest::Client::builder().no_proxy())?;
        Ok(Self { outward, local, patience })
    }

    /// A request as somebody.
    pub(crate) fn request(&self, method: Method, url: &Url, purpose: &Purpose<'_>) -> RequestBuilder {
        let client = if is_local(url) { &self.local } else { &self.outward };
        let request = client.request(method, url.clone());
        match purpose.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// Sends what `make` makes until there is an answer that another attempt would not change.
    pub(crate) async fn send(
        &self,
        purpose: &Purpose<'_>,
        size: u64,
        mut make: impl AsyncFnMut() -> Result<RequestBuilder, DatasetError>,
    ) -> Result<Response, DatasetError> {
        let limit = SILENCE + Duration::from_secs(size / SLOWEST);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let last = attempt >= self.patience.attempts;
            let mut wait = self.patience.wait.saturating_mul(1 << attempt.min(10)) / 2;
            match tokio::time::timeout(limit, make().await?.send()).await {
                Ok(Ok(response)) if !passing(response.status()) => return Ok(response),
                Ok(Ok(response)) => {
                    if last {
                        let status = response.status();
                        let text = said(response).await;
                        return Err(purpose.unreachable(&format!("{status}, {attempt} times: {text}")));
                    }
                    let after = response.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
                    if let Some(seconds) = after.and_then(|after| after.parse().ok()) {
                        wait = wait.max(Duration::from_secs(seconds).min(LONGEST_WAIT));
                    }
                }
                Ok(Err(error)) if last || error.is_builder() => return Err(purpose.unreachable(&reason(error))),
                Err(_) if last => return Err(purpose.unreachable("it does not answer in time")),
                Ok(Err(_)) | Err(_) => {}
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends a request without a body, or with JSON.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &Url,
        purpose: &Purpose<'_>,
        body: Option<&Value>,
    ) -> Result<Response, DatasetError> {
        self.send(purpose, 0, async || {
            let request = self.request(method.clone(), url, purpose);
            Ok(match body {
                Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string()),
                None => request,
            })
        })
        .await
    }

    /// The JSON of a successful answer.
    pub(crate) async fn json(
        &self,
        method: Method,
        url: &Url,
        purpose: &Purpose<'_>,
        body: Option<&Value>,
    ) -> Result<Value, DatasetError> {
        let response = succeeded(self.ask(method, url, purpose, body).await?, purpose).await?;
        read(response, purpose).await
    }

    /// Fetches a file. What arrived before is kept if its content is known to be the same.
    pub(crate) async fn download(
        &self,
        url: &Url,
        purpose: &Purpose<'_>,
        target: &Path,
        expected: &Expected,
    ) -> Result<Digests, DatasetError> {
        let mut partial = Partial::open(target, expected.content())?;
        if expected.size.is_some_and(|size| partial.size > size) {
            partial.restart()?;
        }
        let mut fruitless = 0;
        while expected.size != Some(partial.size) || partial.size == 0 {
            let before = partial.size;
            let response = self.open(url, purpose, partial.size).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT if begins_at(&response, partial.size) => {}
                StatusCode::RANGE_NOT_SATISFIABLE if before > 0 => {
                    partial.restart()?;
                    continue;
                }
                _ => {
                    if !response.status().is_success() {
                        return Err(refused(response, purpose).await);
                    }
                    partial.restart()?;
                }
            }
            let Err(problem) = receive(response, &mut partial).await else { break };
            let problem = match problem {
                Cut::Network(problem) => problem,
                Cut::Disk(error) => return Err(error),
            };
            fruitless = if partial.size > before { 1 } else { fruitless + 1 };
            if fruitless >= self.patience.attempts {
                return Err(purpose.unreachable(&problem));
            }
            if expected.content().is_none() {
                // Another attempt may be of another content.
                partial.restart()?;
                fruitless += 1;
            }
            tokio::time::sleep(self.patience.wait).await;
        }
        partial.finish(expected)
    }

    /// Asks for a file, and where it is elsewhere, there; the token stays with its own server.
    async fn open(&self, url: &Url, purpose: &Purpose<'_>, from: u64) -> Result<Response, DatasetError> {
        let mut url = url.clone();
        let nobody = purpose.unnamed();
        let mut as_whom = purpose;
        for _ in 0..=REDIRECTS {
            let response = self
                .send(as_whom, 0, async || {
                    let request = self.request(Method::GET, &url, as_whom).header(header::ACCEPT_ENCODING, "identity");
                    Ok(if from > 0 { request.header(header::RANGE, format!("bytes={from}-")) } else { request })
                })
                .await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let next = response.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
            let next = next.and_then(|place| url.join(place).ok());
            url = next.ok_or_else(|| purpose.nonsense("a redirect to nowhere"))?;
            as_whom = &nobody;
        }
        Err(purpose.nonsense("too many redirects"))
    }
}

enum Cut {
    Network(String),
    Disk(DatasetError),
}

async fn receive(mut response: Response, partial: &mut Partial) -> Result<(), Cut> {
    loop {
        match tokio::time::timeout(SILENCE, response.chunk()).await {
            Ok(Ok(Some(bytes))) => partial.write(&bytes).map_err(Cut::Disk)?,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(Cut::Network(reason(error))),
            Err(_) => return Err(Cut::Network("it stopped sending".to_owned())),
        }
    }
}

/// Whether a partial answer begins where it was asked to.
fn begins_at(response: &Response, from: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

/// Whether the same request may succeed later.
fn passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

pub(crate) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A token goes to no other server.
fn same_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let same = attempt.previous().last().is_some_and(|before| before.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

/// Why a request failed, without its address, which may be signed.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The answer, if it is a success.
pub(crate) async fn succeeded(response: Response, purpose: &Purpose<'_>) -> Result<Response, DatasetError> {
    if response.status().is_success() { Ok(response) } else { Err(refused(response, purpose).await) }
}

/// What an answer that is no success means.
pub(crate) async fn refused(response: Response, purpose: &Purpose<'_>) -> DatasetError {
    let status = response.status();
    let answer = format!("{} {}", status.as_u16(), purpose.mask(&said(response).await));
    let Purpose { place, key, action, what, .. } = purpose.clone();
    match status.as_u16() {
        401 | 403 => DatasetError::Token { place, key, answer: answer.trim().to_owned() },
        404 | 410 => DatasetError::Missing { place, what },
        _ => DatasetError::Refused { place, action, answer: answer.trim().to_owned() },
    }
}

/// What a server says about a refusal, in short.
async fn said(response: Response) -> String {
    let text = bounded(response, 64 << 10).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let message = serde_json::from_str::<Value>(&text).ok().and_then(|value| {
        let names = ["message", "error", "error_description", "error_code"];
        names.into_iter().find_map(|name| value.get(name)?.as_str().map(str::to_owned))
    });
    let text = message.unwrap_or_else(|| text.into_owned());
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect()
}

/// The JSON of an answer.
pub(crate) async fn read(response: Response, purpose: &Purpose<'_>) -> Result<Value, DatasetError> {
    let text = bounded(response, ANSWER).await.map_err(|problem| purpose.unreachable(&problem))?;
    serde_json::from_slice(&text).map_err(|error| purpose.nonsense(format!("it is not JSON: {error}")))
}

async fn bounded(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    loop {
        match tokio::time::timeout(SILENCE, response.chunk()).await {
            Ok(Ok(Some(bytes))) if text.len() + bytes.len() <= limit => text.extend_from_slice(&bytes),
            Ok(Ok(Some(_))) => return Err(format!("the answer is longer than {limit} bytes")),
            Ok(Ok(None)) => return Ok(text),
            Ok(Err(error)) => return Err(reason(error)),
            Err(_) => return Err("it stopped sending".to_owned()),
        }
    }
}

/// An address with parts of a path added, which may hold any characters.
pub(crate) fn below<'p>(base: &Url, parts: impl IntoIterator<Item = &'p str>) -> Url {
    let mut url = base.clone();
    // Addresses that cannot have paths are refused where they are read.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(parts);
    }
    url
}
