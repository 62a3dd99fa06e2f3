// SPDX-License-Identifier: Apache-2.0
//! The modes that look for a box.

use gym_env::text::{is_space, last_boxed, unwrap_text};

use crate::choices::Choices;

/// The letter in the last box: its only letter, in upper case, or an upper-case letter at its beginning that a colon,
/// bracket, full stop or hyphen follows.
pub(crate) fn strict_boxed(text: &str, choices: &Choices) -> Option<String> {
    let content = unwrap_text(last_boxed(text)?);
    choices.allowed(only_letter(content).or_else(|| leading_letter(content))?.to_string())
}

/// As [`strict_boxed`]; otherwise the only choice whose text occurs in the last box.
pub(crate) fn lenient_boxed(text: &str, choices: &Choices) -> Option<String> {
    strict_boxed(text, choices).or_else(|| {
        let content = last_boxed(text)?;
        choices.only_one_within(&[content, unwrap_text(content)])
    })
}

fn only_letter(content: &str) -> Option<char> {
    let mut letters = content.chars().filter(char::is_ascii_alphabetic);
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Some(letter).filter(char::is_ascii_uppercase),
        _ => None,
    }
}

fn leading_letter(content: &str) -> Option<char> {
    let content = content.trim_start_matches(is_space);
    let letter = content.chars().next().filter(char::is_ascii_uppercase)?;
    content[1..].trim_start_matches(is_space).starts_with([':', ')', '.', '-']).then_some(letter)
}
