// SPDX-License-Identifier: Apache-2.0
//! What a model answered: a Response object, read only where somebody looks.

use std::{borrow::Cow, cell::OnceCell, ops::Range, rc::Rc};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    failure::Fault,
    json::{elements, pick, read_string},
    text,
};

/// A Response object of the OpenAI Responses API. Its `output` holds the whole transcript of an attempt: messages,
/// reasoning, function calls and their outputs.
///
/// Nothing in it can make reading fail: what is missing, null or of another type is not there, and items of unknown
/// types are [`ItemKind::Other`].
#[derive(Clone, Debug)]
pub struct Response {
    body: Rc<String>,
    span: Range<usize>,
    items: OnceCell<Vec<Spans>>,
}

/// What an output item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// `message`
    Message,
    /// `function_call`
    FunctionCall,
    /// `function_call_output`
    FunctionCallOutput,
    /// `reasoning`
    Reasoning,
    /// Anything else.
    Other,
}

/// Where in the body an item and its members are.
#[derive(Clone, Debug)]
struct Spans {
    kind: ItemKind,
    whole: Range<usize>,
    members: [Option<Range<usize>>; MEMBERS.len()],
}

const MEMBERS: [&str; 7] = ["role", "content", "name", "arguments", "call_id", "output", "summary"];

impl Response {
    /// A Response of this JSON text.
    pub fn new(text: impl Into<String>) -> Self {
        let body = Rc::new(text.into());
        let span = 0..body.len();
        Self { body, span, items: OnceCell::new() }
    }

    /// The Response that is a part of a larger body.
    pub(crate) fn within(body: Rc<String>, span: Range<usize>) -> Self {
        Self { body, span, items: OnceCell::new() }
    }

    /// Puts a Response together, for tests.
    pub fn builder() -> ResponseBuilder {
        ResponseBuilder::default()
    }

    /// The JSON text.
    pub fn json(&self) -> &str {
        &self.body[self.span.clone()]
    }

    /// The JSON text of a member, for example `usage`.
    pub fn member(&self, name: &str) -> Option<&str> {
        let [value] = pick(self.json(), [name]);
        value
    }

    /// Why the model stopped early (`incomplete_details.reason`), for example `max_output_tokens`.
    pub fn incomplete_reason(&self) -> Option<Cow<'_, str>> {
        let [reason] = pick(self.member("incomplete_details")?, ["reason"]);
        read_string(reason?)
    }

    /// The items of `output`, in order.
    pub fn output(&self) -> impl DoubleEndedIterator<Item = Item<'_>> + ExactSizeIterator {
        self.spans().iter().map(|spans| Item { body: &self.body, spans })
    }

    fn spans(&self) -> &[Spans] {
        self.items.get_or_init(|| {
            let start = self.body.as_ptr() as usize;
            // The texts are slices of the body, so their places in it follow from the addresses.
            let span = |text: &str| text.as_ptr() as usize - start..text.as_ptr() as usize - start + text.len();
            let read = |item: &str| {
                let names: [&str; MEMBERS.len() + 1] =
                    std::array::from_fn(|index| if index == 0 { "type" } else { MEMBERS[index - 1] });
                let [kind, members @ ..] = pick(item, names);
                Spans {
                    kind: match kind.and_then(read_string).as_deref() {
                        Some("message") => ItemKind::Message,
                        Some("function_call") => ItemKind::FunctionCall,
                        Some("function_call_output") => ItemKind::FunctionCallOutput,
                        Some("reasoning") => ItemKind::Reasoning,
                        _ => ItemKind::Other,
                    },
                    whole: span(item),
                    members: members.map(|member: Option<&str>| member.map(span)),
                }
            };
            self.member("output").map(|output| elements(output).into_iter().map(read).collect()).unwrap_or_default()
        })
    }

    /// The function calls, in order.
    pub fn function_calls(&self) -> impl DoubleEndedIterator<Item = Item<'_>> {
        self.output().filter(|item| item.kind() == ItemKind::FunctionCall)
    }

    /// The last call of this function.
    pub fn last_call(&self, name: &str) -> Option<Item<'_>> {
        self.function_calls().rev().find(|call| call.name().as_deref() == Some(name))
    }

    /// The assistant's messages, in order.
    pub fn assistant_messages(&self) -> impl DoubleEndedIterator<Item = Item<'_>> {
        self.output().filter(|item| item.kind() == ItemKind::Message && item.role().as_deref() == Some("assistant"))
    }

    /// All text of all messages, joined without a separator: the `output_text` of the OpenAI client.
    ///
    /// A message whose content is a plain string (other than an empty one), or has parts of an input, is a fault, because
    /// the OpenAI client fails on it too.
    pub fn output_text(&self) -> Result<String, Fault> {
        let mut joined = String::new();
        for item in self.output().filter(|item| item.kind() == ItemKind::Message) {
            match item.content() {
                Content::Text(text) if !text.is_empty() => {
                    return Err(Fault::new("a message in `response.output` has a string as content"));
                }
                Content::Parts(parts) if parts.iter().any(Part::is_input) => {
                    return Err(Fault::new("a message in `response.output` has parts of an input as content"));
                }
                Content::Parts(parts) => {
                    parts.iter().filter(|part| part.kind == "output_text").for_each(|part| {
                        joined.push_str(part.text.as_deref().unwrap_or_default());
                    });
                }
                Content::Text(_) | Content::Missing => {}
            }
        }
        Ok(joined)
    }

    /// All text of all messages, joined without a separator, as gymnasium-style servers read it: like
    /// [`output_text`](Self::output_text), but plain strings are text too.
    pub fn message_text(&self) -> Result<String, Fault> {
        let mut joined = String::new();
        for item in self.output().filter(|item| item.kind() == ItemKind::Message) {
            match item.content() {
                Content::Text(text) => joined.push_str(&text),
                Content::Parts(parts) if parts.iter().any(Part::is_input) => {
                    return Err(Fault::new("a message in `response.output` has parts of an input as content"));
                }
                Content::Parts(parts) => {
                    parts.iter().filter_map(Part::output_text).for_each(|text| joined.push_str(text))
                }
                Content::Missing => {}
            }
        }
        Ok(joined)
    }

    /// The text of the first content part of the last output item. None when that item has no content: the attempt then
    /// ended in a call or in reasoning.
    ///
    /// A plain string as content, and a first part without text (a refusal), are faults: graders that take this text fail
    /// on them in NeMo Gym, so there is no reward to be equal to.
    pub fn last_item_text(&self) -> Result<Option<String>, Fault> {
        let Some(last) = self.output().next_back() else { return Ok(None) };
        match last.content() {
            Content::Parts(parts) => match parts.into_iter().next() {
                None => Ok(None),
                Some(Part { text: Some(text), .. }) => Ok(Some(text.into_owned())),
                Some(Part { kind, .. }) => Err(Fault::new(format!(
                    "the last item of `response.output` begins with a `{kind}` part, not with text"
                ))),
            },
            Content::Text(text) if !text.is_empty() => {
                Err(Fault::new("the last item of `response.output` has a string as content"))
            }
            Content::Text(_) | Content::Missing => Ok(None),
        }
    }

    /// The texts of all assistant messages, joined with line breaks, without white space around it.
    pub fn assistant_text(&self) -> String {
        let texts: Vec<String> = self.assistant_messages().flat_map(|message| message.texts()).collect();
        text::strip(&texts.join("\n")).to_owned()
    }

    /// The text of the last assistant message, its parts joined with line breaks, without white space around it. Empty
    /// when there is no such message.
    pub fn last_assistant_text(&self) -> String {
        let texts = self.assistant_messages().next_back().map(|message| message.texts()).unwrap_or_default();
        text::strip(&texts.join("\n")).to_owned()
    }
}

/// One item of `output`.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    body: &'a str,
    spans: &'a Spans,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A plain string, as in messages of users.
    Text(Cow<'a, str>),
    /// A list of parts, as in messages of models.
    Parts(Vec<Part<'a>>),
    /// None, or something that is neither.
    Missing,
}

/// One part of a message's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its type, for example `output_text` or `refusal`; empty when it has none.
    pub kind: Cow<'a, str>,
    /// Its text, if it has one.
    pub text: Option<Cow<'a, str>>,
}

impl Part<'_> {
    /// Its text, if it is one that a model wrote.
    pub fn output_text(&self) -> Option<&str> {
        self.text.as_deref().filter(|_| !self.is_input())
    }

    /// Whether it is a part of an input, such as `input_text`. A model does not write those; graders pass over their text.
    pub fn is_input(&self) -> bool {
        self.kind.starts_with("input_")
    }
}

impl<'a> Item<'a> {
    /// What it is.
    pub fn kind(&self) -> ItemKind {
        self.spans.kind
    }

    /// Its JSON text.
    pub fn json(&self) -> &'a str {
        &self.body[self.spans.whole.clone()]
    }

    fn member(&self, index: usize) -> Option<&'a str> {
        self.spans.members[index].clone().map(|span| &self.body[span])
    }

    fn string(&self, index: usize) -> Option<Cow<'a, str>> {
        self.member(index).and_then(read_string)
    }

    /// Who speaks, in a message.
    pub fn role(&self) -> Option<Cow<'a, str>> {
        self.string(0)
    }

    /// What is said, in a message.
    pub fn content(&self) -> Content<'a> {
        let Some(content) = self.member(1) else { return Content::Missing };
        match content.as_bytes().first() {
            Some(b'"') => read_string(content).map_or(Content::Missing, Content::Text),
            Some(b'[') => Content::Parts(
                elements(content)
                    .into_iter()
                    .map(|part| {
                        let [kind, text] = pick(part, ["type", "text"]);
                        Part { kind: kind.and_then(read_string).unwrap_or_default(), text: text.and_then(read_string) }
                    })
                    .collect(),
            ),
            _ => Content::Missing,
        }
    }

    /// The texts of a message: of every part of an output that has one, or the plain string.
    pub fn texts(&self) -> Vec<String> {
        match self.content() {
            Content::Text(text) => vec![text.into_owned()],
            Content::Parts(parts) => parts.iter().filter_map(Part::output_text).map(str::to_owned).collect(),
            Content::Missing => Vec::new(),
        }
    }

    /// The function's name, in a call.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        self.string(2)
    }

    /// The arguments as the model wrote them, in a call: text that should be JSON.
    pub fn arguments(&self) -> Option<Cow<'a, str>> {
        self.string(3)
    }

    /// Reads the arguments of a call. Fails when they are absent, no JSON, nested too deeply, or do not fit.
    pub fn read_arguments<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.arguments().unwrap_or_default())
    }

    /// What connects a call with its output.
    pub fn call_id(&self) -> Option<Cow<'a, str>> {
        self.string(4)
    }

    /// What the tool answered, in a call's output. A list of content parts gives none.
    pub fn output(&self) -> Option<Cow<'a, str>> {
        self.string(5)
    }

    /// The texts of a reasoning item's summary.
    pub fn summary(&self) -> Vec<String> {
        let parts = self.member(6).map(elements).unwrap_or_default();
        parts.into_iter().filter_map(|part| read_string(pick(part, ["text"])[0]?)).map(Cow::into_owned).collect()
    }
}

/// Puts a Response together, for tests.
///
/// ```
/// use gym_env::Response;
/// use serde_json::json;
///
/// let response = Response::builder()
///     .call("get_weather", json!({"city": "Paris"}))
///     .call_output(json!({"sky": "clear"}))
///     .message("The sky is clear.")
///     .build();
/// assert_eq!(response.output_text().unwrap(), "The sky is clear.");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ResponseBuilder {
    output: Vec<Value>,
    incomplete: Option<String>,
}

impl ResponseBuilder {
    /// Adds a message of the assistant.
    pub fn message(self, text: impl Into<String>) -> Self {
        let id = format!("msg_{}", self.output.len());
        let text: String = text.into();
        self.item(json!({
            "id": id, "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }))
    }

    /// Adds reasoning.
    pub fn reasoning(self, text: impl Into<String>) -> Self {
        let id = format!("rs_{}", self.output.len());
        let text: String = text.into();
        self.item(json!({"id": id, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}))
    }

    /// Adds a function call. Arguments that are a string are used as they are.
    pub fn call(self, name: &str, arguments: Value) -> Self {
        let call_id = format!("call_{}", self.output.len());
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        self.item(json!({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}))
    }

    /// Adds the output of the call before. An output that is a string is used as it is.
    pub fn call_output(self, output: Value) -> Self {
        let call_id = format!("call_{}", self.output.len().saturating_sub(1));
        let output = output.as_str().map_or_else(|| output.to_string(), str::to_owned);
        self.item(json!({"type": "function_call_output", "call_id": call_id, "output": output}))
    }

    /// Adds any item.
    pub fn item(mut self, item: Value) -> Self {
        self.output.push(item);
        self
    }

    /// The model stopped early.
    pub fn incomplete(mut self, reason: impl Into<String>) -> Self {
        self.incomplete = Some(reason.into());
        self
    }

    /// The Response object.
    pub fn build(self) -> Response {
        Response::new(self.to_value().to_string())
    }

    /// The Response object as a JSON value.
    pub fn to_value(&self) -> Value {
        json!({
            "id": "resp_test", "created_at": 0.0, "model": "test", "object": "response", "output": self.output,
            "incomplete_details": self.incomplete.as_ref().map(|reason| json!({"reason": reason})),
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        })
    }
}

impl<'de> Deserialize<'de> for Response {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::AnyJson::deserialize(deserializer).map(|json| Self::new(json.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(output: Value) -> Response {
        Response::new(json!({"output": output}).to_string())
    }

    fn message(role: &str, parts: &[&str]) -> Value {
        let parts: Vec<Value> = parts.iter().map(|text| json!({"type": "output_text", "text": text})).collect();
        json!({"type": "message", "role": role, "content": parts})
    }

    #[test]
    fn the_last_item_gives_its_first_part_or_nothing_or_a_fault() {
        let refusal = json!({"type": "message", "content": [{"type": "refusal", "refusal": "no"}]});
        let call = json!({"type": "function_call", "name": "f", "arguments": "{}"});
        let thought =
            json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]});
        for (items, text) in [
            (json!([]), Some(None)),
            (json!([message("assistant", &["a", "b"])]), Some(Some("a"))),
            (json!([message("assistant", &["a"]), call]), Some(None)),
            (json!([message("assistant", &[])]), Some(None)),
            (json!([thought]), Some(Some("hm"))),
            (json!([refusal]), None),
            (json!([refusal, message("assistant", &["a"])]), Some(Some("a"))),
            (json!([{"type": "message", "role": "user", "content": "go on"}]), None),
            (json!([{"type": "message", "role": "user", "content": ""}]), Some(None)),
        ] {
            assert_eq!(of(items.clone()).last_item_text().ok(), text.map(|text| text.map(str::to_owned)), "{items}");
        }
    }

    #[test]
    fn output_text_joins_all_messages_without_a_separator() {
        let response = of(json!([
            message("assistant", &["a", "b"]),
            {"type": "function_call", "name": "f", "arguments": "{}"},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"type": "message", "role": "user", "content": ""},
            message("assistant", &["c "]),
        ]));
        assert_eq!(response.output_text().unwrap(), "abc ");
        assert!(of(json!([{"type": "message", "role": "user", "content": "hi"}])).output_text().is_err());
    }

    #[test]
    fn the_other_text_rules_differ_in_what_they_take() {
        let last_is_call = of(json!([message("assistant", &[" a", "b"]), {"type": "function_call", "name": "f"}]));
        let two_messages = of(json!([
            message("assistant", &["first"]),
            message("user", &["not mine"]),
            message("assistant", &["x", "y\n"]),
        ]));
        let plain = of(json!([{"type": "message", "role": "assistant", "content": " plain "}]));
        for (response, last_item, all, last) in [
            (last_is_call, None, "a\nb", "a\nb"),
            (two_messages, Some("x"), "first\nx\ny", "x\ny"),
            (plain, None, "plain", "plain"),
            (of(json!([])), None, "", ""),
        ] {
            assert_eq!(response.last_item_text().ok().flatten().as_deref(), last_item);
            assert_eq!(response.assistant_text(), all);
            assert_eq!(response.last_assistant_text(), last);
        }
    }

    #[test]
    fn calls_are_found_by_name_last_first() {
        let response = Response::builder()
            .call("f", json!({"n": 1}))
            .call("g", json!("not json"))
            .call("f", json!({"n": 2}))
            .call_output(json!("done"))
            .reasoning("hm")
            .build();
        assert_eq!(response.function_calls().count(), 3);
        assert_eq!(response.last_call("f").unwrap().arguments().unwrap(), r#"{"n":2}"#);
        assert!(response.last_call("g").unwrap().read_arguments::<Value>().is_err());
        assert!(response.last_call("h").is_none());
        let output = response.output().find(|item| item.kind() == ItemKind::FunctionCallOutput).unwrap();
        assert_eq!(output.output().unwrap(), "done");
        assert_eq!(output.call_id(), response.last_call("f").unwrap().call_id());
        assert_eq!(response.output().next_back().unwrap().summary(), ["hm"]);
    }

    #[test]
    fn no_shape_of_a_response_makes_reading_fail() {
        let deep = format!("{{\"output\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "null",
            "[]",
            "3",
            "",
            "{",
            r#"{"output":null}"#,
            r#"{"output":{"type":"message"}}"#,
            r#"{"output":[null,1,"x",[],{},{"type":null},{"type":3,"role":[]}]}"#,
            r#"{"output":[{"type":"message","role":"assistant","content":null}]}"#,
            r#"{"output":[{"type":"message","role":"assistant","content":[null,{"type":"output_text","text":5}]}]}"#,
            r#"{"output":[{"type":"function_call","name":{"a":1},"arguments":{"not":"text"}}]}"#,
            r#"{"\ud800":1,"output":[]}"#,
            &deep,
        ] {
            let response = Response::new(text);
            assert_eq!(response.output_text().unwrap(), "", "{:.40}", text);
            assert_eq!(response.last_assistant_text(), "");
            assert_eq!(response.last_item_text().ok().flatten(), None);
            assert!(response.last_call("f").is_none());
            assert!(response.incomplete_reason().is_none());
        }
    }

    #[test]
    fn the_reason_of_an_early_stop_is_read() {
        let response = Response::builder().message("x").incomplete("max_output_tokens").build();
        assert_eq!(response.incomplete_reason().unwrap(), "max_output_tokens");
        assert_eq!(response.member("usage"), None);
        assert_eq!(response.member("object"), Some("\"response\""));
    }
}
