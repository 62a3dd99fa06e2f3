// SPDX-License-Identifier: Apache-2.0
//! What one configured server may use: the block `limits:` of its configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Largest linear memory of the small engine, in MiB. Servers that may use more run on the heavy one.
pub const SMALL_MEMORY_MIB: u64 = 256;

/// Which engine profile runs an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineChoice {
    /// By the size of the component and what it requires.
    #[default]
    Auto,
    /// Many cheap instances: memories come from a pool, with bounds checks.
    Small,
    /// Few large instances: every memory has 4 GiB of address space and needs no bounds checks. For Python.
    Heavy,
}

/// Limits of one configured server. Every field has a default; an unknown field is an error.
///
/// Two more limits are the same for all servers: an environment has 512 KiB of WebAssembly stack on the small engine and
/// 64 MiB on the heavy one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Which engine runs the environment: `auto`, `small` or `heavy`. Default `auto`.
    pub engine: EngineChoice,
    /// CPU time of one call in milliseconds, counted on the thread that runs it: a busy machine does not shorten it, and
    /// waiting for a model does not use it up. Making an instance has the same budget once more. Default 10,000.
    pub cpu_ms: u64,
    /// Time of one call on the clock in milliseconds, waiting included. Making an instance is bounded by it as well.
    /// Default 900,000 (15 minutes).
    pub wall_ms: u64,
    /// Time that one call may wait for model servers, in milliseconds, over all its requests. What comes later is
    /// answered `unavailable`. Default 600,000 (10 minutes).
    pub model_wait_ms: u64,
    /// Time that one call may wait for the endpoints that its server's configuration grants, in milliseconds. Default
    /// 120,000 (2 minutes).
    pub network_wait_ms: u64,
    /// Bytes of one message to or from an endpoint. Default 8 MiB.
    pub network_message_bytes: usize,
    /// Messages of one session to and from endpoints. Default 100,000.
    pub network_messages: u64,
    /// Channels to endpoints that one session holds at a time. Default 8.
    pub network_channels: usize,
    /// Memory of one instance in MiB: all linear memories and all tables together. Above 256 the heavy engine is used.
    /// Default 256.
    pub memory_mib: u64,
    /// Linear memories of one instance. Default 4.
    pub memories: usize,
    /// Tables of one instance. Default 32.
    pub tables: usize,
    /// Core instances that one component may consist of. Default 64.
    pub core_instances: usize,
    /// Handles (streams, timers, own resources) that one instance may hold at a time. Default 1,024.
    pub resources: usize,
    /// Bytes of one request to the environment. Larger ones are refused with status 413. Default 64 MiB.
    pub request_bytes: usize,
    /// Bytes of one reply of the environment. Default 16 MiB.
    pub reply_bytes: usize,
    /// Calls of the host's functions during one call: configuration, models, files, clock, random numbers. Writing to
    /// the log is not counted. Default 1,000,000.
    pub host_calls: u64,
    /// Bytes that go through those functions during one call, both directions together. Default 256 MiB.
    pub host_call_bytes: u64,
    /// Bytes of one log line; the rest of the line is cut. Default 8 KiB.
    pub log_line_bytes: usize,
    /// Log lines of one session (or of one call, for instances that no session owns); the rest is dropped. Default 1,000.
    pub log_lines: u64,
    /// Log bytes of one session or call; the rest is dropped. Default 1 MiB.
    pub log_bytes: u64,
    /// Bytes of one file that `read-file` returns. Default 64 MiB.
    pub read_file_bytes: u64,
    /// Bytes of one request for random bytes. Default 1 MiB.
    pub random_bytes: u64,
    /// Idle instances that are kept for pooled calls. Default 64.
    pub pool_size: usize,
    /// Pooled instances that are made at load, and again after one was lost. Only for environments that have pooled
    /// calls. Default 1.
    pub prewarm: usize,
    /// A pooled instance is replaced after this many calls. Default 100,000.
    pub recycle_after_calls: u64,
    /// A pooled instance is replaced when its memory has grown by this many MiB since it was made. Default 64.
    pub recycle_growth_mib: u64,
    /// Calls outside sessions that run at a time. Default 4,096.
    pub max_concurrent_calls: usize,
    /// Calls that wait for their turn beyond those. What comes on top is answered 503. Default 16,384.
    pub queue_length: usize,
    /// How long a call waits for its turn, in milliseconds, before it is answered 503. Default 30,000.
    pub queue_wait_ms: u64,
    /// Live sessions of this server. Default 100,000; the machine sets a bound of its own.
    pub max_sessions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            engine: EngineChoice::Auto,
            cpu_ms: 10_000,
            wall_ms: 900_000,
            model_wait_ms: 600_000,
            network_wait_ms: 120_000,
            network_message_bytes: 8 << 20,
            network_messages: 100_000,
            network_channels: 8,
            memory_mib: 256,
            memories: 4,
            tables: 32,
            core_instances: 64,
            resources: 1024,
            request_bytes: 64 << 20,
            reply_bytes: 16 << 20,
            host_calls: 1_000_000,
            host_call_bytes: 256 << 20,
            log_line_bytes: 8 << 10,
            log_lines: 1000,
            log_bytes: 1 << 20,
            read_file_bytes: 64 << 20,
            random_bytes: 1 << 20,
            pool_size: 64,
            prewarm: 1,
            recycle_after_calls: 100_000,
            recycle_growth_mib: 64,
            max_concurrent_calls: 4096,
            queue_length: 16_384,
            queue_wait_ms: 30_000,
            max_sessions: 100_000,
        }
    }
}

/// A limit that cannot work.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("limit `{name}` is {value}, expected {expected}")]
pub struct LimitError {
    /// Name of the field.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// What would work.
    pub expected: &'static str,
}

impl Limits {
    /// Checks the values. Types and names are checked when the block is read.
    pub fn validate(&self) -> Result<(), LimitError> {
        let at_least_one = [
            ("cpu_ms", self.cpu_ms),
            ("wall_ms", self.wall_ms),
            ("memory_mib", self.memory_mib),
            ("memories", self.memories as u64),
            ("tables", self.tables as u64),
            ("core_instances", self.core_instances as u64),
            ("resources", self.resources as u64),
            ("request_bytes", self.request_bytes as u64),
            ("reply_bytes", self.reply_bytes as u64),
            ("log_line_bytes", self.log_line_bytes as u64),
            ("recycle_after_calls", self.recycle_after_calls),
            ("max_concurrent_calls", self.max_concurrent_calls as u64),
            ("max_sessions", self.max_sessions as u64),
        ];
        if let Some((name, value)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(LimitError { name, value, expected: "at least 1" });
        }
        // Counters of a semaphore and sums of bytes stay far from overflow below these.
        let at_most = [
            ("cpu_ms", self.cpu_ms, 1 << 40, "at most 2^40"),
            ("wall_ms", self.wall_ms, 1 << 40, "at most 2^40"),
            ("model_wait_ms", self.model_wait_ms, 1 << 40, "at most 2^40"),
            ("queue_wait_ms", self.queue_wait_ms, 1 << 40, "at most 2^40"),
            ("network_wait_ms", self.network_wait_ms, 1 << 40, "at most 2^40"),
            ("network_message_bytes", self.network_message_bytes as u64, 1 << 31, "at most 2^31"),
            ("memory_mib", self.memory_mib, 1 << 20, "at most 2^20"),
            ("recycle_growth_mib", self.recycle_growth_mib, 1 << 20, "at most 2^20"),
            ("request_bytes", self.request_bytes as u64, 1 << 31, "at most 2^31"),
            ("reply_bytes", self.reply_bytes as u64, 1 << 31, "at most 2^31"),
            ("read_file_bytes", self.read_file_bytes, 1 << 31, "at most 2^31"),
            ("random_bytes", self.random_bytes, 1 << 31, "at most 2^31"),
            ("max_concurrent_calls", self.max_concurrent_calls as u64, 1 << 32, "at most 2^32"),
            ("max_sessions", self.max_sessions as u64, 1 << 32, "at most 2^32"),
        ];
        if let Some((name, value, _, expected)) = at_most.into_iter().find(|(_, value, most, _)| value > most) {
            return Err(LimitError { name, value, expected });
        }
        if self.engine == EngineChoice::Small && self.memory_mib > SMALL_MEMORY_MIB {
            return Err(LimitError {
                name: "memory_mib",
                value: self.memory_mib,
                expected: "at most 256 with `engine: small`",
            });
        }
        Ok(())
    }

    pub(crate) fn wall(&self) -> Duration {
        Duration::from_millis(self.wall_ms)
    }

    pub(crate) fn cpu_ns(&self) -> u64 {
        self.cpu_ms * 1_000_000
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_mib << 20
    }

    /// Bytes that may cross from the environment to the host at once. Strings of a known length are checked exactly
    /// where they arrive; this bound keeps the host from allocating for the rest.
    pub(crate) fn crossing_bytes(&self) -> usize {
        self.reply_bytes.max(self.request_bytes) + (64 << 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_partial_block_keeps_the_rest() {
        assert_eq!(Limits::default().validate(), Ok(()));
        let limits: Limits = serde_json::from_str(r#"{"cpu_ms": 250, "engine": "heavy"}"#).unwrap();
        assert_eq!(limits, Limits { cpu_ms: 250, engine: EngineChoice::Heavy, ..Limits::default() });
    }

    #[test]
    fn unknown_names_are_errors() {
        let error = serde_json::from_str::<Limits>(r#"{"cpu": 250}"#).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `cpu`"), "{error}");
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        let cases = [
            (Limits { cpu_ms: 0, ..Limits::default() }, "limit `cpu_ms` is 0, expected at least 1"),
            (
                Limits { memory_mib: 2 << 20, ..Limits::default() },
                "limit `memory_mib` is 2097152, expected at most 2^20",
            ),
            (
                Limits { memory_mib: 512, engine: EngineChoice::Small, ..Limits::default() },
                "limit `memory_mib` is 512, expected at most 256 with `engine: small`",
            ),
        ];
        for (limits, expected) in cases {
            assert_eq!(limits.validate().unwrap_err().to_string(), expected);
        }
    }
}
