// SPDX-License-Identifier: Apache-2.0
//! What the host keeps for one instance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use gym_agents::{RequestContext, network::Network};
use gym_protocol::{Fault, FaultKind, ServerName};
use parking_lot::Mutex;
use wasmtime::{
    UpdateDeadline,
    component::{HasData, ResourceTable},
    format_err,
};
use wasmtime_wasi::{cli::WasiCliCtx, filesystem::WasiFilesystemCtx, sockets::WasiSocketsCtx};

use crate::{
    admission::MemoryBudget,
    capture::Captured,
    files::Files,
    limits::Limits,
    log::{GuestLog, LogSink},
    memory::MemoryAccount,
    meter,
    models::ModelDirectory,
    network::NetworkUse,
    programs::Runners,
    seeded::{Randomness, Stream, VirtualClock},
    turns::{Line, Turn},
};

/// What all instances of one configured server have in common.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) server: Arc<ServerName>,
    /// The configuration as JSON text.
    pub(crate) config: String,
    pub(crate) limits: Limits,
    pub(crate) models: Arc<dyn ModelDirectory>,
    pub(crate) runners: Arc<Runners>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) files: Files,
    pub(crate) log: Arc<dyn LogSink>,
    pub(crate) line: Line,
    pub(crate) memory: Arc<MemoryBudget>,
}

/// What the streams and timers of an instance share with it.
pub(crate) struct Shared {
    pub(crate) clock: VirtualClock,
    pub(crate) log: Mutex<GuestLog>,
}

/// The data of one store.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) cli: WasiCliCtx,
    pub(crate) filesystem: WasiFilesystemCtx,
    pub(crate) sockets: WasiSocketsCtx,
    pub(crate) settings: Arc<Settings>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) random: Random,
    pub(crate) memory: MemoryAccount,
    pub(crate) turn: Turn,
    pub(crate) model_contexts: Vec<(String, RequestContext)>,
    pub(crate) model_waited: Duration,
    /// For instances that run a program: where its output goes.
    pub(crate) captured: Option<Captured>,
    pub(crate) stdin: Bytes,
    pub(crate) network: NetworkUse,
    seed: u64,
    host_calls: u64,
    host_call_bytes: u64,
    stopped: Option<Fault>,
}

/// The random streams of one instance.
pub(crate) struct Random {
    pub(crate) host: Randomness,
    pub(crate) secure: Randomness,
    pub(crate) insecure: Randomness,
}

impl Random {
    fn new(seed: u64) -> Self {
        Self {
            host: Randomness::new(seed, Stream::Host),
            secure: Randomness::new(seed, Stream::WasiSecure),
            insecure: Randomness::new(seed, Stream::WasiInsecure),
        }
    }
}

impl State {
    pub(crate) fn new(settings: Arc<Settings>, seed: u64) -> Self {
        static INSTANCES: AtomicU64 = AtomicU64::new(1);
        let instance = INSTANCES.fetch_add(1, Relaxed);
        let limits = &settings.limits;
        let log = GuestLog::new(settings.log.clone(), settings.server.clone(), instance, limits);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        Self {
            table,
            cli: WasiCliCtx::default(),
            filesystem: WasiFilesystemCtx::default(),
            sockets: WasiSocketsCtx::default(),
            shared: Arc::new(Shared { clock: VirtualClock::new(seed), log: Mutex::new(log) }),
            random: Random::new(seed),
            memory: MemoryAccount::new(limits, settings.memory.clone()),
            turn: Turn::new(settings.line.clone()),
            model_contexts: Vec::new(),
            model_waited: Duration::ZERO,
            captured: None,
            stdin: Bytes::new(),
            network: NetworkUse::default(),
            seed,
            host_calls: 0,
            host_call_bytes: 0,
            stopped: None,
            settings,
        }
    }

    /// The answer to WASI's request for a seed of hash tables.
    pub(crate) fn insecure_seed(&self) -> (u64, u64) {
        let mut stream = Randomness::new(self.seed, Stream::WasiInsecureSeed);
        (stream.next(), stream.next())
    }

    /// Makes the streams those of a program.
    pub(crate) fn begin_program(&mut self, captured: Captured, stdin: Bytes) {
        self.captured = Some(captured);
        self.stdin = stdin;
    }

    /// Opens new accounts for the next call.
    pub(crate) fn begin_call(&mut self) {
        self.host_calls = 0;
        self.host_call_bytes = 0;
        self.model_waited = Duration::ZERO;
        self.network.begin_call();
        self.memory.refused = false;
        self.stopped = None;
    }

    /// Lets the next call find what a first call would have found: the same random numbers, the same time of day, an empty
    /// log, no cookies of model servers.
    pub(crate) fn forget_earlier_calls(&mut self) {
        self.random = Random::new(self.seed);
        self.shared.clock.restart_wall();
        self.shared.log.lock().reset();
        self.model_contexts.clear();
        self.network.forget_earlier_calls();
    }

    /// Ends the call with `fault`: the error that is returned must reach the guest's caller.
    pub(crate) fn stop(&mut self, fault: Fault) -> wasmtime::Error {
        let error = format_err!("{fault}");
        self.stopped = Some(fault);
        error
    }

    /// Why the host ended the call, if it did.
    pub(crate) fn take_stop(&mut self) -> Option<Fault> {
        self.stopped.take()
    }

    /// Counts one host call with so many bytes.
    pub(crate) fn charge(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.host_calls += 1;
        if self.host_calls > self.settings.limits.host_calls {
            let most = self.settings.limits.host_calls;
            return Err(self.stop(Fault::new(
                FaultKind::HostCalls,
                format!("the environment made more than {most} host calls in one call"),
            )));
        }
        self.charge_bytes(bytes)
    }

    /// Counts bytes that come back from a host call.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.host_call_bytes = self.host_call_bytes.saturating_add(bytes as u64);
        if self.host_call_bytes > self.settings.limits.host_call_bytes {
            let most = self.settings.limits.host_call_bytes;
            return Err(self.stop(Fault::new(
                FaultKind::HostCalls,
                format!("the host calls of one call carried more than {most} bytes"),
            )));
        }
        Ok(())
    }

    /// Bytes that host calls of this call may still carry.
    pub(crate) fn bytes_left(&self) -> u64 {
        self.settings.limits.host_call_bytes.saturating_sub(self.host_call_bytes)
    }

    /// What the guest does at a tick: end when its CPU time is used up, else let others run.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        let Some((spent, budget)) = meter::spent_and_budget() else { return UpdateDeadline::Yield(1) };
        if spent > budget {
            let budget = self.settings.limits.cpu_ms;
            self.stopped = Some(Fault::new(
                FaultKind::CpuDeadline,
                format!("the environment used up its {budget} ms of CPU time"),
            ));
            return UpdateDeadline::Interrupt;
        }
        match self.turn.next(spent) {
            Some(turn) => UpdateDeadline::YieldCustom(1, turn),
            None => UpdateDeadline::Yield(1),
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.shared.log.lock().flush();
    }
}

/// Lends the resource table to WASI's stream functions.
pub(crate) struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}
