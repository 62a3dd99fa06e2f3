// SPDX-License-Identifier: Apache-2.0
//! The events of OpenAI's Responses API.

use bytes::Bytes;
use gym_protocol::{Members, ObjectWriter, Raw, raw::RawError};

use super::write_event;

/// Fields that can be very long and are only given with the finished item.
const ONLY_WHEN_DONE: [&str; 4] =
    ["prompt_token_ids", "generation_token_ids", "generation_log_probs", "routed_experts"];

/// The whole stream of a finished Response object: `response.created`, then for each output item its beginning, its
/// texts and its end, then `response.completed` (`incomplete`, `failed`). Fails when `response` is not an object with
/// a list `output` of objects.
pub fn encode(response: Bytes) -> Result<Bytes, RawError> {
    let response = Raw::parse(response)?;
    let mut stream = ResponseEvents::with_capacity(response.bytes().len() * 3);
    stream.begin(&response.members()?);
    stream.finish(&response)?;
    Ok(stream.take())
}

/// Writes the events of one response, piece by piece.
pub(crate) struct ResponseEvents {
    out: Vec<u8>,
    sequence: u64,
    /// Items that were written.
    items: usize,
}

impl ResponseEvents {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity), sequence: 0, items: 0 }
    }

    /// What was written since the last time.
    pub(crate) fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.out))
    }

    /// `response.created` and `response.in_progress`, with what is known of the response before its items.
    pub(crate) fn begin(&mut self, response: &Members) {
        let mut begun = response.clone();
        begun.set("status", string("in_progress"));
        begun.set("output", Raw::trusted("[]"));
        for unknown in ["usage", "incomplete_details", "completed_at", "error"] {
            if begun.get(unknown).is_some() {
                begun.set(unknown, Raw::null());
            }
        }
        let begun = begun.to_raw();
        self.event("response.created", |event| event.member("response", &begun));
        self.event("response.in_progress", |event| event.member("response", &begun));
    }

    /// The items that were not written yet, and the end.
    pub(crate) fn finish(&mut self, response: &Raw) -> Result<(), RawError> {
        let mut response = response.members()?;
        let items = match response.get_set("output") {
            Some(output) => output.elements()?,
            None => Vec::new(),
        };
        for item in items.iter().skip(self.items) {
            self.item(item)?;
        }
        let is_incomplete = response.get_set("incomplete_details").is_some();
        let status = match response.get_set("status").and_then(|status| status.read::<String>().ok()) {
            Some(status) => status,
            None if is_incomplete => "incomplete".to_owned(),
            None => "completed".to_owned(),
        };
        let last = match status.as_str() {
            "failed" => "response.failed",
            "incomplete" => "response.incomplete",
            _ => "response.completed",
        };
        response.set("status", string(&status));
        let response = response.to_raw();
        self.event(last, |event| event.member("response", &response));
        Ok(())
    }

    /// One output item, from its beginning to its end.
    pub(crate) fn item(&mut self, item: &Raw) -> Result<(), RawError> {
        self.events_of(self.items, item)?;
        self.items += 1;
        Ok(())
    }
}

fn string(text: &str) -> Raw {
    Raw::from_value(text)
}

fn text_of(members: &Members, name: &str) -> Option<String> {
    members.get_set(name)?.read().ok()
}

/// Where in the response an event belongs.
struct Place<'a> {
    index: usize,
    item: &'a str,
}

impl ResponseEvents {
    fn event(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter)) {
        let mut event = ObjectWriter::with_capacity(256);
        event.string("type", name);
        event.text("sequence_number", &self.sequence.to_string());
        fill(&mut event);
        self.sequence += 1;
        write_event(&mut self.out, Some(name), event.finish().bytes());
    }

    fn placed(&mut self, name: &str, place: &Place<'_>, fill: impl FnOnce(&mut ObjectWriter)) {
        self.event(name, |event| {
            event.string("item_id", place.item);
            event.text("output_index", &place.index.to_string());
            fill(event);
        });
    }

    fn events_of(&mut self, index: usize, item: &Raw) -> Result<(), RawError> {
        let members = item.members()?;
        let kind = text_of(&members, "type").unwrap_or_default();
        let id =
            text_of(&members, "id").or_else(|| text_of(&members, "call_id")).unwrap_or_else(|| format!("item_{index}"));
        let place = Place { index, item: &id };

        let mut begun = members.clone();
        for name in ONLY_WHEN_DONE {
            begun.remove(name);
        }
        match kind.as_str() {
            "message" => {
                begun.set("status", string("in_progress"));
                if members.get("content").is_some_and(Raw::is_array) {
                    begun.set("content", Raw::trusted("[]"));
                }
            }
            "function_call" => {
                begun.set("status", string("in_progress"));
                begun.set("arguments", string(""));
            }
            "reasoning" => begun.set("summary", Raw::trusted("[]")),
            _ => {}
        }
        let begun = begun.to_raw();
        self.event("response.output_item.added", |event| {
            event.text("output_index", &index.to_string());
            event.member("item", &begun);
        });
        match kind.as_str() {
            "message" => self.message(&place, &members)?,
            "function_call" => self.function_call(&place, &members),
            "reasoning" => self.reasoning(&place, &members)?,
            _ => {}
        }
        self.event("response.output_item.done", |event| {
            event.text("output_index", &index.to_string());
            event.member("item", item);
        });
        Ok(())
    }

    fn message(&mut self, place: &Place<'_>, message: &Members) -> Result<(), RawError> {
        let Some(content) = message.get_set("content").filter(|content| content.is_array()) else {
            return Ok(());
        };
        for (index, part) in content.elements()?.iter().enumerate() {
            let members = part.members()?;
            let kind = text_of(&members, "type").unwrap_or_default();
            let (text_field, event_kind) = match kind.as_str() {
                "output_text" => ("text", "output_text"),
                "refusal" => ("refusal", "refusal"),
                _ => ("", ""),
            };
            let mut begun = members.clone();
            if !text_field.is_empty() {
                begun.set(text_field, string(""));
                if event_kind == "output_text" {
                    begun.set("annotations", Raw::trusted("[]"));
                    begun.remove("logprobs");
                }
            }
            let begun = begun.to_raw();
            let content_index = index.to_string();
            self.placed("response.content_part.added", place, |event| {
                event.text("content_index", &content_index);
                event.member("part", &begun);
            });
            if let Some(text) = members.get_set(text_field) {
                for (step, field) in [("delta", "delta"), ("done", text_field)] {
                    self.placed(&format!("response.{event_kind}.{step}"), place, |event| {
                        event.text("content_index", &content_index);
                        event.member(field, text);
                        if event_kind == "output_text" {
                            event.text("logprobs", "[]");
                        }
                    });
                }
            }
            self.placed("response.content_part.done", place, |event| {
                event.text("content_index", &content_index);
                event.member("part", part);
            });
        }
        Ok(())
    }

    fn function_call(&mut self, place: &Place<'_>, call: &Members) {
        let Some(arguments) = call.get_set("arguments") else { return };
        self.placed("response.function_call_arguments.delta", place, |event| event.member("delta", arguments));
        self.placed("response.function_call_arguments.done", place, |event| {
            event.member("arguments", arguments);
            if let Some(name) = call.get_set("name") {
                event.member("name", name);
            }
        });
    }

    fn reasoning(&mut self, place: &Place<'_>, reasoning: &Members) -> Result<(), RawError> {
        let Some(summary) = reasoning.get_set("summary").filter(|summary| summary.is_array()) else {
            return Ok(());
        };
        for (index, part) in summary.elements()?.iter().enumerate() {
            let members = part.members()?;
            let Some(text) = members.get_set("text") else { continue };
            let summary_index = index.to_string();
            let mut begun = members.clone();
            begun.set("text", string(""));
            let begun = begun.to_raw();
            self.placed("response.reasoning_summary_part.added", place, |event| {
                event.text("summary_index", &summary_index);
                event.member("part", &begun);
            });
            for (step, field) in [("delta", "delta"), ("done", "text")] {
                self.placed(&format!("response.reasoning_summary_text.{step}"), place, |event| {
                    event.text("summary_index", &summary_index);
                    event.member(field, text);
                });
            }
            self.placed("response.reasoning_summary_part.done", place, |event| {
                event.text("summary_index", &summary_index);
                event.member("part", part);
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sse::testing::events;

    fn encoded(response: &Value) -> Vec<(String, Value)> {
        events(&encode(Bytes::from(response.to_string())).unwrap())
    }

    #[test]
    fn a_message_comes_piece_by_piece() {
        let part = json!({"type": "output_text", "text": "Hi", "annotations": []});
        let message =
            json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]});
        let response = json!({
            "id": "resp_1", "object": "response", "status": "completed", "output": [message], "usage": {"total_tokens": 3},
        });
        let found = encoded(&response);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.completed",
            ]
        );
        for (index, (name, data)) in found.iter().enumerate() {
            assert_eq!(data["type"], json!(name));
            assert_eq!(data["sequence_number"], json!(index));
        }
        assert_eq!(
            found[0].1["response"],
            json!({"id": "resp_1", "object": "response", "status": "in_progress", "output": [], "usage": null})
        );
        assert_eq!(
            found[2].1["item"],
            json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []})
        );
        assert_eq!(found[3].1["part"], json!({"type": "output_text", "text": "", "annotations": []}));
        assert_eq!(
            found[4].1,
            json!({
                "type": "response.output_text.delta", "sequence_number": 4, "item_id": "msg_1", "output_index": 0,
                "content_index": 0, "delta": "Hi", "logprobs": [],
            })
        );
        assert_eq!(found[5].1["text"], json!("Hi"));
        assert_eq!(found[6].1["part"], part);
        assert_eq!(found[7].1["item"], message);
        assert_eq!(found[8].1["response"], response);
    }

    #[test]
    fn calls_reasoning_and_other_items_have_their_own_events() {
        let response = json!({"output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "function_call_output", "call_id": "c1", "output": "2"},
        ]});
        let found = encoded(&response);
        let names: Vec<_> =
            found[2..found.len() - 1].iter().map(|(name, _)| name.trim_start_matches("response.")).collect();
        assert_eq!(
            names,
            [
                "output_item.added",
                "reasoning_summary_part.added",
                "reasoning_summary_text.delta",
                "reasoning_summary_text.done",
                "reasoning_summary_part.done",
                "output_item.done",
                "output_item.added",
                "function_call_arguments.delta",
                "function_call_arguments.done",
                "output_item.done",
                "output_item.added",
                "output_item.done",
            ]
        );
        assert_eq!(found[9].1["delta"], json!("{\"a\":1}"));
        assert_eq!((&found[9].1["item_id"], &found[9].1["output_index"]), (&json!("c1"), &json!(1)));
        assert_eq!(found[8].1["item"]["arguments"], json!(""));
        assert_eq!(found[10].1["name"], json!("f"));
    }

    #[test]
    fn the_last_event_tells_how_it_ended() {
        for (response, expected) in [
            (json!({"status": "failed", "output": []}), "response.failed"),
            (json!({"status": null, "incomplete_details": {"reason": "max_output_tokens"}}), "response.incomplete"),
            (json!({"status": null, "output": []}), "response.completed"),
        ] {
            let found = encoded(&response);
            assert_eq!(found.last().unwrap().0, expected);
            assert!(found.last().unwrap().1["response"]["status"].is_string());
        }
    }

    #[test]
    fn token_data_comes_once_with_its_item_and_keeps_its_text() {
        let body = r#"{"output":[{"type":"message","id":"m","content":[],"generation_log_probs":[-0.10,-1e-05]}]}"#;
        let stream = encode(Bytes::from(body)).unwrap();
        let text = std::str::from_utf8(&stream).unwrap();
        // Once in `output_item.done` and once in the finished response.
        assert_eq!(text.matches("[-0.10,-1e-05]").count(), 2);
    }

    #[test]
    fn items_that_were_written_before_are_not_written_again() {
        let items = [json!({"type": "message", "id": "a", "content": []}), json!({"type": "x", "id": "b"})];
        let response = json!({"id": "r", "status": "completed", "output": items});
        let mut stream = ResponseEvents::with_capacity(0);
        let response = Raw::from_value(&response);
        stream.begin(&response.members().unwrap());
        stream.item(&Raw::from_value(&items[0])).unwrap();
        let first = stream.take();
        stream.finish(&response).unwrap();
        let whole = [first, stream.take()].concat();
        assert_eq!(whole, encode(response.bytes().clone()).unwrap());
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        assert!(encode(Bytes::from_static(b"[]")).is_err());
        assert!(encode(Bytes::from_static(b"{\"output\":[1]}")).is_err());
    }
}
