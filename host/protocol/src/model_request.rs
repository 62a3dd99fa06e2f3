// SPDX-License-Identifier: Apache-2.0
//! A request to a model server, kept in pieces.

use bytes::Bytes;

use crate::raw::{Members, ObjectWriter, Raw, RawError, write_array, write_string};

/// The body of `POST /v1/responses`, with `input` as a list of items. The items are slices of the bodies they came in,
/// so a long transcript is written once, into the body that goes out, and never re-formatted.
#[derive(Clone, Debug, Default)]
pub struct ModelRequest {
    /// Everything but `input`.
    pub params: Members,
    /// The input items: the original input, then everything that came since.
    pub input: Vec<Raw>,
    /// Whether the body's `input` was a text. Servers without Responses write such a text as a content part, where a
    /// message with the same text keeps its string; a server with Responses gets the text as it came.
    pub is_text: bool,
}

impl ModelRequest {
    /// Splits a body. A string `input` becomes one user message; a missing one is an empty list.
    pub fn parse(body: Bytes) -> Result<Self, RawError> {
        Self::from_members(Raw::parse(body)?.members()?)
    }

    /// Like [`parse`](Self::parse), from members.
    pub fn from_members(mut params: Members) -> Result<Self, RawError> {
        let mut is_text = false;
        let input = match params.remove("input") {
            None => Vec::new(),
            Some(text) if text.is_string() => {
                is_text = true;
                let mut message = ObjectWriter::with_capacity(text.bytes().len() + 48);
                message.string("role", "user");
                message.member("content", &text);
                message.string("type", "message");
                vec![message.finish()]
            }
            Some(items) => items.elements()?,
        };
        Ok(Self { params, input, is_text })
    }

    /// The same with a text `input` as the message that it stands for, as agents send it.
    #[must_use]
    pub fn with_message(mut self) -> Self {
        self.is_text = false;
        self
    }

    /// The text that was the whole input, as a JSON string.
    fn text(&self) -> Option<Raw> {
        let [message] = self.input.as_slice() else { return None };
        if self.is_text { message.members().ok()?.remove("content") } else { None }
    }

    /// The whole body, `input` first, in one buffer of the right size.
    pub fn to_body(&self) -> Bytes {
        let size = self.input.iter().map(|item| item.bytes().len() + 1).sum::<usize>()
            + self.params.iter().map(|(name, value)| name.len() + value.bytes().len() + 4).sum::<usize>()
            + 16;
        let mut body = Vec::with_capacity(size);
        body.extend_from_slice(b"{\"input\":");
        match self.text() {
            Some(text) => body.extend_from_slice(text.bytes()),
            None => write_array(&mut body, &self.input),
        }
        for (name, value) in self.params.iter() {
            body.push(b',');
            write_string(&mut body, name);
            body.push(b':');
            body.extend_from_slice(value.bytes());
        }
        body.push(b'}');
        Bytes::from(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_input_becomes_a_user_message() {
        let request = ModelRequest::parse(Bytes::from_static(br#"{"input":"hi","temperature":1.0}"#)).unwrap();
        assert_eq!(request.to_body(), r#"{"input":"hi","temperature":1.0}"#);
        assert_eq!(
            request.with_message().to_body(),
            r#"{"input":[{"role":"user","content":"hi","type":"message"}],"temperature":1.0}"#
        );
    }

    #[test]
    fn items_are_written_as_they_came() {
        let body = r#"{"input":[{"generation_log_probs":[-0.10,-1e-05]}],"model":"m"}"#;
        let request = ModelRequest::parse(Bytes::from_static(body.as_bytes())).unwrap();
        assert_eq!(request.to_body(), body);
    }
}
