// SPDX-License-Identifier: Apache-2.0
//! A client for environments elsewhere that speak OpenEnv's protocol. See the README for the reward rule.

use gym_env::{Attempt, Channel, Context, Failure, Fault, NoFields, Refuse, ToolResult, Verdict, resources_server};
use serde::Deserialize;
use serde_json::{Map, Value, json};

mod client;
mod maze;
pub mod peer;
mod tools;

use client::{Client, Step};
use peer::{Example, Peer};
use tools::Tool;

/// Settings in the server's configuration.
#[derive(Debug, Deserialize)]
#[serde(default, try_from = "Written")]
struct Config {
    /// Where the environment is; without an endpoint one of the examples runs inside the component.
    place: Place,
    /// Path below the endpoint: of the WebSocket, or before `/reset` and `/step`.
    path: String,
    /// Whether the endpoint is spoken to by plain requests.
    is_http: bool,
    /// Arguments of every reset.
    reset_kwargs: Map<String, Value>,
    /// Whether the environment has MCP tools, in place of one action.
    is_mcp: bool,
}

/// Where the environment is.
#[derive(Debug)]
enum Place {
    Endpoint(String),
    Inside(Example),
}

/// The settings as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    endpoint: Option<String>,
    transport: Transport,
    path: Option<String>,
    env_class: Option<String>,
    /// Read and not needed: the server of the environment makes actions of what it is sent.
    #[serde(rename = "action_class")]
    _action_class: Option<String>,
    reset_kwargs: Map<String, Value>,
    is_mcp: bool,
}

/// How the endpoint is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transport {
    #[default]
    WebSocket,
    Http,
}

impl Default for Config {
    fn default() -> Self {
        let place = Place::Inside(Example::Echo);
        Self { place, path: String::new(), is_http: false, reset_kwargs: Map::new(), is_mcp: false }
    }
}

impl TryFrom<Written> for Config {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let place = match (written.endpoint, written.env_class.as_deref()) {
            (Some(endpoint), _) => Place::Endpoint(endpoint),
            (None, None) => Place::Inside(if written.is_mcp { Example::Tools } else { Example::Echo }),
            (None, Some(class)) => Place::Inside(Example::named(class).ok_or_else(|| elsewhere(class))?),
        };
        let is_http = written.transport == Transport::Http;
        let path = written.path.unwrap_or_else(|| if is_http { "" } else { "/ws" }.to_owned());
        Ok(Self { place, path, is_http, reset_kwargs: written.reset_kwargs, is_mcp: written.is_mcp })
    }
}

/// What to do about a class that does not run in here.
fn elsewhere(class: &str) -> String {
    format!(
        "`env_class: {class}` is a Python class, and no Python runs in this environment (`echo`, `maze`, `tools`, \
         `EchoEnvironment` and `MazeEnvironment` are built in). Serve it with OpenEnv, for example by `uvicorn \
         coding_env.server.app:app --port 8000`, and add two settings to this server's block, in the file or on the command \
         line: `endpoint: peer` and `gym_host: {{endpoints: {{peer: http://127.0.0.1:8000}}}}`"
    )
}

/// One session.
#[derive(Debug, Default)]
pub struct OpenEnv {
    episode: Option<Episode>,
    /// Rewards so far. It stays when the episode is closed, so that grading again says the same.
    total: f64,
    /// Why the connection is of no use any more.
    broken: Option<String>,
}

#[derive(Debug)]
struct Episode {
    client: Client,
    /// The tools, if the environment has some.
    tools: Option<Vec<Tool>>,
    has_ended: bool,
}

impl OpenEnv {
    fn begin(&mut self, cx: &mut Context) -> Result<(), Fault> {
        let config = cx.config::<Config>()?;
        let mut client = match &config.place {
            Place::Endpoint(endpoint) if config.is_http => {
                Client::Http { endpoint: endpoint.clone(), path: config.path.clone() }
            }
            Place::Endpoint(endpoint) => Client::WebSocket(cx.channel(endpoint, &config.path)?),
            Place::Inside(example) => Client::WebSocket(Channel::new(Peer::new(*example))),
        };
        let own_error = |text| Fault::new(format!("the environment elsewhere could not begin: {text}"));
        let first = client.reset(&config.reset_kwargs, cx)?.map_err(own_error)?;
        let tools = if config.is_mcp { Some(Tool::all(&client.tools(cx)?)) } else { None };
        self.total = first.reward;
        self.episode = Some(Episode { client, tools, has_ended: first.done });
        Ok(())
    }
}

/// An answer that the model reads in place of a result.
fn error(text: &str) -> Value {
    json!({"error": text, "result": null})
}

/// The observation as the environment's own class writes it: the end, the reward and the metadata come first.
fn whole(step: Step) -> Value {
    let mut observation = step.observation;
    let mut whole = Map::new();
    whole.insert("done".to_owned(), json!(step.done));
    whole.insert("reward".to_owned(), json!(step.reward));
    whole.insert("metadata".to_owned(), observation.shift_remove("metadata").unwrap_or_else(|| json!({})));
    for name in ["done", "reward"] {
        observation.shift_remove(name);
    }
    whole.extend(observation);
    Value::Object(whole)
}

/// Result and error of a tool.
fn of_tool(mut step: Step) -> Value {
    let mut part = |name: &str| step.observation.remove(name).unwrap_or(Value::Null);
    let (result, failed) = (part("result"), part("error"));
    let failed = failed.get("message").cloned().unwrap_or(failed);
    json!({"result": result, "error": failed})
}

#[resources_server(name = "openenv", config = Config, scores(accuracy = "reward"))]
impl OpenEnv {
    #[seed_session]
    fn seed(&mut self, _task: NoFields, cx: &mut Context) -> Result<(), Fault> {
        *self = Self::default();
        self.begin(cx).inspect_err(|fault| self.broken = Some(fault.message().to_owned()))
    }

    /// `step` with the fields of an action, or a tool of the environment.
    #[any_tool]
    fn act(&mut self, name: &str, arguments: Value, cx: &mut Context) -> ToolResult<Value> {
        let is_mcp = cx.config::<Config>()?.is_mcp;
        if !is_mcp && name != "step" {
            return Err(Refuse::not_found().into());
        }
        if let Some(reason) = &self.broken {
            return Err(Fault::new(reason).into());
        }
        let Some(episode) = &mut self.episode else {
            return Ok(error("No active session. Call /seed_session first."));
        };
        let arguments = match &episode.tools {
            Some(tools) => match tools.iter().find(|tool| tool.name == name) {
                Some(tool) => tool.arguments(&arguments)?,
                None => return Err(Refuse::not_found().into()),
            },
            None => arguments,
        };
        if episode.has_ended {
            return Ok(error("Episode has ended."));
        }
        let action = match is_mcp {
            true => json!({"type": "call_tool", "tool_name": name, "arguments": arguments}),
            false => arguments,
        };
        match episode.client.step(&action, cx) {
            Err(fault) => {
                self.broken = Some(fault.message().to_owned());
                Err(fault.into())
            }
            Ok(Err(text)) => Ok(error(&text)),
            Ok(Ok(step)) => {
                self.total += step.reward;
                episode.has_ended = step.done;
                Ok(if is_mcp { of_tool(step) } else { whole(step) })
            }
        }
    }

    /// The sum of all rewards; the environment elsewhere is told that the session is over.
    #[verify]
    fn verify(&mut self, _attempt: &Attempt<NoFields>, cx: &mut Context) -> Result<Verdict, Failure> {
        if let Some(reason) = &self.broken {
            return Err(Fault::new(reason).into());
        }
        if let Some(episode) = self.episode.take()
            && let Err(fault) = episode.client.close()
        {
            cx.debug(format!("the environment elsewhere did not hear the end: {}", fault.message()));
        }
        Ok(Verdict::from(self.total))
    }

    #[close]
    fn close(&mut self) -> Result<(), Fault> {
        match self.episode.take() {
            Some(episode) => episode.client.close(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
