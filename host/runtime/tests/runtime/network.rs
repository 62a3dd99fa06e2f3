// SPDX-License-Identifier: Apache-2.0
//! Connections that a configuration grants, in the hands of a guest that misuses them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gym_agents::network::{HttpReply, HttpRequest, Network, NetworkChannel, NetworkError};
use gym_protocol::{FaultKind, environment::CallError};
use gym_resources::Instance;
use gym_runtime::Limits;
use serde_json::json;

use crate::harness::{Host, fault, session};

/// Grants `env`, which repeats what it is told, and `hanging`, which never answers.
struct TestNetwork;

struct TestChannel {
    hangs: bool,
    said: Vec<String>,
    most: usize,
}

async fn never<T>() -> T {
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    unreachable!("no test waits this long")
}

#[async_trait]
impl Network for TestNetwork {
    async fn exchange(&self, endpoint: &str, request: HttpRequest, _most: usize) -> Result<HttpReply, NetworkError> {
        match endpoint {
            "env" => Ok(HttpReply { status: 418, headers: Vec::new(), body: request.body }),
            "hanging" => never().await,
            _ => Err(NetworkError::UnknownEndpoint(endpoint.to_owned())),
        }
    }

    async fn open(&self, endpoint: &str, _path: &str, most: usize) -> Result<Box<dyn NetworkChannel>, NetworkError> {
        match endpoint {
            "env" | "hanging" => Ok(Box::new(TestChannel { hangs: endpoint == "hanging", said: Vec::new(), most })),
            _ => Err(NetworkError::UnknownEndpoint(endpoint.to_owned())),
        }
    }
}

#[async_trait]
impl NetworkChannel for TestChannel {
    async fn send(&mut self, text: String) -> Result<(), NetworkError> {
        self.said.push(text);
        Ok(())
    }

    async fn receive(&mut self) -> Result<Option<String>, NetworkError> {
        if self.hangs {
            never::<()>().await;
        }
        match self.said.pop() {
            Some(text) if text == "grow" => Err(NetworkError::TooLarge { endpoint: "env".to_owned(), most: self.most }),
            other => Ok(other),
        }
    }
}

async fn guest(limits: Limits) -> (Host, Box<dyn Instance>) {
    let host = Host::new();
    let mut request = host.request(limits, json!({}));
    request.network = Arc::new(TestNetwork);
    let environment = host.runtime.load(request).await.expect("the hostile environment loads");
    let session = session(&environment, 1).await;
    (host, session)
}

fn rejected(outcome: Result<String, CallError>) -> String {
    match outcome {
        Err(CallError::Rejected(text)) => text,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

#[tokio::test]
async fn what_is_granted_can_be_reached_and_nothing_else() {
    let (_host, mut guest) = guest(Limits::default()).await;
    assert_eq!(guest.call_tool("fetch", "env").await.unwrap(), "418 fetch");
    assert_eq!(guest.call_tool("dial", "env hello").await.unwrap(), "Some(\"hello\")");
    for tool in ["fetch", "dial"] {
        let text = rejected(guest.call_tool(tool, "elsewhere").await);
        assert_eq!(text, "unknown: the configuration grants no endpoint `elsewhere`");
    }
    assert!(guest.is_usable());
}

#[tokio::test]
async fn a_peer_that_hangs_costs_waiting_and_no_cpu_time() {
    let limits = Limits { network_wait_ms: 300, cpu_ms: 200, ..Limits::default() };
    let (_host, mut guest) = guest(limits).await;
    for tool in ["fetch", "dial"] {
        let text = rejected(guest.call_tool(tool, "hanging x").await);
        assert!(text.starts_with("unavailable: endpoint `hanging"), "{text}");
        assert!(text.ends_with("did not answer within the call's 300 ms for the network"), "{text}");
    }
    assert_eq!(guest.call_tool("count", "{}").await.unwrap(), "3", "the instance is alive");
}

#[tokio::test]
async fn large_messages_close_the_channel() {
    let (_host, mut guest) = guest(Limits { network_message_bytes: 100, ..Limits::default() }).await;
    let sent = rejected(guest.call_tool("dial", &format!("env {}", "x".repeat(101))).await);
    assert_eq!(sent, "too large: a message to endpoint `env` is larger than 100 bytes");
    let received = rejected(guest.call_tool("dial", "env grow").await);
    assert_eq!(received, "too large: a message from endpoint `env` is larger than 100 bytes");
}

#[tokio::test]
async fn messages_and_channels_are_counted() {
    let (_host, mut first) = guest(Limits { network_messages: 5, ..Limits::default() }).await;
    assert_eq!(first.call_tool("dial", "env x").await.unwrap(), "Some(\"x\")");
    assert_eq!(first.call_tool("fetch", "env").await.unwrap(), "418 fetch");
    let text = rejected(first.call_tool("fetch", "env").await);
    assert_eq!(text, "used up: the session has exchanged its 5 messages");
    let (_host, mut second) = guest(Limits { network_channels: 3, ..Limits::default() }).await;
    let text = rejected(second.call_tool("hoard_channels", "10").await);
    assert_eq!(text, "used up: the session holds its 3 channels already");
    assert_eq!(second.call_tool("dial", "env x").await.unwrap(), "Some(\"x\")", "they were given back");
}

#[tokio::test]
async fn a_fault_after_the_network_failed_is_the_network_s() {
    let (_host, mut guest) = guest(Limits { network_wait_ms: 100, ..Limits::default() }).await;
    let blamed = fault(guest.call_tool("fetch_or_fault", "hanging").await);
    assert_eq!(blamed.kind, FaultKind::Unreachable);
    let own = fault(guest.call_tool("fault", "mine").await);
    assert_eq!(own.kind, FaultKind::Reported);
}
