// SPDX-License-Identifier: Apache-2.0
//! One tool call, graded by three rewards of their own. See the README for the rules.

mod values;

use gym_env::{Attempt, Fault, ItemKind, Schema, Verdict, resources_server};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use values::{equal, object};

/// There is no state.
#[derive(Debug)]
pub struct ToolCall;

/// What grading needs.
#[derive(Debug, Default, Deserialize, Schema)]
struct Task {
    /// The call that is wanted: `name` and `arguments`.
    #[serde(default)]
    #[schema(json = r#"{"type": "object", "default": {}}"#)]
    expected_call: Map<String, Value>,
}

/// The weather, as the tool gives it.
#[derive(Debug, Serialize)]
struct Weather {
    city: String,
    weather: &'static str,
}

/// A call that the model made.
#[derive(Debug, Serialize)]
struct Call {
    name: String,
    /// Empty where they are no object.
    arguments: Map<String, Value>,
    #[serde(skip)]
    is_object: bool,
}

/// What the row's description of a tool says of its arguments.
#[derive(Deserialize)]
struct Tool {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    parameters: Value,
}

/// All calls in a response.
fn calls<T>(attempt: &Attempt<T>) -> Vec<Call> {
    let call = |item: gym_env::Item<'_>| {
        let read = item.arguments().and_then(|arguments| object(&arguments));
        Call {
            name: item.name().unwrap_or_default().into_owned(),
            is_object: read.is_some(),
            arguments: read.unwrap_or_default(),
        }
    };
    attempt.function_calls().map(call).collect()
}

/// Whether a call is the one that is wanted: the same name, and every wanted argument with its value. A wanted null may
/// also be absent, and the call may have further arguments.
fn is_wanted(call: &Call, expected: &Map<String, Value>) -> Result<bool, Fault> {
    if expected.is_empty() || expected.get("name").and_then(Value::as_str) != Some(&call.name) {
        return Ok(false);
    }
    match expected.get("arguments") {
        None | Some(Value::Null) => Ok(true),
        Some(Value::Object(wanted)) => {
            let found = |name: &str| call.arguments.get(name).unwrap_or(&Value::Null);
            Ok(wanted.iter().all(|(name, value)| equal(found(name), value)))
        }
        Some(_) => Err(Fault::new("`expected_call.arguments` of the row is not an object")),
    }
}

/// The parameters that the row's tool of this name requires; none if there is no such tool.
fn required<T>(attempt: &Attempt<T>, name: &str) -> Vec<String> {
    let tools: Vec<Tool> =
        attempt.param("tools").and_then(|tools| serde_json::from_str(tools).ok()).unwrap_or_default();
    let tool = tools.into_iter().find(|tool| tool.name == name);
    let names = tool.and_then(|tool| tool.parameters.get("required").and_then(Value::as_array).cloned());
    names.unwrap_or_default().into_iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

#[resources_server(reusable, reverify = "stateless")]
impl ToolCall {
    /// Get the weather in a city.
    #[tool]
    fn get_weather(
        /// The city's name.
        city: String,
    ) -> Weather {
        Weather { city, weather: "clear" }
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>) -> Result<Verdict, Fault> {
        let calls = calls(attempt);
        let mut correct = false;
        for call in &calls {
            correct |= is_wanted(call, &attempt.task.expected_call)?;
        }
        let is_valid = calls.first().is_some_and(|call| {
            call.is_object && required(attempt, &call.name).iter().all(|name| call.arguments.contains_key(name))
        });
        let talks = attempt.output().any(|item| item.kind() == ItemKind::Message);
        let is_plain = calls.len() == 1 && !talks;
        let components = [("correctness", correct), ("schema_valid", is_valid), ("format", is_plain)];
        let components = components.map(|(name, met)| (name, if met { 1.0 } else { 0.0 }));
        let verdict = Verdict::of_components(components);
        Ok(components
            .iter()
            .fold(verdict, |verdict, (name, part)| verdict.field(*name, part))
            .field("predicted_calls", calls))
    }
}

#[cfg(test)]
mod tests;
