// SPDX-License-Identifier: Apache-2.0
//! An assistant at work: mail, calendar, tasks, customers and web statistics. See the README for the reward rule.

use std::collections::BTreeMap;

use gym_env::{
    AnyJson, Attempt, Context, Description, Failure, Fault, NoFields, Refuse, Schema, Tool, Verdict,
    python::{Value, loads},
    resources_server,
};
use serde::{Deserialize, Serialize};

mod clock;
mod ids;
mod office;
mod paging;
mod patterns;
mod raise;
mod signature;
mod sorting;
mod table;
mod tools;

use office::{Archive, Office};
use raise::Raise;

/// One session: the tables as the model has changed them, once the session was seeded.
#[derive(Debug, Default)]
pub struct Workplace {
    archive: Archive,
    office: Option<Office>,
}

/// What grading needs of a row.
#[derive(Debug, Deserialize, Schema)]
#[allow(dead_code, reason = "some fields only have to be there")]
struct Task {
    /// Number of the task, of any size.
    #[schema(json = r#"{"type": "integer"}"#)]
    id: AnyJson,
    /// Calls that lead to the right state of the tables.
    ground_truth: GroundTruth,
    /// The kind of task.
    category: String,
    /// Where the task comes from.
    environment_name: String,
}

/// The calls of the ground truth.
#[derive(Debug, Deserialize, Schema)]
#[serde(untagged)]
enum GroundTruth {
    /// Objects with `name` and `arguments`, which is JSON text.
    Calls(Vec<BTreeMap<String, String>>),
    /// Text says nothing: no table changes.
    Text(#[allow(dead_code, reason = "it is only accepted")] String),
}

/// A tool's reply.
#[derive(Debug, Serialize)]
struct Output {
    output: serde_json::Value,
}

/// The tools as the tasks describe them to a model; written by `generate_tasks.py`.
const TOOL_SCHEMAS: &str = include_str!("tool_schemas.json");

#[derive(Deserialize)]
struct Described {
    name: String,
    description: String,
    parameters: serde_json::Value,
}

#[resources_server]
impl Workplace {
    /// Lists the tools for whoever asks. Their arguments come as they are: mistakes are told in the tools' own words.
    #[describe]
    fn list_tools(description: &mut Description) -> Result<(), Fault> {
        let tools: Vec<Described> = serde_json::from_str(TOOL_SCHEMAS)
            .map_err(|error| Fault::new(format!("the descriptions of the tools cannot be read: {error}")))?;
        description.tools.extend(tools.into_iter().map(|mut tool| {
            tool.parameters["x-gym-unchecked"] = true.into();
            Tool { name: tool.name, description: tool.description, parameters: tool.parameters }
        }));
        Ok(())
    }

    /// Seeding again begins anew.
    #[seed_session]
    fn seed(&mut self, _row: NoFields) -> Result<(), Fault> {
        self.office = Some(Office::default());
        Ok(())
    }

    /// All tools come here, whatever their arguments: mistakes are told to the model in the tool's output.
    #[any_tool]
    fn tool(&mut self, name: &str, arguments: AnyJson, cx: &mut Context) -> Result<Output, Failure> {
        let Ok(Value::Dict(arguments)) = loads(arguments.text()) else {
            return Err(not_an_object(&arguments));
        };
        let Some(office) = &mut self.office else {
            return Err(Refuse::new(400, "Session not initialized. Please call seed_session first.").into());
        };
        let given = arguments.into_iter().filter(|(_, value)| !matches!(value, Value::None)).collect();
        let reply = office.call(name, given, &mut self.archive, cx)?;
        let output = reply.unwrap_or_else(|Raise(text)| format!("Error executing tool '{name}': {text}").into());
        Ok(Output { output })
    }

    /// The tables of the session are not looked at: the calls are made again, on fresh tables.
    #[verify]
    fn verify(&mut self, attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Fault> {
        self.office = None;
        let mut predicted = Office::default();
        for call in attempt.function_calls() {
            let (name, arguments) = (call.name().unwrap_or_default(), call.arguments().unwrap_or_default());
            replay(&mut predicted, &name, &arguments, &mut self.archive, cx)?;
        }
        let mut expected = Office::default();
        if let GroundTruth::Calls(calls) = &attempt.task.ground_truth {
            for call in calls {
                if let (Some(name), Some(arguments)) = (call.get("name"), call.get("arguments")) {
                    replay(&mut expected, name, arguments, &mut self.archive, cx)?;
                }
            }
        }
        Ok(Verdict::from(predicted.is_same(&expected, &mut self.archive, cx)?))
    }
}

/// Makes a call that was made before. What comes out of it does not matter, not even that it fails.
fn replay(
    office: &mut Office,
    name: &str,
    arguments: &str,
    archive: &mut Archive,
    cx: &mut Context,
) -> Result<(), Fault> {
    if let Ok(Value::Dict(arguments)) = loads(arguments) {
        let raised_or_not = office.call(name, arguments, archive, cx)?;
        drop(raised_or_not);
    }
    Ok(())
}

/// The refusal of a body that is no object.
fn not_an_object(body: &AnyJson) -> Failure {
    let input: serde_json::Value = body.read().unwrap_or_default();
    let detail = serde_json::json!([{
        "type": "model_attributes_type",
        "loc": ["body"],
        "msg": "Input should be a valid dictionary or object to extract fields from",
        "input": input,
    }]);
    Refuse::new(422, detail).into()
}

#[cfg(test)]
mod tests;
