// SPDX-License-Identifier: Apache-2.0
//! Everything that leaves the process: one connection pool for all, and for each upstream its limits, retries, circuit
//! breaker and counters. Nothing waits without end, and every failure is a typed fault of the infrastructure.

mod circuit;
mod failure;
pub mod policy;
mod stats;
pub mod transport;
mod upstream;

use std::sync::{Arc, Weak};

use gym_protocol::{FaultKind, ServerName};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub use self::policy::{Jitter, Policy};
pub use self::stats::ModelStats;
pub use self::transport::{Call, HttpTransport, PoolSettings, Transport};
pub use self::upstream::{Answered, Opening, Repeat, Upstream};

/// Limits of the whole process.
#[derive(Clone, Copy, Debug)]
pub struct OutboundSettings {
    /// The connection pool.
    pub pool: PoolSettings,
    /// Calls under way at a time, over all upstreams (`global_aiohttp_connector_limit`); others wait.
    pub max_concurrent: usize,
    /// The same for one upstream (`global_aiohttp_connector_limit_per_host`), beside the limit of its own block.
    pub max_per_upstream: usize,
    /// `observability_enabled`: calls for a rollout carry its id as `/ng-rollout/<id>`, also those to resources servers.
    pub observability: bool,
}

impl OutboundSettings {
    /// The default limits with those that are configured; a limit of 0 is none.
    pub fn with_limits(all: Option<usize>, per_upstream: Option<usize>) -> Self {
        let or = |limit: Option<usize>, default| match limit {
            None => default,
            Some(0) => usize::MAX,
            Some(limit) => limit,
        };
        let default = Self::default();
        Self {
            max_concurrent: or(all, default.max_concurrent),
            max_per_upstream: or(per_upstream, default.max_per_upstream),
            ..default
        }
    }
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self { pool: PoolSettings::default(), max_concurrent: 102_400, max_per_upstream: 1024, observability: false }
    }
}

/// The one client of this process.
pub struct Outbound {
    transport: Arc<dyn Transport>,
    gate: Arc<Semaphore>,
    max_per_upstream: usize,
    observability: bool,
    seed: Option<u64>,
    upstreams: Mutex<Vec<Weak<Upstream>>>,
}

impl Outbound {
    /// A client over real HTTP.
    pub fn new(settings: OutboundSettings) -> Result<Arc<Self>, crate::ModelError> {
        let transport = HttpTransport::new(settings.pool).map_err(crate::ModelError::Client)?;
        Ok(Self::limited(Arc::new(transport), settings, None))
    }

    /// A client over any transport; with a seed, waits are always the same.
    pub fn with_transport(transport: Arc<dyn Transport>, max_concurrent: usize, seed: Option<u64>) -> Arc<Self> {
        Self::limited(transport, OutboundSettings { max_concurrent, ..OutboundSettings::default() }, seed)
    }

    fn limited(transport: Arc<dyn Transport>, settings: OutboundSettings, seed: Option<u64>) -> Arc<Self> {
        let gate = Arc::new(Semaphore::new(settings.max_concurrent.clamp(1, Semaphore::MAX_PERMITS)));
        let max_per_upstream = settings.max_per_upstream.clamp(1, Semaphore::MAX_PERMITS);
        let observability = settings.observability;
        Arc::new(Self { transport, gate, max_per_upstream, observability, seed, upstreams: Mutex::default() })
    }

    /// A way to one server elsewhere. `fault` is the kind of its failures other than not being reached.
    pub fn upstream(&self, server: &ServerName, url: &str, policy: Policy, fault: FaultKind) -> Arc<Upstream> {
        let jitter = self.seed.map_or_else(Jitter::random, Jitter::seeded);
        let own = policy.max_concurrent.unwrap_or(self.max_per_upstream).min(self.max_per_upstream);
        let gates = (Arc::new(Semaphore::new(own)), Arc::clone(&self.gate));
        let upstream =
            Arc::new(Upstream::new(server.clone(), url, policy, fault, Arc::clone(&self.transport), gates, jitter));
        let mut upstreams = self.upstreams.lock();
        upstreams.retain(|upstream| upstream.strong_count() > 0);
        upstreams.push(Arc::downgrade(&upstream));
        upstream
    }

    /// Whether every call for a rollout carries its id.
    pub(crate) fn observability(&self) -> bool {
        self.observability
    }

    /// The counters of all upstreams, in the order in which they were made.
    pub fn stats(&self) -> Vec<ModelStats> {
        self.upstreams.lock().iter().filter_map(Weak::upgrade).map(|upstream| upstream.stats()).collect()
    }
}

#[cfg(test)]
mod tests;
