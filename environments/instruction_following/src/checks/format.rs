// SPDX-License-Identifier: Apache-2.0
//! Lists, sections, titles and other forms.

use std::sync::LazyLock;

use gym_env::{
    pattern::{Case, Pattern},
    text::strip,
};
use regex::Regex;

use crate::{
    arguments::{Arguments, Broken},
    python::split,
    split::split_into_sentences,
};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is valid")
}

/// Lines that begin with `-`, or with `*` and something else, exactly so many.
/// Python counts the control characters from 0x1c to 0x1f to white space.
pub(super) fn bullets(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    static STARS: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^[\s\x1c-\x1f]*\*[^*].*$"));
    static DASHES: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^[\s\x1c-\x1f]*-.*$"));
    let wanted = arguments.count("num_bullets", 1, 5)?;
    Ok((STARS.find_iter(text).count() + DASHES.find_iter(text).count()) as f64 == wanted)
}

/// Parts of a line between single or double stars, at least so many. One between double stars is not found twice: the
/// stars alone are empty.
pub(super) fn highlights(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    static SINGLE: LazyLock<Regex> = LazyLock::new(|| regex(r"\*[^\n*]*\*"));
    static DOUBLE: LazyLock<Regex> = LazyLock::new(|| regex(r"\*\*[^\n*]*\*\*"));
    let wanted = arguments.count("num_highlights", 1, 4)?;
    let filled = |pattern: &Regex| {
        pattern.find_iter(text).filter(|found| !strip(found.as_str().trim_matches('*')).is_empty()).count()
    };
    Ok((filled(&SINGLE) + filled(&DOUBLE)) as f64 >= wanted)
}

/// Parts that begin with the splitter and a number, at least so many. The splitter is a pattern; each group in it
/// counts once more, as Python's `re.split` has it.
pub(super) fn sections(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let splitter = arguments.stripped_or("section_spliter", &["Section", "SECTION"])?;
    let wanted = arguments.count("num_sections", 1, 5)?;
    let found = Pattern::new(&format!(r"\s?{splitter}\s?\d+\s?"), Case::Matters)?.matches(text)?;
    let parts: usize = found.iter().map(|found| 1 + found.group_count()).sum();
    Ok(parts as f64 >= wanted)
}

/// JSON, in a fence or not. `NaN`, `Infinity` and `-Infinity` are JSON here, as in Python.
pub(super) fn json(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let mut text = strip(text);
    for fence in ["```json", "```Json", "```JSON", "```"] {
        text = text.strip_prefix(fence).unwrap_or(text);
    }
    text = strip(text.strip_suffix("```").unwrap_or(text));
    Ok(gym_env::python::loads(text).is_ok())
}

/// A title in double angular brackets.
pub(super) fn title(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    static TITLE: LazyLock<Regex> = LazyLock::new(|| regex(r"<<[^\n]+>>"));
    let is_filled = |found: &str| !strip(found.trim_start_matches('<').trim_end_matches('>')).is_empty();
    Ok(TITLE.find_iter(text).any(|found| is_filled(found.as_str())))
}

/// Sentences joined by hyphens without spaces.
pub(super) fn sentence_hyphens(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let sentences = split_into_sentences(&text.replace('-', " "));
    Ok(text.split('-').zip(&sentences).all(|(part, sentence)| part == sentence && strip(part) == part))
}

pub(super) fn square_brackets(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(split(text).all(|word| word.starts_with('[') && word.ends_with(']')))
}

/// Each two words in double angular brackets; a last one alone may stand without.
pub(super) fn bigram_wrapping(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let words: Vec<&str> = split(text).collect();
    Ok(words.chunks_exact(2).all(|pair| pair[0].starts_with("<<") && pair[1].ends_with(">>")))
}
