// SPDX-License-Identifier: Apache-2.0
//! Settings in the server's configuration, with the defaults of NeMo Gym.

use std::time::Duration;

use gym_env::{Fault, RewardRules, judge::ModelServer};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What the judge should look at, unless a row or the configuration says it.
const PRINCIPLE: &str = "Judge both responses to the user's request without favour. First answer the request yourself, \
    then hold each response against your answer: is it right, does it do what was asked, does it stay with the matter, \
    is it as short as it can be? Name mistakes and what is missing. Where the request can be understood in several ways, \
    a question back is better than a guess.";

/// The settings.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    /// The judge.
    pub(crate) genrm_model_server: Option<ModelServer>,
    /// Parameters of every request to it.
    pub(crate) genrm_responses_create_params: Map<String, Value>,
    /// Members of a group.
    pub(crate) num_rollouts_per_prompt: usize,
    /// For the host: seconds for the members to arrive, and for the judge; how long and how many results are remembered.
    pub(crate) cohort_collection_timeout_s: f64,
    pub(crate) cohort_evaluation_timeout_s: f64,
    pub(crate) cohort_result_ttl_s: Option<f64>,
    pub(crate) max_terminal_cohorts: usize,
    /// Which pairs are compared.
    pub(crate) comparison_strategy: Strategy,
    /// How often each pair is.
    pub(crate) num_judges_per_comparison: usize,
    /// Whether the judge is told what to look at.
    pub(crate) use_principle: bool,
    /// What it is told if the row does not say it.
    pub(crate) default_principle: String,
    /// There is one.
    pub(crate) aggregator_method: Aggregator,
    /// For the shortest reasoning, if it is among the best.
    pub(crate) reasoning_bonus: f64,
    /// For the shortest answer, if it is among the best.
    pub(crate) answer_bonus: f64,
    /// Which part of the group are the best.
    pub(crate) top_percentile: f64,
    /// Weight of the length of the reasoning, compared within the group.
    pub(crate) group_reasoning_length_penalty_coeff: f64,
    /// Weight of the length of the answer.
    pub(crate) group_answer_length_penalty_coeff: f64,
    /// Weight of the density of formatting.
    pub(crate) group_style_penalty_coeff: f64,
    /// For what was not compared, or not legibly.
    pub(crate) default_score: f64,
    /// The same for the ranking.
    pub(crate) default_ranking: f64,
    /// Whether scores go to the log.
    pub(crate) debug_logging: bool,
    /// How often the judge is asked again for one comparison.
    pub(crate) genrm_parse_retries: usize,
    /// Seconds between these tries.
    pub(crate) genrm_parse_retry_sleep_s: f64,
    /// How scores of a group become rewards.
    pub(crate) score_normalization: Normalization,
    /// The release of NeMo Gym whose rule counts.
    pub(crate) reward_rules: RewardRules,
}

/// Which pairs of a group are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    /// Each with the next, and the last with the first.
    Circular,
    /// Every one with every other.
    AllPairs,
}

/// How the scores of the comparisons become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aggregator {
    /// Their mean, where the ranking decides between equal ones.
    SimpleTiebreaker,
}

/// How scores of a group become rewards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Normalization {
    /// As they are.
    None,
    /// From 0 for the worst to 1 for the best; one half for all if they are equal.
    MinMax,
    /// Distance from the mean in standard deviations; 0 for all if they are equal.
    ZScore,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            genrm_model_server: None,
            genrm_responses_create_params: Map::new(),
            num_rollouts_per_prompt: 1,
            cohort_collection_timeout_s: 1800.0,
            cohort_evaluation_timeout_s: 1800.0,
            cohort_result_ttl_s: Some(3600.0),
            max_terminal_cohorts: 4096,
            comparison_strategy: Strategy::Circular,
            num_judges_per_comparison: 1,
            use_principle: false,
            default_principle: PRINCIPLE.to_owned(),
            aggregator_method: Aggregator::SimpleTiebreaker,
            reasoning_bonus: 0.0,
            answer_bonus: 0.0,
            top_percentile: 0.2,
            group_reasoning_length_penalty_coeff: 0.0,
            group_answer_length_penalty_coeff: 0.0,
            group_style_penalty_coeff: 0.0,
            default_score: 3.0,
            default_ranking: 3.5,
            debug_logging: false,
            genrm_parse_retries: 3,
            genrm_parse_retry_sleep_s: 0.2,
            score_normalization: Normalization::None,
            reward_rules: RewardRules::Current,
        }
    }
}

impl Config {
    /// The judge's name.
    pub(crate) fn judge(&self) -> Result<&str, Fault> {
        let server = self.genrm_model_server.as_ref();
        server
            .map(|server| server.name.as_str())
            .ok_or_else(|| Fault::new("the setting `genrm_model_server` is missing"))
    }

    /// Whether everything makes sense; asked when the environment is loaded.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        self.judge()?;
        if self.num_judges_per_comparison == 0 || self.num_rollouts_per_prompt == 0 {
            return Err(Fault::new("`num_judges_per_comparison` and `num_rollouts_per_prompt` must be at least 1"));
        }
        for (name, seconds) in [
            ("cohort_collection_timeout_s", self.cohort_collection_timeout_s),
            ("cohort_evaluation_timeout_s", self.cohort_evaluation_timeout_s),
            ("cohort_result_ttl_s", self.cohort_result_ttl_s.unwrap_or(1.0)),
        ] {
            if !seconds.is_finite() || seconds <= 0.0 {
                return Err(Fault::new(format!("`{name}` must be a number of seconds above 0")));
            }
        }
        if self.max_terminal_cohorts == 0 {
            return Err(Fault::new("`max_terminal_cohorts` must be at least 1"));
        }
        if self.genrm_parse_retry_sleep_s.is_nan() {
            return Err(Fault::new("`genrm_parse_retry_sleep_s` must be a number of seconds"));
        }
        Ok(())
    }

    /// How long to wait before the judge is asked again. A number below 0 is none, and nobody waits longer than a day.
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_secs_f64(self.genrm_parse_retry_sleep_s.clamp(0.0, 86_400.0))
    }

    /// What the host must know to grade groups; none if every attempt is graded alone.
    pub(crate) fn group(&self) -> Option<Value> {
        (self.num_rollouts_per_prompt > 1).then(|| {
            json!({
                "size": self.num_rollouts_per_prompt,
                "collect_seconds": self.cohort_collection_timeout_s,
                "evaluate_seconds": self.cohort_evaluation_timeout_s,
                "keep_seconds": self.cohort_result_ttl_s,
                "keep": self.max_terminal_cohorts,
                "same": ["principle"],
                "alone_with": "reference_responses",
                "explicit": self.reward_rules == RewardRules::Current,
            })
        })
    }
}
