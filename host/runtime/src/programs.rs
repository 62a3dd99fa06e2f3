// SPDX-License-Identifier: Apache-2.0
//! Programs that nobody trusts: the runners that a server may use, and one run.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use gym_protocol::ServerName;
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::{Engine, component::Component};

use crate::{
    bindings::{
        gym::environment::code::{Bounds, Program, Run, RunFailure},
        runner::CodeRunnerPre,
    },
    capture::Captured,
    engine::Profile,
    instance::STATELESS_SEED,
    limits::Limits,
    loaded::{House, cost},
    process::Live,
    runtime::{LoadError, Runtime},
    state::{Settings, State},
};

/// A component that runs programs for one server (`run_code` in its configuration).
#[derive(Clone, Debug)]
pub struct RunnerRequest {
    /// The name by which the environment asks for it, for example `python`.
    pub name: String,
    /// The component, a `.wasm` file.
    pub component: PathBuf,
    /// Its limits.
    pub limits: RunLimits,
    /// Whether it is loaded with the environment. Otherwise its first run has to wait for that.
    pub eager: bool,
}

/// What one run may use. An environment can ask for less, never for more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunLimits {
    /// CPU time in milliseconds: of a run, or of each call of a program that stays. Default 60,000.
    pub cpu_ms: u64,
    /// Memory in MiB, the interpreter's own included. Default 1,024.
    pub memory_mib: u64,
    /// Bytes of standard output and of standard error, each; what is beyond is dropped. Default 1 MiB.
    pub output_bytes: usize,
    /// Runs at a time; the others wait. Default 64.
    pub max_concurrent_runs: usize,
    /// How long a run waits for its turn in milliseconds, before it is given up as a failure that says nothing about the
    /// program. Default 900,000.
    pub queue_wait_ms: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            cpu_ms: 60_000,
            memory_mib: 1024,
            output_bytes: 1 << 20,
            max_concurrent_runs: 64,
            queue_wait_ms: 900_000,
        }
    }
}

impl RunLimits {
    /// The limits of one run that asks for these.
    pub(crate) fn bounded(&self, bounds: Bounds) -> Self {
        let Bounds { cpu_ms, memory_mib, output_bytes } = bounds;
        let least = |asked: Option<u32>, most: u64| asked.map_or(most, |asked| u64::from(asked).clamp(1, most));
        let output_bytes = output_bytes
            .map_or(self.output_bytes, |asked| usize::try_from(asked).unwrap_or(usize::MAX).min(self.output_bytes));
        let (cpu_ms, memory_mib) = (least(cpu_ms, self.cpu_ms), least(memory_mib, self.memory_mib));
        Self { cpu_ms, memory_mib, output_bytes, ..self.clone() }
    }

    /// Checks the values. Types and names are checked when the block is read.
    pub fn validate(&self) -> Result<(), crate::LimitError> {
        for (name, value) in [
            ("cpu_ms", self.cpu_ms),
            ("memory_mib", self.memory_mib),
            ("max_concurrent_runs", self.max_concurrent_runs as u64),
        ] {
            if value == 0 {
                return Err(crate::LimitError { name, value, expected: "at least 1" });
            }
        }
        let at_most = [
            ("cpu_ms", self.cpu_ms, 1 << 32, "at most 2^32"),
            ("memory_mib", self.memory_mib, 4096, "at most 4096"),
            ("output_bytes", self.output_bytes as u64, 1 << 30, "at most 2^30"),
            ("max_concurrent_runs", self.max_concurrent_runs as u64, 1 << 20, "at most 2^20"),
        ];
        match at_most.into_iter().find(|(_, value, most, _)| value > most) {
            Some((name, value, _, expected)) => Err(crate::LimitError { name, value, expected }),
            None => Ok(()),
        }
    }
}

/// The runners that one server may use, by name.
pub(crate) struct Runners {
    by_name: HashMap<String, Slot>,
    runtime: Weak<Runtime>,
}

struct Slot {
    request: RunnerRequest,
    ready: OnceCell<Arc<Runner>>,
}

impl Runners {
    pub(crate) fn new(requests: Vec<RunnerRequest>, runtime: Weak<Runtime>) -> Self {
        let slots = requests.into_iter().map(|request| {
            let name = request.name.clone();
            (name, Slot { request, ready: OnceCell::new() })
        });
        Self { by_name: slots.collect(), runtime }
    }

    /// Loads those that are to be ready from the start.
    pub(crate) async fn load_eager(&self) -> Result<(), LoadError> {
        let Some(runtime) = self.runtime.upgrade() else { return Ok(()) };
        for slot in self.by_name.values().filter(|slot| slot.request.eager) {
            slot.ready.get_or_try_init(|| runtime.runner(&slot.request)).await?;
        }
        Ok(())
    }

    /// The runner of that name. Loading may take seconds the first time; servers that name their runners have that behind
    /// them when they start.
    pub(crate) async fn get(&self, name: &str) -> Result<Arc<Runner>, RunFailure> {
        let slot = self.by_name.get(name).ok_or_else(|| {
            let text = format!("there is no code runner `{name}` in this server's configuration");
            RunFailure::UnknownRunner(text)
        })?;
        if let Some(ready) = slot.ready.get() {
            return Ok(ready.clone());
        }
        let gone = || RunFailure::Unavailable("the host is shutting down".to_owned());
        let runtime = self.runtime.upgrade().ok_or_else(gone)?;
        let ready = slot.ready.get_or_try_init(|| runtime.runner(&slot.request)).await.map_err(|error| {
            tracing::error!(runner = name, "{error}: {:#}", Sources(&error));
            RunFailure::Unavailable(format!("the code runner `{name}` cannot be loaded; the log says why"))
        })?;
        Ok(ready.clone())
    }
}

/// The causes of an error in one line.
struct Sources<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, "{error}; ")?;
            source = error.source();
        }
        Ok(())
    }
}

/// A loaded runner.
pub(crate) struct Runner {
    pub(crate) engine: Engine,
    pub(crate) profile: Profile,
    pub(crate) pre: CodeRunnerPre<State>,
    /// Keeps the code in memory.
    pub(crate) _component: Arc<Component>,
    pub(crate) house: Arc<House>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) limits: RunLimits,
    pub(crate) turns: Arc<Semaphore>,
}

/// The limits of the instances of a runner.
pub(crate) fn instance_limits(limits: &RunLimits) -> Limits {
    Limits {
        cpu_ms: limits.cpu_ms,
        // Only waiting for others is bounded by the clock, and a run waits for nobody but other runs.
        wall_ms: limits.cpu_ms.saturating_mul(100).max(limits.queue_wait_ms).max(60_000),
        memory_mib: limits.memory_mib,
        tables: 100,
        core_instances: 200,
        ..Limits::default()
    }
}

/// The name under which a runner appears in logs.
pub(crate) fn server_name(name: &str) -> ServerName {
    ServerName::new(format!("run_code:{name}")).expect("a text with letters is a name")
}

impl Runner {
    /// Runs one program in an instance of its own.
    pub(crate) async fn run(&self, program: &Program, bounds: Bounds) -> Result<Run, RunFailure> {
        Ok(self.start(program, bounds).await?.1)
    }

    /// Executes a program in an instance of its own, which stays.
    pub(crate) async fn start(&self, program: &Program, bounds: Bounds) -> Result<(Option<Live>, Run), RunFailure> {
        let unavailable = |text: &str| RunFailure::Unavailable(text.to_owned());
        let wait = Duration::from_millis(self.limits.queue_wait_ms);
        let Ok(Ok(turn)) = tokio::time::timeout(wait, self.turns.clone().acquire_owned()).await else {
            return Err(unavailable("too many programs run at this time"));
        };
        let place = self.house.call_place(cost(self.profile), wait).await;
        let place = place.ok_or_else(|| unavailable("this host has no room for another program"))?;
        let limits = self.limits.bounded(bounds);
        let mut settings = self.settings.clone();
        if settings.limits.cpu_ms != limits.cpu_ms || settings.limits.memory_mib != limits.memory_mib {
            let changed = Arc::make_mut(&mut settings);
            changed.limits.cpu_ms = limits.cpu_ms;
            changed.limits.memory_mib = limits.memory_mib;
        }
        let captured = Captured::new(limits.output_bytes);
        let mut state = State::new(settings, STATELESS_SEED);
        state.begin_program(captured.clone(), program.stdin.clone().into());
        let live = Live::new(&self.engine, state, captured, self.limits.clone(), (place, turn));
        live.start(&self.pre, program).await
    }
}

/// The folder of a runner's component.
pub(crate) fn folder_of(component: &Path) -> PathBuf {
    component.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}
