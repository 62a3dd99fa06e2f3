// SPDX-License-Identifier: Apache-2.0
//! The answer in a text.

use gym_env::{
    Schema,
    pattern::{Case, Pattern, PatternError},
    python,
    text::{last_closed_boxed, strip, unwrap_text},
};
use serde::{Deserialize, Serialize};

/// `Answer:` or `Final answer:`, in any case, with a colon of either width, and the rest of a line.
const ANSWER: &str = r"(?:final\s+answer|answer)\s*[:：]\s*(.+)";

/// Where the answer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, Schema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// In the last `\boxed{…}`.
    Boxed,
    /// After the last `Answer:`; without one, in the last box.
    #[default]
    FinalAnswer,
    /// On the last line that is not blank.
    LastLine,
    /// All of it.
    FullResponse,
}

impl Mode {
    /// The answer, if there is one.
    pub(crate) fn extract(self, text: &str) -> Result<Option<String>, PatternError> {
        Ok(match self {
            Self::Boxed => boxed(text),
            Self::FinalAnswer => match final_answer(text)? {
                Some(answer) => Some(answer),
                None => boxed(text),
            },
            Self::LastLine => {
                let line = python::lines(text).into_iter().rev().map(strip).find(|line| !line.is_empty());
                line.map(str::to_owned)
            }
            Self::FullResponse => Some(strip(text)).filter(|text| !text.is_empty()).map(str::to_owned),
        })
    }
}

fn boxed(text: &str) -> Option<String> {
    last_closed_boxed(text).map(|content| unwrap_text(content).to_owned())
}

fn final_answer(text: &str) -> Result<Option<String>, PatternError> {
    let found = Pattern::new(ANSWER, Case::Ignored)?.find_all(text)?;
    Ok(found.last().map(|answer| {
        let answer = strip(answer);
        let answer = answer.strip_suffix('.').map_or(answer, strip);
        answer.trim_end_matches('.').to_owned()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: Mode, cases: &[(&str, Option<&str>)]) {
        for (text, answer) in cases {
            assert_eq!(mode.extract(text).unwrap().as_deref(), *answer, "{mode:?} of {text:?}");
        }
    }

    #[test]
    fn the_last_closed_box_is_the_answer() {
        check(
            Mode::Boxed,
            &[
                (r"\boxed{1} then \boxed{ \text{ two } }", Some("two")),
                (r"\boxed{1} then \boxed{2", Some("1")),
                (r"\boxed{\frac{1}{2}}", Some(r"\frac{1}{2}")),
                (r"\boxed{}", Some("")),
                ("Answer: 1", None),
            ],
        );
    }

    #[test]
    fn the_last_answer_line_is_the_answer() {
        check(
            Mode::FinalAnswer,
            &[
                ("Answer: one\nFinal  Answer : two.", Some("two")),
                ("ANSWER：three..", Some("three")),
                ("answer:\n\n four five. \nmore", Some("four five")),
                ("The answer: a. b. .", Some("a. b")),
                ("Answer: .", Some("")),
                (r"no such line, \boxed{six}", Some("six")),
                (r"Answer: seven \boxed{eight}", Some(r"seven \boxed{eight}")),
                ("Answer:", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn lines_and_whole_texts_are_stripped() {
        check(Mode::LastLine, &[("a\n b \n\n  \n", Some("b")), ("a\u{2028}b", Some("b")), (" \n", None)]);
        check(Mode::FullResponse, &[("  a\nb ", Some("a\nb")), (" \n", None)]);
    }
}
