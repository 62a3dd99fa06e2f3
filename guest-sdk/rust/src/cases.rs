// SPDX-License-Identifier: Apache-2.0
//! Plays the cases of an environment's folder natively, without a host: `cargo test` then proves that every example task
//! is solvable as graded.
//!
//! A case is one line of `tests/cases.jsonl`:
//!
//! ```json
//! {"name": "the letter in the box", "kind": "perfect", "task": 0, "turns": [{"text": "\\boxed{B}"}], "reward": 1.0}
//! ```
//!
//! `task` is the index of a row in `data/example.jsonl`, or a row. `turns` is what the model says: `reasoning`, `text`,
//! `calls` (`name`, `arguments`), or `output` with items as they are; `incomplete` is the reason of an early stop.
//! `reward` is absent where grading must fail; `status` is the HTTP status of a refusal. `expect` has fields of the
//! reply, `outputs` the outputs of all calls, `config` settings for this case, `models` the answers of model servers. In
//! gymnasium style the reply is `reward`, `terminated`, `truncated` and `info` of the last step. A row's
//! `_ng_session_seed` is the seed of its session.
//! `gym-host test` plays the same file against the component.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    context::Context,
    description::{Description, Lifetime, Style},
    failure::{Failure, ModelFailure},
    prompt,
    response::Response,
    server::{Instance, ResourcesServer},
};

mod by_env_id;
mod generated;
mod malformed;

pub use generated::check_generated;
pub use malformed::{check_malformed, check_malformed_with};

/// The row's field with the seed of its session.
const SESSION_SEED: &str = "_ng_session_seed";
/// Answers of the model after which a gymnasium-style attempt is cut off, unless the case itself has more turns: the
/// default of the agent.
const MAX_STEPS: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    kind: Kind,
    task: Task,
    turns: Vec<Turn>,
    reward: Option<f64>,
    #[serde(default)]
    expect: Map<String, Value>,
    outputs: Option<Vec<Value>>,
    status: Option<u16>,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    models: BTreeMap<String, Vec<Turn>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Perfect,
    Wrong,
    Edge,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Task {
    Example(usize),
    Row(Map<String, Value>),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Turn {
    reasoning: Option<String>,
    text: Option<String>,
    calls: Vec<Call>,
    output: Option<Vec<Value>>,
    incomplete: Option<String>,
    #[serde(rename = "delay_ms")]
    _delay: Option<u64>,
    status: Option<u16>,
    body: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Value,
}

/// What came of a case.
struct Outcome {
    result: Result<(f64, Map<String, Value>), Failure>,
    outputs: Vec<String>,
}

/// Plays all cases of the environment in this folder, normally `env!("CARGO_MANIFEST_DIR")`.
///
/// # Panics
/// With a list of all that is not as it should be: cases with another outcome, examples without a perfect or a wrong
/// attempt, example rollouts of other tasks, files that cannot be read.
pub fn check<E: ResourcesServer>(folder: impl AsRef<Path>) {
    check_with::<E>(folder, &Map::new());
}

/// As [`check`], with settings that the environment cannot do without. Those of a case are laid over them.
///
/// # Panics
/// As [`check`].
pub fn check_with<E: ResourcesServer>(folder: impl AsRef<Path>, config: &Map<String, Value>) {
    let folder = folder.as_ref();
    let rows: Vec<Map<String, Value>> = read_lines(&folder.join("data/example.jsonl"));
    let cases: Vec<Case> = read_lines(&folder.join("tests/cases.jsonl"));
    let mut mistakes = Vec::new();
    for (index, _) in rows.iter().enumerate() {
        for (kind, word) in [(Kind::Perfect, "perfect"), (Kind::Wrong, "wrong")] {
            if !cases.iter().any(|case| case.kind == kind && matches!(case.task, Task::Example(task) if task == index))
            {
                mistakes.push(format!("example {index} has no {word} attempt"));
            }
        }
    }
    mistakes.extend(foreign_rollouts(folder, &rows));
    for case in &cases {
        mistakes.extend(too_good(case, &cases));
        let row = match &case.task {
            Task::Row(row) => Some(row),
            Task::Example(index) => rows.get(*index),
        };
        match row {
            Some(row) => mistakes.extend(judge(case, play::<E>(folder, config, case, row))),
            None => mistakes.push(format!("`{}`: there is no such example", case.name)),
        }
    }
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

/// Which of `data/example_rollouts.jsonl` are no attempts at the examples: their task is not there, or its prompt is another.
fn foreign_rollouts(folder: &Path, rows: &[Map<String, Value>]) -> Vec<String> {
    let path = folder.join("data/example_rollouts.jsonl");
    if !path.is_file() {
        return Vec::new();
    }
    let prompt = |row: &Map<String, Value>| {
        let input = row.get("responses_create_params").and_then(|params| params.get("input")).map(Value::to_string);
        prompt::messages(input.as_deref()).into_iter().map(|message| message.content).collect::<Vec<_>>()
    };
    let rollouts: Vec<Map<String, Value>> = read_lines(&path);
    let mut mistakes = Vec::new();
    for (line, rollout) in rollouts.iter().enumerate() {
        let task = rollout.get("_ng_task_index").and_then(Value::as_u64).and_then(|task| usize::try_from(task).ok());
        // An attempt may have added messages to the prompt.
        if !task.and_then(|task| rows.get(task)).is_some_and(|row| prompt(rollout).starts_with(&prompt(row))) {
            mistakes.push(format!("`data/example_rollouts.jsonl`, line {}: no attempt at an example", line + 1));
        }
    }
    mistakes
}

fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("failed to read `{}`: {error}", path.display()));
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let read = serde_json::from_str(line);
            read.unwrap_or_else(|error| panic!("failed to read `{}`, line {}: {error}", path.display(), index + 1))
        })
        .collect()
}

/// What is wrong with the outcome.
fn judge(case: &Case, outcome: Outcome) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut differs = |what: &str, expected: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| {
        mistakes.push(format!("`{}`: {what} should be {expected:?} and is {found:?}", case.name));
    };
    match (&case.reward, &outcome.result) {
        (Some(expected), Ok((reward, fields))) => {
            if (expected - reward).abs() > 1e-9 {
                differs("the reward", expected, reward);
            }
            for (name, expected) in &case.expect {
                let found = fields.get(name).cloned().unwrap_or_else(|| json!("(absent)"));
                if found != *expected {
                    differs(&format!("the field `{name}`"), expected, &found);
                }
            }
        }
        (None, Err(failure)) => {
            let status = match failure {
                Failure::Refused(refuse) => Some(refuse.status()),
                Failure::Rejected(_) | Failure::Fault(_) => None,
            };
            if case.status.is_some() && case.status != status {
                differs("the failure's status", &case.status, failure);
            }
        }
        (expected, result) => differs("the reward", expected, &result.as_ref().map(|(reward, _)| reward)),
    }
    if let Some(expected) = &case.outputs {
        let outputs: Vec<Value> = outcome.outputs.iter().map(|output| readable(output)).collect();
        if outputs != *expected {
            differs("the list of outputs", expected, &outputs);
        }
    }
    mistakes
}

/// What is wrong with the reward of a wrong attempt: it must be less than that of the perfect attempts at its task.
fn too_good(case: &Case, cases: &[Case]) -> Option<String> {
    let reward = case.reward.filter(|_| case.kind == Kind::Wrong)?;
    let perfect = cases.iter().filter(|other| other.kind == Kind::Perfect && other.task == case.task);
    let full = perfect.filter_map(|other| other.reward).min_by(f64::total_cmp).unwrap_or(1.0);
    (reward >= full).then(|| format!("`{}`: a wrong attempt gets {reward}, a perfect one {full}", case.name))
}

fn readable(output: &str) -> Value {
    serde_json::from_str(output).unwrap_or_else(|_| Value::String(output.to_owned()))
}

fn play<E: ResourcesServer>(
    folder: &Path,
    config: &Map<String, Value>,
    case: &Case,
    row: &Map<String, Value>,
) -> Outcome {
    let mut config = config.clone();
    config.extend(case.config.clone());
    let seed = row.get(SESSION_SEED).and_then(Value::as_u64).unwrap_or_default();
    let mut test = Context::for_test().seed(seed).config(Value::Object(config)).folder(folder);
    // Where programs are run, the runner's source lies beside.
    let runner = folder.join("../python_exec/runner");
    if runner.is_dir() {
        test = test.python(runner);
    }
    for (server, turns) in &case.models {
        test = test.model(server, turns.iter().map(Turn::answer));
    }
    let mut outputs = Vec::new();
    let mut instance = Instance::<E>::new(test.build());
    let result = instance.describe().and_then(|description| match description.style {
        Style::Tools if description.is_known_by_env_id() => by_env_id::play(&mut instance, case, row, &mut outputs),
        Style::Tools => play_tools(&mut instance, &description, case, row, || test.build(), &mut outputs),
        Style::Gymnasium => play_steps(&mut instance, case, row, &mut outputs),
    });
    Outcome { result, outputs }
}

fn play_tools<E: ResourcesServer>(
    instance: &mut Instance<E>,
    description: &Description,
    case: &Case,
    row: &Map<String, Value>,
    context: impl Fn() -> Context,
    outputs: &mut Vec<String>,
) -> Result<(f64, Map<String, Value>), Failure> {
    if description.tools_run_in == Lifetime::Session {
        instance.seed_session(&Value::Object(row.clone()).to_string())?;
    }
    let mut transcript = Vec::new();
    for turn in &case.turns {
        let items = turn.items(transcript.len());
        let calls: Vec<Value> = items.iter().filter(|item| item["type"] == "function_call").cloned().collect();
        transcript.extend(items);
        if turn.incomplete.is_some() || calls.is_empty() {
            break;
        }
        for call in calls {
            if description.tools_run_in == Lifetime::Call {
                *instance = Instance::new(context());
            }
            let output = call_tool(instance, description, &call)?;
            transcript.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": output}));
            outputs.push(output);
        }
    }
    if description.verify_runs_in == Lifetime::Call {
        *instance = Instance::new(context());
    }
    let mut request = row.clone();
    request.insert("response".to_owned(), json!({"output": transcript}));
    let verdict = instance.verify(Value::Object(request).to_string())?;
    let mut fields: Map<String, Value> = Map::new();
    for name in &description.echo {
        let default = &description.verify_fields["properties"][name]["default"];
        fields.insert(name.clone(), row.get(name).unwrap_or(default).clone());
    }
    if description.verify_fields["additionalProperties"] == true {
        for (name, value) in row.iter().filter(|(name, _)| *name != "responses_create_params") {
            fields.entry(name).or_insert_with(|| value.clone());
        }
    }
    fields.extend(verdict.fields().clone());
    if !verdict.components().is_empty() {
        let components: Map<String, Value> =
            verdict.components().iter().map(|(name, part)| (name.clone(), json!(part))).collect();
        fields.insert("reward_components".to_owned(), Value::Object(components));
    }
    Ok((verdict.reward(), fields))
}

/// One call as an agent makes it: whatever goes wrong but a fault is the tool's output.
fn call_tool<E: ResourcesServer>(
    instance: &mut Instance<E>,
    description: &Description,
    call: &Value,
) -> Result<String, Failure> {
    let name = call["name"].as_str().unwrap_or_default();
    let arguments = call["arguments"].as_str().unwrap_or_default();
    if serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_err() {
        return Ok(json!({"error": "Invalid tool call arguments"}).to_string());
    }
    if !description.any_tool && !description.tools.iter().any(|tool| tool.name == name) {
        return Ok(json!({"detail": "Not Found"}).to_string());
    }
    match instance.call_tool(name, arguments) {
        Err(Failure::Rejected(reject)) => Ok(json!({"error": reject.text()}).to_string()),
        Err(Failure::Refused(refuse)) => Ok(json!({"detail": refuse.detail()}).to_string()),
        other => other,
    }
}

fn play_steps<E: ResourcesServer>(
    instance: &mut Instance<E>,
    case: &Case,
    row: &Map<String, Value>,
    outputs: &mut Vec<String>,
) -> Result<(f64, Map<String, Value>), Failure> {
    instance.reset(&Value::Object(row.clone()).to_string())?;
    // A model whose script is over says nothing more, until the environment has an end or the agent has enough.
    let silence = Turn { output: Some(Vec::new()), ..Turn::default() };
    let turns = case.turns.iter().chain(std::iter::repeat(&silence)).take(case.turns.len().max(MAX_STEPS));
    let mut reward = 0.0;
    let mut reply = Map::new();
    for turn in turns {
        let mut request = row.clone();
        request.insert("response".to_owned(), json!({"output": turn.items(0)}));
        let outcome = instance.step(Value::Object(request).to_string())?;
        reward += outcome.reward;
        let info = outcome.observation.as_info();
        let results = info.get("tool_outputs").and_then(Value::as_array).into_iter().flatten();
        outputs.extend(results.filter_map(|result| Some(result.get("output")?.as_str()?.to_owned())));
        reply.insert("terminated".to_owned(), outcome.terminated.into());
        reply.insert("truncated".to_owned(), (outcome.truncated || !outcome.terminated).into());
        reply.insert("info".to_owned(), Value::Object(info.clone()));
        if outcome.terminated || outcome.truncated {
            break;
        }
    }
    Ok((reward, reply))
}

impl Turn {
    /// The output items of the turn. `before` is how many items there are already, for ids.
    fn items(&self, before: usize) -> Vec<Value> {
        if let Some(items) = &self.output {
            return items.clone();
        }
        let mut items = Vec::new();
        if let Some(text) = &self.reasoning {
            items.push(json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}));
        }
        if let Some(text) = &self.text {
            let part = json!({"type": "output_text", "text": text, "annotations": []});
            items.push(json!({"type": "message", "role": "assistant", "status": "completed", "content": [part]}));
        }
        for call in &self.calls {
            let call_id = format!("call_{}", before + items.len());
            let arguments = match &call.arguments {
                Value::String(text) => text.clone(),
                Value::Null => "{}".to_owned(),
                other => other.to_string(),
            };
            items.push(json!({"type": "function_call", "call_id": call_id, "name": call.name, "arguments": arguments}));
        }
        for (index, item) in items.iter_mut().enumerate() {
            item["id"] = json!(format!("item_{}", before + index));
        }
        items
    }

    /// The turn as the answer of a model server.
    fn answer(&self) -> Result<Response, ModelFailure> {
        if let Some(status) = self.status {
            let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
            return Err(ModelFailure::Status { status, body });
        }
        let details = self.incomplete.as_ref().map(|reason| json!({"reason": reason}));
        let answer = json!({
            "id": "resp_case", "created_at": 0.0, "model": "case", "object": "response", "output": self.items(0),
            "incomplete_details": details, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        });
        Ok(Response::new(answer.to_string()))
    }
}
