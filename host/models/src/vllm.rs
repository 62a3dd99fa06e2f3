// SPDX-License-Identifier: Apache-2.0
//! `vllm_model`: Responses over an engine that speaks Chat Completions, with the token data that training needs.

mod audio;
mod completions;
mod prepare;
mod settings;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Cookie, Model, ModelRoute, Reply, RequestContext, Streamed};
use gym_protocol::{Fault, FaultKind, Members, ModelRequest, Raw, ServerName};
use sha2::{Digest as _, Sha256};

pub use self::settings::{ReasoningField, VllmSettings};

use crate::chat::request::{ChatOptions, ChatRequest, END_OF_THINK, THINK, to_chat};
use crate::chat::response::{
    Collected, ResponseOptions, TokenSource, collect_tokens, empty_completion, first_choice, reasoning_of, to_response,
    with_message,
};
use crate::chat::serve::bad_request;
use crate::chat::{ConvertError, TOKEN_FIELDS, object, string};
use crate::openai::{Endpoint, reply, streamed, underlay, without_streaming};
use crate::outbound::{Answered, Call, Outbound, Policy, Repeat, Upstream};
use crate::secret::Secret;
use crate::settings::{ModelError, Settings};

/// A model server in front of one or several vLLM replicas.
pub struct VllmModel {
    name: ServerName,
    settings: VllmSettings,
    replicas: Vec<Replica>,
    cookie: String,
}

struct Replica {
    upstream: Arc<Upstream>,
    endpoint: Endpoint,
    /// The same without `/v1`, where `/tokenize` is.
    root: Endpoint,
}

/// What the engine is asked.
enum Sent {
    /// Messages.
    Chat(ChatRequest),
    /// The body for `/completions`.
    Text(Members),
}

impl Sent {
    /// All of it but messages.
    fn params(&self) -> &Members {
        match self {
            Self::Chat(chat) => &chat.params,
            Self::Text(body) => body,
        }
    }
}

/// What came of a chat call.
enum Chatted {
    Completion(Members),
    Reply(Reply),
}

/// Why there is no completion.
enum Stop {
    Reply(Reply),
    Fault(Fault),
}

impl From<ConvertError> for Stop {
    fn from(error: ConvertError) -> Self {
        Self::Reply(bad_request(&error.message))
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl VllmModel {
    /// Reads the configuration.
    pub fn new(settings: Settings<'_>, outbound: &Outbound) -> Result<Self, ModelError> {
        let vllm = VllmSettings::read(settings, |name| std::env::var(name).ok())?;
        let key = Secret::new(settings.text("api_key")?.unwrap_or_default());
        let headers = settings.headers("default_headers")?;
        let policy = Policy::read(settings)?;
        let name = settings.server();
        let replicas = vllm
            .base_url
            .iter()
            .map(|url| {
                let url = url.trim_end_matches('/');
                Replica {
                    upstream: outbound.upstream(name, url, policy.clone(), FaultKind::ModelFailed),
                    endpoint: Endpoint::bearer(url, &key, headers.clone()),
                    root: Endpoint::bearer(url.strip_suffix("/v1").unwrap_or(url), &key, headers.clone()),
                }
            })
            .collect();
        Ok(Self { name: name.clone(), settings: vllm, replicas, cookie: format!("VLLMModel___{name}") })
    }

    /// The same over one hosted endpoint.
    pub(crate) fn hosted(
        settings: Settings<'_>,
        hosted: VllmSettings,
        endpoint: Endpoint,
        outbound: &Outbound,
    ) -> Result<Self, ModelError> {
        let name = settings.server();
        let policy = Policy::read(settings)?;
        let upstream = outbound.upstream(name, endpoint.base(), policy, FaultKind::ModelFailed);
        let replicas = vec![Replica { upstream, root: endpoint.clone(), endpoint }];
        Ok(Self { name: name.clone(), settings: hosted, replicas, cookie: format!("VLLMModel___{name}") })
    }

    /// The id of the client's session: that of its cookie, or a new one that is set there.
    fn session(&self, context: &mut RequestContext) -> String {
        if let Some(id) = context.cookies.get(&self.cookie) {
            return id.to_owned();
        }
        let id = uuid::Uuid::new_v4().to_string();
        context.cookies.set(Cookie { name: self.cookie.clone(), value: id.clone() });
        id
    }

    /// Whether the engine will go on writing the last message of the request.
    fn continues(&self, chat: &ChatRequest) -> bool {
        let last = chat.messages.last().and_then(|message| string(message, "role"));
        self.settings.continue_final_assistant_message && last.as_deref() == Some("assistant")
    }

    /// The replica of this session: always the same, so that it finds its prefix in the engine's cache.
    fn replica(&self, context: &mut RequestContext) -> &Replica {
        if let [only] = self.replicas.as_slice() {
            return only;
        }
        &self.replicas[replica_index(&self.session(context), self.replicas.len())]
    }

    /// Makes a request ready for the engine.
    async fn prepared(&self, chat: ChatRequest, context: &mut RequestContext) -> Result<ChatRequest, ConvertError> {
        let mut chat = prepare::prepare(&self.settings, chat)?;
        if self.settings.reads_metadata {
            audio::insert(&mut chat, self.settings.audio_root.as_deref()).await?;
        }
        if self.settings.forward_session_id_as_conversation_id {
            let mut conversation = Members::new();
            conversation.set("conversation_id", Raw::from_value(&self.session(context)));
            chat.params.set("conversation_params", conversation.to_raw());
        }
        Ok(chat)
    }

    /// One chat call, with the token data on the message if it is collected.
    async fn call(&self, chat: ChatRequest, context: &mut RequestContext) -> Result<Chatted, Fault> {
        match self.try_call(chat, context).await {
            Ok(completion) => Ok(Chatted::Completion(completion)),
            Err(Stop::Reply(reply)) => Ok(Chatted::Reply(reply)),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }

    async fn try_call(&self, mut chat: ChatRequest, context: &mut RequestContext) -> Result<Members, Stop> {
        without_streaming(&mut chat.params);
        let sent = if self.settings.use_completions_api {
            Sent::Text(completions::to_completions(&self.settings, &chat)?)
        } else {
            Sent::Chat(self.prepared(chat, context).await?)
        };
        if let Sent::Chat(chat) = &sent
            && !self.settings.sequential_reasoning_allowed
            && ends_in_reasoning(chat)
        {
            return Ok(empty_completion(&self.settings.model, "content_filter", &new_id(), now()));
        }
        let replica = self.replica(context);
        let (path, body) = match &sent {
            Sent::Chat(chat) => ("/chat/completions", chat.to_body()),
            Sent::Text(body) => ("/completions", body.to_raw().bytes().clone()),
        };
        let answered = replica.upstream.post(&replica.endpoint.call(path, body, context), Repeat::Always).await?;
        if answered.status == 400 && !self.settings.propagate_context_overflow_errors && is_overflow(&answered.body) {
            return Ok(empty_completion(&self.settings.model, "length", &new_id(), now()));
        }
        if answered.status != 200 {
            return Err(Stop::Reply(reply(answered)));
        }
        let completion = self.members(&answered)?;
        if matches!(sent, Sent::Text(_)) {
            return self.of_text(&completion, &sent, replica, context).await.map_err(Stop::Fault);
        }
        self.with_tokens(completion, &sent, replica, context).await.map_err(Stop::Fault)
    }

    /// An answer of `/completions` as a chat completion, with the token data if it is wanted.
    async fn of_text(
        &self,
        completion: &Members,
        sent: &Sent,
        replica: &Replica,
        context: &RequestContext,
    ) -> Result<Members, Fault> {
        let tokens = self.settings.return_token_id_information;
        let mut message = completions::to_message(completion, tokens).map_err(|error| self.bad_answer(&error))?;
        if tokens && message.get("prompt_token_ids").is_none() {
            message.set("prompt_token_ids", self.tokenize(sent, replica, context).await?);
        }
        completions::to_chat_completion(completion, &message).map_err(|error| self.bad_answer(&error))
    }

    /// Puts the token data on the message, if it is wanted.
    async fn with_tokens(
        &self,
        completion: Members,
        sent: &Sent,
        replica: &Replica,
        context: &RequestContext,
    ) -> Result<Members, Fault> {
        let choice = first_choice(&completion).map_err(|error| self.bad_answer(&error))?;
        let mut message = object(&choice, "message")
            .ok_or_else(|| self.bad_answer(&ConvertError::new("the completion has no message")))?;
        if !self.settings.return_token_id_information {
            return Ok(completion);
        }
        let source = match message.get("generation_token_ids") {
            Some(_) => TokenSource::Message,
            None => TokenSource::Choice,
        };
        let required = sent.params().get_set("required_prefix_token_ids");
        let tokens = match collect_tokens(&completion).map_err(|error| self.bad_answer(&error))? {
            Collected::Whole(tokens) => {
                if let Some(required) = required
                    && !begins_with(tokens.get("prompt_token_ids"), required)
                {
                    return Err(self.bad_answer(&ConvertError::new("the prompt does not begin with the given tokens")));
                }
                tokens
            }
            Collected::WithoutPrompt(_) if required.is_some() => {
                let text = "the completion does not tell its prompt's tokens, so that the given prefix is not proven";
                return Err(self.bad_answer(&ConvertError::new(text)));
            }
            Collected::WithoutPrompt(mut tokens) => {
                tokens.set("prompt_token_ids", self.tokenize(sent, replica, context).await?);
                tokens
            }
        };
        for name in TOKEN_FIELDS {
            if let Some(value) = tokens.get(name) {
                message.set(name, value.clone());
            }
        }
        with_message(&completion, &message, source).map_err(|error| self.bad_answer(&error))
    }

    /// Asks the engine for the ids of a prompt.
    async fn tokenize(&self, sent: &Sent, replica: &Replica, context: &RequestContext) -> Result<Raw, Fault> {
        let mut body = Members::new();
        body.set("model", Raw::from_value(&self.settings.model));
        let names: &[&str] = match sent {
            Sent::Chat(chat) => {
                body.set("messages", chat.messages_raw());
                &["tools", "chat_template_kwargs", "mm_processor_kwargs", "required_prefix_token_ids"]
            }
            Sent::Text(_) => &["prompt", "add_special_tokens"],
        };
        for name in names {
            if let Some(value) = sent.params().get_set(name) {
                body.set(name, value.clone());
            }
        }
        let call: Call = replica.root.call("/tokenize", body.to_raw().bytes().clone(), context);
        let answered = replica.upstream.post(&call, Repeat::Always).await?;
        let tokens = if answered.status == 200 { self.members(&answered)?.get_set("tokens").cloned() } else { None };
        tokens.filter(Raw::is_array).ok_or_else(|| {
            self.bad_answer(&ConvertError::new(format!("`/tokenize` gave no tokens, but status {}", answered.status)))
        })
    }

    fn members(&self, answered: &Answered) -> Result<Members, Fault> {
        Raw::parse(answered.body.clone())
            .and_then(|body| body.members())
            .map_err(|_| self.bad_answer(&ConvertError::new("the answer is not an object")))
    }

    /// The fault for an answer that breaks the contract.
    fn bad_answer(&self, error: &ConvertError) -> Fault {
        Fault::new(FaultKind::ModelFailed, format!("model server `{}` gave a wrong answer: {error}", self.name))
    }

    /// The body for an engine that has `/responses` itself.
    fn native_body(&self, mut request: ModelRequest) -> Bytes {
        if !self.settings.chat_template_kwargs.is_empty() {
            request.params.set("chat_template_kwargs", self.settings.chat_template_kwargs.to_raw());
        }
        request.params = underlay(&self.settings.extra_body, request.params);
        self.settings.sampling_overrides.iter().for_each(|(name, value)| request.params.set(name, value.clone()));
        request.params.set("model", Raw::from_value(&self.settings.model));
        request.to_body()
    }
}

#[async_trait]
impl Model for VllmModel {
    fn name(&self) -> &ServerName {
        &self.name
    }

    async fn respond(&self, mut request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        if self.settings.is_responses_native {
            without_streaming(&mut request.params);
            let replica = self.replica(context);
            let call = replica.endpoint.call("/responses", self.native_body(request), context);
            return Ok(reply(replica.upstream.post(&call, Repeat::Always).await?));
        }
        let options = ChatOptions {
            strict_tools: self.settings.strict_tools,
            token_data: self.settings.return_token_id_information,
        };
        let chat = match to_chat(&request, options) {
            Ok(chat) => chat,
            Err(error) => return Ok(bad_request(&error.message)),
        };
        let options = ResponseOptions {
            model: &self.settings.model,
            think_tags: self.settings.uses_reasoning_parser,
            continued: self.continues(&chat),
            token_data: self.settings.return_token_id_information,
        };
        let completion = match self.call(chat, context).await? {
            Chatted::Completion(completion) => completion,
            Chatted::Reply(reply) => return Ok(reply),
        };
        let response = to_response(&request.params, &completion, options, &mut new_id, now())
            .map_err(|error| self.bad_answer(&error))?;
        Ok(Reply::ok(response.bytes().clone()))
    }

    async fn chat(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        let chat = match ChatRequest::parse(body) {
            Ok(chat) => chat,
            Err(error) => return Ok(bad_request(&error.message)),
        };
        let continued = self.continues(&chat);
        let completion = match self.call(chat, context).await? {
            Chatted::Completion(completion) => completion,
            Chatted::Reply(reply) => return Ok(reply),
        };
        let completion = if self.settings.uses_reasoning_parser {
            think_in_content(&completion, continued).map_err(|error| self.bad_answer(&error))?
        } else {
            completion
        };
        Ok(Reply::ok(completion.to_raw().bytes().clone()))
    }

    async fn messages(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        if self.settings.reads_metadata {
            crate::messages::through_responses_with_options(self, body, context).await
        } else {
            crate::messages::through_responses(self, body, context).await
        }
    }

    async fn respond_stream(
        &self,
        route: ModelRoute,
        body: &Bytes,
        context: &mut RequestContext,
    ) -> Option<Result<Streamed, Fault>> {
        let (path, body) = match route {
            ModelRoute::Responses if self.settings.is_responses_native => match ModelRequest::parse(body.clone()) {
                Ok(request) => ("/responses", self.native_body(request)),
                Err(_) => return Some(Ok(Streamed::Reply(bad_request("the body is not a JSON object")))),
            },
            // Token data is collected from whole answers only, and a text completion is not a chat stream.
            ModelRoute::Chat
                if !self.settings.return_token_id_information
                    && !self.settings.use_completions_api
                    && self.settings.sequential_reasoning_allowed =>
            {
                let chat = match ChatRequest::parse(body.clone()) {
                    Ok(chat) => self.prepared(chat, context).await,
                    Err(error) => Err(error),
                };
                match chat {
                    Ok(chat) => ("/chat/completions", chat.to_body()),
                    Err(error) => return Some(Ok(Streamed::Reply(bad_request(&error.message)))),
                }
            }
            ModelRoute::Responses | ModelRoute::Chat | ModelRoute::Messages => return None,
        };
        let replica = self.replica(context);
        let opened = replica.upstream.stream(&replica.endpoint.call(path, body, context)).await;
        Some(opened.map(streamed))
    }
}

/// `sha256(session)`, its first eight bytes as a number, modulo the number of replicas.
fn replica_index(session: &str, replicas: usize) -> usize {
    let digest = Sha256::digest(session.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(first) % replicas.max(1) as u64) as usize
}

/// Whether an error says that the prompt is too long.
fn is_overflow(body: &[u8]) -> bool {
    ["context length", "max_tokens"].iter().any(|needle| memchr::memmem::find(body, needle.as_bytes()).is_some())
}

/// Whether the last message is of the assistant, without text and calls.
fn ends_in_reasoning(chat: &ChatRequest) -> bool {
    chat.messages.last().is_some_and(|message| {
        string(message, "role").as_deref() == Some("assistant")
            && message.get_set("content").is_none_or(|content| matches!(content.as_str(), "\"\"" | "[]"))
            && message.get_set("tool_calls").is_none_or(|calls| calls.as_str() == "[]")
    })
}

/// Whether one list of numbers begins with another. The lists may be formatted differently.
fn begins_with(ids: Option<&Raw>, prefix: &Raw) -> bool {
    let read = |raw: &Raw| raw.read::<Vec<u64>>().ok();
    match (ids.and_then(read), read(prefix)) {
        (Some(ids), Some(prefix)) => ids.starts_with(&prefix),
        _ => false,
    }
}

/// Puts the reasoning of a completion before its text, as `<think>…</think>`, as clients of a chat route send it back.
/// What goes on writing a message is text already.
fn think_in_content(completion: &Members, continued: bool) -> Result<Members, ConvertError> {
    let choice = first_choice(completion)?;
    let mut message = object(&choice, "message").unwrap_or_default();
    let Some(reasoning) = reasoning_of(&message) else { return Ok(completion.clone()) };
    let content = string(&message, "content").unwrap_or_default();
    message.remove("reasoning_content");
    message.remove("reasoning");
    let content = if continued { reasoning + &content } else { format!("{THINK}{reasoning}{END_OF_THINK}{content}") };
    message.set("content", Raw::from_value(&content));
    with_message(completion, &message, TokenSource::None)
}

fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests;
