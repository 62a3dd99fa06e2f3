// SPDX-License-Identifier: Apache-2.0
//! What an environment says of itself. The attribute macro fills this in from the code.

use serde_json::Value;

/// Where the calls of one kind run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// In the instance that belongs to the caller's session.
    #[default]
    Session,
    /// In a fresh instance for every call.
    Call,
    /// In an instance that may have served other calls before. Only for calls that leave nothing behind that a later
    /// one could notice.
    Pooled,
}

/// How attempts are driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Seeding, any number of tool calls, then grading.
    #[default]
    Tools,
    /// `reset`, then one `step` for each model response.
    Gymnasium,
}

/// Whether stored responses may be graded again without a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reverify {
    /// They may.
    Stateless,
    /// They may not.
    Unsupported,
    /// The environment does not say.
    #[default]
    Unknown,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// What the model writes to call it. Letters, digits, `_` and `-`.
    pub name: String,
    /// What the model reads to decide whether to call it.
    pub description: String,
    /// JSON Schema of the arguments, strict.
    pub parameters: Value,
}

/// A number that `pass@k` and its relatives are computed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// Its name in the metrics, for example `accuracy`.
    pub name: String,
    /// The field of the verify reply that holds it, for example `reward`.
    pub field: String,
    /// Only rows where this field is present and not null count.
    pub only_if_present: Option<String>,
}

/// Asks the host for `pass@k`, `pass@1[avg-of-k]` and, with an answer field, `majority@k`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassMetrics {
    /// The scores.
    pub scores: Vec<Score>,
    /// The field of the verify reply with the extracted answer.
    pub answer_field: Option<String>,
    /// A field whose value splits the metrics into subsets.
    pub subset_field: Option<String>,
}

/// What an environment says of itself. A method marked `#[describe]` may change it, also by the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The environment's name, for example `mcqa`.
    pub name: String,
    /// Version of the environment, for example `1.2.0`.
    pub version: String,
    /// How attempts are driven.
    pub style: Style,
    /// Where seeding and tools run. Unless it is [`Lifetime::Session`], there is no seeding.
    pub tools_run_in: Lifetime,
    /// Where grading runs.
    pub verify_runs_in: Lifetime,
    /// Whether stored responses may be graded again without a session.
    pub reverify: Reverify,
    /// JSON Schema of the fields that seeding (or `reset`) reads from a dataset row. Absent: nothing is checked.
    pub seed_fields: Option<Value>,
    /// JSON Schema of the fields that grading (or `step`) reads besides `responses_create_params` and `response`.
    pub verify_fields: Value,
    /// Which of the `verify_fields` are repeated in the reply of `/verify`, in this order.
    pub echo: Vec<String>,
    /// The tools.
    pub tools: Vec<Tool>,
    /// Whether calls of tools that are not in `tools` reach the environment.
    pub any_tool: bool,
    /// Whether requests keep token ids and log-probabilities.
    pub token_ids: bool,
    /// Which shared metrics the host computes.
    pub metrics: Option<PassMetrics>,
    /// Whether the environment adds metrics of its own.
    pub own_metrics: bool,
}

impl Description {
    /// A description with the safe choices: everything runs in the session, nothing is checked or repeated.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            style: Style::Tools,
            tools_run_in: Lifetime::Session,
            verify_runs_in: Lifetime::Session,
            reverify: Reverify::Unknown,
            seed_fields: None,
            verify_fields: serde_json::json!({"type": "object", "properties": {}}),
            echo: Vec::new(),
            tools: Vec::new(),
            any_tool: false,
            token_ids: false,
            metrics: None,
            own_metrics: false,
        }
    }

    /// Whether attempts are known by an id that the seed's reply gives (`env_id`) and the tool `step` takes, in place of
    /// a cookie.
    pub fn is_known_by_env_id(&self) -> bool {
        let is_step = |tool: &&Tool| tool.name == "step";
        self.tools.iter().find(is_step).is_some_and(|step| !step.parameters["properties"]["env_id"].is_null())
    }

    /// Repeats all declared `verify_fields` in the reply, in the order of their declaration.
    pub fn echo_all(&mut self) {
        if let Some(Value::Object(properties)) = self.verify_fields.get("properties") {
            self.echo = properties.keys().cloned().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_all_keeps_the_order_of_declaration() {
        let mut description = Description::new("x", "1.0.0");
        description.verify_fields = serde_json::json!({"type": "object", "properties": {"z": {}, "a": {}}});
        description.echo_all();
        assert_eq!(description.echo, ["z", "a"]);
    }
}
