// SPDX-License-Identifier: Apache-2.0
//! Instances and the calls into them.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use gym_protocol::{
    Fault, FaultKind,
    environment::{CallError, Observation, StepOutcome, Verdict},
};
use gym_resources::{Instance, InstanceFor};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use wasmtime::{Engine, Store};

use crate::{
    admission::Place,
    bindings::{Environment, EnvironmentPre, gym::environment::types as wit},
    limits::Limits,
    loaded::Loaded,
    meter::Metered,
    outcome,
    state::{Settings, State},
    stats::Counters,
    turns::Seat,
};

/// The seed of instances that no session owns.
pub(crate) const STATELESS_SEED: u64 = 0x67_79_6d;

/// One live instance: a store and what it occupies.
pub(crate) struct Live {
    // Fields are dropped in this order: the place is free when the store is gone.
    store: Store<State>,
    guest: Environment,
    calls: u64,
    memory_at_first: u64,
    /// Whether it should serve no other session.
    retired: bool,
    _place: Place,
}

impl Live {
    /// Instantiates a component, within the limits of a call. The instance keeps the seat.
    pub(crate) async fn make(
        engine: &Engine,
        pre: &EnvironmentPre<State>,
        settings: &Arc<Settings>,
        seed: u64,
        place: Place,
        seat: Option<Seat>,
    ) -> Result<Self, Fault> {
        let limits = &settings.limits;
        let mut store = Store::new(engine, State::new(settings.clone(), seed));
        store.data().turn.sit(seat);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().tick()));
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(limits.crossing_bytes());
        store.set_max_component_handles(limits.resources);
        match bounded(limits, wall_end(limits), pre.instantiate_async(&mut store)).await.0 {
            Ok(guest) => {
                let state = store.data_mut();
                state.memory.instance_is_made();
                let memory_at_first = state.memory.used();
                Ok(Self { store, guest, calls: 0, memory_at_first, retired: false, _place: place })
            }
            Err(stopped) => Err(stopped.fault(store.data_mut())),
        }
    }

    /// Whether an instance that serves many calls should be replaced.
    pub(crate) fn is_worn(&self, limits: &Limits) -> bool {
        let grown = self.store.data().memory.used().saturating_sub(self.memory_at_first);
        self.retired || self.calls >= limits.recycle_after_calls || grown > limits.recycle_growth_mib << 20
    }

    /// Asks the environment what it is.
    pub(crate) async fn describe(mut self) -> Result<wit::Description, CallError> {
        self.begin(false);
        let limits = self.store.data().settings.limits.clone();
        match bounded(
            &limits,
            wall_end(&limits),
            self.guest.gym_environment_resources_server().call_describe(&mut self.store),
        )
        .await
        .0
        {
            Ok(Ok(description)) => Ok(description),
            Ok(Err(failure)) => Err(outcome::failure(failure)),
            Err(stopped) => Err(stopped.fault(self.store.data_mut()).into()),
        }
    }

    /// The next call has this seat.
    pub(crate) fn sit(&self, seat: Option<Seat>) {
        self.store.data().turn.sit(seat);
    }

    /// No call runs: the seat is for others.
    pub(crate) fn rest(&self) {
        self.store.data().turn.leave();
    }

    fn begin(&mut self, forget: bool) {
        let state = self.store.data_mut();
        state.begin_call();
        if forget {
            state.forget_earlier_calls();
        }
        self.calls += 1;
        self.store.set_epoch_deadline(1);
    }
}

/// Why a call has no outcome.
enum Stopped {
    Wall(Duration),
    Error(wasmtime::Error),
}

impl Stopped {
    fn fault(self, state: &mut State) -> Fault {
        match self {
            Self::Wall(limit) => Self::no_answer(limit),
            Self::Error(error) => outcome::fault_of(&error, state),
        }
    }

    fn no_answer(limit: Duration) -> Fault {
        let message = format!("the environment did not answer within {} ms", limit.as_millis());
        Fault::new(FaultKind::WallDeadline, message)
    }
}

/// When a call that begins now must be over.
fn wall_end(limits: &Limits) -> Instant {
    Instant::now() + limits.wall()
}

/// Runs a call within its CPU time and its time on the clock. Also returns the CPU time that it used, in nanoseconds.
async fn bounded<T>(
    limits: &Limits,
    wall_end: Instant,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> (Result<T, Stopped>, u64) {
    let call = pin!(call);
    let mut call = Metered::new(call, limits.cpu_ns());
    let outcome = match tokio::time::timeout_at(wall_end, &mut call).await {
        Err(_) => Err(Stopped::Wall(limits.wall())),
        Ok(Err(error)) => Err(Stopped::Error(error)),
        Ok(Ok(value)) => Ok(value),
    };
    (outcome, call.spent())
}

/// An instance in somebody's hands.
pub(crate) struct Guest {
    /// None before the first call, unless a session owns it, and after a call that did not come to its end.
    live: Option<Live>,
    began: bool,
    purpose: InstanceFor,
    loaded: Arc<Loaded>,
    /// The server's own count of sessions, or of calls at a time.
    _turn: OwnedSemaphorePermit,
}

impl Guest {
    /// The instance of a session.
    pub(crate) fn of_session(
        live: Live,
        purpose: InstanceFor,
        loaded: Arc<Loaded>,
        turn: OwnedSemaphorePermit,
    ) -> Self {
        Self { live: Some(live), began: true, purpose, loaded, _turn: turn }
    }

    /// An instance that is made, or taken from the pool, when its first call has a seat.
    pub(crate) fn of_call(purpose: InstanceFor, loaded: Arc<Loaded>, turn: OwnedSemaphorePermit) -> Self {
        Self { live: None, began: false, purpose, loaded, _turn: turn }
    }

    /// Takes the instance for one call. It comes back only if the call ends in good order.
    async fn begin(&mut self, request_bytes: usize) -> Result<Running<'_>, CallError> {
        let most = self.loaded.settings.limits.request_bytes;
        if request_bytes > most {
            let detail = serde_json::json!(format!("the request has {request_bytes} bytes, {most} are accepted"));
            return Err(CallError::Refused { status: 413, detail: detail.to_string() });
        }
        if !self.is_usable() {
            return Err(self.loaded.count(Fault::new(FaultKind::SessionLost, "the instance is gone")).into());
        }
        let limits = &self.loaded.settings.limits;
        let wall_end = wall_end(limits);
        let seat = tokio::time::timeout_at(wall_end, self.loaded.settings.line.seat()).await;
        let seat = seat.map_err(|_| self.loaded.count(Stopped::no_answer(limits.wall())))?;
        let mut live = match self.live.take() {
            Some(live) => {
                live.sit(seat);
                live
            }
            None => {
                let live = self.loaded.live(self.purpose, seat).await?;
                self.began = true;
                live
            }
        };
        Counters::count(&self.loaded.counters.calls);
        live.begin(self.purpose == InstanceFor::Pooled && live.calls > 0);
        Ok(Running { home: &mut self.live, live: Some(live), loaded: &self.loaded, wall_end })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.purpose == InstanceFor::Pooled {
            self.loaded.give_back(self.live.take());
        }
    }
}

/// A call that runs. Dropped before its end, it takes the instance with it: a store whose call was abandoned must never be
/// entered again.
struct Running<'a> {
    home: &'a mut Option<Live>,
    live: Option<Live>,
    loaded: &'a Loaded,
    wall_end: Instant,
}

impl Running<'_> {
    fn parts(&mut self) -> (&Environment, &mut Store<State>) {
        let live = self.live.as_mut().expect("a running call has its instance");
        (&live.guest, &mut live.store)
    }

    fn end<T, R>(
        mut self,
        outcome: Result<Result<T, wit::Failure>, Stopped>,
        check: impl FnOnce(T, &Limits) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let mut live = self.live.take().expect("a running call has its instance");
        let result = match outcome {
            Err(stopped) => {
                let fault = stopped.fault(live.store.data_mut());
                drop(live);
                Err(fault.into())
            }
            Ok(reply) => {
                live.rest();
                let (limits, state) = (&self.loaded.settings.limits, live.store.data());
                let starved = state.memory.refused;
                let reply =
                    reply.map_err(|failure| match outcome::starved(outcome::failure(failure), starved, limits) {
                        CallError::Fault(fault) => state.network.blame(fault).into(),
                        other => other,
                    });
                *self.home = Some(live);
                reply.and_then(|value| check(value, limits))
            }
        };
        if let Err(CallError::Fault(fault)) = &result {
            self.loaded.report(fault);
            // After a fault of its own nobody knows what state the environment is in.
            if fault.kind != FaultKind::JudgeFailed
                && let Some(live) = &mut self.home
            {
                live.retired = true;
            }
        }
        result
    }
}

/// One call: begin, run within limits, end.
macro_rules! call {
    ($self:ident, $bytes:expr, $check:expr, |$guest:ident, $store:ident| $call:expr) => {{
        let loaded = $self.loaded.clone();
        let mut running = $self.begin($bytes).await?;
        let wall_end = running.wall_end;
        let (guest, $store) = running.parts();
        let $guest = guest.gym_environment_resources_server();
        let (outcome, spent) = bounded(&loaded.settings.limits, wall_end, $call).await;
        loaded.counters.cpu(spent);
        running.end(outcome, $check)
    }};
}

#[async_trait]
impl Instance for Guest {
    fn is_usable(&self) -> bool {
        self.live.is_some() || !self.began
    }

    async fn seed_session(&mut self, request: &str) -> Result<String, CallError> {
        call!(self, request.len(), outcome::seeded, |guest, store| guest.call_seed_session(store, request))
    }

    async fn call_tool(&mut self, name: &str, arguments: &str) -> Result<String, CallError> {
        let check = |reply: String, limits: &Limits| outcome::check_size(reply.len(), limits).map(|()| reply);
        call!(self, name.len() + arguments.len(), check, |guest, store| guest.call_call_tool(store, name, arguments))
    }

    async fn verify(&mut self, request: &str) -> Result<Verdict, CallError> {
        call!(self, request.len(), outcome::verdict, |guest, store| guest.call_verify(store, request))
    }

    async fn reset(&mut self, request: &str) -> Result<Observation, CallError> {
        call!(self, request.len(), outcome::observation, |guest, store| guest.call_reset(store, request))
    }

    async fn step(&mut self, request: &str) -> Result<StepOutcome, CallError> {
        call!(self, request.len(), outcome::step, |guest, store| guest.call_step(store, request))
    }

    async fn close(&mut self) -> Result<(), CallError> {
        call!(self, 0, |(), _: &Limits| Ok(()), |guest, store| guest.call_close(store))
    }

    async fn aggregate_metrics(&mut self, request: &str) -> Result<String, CallError> {
        call!(self, request.len(), outcome::aggregated, |guest, store| guest.call_aggregate_metrics(store, request))
    }
}
