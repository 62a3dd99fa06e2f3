// SPDX-License-Identifier: Apache-2.0
//! The keys of `vllm_model`.

use gym_protocol::Members;

use crate::outbound::transport::is_http_url;
use crate::settings::{ModelError, Settings};

/// Under which names reasoning is sent back to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningField {
    /// Both names, for engines of any age.
    Both,
    /// `reasoning`.
    Reasoning,
    /// `reasoning_content`.
    ReasoningContent,
}

impl ReasoningField {
    /// The names of the members.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Both => &["reasoning_content", "reasoning"],
            Self::Reasoning => &["reasoning"],
            Self::ReasoningContent => &["reasoning_content"],
        }
    }
}

/// Settings of a vLLM endpoint; the names are those of the configuration, where there is one.
#[derive(Clone, Debug)]
pub struct VllmSettings {
    /// One URL or several replicas.
    pub base_url: Vec<String>,
    /// Forced on every request.
    pub model: String,
    /// Collect the token data of every answer.
    pub return_token_id_information: bool,
    /// Ask the engine for the ids itself (`return_token_ids`).
    pub request_prompt_and_generation_token_ids: bool,
    /// The engine splits reasoning from the text.
    pub uses_reasoning_parser: bool,
    /// Reasoning of earlier turns is sent back.
    pub uses_interleaved_reasoning: bool,
    /// Reasoning stays in the text as `<think>…</think>`.
    pub preserve_reasoning_in_assistant_content: bool,
    /// Engines that do not know the role `developer`.
    pub replace_developer_role_with_system: bool,
    /// Call the engine again after an answer of nothing but reasoning.
    pub sequential_reasoning_allowed: bool,
    /// The engine has `/responses` itself.
    pub is_responses_native: bool,
    /// For the chat template.
    pub chat_template_kwargs: Members,
    /// Laid over every request, last.
    pub sampling_overrides: Members,
    /// Laid under every request.
    pub extra_body: Members,
    /// Folder of relative `metadata.audio_path`s.
    pub audio_root: Option<String>,
    /// Call `/completions` with the text of one user message.
    pub use_completions_api: bool,
    /// Names for reasoning that is sent back.
    pub reasoning_field: ReasoningField,
    /// Send the tokens so far as `required_prefix_token_ids`, and check that the engine went on from them.
    pub supply_prefix_token_ids: bool,
    /// Pass on the `chat_template_kwargs` of chat requests. Those in `metadata` are always passed on.
    pub forward_request_chat_template_kwargs: bool,
    /// Go on writing a last message of the assistant.
    pub continue_final_assistant_message: bool,
    /// A prompt that is too long is an error, not an empty answer.
    pub propagate_context_overflow_errors: bool,
    /// Send the session's id as `conversation_params.conversation_id`.
    pub forward_session_id_as_conversation_id: bool,
    /// Keep `strict` of tools, which vLLM does not know.
    pub strict_tools: bool,
    /// Read the options for the engine in `metadata`: more of the body, options of the chat template, audio.
    pub reads_metadata: bool,
}

impl VllmSettings {
    /// A hosted endpoint for this model: no token data, errors as they are, reasoning not sent back,
    /// `metadata` passed on unread.
    pub fn hosted(model: String) -> Self {
        Self {
            base_url: Vec::new(),
            model,
            return_token_id_information: false,
            request_prompt_and_generation_token_ids: false,
            uses_reasoning_parser: false,
            uses_interleaved_reasoning: false,
            preserve_reasoning_in_assistant_content: false,
            replace_developer_role_with_system: false,
            sequential_reasoning_allowed: true,
            is_responses_native: false,
            chat_template_kwargs: Members::new(),
            sampling_overrides: Members::new(),
            extra_body: Members::new(),
            audio_root: None,
            use_completions_api: false,
            reasoning_field: ReasoningField::Both,
            supply_prefix_token_ids: false,
            forward_request_chat_template_kwargs: true,
            continue_final_assistant_message: false,
            propagate_context_overflow_errors: true,
            forward_session_id_as_conversation_id: false,
            strict_tools: true,
            reads_metadata: false,
        }
    }

    /// Reads the block. `environment` gives environment variables.
    pub fn read(settings: Settings<'_>, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ModelError> {
        let base_url = settings.texts("base_url")?;
        if base_url.is_empty() {
            return Err(settings.missing("base_url"));
        }
        if let Some(wrong) = base_url.iter().find(|url| !is_http_url(url)) {
            return Err(settings.wrong("base_url", "an http or https URL, or a list of such", &wrong.as_str().into()));
        }
        for (key, reason) in [
            ("render_chat_template", "it needs a Python tokenizer; let the engine render its template"),
            ("tokenizer", "it needs a Python tokenizer; let the engine render its template"),
            ("endpoint_file", "name the endpoints in `base_url`"),
        ] {
            if settings.get(key).is_some_and(|value| *value != serde_json::Value::Bool(false)) {
                return Err(settings.unsupported(key, reason));
            }
        }
        let field = settings.text("reasoning_field")?.or_else(|| environment("NEMO_GYM_REASONING_FIELD"));
        let reasoning_field = match field.as_deref() {
            None | Some("both") => ReasoningField::Both,
            Some("reasoning") => ReasoningField::Reasoning,
            Some("reasoning_content") => ReasoningField::ReasoningContent,
            Some(other) => {
                let expected = "`both`, `reasoning` or `reasoning_content`";
                return Err(settings.wrong("reasoning_field", expected, &other.into()));
            }
        };
        let read = Self {
            base_url,
            model: settings.required_text("model")?,
            return_token_id_information: settings.required_flag("return_token_id_information")?,
            request_prompt_and_generation_token_ids: settings.flag("request_prompt_and_generation_token_ids", false)?,
            uses_reasoning_parser: settings.required_flag("uses_reasoning_parser")?,
            uses_interleaved_reasoning: settings.flag("uses_interleaved_reasoning", true)?,
            preserve_reasoning_in_assistant_content: settings.flag("preserve_reasoning_in_assistant_content", false)?,
            replace_developer_role_with_system: settings.flag("replace_developer_role_with_system", false)?,
            sequential_reasoning_allowed: settings.flag("sequential_reasoning_allowed", true)?,
            is_responses_native: settings.flag("is_responses_native", false)?,
            chat_template_kwargs: settings.object("chat_template_kwargs")?,
            sampling_overrides: settings.object("sampling_overrides")?,
            extra_body: settings.object("extra_body")?,
            audio_root: settings.text("audio_root")?,
            use_completions_api: settings.flag("use_completions_api", false)?,
            reasoning_field,
            supply_prefix_token_ids: settings.flag("supply_prefix_token_ids", false)?,
            forward_request_chat_template_kwargs: settings.flag("forward_request_chat_template_kwargs", false)?,
            continue_final_assistant_message: settings.flag("continue_final_assistant_message", false)?,
            propagate_context_overflow_errors: settings.flag("propagate_context_overflow_errors", false)?,
            forward_session_id_as_conversation_id: settings.flag("forward_session_id_as_conversation_id", false)?,
            strict_tools: false,
            reads_metadata: true,
        };
        if read.is_responses_native {
            for (key, set) in [
                ("return_token_id_information", read.return_token_id_information),
                ("replace_developer_role_with_system", read.replace_developer_role_with_system),
                ("sequential_reasoning_allowed", !read.sequential_reasoning_allowed),
                ("use_completions_api", read.use_completions_api),
            ] {
                if set {
                    return Err(settings.unsupported(key, "not together with `is_responses_native`"));
                }
            }
        }
        if read.supply_prefix_token_ids && !read.return_token_id_information {
            let reason = "it needs `return_token_id_information: true`";
            return Err(settings.unsupported("supply_prefix_token_ids", reason));
        }
        Ok(read)
    }
}
