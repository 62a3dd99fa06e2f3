// SPDX-License-Identifier: Apache-2.0
//! The labels by which a judge gives its verdict.

use serde::Serialize;

use super::Exchange;

/// Which of several verdicts in one answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The first one: the label that occurs further to the left. A label inside another one counts too, so that
    /// `INCORRECT` is found before the `CORRECT` in it.
    First,
    /// The last one: labels are taken from left to right without overlap, of two that begin at the same place the longer.
    Last,
}

/// What a judge writes when two answers are equal, and when they are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    equal: String,
    not_equal: String,
}

/// What is odd about an answer with, or without, a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Issue {
    /// It was cut off before a verdict.
    TruncatedJudgeOutput,
    /// It does not end in a message with content.
    UnparseableJudgeOutput,
    /// It has neither label.
    NoVerdict,
    /// It has both labels.
    ConflictingVerdicts,
    /// It has a label more than once.
    RepeatedVerdict,
}

impl Issue {
    /// Its name in replies and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::TruncatedJudgeOutput => "truncated_judge_output",
            Self::UnparseableJudgeOutput => "unparseable_judge_output",
            Self::NoVerdict => "no_verdict",
            Self::ConflictingVerdicts => "conflicting_verdicts",
            Self::RepeatedVerdict => "repeated_verdict",
        }
    }
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The label that counts, if there is one.
    pub label: Option<String>,
    /// Whether it is the label of equality. Without a verdict it is not.
    pub equal: bool,
    /// What is odd about it. Only [`Reading::Last`] looks.
    pub issues: Vec<Issue>,
}

impl Labels {
    /// The two labels.
    pub fn new(equal: impl Into<String>, not_equal: impl Into<String>) -> Self {
        Self { equal: equal.into(), not_equal: not_equal.into() }
    }

    /// Reads a judge's answer.
    pub fn read(&self, exchange: &Exchange, reading: Reading) -> Verdict {
        match (exchange.verdict_text(), reading) {
            (Some(text), Reading::First) => self.first(&text),
            (Some(text), Reading::Last) => self.last(&text, exchange.is_incomplete()),
            (None, Reading::First) => Verdict { label: None, equal: false, issues: Vec::new() },
            (None, Reading::Last) => {
                let mut issues = vec![Issue::UnparseableJudgeOutput];
                if exchange.is_incomplete() {
                    issues.insert(0, Issue::TruncatedJudgeOutput);
                }
                Verdict { label: None, equal: false, issues }
            }
        }
    }

    fn first(&self, text: &str) -> Verdict {
        let equal = match (text.find(&self.equal), text.find(&self.not_equal)) {
            (None, None) => return Verdict { label: None, equal: false, issues: Vec::new() },
            (Some(equal), Some(not_equal)) => equal < not_equal,
            (equal, None) => equal.is_some(),
            (None, Some(_)) => false,
        };
        let label = if equal { &self.equal } else { &self.not_equal };
        Verdict { label: Some(label.clone()), equal, issues: Vec::new() }
    }

    fn last(&self, text: &str, truncated: bool) -> Verdict {
        let found = self.all(text);
        let count = |label: &str| found.iter().filter(|found| **found == label).count();
        let (equal, not_equal) = (count(&self.equal), count(&self.not_equal));
        let mut issues = Vec::new();
        if found.is_empty() {
            if truncated {
                issues.push(Issue::TruncatedJudgeOutput);
            }
            issues.push(Issue::NoVerdict);
        } else {
            if equal > 0 && not_equal > 0 {
                issues.push(Issue::ConflictingVerdicts);
            }
            if equal > 1 || not_equal > 1 {
                issues.push(Issue::RepeatedVerdict);
            }
        }
        let label = found.last().copied();
        let equal = self.equal != self.not_equal && label == Some(self.equal.as_str());
        Verdict { label: label.map(str::to_owned), equal, issues }
    }

    /// The labels in the text, from left to right, without overlap. An empty label is never found.
    fn all(&self, text: &str) -> Vec<&str> {
        let find = |label: &str, from: usize| {
            if label.is_empty() { None } else { text[from..].find(label).map(|at| from + at) }
        };
        let mut found = Vec::new();
        let (mut equal, mut not_equal) = (find(&self.equal, 0), find(&self.not_equal, 0));
        loop {
            let equal_is_next = match (equal, not_equal) {
                (None, None) => return found,
                (Some(a), Some(b)) if a == b => self.equal.len() > self.not_equal.len(),
                (Some(a), Some(b)) => a < b,
                (a, None) => a.is_some(),
                (None, Some(_)) => false,
            };
            let (label, at) = if equal_is_next { (&self.equal, equal) } else { (&self.not_equal, not_equal) };
            found.push(label.as_str());
            let from = at.unwrap_or_default() + label.len();
            // A place that was found further on stays good: each label is looked for only once over the text.
            if equal.is_some_and(|at| at < from) {
                equal = find(&self.equal, from);
            }
            if not_equal.is_some_and(|at| at < from) {
                not_equal = find(&self.not_equal, from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::Response;

    fn answer(text: &str) -> Exchange {
        Exchange { request: Map::new(), response: Response::builder().message(text).build() }
    }

    #[test]
    fn the_first_label_wins_when_it_is_read_first() {
        let brackets = Labels::new("[[A=B]]", "[[A!=B]]");
        let words = Labels::new("CORRECT", "INCORRECT");
        for (labels, text, label) in [
            (&brackets, "so [[A=B]]", Some("[[A=B]]")),
            (&brackets, "[[A!=B]] or [[A=B]]", Some("[[A!=B]]")),
            (&brackets, "[[A=B]] or [[A!=B]]", Some("[[A=B]]")),
            (&brackets, "A=B", None),
            (&brackets, "", None),
            (&words, "INCORRECT", Some("INCORRECT")),
            (&words, "CORRECT", Some("CORRECT")),
            (&words, "It is CORRECT, not INCORRECT", Some("CORRECT")),
        ] {
            let verdict = labels.read(&answer(text), Reading::First);
            assert_eq!(verdict.label.as_deref(), label, "{text}");
            assert_eq!(verdict.equal, label.is_some_and(|label| label == labels.equal), "{text}");
            assert!(verdict.issues.is_empty());
        }
    }

    #[test]
    fn the_last_label_wins_when_it_is_read_last() {
        use Issue::{ConflictingVerdicts, NoVerdict, RepeatedVerdict};
        let brackets = Labels::new("[[A=B]]", "[[A!=B]]");
        let words = Labels::new("CORRECT", "INCORRECT");
        for (labels, text, label, issues) in [
            (&brackets, "so [[A=B]]", Some("[[A=B]]"), vec![]),
            (&brackets, "[[A!=B]]? No: [[A=B]]", Some("[[A=B]]"), vec![ConflictingVerdicts]),
            (&brackets, "[[A=B]] [[A=B]]", Some("[[A=B]]"), vec![RepeatedVerdict]),
            (&brackets, "[[A=B]] [[A=B]] [[A!=B]]", Some("[[A!=B]]"), vec![ConflictingVerdicts, RepeatedVerdict]),
            (&brackets, "equal", None, vec![NoVerdict]),
            (&words, "INCORRECT", Some("INCORRECT"), vec![]),
            (&words, "INCORRECT, I mean CORRECT", Some("CORRECT"), vec![ConflictingVerdicts]),
            (&Labels::new("YES", "YES, BUT"), "YES, BUT no", Some("YES, BUT"), vec![]),
            (&Labels::new("", "NO"), "anything", None, vec![NoVerdict]),
        ] {
            let verdict = labels.read(&answer(text), Reading::Last);
            assert_eq!((verdict.label.as_deref(), &verdict.issues), (label, &issues), "{text}");
            assert_eq!(verdict.equal, label.is_some_and(|label| label == labels.equal), "{text}");
        }
        assert!(!Labels::new("SAME", "SAME").read(&answer("SAME"), Reading::Last).equal);
    }

    #[test]
    fn an_answer_that_was_cut_off_says_so() {
        let labels = Labels::new("YES", "NO");
        let issues = |response: serde_json::Value| {
            let exchange = Exchange { request: Map::new(), response: Response::new(response.to_string()) };
            let names: Vec<_> = labels.read(&exchange, Reading::Last).issues.iter().map(|issue| issue.name()).collect();
            names
        };
        let message = json!({"type": "message", "content": [{"type": "output_text", "text": "Well"}]});
        assert_eq!(
            issues(json!({"status": "incomplete", "output": [message]})),
            ["truncated_judge_output", "no_verdict"]
        );
        assert_eq!(
            issues(json!({"status": "incomplete", "output": []})),
            ["truncated_judge_output", "unparseable_judge_output"]
        );
        assert_eq!(issues(json!({"output": [{"type": "reasoning"}]})), ["unparseable_judge_output"]);
    }

    #[test]
    fn many_labels_are_read_in_one_go() {
        let labels = Labels::new("YES", "NO");
        let text = format!("{}NO", "YES ".repeat(200_000));
        assert_eq!(labels.read(&answer(&text), Reading::Last).label.as_deref(), Some("NO"));
    }
}
