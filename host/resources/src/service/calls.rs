// SPDX-License-Identifier: Apache-2.0
//! Calling the environment: in a session's instance, or in one for this call alone.

use std::sync::Arc;

use gym_protocol::{
    Fault, FaultKind,
    environment::{CallError, Lifetime, Observation, StepOutcome, Verdict},
};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use super::{Caller, Server};
use crate::{
    cookie::{SessionId, Ticket},
    environment::{Instance, InstanceFor},
    sessions::{IfGone, Session, State},
};

/// How many sessions may be ended to make room for one.
const MAX_TRIES: usize = 8;

/// One call, with everything that it needs.
pub(super) enum Call {
    /// `once`: not again, if a seed of this session has succeeded before.
    Seed {
        request: String,
        once: bool,
    },
    Tool {
        name: String,
        arguments: String,
    },
    Verify {
        request: String,
    },
    Reset {
        request: String,
    },
    Step {
        request: String,
    },
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Answer {
    Text(String),
    Verdict(Verdict),
    Observation(Observation),
    Step(StepOutcome),
}

impl Call {
    pub(super) async fn run(&self, instance: &mut dyn Instance) -> Result<Answer, CallError> {
        match self {
            Self::Seed { request, .. } => instance.seed_session(request).await.map(Answer::Text),
            Self::Tool { name, arguments } => instance.call_tool(name, arguments).await.map(Answer::Text),
            Self::Verify { request } => instance.verify(request).await.map(Answer::Verdict),
            Self::Reset { request } => instance.reset(request).await.map(Answer::Observation),
            Self::Step { request } => instance.step(request).await.map(Answer::Step),
        }
    }

    /// Whether the call begins a session rather than continuing one.
    fn begins(&self) -> bool {
        matches!(self, Self::Seed { .. } | Self::Reset { .. })
    }
}

/// The seed of a session's clock and random numbers: it follows from the session's id, unless the caller has a seed.
pub(super) fn seed_of(id: SessionId, wanted: Option<u64>) -> u64 {
    wanted.unwrap_or_else(|| {
        let digest = Sha256::digest(id.to_be_bytes());
        u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    })
}

impl Server {
    /// Makes a call where calls of its kind run.
    pub(super) async fn call(
        self: &Arc<Self>,
        call: Call,
        lifetime: Lifetime,
        seed: Option<u64>,
        caller: &mut Caller,
    ) -> Result<Answer, CallError> {
        let purpose = match lifetime {
            Lifetime::Session => return self.call_session(call, seed, caller).await,
            Lifetime::Call => InstanceFor::Call,
            Lifetime::Pooled => InstanceFor::Pooled,
        };
        let mut instance = self.environment.instance(purpose).await?;
        call.run(instance.as_mut()).await
    }

    /// Makes a call in the caller's session, after the calls of it that came earlier.
    async fn call_session(
        self: &Arc<Self>,
        call: Call,
        seed: Option<u64>,
        caller: &mut Caller,
    ) -> Result<Answer, CallError> {
        let if_gone = if call.begins() { IfGone::Restart } else { IfGone::Tell };
        let ticket = caller.ticket;
        let first = self.sessions.enter(&ticket, if_gone)?;
        // Should the caller go away now, a later call that finds no session has lost one.
        caller.ticket = Ticket { boot: self.boot, stateful: true, ..ticket };
        let server = self.clone();
        let seed = seed_of(ticket.id, seed);
        // A task of its own: a caller that goes away must not stop the call half-way.
        let task = self.running.spawn(async move {
            let mut session = first;
            loop {
                let mut state = session.state.clone().lock_owned().await;
                if !state.over {
                    let answer = server.call_locked(&call, seed, &session, &mut state).await;
                    session.touch();
                    return answer.map_err(|fault| (ticket, fault));
                }
                // It ended while this call waited.
                drop(state);
                let known = Ticket { boot: server.boot, stateful: true, ..ticket };
                session = server.sessions.enter(&known, if_gone).map_err(|fault| (known, fault))?;
            }
        });
        match task.await {
            Ok(Ok(answer)) => answer,
            Ok(Err((ticket, fault))) => {
                // Nothing began, so there is nothing to lose either.
                caller.ticket = ticket;
                Err(CallError::Fault(fault))
            }
            Err(error) => {
                let fault = Fault::new(FaultKind::Reported, "the server failed while it was making the call");
                Err(CallError::Fault(fault.with_internal(error)))
            }
        }
    }

    /// Makes a call in a session that the caller has locked. A fault outside of the answer: there is no instance.
    async fn call_locked(
        &self,
        call: &Call,
        seed: u64,
        session: &Arc<Session>,
        state: &mut OwnedMutexGuard<State>,
    ) -> Result<Result<Answer, CallError>, Fault> {
        if let Call::Seed { once: true, .. } = call
            && state.seeded
        {
            return Ok(Ok(Answer::Text("{}".to_owned())));
        }
        if let Call::Reset { .. } = call {
            // A reset begins anew, whatever came before it.
            state.instance = None;
            state.last_step = None;
        }
        if state.instance.is_none() {
            match self.session_instance(seed).await {
                Ok(instance) => state.instance = Some(instance),
                Err(fault) => {
                    self.sessions.remove(session, state, None);
                    return Err(fault);
                }
            }
        }
        let instance = state.instance.as_mut().expect("made above if it was not there");
        let mut dropped = IfDropped { server: self, session, armed: true };
        let answer = call.run(instance.as_mut()).await;
        dropped.armed = false;
        if !instance.is_usable() {
            let reason = match &answer {
                Err(CallError::Fault(fault)) => lost_because(fault),
                _ => Fault::new(FaultKind::SessionLost, "the session ended: its instance stopped"),
            };
            self.sessions.remove(session, state, Some(reason));
            state.instance = None;
        } else if matches!(call, Call::Seed { .. }) && answer.is_ok() {
            state.seeded = true;
        }
        self.sessions.set_verified(session, matches!(answer, Ok(Answer::Verdict(_))));
        Ok(answer)
    }

    /// An instance for a session. Where there is no room, sessions that were verified make room.
    async fn session_instance(&self, seed: u64) -> Result<Box<dyn Instance>, Fault> {
        let mut tries = 0;
        loop {
            match self.environment.instance(InstanceFor::Session { seed }).await {
                Err(fault) if fault.kind == FaultKind::Busy && tries < MAX_TRIES && self.sessions.make_room() => {
                    tries += 1
                }
                other => return other,
            }
        }
    }

    /// Ends a session in good order. An error of the environment's `close` is logged; the instance is gone either way.
    pub(super) async fn end_session(self: &Arc<Self>, id: SessionId, text: &'static str) {
        let Some(session) = self.sessions.find(id) else { return };
        let server = self.clone();
        let task = self.running.spawn(async move {
            let mut state = session.state.clone().lock_owned().await;
            server.sessions.remove(&session, &mut state, Some(Fault::new(FaultKind::SessionLost, text)));
            server.finish(&mut state).await;
        });
        if let Err(error) = task.await {
            tracing::error!(server = %self.name, "failed to end a session: {error}");
        }
    }

    /// Says goodbye to a session's instance and drops it.
    pub(super) async fn finish(&self, state: &mut State) {
        if let Some(mut instance) = state.instance.take()
            && instance.is_usable()
            && let Err(error) = instance.close().await
        {
            // Environments without a `close` of their own answer 404.
            if !matches!(error, CallError::Refused { status: 404, .. }) {
                tracing::warn!(server = %self.name, "the environment failed to close a session: {error}");
            }
        }
    }
}

fn lost_because(fault: &Fault) -> Fault {
    let reason = Fault::new(FaultKind::SessionLost, format!("the session ended earlier: {}", fault.message));
    match &fault.internal {
        Some(internal) => reason.with_internal(internal),
        None => reason,
    }
}

/// Logs when a call's future is dropped before its end, which happens only while the process goes down.
struct IfDropped<'a> {
    server: &'a Server,
    session: &'a Session,
    armed: bool,
}

impl Drop for IfDropped<'_> {
    fn drop(&mut self) {
        if self.armed {
            tracing::warn!(server = %self.server.name, session = %format_args!("{:032x}", self.session.id), "a call was dropped");
        }
    }
}
