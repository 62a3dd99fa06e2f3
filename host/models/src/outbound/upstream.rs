// SPDX-License-Identifier: Apache-2.0
//! Calls to one server elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use gym_agents::EventStream;
use gym_protocol::{Fault, FaultKind, Raw, ServerName};
use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use super::circuit::{Circuit, Pass, Refusal};
use super::failure::{Failure, FailureKind};
use super::policy::{Jitter, Policy, retry_after};
use super::stats::{Counters, ModelStats, Running, Waiting};
use super::transport::{BodyStream, Call, Opened, Transport};

/// When a call may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// After any failure that another try may cure: asking a model twice does no harm. A 2xx must be JSON, and errors
    /// of the upstream are failures.
    Always,
    /// When there was no answer at all: for routes that may be called twice. Any status is an answer.
    Unanswered,
    /// Only when it is certain that the upstream never saw it. Any status is an answer.
    Unsent,
}

/// What the upstream said.
#[derive(Clone, Debug)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// What came of a request for a stream.
pub enum Opening {
    /// A 2xx whose body is on its way.
    Stream {
        /// Headers.
        headers: HeaderMap,
        /// The body.
        events: EventStream,
    },
    /// Another answer.
    Answered(Answered),
}

/// The way to one server elsewhere.
pub struct Upstream {
    server: ServerName,
    url: String,
    policy: Policy,
    fault: FaultKind,
    transport: Arc<dyn Transport>,
    /// The gate of this upstream, and that of the process.
    gates: (Arc<Semaphore>, Arc<Semaphore>),
    circuit: Circuit,
    jitter: Jitter,
    counters: Arc<Counters>,
}

/// A call that may run: its places in both gates.
struct Admitted {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    _running: Running,
}

impl Upstream {
    pub(super) fn new(
        server: ServerName,
        url: &str,
        policy: Policy,
        fault: FaultKind,
        transport: Arc<dyn Transport>,
        gates: (Arc<Semaphore>, Arc<Semaphore>),
        jitter: Jitter,
    ) -> Self {
        let url = url.find("://").map_or(url, |scheme| {
            let host = &url[scheme + 3..];
            host.find('/').map_or(url, |path| &url[..scheme + 3 + path])
        });
        // Somebody may have written a password into the URL.
        let shown = match (url.find("://"), url.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
            _ => url.to_owned(),
        };
        let circuit = Circuit::new(policy.circuit_failures, policy.circuit_cooldown);
        Self { server, url: shown, policy, fault, transport, gates, circuit, jitter, counters: Arc::default() }
    }

    /// The counters.
    pub fn stats(&self) -> ModelStats {
        self.counters.snapshot(&self.server, &self.url, self.circuit.word())
    }

    /// Makes a call and reads the whole answer. Errors that are the caller's own doing (400, 404, 422, …) are answers;
    /// faults are of the infrastructure.
    pub async fn post(&self, call: &Call, repeat: Repeat) -> Result<Answered, Fault> {
        let deadline = Instant::now() + self.policy.total_timeout;
        let _admitted = self.admit(deadline).await?;
        self.with_retries(deadline, repeat, || async {
            let limit = deadline.min(Instant::now() + self.policy.attempt_timeout);
            let (opened, pass) = self.open(call, repeat, limit).await?;
            let Opened { status, headers, body } = match opened {
                Ok(opened) => opened,
                Err(answered) => {
                    pass.succeeded();
                    return Ok(answered);
                }
            };
            let read = self.read(body, announced(&headers), limit).await.and_then(|body| {
                if repeat == Repeat::Always && Raw::parse(body.clone()).is_err() {
                    return Err(Failure::new(
                        FailureKind::Garbage,
                        format!("status {status} with a body that is not JSON"),
                    ));
                }
                Ok(body)
            });
            match read {
                Ok(body) => {
                    pass.succeeded();
                    Ok(Answered { status, headers, body })
                }
                Err(failure) => {
                    pass.failed();
                    Err(failure)
                }
            }
        })
        .await
    }

    /// Makes a call and hands on the answer as it arrives. Until the head of the answer is there, failures are tried
    /// again; after that they end the stream.
    pub async fn stream(self: &Arc<Self>, call: &Call) -> Result<Opening, Fault> {
        let deadline = Instant::now() + self.policy.total_timeout;
        let admitted = self.admit(deadline).await?;
        let opened = self
            .with_retries(deadline, Repeat::Always, || async {
                let limit = deadline.min(Instant::now() + self.policy.attempt_timeout);
                let (opened, pass) = self.open(call, Repeat::Always, limit).await?;
                pass.succeeded();
                match opened {
                    Ok(opened) => Ok((opened.status, Err(opened))),
                    Err(answered) => Ok((answered.status, Ok(answered))),
                }
            })
            .await?;
        match opened.1 {
            Ok(answered) => Ok(Opening::Answered(answered)),
            Err(opened) => {
                let events = self.events(opened.body, deadline, admitted);
                Ok(Opening::Stream { headers: opened.headers, events })
            }
        }
    }

    /// The body as a stream that ends at the first failure, at the deadline, or when it is too large.
    fn events(self: &Arc<Self>, body: BodyStream, deadline: Instant, admitted: Admitted) -> EventStream {
        struct Reading {
            upstream: Arc<Upstream>,
            body: Option<BodyStream>,
            left: usize,
            _admitted: Admitted,
        }
        let left = self.policy.max_response_bytes;
        let reading = Reading { upstream: Arc::clone(self), body: Some(body), left, _admitted: admitted };
        Box::pin(futures_util::stream::unfold(reading, move |mut reading| async move {
            let body = reading.body.as_mut()?;
            let limit = deadline.min(Instant::now() + reading.upstream.policy.read_timeout);
            let failure = match timeout_at(limit, body.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(chunk))) if chunk.len() <= reading.left => {
                    reading.left -= chunk.len();
                    return Some((Ok(chunk), reading));
                }
                Ok(Some(Ok(_))) => Failure::new(FailureKind::TooLarge, "the stream is larger than allowed"),
                Ok(Some(Err(error))) => error.into(),
                Err(_) => Failure::timeout("the stream stood still"),
            };
            reading.body = None;
            reading.upstream.counters.failed(failure.kind.counter(), &failure.detail);
            let fault = reading.upstream.fault(&failure, 1);
            Some((Err(fault), reading))
        }))
    }

    /// Waits for a place in both gates.
    async fn admit(&self, deadline: Instant) -> Result<Admitted, Fault> {
        Counters::count(&self.counters.requests);
        let own = match Arc::clone(&self.gates.0).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if self.counters.waiting.load(Ordering::Relaxed) >= self.policy.max_waiting => {
                Counters::count(&self.counters.faults);
                return Err(Fault::busy(format!("too many calls wait for server `{}`", self.server), 5));
            }
            Err(_) => self.wait_at(&self.gates.0, deadline).await?,
        };
        let all = match Arc::clone(&self.gates.1).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait_at(&self.gates.1, deadline).await?,
        };
        Ok(Admitted { _own: own, _all: all, _running: Running::enter(&self.counters) })
    }

    async fn wait_at(&self, gate: &Arc<Semaphore>, deadline: Instant) -> Result<OwnedSemaphorePermit, Fault> {
        let _waiting = Waiting::enter(&self.counters);
        match timeout_at(deadline, Arc::clone(gate).acquire_owned()).await {
            Ok(permit) => Ok(permit.expect("the gates are never closed")),
            Err(_) => {
                Counters::count(&self.counters.faults);
                Err(Fault::busy(format!("waited too long for server `{}`, which has too many calls", self.server), 30))
            }
        }
    }

    /// Runs tries until one gives an answer, or no more are allowed.
    async fn with_retries<T: Counted, F: Future<Output = Result<T, Failure>>>(
        &self,
        deadline: Instant,
        repeat: Repeat,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match attempt().await {
                Ok(answer) => {
                    let answered = (200..300).contains(&answer.status());
                    Counters::count(if answered { &self.counters.answered } else { &self.counters.refused });
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            self.counters.failed(failure.kind.counter(), &failure.detail);
            tracing::debug!(server = %self.server, tries, detail = failure.detail, "call failed");
            let wait = self.policy.backoff(tries, failure.wait, &self.jitter);
            let again = tries < self.policy.max_attempts
                && self.may_repeat(failure.kind, repeat)
                && Instant::now() + wait < deadline;
            if !again {
                Counters::count(&self.counters.faults);
                return Err(self.fault(&failure, tries));
            }
            Counters::count(&self.counters.retries);
            sleep(wait).await;
        }
    }

    fn may_repeat(&self, kind: FailureKind, repeat: Repeat) -> bool {
        match kind {
            FailureKind::Connect | FailureKind::CircuitOpen => true,
            FailureKind::Timeout | FailureKind::Broken => repeat != Repeat::Unsent,
            FailureKind::Garbage => repeat == Repeat::Always,
            FailureKind::Status(status) => repeat == Repeat::Always && self.policy.retries(status),
            FailureKind::TooLarge | FailureKind::Final(_) => false,
        }
    }

    /// Sends once. A 2xx (unless [`Repeat::Always`], any status) comes back with its body unread; another answer that is
    /// not a failure with its body read.
    async fn open(
        &self,
        call: &Call,
        repeat: Repeat,
        limit: Instant,
    ) -> Result<(Result<Opened, Answered>, Pass<'_>), Failure> {
        let pass = self.circuit.enter().map_err(|refusal| match refusal {
            Refusal::Open(wait) => {
                Failure { wait: Some(wait), ..Failure::new(FailureKind::CircuitOpen, "the circuit is open") }
            }
            Refusal::Permanent(reason) => Failure::new(FailureKind::Final(reason), reason),
        })?;
        Counters::count(&self.counters.attempts);
        let opened = match timeout_at(limit, self.transport.open(call)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                pass.failed();
                return Err(error.into());
            }
            Err(_) => {
                pass.failed();
                return Err(Failure::timeout("no answer in time"));
            }
        };
        if repeat != Repeat::Always || (200..300).contains(&opened.status) {
            return Ok((Ok(opened), pass));
        }
        let Opened { status, headers, body } = opened;
        let wait = retry_after(&headers, SystemTime::now());
        let body = match self.read(body, announced(&headers), limit).await {
            Ok(body) => body,
            Err(failure) => {
                pass.failed();
                return Err(failure);
            }
        };
        let failure = Failure { wait, ..Failure::new(FailureKind::Status(status), shown(status, &body)) };
        if let Some(reason) = refused_for_good(status, &body) {
            pass.failed_for_good(reason);
            return Err(Failure { kind: FailureKind::Final(reason), ..failure });
        }
        match status {
            // Too busy, or too early: says nothing bad of its health.
            408 | 409 | 425 | 429 => Err(failure),
            500.. => {
                pass.failed();
                Err(failure)
            }
            _ if self.policy.retries(status) || !(400..500).contains(&status) || matches!(status, 401 | 403) => {
                Err(failure)
            }
            _ => Ok((Err(Answered { status, headers, body }), pass)),
        }
    }

    /// Reads a body up to the limits. `announced` is its length as the upstream says, for one buffer of that size.
    async fn read(&self, mut body: BodyStream, announced: usize, limit: Instant) -> Result<Bytes, Failure> {
        let mut whole: Option<Bytes> = None;
        let mut buffer = BytesMut::new();
        loop {
            let limit = limit.min(Instant::now() + self.policy.read_timeout);
            let chunk = match timeout_at(limit, body.next()).await {
                Ok(None) => break,
                Ok(Some(chunk)) => chunk?,
                Err(_) => return Err(Failure::timeout("the body did not arrive in time")),
            };
            let so_far = whole.as_ref().map_or(buffer.len(), Bytes::len);
            if so_far + chunk.len() > self.policy.max_response_bytes {
                return Err(Failure::new(FailureKind::TooLarge, "the body is larger than allowed"));
            }
            // A body that comes in one piece is not copied.
            match whole.take() {
                None if buffer.is_empty() => whole = Some(chunk),
                first => {
                    if let Some(first) = first {
                        buffer.reserve(announced.min(self.policy.max_response_bytes).min(LARGEST_RESERVATION));
                        buffer.extend_from_slice(&first);
                    }
                    buffer.extend_from_slice(&chunk);
                }
            }
        }
        Ok(whole.unwrap_or_else(|| buffer.freeze()))
    }

    /// The fault that ends a call.
    fn fault(&self, failure: &Failure, tries: u32) -> Fault {
        let kind = match failure.kind {
            FailureKind::Connect => FaultKind::Unreachable,
            _ => self.fault,
        };
        let tries = if tries > 1 { format!(" ({tries} tries)") } else { String::new() };
        let message = format!("server `{}` {}{tries}", self.server, failure.kind.text());
        let mut fault = Fault::new(kind, message).with_internal(format!("{}: {}", self.url, failure.detail));
        fault.retry_after = failure.wait.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1));
        fault
    }
}

/// What is reserved at once for a body, whatever its `Content-Length` promises.
const LARGEST_RESERVATION: usize = 64 << 20;

/// `Content-Length`, or 0.
fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Something with a status to count.
trait Counted {
    fn status(&self) -> u16;
}

impl Counted for Answered {
    fn status(&self) -> u16 {
        self.status
    }
}

impl Counted for (u16, Result<Answered, Opened>) {
    fn status(&self) -> u16 {
        self.0
    }
}

/// The status and the beginning of the body, for operators.
fn shown(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    format!("status {status}: {}", text.escape_debug())
}

/// The reason when no further request makes sense: the key is invalid, or the quota is used up.
fn refused_for_good(status: u16, body: &[u8]) -> Option<&'static str> {
    const INVALID_KEY: [&str; 4] =
        ["invalid_api_key", "incorrect_api_key", "invalid_authentication", "account_deactivated"];
    const NO_QUOTA: [&str; 2] = ["insufficient_quota", "budget_exceeded"];
    if !matches!(status, 401 | 403 | 429) || body.len() > 64 << 10 {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error").unwrap_or(&body);
    let words = ["code", "type"].map(|name| error.get(name).and_then(serde_json::Value::as_str).unwrap_or_default());
    let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
    match status {
        401 | 403 if has(&INVALID_KEY) => Some("the key is invalid"),
        429 if has(&NO_QUOTA) => Some("the quota is used up"),
        _ => None,
    }
}
