// SPDX-License-Identifier: Apache-2.0
//! A model that plays the user. It sees the conversation from the other side: what the user said are its own messages,
//! what the assistant said are messages to it; tools and reasoning it does not see.

use gym_protocol::{FaultKind, Members, ModelRequest, Raw, responses};

use crate::{
    calls::ModelCalls,
    failure::{RunError, Stage},
    transcript::{Transcript, user_message},
};

/// What the user says next.
pub(super) struct UserTurn {
    pub(super) message: Option<String>,
    /// Whether an answer is expected.
    pub(super) goes_on: bool,
}

pub(super) fn default_prompt() -> String {
    "You play a user who talks to an assistant. Write only what the user says next, one short message at a time. When \
     everything that the user wants is settled, write ###STOP### instead."
        .to_owned()
}

pub(super) fn default_stop() -> String {
    "###STOP###".to_owned()
}

/// Whether an item is a message of the user.
pub(super) fn is_user_message(item: &Raw) -> bool {
    role(item).as_deref() == Some("user")
}

/// The model, and what it was told.
pub(super) struct UserModel<'a> {
    model: ModelCalls<'a>,
    instructions: String,
    stop: &'a str,
}

impl<'a> UserModel<'a> {
    pub(super) fn new(model: ModelCalls<'a>, prompt: &str, stop: &'a str, row: &Members) -> Self {
        let of_row = row.get_set("user_instructions").and_then(|text| text.read::<String>().ok());
        let instructions = of_row.map_or_else(|| prompt.to_owned(), |text| format!("{prompt}\n\n{text}"));
        Self { model, instructions, stop }
    }

    pub(super) async fn next(&mut self, transcript: &Transcript) -> Result<UserTurn, RunError> {
        let mut input: Vec<Raw> = transcript.request().input.iter().filter_map(from_the_other_side).collect();
        if input.is_empty() {
            // Some model servers refuse an empty conversation.
            input.push(user_message("Hello, how can I help you?"));
        }
        let mut request = ModelRequest { input, ..ModelRequest::default() };
        request.params.set("instructions", Raw::from_value(&self.instructions));
        let response = self.model.ask(request).await?;
        let text = responses::output_text(&response.with(&response.output, None)).unwrap_or_default();
        let stops = !self.stop.is_empty() && text.contains(self.stop);
        let text = if stops { text.replace(self.stop, "") } else { text };
        let text = text.trim();
        if text.is_empty() && !stops {
            let reason = "the model that plays the user answered without text";
            return Err(RunError::failed(FaultKind::ModelFailed, Stage::Agent, reason));
        }
        Ok(UserTurn { message: (!text.is_empty()).then(|| text.to_owned()), goes_on: !stops })
    }
}

pub(super) fn role(item: &Raw) -> Option<String> {
    let members = item.members().ok()?;
    let is_message = members.get_set("type").is_none_or(|kind| kind.as_str() == "\"message\"");
    is_message.then(|| members.get("role")?.read().ok())?
}

/// A message with the roles changed; `None` for everything that is none of the two's.
fn from_the_other_side(item: &Raw) -> Option<Raw> {
    let text = text_of(item)?;
    match role(item)?.as_str() {
        "assistant" => Some(user_message(&text)),
        "user" => {
            let message = serde_json::json!({"role": "assistant", "content": text, "type": "message"});
            Some(Raw::from_value(&message))
        }
        _ => None,
    }
}

/// The text of a message: a string, or its text parts one after the other.
pub(super) fn text_of(item: &Raw) -> Option<String> {
    let members = item.members().ok()?;
    let content = members.get_set("content")?;
    if content.is_string() {
        return content.read().ok();
    }
    let parts = content.elements().ok()?;
    let texts = parts.iter().filter_map(|part| part.members().ok()?.get_set("text")?.read::<String>().ok());
    Some(texts.collect())
}
