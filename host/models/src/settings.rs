// SPDX-License-Identifier: Apache-2.0
//! Reading the block of a model server. Unknown keys are allowed, as in NeMo Gym; a known key of the wrong type is an
//! error that names it. `null` means that the key is not set.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use gym_protocol::{Members, Raw, ServerName, lax};
use serde_json::{Map, Value};

/// Why a model server cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no such implementation.
    #[error("unknown implementation `{implementation}` of model server `{server}`")]
    UnknownImplementation {
        /// Name of the server.
        server: ServerName,
        /// What the configuration asks for.
        implementation: String,
    },
    /// A key that must be set is not.
    #[error("model server `{server}` needs `{key}`")]
    Missing {
        /// Name of the server.
        server: ServerName,
        /// The key.
        key: String,
    },
    /// A key has a value of the wrong type or range.
    #[error("`{key}` of model server `{server}` must be {expected}, but is {found}")]
    Wrong {
        /// Name of the server.
        server: ServerName,
        /// The key.
        key: String,
        /// What would be right.
        expected: &'static str,
        /// The kind of value that was found.
        found: &'static str,
    },
    /// A key asks for something that this host does not do.
    #[error("`{key}` of model server `{server}` is not supported: {reason}")]
    Unsupported {
        /// Name of the server.
        server: ServerName,
        /// The key.
        key: String,
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// A file that the server plays from cannot be used.
    #[error("failed to read `{path}` for model server `{server}`: {problem}")]
    File {
        /// Name of the server.
        server: ServerName,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the line where there is one.
        problem: String,
    },
    /// The HTTP client cannot be set up.
    #[error("failed to set up the HTTP client: {0}")]
    Client(String),
}

impl ModelError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownImplementation { implementation, .. } if implementation.starts_with("local_vllm") => Some(
                "gym-host starts no inference engine: start vLLM yourself and configure `vllm_model` with its `base_url`"
                    .to_owned(),
            ),
            Self::UnknownImplementation { .. } => {
                let known = crate::build::IMPLEMENTATIONS.join(", ");
                Some(format!("known are {known}; {}", gym_protocol::names::ELSEWHERE))
            }
            Self::Missing { .. }
            | Self::Wrong { .. }
            | Self::Unsupported { .. }
            | Self::File { .. }
            | Self::Client(_) => None,
        }
    }
}

/// The block of one model server.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    server: &'a ServerName,
    map: &'a Map<String, Value>,
    /// Takes the keys that were asked for.
    asked: Option<&'a RefCell<BTreeSet<String>>>,
}

impl<'a> Settings<'a> {
    /// The keys of `server`.
    pub fn new(server: &'a ServerName, map: &'a Map<String, Value>) -> Self {
        Self { server, map, asked: None }
    }

    /// The same; every key that is asked for is put into `asked`.
    pub(crate) fn watched(self, asked: &'a RefCell<BTreeSet<String>>) -> Self {
        Self { asked: Some(asked), ..self }
    }

    /// The server's name.
    pub fn server(&self) -> &'a ServerName {
        self.server
    }

    /// The value of a key, unless it is absent or `null`.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        if let Some(asked) = self.asked {
            asked.borrow_mut().insert(key.to_owned());
        }
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A text. A number is taken as its text, because YAML makes numbers of keys like `12345`.
    pub fn text(&self, key: &str) -> Result<Option<String>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(self.wrong(key, "a text", other)),
        }
    }

    /// A text that must be there.
    pub fn required_text(&self, key: &str) -> Result<String, ModelError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A text or a list of texts.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, ModelError> {
        const EXPECTED: &str = "a text or a list of texts";
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(whole @ Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| self.wrong(key, EXPECTED, whole)))
                .collect(),
            Some(other) => Err(self.wrong(key, EXPECTED, other)),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => lax::flag(value).ok_or_else(|| self.wrong(key, "true or false", value)),
        }
    }

    /// A whole number from 0.
    pub fn count(&self, key: &str) -> Result<Option<u64>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => {
                lax::count(value).map(Some).ok_or_else(|| self.wrong(key, "a whole number, not negative", value))
            }
        }
    }

    /// A number of seconds above 0, at most a year.
    pub fn seconds(&self, key: &str) -> Result<Option<Duration>, ModelError> {
        const YEAR: f64 = 365.0 * 86_400.0;
        match self.get(key) {
            None => Ok(None),
            Some(value) => match lax::number(value) {
                Some(seconds) if seconds > 0.0 && seconds <= YEAR => Ok(Some(Duration::from_secs_f64(seconds))),
                _ => Err(self.wrong(key, "a number of seconds above 0", value)),
            },
        }
    }

    /// A mapping, as JSON members.
    pub fn object(&self, key: &str) -> Result<Members, ModelError> {
        match self.get(key) {
            None => Ok(Members::new()),
            Some(Value::Object(map)) => {
                Ok(map.iter().map(|(name, value)| (name.clone(), Raw::from_value(value))).collect())
            }
            Some(other) => Err(self.wrong(key, "a mapping", other)),
        }
    }

    /// A flag that must be there.
    pub fn required_flag(&self, key: &str) -> Result<bool, ModelError> {
        if self.get(key).is_none() {
            return Err(self.missing(key));
        }
        self.flag(key, false)
    }

    /// HTTP headers: a mapping of texts.
    pub fn headers(&self, key: &str) -> Result<Vec<(http::HeaderName, http::HeaderValue)>, ModelError> {
        const EXPECTED: &str = "a mapping of HTTP header names to texts";
        let map = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(self.wrong(key, EXPECTED, other)),
        };
        map.iter()
            .map(|(name, value)| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    other => return Err(self.wrong(key, EXPECTED, other)),
                };
                let name = http::HeaderName::try_from(name.as_str()).map_err(|_| self.wrong(key, EXPECTED, value))?;
                let mut text = http::HeaderValue::try_from(text).map_err(|_| self.wrong(key, EXPECTED, value))?;
                text.set_sensitive(true);
                Ok((name, text))
            })
            .collect()
    }

    /// The error for a key that must be set.
    pub fn missing(&self, key: &str) -> ModelError {
        ModelError::Missing { server: self.server.clone(), key: key.to_owned() }
    }

    /// The error for a key that cannot be honoured.
    pub fn unsupported(&self, key: &str, reason: &'static str) -> ModelError {
        ModelError::Unsupported { server: self.server.clone(), key: key.to_owned(), reason }
    }

    /// The error for a value that does not fit. It names the kind of the value only, since values may be secrets.
    pub fn wrong(&self, key: &str, expected: &'static str, found: &Value) -> ModelError {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "another number",
            Value::String(_) => "another text",
            Value::Array(_) => "a list of other things",
            Value::Object(_) => "another mapping",
        };
        ModelError::Wrong { server: self.server.clone(), key: key.to_owned(), expected, found }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with<T>(block: Value, read: impl FnOnce(Settings<'_>) -> Result<T, ModelError>) -> Result<T, String> {
        let server = ServerName::new("m").expect("not empty");
        let map = block.as_object().cloned().expect("a mapping");
        read(Settings::new(&server, &map)).map_err(|error| error.to_string())
    }

    #[test]
    fn wrong_types_name_the_key() {
        assert_eq!(
            with(json!({"a": []}), |s| s.text("a")).unwrap_err(),
            "`a` of model server `m` must be a text, but is a list of other things"
        );
        assert_eq!(with(json!({}), |s| s.required_text("a")).unwrap_err(), "model server `m` needs `a`");
        assert!(with(json!({"a": "maybe"}), |s| s.flag("a", true)).is_err());
        assert!(with(json!({"a": -1}), |s| s.count("a")).is_err());
        assert!(with(json!({"a": "0"}), |s| s.seconds("a")).is_err());
        assert!(with(json!({"a": ["x", 1]}), |s| s.texts("a")).is_err());
        assert!(with(json!({"a": {"bad name": "x"}}), |s| s.headers("a")).is_err());
    }

    #[test]
    fn null_is_not_set() {
        assert_eq!(with(json!({"a": null}), |s| s.text("a")), Ok(None));
        assert_eq!(with(json!({"a": null}), |s| s.flag("a", true)), Ok(true));
        assert_eq!(with(json!({"a": "u"}), |s| s.texts("a")), Ok(vec!["u".to_owned()]));
        assert_eq!(with(json!({"a": 0.5}), |s| s.seconds("a")), Ok(Some(Duration::from_millis(500))));
    }
}
