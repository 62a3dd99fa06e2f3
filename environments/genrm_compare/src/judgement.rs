// SPDX-License-Identifier: Apache-2.0
//! Reading what a judge says of two responses.

use gym_env::python::{self, Value};
use serde::Serialize;

use crate::config::Config;

/// What a judge says: a score for each response (1 to 5 as a rule), and a ranking from 1 (the first is much better) to 6.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Judgement {
    pub(crate) score_1: f64,
    pub(crate) score_2: f64,
    pub(crate) ranking: f64,
}

impl Judgement {
    /// What counts where a judge says nothing legible.
    pub(crate) fn neutral(config: &Config) -> Self {
        Self { score_1: config.default_score, score_2: config.default_score, ranking: config.default_ranking }
    }

    /// The first good object in a fenced block of JSON, or else the last one anywhere.
    pub(crate) fn read(text: &str, config: &Config) -> Option<Self> {
        let good = |object: &&str| Self::of(object, config);
        for block in fenced(text) {
            if let Some(found) = objects(block).iter().find_map(good_ref(&good)) {
                return Some(found);
            }
        }
        objects(text).iter().rev().find_map(good_ref(&good))
    }

    /// An object with at least one of the three numbers; they may be inside of `overall`.
    fn of(object: &str, config: &Config) -> Option<Self> {
        let value = python::loads(object).ok()?;
        let value = value.get("overall").filter(|inner| matches!(inner, Value::Dict(_))).unwrap_or(&value);
        let neutral = Self::neutral(config);
        let mut any = false;
        let mut number = |name: &str, default: f64| {
            let Some(given) = value.get(name) else { return Some(default) };
            any = true;
            let number = match given {
                Value::Text(text) => python::float(text),
                other => other.as_number(),
            };
            number.filter(|number| number.is_finite())
        };
        let judgement = Self {
            score_1: number("score_1", neutral.score_1)?,
            score_2: number("score_2", neutral.score_2)?,
            ranking: number("ranking", neutral.ranking)?,
        };
        any.then_some(judgement)
    }
}

fn good_ref<'a, T>(good: &'a impl Fn(&&str) -> Option<T>) -> impl FnMut(&&str) -> Option<T> + 'a {
    move |object| good(object)
}

/// The contents of blocks that begin with three backticks and `json`.
fn fenced(text: &str) -> Vec<&str> {
    const FENCE: &str = "```";
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(FENCE) {
        let after = &rest[at + FENCE.len()..];
        let named = after.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("json"));
        match after[4 * usize::from(named)..].find(FENCE) {
            Some(end) if named => {
                blocks.push(&after[4..4 + end]);
                rest = &after[4 + end + FENCE.len()..];
            }
            _ => rest = &rest[at + 1..],
        }
    }
    blocks
}

/// The objects in a text that are in no other one, by their braces; braces in strings do not count.
fn objects(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    // Beginnings without an end cost a look at all that follows; more of them than this are not looked at.
    let mut unclosed = 0;
    while let Some(start) = text[at..].find('{').map(|offset| at + offset) {
        match end_of_object(bytes, start) {
            Some(end) => {
                found.push(&text[start..=end]);
                at = end + 1;
            }
            None => {
                unclosed += 1;
                at = start + 1;
            }
        }
        if unclosed > 100 {
            break;
        }
    }
    found
}

fn end_of_object(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (index, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(f64, f64, f64)> {
        Judgement::read(text, &Config::default()).map(|found| (found.score_1, found.score_2, found.ranking))
    }

    #[test]
    fn the_last_object_counts_unless_one_is_fenced() {
        for (text, found) in [
            (r#"{"score_1": 4, "score_2": 3, "ranking": 2}"#, Some((4.0, 3.0, 2.0))),
            (r#"{"score_1": 1} then {"score_1": "4.5"}"#, Some((4.5, 3.0, 3.5))),
            ("```json\n{\"ranking\": 1}\n``` {\"ranking\": 6}", Some((3.0, 3.0, 1.0))),
            ("```JSON {\"ranking\": 1} {\"ranking\": 2}``` x", Some((3.0, 3.0, 1.0))),
            ("```json {\"other\": 1} ``` {\"ranking\": 6}", Some((3.0, 3.0, 6.0))),
            (r#"{"rubric": [1], "overall": {"score_1": 5, "score_2": 1, "ranking": 1}}"#, Some((5.0, 1.0, 1.0))),
            (r#"{"text": "} {", "score_2": 2}"#, Some((3.0, 2.0, 3.5))),
            (r#"{ unclosed {"score_1": 2}"#, Some((2.0, 3.0, 3.5))),
            (r#"{"score_1": NaN}"#, None),
            (r#"{"score_1": null}"#, None),
            (r#"{"score": 3}"#, None),
            ("[1, 2]", None),
            ("no object", None),
            ("", None),
        ] {
            assert_eq!(read(text), found, "{text}");
        }
    }

    #[test]
    fn many_open_braces_do_not_take_long() {
        assert_eq!(read(&"{".repeat(300_000)), None);
    }
}
