// SPDX-License-Identifier: Apache-2.0
//! Requests for a stream of the Responses API whose events are written here.
//!
//! Coding agents that only stream send more than a model server behind us can read: fields of their own, tools in
//! namespaces, tools inside the input, several system messages. What has a plain form gets it, the rest is left out, as
//! NeMo Gym's servers do: an exotic tool is better lost than the rollout. Tools of a namespace become functions
//! `<namespace>__<name>`; in the answer their calls get both names back.

use std::collections::BTreeMap;

use gym_agents::ports::Reply;
use gym_protocol::{
    Members, Raw,
    raw::write_array,
    responses::{check_create_params, check_input},
    validate::LocPart,
};

/// Between a namespace and a tool's name.
const DELIMITER: &str = "__";

/// Functions that stand for tools of namespaces: the joined name, then namespace and name.
#[derive(Debug, Default)]
pub(super) struct Namespaces(BTreeMap<String, (String, String)>);

/// Makes plain create params of those of a streaming client.
pub(super) fn plain(params: &mut Members) -> Namespaces {
    let mut namespaces = Namespaces::default();
    let mut tools = params.get_set("tools").map(|tools| namespaces.flatten(tools));
    if let Some(items) = params.get_set("input").and_then(|input| input.elements().ok()) {
        let mut kept: Vec<Raw> = Vec::with_capacity(items.len());
        for item in items {
            let Ok(mut members) = item.members() else { continue };
            if text(&members, "type").as_deref() == Some("additional_tools") {
                let more = members.get_set("tools").map(|tools| namespaces.flatten(tools)).unwrap_or_default();
                let is_function =
                    |tool: &Raw| tool.members().is_ok_and(|tool| text(&tool, "type").as_deref() == Some("function"));
                tools.get_or_insert_default().extend(more.into_iter().filter(is_function));
                continue;
            }
            let item = match namespaced_call(&mut members) {
                true => members.to_raw(),
                false => item,
            };
            match check_input(&list(std::slice::from_ref(&item))) {
                Ok(()) => kept.push(item),
                Err(_) => tracing::warn!(kind = text(&members, "type"), "left out an item that no model reads"),
            }
        }
        fold_system_messages(params, &mut kept);
        params.set("input", list(&kept));
    }
    if let Some(tools) = tools {
        params.set("tools", list(&tools));
    }
    leave_out_unknown(params);
    namespaces
}

impl Namespaces {
    /// Tools with those of namespaces as functions of their own.
    fn flatten(&mut self, tools: &Raw) -> Vec<Raw> {
        let mut flat = Vec::new();
        for tool in tools.elements().unwrap_or_default() {
            let Ok(members) = tool.members() else { continue };
            if text(&members, "type").as_deref() != Some("namespace") {
                flat.push(tool);
                continue;
            }
            let namespace = text(&members, "name").unwrap_or_default();
            let inner = members.get_set("tools").and_then(|tools| tools.elements().ok()).unwrap_or_default();
            for mut function in inner.iter().filter_map(|tool| tool.members().ok()) {
                let Some(name) = text(&function, "name").filter(|name| !name.is_empty()) else { continue };
                let joined = format!("{namespace}{DELIMITER}{name}");
                function.set("type", Raw::from_value("function"));
                function.set("name", Raw::from_value(&joined));
                flat.push(function.to_raw());
                self.0.insert(joined, (namespace.clone(), name));
            }
        }
        flat
    }

    /// The reply with both names in the calls of such functions.
    pub(super) fn restore(&self, reply: Reply) -> Reply {
        if self.0.is_empty() || !reply.is_success() {
            return reply;
        }
        let Ok(mut response) = Raw::parse(reply.body.clone()).and_then(|body| body.members()) else { return reply };
        let Some(items) = response.get_set("output").and_then(|output| output.elements().ok()) else { return reply };
        let restored = items.into_iter().map(|item| {
            let Ok(mut members) = item.members() else { return item };
            let is_call = text(&members, "type").as_deref() == Some("function_call");
            let names = text(&members, "name").filter(|_| is_call).and_then(|name| self.0.get(&name));
            let Some((namespace, name)) = names else { return item };
            members.set("name", Raw::from_value(name));
            members.set("namespace", Raw::from_value(namespace));
            members.to_raw()
        });
        let restored: Vec<Raw> = restored.collect();
        response.set("output", list(&restored));
        Reply { body: response.to_raw().bytes().clone(), ..reply }
    }
}

/// Gives a call that the client repeats the name that the model knows; tells whether it did.
fn namespaced_call(item: &mut Members) -> bool {
    let is_call = text(item, "type").as_deref() == Some("function_call");
    let namespace = text(item, "namespace").filter(|namespace| is_call && !namespace.is_empty());
    let (Some(namespace), Some(name)) = (namespace, text(item, "name")) else { return false };
    item.remove("namespace");
    item.set("name", Raw::from_value(&format!("{namespace}{DELIMITER}{name}")));
    true
}

/// Puts the system and developer messages that begin the input into `instructions`: many templates know one only.
fn fold_system_messages(params: &mut Members, items: &mut Vec<Raw>) {
    let system_text = |item: &Raw| {
        let item = item.members().ok()?;
        let is_message = text(&item, "type").is_none_or(|kind| kind == "message");
        let is_system = matches!(text(&item, "role").as_deref(), Some("system" | "developer"));
        if !is_message || !is_system {
            return None;
        }
        let content = item.get_set("content")?;
        if content.is_string() {
            return content.read::<String>().ok();
        }
        let parts = content.elements().ok()?;
        Some(parts.iter().filter_map(|part| text(&part.members().ok()?, "text")).collect())
    };
    let leading: Vec<String> = items.iter().map_while(system_text).collect();
    if leading.is_empty() {
        return;
    }
    items.drain(..leading.len());
    let texts = text(params, "instructions").into_iter().chain(leading).filter(|text| !text.is_empty());
    let texts: Vec<String> = texts.collect();
    if !texts.is_empty() {
        params.set("instructions", Raw::from_value(&texts.join("\n\n")));
    }
}

fn leave_out_unknown(params: &mut Members) {
    let mut without_items = params.clone();
    without_items.set("input", Raw::trusted("[]"));
    for error in check_create_params(&without_items.to_raw()).err().unwrap_or_default() {
        if let ("extra_forbidden", [_, LocPart::Name(name)]) = (error.kind, error.loc.as_slice()) {
            tracing::debug!(name, "left out a field that create params do not have");
            params.remove(name);
        }
    }
}

fn text(members: &Members, name: &str) -> Option<String> {
    members.get_set(name)?.read().ok()
}

fn list(items: &[Raw]) -> Raw {
    let mut text = Vec::with_capacity(items.iter().map(|item| item.bytes().len() + 1).sum::<usize>() + 2);
    write_array(&mut text, items);
    Raw::trusted(text)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_coding_agents_send_becomes_plain_and_their_calls_get_their_names_back() {
        let body = json!({
            "model": "m", "client_metadata": {"a": "b"}, "instructions": "one",
            "tools": [
                {"type": "function", "name": "f"},
                {"type": "namespace", "name": "ns", "tools": [{"name": "g", "parameters": {}}, {"description": "x"}]},
            ],
            "input": [
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "two"}]},
                {"role": "system", "content": "three"},
                {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"},
                    {"type": "function", "name": "h"}]},
                {"type": "message", "role": "user", "content": "hi"},
                {"type": "function_call", "namespace": "ns", "name": "g", "call_id": "c", "arguments": "{}"},
                {"type": "an_item_of_tomorrow"},
            ],
        });
        let mut params = Raw::from_value(&body).members().unwrap();
        let namespaces = plain(&mut params);
        assert_eq!(
            params.to_raw().read::<Value>().unwrap(),
            json!({
                "model": "m", "instructions": "one\n\ntwo\n\nthree",
                "tools": [{"type": "function", "name": "f"}, {"name": "ns__g", "parameters": {}, "type": "function"},
                    {"type": "function", "name": "h"}],
                "input": [
                    {"type": "message", "role": "user", "content": "hi"},
                    {"type": "function_call", "name": "ns__g", "call_id": "c", "arguments": "{}"},
                ],
            })
        );
        let output = json!([{"type": "function_call", "name": "ns__g"}, {"type": "function_call", "name": "f"},
            {"type": "message", "name": "ns__g"}]);
        let reply = namespaces.restore(Reply::ok(json!({"id": "r", "output": output}).to_string()));
        assert_eq!(
            serde_json::from_slice::<Value>(&reply.body).unwrap()["output"],
            json!([{"type": "function_call", "name": "g", "namespace": "ns"}, {"type": "function_call", "name": "f"},
                {"type": "message", "name": "ns__g"}])
        );
        let failed = Reply::new(500, Bytes::from_static(b"oh"));
        assert_eq!(namespaces.restore(failed.clone()), failed);
    }

    #[test]
    fn a_text_stays_one() {
        let mut params = Raw::from_value(&json!({"input": "hi"})).members().unwrap();
        plain(&mut params);
        assert_eq!(params.to_raw().as_str(), r#"{"input":"hi"}"#);
    }
}
