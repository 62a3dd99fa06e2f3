// SPDX-License-Identifier: Apache-2.0
//! What happened in a conversation, step by step, in the shape of NeMo Gym's `result.trajectory`.

use serde_json::{Map, Value, json};

use crate::user::{Speaker, TerminalState};

/// Where a step comes from: the response it is part of, and its place in there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) response_id: Option<String>,
    pub(crate) output_index: Option<u64>,
}

/// A conversation's steps.
#[derive(Debug, Default)]
pub(crate) struct Trajectory {
    steps: Vec<Map<String, Value>>,
    /// How many of them the row brought along.
    given: usize,
    /// Why the agent ended the conversation, if it did.
    error: Option<String>,
}

impl Trajectory {
    /// The steps so far came with the row, or none of them did.
    pub(crate) fn set_given(&mut self, is_given: bool) {
        self.given = if is_given { self.steps.len() } else { 0 };
    }

    /// The agent ended the conversation; the first reason counts.
    pub(crate) fn fail(&mut self, reason: String) {
        self.error.get_or_insert(reason);
    }

    pub(crate) fn text(&mut self, by: Speaker, text: &str, origin: Origin) {
        self.push("text", json!(by), origin, json!({"text": text}));
    }

    /// A call that the model made.
    pub(crate) fn call(&mut self, id: &str, name: &str, arguments: &str, origin: Origin) {
        let read: Option<Value> = serde_json::from_str(arguments).ok();
        let members = json!({
            "tool_call_id": id, "tool_name": name, "arguments": arguments, "deserialized_arguments": read,
        });
        self.push("tool_call", json!(Speaker::Agent), origin, members);
    }

    /// A call's result. A call that was not recorded when the model made it is recorded now.
    pub(crate) fn result(&mut self, id: Option<&str>, name: &str, arguments: &str, result: &Value, is_valid: bool) {
        let id = id.map_or_else(|| format!("tool_call_{}", self.count("tool_call") + 1), str::to_owned);
        let of_call = |kind: &str| {
            let is_of_call = |step: &&Map<String, Value>| step["type"] == kind && step["tool_call_id"] == id.as_str();
            self.steps.iter().filter(is_of_call).count()
        };
        if of_call("tool_call") <= of_call("tool_execution") {
            self.call(&id, name, arguments, Origin::default());
        }
        let members = json!({
            "tool_call_id": id, "tool_name": name, "arguments": arguments, "execution_result": result.to_string(),
            "deserialized_execution_result": result, "schema_valid": is_valid,
        });
        self.push("tool_execution", json!("environment"), Origin::default(), members);
    }

    fn count(&self, kind: &str) -> usize {
        self.steps.iter().filter(|step| step["type"] == kind).count()
    }

    fn push(&mut self, kind: &str, source: Value, origin: Origin, members: Value) {
        let mut step = Map::new();
        step.insert("type".to_owned(), kind.into());
        step.insert("source".to_owned(), source);
        if let Some(id) = origin.response_id {
            step.insert("response_id".to_owned(), id.into());
        }
        if let Some(index) = origin.output_index {
            step.insert("response_output_index".to_owned(), index.into());
        }
        if let Value::Object(members) = members {
            step.extend(members);
        }
        self.steps.push(step);
    }

    /// The `result` of grading.
    pub(crate) fn to_result(&self, state: Option<TerminalState>) -> Value {
        let is_complete = state == Some(TerminalState::UserDone) && self.error.is_none();
        json!({
            "profile": null,
            "source_artifacts": {},
            "trajectory": {
                "messages": self.steps,
                "prefill_message_count": self.given,
                "continuation_start_index": self.given,
                "terminal_state": if is_complete { "complete" } else { "incomplete" },
                "generation_invalid_reason": null,
                "terminal_error": self.error,
                "agent_verification_result": null,
                "user_verification_result": null,
                "environment_verification_result": null,
            },
        })
    }
}
