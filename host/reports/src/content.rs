// SPDX-License-Identifier: Apache-2.0
//! Which rollouts are of the same task, when they do not say so: those with the same prompt.

use std::hash::{DefaultHasher, Hasher};

use gym_protocol::{Members, scan};

/// A digest of the prompt: instructions, what the items of the input say, and the names of the tools. How an item is
/// written (a text or a list of parts, with or without defaults) makes no difference, so a row and what servers echo of
/// it have the same digest. None without a prompt.
pub(crate) fn of_prompt(row: &Members) -> Option<u128> {
    let params = row.get_set("responses_create_params")?.bytes();
    let input = scan::member(params, "input")?;
    let mut digest = Digest::default();
    digest.text(scan::member(params, "instructions"));
    if scan::kind(input) == scan::Kind::String {
        digest.word("user");
        digest.text(Some(input));
    }
    for item in scan::elements(input) {
        let member = |name: &str| scan::member(item, name);
        let role = member("role").or_else(|| member("type")).and_then(scan::string);
        digest.word(role.as_deref().unwrap_or_default());
        for name in ["content", "summary", "output", "name", "arguments"] {
            digest.text(member(name));
        }
    }
    for tool in scan::member(params, "tools").into_iter().flat_map(scan::elements) {
        digest.text(scan::member(tool, "name"));
    }
    Some(u128::from(digest.0.finish()) << 64 | u128::from(digest.1.finish()))
}

/// Two hashes of the same words, so that a million prompts have a million digests.
struct Digest(DefaultHasher, DefaultHasher);

impl Default for Digest {
    fn default() -> Self {
        let mut digest = Self(DefaultHasher::new(), DefaultHasher::new());
        digest.1.write_u8(1);
        digest
    }
}

impl Digest {
    fn word(&mut self, word: &str) {
        for hasher in [&mut self.0, &mut self.1] {
            hasher.write_usize(word.len());
            hasher.write(word.as_bytes());
        }
    }

    /// A text, the texts of parts, or whatever else stands there.
    fn text(&mut self, value: Option<&[u8]>) {
        let Some(value) = value.filter(|value| scan::kind(value) != scan::Kind::Null) else { return };
        if let Some(text) = scan::string(value) {
            return self.word(&text);
        }
        let mut parts = scan::elements(value).peekable();
        if parts.peek().is_none() && scan::kind(value) != scan::Kind::Array {
            return self.word(&String::from_utf8_lossy(value));
        }
        let text = |part| scan::string(scan::member(part, "text").or_else(|| scan::member(part, "refusal"))?);
        let one: String =
            parts.map(|part| text(part).unwrap_or_else(|| String::from_utf8_lossy(part))).collect::<Vec<_>>().concat();
        self.word(&one);
    }
}

#[cfg(test)]
mod tests {
    use gym_protocol::Raw;

    use super::*;

    fn digest(params: &str) -> Option<u128> {
        let row = format!("{{\"responses_create_params\":{params}}}");
        of_prompt(&Raw::parse(row.into()).unwrap().members().unwrap())
    }

    #[test]
    fn the_same_prompt_has_the_same_digest_however_it_is_written() {
        let one = digest(r#"{"input":"hi","tools":[{"type":"function","name":"f"}]}"#);
        for same in [
            r#"{"tools":[{"name":"f","strict":null}],"input":[{"role":"user","content":"h\u0069"}],"temperature":1}"#,
            r#"{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"tools":[{"name":"f"}],"metadata":{"extra_body":"{}"},"instructions":null}"#,
        ] {
            assert_eq!(digest(same), one, "{same}");
        }
        for other in [
            r#"{"input":"hi"}"#,
            r#"{"input":"ho","tools":[{"name":"f"}]}"#,
            r#"{"input":"hi","tools":[{"name":"g"}]}"#,
            r#"{"input":"hi","tools":[{"name":"f"}],"instructions":"x"}"#,
            r#"{"input":[{"role":"system","content":"hi"}],"tools":[{"name":"f"}]}"#,
            r#"{"input":[{"role":"user","content":"hi"},{"role":"user","content":""}],"tools":[{"name":"f"}]}"#,
        ] {
            assert_ne!(digest(other), one, "{other}");
        }
        for nothing in ["{}", "null", "[]", "3"] {
            assert_eq!(digest(nothing), None, "{nothing}");
        }
    }
}
