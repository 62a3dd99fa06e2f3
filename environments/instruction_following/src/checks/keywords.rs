// SPDX-License-Identifier: Apache-2.0
//! Words that must, or must not, be there. Keywords are patterns, as in the public verifier: `a.c` finds `abc`.

use gym_env::pattern::{Case, Pattern};

use crate::{
    arguments::{Arguments, Broken},
    python::split,
};

/// How often a keyword occurs, in any case of letters, also inside of words.
fn occurrences(keyword: &str, text: &str) -> Result<usize, Broken> {
    Ok(Pattern::new(keyword, Case::Ignored)?.matches(text)?.len())
}

pub(super) fn existence(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    for keyword in sorted(arguments.list("keywords")?) {
        if !Pattern::new(&keyword, Case::Ignored)?.is_in(text)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn forbidden(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    for word in sorted(arguments.list("forbidden_words")?) {
        if Pattern::new(&format!(r"\b{word}\b"), Case::Ignored)?.is_in(text)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The order matters only when a pattern is none: one that decides earlier wins.
fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}

pub(super) fn frequency(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let keyword = arguments.keyword("keyword")?;
    let frequency = arguments.count("frequency", 1, 3)?;
    let relation = arguments.relation("relation")?;
    Ok(relation.holds(occurrences(&keyword, text)?, frequency))
}

pub(super) fn once(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let keyword = arguments.keyword("keyword")?;
    Ok(occurrences(&keyword, text)? == 1)
}

pub(super) fn once_and_twice(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    // The public verifier draws lists when these are missing, and then fails on them.
    let (first, second) = (arguments.text_or_first("keyword1")?, arguments.text_or_first("keyword2")?);
    Ok(occurrences(first, text)? == 1 && occurrences(second, text)? == 2)
}

/// The keyword must not stand between spaces; at the beginning, the end, or before a full stop it may.
pub(super) fn exclude(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let keyword = arguments.keyword_or_word_of("keyword", "instruction")?;
    Ok(!text.contains(&format!(" {keyword} ")))
}

/// No word begins with the letter of the alphabet after that of the word before.
pub(super) fn no_adjacent_consecutive(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let firsts: Vec<String> =
        split(text).filter_map(|word| word.chars().next()).map(|first| first.to_lowercase().collect()).collect();
    for pair in firsts.windows(2) {
        let [Some(first), Some(second)] = [&pair[0], &pair[1]].map(|letter| only(letter)) else { return Ok(false) };
        if u32::from(second) == u32::from(first) + 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn only(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

pub(super) fn palindrome(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(split(text).any(|word| word.chars().eq(word.chars().rev())))
}
