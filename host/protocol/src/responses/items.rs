// SPDX-License-Identifier: Apache-2.0
//! Input and output items.

use super::record::{
    FieldRule, Found, Others, Shape, defaulted, filled, find, nullable, optional, required, split, write_fields,
    write_list, write_name, write_record,
};
use crate::{
    raw::Raw,
    scan::{self, Kind},
    validate::{ErrorDetail, Errors, Path},
};

/// The fields of token data, in the order in which they are written.
pub const TOKEN_FIELDS: [&str; 4] =
    ["prompt_token_ids", "generation_token_ids", "generation_log_probs", "routed_experts"];

/// Item types that are carried unchanged: hosted tools, MCP, and whatever else only a model provider reads.
const CARRIED: &[&str] = &[
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "web_search_call",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "compaction",
    "compaction_trigger",
    "image_generation_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "custom_tool_call",
    "custom_tool_call_output",
    "item_reference",
];

const ROLES: &[&str] = &["user", "assistant", "system", "developer"];
const ROLE: Shape = Shape::OneOf(ROLES, "'user', 'assistant', 'system' or 'developer'");

const EASY_MESSAGE: &[FieldRule] = &[
    optional("id", Shape::Text),
    required("content", Shape::With(write_easy_content)),
    required("role", ROLE),
    filled("type", Shape::Text, "\"message\""),
    optional("status", Shape::Text),
    optional("phase", Shape::Text),
];

const OUTPUT_MESSAGE: &[FieldRule] = &[
    required("id", Shape::Text),
    required("content", Shape::With(write_output_content)),
    defaulted("role", Shape::OneOf(&["assistant"], "'assistant'"), "\"assistant\""),
    defaulted("status", STATUS, "\"completed\""),
    required("type", Shape::Text),
    optional("phase", Shape::Text),
];

/// A model's message in an `input`; it may come without the annotations of its texts.
const REPEATED_MESSAGE: &[FieldRule] = &[
    required("id", Shape::Text),
    required("content", Shape::With(write_easy_content)),
    defaulted("role", Shape::OneOf(&["assistant"], "'assistant'"), "\"assistant\""),
    defaulted("status", STATUS, "\"completed\""),
    required("type", Shape::Text),
    optional("phase", Shape::Text),
];
const STATUS: Shape =
    Shape::OneOf(&["in_progress", "completed", "incomplete"], "'in_progress', 'completed' or 'incomplete'");

const FUNCTION_CALL: &[FieldRule] = &[
    required("arguments", Shape::Text),
    required("call_id", Shape::Text),
    required("name", Shape::Text),
    required("type", Shape::Text),
    nullable("id", Shape::Text),
    optional("namespace", Shape::Text),
    nullable("status", STATUS),
];

const FUNCTION_CALL_OUTPUT: &[FieldRule] = &[
    required("call_id", Shape::Text),
    required("output", Shape::With(write_call_output)),
    required("type", Shape::Text),
    nullable("id", Shape::Text),
    nullable("status", STATUS),
];

const REASONING: &[FieldRule] = &[
    required("id", Shape::Text),
    required("summary", Shape::With(write_summary)),
    required("type", Shape::Text),
    optional("content", Shape::List),
    nullable("encrypted_content", Shape::Text),
];

const OUTPUT_TEXT: &[FieldRule] = &[
    required("annotations", Shape::List),
    required("text", Shape::Text),
    required("type", Shape::Text),
    nullable("logprobs", Shape::List),
];

/// Messages in an `input` may repeat a text without its annotations.
const REPEATED_TEXT: &[FieldRule] = &[
    filled("annotations", Shape::List, "[]"),
    required("text", Shape::Text),
    required("type", Shape::Text),
    nullable("logprobs", Shape::List),
];

const REFUSAL: &[FieldRule] = &[required("refusal", Shape::Text), required("type", Shape::Text)];
const SUMMARY_TEXT: &[FieldRule] = &[required("text", Shape::Text), required("type", Shape::Text)];

/// Checks the items of an `input` list.
pub fn check_input(items: &Raw) -> Result<(), Vec<ErrorDetail>> {
    check(items, "input", write_input_item)
}

/// Checks the items of an `output` list.
pub fn check_output(items: &Raw) -> Result<(), Vec<ErrorDetail>> {
    check(items, "output", write_output_item)
}

fn check(
    items: &Raw,
    name: &str,
    write: fn(&[u8], &Path<'_>, &mut Vec<u8>, &mut Errors),
) -> Result<(), Vec<ErrorDetail>> {
    let (mut out, mut errors) = (Vec::with_capacity(items.bytes().len() + 256), Errors::new());
    write_list(items.bytes(), &Path::Name(&Path::Body, name), &mut out, &mut errors, write);
    if errors.is_empty() { Ok(()) } else { Err(errors.into_vec()) }
}

/// An item of `input`. Objects without `type` pass: those that are messages get one, all others stay as they are.
pub(super) fn write_input_item(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    let Some(found) = split(value) else { return errors.not_an_object(path, value) };
    match find(&found, "type").filter(|kind| scan::kind(kind) != Kind::Null) {
        Some(kind) => write_typed(kind, value, &found, false, path, out, errors),
        None if is_easy_message(&found) => {
            let unnamed: Found<'_> = found.into_iter().filter(|(name, _)| name != "type").collect();
            write_item(EASY_MESSAGE, value, &unnamed, path, out, errors);
        }
        None => out.extend_from_slice(value),
    }
}

/// An item of `output`: it must have a type.
pub(super) fn write_output_item(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    let Some(found) = split(value) else { return errors.not_an_object(path, value) };
    match find(&found, "type") {
        Some(kind) => write_typed(kind, value, &found, true, path, out, errors),
        None => {
            let ctx = Raw::trusted(r#"{"discriminator":"'type'"}"#);
            let message = "Unable to extract tag using discriminator 'type'";
            errors.add_with("union_tag_not_found", path, message, value, Some(ctx));
        }
    }
}

fn write_typed(
    kind: &[u8],
    value: &[u8],
    found: &Found<'_>,
    is_output: bool,
    path: &Path<'_>,
    out: &mut Vec<u8>,
    errors: &mut Errors,
) {
    let tag = scan::string(kind).unwrap_or_default();
    let here = Path::Name(path, &tag);
    let rules = match tag.as_ref() {
        "message" if is_output_message(found, is_output) => {
            if is_output {
                OUTPUT_MESSAGE
            } else {
                REPEATED_MESSAGE
            }
        }
        "message" => EASY_MESSAGE,
        "function_call" => FUNCTION_CALL,
        "function_call_output" => FUNCTION_CALL_OUTPUT,
        "reasoning" => REASONING,
        known if CARRIED.contains(&known) => return write_carried(value, found, &here, out, errors),
        _ => return unknown_tag(&tag, value, path, errors),
    };
    write_item(rules, value, found, &here, out, errors);
}

/// Writes token data first, then the fields of the item.
fn write_item(
    rules: &[FieldRule],
    value: &[u8],
    found: &Found<'_>,
    path: &Path<'_>,
    out: &mut Vec<u8>,
    errors: &mut Errors,
) {
    let mut first = true;
    out.push(b'{');
    if check_tokens(value, found, path, errors) {
        for name in TOKEN_FIELDS {
            write_name(name, &mut first, out);
            out.extend_from_slice(find(found, name).unwrap_or(b"null"));
        }
    }
    write_fields(rules, Others::Drop, value, found, &mut first, path, out, errors);
    out.push(b'}');
}

fn write_carried(value: &[u8], found: &Found<'_>, path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    check_tokens(value, found, path, errors);
    out.extend_from_slice(value);
}

/// Whether the item has token data. The three lists come together or not at all.
fn check_tokens(value: &[u8], found: &Found<'_>, path: &Path<'_>, errors: &mut Errors) -> bool {
    let mut count = 0;
    for name in &TOKEN_FIELDS[..3] {
        let Some(list) = find(found, name).filter(|list| scan::kind(list) != Kind::Null) else { continue };
        count += 1;
        if scan::kind(list) != Kind::Array {
            errors.add("list_type", &Path::Name(path, name), "Input should be a valid list", list);
        }
    }
    if count == 1 || count == 2 {
        let message = "Value error, prompt_token_ids, generation_token_ids and generation_log_probs come together";
        errors.add_with("value_error", path, message, value, Some(Raw::trusted(r#"{"error":{}}"#)));
    }
    count == 3
}

/// Whether a `message` is one that a model wrote: by the assistant, with a list of output parts.
fn is_output_message(found: &Found<'_>, is_output: bool) -> bool {
    let is_assistant = find(found, "role").and_then(scan::string).is_none_or(|role| role == "assistant");
    let Some(content) = find(found, "content") else { return is_output };
    is_assistant
        && scan::kind(content) == Kind::Array
        && (is_output || find(found, "id").is_some())
        && (scan::elements(content).next().is_none() || scan::elements(content).any(|part| !is_input_kind(part)))
}

/// Whether a part is of a kind that only goes into a model.
fn is_input_kind(part: &[u8]) -> bool {
    part_type(part).is_some_and(|kind| kind.starts_with("input_"))
}

fn part_type(part: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    scan::member(part, "type").and_then(scan::string)
}

/// Whether an object without `type` is a message: a known role, and text or known parts.
fn is_easy_message(found: &Found<'_>) -> bool {
    let role = find(found, "role").and_then(scan::string);
    let Some(content) = find(found, "content") else { return false };
    role.is_some_and(|role| ROLES.contains(&role.as_ref()))
        && match scan::kind(content) {
            Kind::String => true,
            Kind::Array => scan::elements(content).all(is_input_part),
            _ => false,
        }
}

/// Whether a part is complete in the eyes of both vocabularies.
fn is_input_part(part: &[u8]) -> bool {
    match part_type(part).as_deref() {
        Some("input_text") => scan::member(part, "text").is_some_and(|text| scan::kind(text) == Kind::String),
        Some("input_image") => scan::member(part, "detail").is_some_and(|detail| scan::kind(detail) == Kind::String),
        Some("input_file" | "input_audio" | "input_video") => true,
        _ => false,
    }
}

/// Content of a message that is not a model's: text, or parts.
fn write_easy_content(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    match scan::kind(value) {
        Kind::Array => write_list(value, path, out, errors, |part, path, out, errors| {
            write_part(part, REPEATED_TEXT, path, out, errors);
        }),
        _ => write_text_or_list(value, path, out, errors),
    }
}

/// Content of a message that a model wrote: nothing in it is of a kind that only goes into a model.
fn write_output_content(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_list(value, path, out, errors, |part, path, out, errors| {
        if is_input_kind(part) {
            return unknown_part(part, &["output_text", "refusal"], path, errors);
        }
        write_part(part, OUTPUT_TEXT, path, out, errors);
    });
}

/// What a tool answered: text, or parts that a model can read.
fn write_call_output(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    if scan::kind(value) == Kind::Array {
        for (index, part) in scan::elements(value).enumerate().filter(|(_, part)| !is_input_kind(part)) {
            unknown_part(part, &["input_text", "input_image", "input_file"], &Path::Index(path, index), errors);
        }
    }
    write_text_or_list(value, path, out, errors);
}

/// The error for a part of a kind that has no place there.
fn unknown_part(part: &[u8], known: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if scan::kind(part) != Kind::Object {
        return errors.not_an_object(path, part);
    }
    let quoted: Vec<_> = known.iter().map(|kind| format!("'{kind}'")).collect();
    let expected = quoted.join(" or ");
    errors.literal(&Path::Name(path, "type"), &expected, scan::member(part, "type").unwrap_or(b"null"));
}

fn write_part(part: &[u8], text: &[FieldRule], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    if scan::kind(part) != Kind::Object {
        return errors.not_an_object(path, part);
    }
    let tag = part_type(part).unwrap_or_default();
    let here = Path::Name(path, &tag);
    match tag.as_ref() {
        "output_text" => write_record(text, Others::Drop, part, &here, out, errors),
        "refusal" => write_record(REFUSAL, Others::Drop, part, &here, out, errors),
        "input_text" if scan::member(part, "text").is_none() => errors.missing(&Path::Name(&here, "text"), part),
        "input_text" | "input_image" | "input_file" | "input_audio" | "input_video" | "computer_screenshot" => {
            out.extend_from_slice(part);
        }
        _ => unknown_tag(&tag, part, path, errors),
    }
}

fn write_summary(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_list(value, path, out, errors, |part, path, out, errors| {
        write_record(SUMMARY_TEXT, Others::Drop, part, path, out, errors);
    });
}

fn write_text_or_list(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    match scan::kind(value) {
        Kind::String | Kind::Array => out.extend_from_slice(value),
        _ => {
            errors.add("string_type", &Path::Name(path, "str"), "Input should be a valid string", value);
            errors.add("list_type", &Path::Name(path, "list"), "Input should be a valid list", value);
        }
    }
}

fn unknown_tag(tag: &str, value: &[u8], path: &Path<'_>, errors: &mut Errors) {
    let known = ["message", "function_call", "function_call_output", "reasoning"];
    let expected: Vec<_> = known.iter().chain(CARRIED).map(|name| format!("'{name}'")).collect();
    let expected = expected.join(", ");
    let message = format!("Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}");
    let ctx = serde_json::json!({ "discriminator": "'type'", "tag": tag, "expected_tags": expected });
    errors.add_with("union_tag_invalid", path, message, value, Some(Raw::from_value(&ctx)));
}
