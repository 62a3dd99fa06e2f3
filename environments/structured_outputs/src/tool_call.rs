// SPDX-License-Identifier: Apache-2.0
//! Answers that are the arguments of a call.

use gym_env::{
    Attempt,
    python::{self, Value},
};

use crate::{Task, Wrong, shortened};

/// The arguments of the only call, or the one of them that the row asks for.
pub(crate) fn payload(attempt: &Attempt<Task>) -> Result<Value, Wrong> {
    let wrong = |kind, message: String| Err(Wrong(kind, shortened(message)));
    if let Some(error) = attempt.member("error").filter(|error| *error != "null") {
        return wrong("api_error", error.to_owned());
    }
    let calls: Vec<_> = attempt.function_calls().collect();
    let names = || calls.iter().filter_map(|call| call.name()).collect::<Vec<_>>().join(", ");
    let [call] = calls.as_slice() else {
        return if calls.is_empty() {
            wrong("missing_tool_call", "No function_call item found in assistant response".to_owned())
        } else {
            wrong("multiple_tool_calls", format!("Expected exactly one function_call, got: {}", names()))
        };
    };
    let wanted = attempt.task.tool_name.as_deref().filter(|name| !name.is_empty());
    if let Some(wanted) = wanted
        && call.name().as_deref() != Some(wanted)
    {
        return wrong("wrong_tool_name", format!("Expected tool '{wanted}', got: {}", names()));
    }
    let arguments = call.arguments().unwrap_or_default();
    let arguments = match python::loads(&arguments) {
        Ok(arguments) => arguments,
        Err(error) => return wrong("tool_arguments_parse_error", error.to_string()),
    };
    let Some(key) = attempt.task.tool_payload_key.as_deref().filter(|key| !key.is_empty()) else {
        return Ok(arguments);
    };
    match arguments.get(key) {
        Some(payload) => Ok(payload.clone()),
        None => wrong("missing_tool_payload_key", format!("Missing tool payload key: {key}")),
    }
}
