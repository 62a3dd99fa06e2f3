// SPDX-License-Identifier: Apache-2.0
//! What is compared: the texts of responses, and the conversation before them.

use gym_env::{
    Content, ItemKind, Response,
    judge::Message,
    prompt::{PromptContent, PromptMessage, messages},
    text::strip,
};

/// What the judge reads of a response without text.
const NOTHING: &str = "None";

/// The texts of one response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    /// Of the summaries of its reasoning, without a separator.
    pub(crate) reasoning: String,
    /// Of the parts of its messages, without a separator.
    pub(crate) answer: String,
}

impl Texts {
    pub(crate) fn of(response: &Response) -> Self {
        let mut texts = Self::default();
        for item in response.output() {
            match item.kind() {
                ItemKind::Reasoning => texts.reasoning.extend(item.summary()),
                ItemKind::Message => {
                    if let Content::Parts(parts) = item.content() {
                        let parts = parts.into_iter().filter(|part| part.kind == "output_text");
                        texts.answer.extend(parts.filter_map(|part| part.text));
                    }
                }
                ItemKind::FunctionCall | ItemKind::FunctionCallOutput | ItemKind::Other => {}
            }
        }
        texts
    }

    /// What the judge reads.
    pub(crate) fn shown(&self) -> &str {
        if strip(&self.answer).is_empty() { NOTHING } else { &self.answer }
    }
}

/// The messages of `responses_create_params.input`, given as JSON text; other items are left out.
pub(crate) fn conversation(input: Option<&str>) -> Vec<Message> {
    let message = |message: PromptMessage| {
        if message.has_odd_kind || !matches!(message.kind.as_deref(), None | Some("message")) {
            return None;
        }
        let is_text = |kind: &Option<String>| matches!(kind.as_deref(), Some("input_text" | "output_text"));
        let content = match message.content {
            PromptContent::Text(text) => text,
            PromptContent::Parts(parts) => {
                parts.into_iter().filter(|(kind, _)| is_text(kind)).map(|(_, text)| text).collect()
            }
            PromptContent::Missing => String::new(),
        };
        Some(Message::new(message.role.unwrap_or_else(|| "user".to_owned()), content))
    };
    messages(input).into_iter().filter_map(message).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_reasoning_and_messages_are_apart() {
        let response = Response::builder().reasoning("hm ").message("a").reasoning("so").message("b").build();
        let texts = Texts::of(&response);
        assert_eq!((&*texts.reasoning, &*texts.answer, texts.shown()), ("hm so", "ab", "ab"));
        assert_eq!(Texts::of(&Response::builder().message(" \n").build()).shown(), "None");
        assert_eq!(Texts::of(&Response::new("{}")), Texts::default());
    }

    #[test]
    fn a_conversation_has_the_messages_only() {
        let input = json!([
            {"role": "system", "content": "Be kind."},
            {"role": "user", "type": "message", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image"},
                {"type": "output_text", "text": "b"}]},
            {"type": "function_call", "name": "f"},
            {"content": null},
            3,
        ]);
        let messages = conversation(Some(&input.to_string()));
        let expected = [Message::system("Be kind."), Message::user("ab"), Message::user("")];
        assert_eq!(messages, expected);
        assert_eq!(conversation(Some("\"Hi\"")), [Message::user("Hi")]);
        assert_eq!(conversation(None), []);
    }
}
