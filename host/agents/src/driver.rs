// SPDX-License-Identifier: Apache-2.0
//! What all agents have in common around their loop: reading requests, correlation, and rows for failed attempts.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{FaultKind, Members, Raw, ServerName, number::float};
use tokio::time::timeout;

use crate::{
    calls,
    failure::{self, RunError, Stage},
    metrics,
    ports::{Agent, Reply, RequestContext, ResourcesServer, Session},
    request_body::{rollout_id, row_members},
};

/// An agent's own part. [`Driven`] makes an [`Agent`] of it.
#[async_trait]
pub(crate) trait Driver: Send + Sync {
    /// What is true of it whatever it does.
    fn base(&self) -> &Base;

    /// `POST /run`: one attempt at the task of a row, from the first request to the grade. `session` is there if the
    /// agent has a resources server; nothing was posted in it yet, and it ends with the attempt. The response that there
    /// is so far is left in `partial`, for the record of a failure.
    async fn attempt(
        &self,
        row: &Members,
        session: Option<&mut (dyn Session + 'static)>,
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Reply, RunError>;

    /// `POST /v1/responses`.
    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError>;
}

/// What every agent has.
pub(crate) struct Base {
    pub(crate) name: ServerName,
    /// Where sessions are seeded, tools are called and answers are graded.
    pub(crate) resources: Option<Arc<dyn ResourcesServer>>,
    /// Settings that mean the same for all agents.
    pub(crate) common: Common,
}

/// Settings that every agent takes.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
pub(crate) struct Common {
    /// Nothing is graded: every attempt gets `skip_verification_reward`, and the agent sums up its rewards itself.
    #[serde(default)]
    skip_verification: bool,
    /// The reward of attempts that are not graded.
    #[serde(default)]
    skip_verification_reward: f64,
    /// Its calls ask for the capture of token ids.
    #[serde(default)]
    token_id_capture: bool,
    /// Seconds that one `/run` may take in all, grading included; null: as long as its calls may take.
    #[serde(default)]
    run_timeout_seconds: Option<Positive>,
}

/// A number of seconds above 0.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Positive(pub(crate) Duration);

impl TryFrom<f64> for Positive {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero());
        duration.map(Self).ok_or("a time limit must be a number of seconds above 0")
    }
}

impl Base {
    /// The same for an agent that limits the time of its attempts itself.
    pub(crate) fn without_run_timeout(mut self) -> Self {
        self.common.run_timeout_seconds = None;
        self
    }

    /// A session for this client, if there is a resources server.
    pub(crate) fn session(&self, context: &RequestContext) -> Option<Box<dyn Session>> {
        self.resources.as_ref().map(|resources| resources.session(context))
    }
}

impl Common {
    /// The reply of `/run` for this response: that of `/verify`, or the fixed reward.
    pub(crate) async fn grade(
        self,
        row: &Members,
        response: Raw,
        session: Option<&mut (dyn Session + 'static)>,
    ) -> Result<Reply, RunError> {
        let mut graded = row.clone();
        graded.set("response", response);
        if self.skip_verification {
            graded.set("reward", float(self.skip_verification_reward));
            graded.set("verification_skipped", Raw::trusted("true"));
            return Ok(Reply::ok(graded.to_raw().bytes().clone()));
        }
        let Some(session) = session else {
            let reason = "the agent has no `resources_server` that could grade, and `skip_verification` is off";
            return Err(RunError::failed(FaultKind::AgentRun, Stage::Verification, reason));
        };
        calls::verify(session, graded.to_raw().bytes().clone()).await
    }
}

/// The session of one `/run`. It ends with the attempt: graded, failed, out of time, or given up by the client, whose
/// request is then dropped.
struct RunSession(Option<Box<dyn Session>>);

impl RunSession {
    async fn end(&mut self) {
        if let Some(session) = &mut self.0 {
            session.end().await;
            self.0 = None;
        }
    }
}

impl Drop for RunSession {
    fn drop(&mut self) {
        // Outside of a runtime the whole process is ending, and its sessions with it.
        if let Some(mut session) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { session.end().await });
        }
    }
}

/// The agent that a [`Driver`] is part of.
pub(crate) struct Driven<D>(pub(crate) D);

impl<D: Driver> Driven<D> {
    fn correlate(&self, context: &mut RequestContext, row: Option<&Members>) {
        if context.rollout_id.is_none() {
            context.rollout_id = row.and_then(rollout_id);
        }
        context.token_capture |= self.0.base().common.token_id_capture;
    }
}

#[async_trait]
impl<D: Driver> Agent for Driven<D> {
    fn name(&self) -> &ServerName {
        &self.0.base().name
    }

    async fn run(&self, row: Bytes, context: &mut RequestContext) -> Reply {
        let row = match row_members(row) {
            Ok(row) => row,
            Err(reply) => return reply,
        };
        self.correlate(context, Some(&row));
        let mut partial = None;
        let mut session = RunSession(self.0.base().session(context));
        let attempt = self.0.attempt(&row, session.0.as_deref_mut(), context, &mut partial);
        let outcome = match self.0.base().common.run_timeout_seconds {
            None => attempt.await,
            Some(Positive(limit)) => timeout(limit, attempt).await.unwrap_or_else(|_| {
                let reason = format!("the attempt took longer than {} s (`run_timeout_seconds`)", limit.as_secs_f64());
                let failed = RunError::failed(FaultKind::WallDeadline, Stage::Agent, reason);
                Err(failed.with_class("agent_timeout"))
            }),
        };
        session.end().await;
        match outcome {
            Ok(reply) => reply,
            Err(error) => {
                if let RunError::Failed(failed) = &error {
                    let (agent, rollout) = (&self.0.base().name, context.rollout_id.as_deref().unwrap_or_default());
                    tracing::warn!(%agent, rollout, kind = failed.kind.label(), "{}", failed.reason);
                }
                failure::row(&row, &error, partial.as_ref())
            }
        }
    }

    async fn responses(&self, body: Bytes, context: &mut RequestContext) -> Reply {
        self.correlate(context, None);
        match self.0.respond(body, context).await {
            Ok(response) => Reply::ok(response.bytes().clone()),
            Err(error) => error.into_http(),
        }
    }

    async fn aggregate_metrics(&self, body: Bytes) -> Reply {
        match &self.0.base().resources {
            // Rewards that no resources server gave are none of its business.
            Some(resources) if !self.0.base().common.skip_verification => {
                match resources.aggregate_metrics(body).await {
                    Ok(reply) => reply,
                    Err(fault) => RunError::fault(Stage::Verification, &fault).into_http(),
                }
            }
            Some(_) | None => metrics::aggregate_here(body).await,
        }
    }
}

#[cfg(test)]
mod tests;
