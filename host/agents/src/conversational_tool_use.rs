// SPDX-License-Identifier: Apache-2.0
//! `conversational_tool_use`: a conversation with a simulated user, in which the model also calls tools.
//!
//! The resources server keeps the books. It says which tools there are (`/session_tools`), executes calls
//! (`/execute_agent_tool_call`), is told what the model said (`/record_agent_outputs`, `/record_agent_message`) and speaks
//! for the user (`/next_user_message`). With `user_model_server`, that model plays the user instead. Of these routes a
//! server may lack any: then the row's tools count, calls go to `/<tool>`, and nothing is recorded.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{FaultKind, Members, ModelRequest, ObjectWriter, Raw, ServerRef, responses};
use serde::Deserialize;
use serde_json::json;

use self::user::{UserModel, UserTurn};
use crate::{
    arguments,
    calls::{self, ModelCalls, error_text},
    driver::{Base, Driver, Grading},
    failure::{RunError, Stage},
    ports::{Model, Reply, RequestContext, Route, Session},
    request_body::{create_params, row_request},
    transcript::{FunctionCall, Transcript, asked, call_output, user_message},
};

#[cfg(test)]
mod tests;
mod user;

/// Routes of the server that are for this agent: a model cannot call them as tools.
const OWN_ROUTES: [&str; 9] = [
    "session_tools",
    "session_resume",
    "record_agent_message",
    "record_agent_outputs",
    "record_agent_generation_error",
    "record_agent_step_limit",
    "next_user_message",
    "execute_agent_tool_call",
    "discard_session",
];

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
    #[serde(flatten)]
    grading: Grading,
    #[serde(default)]
    pub(crate) token_id_capture: bool,
}

fn default_steps() -> u64 {
    50
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
        if let Some(tools) = books.tools().await? {
            request.params.set("tools", tools);
        }
        let mut user = self.user.as_deref().map(|model| {
            UserModel::new(ModelCalls::new(model, context), &self.config.user_prompt, &self.config.user_stop_token, row)
        });
        let mut model = ModelCalls::new(&*self.model, context);
        let opened = request.input.iter().any(user::is_user_message);
        let mut transcript = Transcript::new(request, context);
        let result = async {
            if !opened {
                let turn = next_user_turn(&mut user, books, &transcript).await?;
                if let Some(text) = turn.message {
                    transcript.push(user_message(&text));
                }
            }
            self.turns(&mut model, &mut user, books, &mut transcript).await
        }
        .await;
        context.cookies.merge(model.cookies());
        context.cookies.merge(books.session.cookies());
        let response = transcript.response();
        match (result, response) {
            (Ok(()), Some(response)) => Ok(response),
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

    async fn turns(
        &self,
        model: &mut ModelCalls<'_>,
        user: &mut Option<UserModel<'_>>,
        books: &mut Books<'_>,
        transcript: &mut Transcript,
    ) -> Result<(), RunError> {
        for _ in 0..self.config.max_agent_steps {
            let response = match model.ask(transcript.request()).await {
                Ok(response) => response,
                Err(error) => {
                    if let RunError::Failed(failed) = &error {
                        books.try_record("record_agent_generation_error", &json!({"error": failed.reason})).await;
                    }
                    return Err(error);
                }
            };
            let is_cut_off = response.is_incomplete();
            let asked = asked(&response.output);
            let whole = responses::strip_token_fields(response.with(&response.output, None).bytes()).into_owned();
            let whole = Raw::trusted(whole);
            transcript.answer(response);
            books.record("record_agent_outputs", "outputs", &output_of(&whole)).await?;
            if is_cut_off {
                return Ok(());
            }
            if !asked.calls.is_empty() {
                for call in &asked.calls {
                    let output = books.execute(call, &whole).await?;
                    transcript.push(call_output(&call.call_id, &output));
                }
                continue;
            }
            if !asked.has_message {
                transcript.end_without_answer();
                return Ok(());
            }
            let said = responses::output_text(&whole).unwrap_or_default();
            books.record("record_agent_message", "message", &Raw::from_value(&said)).await?;
            let turn = next_user_turn(user, books, transcript).await?;
            if let Some(text) = turn.message {
                transcript.push(user_message(&text));
            }
            if !turn.goes_on {
                return Ok(());
            }
        }
        books.try_record("record_agent_step_limit", &json!({"max_agent_steps": self.config.max_agent_steps})).await;
        Ok(())
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

/// The `output` member of a response.
fn output_of(response: &Raw) -> Raw {
    let output = response.members().ok().and_then(|members| members.get("output").cloned());
    output.unwrap_or_else(|| Raw::trusted("[]"))
}

/// The session's routes at the resources server.
struct Books<'a> {
    session: &'a mut (dyn Session + 'static),
}

impl Books<'_> {
    /// Posts; `None` if the server has no such route.
    async fn call(&mut self, route: &'static str, body: Bytes) -> Result<Option<Raw>, RunError> {
        let reply = calls::post(self.session, &Route::Tool(route.to_owned()), body, Stage::Agent).await?;
        match reply.status {
            404 => Ok(None),
            200..300 => Ok(Some(Raw::parse(reply.body).map_err(|_| bad_reply(route))?)),
            _ => Err(RunError::resources_status(Stage::Agent, route, &reply)),
        }
    }

    async fn record(&mut self, route: &'static str, name: &str, value: &Raw) -> Result<(), RunError> {
        let mut body = ObjectWriter::with_capacity(value.bytes().len() + 32);
        body.member(name, value);
        self.call(route, body.finish().bytes().clone()).await.map(|_| ())
    }

    /// Records what comes at the end anyway; that it cannot be recorded changes nothing.
    async fn try_record(&mut self, route: &'static str, body: &serde_json::Value) {
        if let Err(RunError::Failed(failed)) = self.call(route, Raw::from_value(body).bytes().clone()).await {
            tracing::warn!(route, "not recorded: {}", failed.reason);
        }
    }

    /// The tools of this session, if the server names them.
    async fn tools(&mut self) -> Result<Option<Raw>, RunError> {
        let Some(reply) = self.call("session_tools", Bytes::from_static(b"{}")).await? else { return Ok(None) };
        let tools = reply.members().ok().and_then(|members| members.get_set("tools").cloned());
        tools.filter(Raw::is_array).map(Some).ok_or_else(|| bad_reply("session_tools"))
    }

    async fn next_user_message(&mut self) -> Result<UserTurn, RunError> {
        #[derive(Deserialize)]
        struct Wire {
            message: Option<String>,
            should_continue: bool,
        }
        let reply = self.call("next_user_message", Bytes::from_static(b"{}")).await?.ok_or_else(|| {
            let reason = "nobody plays the user: the resources server has no `next_user_message`, and there is no \
                          `user_model_server`";
            RunError::failed(FaultKind::AgentRun, Stage::Agent, reason)
        })?;
        let wire: Wire = reply.read().map_err(|_| bad_reply("next_user_message"))?;
        Ok(UserTurn { message: wire.message.filter(|text| !text.is_empty()), goes_on: wire.should_continue })
    }

    /// What the model reads as the result of a call.
    async fn execute(&mut self, call: &FunctionCall, response: &Raw) -> Result<String, RunError> {
        if let Some(output) = arguments::error_output(&call.arguments) {
            return Ok(output);
        }
        if OWN_ROUTES.contains(&call.name.as_str()) {
            return Ok(error_text(&format!("there is no tool `{}`", call.name)));
        }
        let mut body = ObjectWriter::with_capacity(response.bytes().len() + call.arguments.len() + 128);
        body.string("tool_name", &call.name);
        body.member("tool_call_id", &call.call_id);
        body.text("arguments", call.arguments.trim());
        body.member("response", response);
        let route = Route::Tool("execute_agent_tool_call".to_owned());
        let reply = calls::post(self.session, &route, body.finish().bytes().clone(), Stage::Agent).await?;
        match reply.status {
            404 => calls::tool_output(call, Some(&mut *self.session)).await,
            503 => Err(RunError::resources_status(Stage::Agent, "execute_agent_tool_call", &reply)),
            _ => Ok(String::from_utf8_lossy(&reply.body).into_owned()),
        }
    }
}

fn bad_reply(route: &str) -> RunError {
    let reason = format!("`{route}` of the resources server answered something that is not its reply");
    RunError::failed(FaultKind::BadReply, Stage::Agent, reason)
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
        let request = row_request(row).map_err(RunError::Refused)?;
        let session = session.expect("the configuration requires a resources server");
        calls::seed(session, row.to_raw().bytes().clone()).await?;
        let mut books = Books { session };
        match self.converse(row, request, context, &mut books, partial).await {
            Ok(response) => {
                *partial = Some(response.clone());
                self.config.grading.grade(row, response, Some(session)).await
            }
            Err(error) => {
                books.try_record("discard_session", &json!({})).await;
                Err(error)
            }
        }
    }

    /// The conversation alone, in the session that the cookies name.
    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError> {
        let request = create_params(body).map_err(RunError::Refused)?;
        let mut session = self.base.session(context).expect("the configuration requires a resources server");
        let mut books = Books { session: session.as_mut() };
        self.converse(&Members::new(), request, context, &mut books, &mut None).await
    }
}
