// SPDX-License-Identifier: Apache-2.0
//! `simple_agent`: the loop that most environments are used with. It asks the model, executes the function calls of the
//! answer one after the other, and asks again, until an answer has no calls.
//!
//! `/run` is: seed the session with the row, loop, grade. `/v1/responses` is the loop alone, in the session that the
//! cookies name.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{FaultKind, Members, ModelRequest, Raw, ServerRef};
use serde::Deserialize;

use crate::{
    calls::{self, ModelCalls},
    driver::{Base, Driver},
    failure::{RunError, Stage},
    ports::{Model, Reply, RequestContext, Session},
    request_body::{create_params, row_request},
    transcript::{Transcript, asked, call_output},
};

#[cfg(test)]
mod tests;

/// Model calls after which any attempt is ended as a failure, unless the configuration says otherwise.
pub(crate) const DEFAULT_CEILING: u64 = 10_000;

/// Which generation of NeMo Gym's rules the loop follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum AgentRules {
    /// Release 0.7.0: an answer with neither calls nor a message ends the attempt as incomplete.
    #[default]
    #[serde(rename = "current")]
    Current,
    /// August 2026: after such an answer the model is asked again.
    #[serde(rename = "august_2026")]
    August2026,
}

/// The block `responses_api_agents.simple_agent`. Other keys of the block are not this agent's concern.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SimpleAgentConfig {
    /// Where sessions are seeded, tools are called and answers are graded.
    #[serde(default)]
    pub(crate) resources_server: Option<ServerRef>,
    /// The model.
    pub(crate) model_server: ServerRef,
    /// Model calls of one attempt; null or 0: no limit but `step_ceiling`.
    #[serde(default)]
    max_steps: Option<u64>,
    /// Model calls after which an attempt is ended as a failure, so that a model and its tools cannot go on forever.
    #[serde(default = "default_ceiling")]
    step_ceiling: u64,
    /// Whether the model's calls are executed. Otherwise its first answer is graded with the calls as they are.
    #[serde(default = "executes", alias = "execute_tools")]
    execute_tool_calls: bool,
    /// Which generation's rules apply.
    #[serde(default, alias = "agent_rules")]
    reward_rules: AgentRules,
}

fn default_ceiling() -> u64 {
    DEFAULT_CEILING
}

fn executes() -> bool {
    true
}

/// The agent.
pub(crate) struct SimpleAgent {
    base: Base,
    config: SimpleAgentConfig,
    model: Arc<dyn Model>,
}

impl SimpleAgent {
    pub(crate) fn new(base: Base, config: SimpleAgentConfig, model: Arc<dyn Model>) -> Self {
        Self { base, config, model }
    }

    /// Runs the loop and leaves all cookies in `context`, whatever comes of it.
    async fn answer(
        &self,
        request: ModelRequest,
        mut session: Option<&mut (dyn Session + 'static)>,
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Raw, RunError> {
        let rules = LoopRules {
            max_steps: self.config.max_steps.filter(|limit| *limit > 0),
            ceiling: self.config.step_ceiling,
            executes: self.config.execute_tool_calls,
            agent: self.config.reward_rules,
        };
        let mut model = ModelCalls::new(&*self.model, context);
        let mut transcript = Transcript::new(request, context);
        let result = tool_loop(&rules, &mut model, &mut transcript, session.as_deref_mut()).await;
        context.cookies.merge(model.cookies());
        if let Some(session) = session {
            context.cookies.merge(session.cookies());
        }
        let response = transcript.response();
        if let Err(error) = result {
            *partial = response;
            return Err(error);
        }
        Ok(response.expect("the loop ends without an error only after an answer"))
    }
}

/// When the loop ends.
struct LoopRules {
    max_steps: Option<u64>,
    ceiling: u64,
    executes: bool,
    agent: AgentRules,
}

/// Asks the model and executes its calls until an answer has none, is cut off, or the steps are used up.
async fn tool_loop(
    rules: &LoopRules,
    model: &mut ModelCalls<'_>,
    transcript: &mut Transcript,
    mut session: Option<&mut (dyn Session + 'static)>,
) -> Result<(), RunError> {
    let mut step = 0;
    loop {
        step += 1;
        let response = model.ask(transcript.request()).await?;
        let is_cut_off = response.is_incomplete();
        let asked = asked(&response.output);
        transcript.answer(response);
        if is_cut_off || !rules.executes {
            return Ok(());
        }
        if asked.calls.is_empty() {
            if asked.has_message {
                return Ok(());
            }
            if rules.agent == AgentRules::Current {
                transcript.end_without_answer();
                return Ok(());
            }
        }
        for call in &asked.calls {
            let output = calls::tool_output(call, session.as_deref_mut()).await?;
            transcript.push(call_output(&call.call_id, &output));
        }
        if rules.max_steps.is_some_and(|limit| step >= limit) {
            return Ok(());
        }
        if step >= rules.ceiling {
            return Err(too_many_steps(step));
        }
    }
}

/// The failure of an attempt that does not end by itself.
pub(crate) fn too_many_steps(steps: u64) -> RunError {
    let reason = format!("the attempt did not end within {steps} model calls (`step_ceiling`)");
    RunError::failed(FaultKind::AgentRun, Stage::Agent, reason)
}

#[async_trait]
impl Driver for SimpleAgent {
    fn base(&self) -> &Base {
        &self.base
    }

    async fn attempt(
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

    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError> {
        let request = create_params(body).map_err(RunError::Refused)?;
        let mut session = self.base.session(context);
        self.answer(request, session.as_deref_mut(), context, &mut None).await
    }
}
