// SPDX-License-Identifier: Apache-2.0
//! Messages of a prompt: what `responses_create_params.input` holds, however it is written.

use serde::Deserialize;

use crate::json::AnyJson;

/// A message of a prompt, as it is written: nothing is checked but what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptMessage {
    /// `user`, `system`, `assistant` …, if it is a text.
    pub role: Option<String>,
    /// `type`, if it is a text; most messages have none.
    pub kind: Option<String>,
    /// Whether `type` is there, not null, and no text.
    pub has_odd_kind: bool,
    /// What is said.
    pub content: PromptContent,
}

/// What a message of a prompt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptContent {
    /// A text.
    Text(String),
    /// Parts that have a text, each with its `type`.
    Parts(Vec<(Option<String>, String)>),
    /// Something else, or nothing.
    Missing,
}

/// The messages of `responses_create_params.input`, given as JSON text. An input that is a string is the one message of a
/// user; items that are no objects are left out.
pub fn messages(input: Option<&str>) -> Vec<PromptMessage> {
    let Some(input) = input else { return Vec::new() };
    if let Ok(text) = serde_json::from_str::<String>(input) {
        let role = Some("user".to_owned());
        return vec![PromptMessage { role, kind: None, has_odd_kind: false, content: PromptContent::Text(text) }];
    }
    let items: Vec<AnyJson> = serde_json::from_str(input).unwrap_or_default();
    items.iter().filter_map(message).collect()
}

fn message(item: &AnyJson) -> Option<PromptMessage> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default, rename = "type")]
        kind: AnyJson,
        #[serde(default)]
        role: AnyJson,
        #[serde(default)]
        content: AnyJson,
    }
    #[derive(Deserialize)]
    struct Part {
        #[serde(default, rename = "type")]
        kind: AnyJson,
        #[serde(default)]
        text: AnyJson,
    }
    /// A list would be read as the members of a struct.
    fn object<'a, T: Deserialize<'a>>(item: &'a AnyJson) -> Option<T> {
        item.text().starts_with('{').then(|| item.read().ok())?
    }
    let text = |value: &AnyJson| value.read::<String>().ok();
    let message: Message = object(item)?;
    let part = |part: &AnyJson| {
        let part: Part = object(part)?;
        Some((text(&part.kind), text(&part.text)?))
    };
    let content = match text(&message.content) {
        Some(text) => PromptContent::Text(text),
        None => match message.content.read::<Vec<AnyJson>>() {
            Ok(parts) => PromptContent::Parts(parts.iter().filter_map(part).collect()),
            Err(_) => PromptContent::Missing,
        },
    };
    let has_odd_kind = message.kind.read::<Option<String>>().is_err();
    Some(PromptMessage { role: text(&message.role), kind: text(&message.kind), has_odd_kind, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(input: &str) -> Vec<(Option<String>, PromptContent)> {
        messages(Some(input)).into_iter().map(|message| (message.role, message.content)).collect()
    }

    #[test]
    fn an_input_is_a_text_or_a_list_of_messages() {
        let user = || Some("user".to_owned());
        let text = |text: &str| PromptContent::Text(text.to_owned());
        let kind = |kind: &str| Some(kind.to_owned());
        for (input, expected) in [
            (r#""Why?""#, vec![(user(), text("Why?"))]),
            (
                r#"[{"role":"system","content":"Be short."},{"role":"user","content":"Why?"}]"#,
                vec![(kind("system"), text("Be short.")), (user(), text("Why?"))],
            ),
            (
                r#"[{"role":"user","content":[{"type":"input_text","text":"a"},{"text":"b"},{"type":"input_image"},3,["input_text","c"]]}]"#,
                vec![(user(), PromptContent::Parts(vec![(kind("input_text"), "a".into()), (None, "b".into())]))],
            ),
            (r#"[{"role":5},null,"x",[]]"#, vec![(None, PromptContent::Missing)]),
            (r#"{"role":"user"}"#, vec![]),
            ("3", vec![]),
            ("[", vec![]),
        ] {
            assert_eq!(said(input), expected, "{input}");
        }
        assert_eq!(messages(None), []);
    }

    #[test]
    fn the_type_of_a_message_is_told_as_it_is() {
        for (item, kind, odd) in [
            (r#"{"type":"message"}"#, Some("message"), false),
            (r#"{"type":null}"#, None, false),
            ("{}", None, false),
            (r#"{"type":["message"]}"#, None, true),
        ] {
            let message = messages(Some(&format!("[{item}]"))).remove(0);
            assert_eq!((message.kind.as_deref(), message.has_odd_kind), (kind, odd), "{item}");
        }
    }
}
