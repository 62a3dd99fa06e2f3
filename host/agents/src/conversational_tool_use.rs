// SPDX-License-Identifier: Apache-2.0
//! `conversational_tool_use`: a conversation with a simulated user, in which the model also calls tools.
//!
//! The resources server keeps the books. It executes calls (`/execute_agent_tool_call`), is told what the model said
//! (`/record_agent_outputs`) and speaks for the user (`/next_user_message`); any of these may end the conversation. With
//! `user_model_server`, that model plays the user instead. A row without tools gets those of `/session_tools`. Of these
//! routes a server may lack any: then calls go to `/<tool>`, and nothing is recorded.
//!
//! Turns, records and the transcript are those of NeMo Gym's agent of this name, so that either agent can stand in front of
//! either server.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{FaultKind, Members, ModelRequest, Raw, ServerRef, responses};
use serde::Deserialize;
use serde_json::json;

use self::{
    books::{Books, spoken},
    history::Turn,
    user::{UserModel, UserTurn},
};
use crate::{
    calls::{self, ModelCalls},
    driver::{Base, Driver},
    failure::{RunError, Stage},
    ports::{Model, Reply, RequestContext, Session},
    request_body::{create_params, row_request},
    transcript::{ModelResponse, Transcript, asked, call_output, user_message},
};

mod books;
mod history;
mod python_json;
#[cfg(test)]
mod tests;
mod user;

/// The block `responses_api_agents.conversational_tool_use`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ConversationalConfig {
    pub(crate) resources_server: ServerRef,
    pub(crate) model_server: ServerRef,
    /// Plays the user, if the resources server does not.
    #[serde(default)]
    pub(crate) user_model_server: Option<ServerRef>,
    /// Instructions of the model that plays the user; a row's `user_instructions` follow them.
    #[serde(default = "user::default_prompt")]
    user_prompt: String,
    /// What the model that plays the user writes when it has nothing more to say.
    #[serde(default = "user::default_stop")]
    user_stop_token: String,
    /// Model calls of one attempt.
    #[serde(default = "default_steps")]
    max_agent_steps: u64,
    /// Let the user begin when the row has no conversation yet.
    #[serde(default = "yes")]
    seed_first_user_message: bool,
}

fn default_steps() -> u64 {
    50
}

fn yes() -> bool {
    true
}

/// The agent.
pub(crate) struct ConversationalAgent {
    base: Base,
    config: ConversationalConfig,
    model: Arc<dyn Model>,
    user: Option<Arc<dyn Model>>,
}

impl ConversationalAgent {
    pub(crate) fn new(
        base: Base,
        config: ConversationalConfig,
        model: Arc<dyn Model>,
        user: Option<Arc<dyn Model>>,
    ) -> Self {
        Self { base, config, model, user }
    }

    /// The conversation in a session that was seeded.
    async fn converse(
        &self,
        row: &Members,
        mut request: ModelRequest,
        context: &mut RequestContext,
        books: &mut Books<'_>,
        partial: &mut Option<Raw>,
    ) -> Result<Raw, RunError> {
        let has_tools = request
            .params
            .get_set("tools")
            .and_then(|tools| tools.elements().ok())
            .is_some_and(|list| !list.is_empty());
        if !has_tools && let Some(tools) = books.tools().await? {
            request.params.set("tools", tools);
        }
        let mut user = self.user.as_deref().map(|model| {
            UserModel::new(ModelCalls::new(model, context), &self.config.user_prompt, &self.config.user_stop_token, row)
        });
        let mut model = ModelCalls::new(&*self.model, context);
        let turn = history::turn(&request.input).map_err(RunError::Refused)?;
        let mut transcript = Transcript::new(request, context);
        let result = async {
            if self.begin(turn, &mut user, books, &mut transcript).await? {
                self.turns(&mut model, &mut user, books, &mut transcript).await?;
            }
            Ok(())
        }
        .await;
        context.cookies.merge(model.cookies());
        context.cookies.merge(books.session.cookies());
        let response = transcript.response();
        match (result, response) {
            (Ok(()), Some(response)) => Ok(response),
            (Ok(()), None) if self.config.max_agent_steps > 0 => {
                Ok(self.unasked(transcript.said()).with(transcript.said(), None))
            }
            (Ok(()), None) => {
                let reason = "the conversation ended before the model said anything (`max_agent_steps` is 0)";
                Err(RunError::failed(FaultKind::AgentRun, Stage::Agent, reason))
            }
            (Err(error), response) => {
                *partial = response;
                Err(error)
            }
        }
    }

    /// What comes before the model's first turn. Whether it comes to that turn.
    async fn begin(
        &self,
        turn: Turn,
        user: &mut Option<UserModel<'_>>,
        books: &mut Books<'_>,
        transcript: &mut Transcript,
    ) -> Result<bool, RunError> {
        match turn {
            Turn::Agent => Ok(true),
            Turn::Over => Ok(false),
            Turn::Opening if !self.config.seed_first_user_message => Ok(true),
            Turn::Opening | Turn::User => {
                let turn = next_user_turn(user, books, transcript).await?;
                if let Some(text) = turn.message {
                    transcript.push(user_message(&text));
                }
                Ok(turn.goes_on)
            }
            Turn::Tools(calls, items) => {
                let response = self.unasked(&items).with(&items, None);
                for call in &calls {
                    let result = books.execute(call, &response).await?;
                    transcript.push(call_output(&call.call_id, &result.output));
                    if !result.goes_on {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// A response that no model gave, for what happens before it is asked.
    fn unasked(&self, items: &[Raw]) -> ModelResponse {
        let members = json!({
            "id": "conversational_tool_use_no_agent_response", "created_at": 0.0,
            "model": self.config.model_server.name, "object": "response", "output": null,
            "parallel_tool_calls": false, "tool_choice": "auto", "tools": [],
        });
        let members = Raw::from_value(&members).members().expect("it is an object");
        ModelResponse { members, output: items.to_vec(), usage: None }
    }

    async fn turns(
        &self,
        model: &mut ModelCalls<'_>,
        user: &mut Option<UserModel<'_>>,
        books: &mut Books<'_>,
        transcript: &mut Transcript,
    ) -> Result<(), RunError> {
        let limit = self.config.max_agent_steps;
        for step in 1..=limit {
            let request = transcript.request();
            let one_call = request.params.get("parallel_tool_calls").is_some_and(|value| value.as_str() == "false");
            let mut response = match model.ask(request).await {
                Ok(response) => response,
                Err(error) => {
                    if let RunError::Failed(failed) = &error {
                        books.record_error(&failed.reason).await;
                    }
                    return Err(error);
                }
            };
            tidy(&mut response, one_call);
            let is_cut_off = response.is_incomplete();
            let calls = asked(&response.output).calls;
            let speaks = response.output.iter().any(|item| spoken(item).is_some());
            let items = response.output.clone();
            let whole = responses::strip_token_fields(response.with(&items, None).bytes()).into_owned();
            let whole = Raw::trusted(whole);
            transcript.answer(response);
            if is_cut_off {
                books.record_error("the response of the model was cut off").await;
                return Ok(());
            }
            if !books.record_outputs(&items, &whole).await? {
                return Ok(());
            }
            if !calls.is_empty() {
                if step == limit {
                    break;
                }
                for call in &calls {
                    let result = books.execute(call, &whole).await?;
                    transcript.push(call_output(&call.call_id, &result.output));
                    if !result.goes_on {
                        return Ok(());
                    }
                }
                continue;
            }
            if !speaks {
                books.record_error("the response of the model has neither a text nor a call").await;
                return Ok(());
            }
            let turn = next_user_turn(user, books, transcript).await?;
            // What the server's user says in parting is no part of the transcript.
            if let Some(text) = turn.message.as_deref().filter(|_| turn.goes_on || user.is_some()) {
                transcript.push(user_message(text));
            }
            if !turn.goes_on || (turn.message.is_none() && step < limit) {
                return Ok(());
            }
        }
        let last = transcript
            .last_response()
            .map(|whole| Raw::trusted(responses::strip_token_fields(whole.bytes()).into_owned()));
        books.record_step_limit(limit, &last.unwrap_or_else(Raw::null)).await;
        Ok(())
    }
}

/// Drops messages without text, and all calls but the first if the request allows one at a time.
fn tidy(response: &mut ModelResponse, one_call: bool) {
    let is_message =
        |item: &Raw| item.members().is_ok_and(|m| m.get("type").is_some_and(|t| t.as_str() == "\"message\""));
    let is_call = |item: &Raw| !asked(std::slice::from_ref(item)).calls.is_empty();
    let mut calls = 0_usize;
    response.output.retain(|item| {
        calls += usize::from(is_call(item));
        let is_further_call = one_call && calls > 1 && is_call(item);
        !is_further_call && (!is_message(item) || spoken(item).is_some_and(|text| !text.trim().is_empty()))
    });
    if one_call {
        response.members.set("parallel_tool_calls", Raw::trusted("false"));
    }
}

/// What the user says next: the model that plays it, or the resources server.
async fn next_user_turn(
    user: &mut Option<UserModel<'_>>,
    books: &mut Books<'_>,
    transcript: &Transcript,
) -> Result<UserTurn, RunError> {
    match user {
        Some(user) => user.next(transcript).await,
        None => books.next_user_message().await,
    }
}

#[async_trait]
impl Driver for ConversationalAgent {
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
        let given = row_request(row).map_err(RunError::Refused)?;
        let mut row = history::with_opening(row.clone(), &given.input).map_err(RunError::Refused)?;
        let request = row_request(&row).map_err(RunError::Refused)?;
        let session = session.expect("the configuration requires a resources server");
        let mut start = row.clone();
        if let Some(id) = &context.rollout_id {
            // The server's own calls to model servers belong to the same rollout.
            start.set("rollout_id", Raw::from_value(id));
        }
        calls::seed(session, start.to_raw().bytes().clone()).await?;
        let mut books = Books { session };
        let given = request.input.clone();
        let result = match self.converse(&row, request, context, &mut books, partial).await {
            Ok(response) => {
                *partial = Some(response.clone());
                let response = history::move_opening(&mut row, &given, response);
                self.base.common.grade(&row, response, Some(&mut *books.session)).await
            }
            Err(error) => Err(error),
        };
        if result.is_err() {
            books.discard().await;
        }
        result
    }

    /// The conversation alone, in the session that the cookies name.
    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError> {
        let request = create_params(body).map_err(RunError::Refused)?;
        let mut session = self.base.session(context).expect("the configuration requires a resources server");
        let mut books = Books { session: session.as_mut() };
        self.converse(&Members::new(), request, context, &mut books, &mut None).await
    }
}
