// SPDX-License-Identifier: Apache-2.0
//! Create params of the Responses API as a chat request.

use bytes::Bytes;
use gym_protocol::raw::{write_array, write_string};
use gym_protocol::{Members, ModelRequest, ObjectWriter, Raw};

use super::{ConvertError, content_text, copy_token_data, list, object, string};

/// A chat request in pieces.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// Everything but `messages`.
    pub params: Members,
    /// The messages.
    pub messages: Vec<Members>,
}

/// Choices of the conversion.
#[derive(Clone, Copy, Debug)]
pub struct ChatOptions {
    /// Keep `strict` of tools. vLLM does not know it.
    pub strict_tools: bool,
    /// Send token data of earlier turns back to the engine.
    pub token_data: bool,
}

impl ChatRequest {
    /// Splits the body of a chat request.
    pub fn parse(body: Bytes) -> Result<Self, ConvertError> {
        let unreadable = |_| ConvertError::new("the body is not a JSON object");
        let mut params = Raw::parse(body).and_then(|body| body.members()).map_err(unreadable)?;
        let messages = params
            .remove("messages")
            .and_then(|messages| messages.elements().ok())
            .ok_or_else(|| ConvertError::new("`messages` must be a list"))?;
        let messages = messages
            .iter()
            .map(|message| message.members().map_err(|_| ConvertError::new("every message must be an object")))
            .collect::<Result<_, _>>()?;
        Ok(Self { params, messages })
    }

    /// The messages as a JSON array.
    pub fn messages_raw(&self) -> Raw {
        let messages: Vec<Raw> = self.messages.iter().map(Members::to_raw).collect();
        array(&messages)
    }

    /// The whole body, in one buffer.
    pub fn to_body(&self) -> Bytes {
        let size = |members: &Members| {
            members.iter().map(|(name, value)| name.len() + value.bytes().len() + 4).sum::<usize>() + 3
        };
        let mut body = Vec::with_capacity(self.messages.iter().map(size).sum::<usize>() + size(&self.params) + 16);
        body.extend_from_slice(b"{\"messages\":[");
        for (index, message) in self.messages.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.push(b'{');
            for (index, (name, value)) in message.iter().enumerate() {
                if index > 0 {
                    body.push(b',');
                }
                write_member(&mut body, name, value);
            }
            body.push(b'}');
        }
        body.push(b']');
        for (name, value) in self.params.iter() {
            body.push(b',');
            write_member(&mut body, name, value);
        }
        body.push(b'}');
        Bytes::from(body)
    }
}

fn write_member(body: &mut Vec<u8>, name: &str, value: &Raw) {
    write_string(body, name);
    body.push(b':');
    body.extend_from_slice(value.bytes());
}

/// Converts create params. What has no form in Chat Completions is an error, unless it says no more than the default.
///
/// - `instructions` and the system and developer messages at the beginning become one system message, joined by blank
///   lines. Without `instructions` those messages stay what they are.
/// - Items of the model that follow each other become one assistant message: reasoning as `<think>…</think>` in its
///   content, calls as `tool_calls`, with the token data of the last item that has any.
/// - `max_output_tokens`, `reasoning.effort`, `text` and tools are renamed; other params are copied where set.
pub fn to_chat(request: &ModelRequest, options: ChatOptions) -> Result<ChatRequest, ConvertError> {
    let mut chat = ChatRequest { params: chat_params(&request.params, options)?, messages: Vec::new() };
    let mut assistant: Option<Assistant> = None;
    let finish = |assistant: Assistant| assistant.finish(options.token_data);
    for item in &request.input {
        let item = item.members().map_err(|_| ConvertError::new("every input item must be an object"))?;
        let kind = string(&item, "type").unwrap_or_default();
        let role = string(&item, "role").unwrap_or_default();
        match (kind.as_str(), role.as_str()) {
            ("" | "message", "assistant") => assistant.get_or_insert_default().message(&item)?,
            ("reasoning", _) => assistant.get_or_insert_default().reasoning(&item),
            ("function_call" | "custom_tool_call", _) => assistant.get_or_insert_default().call(&kind, &item)?,
            _ => {
                chat.messages.extend(assistant.take().map(finish));
                chat.messages.push(other_message(&kind, &role, &item)?);
            }
        }
    }
    chat.messages.extend(assistant.take().map(finish));
    if let [message] = chat.messages.as_mut_slice()
        && request.is_text
        && let Some(text) = message.remove("content")
    {
        message.set("content", array(&[text_part(&text)]));
    }
    fold_instructions(&mut chat.messages, &request.params);
    Ok(chat)
}

/// Puts `instructions` before everything else, in one message with the system and developer messages that begin the
/// input: many templates know one system message only.
fn fold_instructions(messages: &mut Vec<Members>, params: &Members) {
    let Some(instructions) = string(params, "instructions").filter(|text| !text.is_empty()) else { return };
    let leading = messages
        .iter()
        .take_while(|message| matches!(string(message, "role").as_deref(), Some("system" | "developer")))
        .count();
    let mut texts = vec![instructions];
    texts.extend(
        messages.drain(..leading).map(|message| message.get_set("content").map(content_text).unwrap_or_default()),
    );
    let mut message = Members::new();
    message.set("role", Raw::from_value("system"));
    message.set("content", Raw::from_value(&texts.join("\n\n")));
    messages.insert(0, message);
}

/// A text part of a chat message; `text` is a JSON string.
pub(crate) fn text_part(text: &Raw) -> Raw {
    let mut part = ObjectWriter::with_capacity(text.bytes().len() + 32);
    part.string("type", "text");
    part.member("text", text);
    part.finish()
}

/// Items of the model that will be one message.
#[derive(Default)]
struct Assistant {
    content: String,
    refusal: String,
    calls: Vec<Raw>,
    tokens: Members,
}

impl Assistant {
    fn message(&mut self, item: &Members) -> Result<(), ConvertError> {
        refuse_set(item, "phase", "messages")?;
        if let Some(content) = item.get_set("content") {
            self.content.push_str(&content_text(content));
            for part in content.elements().unwrap_or_default() {
                let refusal = part.members().ok().and_then(|part| string(&part, "refusal"));
                self.refusal.push_str(refusal.as_deref().unwrap_or_default());
            }
        }
        // Chat-style history passes through.
        self.calls.extend(list(item, "tool_calls"));
        self.tokens_of(item);
        Ok(())
    }

    /// The token data of the latest item that has any, as a whole.
    fn tokens_of(&mut self, item: &Members) {
        if item.get_set("prompt_token_ids").is_some() {
            self.tokens = Members::new();
            copy_token_data(item, &mut self.tokens);
        }
    }

    /// Only the summary goes back to the model, each part in tags of its own.
    fn reasoning(&mut self, item: &Members) {
        for part in list(item, "summary") {
            let text = part.members().ok().and_then(|part| string(&part, "text")).unwrap_or_default();
            if !text.is_empty() {
                self.content.push_str(THINK);
                self.content.push_str(&text);
                self.content.push_str(END_OF_THINK);
            }
        }
        self.tokens_of(item);
    }

    fn call(&mut self, kind: &str, item: &Members) -> Result<(), ConvertError> {
        refuse_set(item, "namespace", "function calls")?;
        let text = |name: &str| item.get_set(name).cloned().unwrap_or_else(|| Raw::from_value(""));
        let mut function = Members::new();
        function.set("name", text("name"));
        let (chat_type, payload) =
            if kind == "custom_tool_call" { ("custom", "input") } else { ("function", "arguments") };
        function.set(payload, text(payload));
        let mut call = Members::new();
        call.set("id", text("call_id"));
        call.set("type", Raw::from_value(chat_type));
        call.set(chat_type, function.to_raw());
        self.calls.push(call.to_raw());
        self.tokens_of(item);
        Ok(())
    }

    fn finish(self, token_data: bool) -> Members {
        let mut message = Members::new();
        message.set("role", Raw::from_value("assistant"));
        let content = if self.content.is_empty() { Raw::null() } else { Raw::from_value(&self.content) };
        message.set("content", content);
        if !self.refusal.is_empty() {
            message.set("refusal", Raw::from_value(&self.refusal));
        }
        if !self.calls.is_empty() {
            message.set("tool_calls", array(&self.calls));
        }
        // Engines splice the tokens of a prefix.
        if token_data {
            copy_token_data(&self.tokens, &mut message);
        }
        message
    }
}

/// The tag before a model's reasoning.
pub const THINK: &str = "<think>";
/// The tag after it.
pub const END_OF_THINK: &str = "</think>";

/// What stands in `<think>…</think>` in a content, in order, and the content without it. A tag that is not closed is
/// text.
pub fn split_think(content: &str) -> (Vec<&str>, String) {
    let (mut thoughts, mut rest, mut tail) = (Vec::new(), String::new(), content);
    while let Some((before, inner)) = tail.split_once(THINK)
        && let Some((thought, after)) = inner.split_once(END_OF_THINK)
    {
        thoughts.push(thought);
        rest.push_str(before);
        tail = after;
    }
    rest.push_str(tail);
    (thoughts, rest)
}

/// Messages of others, and outputs of tools.
fn other_message(kind: &str, role: &str, item: &Members) -> Result<Members, ConvertError> {
    let mut message = Members::new();
    match (kind, role) {
        ("function_call_output" | "custom_tool_call_output", _) => {
            message.set("role", Raw::from_value("tool"));
            message.set("tool_call_id", item.get_set("call_id").cloned().unwrap_or_else(|| Raw::from_value("")));
            message.set("content", chat_content(item.get_set("output"))?);
        }
        ("" | "message", "user" | "system" | "developer") => {
            refuse_set(item, "phase", "messages")?;
            message.set("role", Raw::from_value(role));
            message.set("content", chat_content(item.get_set("content"))?);
        }
        // An item without a type is not read: it may be a chat message already.
        ("", _) if !role.is_empty() => return Ok(item.clone()),
        ("", _) => return Err(ConvertError::new("an input item has neither `type` nor `role`")),
        (kind, _) => {
            return Err(ConvertError::new(format!("input items of type `{kind}` have no form in Chat Completions")));
        }
    }
    Ok(message)
}

fn chat_content(content: Option<&Raw>) -> Result<Raw, ConvertError> {
    let Some(content) = content else { return Ok(Raw::from_value("")) };
    match content.elements() {
        Ok(parts) => Ok(array(&parts.iter().map(chat_part).collect::<Result<Vec<_>, _>>()?)),
        Err(_) => Ok(content.clone()),
    }
}

fn chat_part(part: &Raw) -> Result<Raw, ConvertError> {
    let members = part.members().map_err(|_| ConvertError::new("every content part must be an object"))?;
    let mut out = Members::new();
    match string(&members, "type").as_deref() {
        Some("input_text" | "output_text") => {
            out.set("type", Raw::from_value("text"));
            out.set("text", members.get_set("text").cloned().unwrap_or_else(|| Raw::from_value("")));
        }
        Some("input_image") => {
            let url = members
                .get_set("image_url")
                .ok_or_else(|| ConvertError::new("images by file id have no form in Chat Completions"))?;
            let mut image = if url.is_object() { url.members().unwrap_or_default() } else { Members::new() };
            if image.is_empty() {
                image.set("url", url.clone());
            }
            if image.get_set("detail").is_none() {
                image.set("detail", members.get_set("detail").cloned().unwrap_or_else(|| Raw::from_value("auto")));
            }
            out.set("type", Raw::from_value("image_url"));
            out.set("image_url", image.to_raw());
        }
        Some(kind @ ("input_video" | "input_audio")) if members.get_set("input_audio").is_none() => {
            let name = if kind == "input_video" { "video_url" } else { "audio_url" };
            let url = members
                .get_set(name)
                .ok_or_else(|| ConvertError::new(format!("a part of type `{kind}` has no `{name}`")))?;
            let mut nested = if url.is_object() { url.members().unwrap_or_default() } else { Members::new() };
            if nested.is_empty() {
                nested.set("url", url.clone());
            }
            out.set("type", Raw::from_value(name));
            out.set(name, nested.to_raw());
        }
        Some("input_file") => {
            let mut file = Members::new();
            for name in ["file_id", "file_data", "filename"] {
                if let Some(value) = members.get_set(name) {
                    file.set(name, value.clone());
                }
            }
            if file.get("file_data").is_none() && file.get("file_id").is_none() {
                return Err(ConvertError::new("files by URL have no form in Chat Completions"));
            }
            out.set("type", Raw::from_value("file"));
            out.set("file", file.to_raw());
        }
        // Chat parts pass through: `text`, `image_url`, `input_audio` with its data, and what the engine knows besides.
        _ => return Ok(part.clone()),
    }
    Ok(out.to_raw())
}

/// Params without a chat form, with the value that says nothing.
const NO_CHAT_FORM: &[(&str, &str)] = &[
    ("background", "false"),
    ("context_management", "[]"),
    ("conversation", "null"),
    ("include", "[]"),
    ("max_tool_calls", "null"),
    ("previous_response_id", "null"),
    ("prompt", "null"),
    ("truncation", "\"disabled\""),
];

fn chat_params(params: &Members, options: ChatOptions) -> Result<Members, ConvertError> {
    for (name, nothing) in NO_CHAT_FORM {
        if params.get_set(name).is_some_and(|value| value.as_str() != *nothing) {
            return Err(ConvertError::new(format!("`{name}` has no form in Chat Completions")));
        }
    }
    let tools = list(params, "tools");
    let mut chat = Members::new();
    for (name, value) in params.iter() {
        if value.is_null() || NO_CHAT_FORM.iter().any(|(known, _)| *known == name) {
            continue;
        }
        match name {
            "instructions" | "input" | "stream" | "stream_options" => {}
            "max_output_tokens" => chat.set("max_tokens", value.clone()),
            "reasoning" => {
                let reasoning = value.members().map_err(|_| ConvertError::new("`reasoning` must be an object"))?;
                for (key, value) in reasoning.iter().filter(|(_, value)| !value.is_null()) {
                    if key != "effort" {
                        return Err(ConvertError::new(format!("`reasoning.{key}` has no form in Chat Completions")));
                    }
                    chat.set("reasoning_effort", value.clone());
                }
            }
            "text" => text_params(&mut chat, value)?,
            "tools" => {
                if !tools.is_empty() {
                    let mut out = Vec::with_capacity(tools.len());
                    for tool in &tools {
                        push_tool(&mut out, tool, "", options)?;
                    }
                    chat.set("tools", array(&out));
                }
            }
            "tool_choice" if tools.is_empty() => {
                if !matches!(value.as_str(), "\"auto\"" | "\"none\"") {
                    return Err(ConvertError::new("`tool_choice` asks for a tool, but there are no tools"));
                }
            }
            "tool_choice" => chat.set("tool_choice", tool_choice(value)?),
            "parallel_tool_calls" if tools.is_empty() => {}
            _ => chat.set(name, value.clone()),
        }
    }
    Ok(chat)
}

fn text_params(chat: &mut Members, text: &Raw) -> Result<(), ConvertError> {
    let text = text.members().map_err(|_| ConvertError::new("`text` must be an object"))?;
    if let Some(verbosity) = text.get_set("verbosity") {
        chat.set("verbosity", verbosity.clone());
    }
    let Some(format) = object(&text, "format") else { return Ok(()) };
    match string(&format, "type").as_deref() {
        None | Some("text") => {}
        Some("json_schema") => {
            let mut schema = format;
            schema.remove("type");
            let schema: Members = schema
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect();
            let mut out = Members::new();
            out.set("type", Raw::from_value("json_schema"));
            out.set("json_schema", schema.to_raw());
            chat.set("response_format", out.to_raw());
        }
        Some("json_object") => chat.set("response_format", format.to_raw()),
        Some(other) => {
            return Err(ConvertError::new(format!("the text format `{other}` has no form in Chat Completions")));
        }
    }
    Ok(())
}

/// One tool, or all tools of a namespace with its name before theirs.
fn push_tool(out: &mut Vec<Raw>, tool: &Raw, prefix: &str, options: ChatOptions) -> Result<(), ConvertError> {
    let tool = tool.members().map_err(|_| ConvertError::new("every tool must be an object"))?;
    if tool.get_set("defer_loading").is_some_and(|value| value.as_str() == "true") {
        return Err(ConvertError::new("deferred tools have no form in Chat Completions"));
    }
    let kind = string(&tool, "type").unwrap_or_default();
    let named = |name: &str| tool.get_set(name).cloned();
    let mut nested = Members::new();
    match kind.as_str() {
        // Already in the chat form.
        "function" if tool.get_set("function").is_some() => {
            out.push(tool.to_raw());
            return Ok(());
        }
        "function" => {
            let name = string(&tool, "name").unwrap_or_default();
            nested.set("name", Raw::from_value(&format!("{prefix}{name}")));
            for name in ["description", "parameters"] {
                if let Some(value) = named(name) {
                    nested.set(name, value);
                }
            }
            if let Some(strict) = named("strict").filter(|_| options.strict_tools) {
                nested.set("strict", strict);
            }
        }
        "custom" => {
            for name in ["name", "description"] {
                if let Some(value) = named(name) {
                    nested.set(name, value);
                }
            }
            if let Some(format) = object(&tool, "format") {
                nested.set("format", custom_format(format));
            }
        }
        "namespace" if prefix.is_empty() => {
            let prefix = format!("{}__", string(&tool, "name").unwrap_or_default());
            return list(&tool, "tools").iter().try_for_each(|tool| push_tool(out, tool, &prefix, options));
        }
        other => {
            return Err(ConvertError::new(format!("tools of type `{other}` have no form in Chat Completions")));
        }
    }
    let mut chat = Members::new();
    chat.set("type", Raw::from_value(&kind));
    chat.set(&kind, nested.to_raw());
    out.push(chat.to_raw());
    Ok(())
}

/// The format of a custom tool's input: chat nests a grammar.
fn custom_format(mut format: Members) -> Raw {
    if string(&format, "type").as_deref() != Some("grammar") || format.get_set("grammar").is_some() {
        return format.to_raw();
    }
    format.remove("type");
    let mut out = Members::new();
    out.set("type", Raw::from_value("grammar"));
    out.set("grammar", format.to_raw());
    out.to_raw()
}

fn tool_choice(choice: &Raw) -> Result<Raw, ConvertError> {
    if choice.is_string() {
        return Ok(choice.clone());
    }
    let members = choice.members().map_err(|_| ConvertError::new("`tool_choice` must be a text or an object"))?;
    let kind = string(&members, "type").unwrap_or_default();
    let mut nested = Members::new();
    match kind.as_str() {
        "function" if members.get_set("function").is_some() => return Ok(choice.clone()),
        "function" | "custom" => {
            nested.set("name", members.get_set("name").cloned().unwrap_or_else(|| Raw::from_value("")));
        }
        "allowed_tools" => {
            nested.set("mode", members.get_set("mode").cloned().unwrap_or_else(|| Raw::from_value("auto")));
            let tools = list(&members, "tools");
            let tools = tools.iter().map(tool_choice).collect::<Result<Vec<_>, _>>()?;
            nested.set("tools", array(&tools));
        }
        other => {
            return Err(ConvertError::new(format!("a tool choice of type `{other}` has no form in Chat Completions")));
        }
    }
    let mut out = Members::new();
    out.set("type", Raw::from_value(&kind));
    out.set(&kind, nested.to_raw());
    Ok(out.to_raw())
}

fn refuse_set(item: &Members, name: &str, of: &str) -> Result<(), ConvertError> {
    match item.get_set(name) {
        Some(_) => Err(ConvertError::new(format!("`{name}` of {of} has no form in Chat Completions"))),
        None => Ok(()),
    }
}

/// A JSON array of these values.
pub(crate) fn array(values: &[Raw]) -> Raw {
    let mut text = Vec::with_capacity(values.iter().map(|value| value.bytes().len() + 1).sum::<usize>() + 2);
    write_array(&mut text, values);
    Raw::trusted(text)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
