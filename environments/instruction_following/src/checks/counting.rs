// SPDX-License-Identifier: Apache-2.0
//! How many letters and words of some kind there are.

use std::collections::HashSet;

use gym_env::text::strip;

use super::length::divided;
use crate::{
    arguments::{Arguments, Broken},
    python::word_runs,
    split::split_into_sentences,
    tokens::tokens,
};

pub(super) fn letter_frequency(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let letter = arguments.letter("letter")?;
    let frequency = arguments.count("let_frequency", 1, 10)?;
    let relation = arguments.relation("let_relation")?;
    let lower = text.to_lowercase();
    // The small form of a letter may be two characters, and then occurs never.
    let count = lower.chars().filter(|c| letter.chars().eq([*c])).count();
    Ok(relation.holds(count, frequency))
}

pub(super) fn letters(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.count_not_zero("N", 2, 3)?;
    let relation = arguments.loose_relation("relation")?;
    let count = text.chars().filter(char::is_ascii_alphabetic).count();
    Ok(relation.is_some_and(|relation| relation.holds(count, wanted)))
}

/// Words of small letters from a to z only, at most so many.
pub(super) fn lowercase_words(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let most = arguments.count_not_zero("N", 2, 3)?;
    let count = word_runs(text).filter(|run| run.chars().all(|c| c.is_ascii_lowercase())).count();
    Ok(count as f64 <= most)
}

pub(super) fn unique_words(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let words = tokens(text);
    Ok(words.iter().collect::<HashSet<_>>().len() == words.len())
}

/// Three paragraphs with so many sentences, each with so many words and marks.
pub(super) fn composition(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let sentences = arguments.count_not_zero("n_sent", 2, 3)?;
    let words = arguments.count_not_zero("n_words", 2, 3)?;
    let paragraphs = divided(text);
    let mut count = paragraphs.len();
    for (index, paragraph) in paragraphs.iter().enumerate() {
        if strip(paragraph).is_empty() {
            if index != 0 && index != paragraphs.len() - 1 {
                return Ok(false);
            }
            count -= 1;
        }
        let found = split_into_sentences(paragraph);
        if found.len() as f64 != sentences || found.iter().any(|sentence| tokens(sentence).len() as f64 != words) {
            return Ok(false);
        }
    }
    Ok(count == 3)
}
