// SPDX-License-Identifier: Apache-2.0
//! Each limit has a guest that breaks it. It costs that guest's session, and nobody else notices.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use gym_agents::{Reply, RequestContext};
use gym_protocol::{Fault, FaultKind, ModelRequest, ServerName, environment::CallError};
use gym_runtime::{EngineChoice, Limits, LogSource, StaticModels};
use serde_json::json;

use crate::harness::{Behaviour, Host, TestModel, breaks, fault, session};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_ends_when_its_cpu_time_is_used_up() {
    let limits = Limits { cpu_ms: 300, ..Limits::default() };
    let fault = breaks(limits, "spin", "").await;
    assert_eq!(fault.kind, FaultKind::CpuDeadline);
    assert_eq!(fault.message, "the environment used up its 300 ms of CPU time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_ends_on_the_heavy_engine_too() {
    let limits = Limits { cpu_ms: 300, engine: EngineChoice::Heavy, ..Limits::default() };
    assert_eq!(breaks(limits, "spin", "").await.kind, FaultKind::CpuDeadline);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_has_the_same_limit() {
    let host = Host::new();
    let environment = host.load(Limits { cpu_ms: 300, ..Limits::default() }).await;
    let mut session = session(&environment, 1).await;
    assert_eq!(fault(session.verify(r#"{"do":"spin"}"#).await).kind, FaultKind::CpuDeadline);
    assert!(!session.is_usable());
}

/// A call that computes for about 100 ms keeps its verdict although 16 endless loops want the same two threads, so that it
/// needs more time on the clock than its budget: the time that it waits for its turn is not its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_machine_does_not_use_up_a_calls_cpu_time() {
    let host = Host::new();
    let spinning = host.load(Limits { cpu_ms: 400, ..Limits::default() }).await;
    let spinners: Vec<_> = (0..16)
        .map(|seed| {
            let spinning = spinning.clone();
            tokio::spawn(async move { fault(session(&spinning, seed).await.call_tool("spin", "").await).kind })
        })
        .collect();
    let environment = host.load(Limits { cpu_ms: 600, ..Limits::default() }).await;
    let worker = tokio::spawn(async move { session(&environment, 1).await.call_tool("work", "40").await });
    assert_eq!(worker.await.unwrap().unwrap(), "done");
    for spinner in spinners {
        assert_eq!(spinner.await.unwrap(), FaultKind::CpuDeadline);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_too_long_ends_on_the_clock_and_not_by_cpu_time() {
    let host = Host::new();
    let model = TestModel::new(Behaviour::Wait);
    let models: Vec<Arc<dyn gym_agents::Model>> = vec![model];
    let request = gym_runtime::LoadRequest {
        models: Arc::new(StaticModels::new(models)),
        ..host.request(Limits { wall_ms: 2_000, cpu_ms: 300, ..Limits::default() }, json!({}))
    };
    let environment = host.runtime.load(request).await.unwrap();
    let mut session = session(&environment, 1).await;
    let fault = fault(session.call_tool("judge", "{}").await);
    assert_eq!(fault.kind, FaultKind::WallDeadline);
    assert_eq!(fault.message, "the environment did not answer within 2000 ms");
    assert!(!session.is_usable());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_model_is_no_cpu_time_and_has_a_bound_of_its_own() {
    let host = Host::new();
    let model = TestModel::new(Behaviour::Wait);
    let models: Vec<Arc<dyn gym_agents::Model>> = vec![model.clone()];
    let limits = Limits { model_wait_ms: 500, cpu_ms: 300, ..Limits::default() };
    let request =
        gym_runtime::LoadRequest { models: Arc::new(StaticModels::new(models)), ..host.request(limits, json!({})) };
    let environment = host.runtime.load(request).await.unwrap();
    let mut session = session(&environment, 1).await;
    let fault = fault(session.call_tool("judge", "{}").await);
    assert_eq!(fault.kind, FaultKind::JudgeFailed);
    assert_eq!(fault.message, "the call's 500 ms for model servers are used up");
    // The environment handled it, so the session goes on, with a new budget for the next call.
    assert!(session.is_usable());
    let (answer, ()) = tokio::join!(session.call_tool("judge", "{}"), async { model.go.notify_waiters() });
    assert!(matches!(answer, Ok(_) | Err(CallError::Fault(_))), "{answer:?}");
    assert_eq!(session.call_tool("count", "{}").await.unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_waits_for_any_more_ends_with_its_instance() {
    let host = Host::new();
    let model = TestModel::new(Behaviour::Wait);
    let models: Vec<Arc<dyn gym_agents::Model>> = vec![model.clone()];
    let request = gym_runtime::LoadRequest {
        models: Arc::new(StaticModels::new(models)),
        ..host.request(Limits::default(), json!({}))
    };
    let environment = host.runtime.load(request).await.unwrap();
    let mut session = session(&environment, 1).await;
    tokio::select! {
        outcome = session.call_tool("judge", "{}") => panic!("the model does not answer, got {outcome:?}"),
        () = model.asked.notified() => {}
    }
    assert!(!session.is_usable());
    assert_eq!(fault(session.verify("{}").await).kind, FaultKind::SessionLost);
    // The place is free although the session is still held.
    assert_eq!(host.runtime.stats().live_sessions, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_without_end_is_refused_and_then_a_fault() {
    for engine in [EngineChoice::Small, EngineChoice::Heavy] {
        let limits = Limits { memory_mib: 32, engine, ..Limits::default() };
        let fault = breaks(limits, "alloc", "").await;
        assert_eq!(fault.kind, FaultKind::Memory);
        assert_eq!(fault.message, "the environment needs more than its 32 MiB of memory");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_can_do_without_the_memory_goes_on() {
    let host = Host::new();
    let environment = host.load(Limits { memory_mib: 32, ..Limits::default() }).await;
    let mut session = session(&environment, 1).await;
    assert_eq!(session.call_tool("try_hold", "16").await.unwrap(), "true");
    assert_eq!(session.call_tool("try_hold", "16").await.unwrap(), "false");
    assert_eq!(session.call_tool("count", "").await.unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_that_the_host_lacks_is_the_hosts_fault() {
    let host = Host::with(|options| options.admission.memory_bytes = Some(16 << 20));
    let environment = host.load(Limits::default()).await;
    let mut one = session(&environment, 1).await;
    one.call_tool("hold", "8").await.unwrap();
    let mut two = session(&environment, 1).await;
    let fault = fault(two.call_tool("hold", "8").await);
    assert_eq!((fault.kind, fault.retry_after.is_some()), (FaultKind::Busy, true));
    assert!(one.is_usable() && !two.is_usable());
    drop(one);
    session(&environment, 1).await.call_tool("hold", "8").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_recursion_is_a_trap() {
    for engine in [EngineChoice::Small, EngineChoice::Heavy] {
        let fault = breaks(Limits { engine, ..Limits::default() }, "recurse", "").await;
        assert_eq!(fault.kind, FaultKind::Trap);
        let expected =
            ["the environment trapped: call stack exhausted", "the environment trapped: out of bounds memory access"];
        assert!(expected.contains(&fault.message.as_str()), "{}", fault.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_has_a_short_text_for_clients_and_a_backtrace_for_operators() {
    let fault = breaks(Limits::default(), "trap", "").await;
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Trap, "the environment trapped: unreachable"));
    assert!(fault.internal.expect("a backtrace").contains("wasm backtrace"));
    let fault = breaks(Limits::default(), "exit", "").await;
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Trap, "the environment exited with status 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooded_log_is_cut_and_costs_nothing_else() {
    let host = Host::new();
    let environment = host.load(Limits { log_lines: 5, ..Limits::default() }).await;
    for (seed, tool, source) in [(1, "flood_log", LogSource::Log), (2, "flood_stdout", LogSource::Stdout)] {
        let before = host.lines.all().len();
        let mut session = session(&environment, seed).await;
        assert_eq!(session.call_tool(tool, "100000").await.unwrap(), "done");
        assert_eq!(session.call_tool("log", "too late").await.unwrap(), "done");
        let mut expected: Vec<_> = (0..5).map(|line| (source, format!("line {line}"))).collect();
        expected.push((LogSource::Host, "the log is full, the rest is dropped".to_owned()));
        assert_eq!(host.lines.all()[before..], expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_reply_is_a_fault() {
    let limits = Limits { reply_bytes: 1000, request_bytes: 1 << 20, ..Limits::default() };
    let host = Host::new();
    let environment = host.load(limits.clone()).await;
    let mut small = session(&environment, 1).await;
    assert_eq!(small.call_tool("huge_reply", "1000").await.unwrap().len(), 1000);
    let too_long = fault(small.call_tool("huge_reply", "1001").await);
    assert_eq!(too_long.kind, FaultKind::Output);
    assert_eq!(too_long.message, "the environment replied with more than 1000 bytes");
    // A reply that is far too large is not even copied; that costs the instance.
    let fault = breaks(limits, "huge_reply", "5000000").await;
    assert_eq!(fault.kind, FaultKind::Output);
    assert_eq!(fault.message, "the environment passed more than 1114112 bytes at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_argument_of_a_host_call_is_a_fault() {
    let limits = Limits { reply_bytes: 1000, request_bytes: 1000, ..Limits::default() };
    assert_eq!(breaks(limits, "huge_log", "5000000").await.kind, FaultKind::Output);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_request_is_refused_and_the_session_goes_on() {
    let host = Host::new();
    let environment = host.load(Limits { request_bytes: 100, ..Limits::default() }).await;
    let mut session = session(&environment, 1).await;
    let error = session.verify(&"x".repeat(101)).await.unwrap_err();
    let CallError::Refused { status, detail } = error else { panic!("expected a refusal, got {error:?}") };
    assert_eq!((status, detail.as_str()), (413, "\"the request has 101 bytes, 100 are accepted\""));
    assert!(session.is_usable());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_arrives_whole() {
    let host = Host::new();
    let environment = host.load(Limits::default()).await;
    let mut session = session(&environment, 1).await;
    let large = "x".repeat(32 << 20);
    assert_eq!(session.call_tool("length", &large).await.unwrap(), "33554432");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_calls_are_counted_for_each_call() {
    let host = Host::new();
    let environment = host.load(Limits { host_calls: 1000, ..Limits::default() }).await;
    let mut session = session(&environment, 1).await;
    for _ in 0..3 {
        assert_eq!(session.call_tool("flood_host", "900").await.unwrap(), "done");
    }
    let fault = breaks(Limits { host_calls: 1000, ..Limits::default() }, "flood_host", "5000").await;
    assert_eq!(fault.kind, FaultKind::HostCalls);
    assert_eq!(fault.message, "the environment made more than 1000 host calls in one call");
    let fault = breaks(Limits { host_call_bytes: 10_000, ..Limits::default() }, "flood_host", "5000").await;
    assert_eq!(fault.message, "the host calls of one call carried more than 10000 bytes");
}

/// Counts how many requests are under way.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

#[async_trait::async_trait]
impl gym_agents::Model for Gauge {
    fn name(&self) -> &ServerName {
        static NAME: LazyLock<ServerName> = LazyLock::new(|| ServerName::new("judge").unwrap());
        &NAME
    }

    async fn respond(&self, _: ModelRequest, _: &mut RequestContext) -> Result<Reply, Fault> {
        self.all.fetch_add(1, SeqCst);
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        tokio::task::yield_now().await;
        self.now.fetch_sub(1, SeqCst);
        Ok(Reply::ok("{\"a\":1}"))
    }

    async fn chat(&self, _: Bytes, _: &mut RequestContext) -> Result<Reply, Fault> {
        unreachable!("nobody asks for it")
    }
}

/// Makes so many requests of two bytes at once, which have replies of seven bytes.
async fn flood_judge(limits: Limits, requests: &str) -> (Result<String, CallError>, Arc<Gauge>) {
    let (host, gauge) = (Host::new(), Arc::new(Gauge::default()));
    let models: Vec<Arc<dyn gym_agents::Model>> = vec![gauge.clone()];
    let request =
        gym_runtime::LoadRequest { models: Arc::new(StaticModels::new(models)), ..host.request(limits, json!({})) };
    let environment = host.runtime.load(request).await.unwrap();
    (session(&environment, 1).await.call_tool("flood_judge", requests).await, gauge)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_made_at_once_are_counted_one_by_one() {
    let limits = Limits { host_calls: 1000, ..Limits::default() };
    let (answer, gauge) = flood_judge(limits.clone(), "900").await;
    assert_eq!(answer.unwrap(), "900");
    assert_eq!((gauge.all.load(SeqCst), gauge.most.load(SeqCst)), (900, 256));
    let (answer, gauge) = flood_judge(limits, "1001").await;
    assert_eq!(fault(answer).kind, FaultKind::HostCalls);
    assert_eq!(gauge.all.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_are_too_many_bytes_end_the_call_before_all_are_there() {
    // 2,000 requests have 4,000 bytes, and the replies 14,000.
    let (answer, _) = flood_judge(Limits { host_call_bytes: 18_000, ..Limits::default() }, "2000").await;
    assert_eq!(answer.unwrap(), "2000");
    let (answer, _) = flood_judge(Limits { host_call_bytes: 17_999, ..Limits::default() }, "2000").await;
    assert_eq!(fault(answer).kind, FaultKind::HostCalls);
    let (answer, gauge) = flood_judge(Limits { host_call_bytes: 5000, ..Limits::default() }, "2000").await;
    assert_eq!(fault(answer).message, "the host calls of one call carried more than 5000 bytes");
    // 143 replies have more than the 1,000 bytes that are left.
    assert!(gauge.all.load(SeqCst) < 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_run_out() {
    let limits = Limits { resources: 50, ..Limits::default() };
    assert_eq!(breaks(limits, "leak_handles", "1000").await.kind, FaultKind::Trap);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_have_a_largest_size() {
    let limits = Limits { random_bytes: 1000, ..Limits::default() };
    let fault = breaks(limits, "random_bytes", "1001").await;
    assert_eq!(fault.kind, FaultKind::HostCalls);
    assert_eq!(fault.message, "the environment asked for more than 1000 random bytes at once");
    let host = Host::new();
    let environment = host.load(Limits::default()).await;
    assert_eq!(session(&environment, 1).await.call_tool("random_bytes", "1001").await.unwrap(), "1001");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_calls_do_not_wait_behind_long_ones() {
    let host = Host::new();
    let environment = host.load(Limits { cpu_ms: 10_000, ..Limits::default() }).await;
    let mut quick = session(&environment, 100).await;
    let spinners: Vec<_> = (0..12)
        .map(|seed| {
            let environment = environment.clone();
            tokio::spawn(async move { fault(session(&environment, seed).await.call_tool("spin", "").await).kind })
        })
        .collect();
    // All of them together need two minutes of the one thread that long calls may use. The quick session gets 200 calls
    // done long before.
    let calls = tokio::spawn(async move {
        for _ in 0..200 {
            quick.call_tool("count", "{}").await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    tokio::time::timeout(Duration::from_secs(100), calls).await.expect("short calls get through").unwrap();
    assert!(spinners.iter().any(|spinner| !spinner.is_finished()), "the long calls were still running");
    for spinner in spinners {
        spinner.abort();
    }
}

/// A place in the pool is used by one instance after another; what one wrote must not be there for the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_in_memory_for_the_next_instance() {
    for engine in [EngineChoice::Small, EngineChoice::Heavy] {
        let host = Host::new();
        let environment = host.load(Limits { engine, ..Limits::default() }).await;
        for seed in 0..100 {
            // Once small, so that pages are kept and cleaned, once large, so that they are given up.
            let mib = if seed % 2 == 0 { "1" } else { "8" };
            let mut session = session(&environment, seed).await;
            assert_eq!(session.call_tool("stains", mib).await.unwrap(), "0", "before instance {seed}");
            session.call_tool("hold", mib).await.unwrap();
        }
    }
}
