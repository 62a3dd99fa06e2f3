// SPDX-License-Identifier: Apache-2.0
//! Answers in JSON, YAML, XML, TOML or CSV, checked against a schema. See the README for the reward rule.

use gym_env::{
    Attempt, Context, Fault, Metrics, MetricsRequest, Schema, Verdict,
    python::{self, Value},
    resources_server,
    text::strip,
};
use serde::Deserialize;

mod coerce;
mod data;
mod formats;
mod metrics;
mod schema;
mod tool_call;

use formats::Format;

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct StructuredOutputs;

/// Settings in the server's configuration.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Config {
    /// Whether the texts of XML become what the schema asks for.
    xml_coerce_types: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { xml_coerce_types: true }
    }
}

/// What a row says. Most of it describes how the row was made, and is repeated in the reply.
#[derive(Debug, Deserialize, Schema)]
#[allow(dead_code, reason = "some fields are only repeated in the reply")]
struct Task {
    /// The schema, as JSON text.
    schema_str: String,
    /// What the answer is written in.
    #[serde(default)]
    schema_type: Format,
    problem_type: Option<String>,
    schema_repr: Option<String>,
    source_format: Option<String>,
    num_turns: Option<i64>,
    source_record_id: Option<String>,
    /// `tool_call`: the answer is the arguments of a call. Anything else: it is the text.
    #[serde(default = "text_mode")]
    response_mode: Option<String>,
    /// The tool to call.
    tool_name: Option<String>,
    tool_schema_mode: Option<String>,
    /// The argument that is the answer; without it all arguments are.
    tool_payload_key: Option<String>,
    tool_choice: Option<String>,
    parallel_tool_calls: Option<bool>,
    source_schema_type: Option<String>,
    num_tools: Option<i64>,
    num_distractors: Option<i64>,
    has_distractors: Option<bool>,
    instruction_layout: Option<String>,
    instruction_detail_level: Option<String>,
    system_instruction_style: Option<String>,
    tool_name_style: Option<String>,
    distractor_style: Option<String>,
    tool_union_mode: Option<String>,
}

fn text_mode() -> Option<String> {
    Some("text".to_owned())
}

/// What is wrong with an answer: its kind, and a sentence.
struct Wrong(&'static str, String);

#[resources_server(reusable, reverify = "stateless", echo, config = Config)]
impl StructuredOutputs {
    #[verify]
    fn verify(attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Fault> {
        let config = cx.config::<Config>()?;
        let is_call = attempt.task.response_mode.as_deref() == Some("tool_call");
        let graded = if is_call { grade_call(attempt)? } else { grade_text(attempt, &config)? };
        let verdict = Verdict::from(graded.is_ok());
        Ok(match graded {
            Ok(()) => verdict.field("error_type", ()).field("error_message", ()),
            Err(Wrong(kind, message)) => verdict.field("error_type", kind).field("error_message", message),
        })
    }

    #[aggregate_metrics]
    fn aggregate(request: MetricsRequest) -> Result<Metrics, Fault> {
        Ok(metrics::aggregate(&request))
    }
}

fn grade_text(attempt: &Attempt<Task>, config: &Config) -> Result<Result<(), Wrong>, Fault> {
    let text = attempt.output_text()?;
    if strip(&text).is_empty() {
        return Ok(Err(Wrong("empty_response", "No assistant response text".to_owned())));
    }
    let schema = match read_schema(&attempt.task)? {
        Ok(schema) => schema,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let format = attempt.task.schema_type;
    let value = match formats::parse(format, &text) {
        Ok(value) => value,
        Err(message) => return Ok(Err(Wrong("parse_error", shortened(message)))),
    };
    let value = match format {
        Format::Xml if config.xml_coerce_types => Ok(coerce::xml(value, &schema)),
        Format::Csv => coerce::csv(value, &schema),
        _ => Ok(value),
    };
    match value {
        Ok(value) => check(value, &schema),
        Err(message) => Ok(Err(Wrong("validation_error", shortened(message)))),
    }
}

fn grade_call(attempt: &Attempt<Task>) -> Result<Result<(), Wrong>, Fault> {
    let payload = match tool_call::payload(attempt) {
        Ok(payload) => payload,
        Err(wrong) => return Ok(Err(wrong)),
    };
    match read_schema(&attempt.task)? {
        Ok(schema) => check(payload, &schema),
        Err(wrong) => Ok(Err(wrong)),
    }
}

/// The schema of the row, made strict.
fn read_schema(task: &Task) -> Result<Result<serde_json::Value, Wrong>, Fault> {
    match python::loads(&task.schema_str) {
        Ok(schema) => {
            let mut schema = data::to_json(&schema);
            schema::strictify(&mut schema)?;
            Ok(Ok(schema))
        }
        Err(error) => Ok(Err(Wrong("schema_error", shortened(error.to_string())))),
    }
}

fn check(value: Value, schema: &serde_json::Value) -> Result<Result<(), Wrong>, Fault> {
    let verdict = schema::validate(&data::to_json(&value), schema)?;
    Ok(verdict.map_err(|message| Wrong("validation_error", shortened(message))))
}

/// The beginning of a message: answers and schemas may be long.
fn shortened(message: String) -> String {
    message.char_indices().nth(200).map(|(end, _)| message[..end].to_owned()).unwrap_or(message)
}

#[cfg(test)]
mod tests;
