// SPDX-License-Identifier: Apache-2.0
//! Anthropic Messages: the request turned into create params of the Responses API, the Response turned into a message.
//!
//! Token data has no place in this dialect and is left out.

use bytes::Bytes;
use gym_agents::{Model, Reply, RequestContext};
use gym_protocol::raw::write_array;
use gym_protocol::{Fault, Members, ModelRequest, ObjectWriter, Raw};

use crate::chat::request::array;
use crate::chat::{ConvertError, content_text, list, object, string};

/// Answers a Messages request through [`Model::respond`]. Options without a form in the Responses API are dropped.
pub(crate) async fn through_responses(
    model: &(impl Model + ?Sized),
    body: Bytes,
    context: &mut RequestContext,
) -> Result<Reply, Fault> {
    answer(model, to_model_request(body, false), context).await
}

/// The same for models that find such options in `metadata.extra_body`.
pub(crate) async fn through_responses_with_options(
    model: &(impl Model + ?Sized),
    body: Bytes,
    context: &mut RequestContext,
) -> Result<Reply, Fault> {
    answer(model, to_model_request(body, true), context).await
}

async fn answer(
    model: &(impl Model + ?Sized),
    request: Result<ModelRequest, ConvertError>,
    context: &mut RequestContext,
) -> Result<Reply, Fault> {
    let request = match request {
        Ok(request) => request,
        Err(error) => return Ok(Reply::new(400, error_body(400, &error.message).bytes().clone())),
    };
    let asked_for = request.params.get_set("model").cloned();
    let reply = model.respond(request, context).await?;
    let members = Raw::parse(reply.body.clone()).and_then(|body| body.members());
    Ok(match (reply.status, members) {
        (200, Ok(response)) => Reply::ok(to_message(&response, asked_for.as_ref()).bytes().clone()),
        (status, members) => {
            let message = members.ok().and_then(|body| error_text(&body));
            let message = message.unwrap_or_else(|| format!("the model server answered with status {status}"));
            Reply { body: error_body(status, &message).bytes().clone(), ..reply }
        }
    })
}

/// The message of an error body in OpenAI's or FastAPI's form.
fn error_text(body: &Members) -> Option<String> {
    object(body, "error").and_then(|error| string(&error, "message")).or_else(|| string(body, "detail"))
}

/// An error in Anthropic's form.
pub fn error_body(status: u16, message: &str) -> Raw {
    let kind = match status {
        400 | 422 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    let mut error = ObjectWriter::with_capacity(message.len() + 64);
    error.string("type", kind);
    error.string("message", message);
    let mut body = ObjectWriter::with_capacity(message.len() + 96);
    body.string("type", "error");
    body.member("error", &error.finish());
    body.finish()
}

/// A Messages request as create params. With `options`, `stop_sequences` and `top_k` go into `metadata.extra_body`, where
/// engines find what the Responses API has no form for.
pub fn to_model_request(body: Bytes, options: bool) -> Result<ModelRequest, ConvertError> {
    let body = Raw::parse(body)
        .and_then(|body| body.members())
        .map_err(|_| ConvertError::new("the body is not a JSON object"))?;
    let messages = body
        .get_set("messages")
        .and_then(|messages| messages.elements().ok())
        .ok_or_else(|| ConvertError::new("`messages` must be a list"))?;
    let mut request = ModelRequest::default();
    if let Some(system) = body.get_set("system").map(lines_of).filter(|text| !text.is_empty()) {
        request.params.set("instructions", Raw::from_value(&system));
    }
    for (from, to) in
        [("model", "model"), ("max_tokens", "max_output_tokens"), ("temperature", "temperature"), ("top_p", "top_p")]
    {
        if let Some(value) = body.get_set(from) {
            request.params.set(to, value.clone());
        }
    }
    let mut extra = Members::new();
    for (from, to) in [("stop_sequences", "stop"), ("top_k", "top_k")] {
        if let Some(value) = body.get_set(from).filter(|value| value.as_str() != "[]") {
            extra.set(to, value.clone());
        }
    }
    if options && !extra.is_empty() {
        let mut metadata = Members::new();
        metadata.set("extra_body", Raw::from_value(extra.to_raw().as_str()));
        request.params.set("metadata", metadata.to_raw());
    }
    if let Some(user) = object(&body, "metadata").and_then(|metadata| metadata.get_set("user_id").cloned()) {
        request.params.set("user", user);
    }
    if let Some(effort) = object(&body, "output_config").and_then(|config| config.get_set("effort").cloned()) {
        let mut reasoning = ObjectWriter::with_capacity(32);
        reasoning.member("effort", &effort);
        request.params.set("reasoning", reasoning.finish());
    }
    if body.get_set("tools").is_some() {
        let tools = list(&body, "tools").iter().map(tool).collect::<Result<Vec<_>, _>>()?;
        request.params.set("tools", array(&tools));
    }
    if let Some(choice) = object(&body, "tool_choice") {
        tool_choice(&mut request.params, &choice)?;
    }
    for message in &messages {
        let message = message.members().map_err(|_| ConvertError::new("every message must be an object"))?;
        push_message(&mut request.input, &message)?;
    }
    Ok(request)
}

/// A text, or the texts of blocks as lines; empty ones make no line.
fn lines_of(value: &Raw) -> String {
    match value.elements() {
        Ok(blocks) => {
            let texts = blocks.iter().filter_map(|block| string(&block.members().ok()?, "text"));
            texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
        }
        Err(_) => content_text(value),
    }
}

/// Any tool is a function: also one that Anthropic's servers would run, which a client then answers itself.
fn tool(tool: &Raw) -> Result<Raw, ConvertError> {
    let tool = tool.members().map_err(|_| ConvertError::new("every tool must be an object"))?;
    if tool.get_set("name").is_none() {
        return Err(ConvertError::new("every tool must have a `name`"));
    }
    let mut out = Members::new();
    out.set("type", Raw::from_value("function"));
    for (from, to) in [("name", "name"), ("description", "description"), ("input_schema", "parameters")] {
        if let Some(value) = tool.get_set(from) {
            out.set(to, value.clone());
        }
    }
    if out.get("parameters").is_none() {
        out.set("parameters", Raw::trusted(&br#"{"type":"object","properties":{}}"#[..]));
    }
    out.set("strict", Raw::from_value(&false));
    Ok(out.to_raw())
}

fn tool_choice(params: &mut Members, choice: &Members) -> Result<(), ConvertError> {
    let value = match string(choice, "type").as_deref() {
        Some(kind @ ("auto" | "none")) => Raw::from_value(kind),
        Some("any") => Raw::from_value("required"),
        Some("tool") => {
            let mut out = ObjectWriter::with_capacity(64);
            out.string("type", "function");
            out.member("name", &choice.get_set("name").cloned().unwrap_or_else(|| Raw::from_value("")));
            out.finish()
        }
        _ => return Err(ConvertError::new("`tool_choice.type` must be `auto`, `any`, `tool` or `none`")),
    };
    params.set("tool_choice", value);
    if choice.get_set("disable_parallel_tool_use").is_some_and(|value| value.as_str() == "true") {
        params.set("parallel_tool_calls", Raw::from_value(&false));
    }
    Ok(())
}

fn push_message(input: &mut Vec<Raw>, message: &Members) -> Result<(), ConvertError> {
    let role = string(message, "role").unwrap_or_default();
    if !matches!(role.as_str(), "user" | "assistant" | "system") {
        return Err(ConvertError::new("the `role` of a message must be `user` or `assistant`"));
    }
    let content = message.get_set("content").ok_or_else(|| ConvertError::new("every message must have a `content`"))?;
    let Ok(blocks) = content.elements() else {
        input.push(easy_message(&role, &content_text(content)));
        return Ok(());
    };
    let mut parts = Vec::new();
    for block in &blocks {
        let block = block.members().map_err(|_| ConvertError::new("every content block must be an object"))?;
        let kind = string(&block, "type").unwrap_or_default();
        match kind.as_str() {
            "text" => parts.push(text_part(&role, &string(&block, "text").unwrap_or_default())),
            "image" => parts.push(image_part(&block)?),
            "document" => parts.push(document_part(&block)?),
            "tool_result" => {
                flush(input, &role, &mut parts);
                input.push(tool_result(&block)?);
            }
            "tool_use" => {
                flush(input, &role, &mut parts);
                input.push(tool_use(&block));
            }
            "thinking" => {
                flush(input, &role, &mut parts);
                input.push(reasoning(&block));
            }
            // Unreadable for any other model.
            "redacted_thinking" => {}
            other => {
                return Err(ConvertError::new(format!(
                    "content blocks of type `{other}` have no form in the Responses API"
                )));
            }
        }
    }
    flush(input, &role, &mut parts);
    Ok(())
}

fn flush(input: &mut Vec<Raw>, role: &str, parts: &mut Vec<Raw>) {
    let only_text = match parts.as_slice() {
        [part] => part.members().ok().and_then(|part| string(&part, "text")),
        _ => None,
    };
    match only_text {
        Some(text) => input.push(easy_message(role, &text)),
        None if parts.is_empty() => {}
        None => input.push(message_item(role, std::mem::take(parts))),
    }
    parts.clear();
}

/// A message whose content is one text.
fn easy_message(role: &str, text: &str) -> Raw {
    let mut item = ObjectWriter::with_capacity(text.len() + 64);
    item.string("role", role);
    item.string("content", text);
    item.string("type", "message");
    item.finish()
}

fn message_item(role: &str, parts: Vec<Raw>) -> Raw {
    let mut item = Members::new();
    if role == "assistant" {
        item.set("id", Raw::from_value("msg_history"));
        item.set("status", Raw::from_value("completed"));
    }
    item.set("role", Raw::from_value(role));
    item.set("content", array(&parts));
    item.set("type", Raw::from_value("message"));
    item.to_raw()
}

fn text_part(role: &str, text: &str) -> Raw {
    let mut part = ObjectWriter::with_capacity(text.len() + 64);
    if role == "assistant" {
        part.text("annotations", "[]");
    }
    part.string("text", text);
    part.string("type", if role == "assistant" { "output_text" } else { "input_text" });
    part.finish()
}

/// A `source` as a URL: itself, or a data URI.
fn source_url(block: &Members) -> Result<String, ConvertError> {
    let source = object(block, "source").unwrap_or_default();
    match string(&source, "type").as_deref() {
        Some("base64") => {
            let kind = string(&source, "media_type").unwrap_or_default();
            Ok(format!("data:{kind};base64,{}", string(&source, "data").unwrap_or_default()))
        }
        Some("url") => Ok(string(&source, "url").unwrap_or_default()),
        _ => Err(ConvertError::new("the `source` of an image or a document must be of type `base64` or `url`")),
    }
}

fn image_part(block: &Members) -> Result<Raw, ConvertError> {
    let mut part = ObjectWriter::with_capacity(128);
    part.string("type", "input_image");
    part.string("image_url", &source_url(block)?);
    part.string("detail", "auto");
    Ok(part.finish())
}

fn document_part(block: &Members) -> Result<Raw, ConvertError> {
    let url = source_url(block)?;
    let mut part = ObjectWriter::with_capacity(url.len() + 64);
    part.string("type", "input_file");
    part.string(if url.starts_with("data:") { "file_data" } else { "file_url" }, &url);
    if let Some(title) = block.get_set("title") {
        part.member("filename", title);
    }
    Ok(part.finish())
}

fn tool_result(block: &Members) -> Result<Raw, ConvertError> {
    let output = match block.get_set("content") {
        None => Raw::from_value(""),
        Some(text) if text.is_string() => text.clone(),
        Some(content) => {
            let blocks = content.elements().unwrap_or_default();
            let blocks: Vec<Members> = blocks.iter().filter_map(|block| block.members().ok()).collect();
            let only_text = blocks.iter().all(|block| string(block, "type").as_deref() == Some("text"));
            if only_text {
                Raw::from_value(&lines_of(content))
            } else {
                let parts = blocks.iter().map(|block| match string(block, "type").as_deref() {
                    Some("text") => Ok(text_part("user", &string(block, "text").unwrap_or_default())),
                    Some("image") => image_part(block),
                    _ => Err(ConvertError::new("results of tools must be texts and images")),
                });
                array(&parts.collect::<Result<Vec<_>, _>>()?)
            }
        }
    };
    let mut item = Members::new();
    item.set("type", Raw::from_value("function_call_output"));
    item.set("call_id", block.get_set("tool_use_id").cloned().unwrap_or_else(|| Raw::from_value("")));
    item.set("output", output);
    Ok(item.to_raw())
}

fn tool_use(block: &Members) -> Raw {
    let arguments = block.get_set("input").map_or("{}", Raw::as_str);
    let mut item = Members::new();
    item.set("arguments", Raw::from_value(arguments));
    item.set("call_id", block.get_set("id").cloned().unwrap_or_else(|| Raw::from_value("")));
    item.set("name", block.get_set("name").cloned().unwrap_or_else(|| Raw::from_value("")));
    item.set("type", Raw::from_value("function_call"));
    item.to_raw()
}

/// A thought of an earlier turn. Its signature is what the Responses API calls encrypted content.
fn reasoning(block: &Members) -> Raw {
    let text = string(block, "thinking").unwrap_or_default();
    let mut part = ObjectWriter::with_capacity(text.len() + 40);
    part.string("text", &text);
    part.string("type", "summary_text");
    let mut item = Members::new();
    item.set("id", Raw::from_value("rs_history"));
    item.set("summary", array(&[part.finish()]));
    if let Some(signature) = block.get_set("signature").filter(|signature| signature.as_str() != "\"\"") {
        item.set("encrypted_content", signature.clone());
    }
    item.set("type", Raw::from_value("reasoning"));
    item.to_raw()
}

/// A Response as a message. Its id is that of the Response, its model the one that was asked for. `input_tokens` are all
/// of the prompt, cached ones among them.
pub fn to_message(response: &Members, asked_for: Option<&Raw>) -> Raw {
    let mut blocks: Vec<Raw> = Vec::new();
    let mut stop = "end_turn";
    for item in list(response, "output") {
        let Ok(item) = item.members() else { continue };
        match string(&item, "type").as_deref() {
            Some("reasoning") => {
                let signature = string(&item, "encrypted_content").unwrap_or_default();
                for summary in list(&item, "summary") {
                    let text = summary.members().ok().and_then(|summary| string(&summary, "text"));
                    let mut block = ObjectWriter::with_capacity(256);
                    block.string("type", "thinking");
                    block.string("thinking", &text.unwrap_or_default());
                    block.string("signature", &signature);
                    blocks.push(block.finish());
                }
            }
            Some("message") => {
                for part in list(&item, "content") {
                    let Ok(part) = part.members() else { continue };
                    let refusal = string(&part, "refusal");
                    if refusal.is_some() {
                        stop = "refusal";
                    }
                    let text = string(&part, "text").or(refusal).unwrap_or_default();
                    let mut block = ObjectWriter::with_capacity(text.len() + 40);
                    block.string("type", "text");
                    block.string("text", &text);
                    blocks.push(block.finish());
                }
            }
            Some("function_call") => {
                stop = "tool_use";
                blocks.push(tool_use_block(&item));
            }
            _ => {}
        }
    }
    match object(response, "incomplete_details").and_then(|details| string(&details, "reason")).as_deref() {
        Some("content_filter") => stop = "refusal",
        Some(_) => stop = "max_tokens",
        None => {}
    }
    let usage = object(response, "usage").unwrap_or_default();
    let count = |members: &Members, name: &str| members.get_set(name).map_or("0", Raw::as_str).to_owned();
    let mut counts = ObjectWriter::with_capacity(128);
    counts.text("input_tokens", &count(&usage, "input_tokens"));
    counts.text("output_tokens", &count(&usage, "output_tokens"));

    let mut out = ObjectWriter::with_capacity(512);
    out.member("id", &response.get_set("id").cloned().unwrap_or_else(|| Raw::from_value("")));
    out.string("type", "message");
    out.string("role", "assistant");
    let model = asked_for.or_else(|| response.get_set("model"));
    out.member("model", &model.cloned().unwrap_or_else(|| Raw::from_value("")));
    write_array(out.name("content"), &blocks);
    out.string("stop_reason", stop);
    out.text("stop_sequence", "null");
    out.member("usage", &counts.finish());
    out.finish()
}

fn tool_use_block(item: &Members) -> Raw {
    let arguments = string(item, "arguments").unwrap_or_default();
    let input = match Raw::parse(Bytes::from(arguments.clone())) {
        Ok(input) if input.is_object() => input,
        _ if arguments.trim().is_empty() => Raw::trusted(&b"{}"[..]),
        // This dialect has objects only: the client sees what the model wrote, and its own check refuses it.
        _ => {
            let mut input = ObjectWriter::with_capacity(arguments.len() + 32);
            input.string("invalid_arguments", &arguments);
            input.finish()
        }
    };
    let mut block = ObjectWriter::with_capacity(128);
    block.string("type", "tool_use");
    block.member("id", &item.get_set("call_id").cloned().unwrap_or_else(|| Raw::from_value("")));
    block.member("name", &item.get_set("name").cloned().unwrap_or_else(|| Raw::from_value("")));
    block.member("input", &input);
    block.finish()
}

#[cfg(test)]
mod tests;
