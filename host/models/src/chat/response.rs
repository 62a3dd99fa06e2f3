// SPDX-License-Identifier: Apache-2.0
//! A chat completion as a Response, and the token data in it.

use std::borrow::Cow;

use gym_protocol::raw::write_string;
use gym_protocol::{Members, ObjectWriter, Raw, scan};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::{END_OF_THINK, THINK, array, split_think};
use super::{ConvertError, TOKEN_FIELDS, list, object, string};
use crate::response::{Answer, Output, Usage, write_response};

/// The only choice of a completion.
pub fn first_choice(completion: &Members) -> Result<Members, ConvertError> {
    list(completion, "choices")
        .first()
        .and_then(|choice| choice.members().ok())
        .ok_or_else(|| ConvertError::new("the completion has no choice"))
}

/// How a completion is read.
#[derive(Clone, Copy, Debug)]
pub struct ResponseOptions<'a> {
    /// The model's name in the Response: the configured one, whatever the engine calls it.
    pub model: &'a str,
    /// Reasoning is also looked for in the text, as `<think>…</think>`.
    pub think_tags: bool,
    /// The engine went on writing a message of the assistant, so that its reasoning is text.
    pub continued: bool,
    /// Token data of the message goes to the last item.
    pub token_data: bool,
}

/// Converts a completion. `params` are those of the Responses request, which the Response repeats; `id` makes the
/// hexadecimal part of ids; `now` is used when the completion does not say when it was made.
///
/// The output is a reasoning item if there is reasoning (in a field of its own, or as `<think>…</think>`), then a
/// message if there is text or nothing else, then one call for each tool call. What a provider calls its own reason to
/// finish (`native_finish_reason`) stays beside the output.
pub fn to_response(
    params: &Members,
    completion: &Members,
    options: ResponseOptions<'_>,
    id: &mut dyn FnMut() -> String,
    now: f64,
) -> Result<Raw, ConvertError> {
    let choice = first_choice(completion)?;
    let message = object(&choice, "message").ok_or_else(|| ConvertError::new("the completion has no message"))?;
    let mut content = message.get_set("content").map(super::content_text).unwrap_or_default();
    let mut thoughts: Vec<String> = Vec::new();
    match reasoning_of(&message) {
        Some(reasoning) if options.continued => content.insert_str(0, &reasoning),
        // In tags first, so that tags within the reasoning mean the same as on the chat route.
        Some(reasoning) if options.think_tags => content.insert_str(0, &format!("{THINK}{reasoning}{END_OF_THINK}")),
        Some(reasoning) => thoughts.push(reasoning),
        None => {}
    }
    if options.think_tags {
        let (found, rest) = split_think(&content);
        thoughts.extend(found.into_iter().map(str::to_owned));
        content = rest;
    }
    let refusal = string(&message, "refusal").filter(|text| !text.is_empty());
    let calls = list(&message, "tool_calls");

    let mut items: Vec<Members> = Vec::new();
    if !thoughts.is_empty() {
        items.push(reasoning_item(&id(), &thoughts));
    }
    if !content.is_empty() || refusal.is_some() || (items.is_empty() && calls.is_empty()) {
        items.push(message_item(&id(), &content, refusal.as_deref()));
    }
    for call in &calls {
        let call = call.members().map_err(|_| ConvertError::new("a tool call of the completion is not an object"))?;
        items.push(call_item(&call, &mut *id)?);
    }
    if options.token_data
        && let Some(last) = items.last_mut()
    {
        super::copy_token_data(&message, last);
    }
    let created = completion.get_set("created").and_then(|created| created.read::<f64>().ok());
    let incomplete = match string(&choice, "finish_reason").as_deref() {
        Some("length") => Some("max_output_tokens"),
        Some("content_filter") => Some("content_filter"),
        _ => None,
    };
    Ok(write_response(
        params,
        &Answer {
            id: &format!("resp_{}", id()),
            created_at: created.unwrap_or(now),
            model: Raw::from_value(options.model),
            output: Output::Items(&items),
            incomplete,
            usage: object(completion, "usage").map(|usage| usage_of(&usage).to_raw()),
            native_finish_reason: choice.get_set("native_finish_reason").map(as_text),
        },
    ))
}

/// A value as a JSON string.
fn as_text(value: &Raw) -> Raw {
    if value.is_string() { value.clone() } else { Raw::from_value(value.as_str()) }
}

/// The reasoning in a field of its own: `reasoning_content`, or `reasoning` as newer engines call it.
pub(crate) fn reasoning_of(message: &Members) -> Option<String> {
    ["reasoning_content", "reasoning"]
        .into_iter()
        .find_map(|name| string(message, name).filter(|text| !text.is_empty()))
}

fn reasoning_item(id: &str, texts: &[String]) -> Members {
    let parts: Vec<Raw> = texts
        .iter()
        .map(|text| {
            let mut part = ObjectWriter::with_capacity(text.len() + 40);
            part.string("text", text);
            part.string("type", "summary_text");
            part.finish()
        })
        .collect();
    let mut item = Members::new();
    item.set("id", Raw::from_value(&format!("rs_{id}")));
    item.set("summary", array(&parts));
    item.set("type", Raw::from_value("reasoning"));
    item
}

fn message_item(id: &str, text: &str, refusal: Option<&str>) -> Members {
    let mut parts = Vec::new();
    if refusal.is_none() || !text.is_empty() {
        let mut part = ObjectWriter::with_capacity(text.len() + 64);
        part.text("annotations", "[]");
        part.string("text", text);
        part.string("type", "output_text");
        parts.push(part.finish());
    }
    if let Some(refusal) = refusal {
        let mut part = ObjectWriter::with_capacity(refusal.len() + 40);
        part.string("refusal", refusal);
        part.string("type", "refusal");
        parts.push(part.finish());
    }
    let mut item = Members::new();
    item.set("id", Raw::from_value(&format!("msg_{id}")));
    item.set("content", array(&parts));
    for (name, value) in [("role", "assistant"), ("status", "completed"), ("type", "message")] {
        item.set(name, Raw::from_value(value));
    }
    item
}

fn call_item(call: &Members, id: &mut dyn FnMut() -> String) -> Result<Members, ConvertError> {
    let call_id = match call.get_set("id") {
        Some(id) => id.clone(),
        None => Raw::from_value(&format!("call_{}", id())),
    };
    let mut item = Members::new();
    let (kind, payload, nested) = match object(call, "custom") {
        Some(nested) => ("custom_tool_call", "input", nested),
        None => {
            let nested = object(call, "function")
                .ok_or_else(|| ConvertError::new("a tool call of the completion has no function"))?;
            ("function_call", "arguments", nested)
        }
    };
    let text = |name: &str| nested.get_set(name).cloned().unwrap_or_else(|| Raw::from_value(""));
    item.set(payload, text(payload));
    item.set("call_id", call_id.clone());
    item.set("name", text("name"));
    item.set("type", Raw::from_value(kind));
    item.set("id", call_id);
    item.set("status", Raw::from_value("completed"));
    Ok(item)
}

fn usage_of(usage: &Members) -> Usage {
    let count = |members: &Members, name: &str| members.get_set(name).and_then(|value| value.read::<u64>().ok());
    // Some providers have a name of their own beside the counts. What nobody says is unknown, not none.
    let detail = |group: &str, name: &str, others: &[&str]| {
        let nested = object(usage, group).and_then(|group| count(&group, name));
        nested.or_else(|| others.iter().find_map(|other| count(usage, other)))
    };
    let input = count(usage, "prompt_tokens").unwrap_or(0);
    let output = count(usage, "completion_tokens").unwrap_or(0);
    Usage {
        input,
        cached: detail("prompt_tokens_details", "cached_tokens", &["cached_input_tokens", "cache_read_input_tokens"]),
        output,
        reasoning: detail("completion_tokens_details", "reasoning_tokens", &["reasoning_output_tokens"]),
        total: count(usage, "total_tokens").unwrap_or(input + output),
    }
}

/// Token data found in a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// All of it, as members of the message.
    Whole(Members),
    /// All but the ids of the prompt, which the engine must be asked for.
    WithoutPrompt(Members),
}

/// Collects the token data of a completion: fields of the message; or `prompt_token_ids` and `token_ids`; or tokens of
/// the form `token_id:<n>` in the log probabilities.
pub fn collect_tokens(completion: &Members) -> Result<Collected, ConvertError> {
    let choice = first_choice(completion)?;
    let message = object(&choice, "message").unwrap_or_default();
    let mut tokens = Members::new();
    super::copy_token_data(&message, &mut tokens);
    if TOKEN_FIELDS[..3].iter().all(|name| tokens.get(name).is_some()) {
        same_length(&tokens)?;
        return Ok(Collected::Whole(tokens));
    }
    if TOKEN_FIELDS[..3].iter().any(|name| tokens.get(name).is_some()) {
        return Err(ConvertError::new("the message of the completion has a part of the token data only"));
    }
    if tokens.get("routed_experts").is_none()
        && let Some(experts) = choice.get_set("routed_experts")
    {
        tokens.set("routed_experts", experts.clone());
    }
    let logprobs = object(&choice, "logprobs")
        .and_then(|logprobs| logprobs.get_set("content").cloned())
        .ok_or_else(|| ConvertError::new("the completion has no log probabilities, from which the tokens are taken"))?;
    let chosen: Vec<Chosen<'_>> =
        logprobs.read().map_err(|_| ConvertError::new("the log probabilities of the completion are not readable"))?;
    let mut log_probs = Vec::with_capacity(chosen.len() * 12 + 2);
    write_list(&mut log_probs, chosen.iter().map(|token| token.logprob.get()));
    let prompt = completion.get_set("prompt_token_ids").or_else(|| choice.get_set("prompt_token_ids"));
    let generation = choice.get_set("token_ids");
    if prompt.is_some() != generation.is_some() {
        return Err(ConvertError::new("the completion has only one of `prompt_token_ids` and `token_ids`"));
    }
    let whole = match (prompt, generation) {
        (Some(prompt), Some(generation)) => {
            tokens.set("prompt_token_ids", prompt.clone());
            tokens.set("generation_token_ids", generation.clone());
            true
        }
        _ => {
            tokens.set("generation_token_ids", ids_of_texts(chosen.iter().map(|token| token.token.as_ref()))?);
            false
        }
    };
    tokens.set("generation_log_probs", Raw::trusted(log_probs));
    same_length(&tokens)?;
    Ok(if whole { Collected::Whole(tokens) } else { Collected::WithoutPrompt(tokens) })
}

/// The ids in tokens that are told as `token_id:<n>`.
pub(crate) fn ids_of_texts<'a>(tokens: impl Iterator<Item = &'a str>) -> Result<Raw, ConvertError> {
    let ids = tokens
        .map(|token| {
            let digits = token.strip_prefix("token_id:").unwrap_or(token);
            let number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            number
                .then_some(digits)
                .ok_or_else(|| ConvertError::new("the tokens of the completion are not ids of the form `token_id:<n>`"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut text = Vec::with_capacity(ids.len() * 7 + 2);
    write_list(&mut text, ids.into_iter());
    Ok(Raw::trusted(text))
}

/// Every generated token has its log probability. The lists are counted, not read.
pub(crate) fn same_length(tokens: &Members) -> Result<(), ConvertError> {
    let [ids, log_probs] = ["generation_token_ids", "generation_log_probs"]
        .map(|name| tokens.get(name).filter(|list| list.is_array()).map(|list| scan::elements(list.bytes()).count()));
    match (ids, log_probs) {
        (Some(ids), Some(log_probs)) if ids == log_probs => Ok(()),
        (Some(ids), Some(log_probs)) => Err(ConvertError::new(format!(
            "the completion has {ids} generated tokens, but {log_probs} log probabilities"
        ))),
        _ => Err(ConvertError::new("the token data of the completion are not lists")),
    }
}

/// One token of the log probabilities; the number stays the text that it was.
#[derive(Deserialize)]
struct Chosen<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    logprob: &'a RawValue,
}

fn write_list<'a>(text: &mut Vec<u8>, values: impl Iterator<Item = &'a str>) {
    text.push(b'[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            text.extend_from_slice(b",");
        }
        text.extend_from_slice(value.as_bytes());
    }
    text.push(b']');
}

/// Where the token data of a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// Nobody looked for any.
    None,
    /// The message itself.
    Message,
    /// The choice around it, with its log probabilities.
    Choice,
}

/// The completion with another message in its only choice, and without what the message repeats.
pub(crate) fn with_message(
    completion: &Members,
    message: &Members,
    source: TokenSource,
) -> Result<Members, ConvertError> {
    let mut choice = first_choice(completion)?;
    choice.set("message", message.to_raw());
    let mut out = completion.clone();
    if source == TokenSource::Choice {
        choice.remove("logprobs");
    }
    if source != TokenSource::None {
        choice.remove("token_ids");
        choice.remove("prompt_token_ids");
        choice.remove("routed_experts");
        out.remove("prompt_token_ids");
    }
    out.set("choices", array(&[choice.to_raw()]));
    Ok(out)
}

/// A completion that says nothing, with this finish reason.
pub(crate) fn empty_completion(model: &str, finish_reason: &str, id: &str, now: f64) -> Members {
    let mut choice = Vec::with_capacity(128);
    choice.extend_from_slice(b"{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null},\"logprobs\":null,");
    choice.extend_from_slice(b"\"finish_reason\":");
    write_string(&mut choice, finish_reason);
    choice.push(b'}');
    let mut out = Members::new();
    out.set("id", Raw::from_value(&format!("chatcmpl-{id}")));
    out.set("object", Raw::from_value("chat.completion"));
    out.set("created", Raw::from_value(&(now as i64)));
    out.set("model", Raw::from_value(model));
    out.set("choices", array(&[Raw::trusted(choice)]));
    out
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
