// SPDX-License-Identifier: Apache-2.0
//! What a judge's answer must be to be read at all, and how a request to one is told.

use serde_json::{Map, Value, json};

use crate::{
    json::{elements, pick, read_string},
    response::Response,
};

/// Why an answer is no Response object, if it is none: a member that is missing or of another type, in the answer or in an
/// item of its output. What only a model provider reads is not looked at.
pub(super) fn flaw(response: &Response) -> Option<String> {
    let names = ["id", "created_at", "model", "object", "output", "parallel_tool_calls", "tool_choice", "tools"];
    let members = pick(response.json(), names);
    let fits: [fn(&str) -> bool; 8] = [
        is_text,
        |value| is_number(value) || read_string(value).is_some_and(|text| crate::python::float(&text).is_some()),
        is_text,
        |value| read_string(value).is_some_and(|text| text == "response"),
        is_list,
        |value| matches!(value, "true" | "false"),
        |value| is_text(value) || value.starts_with('{'),
        is_list,
    ];
    for ((name, value), fits) in names.iter().zip(members).zip(fits) {
        if !value.is_some_and(fits) {
            return Some(format!("`{name}` is missing or of the wrong type"));
        }
    }
    let items = elements(members[4].unwrap_or_default());
    items.iter().enumerate().find_map(|(index, item)| {
        let reason = item_flaw(item)?;
        Some(format!("`output[{index}]`: {reason}"))
    })
}

fn item_flaw(item: &str) -> Option<String> {
    let [kind] = pick(item, ["type"]);
    let need = |names: &[&'static str]| {
        let lacks = |name: &&&str| !pick(item, [**name])[0].is_some_and(is_text);
        names.iter().find(lacks).map(|name| format!("`{name}` is no text"))
    };
    match kind.and_then(read_string).as_deref() {
        None => Some("it has no `type`".to_owned()),
        Some("message") => message_flaw(item),
        Some("function_call") => need(&["arguments", "call_id", "name"]),
        Some("reasoning") => need(&["id"]).or_else(|| {
            let [summary] = pick(item, ["summary"]);
            (!summary.is_some_and(is_list)).then(|| "`summary` is no list".to_owned())
        }),
        Some(_) => None,
    }
}

fn message_flaw(item: &str) -> Option<String> {
    let [id, role, status, content] = pick(item, ["id", "role", "status", "content"]);
    let wrong = |text: &str| Some(text.to_owned());
    let known = |role: &str| matches!(role, "assistant" | "user" | "system" | "developer");
    let role_fits = role.is_none_or(|role| read_string(role).is_some_and(|role| known(&role)));
    let Some(content) = content.filter(|content| is_text(content) || is_list(content)) else {
        return wrong("`content` is neither text nor a list");
    };
    let kinds: Vec<_> = elements(content).iter().map(|part| pick(part, ["type"])[0].and_then(read_string)).collect();
    let is_input =
        |kind: &Option<std::borrow::Cow<'_, str>>| kind.as_deref().is_some_and(|kind| kind.starts_with("input_"));
    let by_assistant = role.is_none_or(|role| role == "\"assistant\"");
    if is_text(content) || !by_assistant || kinds.iter().any(is_input) {
        return match role_fits && role.is_some() && kinds.iter().all(is_input) {
            true => None,
            false => wrong("it is no message"),
        };
    }
    if !id.is_some_and(is_text) {
        return wrong("`id` is no text");
    }
    if !status.is_none_or(|status| matches!(status, "\"in_progress\"" | "\"completed\"" | "\"incomplete\"")) {
        return wrong("`status` is none that a message has");
    }
    elements(content).into_iter().find_map(|part| {
        let [kind, text, annotations, refusal] = pick(part, ["type", "text", "annotations", "refusal"]);
        let fits = match kind {
            Some("\"output_text\"") => text.is_some_and(is_text) && annotations.is_some_and(is_list),
            Some("\"refusal\"") => refusal.is_some_and(is_text),
            _ => false,
        };
        (!fits).then(|| "a part of `content` is neither text with annotations nor a refusal".to_owned())
    })
}

fn is_text(value: &str) -> bool {
    value.starts_with('"')
}

fn is_list(value: &str) -> bool {
    value.starts_with('[')
}

fn is_number(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// All parameters of a request in the order of a dump: those that were not sent are null, or what they are by default.
pub(super) fn all_params(request: &Map<String, Value>) -> Map<String, Value> {
    const NAMES: [&str; 30] = [
        "background",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "reasoning",
        "service_tier",
        "store",
        "context_management",
        "conversation",
        "moderation",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
        "stream",
    ];
    let value = |name: &str| match (name, request.get(name)) {
        ("parallel_tool_calls", None) => true.into(),
        ("tool_choice", None) => "auto".into(),
        ("tools", None) => json!([]),
        (_, None) => Value::Null,
        ("temperature" | "top_p", Some(number)) => number.as_f64().map_or_else(|| number.clone(), Value::from),
        ("input", Some(Value::Array(messages))) => messages.iter().map(with_type).collect(),
        (_, Some(value)) => value.clone(),
    };
    let mut all: Map<_, _> = NAMES.iter().map(|name| ((*name).to_owned(), value(name))).collect();
    for (name, value) in request {
        all.entry(name).or_insert_with(|| value.clone());
    }
    all
}

fn with_type(message: &Value) -> Value {
    let mut message = message.clone();
    if let Some(fields) = message.as_object_mut() {
        fields.entry("type").or_insert_with(|| "message".into());
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(item: &Value) -> Value {
        json!({
            "id": "r", "created_at": 1, "model": "m", "object": "response", "output": [item],
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        })
    }

    #[test]
    fn answers_are_responses_or_say_what_is_wrong() {
        let text = json!({"type": "output_text", "text": "t", "annotations": []});
        let message =
            json!({"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]});
        let with = |name: &str, value: Value| {
            let mut message = message.clone();
            message[name] = value;
            message
        };
        let without = |name: &str| {
            let mut message = message.clone();
            message.as_object_mut().unwrap().remove(name);
            message
        };
        let given = json!([{"type": "input_text", "text": "t"}]);
        for (item, is_good) in [
            (message.clone(), true),
            (without("role"), true),
            (without("status"), true),
            (without("id"), false),
            (without("type"), false),
            (without("content"), false),
            (with("status", Value::Null), false),
            (with("role", json!("tool")), false),
            (with("content", json!([])), true),
            (with("content", json!("text")), true),
            (with("content", json!([{"type": "refusal", "refusal": "no"}])), true),
            (with("content", json!([{"type": "output_text", "text": "t"}])), false),
            (with("content", json!([{"type": "output_text", "text": null, "annotations": []}])), false),
            (with("content", json!([text, given[0]])), false),
            (with("content", given.clone()), true),
            (with("content", json!(["t"])), false),
            (json!({"type": "message", "role": "user", "content": given}), true),
            (json!({"type": "message", "role": "user", "content": [text]}), false),
            (json!({"type": "message", "content": "text"}), false),
            (json!({"type": "reasoning", "id": "r", "summary": []}), true),
            (json!({"type": "reasoning", "summary": []}), false),
            (json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}), true),
            (json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}), false),
            (json!({"type": "web_search_call"}), true),
            (json!("item"), false),
        ] {
            let flaw = flaw(&Response::new(answer(&item).to_string()));
            assert_eq!(flaw.is_none(), is_good, "{item}: {flaw:?}");
        }
        for (name, value) in [
            ("id", json!(1)),
            ("created_at", json!("soon")),
            ("model", Value::Null),
            ("object", json!("list")),
            ("output", json!({})),
            ("parallel_tool_calls", Value::Null),
            ("tool_choice", json!(3)),
            ("tools", Value::Null),
        ] {
            let mut answer = answer(&message);
            answer[name] = value;
            let text = flaw(&Response::new(answer.to_string()));
            assert_eq!(text, Some(format!("`{name}` is missing or of the wrong type")));
        }
    }

    #[test]
    fn a_request_is_told_with_all_parameters() {
        let request = json!({"input": [{"role": "user", "content": "?"}], "top_p": 1, "other": 2});
        let told = Value::Object(all_params(request.as_object().unwrap()));
        assert_eq!(told["input"], json!([{"role": "user", "content": "?", "type": "message"}]));
        assert_eq!(told["parallel_tool_calls"], true);
        assert_eq!(told["tools"], json!([]));
        assert_eq!(told["model"], Value::Null);
        assert_eq!(told["other"], 2);
        assert!(told["top_p"].is_f64());
        assert_eq!(told.as_object().unwrap().len(), 31);
    }
}
