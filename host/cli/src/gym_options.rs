// SPDX-License-Identifier: Apache-2.0
//! Options under the names that they have in NeMo Gym's command lines and configurations, for example
//! `+output_dirpath=out`. A flag of ours wins over them.

use gym_config::Settings;
use serde_json::Value;

use crate::failure::{Failure, chain};

/// Reads options from the composed configuration, where overrides of the command line end up too.
pub(crate) struct GymOptions<'a>(pub(crate) &'a Settings);

impl GymOptions<'_> {
    /// A value, if it is set.
    pub(crate) fn value(&self, key: &str) -> Result<Option<Value>, Failure> {
        self.0.value(key).map_err(|errors| Failure::user(chain(&errors)))
    }

    /// Text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        match self.value(key)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            // An unquoted number on a command line.
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(wrong(key, "text", &other)),
        }
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.value(key)? {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "false") => Ok(Some(text == "true")),
            Some(other) => Err(wrong(key, "true or false", &other)),
        }
    }

    /// A whole number from 0 on.
    pub(crate) fn count(&self, key: &str) -> Result<Option<u64>, Failure> {
        match self.value(key)? {
            None => Ok(None),
            Some(value) => {
                let count = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
                count.map(Some).ok_or_else(|| wrong(key, "a whole number from 0 on", &value))
            }
        }
    }
}

fn wrong(key: &str, expected: &str, found: &Value) -> Failure {
    Failure::user(format!("`{key}` is {found}, and {expected} is expected"))
}
