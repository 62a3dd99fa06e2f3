// SPDX-License-Identifier: Apache-2.0
//! `aviary_agent`: for resources servers that keep an environment under an id of their own (`env_id`) and no cookies.
//!
//! `/seed_session {task_idx}` gives the id, the first observations and the tools. Each answer's calls go together to
//! `/step {env_id, action}`, which gives the next observations. `/close {env_id}` ends the environment, `/verify` sums
//! up the rewards of its steps.
//!
//! With `return_transitions`, `output` of the graded response is a list of lists: for each step everything that was in
//! the conversation after it. That is needed because `collapse_old_env_states` rewrites the conversation: of
//! observations marked `is_env_state` the model sees only the newest.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{FaultKind, Members, ModelRequest, ObjectWriter, Raw, ServerRef, raw::write_array};
use serde::Deserialize;

use crate::{
    calls::{self, ModelCalls},
    driver::{Base, Driver},
    failure::{RunError, Stage},
    ports::{Model, Reply, RequestContext, Route, Session},
    request_body::{missing_field, row_members, row_request},
    simple_agent::{DEFAULT_CEILING, too_many_steps},
    transcript::{ModelResponse, UsageSum, asked, user_message},
};

#[cfg(test)]
mod tests;

/// Why there is a session.
const SESSION: &str = "the configuration requires a resources server";
/// How often a seed is tried.
const SEED_TRIES: u32 = 3;
/// What the model sees of an old state.
const HIDDEN_STATE: &str = "[Previous environment state - hidden]";
/// The member that marks an observation as the environment's state.
const MARK: &str = "is_env_state";
/// What the model reads when it must call a tool and did not.
const CALL_A_TOOL: &str = "Your answer did not call a tool. Please go on by calling one of the tools.";

/// The block `responses_api_agents.aviary_agent`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AviaryConfig {
    pub(crate) resources_server: ServerRef,
    pub(crate) model_server: ServerRef,
    /// Model calls of one attempt; null or 0: no limit but `step_ceiling`.
    #[serde(default)]
    max_steps: Option<u64>,
    /// Model calls after which an attempt is ended as a failure.
    #[serde(default = "default_ceiling")]
    step_ceiling: u64,
    /// Grade the conversation after each step instead of the last one only.
    #[serde(default = "yes")]
    return_transitions: bool,
    /// Tokens of one model call, prompt and answer, after which the attempt ends.
    #[serde(default)]
    max_total_sequence_length: Option<i64>,
    /// An answer without calls ends the attempt; otherwise the model is told to call a tool.
    #[serde(default = "yes")]
    done_if_no_tool_calls: bool,
    /// Show the model only the newest observation that is marked as the environment's state.
    #[serde(default)]
    collapse_old_env_states: bool,
    /// What stands in for older ones.
    #[serde(default = "hidden_state")]
    old_env_state_message: String,
}

fn default_ceiling() -> u64 {
    DEFAULT_CEILING
}

fn yes() -> bool {
    true
}

fn hidden_state() -> String {
    HIDDEN_STATE.to_owned()
}

/// The agent.
pub(crate) struct AviaryAgent {
    base: Base,
    config: AviaryConfig,
    model: Arc<dyn Model>,
}

/// The reply of `/seed_session`.
struct Seeded {
    env_id: Raw,
    observations: Vec<Raw>,
    tools: Raw,
}

/// The conversation as the model sees it.
struct Conversation {
    params: Members,
    items: Vec<Raw>,
    /// What the model and the environment said since it began.
    said: Vec<Raw>,
    /// Where the states are that the model sees.
    states: Vec<usize>,
    usage: UsageSum,
    last: Option<ModelResponse>,
    /// The items after each step.
    transitions: Vec<Vec<Raw>>,
}

impl AviaryAgent {
    pub(crate) fn new(base: Base, config: AviaryConfig, model: Arc<dyn Model>) -> Self {
        Self { base, config, model }
    }

    /// From a row to a response with `env_id`, `group_id` and `contains_transitions`, and the session to grade it in.
    async fn play(
        &self,
        row: &Members,
        session: &mut (dyn Session + 'static),
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Raw, RunError> {
        let task = row.get_set("task_idx").cloned().ok_or_else(|| RunError::Refused(missing_field(row, "task_idx")))?;
        let request = row_request(row).map_err(RunError::Refused)?;
        let seeded = seed(session, &task).await?;
        let mut model = ModelCalls::new(&*self.model, context);
        let mut conversation = Conversation::new(request, seeded.tools);
        conversation.observe(seeded.observations, self.collapsing());
        let result = self.steps(&seeded.env_id, &mut model, &mut conversation, session).await;
        context.cookies.merge(model.cookies());
        self.close(&seeded.env_id, session).await;
        let response = conversation.response(&seeded.env_id, &task, self.config.return_transitions);
        if let Err(error) = result {
            *partial = response;
            return Err(error);
        }
        Ok(response.expect("the steps end without an error only after an answer"))
    }

    async fn steps(
        &self,
        env_id: &Raw,
        model: &mut ModelCalls<'_>,
        conversation: &mut Conversation,
        session: &mut (dyn Session + 'static),
    ) -> Result<(), RunError> {
        let mut step = 0;
        loop {
            step += 1;
            let response = model.ask(conversation.request()).await?;
            let is_cut_off = response.is_incomplete();
            let tokens = total_tokens(&response);
            let action: Vec<Raw> = response.output.iter().filter(|item| is_call(item)).cloned().collect();
            // An answer of nothing but reasoning is an action without calls.
            let only_speaks = action.is_empty() && asked(&response.output).has_message;
            conversation.answer(response);
            let is_full = self.config.max_total_sequence_length.is_some_and(|limit| tokens >= limit);
            let gives_up = only_speaks && (is_cut_off || self.config.done_if_no_tool_calls);
            if is_full || gives_up {
                conversation.hide_states(self.collapsing());
                conversation.end_step();
                return Ok(());
            }
            let done = if only_speaks {
                conversation.items.push(user_message(CALL_A_TOOL));
                false
            } else {
                let mut body = ObjectWriter::with_capacity(256);
                body.member("env_id", env_id);
                write_array(body.name("action"), &action);
                let body = body.finish().bytes().clone();
                let reply = calls::post_ok(session, &Route::Step, "step", body, Stage::Agent).await?;
                let (observations, done) = read_step(&reply).ok_or_else(|| bad_reply("step"))?;
                conversation.said.extend(observations.iter().map(without_mark));
                conversation.observe(observations, self.collapsing());
                done
            };
            conversation.end_step();
            if done || self.config.max_steps.is_some_and(|limit| limit > 0 && step >= limit) {
                return Ok(());
            }
            if step >= self.config.step_ceiling {
                return Err(too_many_steps(step));
            }
        }
    }

    fn collapsing(&self) -> Option<&str> {
        self.config.collapse_old_env_states.then_some(self.config.old_env_state_message.as_str())
    }

    /// Ends the environment. The reward of its steps is known all the same, so a failure is only told.
    async fn close(&self, env_id: &Raw, session: &mut (dyn Session + 'static)) {
        let mut body = ObjectWriter::with_capacity(64);
        body.member("env_id", env_id);
        match session.post(&Route::Close, body.finish().bytes().clone()).await {
            Ok(reply) if reply.is_success() => {}
            Ok(reply) => tracing::warn!(agent = %self.base.name, status = reply.status, "`close` failed"),
            Err(fault) => tracing::warn!(agent = %self.base.name, "`close` failed: {fault}"),
        }
    }
}

impl Conversation {
    /// The environment's tools take the place of the row's.
    fn new(request: ModelRequest, tools: Raw) -> Self {
        let mut params = request.params;
        params.set("tools", tools);
        let (usage, items) = (UsageSum::default(), request.input);
        Self { params, items, said: Vec::new(), states: Vec::new(), usage, last: None, transitions: Vec::new() }
    }

    fn request(&self) -> ModelRequest {
        ModelRequest { params: self.params.clone(), input: self.items.clone(), ..ModelRequest::default() }
    }

    fn answer(&mut self, response: ModelResponse) {
        self.usage.add(response.usage.as_ref());
        self.items.extend(response.output.iter().cloned());
        self.said.extend(response.output.iter().cloned());
        self.last = Some(response);
    }

    /// Puts `hidden`, if there is such a text, in the place of the states so far.
    fn hide_states(&mut self, hidden: Option<&str>) {
        let Some(hidden) = hidden else { return };
        for state in self.states.drain(..) {
            self.items[state] = user_message(hidden);
        }
    }

    /// Appends observations, before which the states so far are old. Their mark as a state is for the agent; no model
    /// server knows it.
    fn observe(&mut self, observations: Vec<Raw>, hidden: Option<&str>) {
        self.hide_states(hidden);
        for observation in observations {
            if observation.members().is_ok_and(|item| item.get(MARK).is_some_and(|mark| mark.as_str() == "true")) {
                self.states.push(self.items.len());
            }
            self.items.push(without_mark(&observation));
        }
    }

    fn end_step(&mut self) {
        self.transitions.push(self.items.clone());
    }

    /// The latest answer with what is graded; `None` before the first.
    fn response(&self, env_id: &Raw, task: &Raw, as_transitions: bool) -> Option<Raw> {
        let mut last = self.last.clone()?;
        // All attempts at one task are one group.
        let group = task.as_str().trim_matches('"').to_owned();
        last.members.set("env_id", env_id.clone());
        last.members.set("group_id", Raw::from_value(&group));
        last.members.set("contains_transitions", Raw::from_value(&as_transitions));
        let usage = self.usage.to_raw();
        if !as_transitions {
            return Some(last.with(&self.said, usage.as_ref()));
        }
        let lists: Vec<Raw> = self.transitions.iter().map(|items| list(items)).collect();
        Some(last.with(&lists, usage.as_ref()))
    }
}

/// An observation as model servers know it.
fn without_mark(observation: &Raw) -> Raw {
    let Ok(mut members) = observation.members() else { return observation.clone() };
    match members.remove(MARK) {
        Some(_) => members.to_raw(),
        None => observation.clone(),
    }
}

fn list(items: &[Raw]) -> Raw {
    let mut text = Vec::with_capacity(items.iter().map(|item| item.bytes().len() + 1).sum::<usize>() + 2);
    write_array(&mut text, items);
    Raw::trusted(text)
}

async fn seed(session: &mut (dyn Session + 'static), task: &Raw) -> Result<Seeded, RunError> {
    let mut body = ObjectWriter::with_capacity(32);
    body.member("task_idx", task);
    let body = body.finish().bytes().clone();
    let mut tries = 0;
    loop {
        tries += 1;
        let result = calls::post_ok(session, &Route::Seed, "seed_session", body.clone(), Stage::Seed).await;
        match result {
            Ok(reply) => return read_seed(&reply).ok_or_else(|| bad_reply("seed_session")),
            Err(RunError::Failed(failed)) if tries < SEED_TRIES => {
                tracing::warn!(tries, "a seed failed and is tried again: {}", failed.reason);
            }
            Err(error) => return Err(error),
        }
    }
}

fn read_seed(reply: &Raw) -> Option<Seeded> {
    let members = reply.members().ok()?;
    let env_id = members.get_set("env_id").filter(|id| id.is_string())?.clone();
    let observations = members.get_set("obs").map_or(Some(Vec::new()), |list| list.elements().ok())?;
    let tools = members.get_set("tools").filter(|tools| tools.is_array())?.clone();
    Some(Seeded { env_id, observations, tools })
}

fn read_step(reply: &Raw) -> Option<(Vec<Raw>, bool)> {
    let members = reply.members().ok()?;
    let observations = members.get_set("obs").map_or(Some(Vec::new()), |list| list.elements().ok())?;
    let done = members.get_set("done").map_or(Some(false), |done| done.read().ok())?;
    Some((observations, done))
}

fn bad_reply(route: &str) -> RunError {
    let reason = format!("`{route}` of the resources server answered something that is not its reply");
    RunError::failed(FaultKind::BadReply, Stage::Agent, reason)
}

fn is_call(item: &Raw) -> bool {
    !asked(std::slice::from_ref(item)).calls.is_empty()
}

fn total_tokens(response: &ModelResponse) -> i64 {
    let mut sum = UsageSum::default();
    sum.add(response.usage.as_ref());
    sum.total()
}

#[async_trait]
impl Driver for AviaryAgent {
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
        let session = session.expect(SESSION);
        let response = self.play(row, session, context, partial).await?;
        *partial = Some(response.clone());
        self.base.common.grade(row, response, Some(session)).await
    }

    /// Takes a row like `/run`, because without `task_idx` there is no environment; nothing is graded.
    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError> {
        let row = row_members(body).map_err(RunError::Refused)?;
        let mut session = self.base.session(context).expect(SESSION);
        self.play(&row, session.as_mut(), context, &mut None).await
    }
}
