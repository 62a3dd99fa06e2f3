// SPDX-License-Identifier: Apache-2.0
//! The conversation that a row brings along, and what of a response belongs to it.

use gym_protocol::{Members, Raw};
use serde_json::json;

use super::user::{is_user_message, role, text_of};
use crate::{
    ports::Reply,
    transcript::{FunctionCall, answered, asked, user_message},
};

/// In a user's message: the conversation is over.
const LAST_WORDS: [&str; 2] = ["###STOP###", "###TRANSFER###"];

/// Whose turn it is at the end of the given history.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is no history.
    Opening,
    User,
    Agent,
    /// These calls, of these items, wait for their results.
    Tools(Vec<FunctionCall>, Vec<Raw>),
    Over,
}

/// Looks at the given items. Instructions and reasoning are no part of a conversation. The error is the refusal of a
/// history that cannot be gone on with.
pub(super) fn turn(input: &[Raw]) -> Result<Turn, Reply> {
    let items: Vec<Raw> = input.iter().filter(|item| is_said(item)).cloned().collect();
    let Some(last) = items.last() else { return Ok(Turn::Opening) };
    let results = answered(&items);
    let waits = |call: &FunctionCall| !results.iter().any(|id| id.as_str() == call.call_id.as_str());
    let waiting: Vec<FunctionCall> = asked(&items).calls.into_iter().filter(waits).collect();
    if !waiting.is_empty() {
        let is_of_waiting = |item: &&Raw| asked(std::slice::from_ref(item)).calls.iter().any(waits);
        let of_them = items.iter().filter(is_of_waiting).cloned().collect();
        return Ok(Turn::Tools(waiting, of_them));
    }
    match role(last).as_deref() {
        Some("assistant") => return Ok(Turn::User),
        Some("user") => {
            let text = text_of(last).unwrap_or_default();
            let is_over = LAST_WORDS.iter().any(|words| text.contains(words));
            return Ok(if is_over { Turn::Over } else { Turn::Agent });
        }
        _ => {}
    }
    if kind(last).as_deref() == Some("function_call_output") {
        return Ok(Turn::Agent);
    }
    Err(refusal("the conversation in `responses_create_params.input` ends with an item that nobody answers"))
}

/// The row, with `initial_user_message` as its conversation's beginning if it has none.
pub(super) fn with_opening(mut row: Members, input: &[Raw]) -> Result<Members, Reply> {
    let Some(opening) = row.get_set("initial_user_message").and_then(|text| text.read::<String>().ok()) else {
        return Ok(row);
    };
    let mut said = input.iter().filter(|item| is_said(item)).peekable();
    if said.peek().is_none() {
        set_input(&mut row, input.iter().cloned().chain([user_message(&opening)]));
        return Ok(row);
    }
    match said.find(|item| is_user_message(item)) {
        Some(first) if text_of(first).as_deref() == Some(&opening) => Ok(row),
        _ => Err(refusal("`initial_user_message` is not the user's first message in `responses_create_params.input`")),
    }
}

/// What came before the model's first item is input: the response is only what the model and its tools said. As NeMo Gym's
/// agent hands it to `/verify`.
pub(super) fn move_opening(row: &mut Members, input: &[Raw], response: Raw) -> Raw {
    let Ok(mut members) = response.members() else { return response };
    let output = members.get("output").and_then(|output| output.elements().ok()).unwrap_or_default();
    let opening = output.iter().position(is_of_model).unwrap_or(output.len());
    if opening == 0 {
        return response;
    }
    set_input(row, input.iter().chain(&output[..opening]).cloned());
    members.set("output", array(output[opening..].iter()));
    members.to_raw()
}

fn set_input(row: &mut Members, items: impl Iterator<Item = Raw>) {
    let items: Vec<Raw> = items.collect();
    let mut params = row.get_set("responses_create_params").and_then(|raw| raw.members().ok()).unwrap_or_default();
    params.set("input", array(items.iter()));
    row.set("responses_create_params", params.to_raw());
}

fn array<'a>(items: impl Iterator<Item = &'a Raw>) -> Raw {
    let mut buffer = Vec::new();
    gym_protocol::raw::write_array(&mut buffer, items);
    Raw::trusted(buffer)
}

fn is_said(item: &Raw) -> bool {
    kind(item).as_deref() != Some("reasoning") && !matches!(role(item).as_deref(), Some("system" | "developer"))
}

/// Whether the model made this item.
fn is_of_model(item: &Raw) -> bool {
    match kind(item).as_deref() {
        None | Some("message") => role(item).as_deref() == Some("assistant"),
        Some("reasoning" | "mcp_approval_request" | "mcp_list_tools") => true,
        Some(kind) => kind.ends_with("_call"),
    }
}

fn kind(item: &Raw) -> Option<String> {
    item.members().ok()?.get_set("type")?.read().ok()
}

fn refusal(detail: &str) -> Reply {
    Reply::new(400, json!({"detail": detail}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(json: &str) -> Vec<Raw> {
        Raw::parse(bytes::Bytes::copy_from_slice(json.as_bytes())).unwrap().elements().unwrap()
    }

    fn turn_of(json: &str) -> Turn {
        turn(&items(json)).unwrap()
    }

    #[test]
    fn the_last_item_says_whose_turn_it_is() {
        let call = r#"{"type":"function_call","call_id":"1","name":"f","arguments":"{}"}"#;
        let output = r#"{"type":"function_call_output","call_id":"1","output":"x"}"#;
        assert_eq!(turn_of(r#"[{"role":"system","content":"p"},{"type":"reasoning","summary":[]}]"#), Turn::Opening);
        assert_eq!(turn_of(r#"[{"role":"user","content":"hi"}]"#), Turn::Agent);
        assert_eq!(
            turn_of(r#"[{"role":"user","content":[{"type":"input_text","text":"hi ###STOP###"}]}]"#),
            Turn::Over
        );
        assert_eq!(turn_of(r#"[{"role":"assistant","content":"hi"}]"#), Turn::User);
        assert_eq!(turn_of(&format!("[{call},{output}]")), Turn::Agent);
        let Turn::Tools(calls, of_them) = turn_of(&format!(r#"[{call},{{"role":"user","content":"and?"}}]"#)) else {
            panic!("the call waits");
        };
        assert_eq!((calls[0].name.as_str(), of_them.len()), ("f", 1));
        assert_eq!(turn(&items(r#"[{"type":"web_search_call","id":"1"}]"#)).unwrap_err().status, 400);
    }

    #[test]
    fn what_the_user_said_first_is_input() {
        let mut row = Members::new();
        let response = r#"{"id":"r","output":[{"role":"user","content":"hi"},{"type":"reasoning"},{"role":"user"}]}"#;
        let response = Raw::parse(bytes::Bytes::from_static(response.as_bytes())).unwrap();
        let given = items(r#"[{"role":"system","content":"p"}]"#);
        let rest = move_opening(&mut row, &given, response);
        assert_eq!(rest.as_str(), r#"{"id":"r","output":[{"type":"reasoning"},{"role":"user"}]}"#);
        assert_eq!(
            row.to_raw().as_str(),
            r#"{"responses_create_params":{"input":[{"role":"system","content":"p"},{"role":"user","content":"hi"}]}}"#
        );
    }
}
