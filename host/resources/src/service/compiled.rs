// SPDX-License-Identifier: Apache-2.0
//! An environment's description, checked and made ready.

use std::collections::HashMap;

use gym_protocol::{
    environment::{Description, Lifetime, Style},
    names::is_tool_route,
    validate::{Schema, SchemaError},
};
use serde_json::{Map, Value};

/// Fields of a verify reply that are the host's. An environment may not have fields of these names.
pub(super) const RESERVED_FIELDS: [&str; 8] = [
    "responses_create_params",
    "response",
    "reward",
    "reward_components",
    "mask_sample",
    "failure_kind",
    "failure_reason",
    "_ng_failure_class",
];

/// A description that no server can be made of.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A schema cannot be used.
    #[error("the schema of {what} cannot be used: {source}")]
    Schema {
        /// `seed-fields`, `verify-fields`, or a tool.
        what: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// A field has a name that belongs to the host.
    #[error("{what} names the field `{field}`, which belongs to the host")]
    ReservedField {
        /// `verify-fields` or `echo`.
        what: &'static str,
        /// The field.
        field: String,
    },
    /// A field is to be repeated that is not declared.
    #[error("`echo` names the field `{0}`, which `verify-fields` does not declare")]
    UndeclaredEcho(String),
    /// A tool has a name that cannot be part of a URL, or that is a fixed route.
    #[error("`{0}` cannot be the name of a tool")]
    ToolName(String),
    /// A tool has a name that cannot be offered over MCP.
    #[error("the tool `{0}` cannot be offered over MCP: its name may only have letters, digits, `_` and `-`")]
    McpToolName(String),
    /// Two tools have the same name.
    #[error("there are two tools `{0}`")]
    DuplicateTool(String),
    /// Attempts cannot be graded in groups as `verify-fields` wants it.
    #[error("`x-gym-group` in `verify-fields` cannot be used: {0}")]
    Groups(String),
    /// The operating system has no random numbers.
    #[error("failed to get random numbers: {0}")]
    Randomness(getrandom::Error),
}

/// A member of a tool's parameters, for environments that take any tool: the schema is for models to read, and calls
/// reach the environment as they are, which tells the model what is wrong in words of its own.
pub(super) const UNCHECKED: &str = "x-gym-unchecked";

/// A schema that is marked so, without the mark.
fn without_mark(parameters: &str) -> Option<String> {
    let mut schema: Map<String, Value> = serde_json::from_str(parameters).ok()?;
    (schema.shift_remove(UNCHECKED)? == Value::Bool(true)).then(|| Value::Object(schema).to_string())
}

pub(super) struct Compiled {
    /// What seeding (or reset) reads; `None`: everything, unchecked.
    pub(super) seed: Option<Schema>,
    pub(super) verify: Schema,
    /// The tools whose arguments are checked.
    pub(super) tools: HashMap<String, Schema>,
    /// Whether anything is kept between calls. Without it there are no sessions at all.
    pub(super) stateful: bool,
    /// Whether requests name their session by `env_id`.
    pub(super) known_by_env_id: bool,
}

impl Compiled {
    pub(super) fn new(description: &Description) -> Result<Self, ServiceError> {
        let schema = |what: &str, text: &str| {
            Schema::compile_object(text).map_err(|source| ServiceError::Schema { what: what.to_owned(), source })
        };
        let seed = description.seed_fields.as_deref().map(|text| schema("`seed-fields`", text)).transpose()?;
        let verify = schema("`verify-fields`", &description.verify_fields)?;
        let reserved = |what, field: &str| match RESERVED_FIELDS.contains(&field) {
            true => Err(ServiceError::ReservedField { what, field: field.to_owned() }),
            false => Ok(()),
        };
        for field in verify.field_names() {
            reserved("`verify-fields`", field)?;
        }
        for field in &description.echo {
            reserved("`echo`", field)?;
            if !verify.keeps_extras() && !verify.field_names().any(|known| known == field) {
                return Err(ServiceError::UndeclaredEcho(field.clone()));
            }
        }
        let mut tools = HashMap::new();
        let known_by_env_id = description.is_known_by_env_id();
        for tool in &description.tools {
            if !is_tool_route(&tool.name) && !description.is_agents_tool(&tool.name) {
                return Err(ServiceError::ToolName(tool.name.clone()));
            }
            let what = format!("tool `{}`", tool.name);
            if description.any_tool
                && let Some(listed) = without_mark(&tool.parameters)
            {
                schema(&what, &listed)?;
                continue;
            }
            let parameters = schema(&what, &tool.parameters)?;
            if tools.insert(tool.name.clone(), parameters).is_some() {
                return Err(ServiceError::DuplicateTool(tool.name.clone()));
            }
        }
        let lasting = [description.tools_run_in, description.verify_runs_in].contains(&Lifetime::Session);
        let stateful = lasting || description.style == Style::Gymnasium;
        Ok(Self { seed, verify, tools, stateful, known_by_env_id })
    }
}
