// SPDX-License-Identifier: Apache-2.0
//! Starting runtimes and loading the hostile environment.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Model, Reply, RequestContext, network::NoNetwork};
use gym_protocol::{Fault, FaultKind, ModelRequest, ServerName, environment::CallError};
use gym_resources::{Environment, Instance, InstanceFor};
use gym_runtime::{
    AdmissionOptions, CompilerCommand, Limits, LoadError, LoadRequest, LogLine, LogSink, LogSource, Runtime,
    RuntimeOptions, StaticModels,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The hostile component.
pub(crate) fn hostile() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/target/wasm32-wasip2/release");
    let folder = std::env::var_os("GYM_TEST_GUESTS").map_or(default, PathBuf::from);
    let path = folder.join("hostile.wasm");
    assert!(
        path.is_file(),
        "the test guest `{}` is missing; build it with `cargo build --release --target wasm32-wasip2` in `tests/guests`, \
         or say where it is with the variable GYM_TEST_GUESTS",
        path.display()
    );
    path
}

pub(crate) fn compiler() -> CompilerCommand {
    CompilerCommand { program: env!("CARGO_BIN_EXE_gym-compile").into(), args: Vec::new() }
}

/// Collects what environments write.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<(LogSource, String)>>);

impl LogSink for Lines {
    fn line(&self, line: &LogLine<'_>) {
        self.0.lock().push((line.source, line.text.to_owned()));
    }
}

impl Lines {
    pub(crate) fn all(&self) -> Vec<(LogSource, String)> {
        self.0.lock().clone()
    }
}

/// A runtime with room for 64 instances, whose cache the tests share.
pub(crate) struct Host {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) folder: tempfile::TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut RuntimeOptions)) -> Self {
        let lines = Arc::new(Lines::default());
        let mut options = RuntimeOptions {
            cache: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime-test-cache")),
            admission: AdmissionOptions { max_instances: Some(64), memory_bytes: None },
            log: lines.clone(),
            ..RuntimeOptions::new(compiler())
        };
        change(&mut options);
        let runtime = Runtime::new(options).expect("a runtime starts");
        let folder = tempfile::tempdir().expect("a folder for the environment");
        Self { runtime, lines, folder }
    }

    pub(crate) fn request(&self, limits: Limits, config: Value) -> LoadRequest {
        LoadRequest {
            component: hostile(),
            folder: self.folder.path().to_owned(),
            server: name("hostile_server"),
            config,
            limits,
            models: Arc::new(StaticModels::default()),
            runners: Vec::new(),
            network: Arc::new(NoNetwork),
        }
    }

    pub(crate) async fn try_load(&self, limits: Limits, config: Value) -> Result<Arc<dyn Environment>, LoadError> {
        self.runtime.load(self.request(limits, config)).await
    }

    pub(crate) async fn load(&self, limits: Limits) -> Arc<dyn Environment> {
        self.try_load(limits, json!({})).await.expect("the hostile environment loads")
    }
}

pub(crate) fn name(name: &str) -> ServerName {
    ServerName::new(name).expect("a name")
}

pub(crate) async fn session(environment: &Arc<dyn Environment>, seed: u64) -> Box<dyn Instance> {
    environment.instance(InstanceFor::Session { seed }).await.expect("a session")
}

/// The fault of a call that must end with one.
pub(crate) fn fault<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> Fault {
    match outcome {
        Err(CallError::Fault(fault)) => fault,
        other => panic!("expected a fault, got {other:?}"),
    }
}

/// Lets one session break a limit, with neighbours of the same environment before, during and after: they must not
/// notice. Returns the fault.
pub(crate) async fn breaks(limits: Limits, tool: &str, arguments: &str) -> Fault {
    let host = Host::new();
    let environment = host.load(limits).await;
    let mut before = session(&environment, 1).await;
    assert_eq!(before.call_tool("count", "{}").await.expect("a neighbour counts"), "1");

    let mut culprit = session(&environment, 2).await;
    let misdeed = culprit.call_tool(tool, arguments);
    let innocent = async {
        let mut during = session(&environment, 3).await;
        for expected in 1..=20 {
            let count = during.call_tool("count", "{}").await.expect("a neighbour counts");
            assert_eq!(count, expected.to_string());
        }
    };
    let (outcome, ()) = tokio::join!(misdeed, innocent);
    let fault = fault(outcome);
    assert!(!culprit.is_usable(), "{tool}: the instance must be gone");
    let again = self::fault(culprit.call_tool("count", "{}").await);
    assert_eq!(again.kind, FaultKind::SessionLost);

    assert!(before.is_usable());
    assert_eq!(before.call_tool("count", "{}").await.expect("a neighbour counts"), "2");
    let verdict = before.verify("{}").await.expect("a neighbour is graded");
    assert_eq!((verdict.reward, verdict.fields.as_str()), (1.0, r#"{"calls":3}"#));
    fault
}

/// A model server for tests: answers with what it was asked, or waits until it is told to go on.
pub(crate) struct TestModel {
    name: ServerName,
    pub(crate) behaviour: Behaviour,
    pub(crate) go: Notify,
    pub(crate) asked: Notify,
    pub(crate) cookies: Mutex<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Echo,
    Wait,
    Error,
    Unreachable,
    Panic,
}

impl TestModel {
    pub(crate) fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            name: name("judge"),
            behaviour,
            go: Notify::new(),
            asked: Notify::new(),
            cookies: Mutex::default(),
        })
    }
}

#[async_trait]
impl Model for TestModel {
    fn name(&self) -> &ServerName {
        &self.name
    }

    async fn respond(&self, request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        self.cookies.lock().push(context.cookies.header());
        context.cookies.set(gym_agents::Cookie { name: "sticky".into(), value: "1".into() });
        self.asked.notify_one();
        match self.behaviour {
            Behaviour::Echo => Ok(Reply::ok(request.to_body())),
            Behaviour::Wait => {
                self.go.notified().await;
                Ok(Reply::ok("{\"waited\":true}"))
            }
            Behaviour::Error => Ok(Reply::new(429, "{\"detail\":\"slow down\"}")),
            Behaviour::Unreachable => Err(Fault::new(FaultKind::Unreachable, "the model server is down")),
            Behaviour::Panic => panic!("as asked"),
        }
    }

    async fn chat(&self, _: Bytes, _: &mut RequestContext) -> Result<Reply, Fault> {
        Err(Fault::new(FaultKind::ModelFailed, "not needed here"))
    }
}
