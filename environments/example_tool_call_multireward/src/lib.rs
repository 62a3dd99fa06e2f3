// SPDX-License-Identifier: Apache-2.0
//! One tool call, graded by three rewards of their own. See the README for the rules.

use gym_env::{
    AnyJson, Attempt, Fault, ItemKind, Schema, Verdict,
    python::{self, Value},
    resources_server,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// There is no state.
#[derive(Debug)]
pub struct ToolCall;

/// What grading needs.
#[derive(Debug, Default, Deserialize, Schema)]
struct Task {
    /// The call that is wanted: `name` and `arguments`.
    #[serde(default)]
    #[schema(json = r#"{"type": "object", "default": {}}"#)]
    expected_call: AnyJson,
}

/// The weather, as the tool gives it.
#[derive(Debug, Serialize)]
struct Weather {
    city: String,
    weather_description: String,
}

/// A call that the model made.
struct Call {
    name: String,
    /// The members of the arguments; `None` where they are no object.
    arguments: Option<Vec<(String, Value)>>,
}

impl Call {
    fn argument(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.arguments.iter().flatten().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The call as the reply tells it. Arguments that are no object are told as none.
    fn report(&self) -> Json {
        let arguments = self.arguments.iter().flatten().map(|(name, value)| (name.clone(), json(value)));
        serde_json::json!({"name": self.name, "arguments": arguments.collect::<Map<_, _>>()})
    }
}

/// A value as JSON has it; what is not finite is null.
fn json(value: &Value) -> Json {
    value.to_json(|_| Json::Null)
}

/// What the row's description of a tool says of its arguments.
#[derive(Deserialize)]
struct Tool {
    #[serde(default)]
    name: Json,
    #[serde(default = "nothing")]
    parameters: Json,
}

fn nothing() -> Json {
    Json::Object(Map::new())
}

/// All calls in a response.
fn calls<T>(attempt: &Attempt<T>) -> Vec<Call> {
    let call = |item: gym_env::Item<'_>| {
        let arguments = match item.arguments().and_then(|arguments| python::loads(&arguments).ok()) {
            Some(Value::Dict(members)) => Some(members),
            _ => None,
        };
        Call { name: item.name().unwrap_or_default().into_owned(), arguments }
    };
    attempt.function_calls().map(call).collect()
}

/// Whether a call is the one that is wanted: the same name, and every wanted argument with its value. A wanted null may
/// also be absent, and the call may have further arguments.
fn is_wanted(call: &Call, expected: &Value) -> Result<bool, Fault> {
    if expected.get("name").and_then(Value::as_text) != Some(&call.name) {
        return Ok(false);
    }
    match expected.get("arguments") {
        Some(Value::Dict(wanted)) => {
            Ok(wanted.iter().all(|(name, value)| call.argument(name).unwrap_or(&Value::None) == value))
        }
        Some(other) if other.is_truthy() => Err(Fault::new("`expected_call.arguments` of the row is not an object")),
        _ => Ok(true),
    }
}

/// The parameters that the row's tool of this name requires; none if there is no such tool. What is not the name of a
/// parameter (`None`) no call can have. As in Python, the parts of a text are its letters, those of an object its keys.
fn required<T>(attempt: &Attempt<T>, name: &str) -> Result<Vec<Option<String>>, Fault> {
    let tools: Vec<Tool> =
        attempt.param("tools").and_then(|tools| serde_json::from_str(tools).ok()).unwrap_or_default();
    let Some(tool) = tools.into_iter().find(|tool| tool.name == name) else { return Ok(Vec::new()) };
    let Some(parameters) = tool.parameters.as_object() else {
        return Err(Fault::new(format!("the `parameters` of the row's tool `{name}` are not an object")));
    };
    Ok(match parameters.get("required").unwrap_or(&Json::Null) {
        Json::Array(names) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        Json::String(text) => text.chars().map(|letter| Some(letter.to_string())).collect(),
        Json::Object(members) => members.keys().cloned().map(Some).collect(),
        Json::Null | Json::Bool(false) => Vec::new(),
        Json::Number(number) if number.as_f64() == Some(0.0) => Vec::new(),
        Json::Bool(true) | Json::Number(_) => {
            return Err(Fault::new(format!("`required` of the row's tool `{name}` is not a list")));
        }
    })
}

#[resources_server(reusable, reverify = "stateless")]
impl ToolCall {
    /// Get the weather in a city.
    #[tool]
    fn get_weather(
        /// The city's name.
        city: String,
    ) -> Weather {
        let weather_description = format!("The weather in {city} is sunny.");
        Weather { city, weather_description }
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>) -> Result<Verdict, Fault> {
        let calls = calls(attempt);
        let expected = python::loads(attempt.task.expected_call.text())?;
        let mut correct = false;
        for call in &calls {
            correct |= is_wanted(call, &expected)?;
        }
        let is_valid = match calls.first() {
            None => false,
            Some(call) => {
                let has = |name: &Option<String>| name.as_deref().is_some_and(|name| call.argument(name).is_some());
                let required = required(attempt, &call.name)?;
                call.arguments.is_some() && required.iter().all(has)
            }
        };
        let talks = attempt.output().any(|item| item.kind() == ItemKind::Message);
        let is_plain = calls.len() == 1 && !talks;
        let components = [("correctness", correct), ("schema_valid", is_valid), ("format", is_plain)];
        let components = components.map(|(name, met)| (name, if met { 1.0 } else { 0.0 }));
        let verdict = Verdict::of_components(components);
        Ok(components
            .iter()
            .fold(verdict, |verdict, (name, part)| verdict.field(*name, part))
            .field("predicted_calls", calls.iter().map(Call::report).collect::<Vec<_>>()))
    }
}

#[cfg(test)]
mod tests;
