// SPDX-License-Identifier: Apache-2.0
//! The other side of the protocol, with three small environments of our own: they run inside the component when no
//! endpoint is configured, and behind a port with `cargo run -p openenv --example serve`.

use std::collections::VecDeque;

use gym_env::{ChannelEnd, NetworkFailure};
use serde_json::{Map, Value, json};

use crate::maze::Walk;

/// Steps after which an episode in the maze ends.
const MAZE_STEPS: u32 = 40;

/// The maze: `#` is a wall. The way from the upper left to the lower right takes 8 steps.
const MAZE: [&str; 5] = ["..#..", "#..#.", "##..#", "..#..", ".##.."];

/// One of the environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    /// Repeats messages; a tenth of a point for each character.
    Echo,
    /// A walk from the upper left to the lower right.
    Maze,
    /// The tools `echo_message` and `add`, called as MCP tools are.
    Tools,
    /// The tools `echo_message` and `echo_with_length` of OpenEnv's own echo, whose results are those of MCP and are worth
    /// nothing.
    EchoTools,
    /// OpenEnv's own maze of 8x8 cells.
    MazeWalk,
}

impl Example {
    /// The example of this name: `echo`, `maze`, `tools`, `EchoEnvironment` or `MazeEnvironment`, also as the last part of a
    /// dotted path.
    pub fn named(name: &str) -> Option<Self> {
        match name.rsplit('.').next()? {
            "echo" => Some(Self::Echo),
            "maze" => Some(Self::Maze),
            "tools" => Some(Self::Tools),
            "EchoEnvironment" => Some(Self::EchoTools),
            "MazeEnvironment" => Some(Self::MazeWalk),
            _ => None,
        }
    }
}

/// One session of an example.
#[derive(Debug)]
pub struct Peer {
    example: Example,
    place: (usize, usize),
    walk: Walk,
    steps: u32,
    done: bool,
    is_closed: bool,
    answers: VecDeque<String>,
}

/// Observation, reward, end.
type Outcome = (Value, Option<f64>, bool);

impl Peer {
    /// A session in which nothing has happened.
    pub fn new(example: Example) -> Self {
        Self {
            example,
            place: (0, 0),
            walk: Walk::default(),
            steps: 0,
            done: false,
            is_closed: false,
            answers: VecDeque::new(),
        }
    }

    /// What to answer to a message; nothing when it closes the session.
    pub fn answer(&mut self, text: &str) -> Option<String> {
        let error = |code: &str, message: String| json!({"type": "error", "data": {"message": message, "code": code}});
        let Ok(message) = serde_json::from_str::<Map<String, Value>>(text) else {
            return Some(error("INVALID_JSON", "the message is no JSON object".to_owned()).to_string());
        };
        let empty = Map::new();
        let data = message.get("data").and_then(Value::as_object).unwrap_or(&empty);
        let outcome = match message.get("type").and_then(Value::as_str) {
            Some("reset") => Ok(self.reset()),
            Some("step") => self.step(data),
            Some("state") => {
                let data = json!({"episode_id": null, "step_count": self.steps});
                return Some(json!({"type": "state", "data": data}).to_string());
            }
            Some("close") => {
                self.is_closed = true;
                return None;
            }
            other => return Some(error("UNKNOWN_TYPE", format!("there is no type {other:?}")).to_string()),
        };
        let answer = match outcome {
            Ok((observation, reward, done)) => {
                self.done = done;
                json!({"type": "observation", "data": {"observation": observation, "reward": reward, "done": done}})
            }
            Err(text) => error("EXECUTION_ERROR", text),
        };
        Some(answer.to_string())
    }

    fn reset(&mut self) -> Outcome {
        (self.place, self.steps) = ((0, 0), 0);
        match self.example {
            Example::Echo => (json!({"echoed_message": "", "message_length": 0}), Some(0.0), false),
            Example::Maze => (self.view(), None, false),
            Example::Tools | Example::EchoTools => (json!({}), None, false),
            Example::MazeWalk => (self.walk.begin(), Some(0.0), false),
        }
    }

    fn step(&mut self, action: &Map<String, Value>) -> Result<Outcome, String> {
        if self.done {
            return Err("the episode has ended".to_owned());
        }
        self.steps += 1;
        match self.example {
            Example::Echo => {
                let message =
                    action.get("message").and_then(Value::as_str).ok_or("the action has no text `message`")?;
                let length = message.chars().count();
                Ok((json!({"echoed_message": message, "message_length": length}), Some(length as f64 / 10.0), false))
            }
            Example::Maze => self.walk(action),
            Example::Tools => call_tool(action),
            Example::EchoTools => call_echo(action),
            Example::MazeWalk => {
                self.walk.step(action).map(|(observation, reward, is_over)| (observation, Some(reward), is_over))
            }
        }
    }

    fn walk(&mut self, action: &Map<String, Value>) -> Result<Outcome, String> {
        let (row, column) = self.place;
        let target = match action.get("direction").and_then(Value::as_str) {
            Some("up") => (row.wrapping_sub(1), column),
            Some("down") => (row + 1, column),
            Some("left") => (row, column.wrapping_sub(1)),
            Some("right") => (row, column + 1),
            _ => return Err("`direction` is `up`, `down`, `left` or `right`".to_owned()),
        };
        let is_free = MAZE.get(target.0).and_then(|line| line.as_bytes().get(target.1)) == Some(&b'.');
        if is_free {
            self.place = target;
        }
        let is_out = self.place == (4, 4);
        let reward = if is_out {
            1.0
        } else if is_free {
            0.0
        } else {
            -0.05
        };
        Ok((self.view(), Some(reward), is_out || self.steps >= MAZE_STEPS))
    }

    fn view(&self) -> Value {
        json!({"maze": MAZE, "row": self.place.0, "column": self.place.1, "exit": [4, 4]})
    }
}

/// The schema of one argument, a text.
fn text(name: &str) -> Value {
    json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]})
}

fn call_echo(action: &Map<String, Value>) -> Result<Outcome, String> {
    if action.get("type").and_then(Value::as_str) == Some("list_tools") {
        let tools = json!([
            {"name": "echo_message", "description": "Say it again.", "input_schema": text("message")},
            {"name": "echo_with_length", "description": "Say it again, and how long it is.",
                "input_schema": text("message")},
        ]);
        return Ok((json!({"tools": tools}), None, false));
    }
    let name = action.get("tool_name").and_then(Value::as_str).ok_or("the action has no `tool_name`")?;
    let message = action.get("arguments").and_then(|arguments| arguments.get("message")).and_then(Value::as_str);
    let message = message.ok_or("the action has no text `message`")?;
    let (written, structured, data) = match name {
        "echo_message" => (message.to_owned(), json!({"result": message}), json!(message)),
        "echo_with_length" => {
            let data = json!({"message": message, "length": message.chars().count()});
            (data.to_string(), data.clone(), data)
        }
        _ => return Err(format!("there is no tool `{name}`")),
    };
    let content = json!([{"type": "text", "text": written, "annotations": null, "_meta": null}]);
    let result =
        json!({"content": content, "structured_content": structured, "meta": null, "data": data, "is_error": false});
    Ok((json!({"tool_name": name, "result": result, "error": null}), None, false))
}

fn call_tool(action: &Map<String, Value>) -> Result<Outcome, String> {
    if action.get("type").and_then(Value::as_str) == Some("list_tools") {
        let numbers = json!({"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}});
        let tools = json!([
            {"name": "echo_message", "description": "Say it again.", "input_schema": text("message")},
            {"name": "add", "description": "Add two numbers.", "input_schema": numbers},
        ]);
        return Ok((json!({"tools": tools}), None, false));
    }
    let name = action.get("tool_name").and_then(Value::as_str).ok_or("the action has no `tool_name`")?;
    let argument = |name: &str| action.get("arguments").and_then(|arguments| arguments.get(name));
    let result = match name {
        "echo_message" => argument("message").and_then(Value::as_str).map(|text| json!(text)),
        "add" => match (argument("a").and_then(Value::as_f64), argument("b").and_then(Value::as_f64)) {
            (Some(a), Some(b)) => Some(json!(a + b)),
            _ => None,
        },
        _ => return Err(format!("there is no tool `{name}`")),
    };
    Ok(match result {
        Some(result) => (json!({"tool_name": name, "result": result, "error": null}), Some(0.5), false),
        None => {
            let error = json!({"error_type": "invalid_args", "message": "an argument is missing"});
            (json!({"tool_name": name, "result": null, "error": error}), Some(0.0), false)
        }
    })
}

impl ChannelEnd for Peer {
    fn send(&mut self, text: &str) -> Result<(), NetworkFailure> {
        if self.is_closed {
            return Err(NetworkFailure::Unavailable("the channel is closed".to_owned()));
        }
        let answer = self.answer(text);
        self.answers.extend(answer);
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<String>, NetworkFailure> {
        Ok(self.answers.pop_front())
    }
}
