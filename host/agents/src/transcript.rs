// SPDX-License-Identifier: Apache-2.0
//! What a model and its tools said so far: append-only, as it came.

use bytes::Bytes;
use gym_protocol::{Members, ModelRequest, ObjectWriter, Raw, raw::write_array};

use crate::ports::{ItemWatch, RequestContext};

/// One attempt's conversation: what was given, and everything that was said since. Items are only ever appended, so every
/// request begins with the whole of the one before it, byte for byte.
pub(crate) struct Transcript {
    request: ModelRequest,
    /// Length of the input that was given.
    given: usize,
    usage: UsageSum,
    /// The model's latest answer, without its items.
    last: Option<ModelResponse>,
    watch: Option<ItemWatch>,
}

impl Transcript {
    /// Nothing was said yet. What is appended is told to the watch of `context`.
    pub(crate) fn new(request: ModelRequest, context: &RequestContext) -> Self {
        let given = request.input.len();
        Self { request, given, usage: UsageSum::default(), last: None, watch: context.watch.clone() }
    }

    /// The next request to the model. Items are shared, not copied.
    pub(crate) fn request(&self) -> ModelRequest {
        self.request.clone()
    }

    /// Appends the model's answer.
    pub(crate) fn answer(&mut self, response: ModelResponse) {
        self.usage.add(response.usage.as_ref());
        if let Some(watch) = &self.watch {
            response.output.iter().for_each(|item| watch.tell(item));
        }
        self.request.input.extend(response.output.iter().cloned());
        self.last = Some(response);
    }

    /// Appends an item that did not come from the model.
    pub(crate) fn push(&mut self, item: Raw) {
        if let Some(watch) = &self.watch {
            watch.tell(&item);
        }
        self.request.input.push(item);
    }

    /// Everything that was said after what was given.
    pub(crate) fn said(&self) -> &[Raw] {
        &self.request.input[self.given..]
    }

    /// Marks the latest answer as release 0.7.0 marks one that neither said nor called anything.
    pub(crate) fn end_without_answer(&mut self) {
        let Some(last) = &mut self.last else { return };
        let (reason, message) = if last.output.is_empty() {
            ("empty_output", "The model returned no output.")
        } else {
            ("incomplete_reasoning", "The model returned reasoning without a message or a tool call.")
        };
        let mut metadata = last.members.get_set("metadata").and_then(|value| value.members().ok()).unwrap_or_default();
        metadata.set("ng_termination_reason", Raw::from_value(reason));
        metadata.set("ng_termination_message", Raw::from_value(message));
        last.members.set("status", Raw::from_value("incomplete"));
        last.members.set("metadata", metadata.to_raw());
    }

    /// The latest answer as the model gave it, without usage.
    pub(crate) fn last_response(&self) -> Option<Raw> {
        self.last.as_ref().map(|last| last.with(&last.output, None))
    }

    /// The latest answer, with everything that was said as its output and all usage; `None` before the first answer.
    pub(crate) fn response(&self) -> Option<Raw> {
        self.last.as_ref().map(|last| last.with(self.said(), self.usage.to_raw().as_ref()))
    }
}

/// A model's response, split into what the loop looks at and what it passes on.
#[derive(Clone, Debug)]
pub(crate) struct ModelResponse {
    /// Everything but `output` and `usage`.
    pub members: Members,
    /// The output items.
    pub output: Vec<Raw>,
    /// `usage`, when it is not null.
    pub usage: Option<Raw>,
}

impl ModelResponse {
    /// Reads the body of a 200 reply; `None` when it is no Response object.
    pub(crate) fn parse(body: Bytes) -> Option<Self> {
        let mut members = Raw::parse(body).ok()?.members().ok()?;
        let output = members.get("output")?.elements().ok()?;
        if !output.iter().all(Raw::is_object) || !members.get("id").is_some_and(Raw::is_string) {
            return None;
        }
        let usage = members.get_set("usage").cloned();
        // The place of both members is kept; their values are set anew when the response is written.
        members.set("output", Raw::null());
        Some(Self { members, output, usage })
    }

    /// Whether the response was cut off.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.members.get_set("incomplete_details").is_some()
    }

    /// The Response object with other output and usage.
    pub(crate) fn with(&self, output: &[Raw], usage: Option<&Raw>) -> Raw {
        let size = output.iter().map(|item| item.bytes().len() + 1).sum::<usize>() + 2048;
        let mut writer = ObjectWriter::with_capacity(size);
        let mut has_usage = false;
        for (name, value) in self.members.iter() {
            match name {
                "output" => write_array(writer.name(name), output),
                "usage" => {
                    has_usage = true;
                    writer.member(name, usage.unwrap_or(&Raw::null()));
                }
                _ => writer.member(name, value),
            }
        }
        if let Some(usage) = usage
            && !has_usage
        {
            writer.member("usage", usage);
        }
        writer.finish()
    }
}

/// A function call that the model made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionCall {
    pub call_id: Raw,
    pub name: String,
    /// The text in `arguments`, decoded.
    pub arguments: String,
}

/// What the items of one response ask for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Its calls, in order.
    pub calls: Vec<FunctionCall>,
    /// Whether there is an assistant message.
    pub has_message: bool,
}

/// Looks through the items of one response. An item whose parts have the wrong types asks for nothing.
pub(crate) fn asked(items: &[Raw]) -> Asked {
    let mut asked = Asked::default();
    for item in items {
        let Ok(members) = item.members() else { continue };
        let text = |name: &str| members.get(name).and_then(|value| value.read::<String>().ok());
        match text("type").as_deref() {
            Some("function_call") => {
                if let (Some(call_id), Some(name), Some(arguments)) =
                    (members.get_set("call_id"), text("name"), text("arguments"))
                {
                    asked.calls.push(FunctionCall { call_id: call_id.clone(), name, arguments });
                }
            }
            Some("message") => asked.has_message |= text("role").is_none_or(|role| role == "assistant"),
            _ => {}
        }
    }
    asked
}

/// The ids of the calls that these items already answer.
pub(crate) fn answered(items: &[Raw]) -> Vec<Raw> {
    let of_output = |item: &Raw| {
        let members = item.members().ok()?;
        (members.get("type")?.as_str() == "\"function_call_output\"").then(|| members.get_set("call_id").cloned())?
    };
    items.iter().filter_map(of_output).collect()
}

/// A message of the user.
pub(crate) fn user_message(text: &str) -> Raw {
    let mut writer = ObjectWriter::with_capacity(text.len() + 64);
    writer.string("role", "user");
    writer.string("content", text);
    writer.string("type", "message");
    writer.finish()
}

/// A `function_call_output` item.
pub(crate) fn call_output(call_id: &Raw, output: &str) -> Raw {
    let mut writer = ObjectWriter::with_capacity(output.len() + 96);
    writer.string("type", "function_call_output");
    writer.member("call_id", call_id);
    writer.string("output", output);
    writer.finish()
}

/// The running sum of token usage.
#[derive(Debug, Default)]
pub(crate) struct UsageSum {
    /// Whether any response had usage.
    seen: bool,
    input: i64,
    output: i64,
    total: i64,
    /// `None` once an addend was null: then nobody knows the sum.
    cached: Option<i64>,
    reasoning: Option<i64>,
}

impl UsageSum {
    /// Adds the usage of one response; one without usage adds nothing.
    pub(crate) fn add(&mut self, usage: Option<&Raw>) {
        let Some(members) = usage.and_then(|usage| usage.members().ok()) else { return };
        let number = |members: &Members, name: &str| members.get(name).and_then(|value| value.read::<i64>().ok());
        let detail = |outer: &str, inner: &str| {
            members.get_set(outer).and_then(|value| value.members().ok()).and_then(|details| number(&details, inner))
        };
        let (cached, reasoning) =
            (detail("input_tokens_details", "cached_tokens"), detail("output_tokens_details", "reasoning_tokens"));
        if self.seen {
            self.cached = self.cached.zip(cached).map(|(sum, more)| sum.saturating_add(more));
            self.reasoning = self.reasoning.zip(reasoning).map(|(sum, more)| sum.saturating_add(more));
        } else {
            (self.cached, self.reasoning) = (cached, reasoning);
        }
        self.seen = true;
        self.input = self.input.saturating_add(number(&members, "input_tokens").unwrap_or(0));
        self.output = self.output.saturating_add(number(&members, "output_tokens").unwrap_or(0));
        self.total = self.total.saturating_add(number(&members, "total_tokens").unwrap_or(0));
    }

    /// All tokens so far.
    pub(crate) fn total(&self) -> i64 {
        self.total
    }

    /// The sum as a `usage` object, if any response had usage.
    pub(crate) fn to_raw(&self) -> Option<Raw> {
        self.seen.then(|| {
            Raw::from_value(&serde_json::json!({
                "input_tokens": self.input,
                "input_tokens_details": {"cached_tokens": self.cached},
                "output_tokens": self.output,
                "output_tokens_details": {"reasoning_tokens": self.reasoning},
                "total_tokens": self.total,
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw {
        Raw::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn usage_is_summed_and_unknown_details_stay_unknown() {
        let mut sum = UsageSum::default();
        assert!(sum.to_raw().is_none());
        let first = raw(
            r#"{"input_tokens":1,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":3}"#,
        );
        let second = raw(
            r#"{"input_tokens":10,"input_tokens_details":{"cached_tokens":null},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":30}"#,
        );
        sum.add(Some(&first));
        sum.add(None);
        sum.add(Some(&second));
        sum.add(Some(&first));
        assert_eq!(
            sum.to_raw().unwrap().as_str(),
            r#"{"input_tokens":12,"input_tokens_details":{"cached_tokens":null},"output_tokens":24,"output_tokens_details":{"reasoning_tokens":10},"total_tokens":36}"#
        );
    }

    #[test]
    fn a_response_is_written_with_other_output_in_the_same_place() {
        let response = ModelResponse::parse(Bytes::from_static(
            br#"{"id":"r","output":[{"type":"message","role":"assistant"}],"usage":null,"x":1.50}"#,
        ))
        .unwrap();
        assert!(asked(&response.output).has_message);
        assert_eq!(response.with(&[raw("{}")], None).as_str(), r#"{"id":"r","output":[{}],"usage":null,"x":1.50}"#);
        assert!(ModelResponse::parse(Bytes::from_static(b"[]")).is_none());
        assert!(ModelResponse::parse(Bytes::from_static(br#"{"id":"r"}"#)).is_none());
    }
}
