// SPDX-License-Identifier: Apache-2.0
//! Chat over `/completions`, for base models: the text of one user message is the prompt.

use gym_protocol::{Members, ObjectWriter, Raw};

use super::prepare::{extra_body, metadata, one_choice, overlay};
use super::settings::VllmSettings;
use crate::chat::request::{ChatRequest, array};
use crate::chat::response::{first_choice, ids_of_texts, same_length};
use crate::chat::{ConvertError, content_text, list, object, string};
use crate::openai::underlay;

/// Chat params that `/completions` knows too. Anything else an engine may know is in `extra_body`.
const SHARED: &[&str] = &[
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "seed",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "response_format",
    "user",
];

/// The body for `/completions`. Only one user message is possible, with one system message before it, in text.
pub(super) fn to_completions(settings: &VllmSettings, chat: &ChatRequest) -> Result<Members, ConvertError> {
    let params = &chat.params;
    if !list(params, "tools").is_empty() {
        return Err(ConvertError::new("tools are not possible with `use_completions_api`"));
    }
    let metadata = metadata(settings, params);
    if ["audio_data", "audio_path", "audio_paths"].iter().any(|name| metadata.get_set(name).is_some()) {
        return Err(ConvertError::new("`use_completions_api` takes text only"));
    }
    let mut body = Members::new();
    body.set("model", Raw::from_value(&settings.model));
    body.set("prompt", Raw::from_value(&prompt(&chat.messages)?));
    for name in SHARED {
        if let Some(value) = params.get_set(name) {
            body.set(name, value.clone());
        }
    }
    if body.get("max_tokens").is_none()
        && let Some(most) = params.get_set("max_completion_tokens")
    {
        body.set("max_tokens", most.clone());
    }
    // A number here: how many alternatives are told. The chosen token always is.
    if let Some(alternatives) = params.get_set("top_logprobs") {
        body.set("logprobs", alternatives.clone());
    } else if settings.return_token_id_information || params.get("logprobs").is_some_and(|on| on.as_str() == "true") {
        body.set("logprobs", Raw::from_value(&0));
    }
    let mut body = underlay(&extra_body(settings, &metadata)?, body);
    if settings.return_token_id_information {
        body.set("return_token_ids", Raw::from_value(&true));
        body.set("return_tokens_as_token_ids", Raw::from_value(&true));
    }
    overlay(&mut body, &settings.sampling_overrides);
    one_choice(settings, &body)?;
    Ok(body)
}

/// The text of a system message, if there is one, and of the user's.
fn prompt(messages: &[Members]) -> Result<String, ConvertError> {
    let roles: Vec<String> = messages.iter().map(|message| string(message, "role").unwrap_or_default()).collect();
    if !matches!(roles.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ["user"] | ["system", "user"]) {
        return Err(ConvertError::new(
            "`use_completions_api` takes one user message, with one system message before it",
        ));
    }
    let mut texts = Vec::new();
    for message in messages {
        let only_text = message.get_set("content").is_some_and(|content| {
            content.elements().map_or(content.is_string(), |parts| {
                parts.iter().all(|part| {
                    part.members().is_ok_and(|part| {
                        matches!(string(&part, "type").as_deref(), None | Some("text" | "input_text"))
                    })
                })
            })
        });
        if !only_text {
            return Err(ConvertError::new("`use_completions_api` takes text only"));
        }
        texts.push(message.get_set("content").map(content_text).unwrap_or_default());
    }
    Ok(texts.join("\n\n"))
}

/// The assistant's message in an answer of `/completions`. With `tokens` it has the token data, but for the ids of the
/// prompt if the engine does not tell them.
pub(super) fn to_message(completion: &Members, tokens: bool) -> Result<Members, ConvertError> {
    let choice = first_choice(completion)?;
    let mut message = Members::new();
    message.set("role", Raw::from_value("assistant"));
    message.set("content", choice.get_set("text").cloned().unwrap_or_else(|| Raw::from_value("")));
    if !tokens {
        return Ok(message);
    }
    let logprobs = object(&choice, "logprobs");
    let told = |name: &str| logprobs.as_ref().and_then(|logprobs| logprobs.get_set(name).cloned());
    let none = || ConvertError::new("the completion has no log probabilities of its tokens");
    message.set("generation_log_probs", told("token_logprobs").ok_or_else(none)?);
    let ids = match choice.get_set("token_ids") {
        Some(ids) => ids.clone(),
        None => {
            let texts: Vec<String> = told("tokens").and_then(|tokens| tokens.read().ok()).ok_or_else(none)?;
            ids_of_texts(texts.iter().map(String::as_str))?
        }
    };
    message.set("generation_token_ids", ids);
    for name in ["prompt_token_ids", "routed_experts"] {
        if let Some(value) = choice.get_set(name) {
            message.set(name, value.clone());
        }
    }
    same_length(&message)?;
    Ok(message)
}

/// An answer of `/completions` as a chat completion with this message.
pub(super) fn to_chat_completion(completion: &Members, message: &Members) -> Result<Members, ConvertError> {
    let finish_reason = first_choice(completion)?.get_set("finish_reason").cloned();
    let mut choice = ObjectWriter::with_capacity(256);
    choice.text("index", "0");
    choice.member("message", &message.to_raw());
    choice.member("finish_reason", &finish_reason.unwrap_or_else(|| Raw::from_value("stop")));
    let mut out = completion.clone();
    out.set("object", Raw::from_value("chat.completion"));
    out.set("choices", array(&[choice.finish()]));
    Ok(out)
}
