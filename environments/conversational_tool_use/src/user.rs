// SPDX-License-Identifier: Apache-2.0
//! Who plays the user: a script, or a model server.

use gym_env::{Context, Fault};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the model that plays the user writes when it has nothing more to say.
const STOP: &str = "###STOP###";

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    pub(crate) by: Speaker,
    pub(crate) text: String,
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Speaker {
    User,
    Agent,
}

/// A reference to a model server in the configuration.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ModelReference {
    pub(crate) name: String,
}

/// How the conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TerminalState {
    /// The user has nothing more to say.
    UserDone,
    /// The user has said as much as the configuration allows.
    TurnLimit,
}

/// What the user says next.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Turn {
    /// Empty when the user says nothing any more.
    pub(crate) message: String,
    pub(crate) should_continue: bool,
    pub(crate) terminal_state: Option<TerminalState>,
}

impl Turn {
    pub(crate) fn says(message: String) -> Self {
        Self { message, should_continue: true, terminal_state: None }
    }

    pub(crate) fn ends(state: TerminalState) -> Self {
        Self { message: String::new(), should_continue: false, terminal_state: Some(state) }
    }

    /// What the user says, if anything.
    pub(crate) fn text(&self) -> Option<&str> {
        Some(self.message.as_str()).filter(|text| !text.is_empty())
    }
}

/// Asks the model that plays the user. It sees the conversation from the other side.
pub(crate) fn ask(
    server: &str,
    prompt_path: &str,
    instructions: &str,
    conversation: &[Said],
    cx: &mut Context,
) -> Result<Turn, Fault> {
    let prompt = cx.read_text(prompt_path)?;
    let mut input: Vec<Value> = conversation
        .iter()
        .map(|said| match said.by {
            Speaker::User => json!({"type": "message", "role": "assistant", "content": said.text}),
            Speaker::Agent => json!({"type": "message", "role": "user", "content": said.text}),
        })
        .collect();
    if input.is_empty() {
        // Some model servers refuse an empty conversation.
        input.push(json!({"type": "message", "role": "user", "content": "Hello, how can I help you?"}));
    }
    let request = json!({"instructions": prompt.replace("{instructions}", instructions), "input": input});
    let reply = cx.respond(server, &request)?;
    let text = reply.assistant_text();
    if text.contains(STOP) {
        return Ok(Turn::ends(TerminalState::UserDone));
    }
    if text.is_empty() {
        return Err(Fault::judge_failed("the model that plays the user answered without text"));
    }
    Ok(Turn::says(text))
}
