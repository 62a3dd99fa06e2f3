// SPDX-License-Identifier: Apache-2.0
//! A help desk for parcels: conversations with a simulated user, tools, and a policy to obey. See the README for the
//! reward rule.

use std::collections::BTreeMap;

use gym_env::{Attempt, Context, Failure, Fault, Refuse, Reject, Schema, ToolResult, Verdict, resources_server};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod day;
mod desk;
mod trajectory;
mod user;
mod world;

use desk::Desk;
use trajectory::{Origin, Trajectory};
use user::{ModelReference, Said, Speaker, TerminalState, Turn};
use world::World;

/// Settings in the server's configuration.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Config {
    /// Plays the user; without one the row's script does.
    user_model_server: Option<ModelReference>,
    /// What the model that plays the user is told; `{instructions}` stands for the row's.
    user_prompt_fpath: String,
    /// How often the user speaks at most.
    max_user_turns: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { user_model_server: None, user_prompt_fpath: "prompts/user.txt".to_owned(), max_user_turns: 12 }
    }
}

/// What a conversation begins with.
#[derive(Debug, Deserialize, Schema)]
struct Start {
    /// What the user wants, for a model that plays the user.
    #[serde(default)]
    user_instructions: String,
    /// What the user says, message by message. The first one opens the conversation and is in the row's input too; the
    /// others count when no model plays the user.
    #[serde(default)]
    user_script: Vec<String>,
}

/// What grading needs of a row.
#[derive(Debug, Deserialize, Schema)]
struct Task {
    /// What must have changed: for each parcel its fields with other values than before. Everything else must be as it
    /// was.
    #[schema(json = r#"{"type": "object"}"#)]
    expected_changes: BTreeMap<String, Map<String, Value>>,
    /// Whether the conversation must have been handed to a colleague.
    #[serde(default)]
    expected_transfer: bool,
    /// What the model must have told the user, in any case of letters.
    #[serde(default)]
    must_say: Vec<String>,
}

/// One conversation.
#[derive(Debug)]
pub struct Conversation {
    before: World,
    desk: Desk,
    user_instructions: String,
    user_script: Vec<String>,
    said: Vec<Said>,
    trajectory: Trajectory,
    terminal_state: Option<TerminalState>,
    is_discarded: bool,
}

/// What a call of the agent's routes has.
#[derive(Debug, Deserialize)]
struct ToolCall {
    tool_name: String,
    #[serde(default)]
    tool_call_id: Value,
    #[serde(default)]
    arguments: Value,
}

#[derive(Debug, Deserialize)]
struct AgentMessage {
    #[serde(alias = "content")]
    message: String,
}

#[derive(Debug, Deserialize)]
struct AgentOutputs {
    #[serde(default)]
    outputs: Vec<Value>,
    #[serde(default)]
    response: Value,
}

/// Why the agent gives up; what is missing or no text says nothing.
#[derive(Debug, Default, Deserialize)]
struct Ending {
    #[serde(default)]
    error: Value,
    #[serde(default)]
    max_agent_steps: Value,
}

/// Where a conversation stands, for an agent that takes it up.
#[derive(Debug, Serialize)]
struct Resumed<'a> {
    messages: &'a [Said],
    next_actor: &'static str,
    /// Calls are answered at once, so that none waits.
    pending_tool_calls: [Value; 0],
    is_initial: bool,
    terminal_state: Option<TerminalState>,
}

/// Whether the agent goes on, and how the conversation ended if not.
#[derive(Debug, Serialize)]
struct Recorded {
    should_continue: bool,
    terminal_state: Option<TerminalState>,
}

/// The result of a call whose arguments were given as JSON text, as the model wrote them.
#[derive(Debug, Serialize)]
struct Executed {
    output: Value,
    schema_valid: bool,
    error: Option<String>,
    should_continue: bool,
    terminal_state: Option<TerminalState>,
}

fn read<T: serde::de::DeserializeOwned>(arguments: &Value) -> Result<T, Failure> {
    T::deserialize(arguments).map_err(|error| Refuse::new(422, error.to_string()).into())
}

fn to_json(value: &impl Serialize) -> Result<Value, Failure> {
    Ok(serde_json::to_value(value)?)
}

impl Conversation {
    /// One of the desk's tools, `None` if there is no such tool; what it refuses is told to the model.
    fn call(&mut self, id: Option<&str>, name: &str, arguments: &Value) -> Option<ToolResult<Value>> {
        let outcome = self.desk.call(name, arguments)?;
        let (result, is_valid) = match &outcome {
            Ok(value) => (value.clone(), true),
            Err(reason) => (json!({"error": reason}), false),
        };
        self.trajectory.result(id, name, &arguments.to_string(), &result, is_valid);
        Some(outcome.map_err(|reason| Reject::new(reason).into()))
    }

    /// What the model said and called in one response, as its agent records it. A message that is an output item is
    /// recorded again by `record_agent_message`.
    fn record(&mut self, outputs: &[Value], response: &Value) {
        for output in outputs {
            let text = |name: &str| output[name].as_str();
            let response_id = response["id"].as_str().map(str::to_owned);
            let origin = Origin { response_id, output_index: output["response_output_index"].as_u64() };
            match (text("type"), text("content"), text("tool_name"), text("arguments")) {
                (Some("message"), Some(content), ..) if output.get("role").is_none() => {
                    self.hear(content.to_owned(), origin);
                }
                (Some("function_call"), _, Some(name), Some(arguments)) => {
                    self.trajectory.call(text("tool_call_id").unwrap_or_default(), name, arguments, origin);
                }
                _ => {}
            }
        }
    }

    /// A call whose arguments are JSON text: what the tool refuses, or cannot read, is a result too.
    fn execute(&mut self, id: Option<&str>, name: &str, arguments: &str) -> Executed {
        let outcome = match serde_json::from_str(arguments) {
            Err(_) => Err("the arguments are not JSON".to_owned()),
            Ok(arguments) => match self.desk.call(name, &arguments) {
                Some(outcome) => outcome.map_err(|reason| reason.to_string()),
                None => Err(format!("there is no tool `{name}`")),
            },
        };
        let (output, error) = match outcome {
            Ok(output) => (output, None),
            Err(reason) => (json!({"error": reason}), Some(reason)),
        };
        let schema_valid = error.is_none();
        self.trajectory.result(id, name, arguments, &output, schema_valid);
        Executed { output, schema_valid, error, should_continue: true, terminal_state: self.terminal_state }
    }

    fn hear(&mut self, message: String, origin: Origin) {
        self.desk.hear(&message);
        self.trajectory.text(Speaker::Agent, &message, origin);
        self.said.push(Said { by: Speaker::Agent, text: message });
    }

    fn recorded(&self, goes_on: bool) -> Result<Value, Failure> {
        let should_continue = goes_on && self.terminal_state.is_none();
        to_json(&Recorded { should_continue, terminal_state: self.terminal_state })
    }

    fn resumed(&self) -> Resumed<'_> {
        let next_actor = match (self.terminal_state, self.said.last()) {
            (Some(_), _) => "terminal",
            (None, Some(Said { by: Speaker::User, .. })) => "agent",
            _ => "user",
        };
        let is_initial = self.said.iter().all(|said| said.by == Speaker::User);
        Resumed {
            messages: &self.said,
            next_actor,
            pending_tool_calls: [],
            is_initial,
            terminal_state: self.terminal_state,
        }
    }

    fn next_user_message(&mut self, cx: &mut Context) -> Result<Turn, Fault> {
        if let Some(state) = self.terminal_state {
            return Ok(Turn::ends(state));
        }
        if let [opening] = self.said.as_slice()
            && opening.by == Speaker::User
        {
            // The agent asks before it has said anything: it did not take the opening from the row's input.
            self.trajectory.set_given(false);
            return Ok(Turn::says(opening.text.clone()));
        }
        let config = cx.config::<Config>()?;
        let spoken = self.said.iter().filter(|said| said.by == Speaker::User).count();
        let turn = if spoken >= config.max_user_turns {
            Turn::ends(TerminalState::TurnLimit)
        } else if let Some(server) = &config.user_model_server {
            user::ask(&server.name, &config.user_prompt_fpath, &self.user_instructions, &self.said, cx)?
        } else {
            match self.user_script.get(spoken) {
                Some(message) => Turn::says(message.clone()),
                None => Turn::ends(TerminalState::UserDone),
            }
        };
        self.terminal_state = turn.terminal_state;
        if let Some(text) = turn.text() {
            self.trajectory.text(Speaker::User, text, Origin::default());
            self.said.push(Said { by: Speaker::User, text: text.to_owned() });
        }
        Ok(turn)
    }

    /// The world as it should be in the end.
    fn expected(&self, changes: &BTreeMap<String, Map<String, Value>>) -> Result<Value, Fault> {
        let mut world = serde_json::to_value(&self.before)?;
        for (parcel, fields) in changes {
            for (name, value) in fields {
                let field = world["parcels"].get_mut(parcel).and_then(|parcel| parcel.get_mut(name));
                let field = field.ok_or_else(|| {
                    Fault::new(format!("`expected_changes` names a field that does not exist: `{parcel}.{name}`"))
                })?;
                *field = value.clone();
            }
        }
        Ok(world)
    }
}

/// The first JSON pointers at which two values differ.
fn differences(wanted: &Value, found: &Value, path: &str, list: &mut Vec<String>) {
    const MAX: usize = 20;
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, value) in wanted {
                differences(value, found.get(name).unwrap_or(&Value::Null), &format!("{path}/{name}"), list);
            }
        }
        _ if wanted == found || list.len() >= MAX => {}
        _ => list.push(path.to_owned()),
    }
}

#[resources_server(echo, config = Config, scores(accuracy = "reward"))]
impl Conversation {
    #[seed_session]
    fn seed(start: Start, cx: &mut Context) -> Result<Self, Fault> {
        let opening = start.user_script.first();
        let said: Vec<Said> = opening.map(|text| Said { by: Speaker::User, text: text.clone() }).into_iter().collect();
        let mut trajectory = Trajectory::default();
        said.iter().for_each(|said| trajectory.text(said.by, &said.text, Origin::default()));
        trajectory.set_given(true);
        let world: World = serde_json::from_str(&cx.read_text("data/world.json")?)?;
        Ok(Self {
            before: world.clone(),
            desk: Desk::new(world),
            user_instructions: start.user_instructions,
            user_script: start.user_script,
            said,
            trajectory,
            terminal_state: None,
            is_discarded: false,
        })
    }

    /// The routes of the agent `conversational_tool_use`, and the desk's tools by name for other agents.
    #[any_tool]
    fn route(&mut self, name: &str, arguments: Value, cx: &mut Context) -> ToolResult<Value> {
        if self.is_discarded && name == "discard_session" {
            return Ok(json!({"discarded": false}));
        }
        if self.is_discarded {
            return Err(Refuse::new(400, "the conversation was discarded").into());
        }
        match name {
            "session_tools" => Ok(json!({"tools": desk::tools()?})),
            "session_resume" => to_json(&self.resumed()),
            "next_user_message" => to_json(&self.next_user_message(cx)?),
            "record_agent_message" => {
                let AgentMessage { message } = read(&arguments)?;
                self.hear(message, Origin::default());
                self.recorded(true)
            }
            "execute_agent_tool_call" => {
                let ToolCall { tool_name, tool_call_id, arguments } = read(&arguments)?;
                let id = tool_call_id.as_str();
                match arguments.as_str() {
                    Some(text) => to_json(&self.execute(id, &tool_name, text)),
                    None => self
                        .call(id, &tool_name, &arguments)
                        .unwrap_or_else(|| Err(Reject::new(format!("there is no tool `{tool_name}`")).into())),
                }
            }
            "record_agent_outputs" => {
                let AgentOutputs { outputs, response } = read(&arguments)?;
                self.record(&outputs, &response);
                self.recorded(true)
            }
            "record_generation_error" | "record_agent_generation_error" => {
                cx.warn("the agent's model failed");
                let Ending { error, .. } = read(&arguments).unwrap_or_default();
                self.trajectory.fail(error.as_str().unwrap_or("the agent's model failed").to_owned());
                self.recorded(false)
            }
            "record_agent_step_limit" => {
                cx.info("the agent reached its limit of steps");
                let Ending { max_agent_steps, .. } = read(&arguments).unwrap_or_default();
                self.trajectory.fail(format!("the agent reached its limit of {max_agent_steps} steps"));
                self.recorded(false)
            }
            "discard_session" => {
                self.is_discarded = true;
                Ok(json!({"discarded": true}))
            }
            _ => self.call(None, name, &arguments).unwrap_or_else(|| Err(Refuse::not_found().into())),
        }
    }

    #[verify]
    fn verify(&self, attempt: &Attempt<Task>) -> Result<Verdict, Failure> {
        if self.is_discarded {
            return Err(Refuse::new(400, "the conversation was discarded").into());
        }
        let task = &attempt.task;
        let mut wrong = Vec::new();
        differences(&self.expected(&task.expected_changes)?, &serde_json::to_value(&self.desk.world)?, "", &mut wrong);
        if self.desk.transferred != task.expected_transfer {
            wrong.push("/transferred".to_owned());
        }
        let unsaid: Vec<&String> = task.must_say.iter().filter(|text| !self.desk.was_said(text)).collect();
        let is_right = wrong.is_empty() && unsaid.is_empty() && self.desk.breaches.is_empty();
        Ok(Verdict::from(is_right)
            .field("state_matches", wrong.is_empty())
            .field("state_differences", &wrong)
            .field("policy_breaches", &self.desk.breaches)
            .field("unsaid", &unsaid)
            .field("terminal_state", self.terminal_state)
            .field("instance_config", json!({"mask_sample": false}))
            .field("result", self.trajectory.to_result(self.terminal_state)))
    }
}

#[cfg(test)]
mod tests;
