// SPDX-License-Identifier: Apache-2.0
//! The client's side of OpenEnv's WebSocket protocol. Each side sends JSON objects `{"type": …, "data": …}`: `reset` and
//! `step` are answered by `observation` or `error`, one answer for each request.

use gym_env::{Channel, Fault};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A session with an environment.
#[derive(Debug)]
pub(crate) struct Client(Channel);

/// What came of a reset or a step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) observation: Map<String, Value>,
    pub(crate) reward: f64,
    pub(crate) done: bool,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Map<String, Value>,
}

impl Client {
    pub(crate) fn new(channel: Channel) -> Self {
        Self(channel)
    }

    /// Begins an episode. The inner error is the environment's own.
    pub(crate) fn reset(&mut self, arguments: &Map<String, Value>) -> Result<Result<Step, String>, Fault> {
        self.ask(&json!({"type": "reset", "data": arguments}))
    }

    /// Takes one action. The inner error is the environment's own: the action was not acceptable, or failed.
    pub(crate) fn step(&mut self, action: &Value) -> Result<Result<Step, String>, Fault> {
        self.ask(&json!({"type": "step", "data": action}))
    }

    /// Ends the session in good order.
    pub(crate) fn close(mut self) -> Result<(), Fault> {
        Ok(self.0.send(r#"{"type":"close"}"#)?)
    }

    fn ask(&mut self, message: &Value) -> Result<Result<Step, String>, Fault> {
        self.0.send(&message.to_string())?;
        let text = self.0.receive()?.ok_or_else(|| Fault::new("the environment elsewhere closed the channel"))?;
        let message: Message = serde_json::from_str(&text)
            .map_err(|error| Fault::new(format!("the environment elsewhere sent no message: {error}")))?;
        match message.kind.as_str() {
            "observation" => Ok(Ok(read(message.data)?)),
            "error" => {
                let text = message.data.get("message").and_then(Value::as_str);
                Ok(Err(text.unwrap_or("unknown error").to_owned()))
            }
            other => {
                Err(Fault::new(format!("the environment elsewhere sent a message of the unexpected type `{other}`")))
            }
        }
    }
}

fn read(mut data: Map<String, Value>) -> Result<Step, Fault> {
    let wrong = |what: &str| Fault::new(format!("the environment elsewhere sent {what}"));
    let observation = match data.remove("observation") {
        Some(Value::Object(observation)) => observation,
        _ => return Err(wrong("an answer without an observation")),
    };
    let reward = match data.get("reward") {
        None | Some(Value::Null) => 0.0,
        Some(Value::Bool(reward)) => f64::from(u8::from(*reward)),
        Some(reward) => reward.as_f64().ok_or_else(|| wrong("a reward that is no number"))?,
    };
    let done = match data.get("done") {
        None | Some(Value::Null) => false,
        Some(done) => done.as_bool().ok_or_else(|| wrong("a `done` that is neither true nor false"))?,
    };
    Ok(Step { observation, reward, done })
}
