// SPDX-License-Identifier: Apache-2.0
//! A chat request as vLLM gets it.

use gym_protocol::raw::write_array;
use gym_protocol::{Members, Raw};

use super::settings::VllmSettings;
use crate::chat::request::{ChatRequest, array, split_think};
use crate::chat::{ConvertError, object, string};
use crate::openai::underlay;

/// Applies the settings to a request. Audio is not looked at here.
///
/// `metadata.chat_template_kwargs` and `metadata.extra_body` are JSON texts that are read and merged in.
pub(super) fn prepare(settings: &VllmSettings, mut chat: ChatRequest) -> Result<ChatRequest, ConvertError> {
    for message in &mut chat.messages {
        prepare_message(settings, message);
    }
    let metadata = metadata(settings, &chat.params);
    let mut kwargs = settings.chat_template_kwargs.clone();
    let own = object(&chat.params, "chat_template_kwargs").unwrap_or_default();
    let in_metadata = json_text(&metadata, "chat_template_kwargs")?;
    chat.params.remove("chat_template_kwargs");
    if settings.forward_request_chat_template_kwargs {
        overlay(&mut kwargs, &own);
    } else if !own.is_empty() {
        tracing::warn!(model = settings.model, "dropped the chat_template_kwargs of a request");
    }
    overlay(&mut kwargs, &in_metadata);
    if !settings.strict_tools
        && let Some(tools) = chat.params.get_set("tools").map(without_strict)
    {
        chat.params.set("tools", tools);
    }
    let extra_body = extra_body(settings, &metadata)?;

    chat.params.set("model", Raw::from_value(&settings.model));
    if !kwargs.is_empty() {
        chat.params.set("chat_template_kwargs", kwargs.to_raw());
    }
    if chat.params.get("top_logprobs").is_some_and(Raw::is_null) {
        chat.params.remove("top_logprobs");
    }
    if settings.return_token_id_information {
        chat.params.set("logprobs", Raw::from_value(&true));
        chat.params.set("top_logprobs", Raw::from_value(&0));
        chat.params.set("return_tokens_as_token_ids", Raw::from_value(&true));
        if settings.request_prompt_and_generation_token_ids {
            chat.params.set("return_token_ids", Raw::from_value(&true));
        }
    }
    let last_is_assistant =
        chat.messages.last().and_then(|message| string(message, "role")).as_deref() == Some("assistant");
    if settings.continue_final_assistant_message && last_is_assistant {
        chat.params.set("add_generation_prompt", Raw::from_value(&false));
        chat.params.set("continue_final_message", Raw::from_value(&true));
    }
    if settings.supply_prefix_token_ids
        && let Some(prefix) = prefix_ids(&chat.messages)
    {
        chat.params.set("required_prefix_token_ids", prefix);
    }
    chat.params = underlay(&extra_body, chat.params);
    overlay(&mut chat.params, &settings.sampling_overrides);
    one_choice(settings, &chat.params)?;
    Ok(chat)
}

/// The metadata of a request, where it may have options for the engine.
pub(super) fn metadata(settings: &VllmSettings, params: &Members) -> Members {
    if settings.reads_metadata { object(params, "metadata").unwrap_or_default() } else { Members::new() }
}

/// What lies under a body: the configuration's, and over it that in the metadata.
pub(super) fn extra_body(settings: &VllmSettings, metadata: &Members) -> Result<Members, ConvertError> {
    let mut extra_body = settings.extra_body.clone();
    overlay(&mut extra_body, &json_text(metadata, "extra_body")?);
    for fixed in ["messages", "stream", "stream_options"] {
        extra_body.remove(fixed);
    }
    Ok(extra_body)
}

/// Token data is collected of one answer only.
pub(super) fn one_choice(settings: &VllmSettings, body: &Members) -> Result<(), ConvertError> {
    let choices = body.get_set("n").map(Raw::as_str);
    if settings.return_token_id_information && choices.is_some_and(|n| n != "1") {
        return Err(ConvertError::new("token data is collected of one choice only: `n` must be 1"));
    }
    Ok(())
}

fn prepare_message(settings: &VllmSettings, message: &mut Members) {
    let role = string(message, "role").unwrap_or_default();
    if role == "developer" && settings.replace_developer_role_with_system {
        message.set("role", Raw::from_value("system"));
    }
    if role != "assistant" {
        return;
    }
    if !settings.uses_reasoning_parser || settings.preserve_reasoning_in_assistant_content {
        return;
    }
    let Some(content) = message.get_set("content") else { return };
    let Some((reasoning, content)) = without_think(content) else { return };
    message.set("content", content);
    if settings.uses_interleaved_reasoning {
        for name in settings.reasoning_field.names() {
            message.set(name, Raw::from_value(&reasoning));
        }
    }
}

/// The first reasoning in the tags of a content, and the content without any tags; a list of parts stays one.
fn without_think(content: &Raw) -> Option<(String, Raw)> {
    let Ok(parts) = content.elements() else {
        let text: String = content.read().ok()?;
        let (thoughts, rest) = split_think(&text);
        return Some((thoughts.first()?.to_string(), Raw::from_value(&rest)));
    };
    let mut first = None;
    let parts: Vec<Raw> = parts
        .into_iter()
        .map(|part| {
            let Some(mut members) = part.members().ok() else { return part };
            let text = string(&members, "text").unwrap_or_default();
            let (thoughts, rest) = split_think(&text);
            let Some(thought) = thoughts.first() else { return part };
            first.get_or_insert_with(|| thought.to_string());
            members.set("text", Raw::from_value(&rest));
            members.to_raw()
        })
        .collect();
    Some((first?, array(&parts)))
}

/// Tools without `strict`, which vLLM does not know but some chat templates would print.
fn without_strict(tools: &Raw) -> Raw {
    let tools: Vec<Raw> = tools.elements().unwrap_or_default();
    let plain: Vec<Raw> = tools
        .into_iter()
        .map(|tool| {
            let changed = tool.members().ok().and_then(|mut members| {
                let mut function = object(&members, "function")?;
                function.remove("strict")?;
                members.set("function", function.to_raw());
                Some(members.to_raw())
            });
            changed.unwrap_or(tool)
        })
        .collect();
    array(&plain)
}

/// The tokens so far: prompt and answer of the last message that has token data.
fn prefix_ids(messages: &[Members]) -> Option<Raw> {
    let message = messages.iter().rev().find(|message| message.get_set("generation_token_ids").is_some())?;
    let mut ids = message.get_set("prompt_token_ids")?.elements().ok()?;
    ids.extend(message.get_set("generation_token_ids")?.elements().ok()?);
    let mut text = Vec::with_capacity(ids.iter().map(|id| id.bytes().len() + 1).sum::<usize>() + 2);
    write_array(&mut text, &ids);
    Some(Raw::trusted(text))
}

/// Members of a JSON text; none of an empty one.
fn json_text(metadata: &Members, name: &str) -> Result<Members, ConvertError> {
    let wrong = || ConvertError::new(format!("`metadata.{name}` must be the JSON text of an object"));
    let Some(value) = metadata.get_set(name) else { return Ok(Members::new()) };
    let text: String = value.read().map_err(|_| wrong())?;
    if text.is_empty() {
        return Ok(Members::new());
    }
    Raw::parse(text.into()).and_then(|object| object.members()).map_err(|_| wrong())
}

pub(super) fn overlay(members: &mut Members, over: &Members) {
    over.iter().for_each(|(name, value)| members.set(name, value.clone()));
}
