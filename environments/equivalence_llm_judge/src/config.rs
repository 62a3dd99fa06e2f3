// SPDX-License-Identifier: Apache-2.0
//! Settings in the server's configuration, with the defaults of NeMo Gym.

use gym_env::{
    Context, Fault, RewardRules,
    judge::{Equivalence, Judge, Labels, ModelServer, Reading, Template},
    pattern::{Case, Pattern},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::extract::FLAGS;

/// The settings.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    /// Who judges.
    judge_model_server: ModelServer,
    /// Parameters of every request to the judge.
    judge_responses_create_params: Map<String, Value>,
    /// A system message for the judge.
    #[serde(default)]
    pub(crate) judge_system_message: Option<String>,
    /// The question to the judge: a file of the environment's folder.
    #[serde(default = "template_path")]
    judge_prompt_template_fpath: String,
    #[serde(default = "equal_label")]
    pub(crate) judge_equal_label: String,
    #[serde(default = "not_equal_label")]
    pub(crate) judge_not_equal_label: String,
    /// What of the last user message is the question.
    #[serde(default)]
    pub(crate) question_extract_regex: Option<String>,
    /// What of the last message of the model is the answer, unless the row says it.
    #[serde(default)]
    pub(crate) response_extract_regex: Option<String>,
    /// What the judge reads when the model said nothing (rules of August 2026).
    #[serde(default = "nothing_said")]
    pub(crate) msg_extraction_failure: String,
    /// Longer answers get 0 without a judge; characters.
    #[serde(default)]
    pub(crate) max_answer_chars: Option<std::num::NonZeroUsize>,
    /// Ask again with the answers exchanged.
    #[serde(default)]
    pub(crate) check_twice_swap: bool,
    /// The reward when that fails.
    #[serde(default)]
    pub(crate) reward_if_swap_fails: f64,
    /// Whether rows may say what of a message is the answer.
    #[serde(default = "yes")]
    pub(crate) use_per_record_regex: bool,
    /// With a longer expected answer nothing is extracted by a row's pattern; characters, null for no limit.
    #[serde(default = "length_threshold")]
    pub(crate) extraction_length_threshold: Option<usize>,
    /// Ask again with all of the message when what a row's pattern extracted is not equal.
    #[serde(default = "yes")]
    pub(crate) check_full_generation_on_fail: bool,
    /// The reward when that succeeds.
    #[serde(default = "half")]
    pub(crate) reward_if_full_generation_succeeds: f64,
    /// The release of NeMo Gym whose rule counts.
    #[serde(default)]
    pub(crate) reward_rules: RewardRules,
}

fn template_path() -> String {
    "prompt_templates/equivalence_llm_judge.txt".to_owned()
}

fn equal_label() -> String {
    "[[A=B]]".to_owned()
}

fn not_equal_label() -> String {
    "[[A!=B]]".to_owned()
}

fn nothing_said() -> String {
    "[NO VALID ANSWER EXTRACTED]".to_owned()
}

fn yes() -> bool {
    true
}

#[allow(clippy::unnecessary_wraps, reason = "the default of an optional setting")]
fn length_threshold() -> Option<usize> {
    Some(120)
}

fn half() -> f64 {
    0.5
}

impl Config {
    /// The judge, with the parameters of its requests.
    pub(crate) fn judge(&self) -> Judge {
        Judge { server: self.judge_model_server.clone(), params: self.judge_responses_create_params.clone() }
    }

    /// The question to the judge.
    pub(crate) fn template(&self, cx: &mut Context) -> Result<Template, Fault> {
        let text = cx.read_text(&self.judge_prompt_template_fpath)?;
        Template::parse(gym_env::text::strip(&text), &Equivalence::PLACES)
            .map_err(|fault| Fault::new(format!("`{}`: {}", self.judge_prompt_template_fpath, fault.message())))
    }

    pub(crate) fn labels(&self) -> Labels {
        Labels::new(&self.judge_equal_label, &self.judge_not_equal_label)
    }

    pub(crate) fn reading(&self) -> Reading {
        match self.reward_rules {
            RewardRules::Current => Reading::Last,
            RewardRules::August2026 => Reading::First,
        }
    }

    /// Whether everything that grading needs is there and makes sense; asked when the environment is loaded.
    pub(crate) fn check(&self, cx: &mut Context) -> Result<(), Fault> {
        self.template(cx)?;
        for (name, pattern) in [
            ("question_extract_regex", &self.question_extract_regex),
            ("response_extract_regex", &self.response_extract_regex),
        ] {
            if let Some(Err(error)) =
                pattern.as_ref().map(|pattern| Pattern::new(&format!("{FLAGS}{pattern}"), Case::Matters))
            {
                return Err(Fault::new(format!("the setting `{name}` is {error}")));
            }
        }
        Ok(())
    }
}
