// SPDX-License-Identifier: Apache-2.0
//! When there is no room: "busy", with a time to come back, and room again when somebody leaves.

use std::{sync::Arc, time::Duration};

use gym_protocol::{Fault, FaultKind};
use gym_resources::{Environment, InstanceFor};
use gym_runtime::{AdmissionOptions, Limits};
use serde_json::json;

use crate::harness::{Host, session};

async fn busy(environment: &Arc<dyn Environment>, purpose: InstanceFor) -> Fault {
    let fault = environment.instance(purpose).await.err().expect("there is no room");
    assert_eq!((fault.kind, fault.retry_after), (FaultKind::Busy, Some(2)));
    fault
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_has_so_many_places_for_sessions_and_keeps_some_for_calls() {
    let host = Host::with(|options| {
        options.admission = AdmissionOptions { max_instances: Some(8), memory_bytes: None };
    });
    let environment = host.load(Limits::default()).await;
    let mut sessions = Vec::new();
    for seed in 0..6 {
        sessions.push(session(&environment, seed).await);
    }
    let fault = busy(&environment, InstanceFor::Session { seed: 7 }).await;
    assert_eq!(fault.message, "this host has no room for another session");
    assert!(environment.instance(InstanceFor::Call).await.unwrap().verify("{}").await.is_ok());
    for session in &mut sessions {
        assert!(session.verify("{}").await.is_ok());
    }
    sessions.pop();
    assert!(session(&environment, 7).await.verify("{}").await.is_ok());
    assert_eq!(host.runtime.stats().servers[0].faults["busy"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_its_own_bound_for_sessions() {
    let host = Host::new();
    let environment = host.load(Limits { max_sessions: 1, ..Limits::default() }).await;
    let other = host.load(Limits::default()).await;
    let first = session(&environment, 1).await;
    let fault = busy(&environment, InstanceFor::Session { seed: 2 }).await;
    assert_eq!(fault.message, "`hostile_server` has its 1 sessions");
    session(&other, 1).await;
    drop(first);
    session(&environment, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_wait_for_their_turn_and_then_are_told_to_come_back() {
    let host = Host::new();
    let limits = Limits { max_concurrent_calls: 1, queue_wait_ms: 50, queue_length: 1, ..Limits::default() };
    let environment = host.load(limits).await;
    let held = environment.instance(InstanceFor::Call).await.unwrap();
    let fault = busy(&environment, InstanceFor::Call).await;
    assert_eq!(fault.message, "`hostile_server` has too many calls");

    // A call that waits is served when the turn comes.
    let patient = Limits { max_concurrent_calls: 1, queue_wait_ms: 60_000, queue_length: 1, ..Limits::default() };
    let environment = host.load(patient).await;
    let first = environment.instance(InstanceFor::Call).await.unwrap();
    let waiting = tokio::spawn({
        let environment = environment.clone();
        async move { environment.instance(InstanceFor::Call).await.is_ok() }
    });
    while host.runtime.stats().servers[1].waiting_calls == 0 {
        tokio::task::yield_now().await;
    }
    // The queue has one place, so a second one does not wait at all.
    tokio::time::timeout(Duration::from_secs(50), busy(&environment, InstanceFor::Call)).await.expect("at once");
    drop(first);
    assert!(waiting.await.unwrap());
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_pooled_instances_make_room_for_calls() {
    let host = Host::with(|options| {
        options.admission = AdmissionOptions { max_instances: Some(8), memory_bytes: None };
    });
    let pooled = host.try_load(Limits { prewarm: 2, ..Limits::default() }, json!({"verify": "pooled"})).await.unwrap();
    let stats = host.runtime.stats();
    assert_eq!((stats.live_calls, stats.call_room), (2, 2));
    let other = host.load(Limits::default()).await;
    assert!(other.instance(InstanceFor::Call).await.unwrap().verify("{}").await.is_ok());
    assert!(pooled.instance(InstanceFor::Pooled).await.unwrap().verify("{}").await.is_ok());
}
