// SPDX-License-Identifier: Apache-2.0
//! What loading accepts, and what it says about the rest.

use std::path::PathBuf;

use gym_protocol::{FaultKind, environment::CallError};
use gym_runtime::{EngineChoice, Limits, LoadError, LoadRequest};
use serde_json::json;

use crate::harness::{Host, hostile};

async fn refused(host: &Host, limits: Limits, config: serde_json::Value) -> LoadError {
    host.try_load(limits, config).await.err().expect("loading fails")
}

/// Loads a component written as text.
async fn load_text(host: &Host, limits: Limits, text: &str) -> LoadError {
    let component = host.folder.path().join("other.wasm");
    std::fs::write(&component, wat::parse_str(text).expect("valid text")).unwrap();
    let request = LoadRequest { component, ..host.request(limits, json!({})) };
    host.runtime.load(request).await.err().expect("loading fails")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn describe_has_limits_and_its_failures_are_reported() {
    let host = Host::new();
    let limits = Limits { cpu_ms: 300, ..Limits::default() };
    for (misdeed, expected) in
        [("spin", FaultKind::CpuDeadline), ("trap", FaultKind::Trap), ("fault", FaultKind::Reported)]
    {
        let error = refused(&host, limits.clone(), json!({ "describe": misdeed })).await;
        let LoadError::Describe { fault: CallError::Fault(fault), .. } = &error else { panic!("{misdeed}: {error}") };
        assert_eq!(fault.kind, expected, "{misdeed}");
    }
    assert_eq!(host.runtime.stats().live_calls, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_that_makes_no_sense_is_refused_with_all_its_problems() {
    let host = Host::new();
    let error = refused(&host, Limits::default(), json!({ "describe": "nonsense" })).await;
    let LoadError::Description { problems, .. } = error else { panic!("{error}") };
    let expected = [
        "tool name `verify` is reserved",
        "there are two tools `twice`",
        "parameters of tool `twice` is not a JSON object",
    ];
    assert_eq!(problems, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_checked_first() {
    let host = Host::new();
    let error = refused(&host, Limits { wall_ms: 0, ..Limits::default() }, json!({})).await;
    assert_eq!(error.to_string(), "limit `wall_ms` is 0, expected at least 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_files_and_folders_are_named() {
    let host = Host::new();
    let request = LoadRequest { component: "no/such.wasm".into(), ..host.request(Limits::default(), json!({})) };
    let error = host.runtime.load(request).await.err().unwrap();
    assert_eq!(error.to_string(), "failed to read the component `no/such.wasm`");
    for folder in ["no/such", "/"] {
        let request = LoadRequest { folder: PathBuf::from(folder), ..host.request(Limits::default(), json!({})) };
        let error = host.runtime.load(request).await.err().unwrap();
        assert_eq!(error.to_string(), format!("failed to open the environment's folder `{folder}`"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_environment_is_refused() {
    let host = Host::new();
    let other_world = r#"(component (import "acme:tools/gun" (instance (export "fire" (func)))))"#;
    let error = load_text(&host, Limits::default(), other_world).await;
    let LoadError::NotAnEnvironment { message, .. } = &error else { panic!("{error}") };
    assert!(message.contains("acme:tools/gun"), "{message}");
    let error = load_text(&host, Limits::default(), "(component)").await;
    let LoadError::NotAnEnvironment { message, .. } = &error else { panic!("{error}") };
    assert!(message.contains("gym:environment/resources-server"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_that_need_too_much_are_refused_before_they_run() {
    let host = Host::new();
    let memories = "(core instance (instantiate $m))".repeat(20);
    let many = format!("(component (core module $m (memory 512)) {memories})");
    let error = load_text(&host, Limits::default(), &many).await;
    assert!(matches!(error, LoadError::Requires { wanted: 20, limit: "memories", allowed: 4, .. }), "{error}");
    let tables =
        format!("(component (core module $m (table 1 funcref)) {})", "(core instance (instantiate $m))".repeat(40));
    let error = load_text(&host, Limits::default(), &tables).await;
    assert!(matches!(error, LoadError::Requires { wanted: 40, limit: "tables", .. }), "{error}");
    // 8,192 pages are 512 MiB.
    let large = "(component (core module $m (memory 8192)) (core instance (instantiate $m)))";
    let limits = Limits { engine: EngineChoice::Heavy, ..Limits::default() };
    let error = load_text(&host, limits, large).await;
    assert!(matches!(error, LoadError::Requires { wanted: 512, limit: "memory_mib", allowed: 256, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_of_too_many_parts_are_refused() {
    let host = Host::new();
    let error = refused(&host, Limits { core_instances: 1, ..Limits::default() }, json!({})).await;
    let LoadError::Instance { fault, .. } = &error else { panic!("{error}") };
    assert_eq!(fault.message, "the environment goes over a limit: instance count too high at 2");
}

/// Two memories do not fit a slot of the small engine. The component is no environment, but it gets as far as the engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_the_small_engine_goes_to_the_heavy_one() {
    let host = Host::new();
    let two = "(component (core module $m (memory 1) (memory 1)) (core instance (instantiate $m)))";
    let error = load_text(&host, Limits::default(), two).await;
    assert!(matches!(error, LoadError::NotAnEnvironment { .. }), "{error}");
    let error = load_text(&host, Limits { engine: EngineChoice::Small, ..Limits::default() }, two).await;
    let LoadError::Engine { what, .. } = error else { panic!("{error}") };
    assert_eq!(what, "2 memories");
    // A table that is larger than a slot is found when the code is loaded, from the compiler and from the cache alike.
    let table = "(component (core module $m (table 30000 funcref)) (core instance (instantiate $m)))";
    for _ in 0..2 {
        let error = load_text(&host, Limits::default(), table).await;
        assert!(matches!(error, LoadError::NotAnEnvironment { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_with_the_same_component_differ_in_their_configuration() {
    let host = Host::new();
    let (one, two) = tokio::join!(
        host.try_load(Limits::default(), json!({"n": 1})),
        host.try_load(Limits::default(), json!({"n": 2, "verify": "pooled"})),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.digest(), two.digest());
    let mut session = crate::harness::session(&one, 1).await;
    assert_eq!(session.call_tool("config", "").await.unwrap(), r#"{"n":1}"#);
    assert_ne!(one.description().verify_runs_in, two.description().verify_runs_in);
    assert!(hostile().is_file());
}
