// SPDX-License-Identifier: Apache-2.0
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gym_protocol::{FaultKind, ServerName};
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::transport::{Opened, TransportError};
use super::*;
use crate::test_upstream::{Act, TestUpstream, refused};

const SECOND: Duration = Duration::from_secs(1);

/// What the fake transport does with one request.
enum Play {
    Answer(u16, &'static str, &'static str),
    Fail(TransportError),
    Hang,
}

fn ok() -> Play {
    Play::Answer(200, "", "{}")
}

fn status(status: u16) -> Play {
    Play::Answer(status, "", "{}")
}

/// A transport that plays, and notes when it was called.
struct Fake {
    plays: Mutex<VecDeque<Play>>,
    calls: Mutex<Vec<Instant>>,
}

#[async_trait]
impl Transport for Fake {
    async fn open(&self, _call: &Call) -> Result<Opened, TransportError> {
        self.calls.lock().push(Instant::now());
        let play = self.plays.lock().pop_front().expect("more calls than expected");
        match play {
            Play::Answer(status, wait, body) => {
                let mut headers = HeaderMap::new();
                if !wait.is_empty() {
                    headers.insert(HeaderName::from_static("retry-after"), HeaderValue::from_static(wait));
                }
                let body = Box::pin(futures_util::stream::iter([Ok(Bytes::from(body))]));
                Ok(Opened { status, headers, body })
            }
            Play::Fail(error) => Err(error),
            Play::Hang => std::future::pending().await,
        }
    }
}

struct Setup {
    fake: Arc<Fake>,
    outbound: Arc<Outbound>,
    upstream: Arc<Upstream>,
}

fn setup(policy: Policy, plays: Vec<Play>) -> Setup {
    let fake = Arc::new(Fake { plays: Mutex::new(plays.into()), calls: Mutex::default() });
    let outbound = Outbound::with_transport(Arc::clone(&fake) as Arc<dyn Transport>, 100, Some(1));
    let name = ServerName::new("m").expect("not empty");
    let upstream = outbound.upstream(&name, "http://u:p@host:1/v1", policy, FaultKind::ModelFailed);
    Setup { fake, outbound, upstream }
}

fn call() -> Call {
    Call::json("http://host/v1/x", Bytes::from_static(b"{}"))
}

impl Setup {
    async fn post(&self, repeat: Repeat) -> Result<u16, gym_protocol::Fault> {
        self.upstream.post(&call(), repeat).await.map(|answered| answered.status)
    }

    /// Milliseconds between the calls.
    fn waits(&self) -> Vec<u128> {
        self.fake.calls.lock().windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_pass_are_tried_again() {
    let broken = || Play::Fail(TransportError::Broken("x".into()));
    let refused = || Play::Fail(TransportError::Connect("x".into()));
    for first in [status(500), status(503), status(408), status(425), status(429), status(520), broken(), refused()] {
        let setup = setup(Policy::default(), vec![first, ok()]);
        assert_eq!(setup.post(Repeat::Always).await.unwrap(), 200);
        let stats = setup.upstream.stats();
        assert_eq!((stats.attempts, stats.retries, stats.answered, stats.faults), (2, 1, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_caller_are_answers_and_a_refused_key_is_a_fault() {
    for answer in [400, 404, 413, 422] {
        let setup = setup(Policy::default(), vec![status(answer)]);
        assert_eq!(setup.post(Repeat::Always).await.unwrap(), answer);
        assert_eq!(setup.upstream.stats().refused, 1);
    }
    for answer in [401, 403, 302] {
        let fault = setup(Policy::default(), vec![status(answer)]).post(Repeat::Always).await.unwrap_err();
        assert_eq!(fault.message, format!("server `m` answered with status {answer}"));
        assert_eq!(fault.kind, FaultKind::ModelFailed);
    }
    let policy = Policy { more_retry_statuses: [404].into(), ..Policy::default() };
    assert_eq!(setup(policy, vec![status(404), ok()]).post(Repeat::Always).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn tries_are_bounded_and_counted() {
    let policy = Policy { max_attempts: 3, ..Policy::default() };
    let setup = setup(policy, (0..3).map(|_| status(503)).collect());
    let fault = setup.post(Repeat::Always).await.unwrap_err();
    assert_eq!(fault.message, "server `m` answered with status 503 (3 tries)");
    assert_eq!(fault.internal.as_deref(), Some("http://host:1: status 503: {}"));
    let stats = &setup.outbound.stats()[0];
    assert_eq!((stats.attempts, stats.faults, stats.failures["status_503"]), (3, 1, 3));
    assert_eq!(stats.upstream, "http://host:1");
    let waits = setup.waits();
    assert!(waits[0] <= 500 && waits[1] <= 1000, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn the_upstream_says_when_to_come_back() {
    let setup = setup(Policy::default(), vec![Play::Answer(429, "7", "{}"), ok()]);
    assert_eq!(setup.post(Repeat::Always).await.unwrap(), 200);
    assert!((7000..7500).contains(&setup.waits()[0]));
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_total_time_is_not_begun() {
    let policy = Policy { total_timeout: 60 * SECOND, ..Policy::default() };
    let setup = setup(policy, vec![Play::Answer(429, "61", "{}")]);
    let before = Instant::now();
    assert!(setup.post(Repeat::Always).await.is_err());
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_never_outlives_its_total_time() {
    let policy = Policy { attempt_timeout: 10 * SECOND, total_timeout: 25 * SECOND, ..Policy::default() };
    let setup = setup(policy, vec![Play::Hang, Play::Hang, Play::Hang]);
    let before = Instant::now();
    let fault = setup.post(Repeat::Always).await.unwrap_err();
    assert!(fault.message.starts_with("server `m` did not answer in time"), "{}", fault.message);
    assert!(before.elapsed() <= 25 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_not_sent_again_unless_that_is_safe() {
    let broken = Play::Fail(TransportError::Broken("x".into()));
    assert!(setup(Policy::default(), vec![broken]).post(Repeat::Unsent).await.is_err());
    let hangs = setup(Policy::default(), vec![Play::Hang]);
    assert!(hangs.post(Repeat::Unsent).await.is_err());
    let refused = Play::Fail(TransportError::Connect("x".into()));
    assert_eq!(setup(Policy::default(), vec![refused, ok()]).post(Repeat::Unsent).await.unwrap(), 200);
    assert_eq!(setup(Policy::default(), vec![status(500)]).post(Repeat::Unsent).await.unwrap(), 500);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_keeps_failing_is_left_alone() {
    let policy = Policy { max_attempts: 1, circuit_failures: 2, circuit_cooldown: 5 * SECOND, ..Policy::default() };
    let setup = setup(policy, vec![status(500), status(500), ok()]);
    for _ in 0..2 {
        assert!(setup.post(Repeat::Always).await.is_err());
    }
    let fault = setup.post(Repeat::Always).await.unwrap_err();
    assert_eq!(fault.message, "server `m` failed too often and is left alone for a while");
    assert_eq!((fault.retry_after, setup.upstream.stats().circuit), (Some(5), "open"));
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(setup.post(Repeat::Always).await.unwrap(), 200);
    assert_eq!(setup.upstream.stats().circuit, "closed");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_key_and_a_spent_quota_end_all_calls() {
    let invalid = r#"{"error":{"message":"no","code":"invalid_api_key"}}"#;
    let spent = r#"{"error":{"type":"insufficient_quota"}}"#;
    for (play, reason) in
        [(Play::Answer(401, "", invalid), "the key is invalid"), (Play::Answer(429, "", spent), "the quota is used up")]
    {
        let setup = setup(Policy::default(), vec![play]);
        for _ in 0..2 {
            let fault = setup.post(Repeat::Always).await.unwrap_err();
            assert_eq!(fault.message, format!("server `m` refuses all requests: {reason}"));
        }
        assert_eq!((setup.upstream.stats().attempts, setup.upstream.stats().circuit), (1, "permanent"));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_their_turn_but_not_without_end() {
    let policy = Policy {
        max_concurrent: Some(1),
        max_waiting: 1,
        max_attempts: 1,
        attempt_timeout: 10 * SECOND,
        total_timeout: 12 * SECOND,
        ..Policy::default()
    };
    let setup = Arc::new(setup(policy, vec![Play::Hang, ok()]));
    let post = |setup: &Arc<Setup>| {
        let setup = Arc::clone(setup);
        tokio::spawn(async move { setup.post(Repeat::Always).await })
    };
    let first = post(&setup);
    tokio::task::yield_now().await;
    let second = post(&setup);
    tokio::task::yield_now().await;
    assert_eq!((setup.upstream.stats().running, setup.upstream.stats().waiting), (1, 1));
    let third = setup.post(Repeat::Always).await.unwrap_err();
    assert_eq!((third.kind, third.retry_after), (FaultKind::Busy, Some(5)));
    assert!(first.await.unwrap().is_err());
    assert_eq!(second.await.unwrap().unwrap(), 200);
    assert_eq!((setup.upstream.stats().running, setup.upstream.stats().waiting), (0, 0));
}

/// An upstream over real HTTP, with short limits.
fn real(server: &str, policy: Policy) -> Arc<Upstream> {
    let outbound = Outbound::new(OutboundSettings::default()).expect("a client");
    let name = ServerName::new("m").expect("not empty");
    outbound.upstream(&name, server, policy, FaultKind::ModelFailed)
}

/// For endpoints that come to an end.
fn patient() -> Policy {
    Policy { max_attempts: 2, retry_base: Duration::from_millis(1), max_response_bytes: 1000, ..Policy::default() }
}

/// For those that do not.
fn short() -> Policy {
    Policy { attempt_timeout: 2 * SECOND, read_timeout: SECOND, total_timeout: 60 * SECOND, ..patient() }
}

#[tokio::test]
async fn bad_behaviour_on_the_wire_is_a_fault_within_the_limits() {
    let large = TestUpstream::json(format!("\"{}\"", "x".repeat(2000)));
    let garbage = Act::Answer(200, "", "<html>oops</html>".into());
    for (act, text, tries) in [
        (Act::Reset, "broke off the connection (2 tries)", 2),
        (Act::NotHttp, "broke off the connection (2 tries)", 2),
        (Act::Half, "broke off the connection (2 tries)", 2),
        (Act::Hang, "did not answer in time (2 tries)", 2),
        (Act::Drip(Duration::from_millis(20)), "did not answer in time (2 tries)", 2),
        (Act::Drip(SECOND), "did not answer in time (2 tries)", 2),
        (garbage, "answered with something that is not JSON (2 tries)", 2),
        (large, "answered with more than is allowed", 1),
    ] {
        let server = TestUpstream::start(vec![act.clone()]).await;
        let call = Call::json(&server.url, Bytes::from_static(b"{}"));
        let policy = if matches!(act, Act::Hang | Act::Drip(_)) { short() } else { patient() };
        let fault = real(&server.url, policy).post(&call, Repeat::Always).await.unwrap_err();
        assert_eq!((fault.kind, fault.message), (FaultKind::ModelFailed, format!("server `m` {text}")), "{act:?}");
        assert_eq!(server.seen().len(), tries, "{act:?}");
    }
    let url = refused().await;
    let fault = real(&url, patient()).post(&Call::json(&url, Bytes::new()), Repeat::Always).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let elsewhere = TestUpstream::start(vec![TestUpstream::json("{}")]).await;
    let location: &'static str = Box::leak(format!("location: {}/\r\n", elsewhere.url).into_boxed_str());
    let server = TestUpstream::start(vec![Act::Answer(307, location, String::new())]).await;
    let call = Call::json(&server.url, Bytes::from_static(b"{}")).bearer(&crate::Secret::new("key"));
    assert!(real(&server.url, patient()).post(&call, Repeat::Always).await.is_err());
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_stream_is_passed_on_and_dropping_it_ends_the_upstream_call() {
    let server = TestUpstream::start(vec![Act::Events(vec!["data: 1\n\n", "data: 2\n\n"], true)]).await;
    let upstream = real(&server.url, Policy::default());
    let Opening::Stream { mut events, .. } = upstream.stream(&Call::json(&server.url, Bytes::new())).await.unwrap()
    else {
        panic!("a stream");
    };
    let mut text = Vec::new();
    while text.len() < 18 {
        text.extend_from_slice(&events.next().await.expect("more").unwrap());
    }
    assert_eq!(text, b"data: 1\n\ndata: 2\n\n");
    assert_eq!(upstream.stats().running, 1);
    drop(events);
    server.client_gone().await;
    assert_eq!(upstream.stats().running, 0);
}

#[tokio::test]
async fn a_stream_that_stands_still_ends_with_a_fault() {
    let server = TestUpstream::start(vec![Act::Events(vec!["data: 1\n\n"], true)]).await;
    let upstream = real(&server.url, short());
    let Opening::Stream { events, .. } = upstream.stream(&Call::json(&server.url, Bytes::new())).await.unwrap() else {
        panic!("a stream");
    };
    let chunks: Vec<_> = events.collect().await;
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1].as_ref().unwrap_err().message, "server `m` did not answer in time");
}
