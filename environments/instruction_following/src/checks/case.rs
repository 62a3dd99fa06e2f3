// SPDX-License-Identifier: Apache-2.0
//! Capitals, small letters, and languages. A text whose language cannot be told, such as one of numbers, is followed.

use crate::{
    arguments::{Arguments, Broken},
    language::language,
    python::{is_lower, is_upper},
    tokens::tokens,
};

/// The languages that an instruction can ask for.
const LANGUAGES: [&str; 30] = [
    "en", "es", "pt", "ar", "hi", "fr", "ru", "de", "ja", "it", "bn", "uk", "th", "ur", "ta", "te", "bg", "ko", "pl",
    "he", "fa", "vi", "ne", "sw", "kn", "mr", "gu", "pa", "ml", "fi",
];

fn is_in(code: &str, text: &str) -> bool {
    language(text).is_none_or(|language| language == code)
}

pub(super) fn response_language(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let code = arguments.language("language", &LANGUAGES)?;
    Ok(is_in(&code, text))
}

pub(super) fn english_capital(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(is_upper(text) && is_in("en", text))
}

pub(super) fn english_lowercase(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(is_lower(text) && is_in("en", text))
}

pub(super) fn capital_words(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let wanted = arguments.any_count("capital_frequency", 1, 20)?;
    let relation = arguments.relation("capital_relation")?;
    Ok(relation.holds(tokens(text).iter().filter(|word| is_upper(word)).count(), wanted))
}
