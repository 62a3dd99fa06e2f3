// SPDX-License-Identifier: Apache-2.0
//! A loaded environment: where its instances come from, and where pooled ones go back to.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use gym_protocol::{Fault, environment::Description};
use gym_resources::{Environment, Instance, InstanceFor};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};
use wasmtime::{Engine, component::Component};

use crate::{
    admission::{Admission, Cost, Place},
    bindings::EnvironmentPre,
    engine::Profile,
    instance::{Guest, Live, STATELESS_SEED},
    outcome::RETRY_AFTER_S,
    state::{Settings, State},
    stats::{Counters, ServerStats},
    turns::Seat,
};

/// What an instance takes. The bytes are what was measured for an instance after one call, with a margin.
pub(crate) fn cost(profile: Profile) -> Cost {
    match profile {
        Profile::Small | Profile::Dense => Cost { places: 1, bytes: 128 << 10 },
        Profile::Heavy => Cost { places: 2, bytes: 8 << 20 },
    }
}

/// What is common to all servers of a runtime.
pub(crate) struct House {
    pub(crate) admission: Admission,
    servers: Mutex<Vec<Weak<Loaded>>>,
}

impl House {
    pub(crate) fn new(admission: Admission) -> Self {
        Self { admission, servers: Mutex::new(Vec::new()) }
    }

    pub(crate) fn add(&self, server: &Arc<Loaded>) {
        let mut servers = self.servers.lock();
        servers.retain(|server| server.strong_count() > 0);
        servers.push(Arc::downgrade(server));
    }

    pub(crate) fn servers(&self) -> Vec<Arc<Loaded>> {
        self.servers.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// A place for a call. Idle instances of all pools make room before anybody has to wait.
    pub(crate) async fn call_place(&self, cost: Cost, wait: Duration) -> Option<Place> {
        match self.call_place_now(cost) {
            Some(place) => Some(place),
            None => self.admission.call_within(cost, wait).await,
        }
    }

    fn call_place_now(&self, cost: Cost) -> Option<Place> {
        if let Some(place) = self.admission.call(cost) {
            return Some(place);
        }
        for server in self.servers() {
            while server.drop_idle() {
                if let Some(place) = self.admission.call(cost) {
                    return Some(place);
                }
            }
        }
        None
    }
}

/// A loaded environment.
pub(crate) struct Loaded {
    pub(crate) settings: Arc<Settings>,
    pub(crate) counters: Counters,
    pub(crate) description: Description,
    pub(crate) digest: String,
    pub(crate) profile: Profile,
    pub(crate) engine: Engine,
    pub(crate) pre: EnvironmentPre<State>,
    /// Keeps the code in memory, where other servers with the same component find it.
    pub(crate) _component: Arc<Component>,
    pub(crate) house: Arc<House>,
    pub(crate) sessions: Arc<Semaphore>,
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) idle: Mutex<Vec<Live>>,
    pub(crate) refill: Refill,
    pub(crate) this: Weak<Loaded>,
}

/// The task that makes pooled instances ahead of their calls; at most one at a time.
#[derive(Default)]
pub(crate) struct Refill {
    running: AtomicBool,
    task: Mutex<Option<AbortHandle>>,
}

impl Drop for Refill {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

impl Loaded {
    /// Counts a fault and tells operators.
    pub(crate) fn report(&self, fault: &Fault) {
        self.counters.fault(fault.kind);
        tracing::warn!(
            server = %self.settings.server,
            kind = fault.kind.label(),
            internal = fault.internal.as_deref(),
            "{fault}"
        );
    }

    /// Counts a fault that is too frequent to be worth a line, such as "busy".
    pub(crate) fn count(&self, fault: Fault) -> Fault {
        self.counters.fault(fault.kind);
        fault
    }

    async fn make(&self, seed: u64, place: Place, seat: Option<Seat>) -> Result<Live, Fault> {
        let live = Live::make(&self.engine, &self.pre, &self.settings, seed, place, seat).await;
        match &live {
            Ok(_) => Counters::count(&self.counters.instances_made),
            Err(fault) => self.report(fault),
        }
        live
    }

    async fn session(self: &Arc<Self>, seed: u64, purpose: InstanceFor) -> Result<Guest, Fault> {
        let turn = self.sessions.clone().try_acquire_owned().map_err(|_| {
            let most = self.settings.limits.max_sessions;
            self.count(Fault::busy(format!("`{}` has its {most} sessions", self.settings.server), RETRY_AFTER_S))
        })?;
        let place = self
            .house
            .admission
            .session(cost(self.profile))
            .ok_or_else(|| self.count(Fault::busy("this host has no room for another session", RETRY_AFTER_S)))?;
        let live = self.make(seed, place, self.settings.line.seat().await).await?;
        live.rest();
        Ok(Guest::of_session(live, purpose, self.clone(), turn))
    }

    async fn call(self: &Arc<Self>, purpose: InstanceFor) -> Result<Guest, Fault> {
        let turn = self.turn().await?;
        Ok(Guest::of_call(purpose, self.clone(), turn))
    }

    /// The instance for a call outside sessions.
    pub(crate) async fn live(&self, purpose: InstanceFor, seat: Option<Seat>) -> Result<Live, Fault> {
        if purpose == InstanceFor::Pooled {
            let idle = self.idle.lock().pop();
            if let Some(live) = idle {
                Counters::count(&self.counters.pool_hits);
                live.sit(seat);
                return Ok(live);
            }
            Counters::count(&self.counters.pool_misses);
        }
        let cost = cost(self.profile);
        let (place, seat) = match self.house.call_place_now(cost) {
            Some(place) => (place, seat),
            None => {
                // Whoever has the places may need the seat to leave them.
                drop(seat);
                let wait = Duration::from_millis(self.settings.limits.queue_wait_ms);
                let place =
                    self.house.call_place(cost, wait).await.ok_or_else(|| {
                        self.count(Fault::busy("this host has no room for another call", RETRY_AFTER_S))
                    })?;
                (place, self.settings.line.seat().await)
            }
        };
        self.make(STATELESS_SEED, place, seat).await
    }

    /// A call's turn: at once if it is free, else in the queue, as long as that is not too long.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Fault> {
        if let Ok(turn) = self.calls.clone().try_acquire_owned() {
            return Ok(turn);
        }
        let limits = &self.settings.limits;
        let busy = || self.count(Fault::busy(format!("`{}` has too many calls", self.settings.server), RETRY_AFTER_S));
        let place = Waiting::enter(self);
        if place.ahead >= limits.queue_length {
            return Err(busy());
        }
        let wait = Duration::from_millis(limits.queue_wait_ms);
        match tokio::time::timeout(wait, self.calls.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// Takes a pooled instance back, or its end to know.
    pub(crate) fn give_back(&self, live: Option<Live>) {
        let limits = &self.settings.limits;
        if let Some(live) = live.filter(|live| !live.is_worn(limits)) {
            let mut idle = self.idle.lock();
            if idle.len() < limits.pool_size {
                idle.push(live);
                return;
            }
            drop(idle);
            drop(live);
        }
        self.refill();
    }

    /// Ends one idle instance. False if there was none.
    fn drop_idle(&self) -> bool {
        let live = self.idle.lock().pop();
        live.is_some()
    }

    fn wants_more(&self) -> bool {
        let limits = &self.settings.limits;
        self.idle.lock().len() < limits.prewarm.min(limits.pool_size)
    }

    /// Makes idle instances up to the wanted number, as far as there is room.
    pub(crate) async fn prewarm(&self) -> Result<(), Fault> {
        while self.wants_more() {
            let Some(place) = self.house.admission.call(cost(self.profile)) else { return Ok(()) };
            let live = self.make(STATELESS_SEED, place, None).await?;
            live.rest();
            self.idle.lock().push(live);
        }
        Ok(())
    }

    /// Replaces lost instances in the background.
    fn refill(&self) {
        if !self.wants_more() || self.refill.running.swap(true, Relaxed) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            self.refill.running.store(false, Relaxed);
            return;
        };
        let this = self.this.clone();
        let task = runtime.spawn(async move {
            let Some(this) = this.upgrade() else { return };
            // The fault was reported; the next call makes its own instance, or meets the same fault.
            let made = this.prewarm().await;
            this.refill.running.store(false, Relaxed);
            if made.is_err() {
                tracing::debug!(server = %this.settings.server, "no instance could be made ahead");
            }
        });
        *self.refill.task.lock() = Some(task.abort_handle());
    }

    pub(crate) fn stats(&self) -> ServerStats {
        let limits = &self.settings.limits;
        ServerStats {
            server: self.settings.server.as_str().to_owned(),
            digest: self.digest.clone(),
            engine: self.profile.name(),
            live_sessions: limits.max_sessions - self.sessions.available_permits(),
            running_calls: limits.max_concurrent_calls - self.calls.available_permits(),
            waiting_calls: self.counters.waiting.load(Relaxed),
            pool_idle: self.idle.lock().len(),
            pool_hits: self.counters.pool_hits.load(Relaxed),
            pool_misses: self.counters.pool_misses.load(Relaxed),
            instances_made: self.counters.instances_made.load(Relaxed),
            calls: self.counters.calls.load(Relaxed),
            cpu_ms: self.counters.cpu_ms().0,
            longest_cpu_ms: self.counters.cpu_ms().1,
            faults: self.counters.faults(),
        }
    }
}

/// A place in the queue, given up when the wait ends, however it ends.
struct Waiting<'a> {
    server: &'a Loaded,
    ahead: usize,
}

impl<'a> Waiting<'a> {
    fn enter(server: &'a Loaded) -> Self {
        Self { server, ahead: server.counters.waiting.fetch_add(1, Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.server.counters.waiting.fetch_sub(1, Relaxed);
    }
}

/// What [`crate::Runtime::load`] hands out.
pub(crate) struct LoadedEnvironment(pub(crate) Arc<Loaded>);

#[async_trait]
impl Environment for LoadedEnvironment {
    fn description(&self) -> &Description {
        &self.0.description
    }

    fn digest(&self) -> &str {
        &self.0.digest
    }

    async fn instance(&self, purpose: InstanceFor) -> Result<Box<dyn Instance>, Fault> {
        let guest = match purpose {
            InstanceFor::Session { seed } => self.0.session(seed, purpose).await?,
            InstanceFor::Call | InstanceFor::Pooled => self.0.call(purpose).await?,
        };
        Ok(Box::new(guest))
    }
}
