// SPDX-License-Identifier: Apache-2.0
//! The client's side of OpenEnv's protocol. Over a WebSocket each side sends JSON objects `{"type": …, "data": …}`: `reset`
//! and `step` are answered by `observation` or `error`, one answer for each request. Over HTTP they are the routes `/reset`
//! and `/step`, whose replies are an observation's data.

use gym_env::{Channel, Context, Fault, HttpRequest};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A session with an environment.
#[derive(Debug)]
pub(crate) enum Client {
    /// One connection is one session.
    WebSocket(Channel),
    /// Requests below a path of an endpoint.
    Http { endpoint: String, path: String },
}

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

/// The answer to a request. The error is the environment's own: what was asked was not acceptable, or failed.
type Answer<T> = Result<Result<T, String>, Fault>;

impl Client {
    /// Begins an episode.
    pub(crate) fn reset(&mut self, arguments: &Map<String, Value>, cx: &mut Context) -> Answer<Step> {
        match self {
            Self::WebSocket(_) => self.told("reset", &json!(arguments)),
            Self::Http { .. } => self.posted("/reset", &json!(arguments), cx),
        }
    }

    /// Takes one action.
    pub(crate) fn step(&mut self, action: &Value, cx: &mut Context) -> Answer<Step> {
        match self {
            Self::WebSocket(_) => self.told("step", action),
            Self::Http { .. } => self.posted("/step", &json!({"action": action}), cx),
        }
    }

    /// The tools of the environment. OpenEnv 0.2 takes no action that asks for them, but a message of MCP does.
    pub(crate) fn tools(&mut self, cx: &mut Context) -> Result<Vec<Value>, Fault> {
        let answer = match self.step(&json!({"type": "list_tools"}), cx)? {
            Ok(mut step) => step.observation.remove("tools"),
            Err(_) => {
                let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
                let reply = match self {
                    Self::WebSocket(_) => match self.ask("mcp", &request)? {
                        Message { kind, data } if kind == "mcp" => Value::Object(data),
                        _ => Value::Null,
                    },
                    Self::Http { endpoint, path } => {
                        let request = HttpRequest::post_json(format!("{path}/mcp"), &request);
                        serde_json::from_slice(&cx.exchange(endpoint, request)?.body).unwrap_or_default()
                    }
                };
                reply.pointer("/result/tools").cloned()
            }
        };
        match answer {
            Some(Value::Array(tools)) => Ok(tools),
            _ => Err(Fault::new("the environment elsewhere has no list of tools")),
        }
    }

    /// Ends the session in good order.
    pub(crate) fn close(self) -> Result<(), Fault> {
        match self {
            Self::WebSocket(mut channel) => Ok(channel.send(r#"{"type":"close"}"#)?),
            Self::Http { .. } => Ok(()),
        }
    }

    fn ask(&mut self, kind: &str, data: &Value) -> Result<Message, Fault> {
        let Self::WebSocket(channel) = self else {
            return Err(Fault::new("there is no channel"));
        };
        channel.send(&json!({"type": kind, "data": data}).to_string())?;
        let text = channel.receive()?.ok_or_else(|| Fault::new("the environment elsewhere closed the channel"))?;
        serde_json::from_str(&text)
            .map_err(|error| Fault::new(format!("the environment elsewhere sent no message: {error}")))
    }

    fn told(&mut self, kind: &str, data: &Value) -> Answer<Step> {
        let message = self.ask(kind, data)?;
        match message.kind.as_str() {
            "observation" => Ok(Ok(read(message.data)?)),
            "error" => Ok(Err(refusal(message.data.get("message"), message.data.get("errors")))),
            other => {
                Err(Fault::new(format!("the environment elsewhere sent a message of the unexpected type `{other}`")))
            }
        }
    }

    fn posted(&mut self, route: &str, body: &Value, cx: &mut Context) -> Answer<Step> {
        let Self::Http { endpoint, path } = self else {
            return Err(Fault::new("there is no endpoint"));
        };
        let reply = cx.exchange(endpoint, HttpRequest::post_json(format!("{path}{route}"), body))?;
        let value = || serde_json::from_slice::<Value>(&reply.body);
        match reply.status {
            200..=299 => match value() {
                Ok(Value::Object(data)) => Ok(Ok(read(data)?)),
                Ok(_) => Err(Fault::new("the environment elsewhere sent an answer that is no object")),
                Err(error) => Err(Fault::new(format!("the environment elsewhere sent no JSON: {error}"))),
            },
            // What the environment says of an action: that it is none, or that it failed.
            400 | 422 | 500 => {
                let body = value().unwrap_or_default();
                Ok(Err(match body.get("detail") {
                    Some(detail) => refusal(Some(detail), Some(detail)),
                    None => format!("the environment answered with the status {}", reply.status),
                }))
            }
            status => Err(Fault::new(format!("the environment elsewhere answered `{route}` with the status {status}"))),
        }
    }
}

/// What an environment says against an action: its words, and what is wrong with which field.
fn refusal(message: Option<&Value>, errors: Option<&Value>) -> String {
    let one = |error: &Value| {
        let place: Vec<String> = error.get("loc")?.as_array()?.iter().map(plain).collect();
        Some(format!("{}: {}", place.join("."), error.get("msg")?.as_str()?))
    };
    let errors: Vec<String> = errors.and_then(Value::as_array).into_iter().flatten().filter_map(one).collect();
    let message = message.and_then(Value::as_str);
    match (message, errors.is_empty()) {
        (Some(message), true) => message.to_owned(),
        (None, true) => "unknown error".to_owned(),
        (Some(message), false) => format!("{message}: {}", errors.join("; ")),
        (None, false) => errors.join("; "),
    }
}

/// A text without its quotes, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
