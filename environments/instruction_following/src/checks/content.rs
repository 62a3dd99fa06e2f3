// SPDX-License-Identifier: Apache-2.0
//! Phrases and marks that must, or must not, be there.

use std::sync::LazyLock;

use gym_env::{
    pattern::{Case, Pattern},
    text::strip,
};
use regex::Regex;

use crate::arguments::{Arguments, Broken};

pub(super) fn placeholders(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[.*?\]").expect("the pattern is valid"));
    let wanted = arguments.count("num_placeholders", 1, 4)?;
    Ok(PLACEHOLDER.find_iter(text).count() as f64 >= wanted)
}

/// The marker stands somewhere; any but the two usual ones is a pattern.
pub(super) fn postscript(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let marker = arguments.stripped_or("postscript_marker", &["P.S.", "P.P.S"])?;
    let pattern = match marker.as_str() {
        "P.P.S" => r"p\.\s?p\.\s?s".to_owned(),
        "P.S." => r"p\.\s?s\.".to_owned(),
        marker => format!(r"(?m)\s*{}.*$", marker.to_lowercase()),
    };
    Ok(Pattern::new(&pattern, Case::Matters)?.is_in(&text.to_lowercase())?)
}

pub(super) fn constrained_response(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(["yes", "no", "maybe"].iter().any(|answer| text.contains(&format!("My answer is {answer}."))))
}

/// The answer ends with the phrase, in any case of letters; a quote may close after it.
pub(super) fn end_phrase(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let phrase =
        arguments.stripped_or("end_phrase", &["Any other questions?", "Is there anything else I can help with?"])?;
    Ok(strip(text).trim_matches('"').to_lowercase().ends_with(strip(&phrase.to_lowercase())))
}

pub(super) fn no_comma(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(!text.contains(','))
}

pub(super) fn no_dot(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(!text.contains('.'))
}

pub(super) fn no_exclamation(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    Ok(!text.contains('!'))
}

pub(super) fn quotation(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let text = strip(text);
    Ok(text.len() > 1 && text.starts_with('"') && text.ends_with('"'))
}
