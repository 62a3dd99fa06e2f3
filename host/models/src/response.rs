// SPDX-License-Identifier: Apache-2.0
//! Writing a Response object.

use gym_protocol::{
    Members, ObjectWriter, Raw,
    raw::{write_array, write_string},
};

/// Token counts of a Response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub input: u64,
    /// How many of them came from a cache; `None` when unknown.
    pub cached: Option<u64>,
    /// Tokens of the answer.
    pub output: u64,
    /// How many of them were reasoning; `None` when unknown.
    pub reasoning: Option<u64>,
    /// All tokens.
    pub total: u64,
}

impl Usage {
    /// The `usage` member of a Response.
    pub fn to_raw(self) -> Raw {
        let known = |count: Option<u64>| count.map_or_else(|| "null".to_owned(), |count| count.to_string());
        Raw::trusted(format!(
            r#"{{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{}}},"output_tokens":{},"output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{}}}"#,
            self.input,
            known(self.cached),
            self.output,
            known(self.reasoning),
            self.total
        ))
    }
}

/// The output of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// JSON text of the array.
    Text(&'a [u8]),
    /// Items as they will be.
    Whole(&'a [Raw]),
    /// Items in pieces: their token data is written once, into the Response.
    Items(&'a [Members]),
}

impl Output<'_> {
    /// Bytes that it takes, at least.
    fn size(self) -> usize {
        let item =
            |item: &Members| item.iter().map(|(name, value)| name.len() + value.bytes().len() + 4).sum::<usize>();
        match self {
            Self::Text(text) => text.len(),
            Self::Whole(items) => items.iter().map(|item| item.bytes().len() + 1).sum::<usize>() + 2,
            Self::Items(items) => items.iter().map(|members| item(members) + 3).sum::<usize>() + 2,
        }
    }

    fn write(self, buffer: &mut Vec<u8>) {
        let items = match self {
            Self::Text(text) => return buffer.extend_from_slice(text),
            Self::Whole(items) => return write_array(buffer, items),
            Self::Items(items) => items,
        };
        buffer.push(b'[');
        for (at, item) in items.iter().enumerate() {
            buffer.extend_from_slice(if at == 0 { b"{" } else { b",{" });
            for (at, (name, value)) in item.iter().enumerate() {
                if at > 0 {
                    buffer.push(b',');
                }
                write_string(buffer, name);
                buffer.push(b':');
                buffer.extend_from_slice(value.bytes());
            }
            buffer.push(b'}');
        }
        buffer.push(b']');
    }
}

/// What a model server has to say; the rest of a Response repeats the request.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// `resp_…`
    pub id: &'a str,
    /// Unix seconds; written with a decimal point.
    pub created_at: f64,
    /// Name of the model as a JSON string.
    pub model: Raw,
    /// The output items.
    pub output: Output<'a>,
    /// `incomplete_details.reason`; set, the status is `incomplete`.
    pub incomplete: Option<&'a str>,
    /// Token counts: a [`Usage`], or one that is passed on.
    pub usage: Option<Raw>,
    /// A provider's own reason to finish, as a JSON string.
    pub native_finish_reason: Option<Raw>,
}

/// Request fields that a Response repeats where they are set, after its own fields.
const REPEATED: &[&str] = &[
    "top_p",
    "background",
    "conversation",
    "max_output_tokens",
    "max_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "text",
    "top_logprobs",
    "truncation",
    "user",
];

/// The whole Response object: required fields always, the optional ones of the request where it sets them.
pub fn write_response(params: &Members, answer: &Answer<'_>) -> Raw {
    let repeated = params.iter().map(|(name, value)| name.len() + value.bytes().len() + 4).sum::<usize>();
    let mut out = ObjectWriter::with_capacity(answer.output.size() + repeated + 512);
    out.string("id", answer.id);
    out.text("created_at", &float_text(answer.created_at));
    out.text("error", "null");
    match answer.incomplete {
        None => out.text("incomplete_details", "null"),
        Some(reason) => {
            let mut details = ObjectWriter::with_capacity(48);
            details.string("reason", reason);
            out.member("incomplete_details", &details.finish());
        }
    }
    for name in ["instructions", "metadata"] {
        if let Some(value) = params.get_set(name) {
            out.member(name, value);
        }
    }
    out.member("model", &answer.model);
    out.text("object", "\"response\"");
    answer.output.write(out.name("output"));
    let or = |name: &str, default: &'static str| {
        params.get_set(name).cloned().unwrap_or_else(|| Raw::trusted(default.as_bytes()))
    };
    out.member("parallel_tool_calls", &or("parallel_tool_calls", "true"));
    if let Some(value) = params.get_set("temperature") {
        out.member("temperature", value);
    }
    out.member("tool_choice", &or("tool_choice", "\"auto\""));
    out.member("tools", &or("tools", "[]"));
    for name in REPEATED {
        if let Some(value) = params.get_set(name) {
            out.member(name, value);
        }
    }
    out.string("status", if answer.incomplete.is_some() { "incomplete" } else { "completed" });
    match &answer.usage {
        Some(usage) => out.member("usage", usage),
        None => out.text("usage", "null"),
    }
    if let Some(reason) = &answer.native_finish_reason {
        out.member("native_finish_reason", reason);
    }
    out.finish()
}

/// A float with a decimal point, as every Gym client expects `created_at`.
fn float_text(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { "0.0".to_owned() }
}

/// An error body in OpenAI's form.
pub fn error_body(message: &str, kind: &str, code: Option<&str>) -> Raw {
    let mut error = ObjectWriter::with_capacity(message.len() + 64);
    error.string("message", message);
    error.string("type", kind);
    error.text("param", "null");
    match code {
        Some(code) => error.string("code", code),
        None => error.text("code", "null"),
    }
    let mut body = ObjectWriter::with_capacity(message.len() + 80);
    body.member("error", &error.finish());
    body.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_response_has_its_required_fields_and_repeats_the_request() {
        let params =
            Raw::from_value(&json!({"temperature": 0.5, "tools": [{"name": "f"}], "user": null, "stream": false}))
                .members()
                .unwrap();
        let usage = Usage { input: 3, cached: Some(0), output: 2, reasoning: None, total: 5 };
        let answer = Answer {
            id: "resp_1",
            created_at: 1700000000.0,
            model: Raw::from_value("m"),
            output: Output::Text(b"[]"),
            incomplete: Some("max_output_tokens"),
            usage: Some(usage.to_raw()),
            native_finish_reason: None,
        };
        let text = write_response(&params, &answer);
        assert!(text.as_str().contains("\"created_at\":1700000000.0,"));
        assert_eq!(
            text.read::<Value>().unwrap(),
            json!({
                "id": "resp_1", "created_at": 1700000000.0, "error": null,
                "incomplete_details": {"reason": "max_output_tokens"}, "model": "m", "object": "response", "output": [],
                "parallel_tool_calls": true, "temperature": 0.5, "tool_choice": "auto", "tools": [{"name": "f"}],
                "status": "incomplete",
                "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
                    "output_tokens_details": {"reasoning_tokens": null}, "total_tokens": 5}
            })
        );
    }
}
