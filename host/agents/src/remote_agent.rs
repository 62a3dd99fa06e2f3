// SPDX-License-Identifier: Apache-2.0
//! `remote_agent`: the work is done by an agent elsewhere, which answers `POST <agent_base_url>/v1/responses`.
//!
//! Calls that it made and did not answer itself are executed here, in the session's tools, and it is asked again with
//! their outputs. Its failures have a class of their own, `remote_agent_error`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{FaultKind, Members, ModelRequest, Raw, ServerRef};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    calls::{self, ModelCalls},
    driver::{Base, Driver, Positive},
    failure::{RunError, Stage},
    ports::{Model, Reply, RequestContext, Session},
    request_body::{create_params, row_request},
    simple_agent::{DEFAULT_CEILING, too_many_steps},
    transcript::{Transcript, answered, asked, call_output},
};

/// `failure_kind` of what the agent elsewhere did wrong.
const FAILURE_CLASS: &str = "remote_agent_error";

/// The block `responses_api_agents.remote_agent`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RemoteAgentConfig {
    /// Address of the agent elsewhere, without `/v1/responses`.
    pub(crate) agent_base_url: String,
    #[serde(default)]
    pub(crate) resources_server: Option<ServerRef>,
    /// Attempts under way at a time; others wait.
    #[serde(default = "default_concurrency")]
    concurrency: usize,
    /// Longest time of one request to the agent elsewhere.
    #[serde(default = "default_request_timeout", alias = "remote_responses_timeout_secs")]
    request_timeout_seconds: Positive,
    /// Longest time of one attempt from its first request to its grade, waiting for a turn not included.
    #[serde(default = "default_run_timeout", alias = "run_timeout_secs")]
    run_timeout_seconds: Positive,
    /// Requests to the agent elsewhere in one attempt; null or 0: no limit but `step_ceiling`.
    #[serde(default)]
    max_steps: Option<u64>,
    /// Requests after which an attempt is ended as a failure.
    #[serde(default = "default_ceiling")]
    step_ceiling: u64,
}

fn default_concurrency() -> usize {
    32
}

fn default_request_timeout() -> Positive {
    Positive(Duration::from_secs(1800))
}

fn default_run_timeout() -> Positive {
    Positive(Duration::from_secs(2100))
}

fn default_ceiling() -> u64 {
    DEFAULT_CEILING
}

/// The agent.
pub(crate) struct RemoteAgent {
    base: Base,
    config: RemoteAgentConfig,
    remote: Arc<dyn Model>,
    turns: Semaphore,
}

impl RemoteAgent {
    pub(crate) fn new(base: Base, config: RemoteAgentConfig, remote: Arc<dyn Model>) -> Self {
        let turns = Semaphore::new(config.concurrency.clamp(1, Semaphore::MAX_PERMITS));
        Self { base: base.without_run_timeout(), config, remote, turns }
    }

    async fn attempt_in_turn(
        &self,
        row: &Members,
        mut session: Option<&mut (dyn Session + 'static)>,
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Reply, RunError> {
        let request = row_request(row).map_err(RunError::Refused)?;
        if let Some(session) = session.as_deref_mut() {
            calls::seed(session, row.to_raw().bytes().clone()).await?;
        }
        let response = self.answer(request, session.as_deref_mut(), context, partial).await?;
        *partial = Some(response.clone());
        self.base.common.grade(row, response, session).await
    }

    async fn answer(
        &self,
        request: ModelRequest,
        mut session: Option<&mut (dyn Session + 'static)>,
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Raw, RunError> {
        let mut remote = ModelCalls::new(&*self.remote, context);
        let mut transcript = Transcript::new(request, context);
        let result = self.exchange(&mut remote, &mut transcript, session.as_deref_mut()).await;
        context.cookies.merge(remote.cookies());
        if let Some(session) = session {
            context.cookies.merge(session.cookies());
        }
        let response = transcript.response();
        if let Err(error) = result {
            *partial = response;
            return Err(error);
        }
        Ok(response.expect("the exchange ends without an error only after an answer"))
    }

    async fn exchange(
        &self,
        remote: &mut ModelCalls<'_>,
        transcript: &mut Transcript,
        mut session: Option<&mut (dyn Session + 'static)>,
    ) -> Result<(), RunError> {
        let mut step = 0;
        loop {
            step += 1;
            let limit = self.config.request_timeout_seconds.0;
            let response = match timeout(limit, remote.ask(transcript.request())).await {
                Ok(result) => result.map_err(|error| error.with_class(FAILURE_CLASS))?,
                Err(_) => return Err(took_too_long("request_timeout_seconds", limit)),
            };
            let is_cut_off = response.is_incomplete();
            let mut calls = asked(&response.output).calls;
            let answered = answered(&response.output);
            calls.retain(|call| !answered.contains(&call.call_id));
            transcript.answer(response);
            if is_cut_off || calls.is_empty() {
                return Ok(());
            }
            for call in &calls {
                let output = calls::tool_output(call, session.as_deref_mut()).await?;
                transcript.push(call_output(&call.call_id, &output));
            }
            if self.config.max_steps.is_some_and(|limit| limit > 0 && step >= limit) {
                return Ok(());
            }
            if step >= self.config.step_ceiling {
                return Err(too_many_steps(step));
            }
        }
    }
}

fn took_too_long(setting: &str, limit: Duration) -> RunError {
    let reason = format!("the agent elsewhere took longer than {} s (`{setting}`)", limit.as_secs_f64());
    RunError::failed(FaultKind::WallDeadline, Stage::Agent, reason).with_class(FAILURE_CLASS)
}

#[async_trait]
impl Driver for RemoteAgent {
    fn base(&self) -> &Base {
        &self.base
    }

    async fn attempt(
        &self,
        row: &Members,
        session: Option<&mut (dyn Session + 'static)>,
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Reply, RunError> {
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let limit = self.config.run_timeout_seconds.0;
        match timeout(limit, self.attempt_in_turn(row, session, context, partial)).await {
            Ok(result) => result,
            Err(_) => Err(took_too_long("run_timeout_seconds", limit)),
        }
    }

    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError> {
        let request = create_params(body).map_err(RunError::Refused)?;
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let mut session = self.base.session(context);
        self.answer(request, session.as_deref_mut(), context, &mut None).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fakes::{Answer, World, call, member, message, ok, output, response, status};

    const ROW: &str = r#"{"responses_create_params":{"input":[]}}"#;

    fn world(answers: impl IntoIterator<Item = Answer>) -> World {
        World::new(answers, [])
            .route("seed", [ok("{}")])
            .route("tool add", [ok("1")])
            .route("verify", [ok(r#"{"reward":1.0}"#)])
    }

    fn config() -> serde_json::Value {
        json!({"agent_base_url": "http://elsewhere", "model_server": null})
    }

    #[tokio::test]
    async fn only_calls_without_an_output_are_executed() {
        let answered = [call("a", "own", r#""{}""#), output("a", r#""2""#), call("b", "add", r#""{}""#)].join(",");
        let last = [call("c", "own", r#""{}""#), output("c", r#""3""#), message("x")].join(",");
        let world = world([response(&answered), response(&last)]);
        let reply = world.run(&*world.agent("remote_agent", config()), ROW).await;
        assert_eq!(member(&reply, "reward"), 1.0);
        assert_eq!(world.log.of("tool "), ["add {}"]);
        assert_eq!(
            world.log.of("m "),
            [r#"{"input":[]}"#.to_owned(), format!(r#"{{"input":[{answered},{}]}}"#, output("b", r#""1""#))]
        );
    }

    #[tokio::test]
    async fn failures_of_the_agent_elsewhere_have_their_own_class() {
        let world = world([status(500, "oh")]);
        let reply = world.run(&*world.agent("remote_agent", config()), ROW).await;
        assert_eq!(member(&reply, "_ng_failure_class"), "remote_agent_error");
        assert_eq!(member(&reply, "_ng_failure_terminal"), false);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_never_answers_is_given_up() {
        let mut config = config();
        config["request_timeout_seconds"] = 3.into();
        let world = world([Answer::Hang]);
        let reply = world.run(&*world.agent("remote_agent", config), ROW).await;
        assert_eq!(member(&reply, "_ng_failure_class"), "remote_agent_error");
        assert_eq!(
            member(&reply, "_ng_failure_message"),
            "the agent elsewhere took longer than 3 s (`request_timeout_seconds`)"
        );
    }

    #[test]
    fn an_address_that_is_not_reached_is_an_error() {
        let config = json!({"agent_base_url": "http://nowhere"});
        let error = world([]).try_agent("remote_agent", config).err().unwrap();
        assert_eq!(error.to_string(), "failed to make the agent `agent`: this process cannot reach `agent_base_url`");
    }
}
