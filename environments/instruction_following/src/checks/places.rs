// SPDX-License-Identifier: Apache-2.0
//! Words in certain places.

use gym_env::text::is_space;

use crate::{
    arguments::{Arguments, Broken},
    python::{is_word, item, split},
    split::split_into_sentences,
    tokens::tokens,
};

/// A word without the punctuation in it.
fn bare(word: &str) -> String {
    word.chars().filter(|c| is_word(*c) || is_space(*c)).collect()
}

fn same(word: &str, wanted: &str) -> bool {
    word.to_lowercase() == wanted.to_lowercase()
}

pub(super) fn first_word(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.keyword("first_word")?;
    Ok(split(text).next().is_some_and(|word| same(word, &wanted)))
}

/// The public verifier fails on a list of words here, other than for the last word.
pub(super) fn first_word_of_sentences(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.keyword("first_word")?;
    let sentences = split_into_sentences(text);
    Ok(sentences.iter().all(|sentence| split(sentence).next().is_some_and(|word| same(word, &wanted))))
}

pub(super) fn last_word(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.keyword("last_word")?;
    Ok(split(text).next_back().is_some_and(|word| same(&bare(word), &wanted)))
}

pub(super) fn last_word_of_sentences(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.keyword_or_first("last_word")?;
    let sentences = split_into_sentences(text);
    Ok(sentences.iter().all(|sentence| split(sentence).next_back().is_some_and(|word| same(&bare(word), &wanted))))
}

/// A keyword as this word of that sentence, marks counted as words.
pub(super) fn keyword_at(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let keyword = arguments.keyword_or_first("keyword")?;
    let nth_sentence = arguments.index("n", 1, 20)?;
    let nth_word = arguments.index("m", 1, 30)?;
    let sentences = split_into_sentences(text);
    if reaches(sentences.len(), nth_sentence) {
        let words = tokens(item(&sentences, nth_sentence.saturating_sub(1)).ok_or(Broken::Raises)?);
        if reaches(words.len(), nth_word) {
            return Ok(*item(&words, nth_word.saturating_sub(1)).ok_or(Broken::Raises)? == keyword);
        }
    }
    Ok(false)
}

fn reaches(count: usize, nth: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count >= nth)
}

/// The answer begins and ends with the same word.
pub(super) fn same_start_and_end(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let words = tokens(text);
    Ok(match words.as_slice() {
        [first, .., last] => same(first, last),
        _ => false,
    })
}
