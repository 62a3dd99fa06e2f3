// SPDX-License-Identifier: Apache-2.0
//! What an environment gets to see of create params and Response objects, and the text of a response.

use std::borrow::Cow;

use super::items::TOKEN_FIELDS;
use crate::{
    raw::{Raw, write_string},
    scan::{self, Kind},
};

/// A message without text: the Responses API's `output_text` is not defined for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message in `output` has content that is not a list of parts")]
pub struct NoOutputText;

/// `output_text` of a Response object: all `output_text` parts of all `message` items, joined without a separator.
pub fn output_text(response: &Raw) -> Result<String, NoOutputText> {
    let mut text = String::new();
    let output = scan::member(response.bytes(), "output").unwrap_or_default();
    for item in scan::elements(output).filter(|item| has_type(item, "message")) {
        let content = scan::member(item, "content").filter(|content| scan::kind(content) == Kind::Array);
        for part in scan::elements(content.ok_or(NoOutputText)?).filter(|part| has_type(part, "output_text")) {
            text.push_str(&scan::member(part, "text").and_then(scan::string).unwrap_or_default());
        }
    }
    Ok(text)
}

fn has_type(object: &[u8], wanted: &str) -> bool {
    scan::member(object, "type").and_then(scan::string).is_some_and(|kind| kind == wanted)
}

/// A Response object, or create params, without the token data of its items. Without any, the same text.
pub fn strip_token_fields(object: &[u8]) -> Cow<'_, [u8]> {
    for_scoring(object, true, None)
}

/// A Response object, or create params, for an environment: on request without token data, and with
/// `tool_prefix` (`mcp__<server>__`) taken off the names of function calls.
pub fn for_scoring<'a>(object: &'a [u8], strip_tokens: bool, tool_prefix: Option<&str>) -> Cow<'a, [u8]> {
    let has = |text: &str| memchr::memmem::find(object, text.as_bytes()).is_some();
    let strip_tokens = strip_tokens && (has("_token_ids\"") || has("generation_log_probs") || has("routed_experts"));
    let tool_prefix = tool_prefix.filter(|prefix| has(prefix));
    if !strip_tokens && tool_prefix.is_none() {
        return Cow::Borrowed(object);
    }
    let mut out = Vec::with_capacity(object.len());
    write_members(object, &mut out, |name, value, out| match name {
        "input" | "output" if scan::kind(value) == Kind::Array => {
            out.push(b'[');
            for (index, item) in scan::elements(value).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_item(item, strip_tokens, tool_prefix, out);
            }
            out.push(b']');
            true
        }
        _ => false,
    });
    Cow::Owned(out)
}

fn write_item(item: &[u8], strip_tokens: bool, tool_prefix: Option<&str>, out: &mut Vec<u8>) {
    match scan::kind(item) {
        Kind::Object => write_object(item, strip_tokens, tool_prefix, out),
        // The items of one step, in Aviary's dialect.
        Kind::Array => {
            out.push(b'[');
            for (index, item) in scan::elements(item).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                match scan::kind(item) {
                    Kind::Object => write_object(item, strip_tokens, tool_prefix, out),
                    _ => out.extend_from_slice(item),
                }
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(item),
    }
}

fn write_object(item: &[u8], strip_tokens: bool, tool_prefix: Option<&str>, out: &mut Vec<u8>) {
    let prefix = tool_prefix.filter(|_| has_type(item, "function_call"));
    out.push(b'{');
    let mut first = true;
    for (name, value) in scan::members(item) {
        if strip_tokens && TOKEN_FIELDS.contains(&name.as_ref()) {
            continue;
        }
        super::record::write_name(&name, &mut first, out);
        let bare = prefix.filter(|_| name == "name").and_then(|prefix| {
            scan::string(value)?.strip_prefix(prefix).filter(|rest| !rest.is_empty()).map(str::to_owned)
        });
        match bare {
            Some(bare) => write_string(out, &bare),
            None => out.extend_from_slice(value),
        }
    }
    out.push(b'}');
}

/// Copies an object. `special` may write a value itself, and says whether it did.
fn write_members(object: &[u8], out: &mut Vec<u8>, special: impl Fn(&str, &[u8], &mut Vec<u8>) -> bool) {
    out.push(b'{');
    let mut first = true;
    for (name, value) in scan::members(object) {
        super::record::write_name(&name, &mut first, out);
        if !special(&name, value, out) {
            out.extend_from_slice(value);
        }
    }
    out.push(b'}');
}
