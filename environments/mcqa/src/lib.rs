// SPDX-License-Identifier: Apache-2.0
//! Multiple-choice questions, graded by the letter that the model gives. See the README for the reward rule.

use gym_env::{AnyObject, Attempt, Context, Fault, RewardRules, Schema, Verdict, resources_server, text::strip};
use serde::{Deserialize, Serialize};

mod choices;
mod colon;
mod letters;
mod modes;
mod template;

use choices::{Choices, Given};
use template::Template;

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct Mcqa;

/// Settings in the server's configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    /// How the letter is found, for all rows; unless it is null, rows are not asked.
    grading_mode: Option<GradingMode>,
    /// Which release of NeMo Gym the extraction follows.
    reward_rules: RewardRules,
}

/// How the letter is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GradingMode {
    StrictSingleLetterBoxed,
    LenientBoxed,
    LenientAnswerColon,
    LenientAnswerColonMd,
}

/// The modes that a row may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, Schema)]
#[serde(rename_all = "snake_case")]
enum RowMode {
    #[default]
    StrictSingleLetterBoxed,
    LenientBoxed,
    LenientAnswerColon,
}

impl From<RowMode> for GradingMode {
    fn from(mode: RowMode) -> Self {
        match mode {
            RowMode::StrictSingleLetterBoxed => Self::StrictSingleLetterBoxed,
            RowMode::LenientBoxed => Self::LenientBoxed,
            RowMode::LenientAnswerColon => Self::LenientAnswerColon,
        }
    }
}

/// What grading needs of a row.
#[derive(Debug, Default, Deserialize, Schema)]
#[allow(dead_code, reason = "some fields are only repeated in the reply")]
struct Task {
    /// Name of the row.
    uuid: Option<String>,
    /// The choices: objects with a letter and its text.
    #[schema(
        json = r#"{"type": ["array", "null"], "items": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}}"#
    )]
    options: Option<Vec<Given>>,
    /// The right letter.
    expected_answer: Option<String>,
    /// Anything that the dataset says of the row.
    metadata: Option<AnyObject>,
    /// How the letter is found.
    #[serde(default)]
    grading_mode: RowMode,
    /// How the prompt asks for the answer: `output_regex` (one or several), `answer_prefix`.
    #[schema(json = r#"{"type": ["object", "null"]}"#)]
    template_metadata: Option<Template>,
}

#[resources_server(
    reusable,
    reverify = "stateless",
    echo,
    config = Config,
    scores(accuracy = "reward"),
    answer_field = "extracted_answer",
)]
impl Mcqa {
    #[verify]
    fn verify(attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Fault> {
        let config = cx.config::<Config>()?;
        let task = &attempt.task;
        let gold = strip(task.expected_answer.as_deref().unwrap_or_default()).to_uppercase();
        let text = attempt.output_text()?;
        let extracted = extract(strip(&text), task, &config)?;
        let is_right = !gold.is_empty() && extracted.as_ref() == Some(&gold);
        Ok(Verdict::from(is_right).field("expected_answer", gold).field("extracted_answer", extracted))
    }
}

/// The letter that the text gives.
fn extract(text: &str, task: &Task, config: &Config) -> Result<Option<String>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let choices = Choices::new(task.options.as_deref().unwrap_or_default());
    let template = task.template_metadata.as_ref();
    if let Some(template) = template
        && let Some(letter) = template.extract(text, &choices, config.reward_rules)?
    {
        return Ok(Some(letter));
    }
    let letter = match config.grading_mode.unwrap_or_else(|| task.grading_mode.into()) {
        GradingMode::StrictSingleLetterBoxed => modes::strict_boxed(text, &choices),
        GradingMode::LenientBoxed => modes::lenient_boxed(text, &choices),
        GradingMode::LenientAnswerColon => colon::first(text, &choices),
        GradingMode::LenientAnswerColonMd => match config.reward_rules {
            RewardRules::August2026 => colon::markdown(text, None, &choices),
            RewardRules::Current => {
                let prefix = template.map(Template::answer_prefix).transpose()?.flatten();
                let prefix = prefix.map(|prefix| letters::compatible(&prefix));
                colon::markdown(&letters::compatible(text), prefix.as_deref(), &choices)
                    .or_else(|| prefix.and_then(|_| modes::strict_boxed(text, &choices)))
            }
        },
    };
    Ok(letter)
}

#[cfg(test)]
mod tests;
