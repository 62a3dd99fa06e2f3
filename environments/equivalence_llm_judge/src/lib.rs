// SPDX-License-Identifier: Apache-2.0
//! Short answers that a judge model compares with the expected one. See the README for the reward rule.

use std::rc::Rc;

use gym_env::{
    AnyJson, Attempt, Context, Description, Failure, Fault, Metrics, MetricsRequest, Refuse, RewardRules, Schema,
    Verdict,
    judge::{Equivalence, Evaluation, Labels, Template},
    python, resources_server,
};
use serde::Deserialize;

mod config;
mod extract;
mod parsing_issues;

use config::Config;

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct EquivalenceLlmJudge;

/// What grading needs of a row. Whatever else is in it is repeated in the reply.
#[derive(Debug, Default, Deserialize, Schema)]
#[schema(keep_extras)]
#[allow(dead_code, reason = "some fields are only repeated in the reply")]
struct Task {
    /// Name of the row.
    #[schema(json = r#"{"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}"#)]
    #[serde(default)]
    uuid: AnyJson,
    /// The right answer.
    expected_answer: Option<String>,
    /// Choices, in datasets that have some.
    #[schema(
        json = r#"{"type": ["array", "null"], "items": {"type": "object", "additionalProperties": {"type": "string"}}}"#
    )]
    #[serde(default)]
    options: AnyJson,
    /// Anything that the dataset says of the row; `expected_answer` in it counts where the row has none.
    #[schema(json = r#"{"type": ["object", "null"]}"#)]
    #[serde(default)]
    metadata: AnyJson,
    /// How the prompt asks for the answer: `output_regex`.
    #[schema(json = "{}", no_default)]
    #[serde(default)]
    template_metadata: AnyJson,
}

impl Task {
    /// The right answer; empty if there is none.
    fn expected(&self) -> String {
        if let Some(answer) = self.expected_answer.as_ref().filter(|answer| !answer.is_empty()) {
            return answer.clone();
        }
        match python::loads(self.metadata.text()).ok().as_ref().and_then(|metadata| metadata.get("expected_answer")) {
            None | Some(python::Value::None) => String::new(),
            Some(answer) => answer.str(),
        }
    }

    /// The row's own pattern. Refused when it is something that is no pattern.
    fn pattern(&self) -> Result<Option<String>, Refuse> {
        let template = python::loads(self.template_metadata.text()).ok();
        match template.as_ref().and_then(|template| template.get("output_regex")) {
            None => Ok(None),
            Some(pattern) if !pattern.is_truthy() => Ok(None),
            Some(python::Value::Text(pattern)) => Ok(Some(pattern.clone())),
            Some(other) => {
                let text = format!("`template_metadata.output_regex` is of the type {}, not str", other.type_name());
                Err(Refuse::new(422, text))
            }
        }
    }
}

#[resources_server(reusable, reverify = "stateless", echo, config = Config)]
impl EquivalenceLlmJudge {
    #[describe]
    fn describe(description: &mut Description, cx: &mut Context) -> Result<(), Fault> {
        // Rows without it get none.
        description.echo.retain(|name| name != "template_metadata");
        if let Some(properties) = description.verify_fields["properties"].as_object_mut() {
            properties.shift_remove("template_metadata");
        }
        cx.config::<Config>()?.check(cx)
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Failure> {
        let config = cx.config::<Config>()?;
        let expected = attempt.task.expected();
        let said = attempt.last_assistant_text();
        let graded = match config.reward_rules {
            RewardRules::Current if said.is_empty() => Graded::without_judge("empty_final_answer".to_owned()),
            _ => match config.max_answer_chars.map(std::num::NonZeroUsize::get) {
                Some(most) if said.chars().count() > most => Graded::without_judge(format!(
                    "final_answer_too_long: {} characters exceeds {most}",
                    said.chars().count()
                )),
                _ => Grading::new(attempt, &config, &expected, said, cx)?.grade(cx)?,
            },
        };
        let verdict = Verdict::new(graded.reward)
            .field("expected_answer", expected)
            .field("judge_evaluations", &graded.evaluations);
        Ok(match graded.reason {
            Some(reason) => verdict.field("failure_reason", reason),
            None => verdict,
        })
    }

    #[aggregate_metrics]
    fn aggregate_metrics(request: MetricsRequest, cx: &mut Context) -> Result<Metrics, Fault> {
        let config = cx.config::<Config>()?;
        Ok(match config.reward_rules {
            RewardRules::Current => parsing_issues::metrics(&request, &config.labels()),
            RewardRules::August2026 => Metrics::default(),
        })
    }
}

/// A reward, and what led to it.
struct Graded {
    reward: f64,
    evaluations: Vec<Evaluation>,
    /// Why no judge was asked.
    reason: Option<String>,
}

impl Graded {
    fn without_judge(reason: String) -> Self {
        Self { reward: 0.0, evaluations: Vec::new(), reason: Some(reason) }
    }
}

/// One answer on its way to a reward.
struct Grading<'a> {
    config: &'a Rc<Config>,
    template: Template,
    labels: Labels,
    question: String,
    expected: &'a str,
    /// The last message of the model, if it says something.
    said: Option<String>,
    /// The row's own pattern, if rows may have one.
    own_pattern: Option<String>,
}

impl<'a> Grading<'a> {
    fn new(
        attempt: &Attempt<Task>,
        config: &'a Rc<Config>,
        expected: &'a str,
        said: String,
        cx: &mut Context,
    ) -> Result<Self, Failure> {
        let question = extract::question(attempt.param("input"));
        Ok(Self {
            config,
            template: config.template(cx)?,
            labels: config.labels(),
            question: extract::by_pattern(&question, config.question_extract_regex.as_deref())?,
            expected,
            said: Some(said).filter(|said| !said.is_empty()),
            own_pattern: if config.use_per_record_regex { attempt.task.pattern()? } else { None },
        })
    }

    fn grade(&self, cx: &mut Context) -> Result<Graded, Fault> {
        let config = self.config;
        let too_long = config.extraction_length_threshold.is_some_and(|most| self.expected.chars().count() > most);
        // A long expected answer is compared with all of the message, and once.
        let skipped = too_long && self.own_pattern.is_some();
        let pattern = match &self.own_pattern {
            Some(_) if skipped => None,
            Some(pattern) => Some(pattern.as_str()),
            None => config.response_extract_regex.as_deref(),
        };
        let nothing = config.msg_extraction_failure.as_str();
        let answer = match &self.said {
            Some(said) => extract::by_pattern(said, pattern)?,
            None => nothing.to_owned(),
        };
        let asked = config.judge();
        let judge = Equivalence {
            judge: &asked,
            system: config.judge_system_message.as_deref(),
            template: &self.template,
            labels: &self.labels,
            reading: config.reading(),
        };
        let first = judge.compare(cx, &self.question, self.expected, &answer)?;
        let rescue = config.check_full_generation_on_fail && self.own_pattern.is_some();
        let (second, reward) = match first.equal {
            _ if skipped => (None, if first.equal { 1.0 } else { 0.0 }),
            true if config.check_twice_swap => {
                let swapped = judge.compare_swapped(cx, &self.question, self.expected, &answer)?;
                let reward = if swapped.equal { 1.0 } else { config.reward_if_swap_fails };
                (Some(swapped), reward)
            }
            true => (None, 1.0),
            false if rescue => {
                let said = self.said.as_deref().unwrap_or(nothing);
                let whole = judge.compare(cx, &self.question, self.expected, said)?;
                let reward = if whole.equal { config.reward_if_full_generation_succeeds } else { 0.0 };
                (Some(whole), reward)
            }
            false => (None, 0.0),
        };
        Ok(Graded { reward, evaluations: [first].into_iter().chain(second).collect(), reason: None })
    }
}

#[cfg(test)]
mod tests;
