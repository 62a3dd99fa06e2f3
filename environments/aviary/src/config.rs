// SPDX-License-Identifier: Apache-2.0
//! Settings in the server's configuration.

use serde::Deserialize;

/// The settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    /// Which environment is served: `gsm8k_app.py`.
    pub(crate) entrypoint: String,
    /// Where the problems are: one JSON object a line, with `question` and `answer`.
    pub(crate) problems_jsonl_fpath: String,
    /// For the right answer.
    pub(crate) correct_reward: f64,
    /// For another one.
    pub(crate) incorrect_reward: f64,
    /// For a call that gave a result and is no answer.
    pub(crate) tool_success_reward: f64,
    /// For a call that could not be done.
    pub(crate) tool_failure_reward: f64,
    /// How far from the right answer an answer may be, relative to the right one.
    pub(crate) rel_tol: f64,
    /// Whether a call that could not be done is the end.
    pub(crate) done_on_failure: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            entrypoint: "gsm8k_app.py".to_owned(),
            problems_jsonl_fpath: "data/problems.jsonl".to_owned(),
            correct_reward: 1.0,
            incorrect_reward: 0.0,
            tool_success_reward: 0.0,
            tool_failure_reward: -1.0,
            rel_tol: 1e-4,
            done_on_failure: true,
        }
    }
}
