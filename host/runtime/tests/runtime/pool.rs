// SPDX-License-Identifier: Apache-2.0
//! Pooled instances: used again, never by two calls at once, replaced when worn or lost.

use std::sync::Arc;

use gym_protocol::FaultKind;
use gym_resources::{Environment, InstanceFor};
use gym_runtime::{EngineChoice, Limits, ServerStats};
use serde_json::json;

use crate::harness::{Host, fault};

async fn load(host: &Host, limits: Limits) -> Arc<dyn Environment> {
    host.try_load(limits, json!({"verify": "pooled"})).await.expect("it loads")
}

fn stats(host: &Host) -> ServerStats {
    host.runtime.stats().servers.remove(0)
}

/// Verifies in a pooled instance and says how many calls that instance has served.
async fn calls(environment: &Arc<dyn Environment>) -> String {
    let mut instance = environment.instance(InstanceFor::Pooled).await.expect("an instance");
    instance.verify("{}").await.expect("a verdict").fields
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_made_ahead_and_used_again() {
    for engine in [EngineChoice::Small, EngineChoice::Heavy] {
        let host = Host::new();
        let environment = load(&host, Limits { engine, ..Limits::default() }).await;
        assert_eq!(stats(&host).pool_idle, 1);
        for expected in 1..=3 {
            assert_eq!(calls(&environment).await, format!("{{\"calls\":{expected}}}"));
        }
        let stats = stats(&host);
        assert_eq!((stats.pool_hits, stats.pool_misses, stats.instances_made, stats.pool_idle), (3, 0, 1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_calls_share_an_instance() {
    let host = Host::new();
    let environment = load(&host, Limits { prewarm: 0, ..Limits::default() }).await;
    let mut one = environment.instance(InstanceFor::Pooled).await.unwrap();
    let mut two = environment.instance(InstanceFor::Pooled).await.unwrap();
    let (one_verdict, two_verdict) = tokio::join!(one.verify("{}"), two.verify("{}"));
    for verdict in [one_verdict, two_verdict] {
        assert_eq!(verdict.unwrap().fields, r#"{"calls":1}"#);
    }
    drop((one, two));
    assert_eq!(stats(&host).pool_idle, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_replaced_after_so_many_calls() {
    let host = Host::new();
    let environment = load(&host, Limits { recycle_after_calls: 2, prewarm: 0, ..Limits::default() }).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(calls(&environment).await);
    }
    assert_eq!(seen, [1, 2, 1, 2, 1].map(|calls| format!("{{\"calls\":{calls}}}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_have_grown_are_replaced() {
    let host = Host::new();
    let environment = load(&host, Limits { recycle_growth_mib: 12, prewarm: 0, ..Limits::default() }).await;
    for expected in [1, 2] {
        let mut instance = environment.instance(InstanceFor::Pooled).await.unwrap();
        instance.verify(r#"{"do":"grow"}"#).await.unwrap();
        drop(instance);
        assert_eq!(stats(&host).pool_idle, 2 - expected, "8 MiB are kept, 16 MiB are not");
    }
    assert_eq!(calls(&environment).await, r#"{"calls":1}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trapped_instances_do_not_come_back_and_are_replaced_ahead_of_the_next_call() {
    let host = Host::new();
    let environment = load(&host, Limits { cpu_ms: 300, ..Limits::default() }).await;
    for (misdeed, kind) in [("trap", FaultKind::Trap), ("spin", FaultKind::CpuDeadline)] {
        assert_eq!(calls(&environment).await, r#"{"calls":1}"#);
        let made = stats(&host).instances_made;
        let mut instance = environment.instance(InstanceFor::Pooled).await.unwrap();
        assert_eq!(fault(instance.verify(&format!("{{\"do\":\"{misdeed}\"}}")).await).kind, kind);
        assert!(!instance.is_usable());
        drop(instance);
        while stats(&host).instances_made == made || stats(&host).pool_idle == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(calls(&environment).await, r#"{"calls":1}"#);
    assert_eq!(stats(&host).pool_misses, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_broke_the_contract_serve_nobody_else() {
    let host = Host::new();
    let environment = load(&host, Limits { prewarm: 0, ..Limits::default() }).await;
    let mut instance = environment.instance(InstanceFor::Pooled).await.unwrap();
    assert_eq!(fault(instance.verify(r#"{"do":"nan"}"#).await).kind, FaultKind::BadReply);
    assert!(instance.is_usable());
    drop(instance);
    assert_eq!(calls(&environment).await, r#"{"calls":1}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_keeps_no_more_than_its_size() {
    let host = Host::new();
    let environment = load(&host, Limits { pool_size: 2, ..Limits::default() }).await;
    let mut instances = Vec::new();
    for _ in 0..5 {
        let mut instance = environment.instance(InstanceFor::Pooled).await.unwrap();
        instance.verify("{}").await.expect("a verdict");
        instances.push(instance);
    }
    drop(instances);
    assert_eq!((stats(&host).pool_idle, host.runtime.stats().live_calls), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_call_finds_the_random_numbers_and_the_time_of_a_first_one() {
    let host = Host::new();
    let environment = load(&host, Limits::default()).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut instance = environment.instance(InstanceFor::Pooled).await.unwrap();
        seen.push(instance.verify(r#"{"do":"sense"}"#).await.unwrap().fields);
    }
    assert_eq!(stats(&host).instances_made, 1);
    assert_eq!(seen[1], seen[2]);
    assert_eq!(seen[0], seen[1]);
}
