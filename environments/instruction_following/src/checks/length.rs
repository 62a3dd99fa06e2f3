// SPDX-License-Identifier: Apache-2.0
//! How long an answer is, in words, sentences and paragraphs.

use std::sync::LazyLock;

use gym_env::text::strip;
use regex::Regex;

use crate::{
    arguments::{Arguments, Broken},
    python::split,
    sentences::sentences,
};

/// NLTK counts words with the package `regex`, to which marks are part of words, and `²` is none, as they are here; to
/// Python's own `re` it is the other way round.
pub(super) fn words(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\w+").expect("the pattern is valid"));
    let wanted = arguments.count("num_words", 100, 500)?;
    let relation = arguments.relation("relation")?;
    Ok(relation.holds(WORD.find_iter(text).count(), wanted))
}

pub(super) fn sentences_count(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.count("num_sentences", 1, 20)?;
    let relation = arguments.relation("relation")?;
    Ok(relation.holds(sentences(text).len(), wanted))
}

/// The paragraphs between dividers `***`, each of which takes one white space on either side.
pub(super) fn divided(text: &str) -> Vec<&str> {
    static DIVIDER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\s?\*\*\*\s?").expect("the pattern is valid"));
    DIVIDER.split(text).collect()
}

/// How many paragraphs there are. The first and the last do not count if they are empty; none if another one is.
fn count(paragraphs: &[&str]) -> Option<usize> {
    let last = paragraphs.len() - 1;
    let mut count = paragraphs.len();
    for (index, _) in paragraphs.iter().enumerate().filter(|(_, paragraph)| strip(paragraph).is_empty()) {
        if index != 0 && index != last {
            return None;
        }
        count -= 1;
    }
    Some(count)
}

pub(super) fn paragraphs(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.count("num_paragraphs", 1, 5)?;
    Ok(count(&divided(text)).is_some_and(|count| count as f64 == wanted))
}

pub(super) fn two_paragraphs(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(count(&divided(text)) == Some(2))
}

pub(super) fn two_blocks(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(count(&text.split("\n\n").collect::<Vec<_>>()) == Some(2))
}

/// So many blocks between blank lines, and the first word of one of them.
pub(super) fn nth_paragraph_first_word(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.count("num_paragraphs", 1, 5)?;
    let nth = arguments.paragraph("nth_paragraph", wanted)?;
    let first_word = arguments.word("first_word")?.to_lowercase();
    let blocks: Vec<&str> = text.split("\n\n").collect();
    let count = blocks.iter().filter(|block| !strip(block).is_empty()).count();
    // Empty blocks do not count, and yet are in the way of the number of the block.
    let Some(word) = (nth <= count).then(|| split(blocks[nth - 1]).next()).flatten() else { return Ok(false) };
    let word = word.trim_start_matches('\'').trim_start_matches('"');
    let ends = |c: char| matches!(c, '.' | ',' | '?' | '!' | '\'' | '"');
    let found: String =
        word.chars().take_while(|c| !ends(*c)).flat_map(|c| c.to_lowercase().collect::<Vec<_>>()).collect();
    Ok(count as f64 == wanted && found == first_word)
}
