// SPDX-License-Identifier: Apache-2.0
//! One program in its instance, from its start to its end.

use std::{future::Future, pin::pin};

use gym_protocol::{Fault, FaultKind};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{Engine, Store};
use wasmtime_wasi::I32Exit;

use crate::{
    admission::Place,
    bindings::{
        gym::environment::{
            code::{Bounds, Ending, Program, Run, RunFailure},
            programs::FunctionCall,
        },
        runner::{CodeRunner, CodeRunnerPre, exports::gym::environment::runner::Finished},
    },
    capture::Captured,
    limits::Limits,
    meter::Metered,
    outcome,
    programs::RunLimits,
    state::State,
};

/// What an environment holds of a program that stays. None when there is nothing left to call.
#[allow(unreachable_pub, reason = "the generated bindings name it, which are public in their crate")]
pub struct Process(pub(crate) Option<Live>);

/// A program's instance, and the places that it takes.
pub(crate) struct Live {
    /// Goes before the places: they are free when the instance is gone.
    store: Store<State>,
    instance: Option<CodeRunner>,
    captured: Captured,
    /// What the configuration allows.
    limits: RunLimits,
    _places: (Place, OwnedSemaphorePermit),
}

impl Live {
    /// The store of a program, with what `state` allows.
    pub(crate) fn new(
        engine: &Engine,
        state: State,
        captured: Captured,
        limits: RunLimits,
        places: (Place, OwnedSemaphorePermit),
    ) -> Self {
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().tick()));
        let most: &Limits = &store.data().settings.limits;
        let (crossing_bytes, resources) = (most.crossing_bytes(), most.resources);
        store.set_hostcall_fuel(crossing_bytes);
        store.set_max_component_handles(resources);
        Self { store, instance: None, captured, limits, _places: places }
    }

    /// Makes the instance and executes the program in it, when it is its turn.
    pub(crate) async fn start(
        mut self,
        pre: &CodeRunnerPre<State>,
        program: &Program,
    ) -> Result<(Option<Self>, Run), RunFailure> {
        let Self { store, instance, .. } = &mut self;
        let limits = store.data().settings.limits.clone();
        let work = async {
            let line = store.data().settings.line.clone();
            let seat = line.seat().await;
            store.data().turn.sit(seat);
            let made = pre.instantiate_async(&mut *store).await?;
            store.data_mut().memory.instance_is_made();
            let made = instance.insert(made);
            made.gym_environment_runner().call_run(store, program).await
        };
        let outcome = metered(work, &limits).await?;
        self.ended(outcome)
    }

    /// Calls a function of the program.
    pub(crate) async fn call(
        mut self,
        function: &FunctionCall,
        bounds: Bounds,
    ) -> Result<(Option<Self>, Run), RunFailure> {
        let asked = self.limits.bounded(bounds);
        self.captured.limit(asked.output_bytes);
        let mut limits = self.store.data().settings.limits.clone();
        limits.cpu_ms = asked.cpu_ms;
        self.store.data_mut().begin_call();
        let Some(instance) = &self.instance else {
            return Err(RunFailure::Unavailable("the program has ended".to_owned()));
        };
        let work = async {
            let line = self.store.data().settings.line.clone();
            let seat = line.seat().await;
            self.store.data().turn.sit(seat);
            instance.gym_environment_runner().call_call(&mut self.store, function).await
        };
        let outcome = metered(work, &limits).await?;
        self.ended(outcome)
    }

    /// What came of a call. The process goes on if the interpreter is still in order.
    fn ended(mut self, (outcome, cpu_us): Outcome) -> Result<(Option<Self>, Run), RunFailure> {
        self.store.data().turn.leave();
        let (goes_on, ending, returned) = match outcome {
            Ok(finished) => {
                let starved = self.store.data().memory.refused && finished.status != 0;
                let ending = if starved { Ending::OutOfMemory } else { Ending::Exited(finished.status) };
                (!starved, ending, finished.returned)
            }
            Err(error) => (false, ending_of(&error, self.store.data_mut())?, None),
        };
        let (stdout, stderr, output_cut) = self.captured.take();
        Ok((goes_on.then_some(self), Run { ending, stdout, stderr, output_cut, returned, cpu_us }))
    }
}

/// What a call gave, and its CPU time in microseconds.
type Outcome = (wasmtime::Result<Finished>, u64);

/// Counts CPU time, which the tick compares with the budget, and bounds the time on the clock.
async fn metered(
    work: impl Future<Output = wasmtime::Result<Finished>>,
    limits: &Limits,
) -> Result<Outcome, RunFailure> {
    let work = pin!(work);
    let mut metered = Metered::new(work, limits.cpu_ns());
    let ended = tokio::time::timeout(limits.wall(), &mut metered).await;
    let cpu_us = metered.spent() / 1000;
    let starved = |_| RunFailure::Unavailable("the program had too little of a busy machine".to_owned());
    Ok((ended.map_err(starved)?, cpu_us))
}

/// What an error says of the program, or that it says nothing of it.
fn ending_of(error: &wasmtime::Error, state: &mut State) -> Result<Ending, RunFailure> {
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return Ok(if state.memory.refused && *status != 0 { Ending::OutOfMemory } else { Ending::Exited(*status) });
    }
    let fault: Fault = outcome::fault_of(error, state);
    match fault.kind {
        FaultKind::CpuDeadline => Ok(Ending::OutOfTime),
        FaultKind::Memory => Ok(Ending::OutOfMemory),
        FaultKind::Busy => Err(RunFailure::Unavailable(fault.message)),
        _ => Ok(Ending::Crashed(fault.message)),
    }
}
