// SPDX-License-Identifier: Apache-2.0
//! Response objects.

use super::{
    items::{write_input_item, write_output_item},
    record::{FieldRule, Others, Shape, nullable, optional, required, write_list, write_record},
};
use crate::{
    raw::Raw,
    scan::{self, Kind},
    validate::{ErrorDetail, Errors, Path},
};

/// In the order of a dump; what release 0.7.0 added is written only if it came in.
const RESPONSE: &[FieldRule] = &[
    required("id", Shape::Text),
    required("created_at", Shape::Float),
    nullable("error", Shape::Any),
    nullable("incomplete_details", Shape::Object),
    nullable("instructions", Shape::Any),
    nullable("metadata", Shape::Object),
    required("model", Shape::Text),
    required("object", Shape::OneOf(&["response"], "'response'")),
    required("output", Shape::With(write_output)),
    required("parallel_tool_calls", Shape::Bool),
    nullable("temperature", Shape::Float),
    required("tool_choice", Shape::Any),
    required("tools", Shape::Objects),
    nullable("top_p", Shape::Float),
    nullable("background", Shape::Bool),
    optional("completed_at", Shape::Float),
    nullable("conversation", Shape::Any),
    nullable("max_output_tokens", Shape::Int),
    nullable("max_tool_calls", Shape::Int),
    optional("moderation", Shape::Any),
    nullable("previous_response_id", Shape::Text),
    nullable("prompt", Shape::Object),
    nullable("prompt_cache_key", Shape::Text),
    optional("prompt_cache_retention", Shape::Text),
    nullable("reasoning", Shape::Object),
    nullable("safety_identifier", Shape::Text),
    nullable("service_tier", Shape::Text),
    nullable("status", Shape::Text),
    nullable("text", Shape::Object),
    nullable("top_logprobs", Shape::Int),
    nullable("truncation", Shape::Text),
    nullable("usage", Shape::With(write_usage)),
    nullable("user", Shape::Text),
];

/// [`RESPONSE`], and what it has besides in Aviary's dialect.
const AVIARY_RESPONSE: [FieldRule; RESPONSE.len() + 3] = {
    let mut rules = [const { required("env_id", Shape::Text) }; RESPONSE.len() + 3];
    let mut index = 0;
    while index < RESPONSE.len() {
        rules[index] = RESPONSE[index];
        if matches!(rules[index].name.as_bytes(), b"output") {
            rules[index].shape = Shape::With(write_output_or_transitions);
        }
        index += 1;
    }
    rules[index + 1] = required("group_id", Shape::Text);
    rules[index + 2] = required("contains_transitions", Shape::Bool);
    rules
};

const USAGE: &[FieldRule] = &[
    required("input_tokens", Shape::Int),
    required("input_tokens_details", Shape::With(write_input_details)),
    required("output_tokens", Shape::Int),
    required("output_tokens_details", Shape::With(write_output_details)),
    required("total_tokens", Shape::Int),
];
const INPUT_DETAILS: &[FieldRule] = &[nullable("cached_tokens", Shape::Int)];
const OUTPUT_DETAILS: &[FieldRule] = &[nullable("reasoning_tokens", Shape::Int)];

/// Checks a Response object.
pub fn check_response(response: &Raw) -> Result<(), Vec<ErrorDetail>> {
    echo_response(response).map(|_| ())
}

/// The full dump of a Response object: every field, in order; further ones stay, at the end.
pub fn echo_response(response: &Raw) -> Result<Raw, Vec<ErrorDetail>> {
    let mut out = Vec::with_capacity(response.bytes().len() + 768);
    let mut errors = Errors::new();
    write_response(response.bytes(), &Path::Body, &mut out, &mut errors);
    if errors.is_empty() { Ok(Raw::trusted(out)) } else { Err(errors.into_vec()) }
}

/// Like [`write_response`], for Aviary's dialect: the response also has `env_id`, `group_id` and
/// `contains_transitions`, and its output may be a list of lists of items.
pub fn write_aviary_response(response: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_record(&AVIARY_RESPONSE, Others::Keep, response, path, out, errors);
}

/// Like [`echo_response`], as a part of a larger body. After errors, `out` holds nothing of use.
pub fn write_response(response: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_record(RESPONSE, Others::Keep, response, path, out, errors);
}

fn write_output(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_list(value, path, out, errors, write_output_item);
}

/// A list of items, or one list of items for each step.
fn write_output_or_transitions(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    let is_list = |element: &[u8]| scan::kind(element) == Kind::Array;
    if scan::kind(value) == Kind::Array && scan::elements(value).next().is_some_and(is_list) {
        write_list(value, path, out, errors, write_transition);
    } else {
        write_output(value, path, out, errors);
    }
}

/// One step: everything that was in front of the model, and what it said. So these are items of an input.
fn write_transition(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_list(value, path, out, errors, write_input_item);
}

fn write_usage(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_record(USAGE, Others::Keep, value, path, out, errors);
}

fn write_input_details(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_record(INPUT_DETAILS, Others::Keep, value, path, out, errors);
}

fn write_output_details(value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
    write_record(OUTPUT_DETAILS, Others::Keep, value, path, out, errors);
}
