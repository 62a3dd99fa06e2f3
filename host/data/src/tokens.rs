// SPDX-License-Identifier: Apache-2.0
//! Counting tokens with the tokenizer of a model.

use std::path::{Path, PathBuf};

use gym_protocol::scan::{self, Kind};
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

/// Why a tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file cannot be read.
    #[error("failed to read the tokenizer {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no tokenizer.
    #[error("{path} is no tokenizer: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

/// Counts tokens as the model of one `tokenizer.json` does.
#[derive(Clone)]
pub struct TokenCounter {
    path: PathBuf,
    sha256: String,
    tokenizer: Tokenizer,
}

impl std::fmt::Debug for TokenCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tokenizer {}", self.path.display())
    }
}

impl TokenCounter {
    /// Reads a `tokenizer.json` in the format of Hugging Face's tokenizers, or the one in a model's folder.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let path = if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() };
        let shown = || path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|source| TokenizerError::Read { path: shown(), source })?;
        let malformed = |reason: String| TokenizerError::Malformed { path: shown(), reason };
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| malformed(error.to_string()))?;
        // What a model reads at most, and how batches are filled up, is no property of a text.
        tokenizer.with_truncation(None).map_err(|error| malformed(error.to_string()))?;
        tokenizer.with_padding(None);
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path, sha256, tokenizer })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of the file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Tokens of a text, without special ones around it. The error is what the tokenizer says of a text that it cannot
    /// read.
    pub fn count(&self, text: &str) -> Result<u64, String> {
        if text.is_empty() {
            return Ok(0);
        }
        self.tokenizer.encode_fast(text, false).map(|encoding| encoding.len() as u64).map_err(|error| error.to_string())
    }

    /// Tokens of all texts in `responses_create_params` (its JSON text) that a model reads: `instructions`, the texts,
    /// calls and results in `input`, and each element of `tools` as JSON. What a chat template puts around them is not
    /// counted.
    pub fn count_prompt(&self, params: &[u8]) -> Result<u64, String> {
        let mut sum = Sum { counter: self, tokens: 0 };
        if let Some(text) = scan::member(params, "instructions") {
            sum.string(text)?;
        }
        if let Some(input) = scan::member(params, "input") {
            sum.texts(input)?;
            for item in elements(input) {
                for name in ["content", "output", "name", "arguments", "summary"] {
                    if let Some(value) = scan::member(item, name) {
                        sum.texts(value)?;
                    }
                }
            }
        }
        for tool in scan::member(params, "tools").into_iter().flat_map(elements) {
            sum.text(&String::from_utf8_lossy(tool))?;
        }
        Ok(sum.tokens)
    }
}

fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    (scan::kind(value) == Kind::Array).then(|| scan::elements(value)).into_iter().flatten()
}

struct Sum<'a> {
    counter: &'a TokenCounter,
    tokens: u64,
}

impl Sum<'_> {
    fn text(&mut self, text: &str) -> Result<(), String> {
        self.tokens += self.counter.count(text)?;
        Ok(())
    }

    fn string(&mut self, value: &[u8]) -> Result<(), String> {
        match (scan::kind(value), scan::string(value)) {
            (Kind::String, Some(text)) => self.text(&text),
            _ => Ok(()),
        }
    }

    /// A text, or the texts of a list of parts.
    fn texts(&mut self, value: &[u8]) -> Result<(), String> {
        self.string(value)?;
        for part in elements(value) {
            for name in ["text", "refusal"] {
                if let Some(text) = scan::member(part, name) {
                    self.string(text)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A tokenizer of words: each of these words is one token, every other one is unknown, which is one token as well.
    pub(crate) fn words() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let json = serde_json::json!({
            "version": "1.0",
            "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                "pad_type_id": 0, "pad_token": "?"},
            "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"?": 0, "one": 1, "two": 2}, "unk_token": "?"}});
        std::fs::write(file.path(), json.to_string()).unwrap();
        file
    }

    #[test]
    fn tokens_of_everything_that_a_model_reads_are_counted() {
        let file = words();
        let counter = TokenCounter::load(file.path()).unwrap();
        let cases = [
            (r#"{"input":"one two three"}"#, 3),
            (r#"{"input":"","instructions":"one\ntwo"}"#, 2),
            (r#"{"input":[{"role":"user","content":"a b"},{"content":[{"type":"input_text","text":"c d e"}]}]}"#, 5),
            (r#"{"input":[{"type":"function_call","name":"f","arguments":"{} {}"},{"output":"x y"}]}"#, 5),
            (r#"{"input":[{"type":"reasoning","summary":[{"text":"so it is"}]}],"tools":[{"name": "f"}]}"#, 5),
            (r#"{"input":[],"metadata":{"x":"not read"},"tools":null}"#, 0),
        ];
        for (params, expected) in cases {
            assert_eq!(counter.count_prompt(params.as_bytes()), Ok(expected), "{params}");
        }
    }

    #[test]
    fn what_is_no_tokenizer_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        assert!(matches!(TokenCounter::load(file.path()), Err(TokenizerError::Malformed { .. })));
        let folder = tempfile::tempdir().unwrap();
        let error = TokenCounter::load(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("tokenizer.json"), "{error}");
    }
}
