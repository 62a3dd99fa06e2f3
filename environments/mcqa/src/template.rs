// SPDX-License-Identifier: Apache-2.0
//! Extraction as the prompt's template describes it.

use gym_env::{
    AnyJson, Fault, RewardRules,
    pattern::{Case, Pattern},
    text::{is_letter, strip},
};
use serde::Deserialize;

use crate::{
    choices::Choices,
    letters::{compatible, to_latin},
};

/// How the prompt asks for the answer. Null members are as good as absent.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Template {
    /// One pattern or several.
    #[serde(default)]
    output_regex: AnyJson,
    /// What stands before the answer.
    #[serde(default)]
    answer_prefix: AnyJson,
}

impl Template {
    /// What stands before the answer, unless it is empty. A fault when it is no text.
    pub(crate) fn answer_prefix(&self) -> Result<Option<String>, Fault> {
        let prefix: Option<String> =
            self.answer_prefix.read().map_err(|_| Fault::new("`answer_prefix` of the row's template is no text"))?;
        Ok(prefix.filter(|prefix| !prefix.is_empty()))
    }

    /// The answer by the first pattern that gives one: the last match, if it is one letter (also one that is not among
    /// the choices) or the text of a choice. A fault when what is to be searched for is no text, or several groups match:
    /// it cannot be said which of them is the answer.
    pub(crate) fn extract(&self, text: &str, choices: &Choices, rules: RewardRules) -> Result<Option<String>, Fault> {
        for pattern in self.patterns()? {
            let pattern: String =
                pattern.read().map_err(|_| Fault::new("`output_regex` of the row's template is no text"))?;
            let Ok(pattern) = Pattern::new(&pattern, Case::Ignored) else { continue };
            let matches = pattern.find_all(text)?;
            let Some(last) = matches.last() else { continue };
            if pattern.group_count() > 1 {
                return Err(Fault::new("`output_regex` of the row's template has several groups"));
            }
            let answer = match rules {
                RewardRules::Current => to_latin(strip(&compatible(strip(last)))),
                RewardRules::August2026 => to_latin(strip(last)),
            };
            let answer = answer.to_uppercase();
            let mut chars = answer.chars();
            if let (Some(letter), None) = (chars.next(), chars.next())
                && is_letter(letter)
            {
                return Ok(Some(answer));
            }
            if let Some(letter) = choices.by_text(&answer) {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    fn patterns(&self) -> Result<Vec<AnyJson>, Fault> {
        match self.output_regex.text().as_bytes().first() {
            Some(b'"') => Ok(vec![self.output_regex.clone()]),
            _ => {
                let several: Option<Vec<AnyJson>> = self.output_regex.read().map_err(|_| {
                    Fault::new("`output_regex` of the row's template is neither a text nor a list of texts")
                })?;
                Ok(several.unwrap_or_default())
            }
        }
    }
}
