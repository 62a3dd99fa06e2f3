// SPDX-License-Identifier: Apache-2.0
//! Environments that are known by an id of their own, as Aviary's are: `/seed_session` makes one, `/step` takes the
//! calls of an answer, `/close` ends it, `/verify` adds up the rewards of its steps. See the README for the rules.
//!
//! The host gives each seed an id (`env_id`) and leads the calls that name it to the instance that was seeded.

mod calculator;
mod config;
mod expression;

use std::rc::Rc;

use gym_env::{
    Context, Description, Failure, Fault, ObjectSchema, Refuse, ResourcesServer, Schema, SchemaStyle, Tool, Verdict,
    python, to_json,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use calculator::{Problem, tools};
use config::Config;

/// What the model reads when the arguments of one of its calls are not JSON. None of its calls is done then.
const NOT_JSON: &str = "Invalid tool call arguments (not a valid JSON)";

/// One environment, from its seed on.
#[derive(Debug)]
pub struct Aviary {
    /// `None` once it is closed.
    problem: Option<Problem>,
    /// Rewards of all steps.
    total: f64,
}

#[derive(Deserialize, Schema)]
struct Seed {
    /// Which problem, counted from 0; from the last one if it is negative.
    task_idx: i64,
}

/// A call of the model.
#[derive(Debug, Deserialize, Schema)]
struct Call {
    /// What the result is matched by.
    call_id: String,
    /// The tool.
    name: String,
    /// JSON text.
    arguments: String,
}

#[derive(Deserialize)]
struct Step {
    action: Vec<Call>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Observed {
    Output { call_id: String, output: String, r#type: &'static str, id: Option<String>, status: Option<String> },
    Message { content: String, role: &'static str, r#type: &'static str },
}

#[derive(Serialize)]
struct Stepped {
    obs: Vec<Observed>,
    reward: f64,
    done: bool,
}

fn message(content: impl Into<String>) -> Observed {
    Observed::Message { content: content.into(), role: "user", r#type: "message" }
}

fn output(call_id: String, output: String) -> Observed {
    Observed::Output { call_id, output, r#type: "function_call_output", id: None, status: None }
}

impl Aviary {
    fn begin(task: i64, cx: &mut Context) -> Result<Self, Failure> {
        let config = cx.config::<Config>()?;
        let text = cx.read_text(&config.problems_jsonl_fpath)?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        let index = if task < 0 { task.saturating_add(count) } else { task };
        let line = usize::try_from(index).ok().and_then(|index| lines.get(index));
        let line = line.ok_or_else(|| Refuse::new(400, format!("there is no task {task}")))?;
        Ok(Self { problem: Some(Problem::read(line, Rc::clone(&config))?), total: 0.0 })
    }

    fn step(problem: &Problem, calls: Vec<Call>) -> Stepped {
        let mut read = Vec::with_capacity(calls.len());
        let mut ids = Vec::with_capacity(calls.len());
        for call in calls {
            match python::loads(&call.arguments) {
                Ok(arguments) => read.push((call.name, arguments)),
                Err(_) => return Stepped { obs: vec![message(NOT_JSON)], reward: 0.0, done: false },
            }
            ids.push(call.call_id);
        }
        if read.is_empty() {
            let effect = problem.silence();
            return Stepped { obs: vec![message(effect.output)], reward: effect.reward, done: effect.done };
        }
        let mut stepped = Stepped { obs: Vec::with_capacity(read.len()), reward: 0.0, done: false };
        for (index, effect) in problem.call(&read) {
            stepped.reward += effect.reward;
            stepped.done |= effect.done;
            stepped.obs.push(output(std::mem::take(&mut ids[index]), effect.output));
        }
        stepped
    }
}

/// A tool that the agent calls, not the model.
fn agents_tool(name: &str, description: &str, parameters: ObjectSchema) -> Tool {
    Tool { name: name.to_owned(), description: description.to_owned(), parameters: parameters.finish(false, "") }
}

impl ResourcesServer for Aviary {
    fn describe(cx: &mut Context) -> Result<Description, Failure> {
        cx.check_config::<Config>()?;
        let config = cx.config::<Config>()?;
        if !matches!(config.entrypoint.as_str(), "gsm8k_app.py" | "app.py") {
            let text = format!("`entrypoint` is `{}`; there is only `gsm8k_app.py`", config.entrypoint);
            return Err(Fault::new(text).into());
        }
        let mut description = Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        description.seed_fields = Some(Seed::schema(SchemaStyle::Row));
        description.verify_fields = json!({"type": "object", "properties": {}, "additionalProperties": true});
        let by_id =
            || ObjectSchema::new(SchemaStyle::Strict).property::<String>("env_id", "The id that the seed gave.", None);
        let action = by_id().property::<Vec<Call>>("action", "The calls of one answer.", None);
        description.tools = vec![
            agents_tool("step", "Does the calls of one answer of the model.", action),
            agents_tool("close", "Ends the environment. It can still be graded.", by_id()),
        ];
        Ok(description)
    }

    fn seed_session(session: &mut Option<Self>, request: &str, cx: &mut Context) -> Result<String, Failure> {
        let seed: Seed = serde_json::from_str(request).map_err(|error| Refuse::new(422, error.to_string()))?;
        let begun = Self::begin(seed.task_idx, cx)?;
        let question = begun.problem.as_ref().map(|problem| problem.question.clone()).unwrap_or_default();
        // The host puts the session's own id in this place.
        let env_id = format!("{:032x}", u128::from(cx.random()));
        let reply = json!({"env_id": env_id, "obs": [message(question)], "tools": tools()});
        *session = Some(begun);
        Ok(to_json(&reply)?)
    }

    fn call_tool(session: &mut Option<Self>, name: &str, arguments: &str, _: &mut Context) -> Result<String, Failure> {
        let problem = session.as_ref().and_then(|session| session.problem.as_ref());
        match (name, problem) {
            ("step", Some(problem)) => {
                let step: Step =
                    serde_json::from_str(arguments).map_err(|error| Refuse::new(422, error.to_string()))?;
                let stepped = Self::step(problem, step.action);
                if let Some(session) = session {
                    session.total += stepped.reward;
                }
                Ok(to_json(&stepped)?)
            }
            ("step", None) => Err(Refuse::new(500, "there is no environment with this `env_id`").into()),
            ("close", Some(_)) => {
                if let Some(session) = session {
                    session.problem = None;
                }
                Ok(r#"{"message":"Success","success":true}"#.to_owned())
            }
            ("close", None) => {
                Ok(r#"{"message":"there is no environment with this `env_id`","success":false}"#.to_owned())
            }
            _ => Err(Refuse::not_found().into()),
        }
    }

    fn verify(session: &mut Option<Self>, _: String, _: &mut Context) -> Result<Verdict, Failure> {
        match session {
            Some(session) => Ok(Verdict::new(session.total)),
            None => Err(Fault::new("there is no environment to grade: it was not seeded").into()),
        }
    }
}

gym_env::export!(Aviary);

#[cfg(test)]
mod tests;
