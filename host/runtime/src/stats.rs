// SPDX-License-Identifier: Apache-2.0
//! What the runtime counts.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use gym_protocol::FaultKind;
use parking_lot::Mutex;
use serde::Serialize;

/// A look at the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuntimeStats {
    /// Places that live sessions take: one each, on the heavy engine two.
    pub live_sessions: usize,
    /// Places for sessions on this machine.
    pub session_room: usize,
    /// Places that instances take which no session owns, idle ones of the pools included.
    pub live_calls: usize,
    /// Places for those on this machine.
    pub call_room: usize,
    /// Bytes of memory that instances are charged for.
    pub memory_used_bytes: u64,
    /// Bytes of memory that all instances may use together.
    pub memory_limit_bytes: u64,
    /// The loaded servers.
    pub servers: Vec<ServerStats>,
}

/// A look at one loaded server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerStats {
    /// Name of the server.
    pub server: String,
    /// Digest of its component, hexadecimal.
    pub digest: String,
    /// Engine that runs it: `small` or `heavy`.
    pub engine: &'static str,
    /// Live sessions.
    pub live_sessions: usize,
    /// Calls outside sessions that hold a turn, running or about to run.
    pub running_calls: usize,
    /// Calls that wait for a turn.
    pub waiting_calls: usize,
    /// Idle pooled instances.
    pub pool_idle: usize,
    /// Pooled calls that found an instance.
    pub pool_hits: u64,
    /// Pooled calls that had to make one.
    pub pool_misses: u64,
    /// Instances made, for whatever purpose.
    pub instances_made: u64,
    /// Calls into the environment.
    pub calls: u64,
    /// CPU time of all these calls, in milliseconds.
    pub cpu_ms: u64,
    /// CPU time of the call that used most, in milliseconds, rounded up.
    pub longest_cpu_ms: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

/// The counters behind [`ServerStats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) waiting: AtomicUsize,
    pub(crate) pool_hits: AtomicU64,
    pub(crate) pool_misses: AtomicU64,
    pub(crate) instances_made: AtomicU64,
    pub(crate) calls: AtomicU64,
    cpu_ns: AtomicU64,
    longest_cpu_ns: AtomicU64,
    faults: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// One call has used so much CPU time, in nanoseconds.
    pub(crate) fn cpu(&self, spent: u64) {
        self.cpu_ns.fetch_add(spent, Relaxed);
        self.longest_cpu_ns.fetch_max(spent, Relaxed);
    }

    /// CPU time of all calls, and of the longest, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> (u64, u64) {
        (self.cpu_ns.load(Relaxed) / 1_000_000, self.longest_cpu_ns.load(Relaxed).div_ceil(1_000_000))
    }

    pub(crate) fn fault(&self, kind: FaultKind) {
        *self.faults.lock().entry(kind.label()).or_default() += 1;
    }

    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.faults.lock().clone()
    }
}
