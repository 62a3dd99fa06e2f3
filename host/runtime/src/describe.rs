// SPDX-License-Identifier: Apache-2.0
//! Reading and checking what an environment says of itself.

use std::collections::HashSet;

use gym_protocol::{
    environment::{Description, Lifetime, PassMetrics, ReverifyMode, Score, Style, Tool},
    names::is_tool_route,
};
use serde_json::Value;

use crate::bindings::gym::environment::types as wit;

/// The longest tool name that function calling accepts.
const TOOL_NAME_BYTES: usize = 64;

/// The host-side form of a description, or everything that is wrong with it.
pub(crate) fn read(description: wit::Description) -> Result<Description, Vec<String>> {
    let wit::Description {
        name,
        version,
        style,
        tools_run_in,
        verify_runs_in,
        reverify,
        seed_fields,
        verify_fields,
        echo,
        tools,
        any_tool,
        token_ids,
        metrics,
        own_metrics,
    } = description;
    let description = Description {
        name,
        version,
        style: match style {
            wit::Style::Tools => Style::Tools,
            wit::Style::Gymnasium => Style::Gymnasium,
        },
        tools_run_in: lifetime(tools_run_in),
        verify_runs_in: lifetime(verify_runs_in),
        reverify: match reverify {
            wit::ReverifyMode::Stateless => ReverifyMode::Stateless,
            wit::ReverifyMode::Unsupported => ReverifyMode::Unsupported,
            wit::ReverifyMode::Unknown => ReverifyMode::Unknown,
        },
        seed_fields,
        verify_fields,
        echo,
        tools: tools
            .into_iter()
            .map(|wit::Tool { name, description, parameters }| Tool { name, description, parameters })
            .collect(),
        any_tool,
        token_ids,
        metrics: metrics.map(|metrics| PassMetrics {
            scores: metrics
                .scores
                .into_iter()
                .map(|wit::Score { name, field, only_if_present }| Score { name, field, only_if_present })
                .collect(),
            answer_field: metrics.answer_field,
            subset_field: metrics.subset_field,
        }),
        own_metrics,
    };
    let problems = problems(&description);
    if problems.is_empty() { Ok(description) } else { Err(problems) }
}

fn lifetime(lifetime: wit::Lifetime) -> Lifetime {
    match lifetime {
        wit::Lifetime::Session => Lifetime::Session,
        wit::Lifetime::Call => Lifetime::Call,
        wit::Lifetime::Pooled => Lifetime::Pooled,
    }
}

fn problems(description: &Description) -> Vec<String> {
    let mut problems = Vec::new();
    if description.name.is_empty() {
        problems.push("`name` is empty".to_owned());
    }
    if description.version.is_empty() {
        problems.push("`version` is empty".to_owned());
    }
    if let Some(schema) = &description.seed_fields {
        check_schema("seed-fields", schema, &mut problems);
    }
    let verify_fields = check_schema("verify-fields", &description.verify_fields, &mut problems);

    let mut names = HashSet::new();
    for tool in &description.tools {
        let name = &tool.name;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.len() > TOOL_NAME_BYTES || !name.bytes().all(plain) || name.is_empty() {
            problems.push(format!("tool name `{name}` is not one to {TOOL_NAME_BYTES} letters, digits, `_` and `-`"));
        } else if !is_tool_route(name) && !description.is_agents_tool(name) {
            problems.push(format!("tool name `{name}` is reserved"));
        }
        if !names.insert(name) {
            problems.push(format!("there are two tools `{name}`"));
        }
        check_schema(&format!("parameters of tool `{name}`"), &tool.parameters, &mut problems);
    }

    let mut echoed = HashSet::new();
    for field in &description.echo {
        if !echoed.insert(field) {
            problems.push(format!("`echo` has `{field}` twice"));
        }
        if verify_fields.as_ref().is_some_and(|schema| !declares(schema, field)) {
            problems.push(format!("`echo` has `{field}`, which is not among the `verify-fields`"));
        }
    }
    for score in description.metrics.iter().flat_map(|metrics| &metrics.scores) {
        if score.name.is_empty() || score.field.is_empty() {
            problems.push("a score of `metrics` has no name or no field".to_owned());
        }
    }
    problems
}

/// The schema, if it is a JSON object.
fn check_schema(what: &str, text: &str, problems: &mut Vec<String>) -> Option<Value> {
    match serde_json::from_str::<Value>(text) {
        Ok(schema) if schema.is_object() => return Some(schema),
        Ok(_) => problems.push(format!("{what} is not a JSON object")),
        Err(error) => problems.push(format!("{what} is not JSON: {error}")),
    }
    None
}

/// Whether a schema lets through a field of that name: as a property, or because it lets through any. A schema that
/// is put together from others is not looked into.
fn declares(schema: &Value, field: &str) -> bool {
    if matches!(field, "responses_create_params" | "response") {
        return true;
    }
    let composed = ["$ref", "allOf", "anyOf", "oneOf", "patternProperties"];
    if composed.iter().any(|keyword| schema.get(keyword).is_some()) {
        return true;
    }
    let open = match schema.get("additionalProperties") {
        None | Some(Value::Bool(false)) => false,
        Some(_) => true,
    };
    open || schema.get("properties").is_some_and(|properties| properties.get(field).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Description {
        Description {
            name: "mcqa".into(),
            version: "1.0.0".into(),
            style: Style::Tools,
            tools_run_in: Lifetime::Session,
            verify_runs_in: Lifetime::Pooled,
            reverify: ReverifyMode::Stateless,
            seed_fields: None,
            verify_fields: r#"{"type":"object","properties":{"answer":{"type":"string"}}}"#.into(),
            echo: vec!["answer".into()],
            tools: vec![tool("get_weather")],
            any_tool: false,
            token_ids: false,
            metrics: None,
            own_metrics: false,
        }
    }

    fn tool(name: &str) -> Tool {
        Tool { name: name.into(), description: String::new(), parameters: r#"{"type":"object"}"#.into() }
    }

    #[test]
    fn a_good_description_has_no_problems() {
        assert_eq!(problems(&good()), Vec::<String>::new());
        let open = Description {
            verify_fields: r#"{"additionalProperties":true}"#.into(),
            echo: vec!["whatever".into(), "response".into()],
            ..good()
        };
        assert_eq!(problems(&open), Vec::<String>::new());
    }

    #[test]
    fn routes_of_agents_are_tools_where_sessions_have_ids() {
        let step = |parameters: &str| Tool { parameters: parameters.into(), ..tool("step") };
        let by_id = Description {
            tools: vec![step(r#"{"type":"object","properties":{"env_id":{"type":"string"}}}"#), tool("close")],
            ..good()
        };
        assert_eq!(problems(&by_id), Vec::<String>::new());
        let other = Description { tools: vec![tool("reset"), tool("health")], ..good() };
        assert_eq!(problems(&other), ["tool name `health` is reserved"]);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let bad = Description {
            name: String::new(),
            seed_fields: Some("[]".into()),
            echo: vec!["answer".into(), "answer".into(), "other".into()],
            tools: vec![tool("verify"), tool("a"), tool("a"), tool("a b")],
            ..good()
        };
        let expected = [
            "`name` is empty",
            "seed-fields is not a JSON object",
            "tool name `verify` is reserved",
            "there are two tools `a`",
            "tool name `a b` is not one to 64 letters, digits, `_` and `-`",
            "`echo` has `answer` twice",
            "`echo` has `other`, which is not among the `verify-fields`",
        ];
        assert_eq!(problems(&bad), expected);
    }
}
