// SPDX-License-Identifier: Apache-2.0
//! The session's routes at the resources server, which keeps the books of a conversation.

use bytes::Bytes;
use gym_protocol::{FaultKind, Members, ObjectWriter, Raw, raw::write_array};
use serde::Deserialize;
use serde_json::json;

use super::{python_json, user::UserTurn};
use crate::{
    calls::{self, error_text},
    failure::{RunError, Stage},
    ports::{Route, Session},
    transcript::FunctionCall,
};

/// Routes of the server that are for this agent: a model cannot call them as tools.
const OWN_ROUTES: [&str; 10] = [
    "session_tools",
    "session_resume",
    "record_agent_message",
    "record_agent_outputs",
    "record_generation_error",
    "record_agent_generation_error",
    "record_agent_step_limit",
    "next_user_message",
    "execute_agent_tool_call",
    "discard_session",
];

/// What a call gave.
pub(super) struct CallResult {
    /// What the model reads.
    pub(super) output: String,
    /// Whether the conversation goes on.
    pub(super) goes_on: bool,
}

/// A server may lack any of the routes. Then nothing is recorded, and calls go to `/<tool>`.
pub(super) struct Books<'a> {
    pub(super) session: &'a mut (dyn Session + 'static),
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

    /// Records what comes at the end anyway; that it cannot be recorded changes nothing. Whether there is such a route.
    async fn try_record(&mut self, route: &'static str, body: &Raw) -> bool {
        match self.call(route, body.bytes().clone()).await {
            Ok(reply) => reply.is_some(),
            Err(RunError::Failed(failed)) => {
                tracing::warn!(route, "not recorded: {}", failed.reason);
                true
            }
            Err(RunError::Refused(_)) => true,
        }
    }

    /// The tools of this session, if the server names them.
    pub(super) async fn tools(&mut self) -> Result<Option<Raw>, RunError> {
        let Some(reply) = self.call("session_tools", Bytes::from_static(b"{}")).await? else { return Ok(None) };
        let tools = reply.members().ok().and_then(|members| members.get_set("tools").cloned());
        tools.filter(Raw::is_array).map(Some).ok_or_else(|| bad_reply("session_tools"))
    }

    pub(super) async fn next_user_message(&mut self) -> Result<UserTurn, RunError> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default)]
            message: Option<String>,
            #[serde(default = "yes")]
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

    /// Records the texts and calls of one response, of which `response` is the whole. Whether the conversation goes on.
    pub(super) async fn record_outputs(&mut self, items: &[Raw], response: &Raw) -> Result<bool, RunError> {
        let outputs: Vec<Raw> = items.iter().enumerate().filter_map(|(index, item)| output(index, item)).collect();
        if outputs.is_empty() {
            return Ok(true);
        }
        let mut body = ObjectWriter::with_capacity(response.bytes().len() * 2 + 64);
        write_array(body.name("outputs"), &outputs);
        body.member("response", response);
        if let Some(reply) = self.call("record_agent_outputs", body.finish().bytes().clone()).await? {
            return Ok(goes_on(&reply));
        }
        for text in items.iter().filter_map(spoken) {
            let mut body = ObjectWriter::with_capacity(response.bytes().len() + text.len() + 64);
            body.string("content", &text);
            body.member("response", response);
            match self.call("record_agent_message", body.finish().bytes().clone()).await? {
                Some(reply) if !goes_on(&reply) => return Ok(false),
                Some(_) => {}
                None => break,
            }
        }
        Ok(true)
    }

    /// Records that the model gave nothing that the conversation could go on with.
    pub(super) async fn record_error(&mut self, error: &str) {
        let body = Raw::from_value(&json!({"source": "agent", "error": error}));
        if !self.try_record("record_generation_error", &body).await {
            self.try_record("record_agent_generation_error", &body).await;
        }
    }

    pub(super) async fn record_step_limit(&mut self, steps: u64, response: &Raw) {
        let mut body = ObjectWriter::with_capacity(response.bytes().len() + 64);
        body.text("max_agent_steps", &steps.to_string());
        body.text("tool_calls", "[]");
        body.member("response", response);
        self.try_record("record_agent_step_limit", &body.finish()).await;
    }

    pub(super) async fn discard(&mut self) {
        self.try_record("discard_session", &Raw::trusted("{}")).await;
    }

    /// Executes a call of `response`. The arguments go as the text that the model wrote: whether they are JSON is for the
    /// server to say.
    pub(super) async fn execute(&mut self, call: &FunctionCall, response: &Raw) -> Result<CallResult, RunError> {
        if OWN_ROUTES.contains(&call.name.as_str()) {
            return Ok(CallResult { output: error_text(&format!("there is no tool `{}`", call.name)), goes_on: true });
        }
        let mut body = ObjectWriter::with_capacity(response.bytes().len() + call.arguments.len() + 128);
        body.string("tool_name", &call.name);
        body.member("tool_call_id", &call.call_id);
        body.string("arguments", &call.arguments);
        body.member("response", response);
        let route = "execute_agent_tool_call";
        let body = body.finish().bytes().clone();
        let reply = calls::post(self.session, &Route::Tool(route.to_owned()), body, Stage::Agent).await?;
        match reply.status {
            404 => {
                let output = calls::tool_output(call, Some(&mut *self.session)).await?;
                Ok(CallResult { output, goes_on: true })
            }
            200..300 => Ok(result(&reply.body)),
            _ => Err(RunError::resources_status(Stage::Agent, route, &reply)),
        }
    }
}

/// The result in a reply: its `output`, or all of it for a server that answers with the bare result.
fn result(reply: &Bytes) -> CallResult {
    let wrapped = Raw::parse(reply.clone()).ok().filter(Raw::is_object);
    let members = wrapped.as_ref().and_then(|reply| reply.members().ok()).unwrap_or_default();
    match (&wrapped, members.get("output"), members.get("should_continue")) {
        (Some(reply), Some(output), Some(_)) => {
            let text = output.read::<String>().unwrap_or_else(|_| python_json::dumps(output));
            CallResult { output: text, goes_on: goes_on(reply) }
        }
        _ => CallResult { output: String::from_utf8_lossy(reply).into_owned(), goes_on: true },
    }
}

fn goes_on(reply: &Raw) -> bool {
    let members = reply.members().unwrap_or_default();
    members.get("should_continue").is_none_or(|value| value.as_str() != "false")
}

fn yes() -> bool {
    true
}

/// An item of a response as the server records it; `None` for items that are neither text nor call.
fn output(index: usize, item: &Raw) -> Option<Raw> {
    let mut writer = ObjectWriter::with_capacity(item.bytes().len() + 64);
    if let Some(text) = spoken(item) {
        writer.string("type", "message");
        writer.string("content", &text);
    } else {
        let call = crate::transcript::asked(std::slice::from_ref(item)).calls.pop()?;
        writer.string("type", "function_call");
        writer.string("tool_name", &call.name);
        writer.member("tool_call_id", &call.call_id);
        writer.string("arguments", &call.arguments);
    }
    writer.text("response_output_index", &index.to_string());
    Some(writer.finish())
}

/// The text of an assistant's message: its parts' texts, each on its own line. `None` without a text part.
pub(super) fn spoken(item: &Raw) -> Option<String> {
    let members = item.members().ok()?;
    let is_message = members.get_set("type").is_some_and(|kind| kind.as_str() == "\"message\"");
    let content = members.get_set("content").filter(|_| is_message)?;
    if content.is_string() {
        return content.read().ok();
    }
    let parts: Vec<Members> = content.elements().ok()?.iter().filter_map(|part| part.members().ok()).collect();
    let is_text = |part: &Members| part.get("type").is_some_and(|kind| kind.as_str() == "\"output_text\"");
    let text = |part: &Members| part.get_set("text")?.read::<String>().ok().filter(|text| !text.is_empty());
    parts.iter().any(is_text).then(|| parts.iter().filter_map(text).collect::<Vec<_>>().join("\n"))
}

fn bad_reply(route: &str) -> RunError {
    let reason = format!("`{route}` of the resources server answered something that is not its reply");
    RunError::failed(FaultKind::BadReply, Stage::Agent, reason)
}
