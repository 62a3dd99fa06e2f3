// SPDX-License-Identifier: Apache-2.0
//! Answers that repeat the request, or themselves. Case of letters, and white space around, do not matter.

use gym_env::{
    pattern::{Case, Pattern},
    text::strip,
};

use crate::{
    arguments::{Arguments, Broken},
    python::{slice, split},
};

/// What separates two answers.
const DIVIDER: &str = "******";

fn level(text: &str) -> String {
    strip(text).to_lowercase()
}

/// Two different answers, divided by six stars.
pub(super) fn two_responses(_: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let parts: Vec<&str> = text.split(DIVIDER).map(strip).collect();
    let last = parts.len() - 1;
    if parts.iter().enumerate().any(|(index, part)| part.is_empty() && index != 0 && index != last) {
        return Ok(false);
    }
    let answers: Vec<&&str> = parts.iter().filter(|part| !part.is_empty()).collect();
    Ok(answers.len() == 2 && answers[0] != answers[1])
}

pub(super) fn repeat_prompt(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let prompt = arguments.text("prompt_to_repeat")?;
    Ok(level(text).starts_with(&level(prompt)))
}

pub(super) fn copy(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let prompt = arguments.text("prompt_to_repeat")?;
    Ok(level(text) == level(prompt))
}

pub(super) fn copy_several(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let prompt = level(arguments.text("prompt_to_repeat")?);
    let wanted = arguments.count_not_zero("N", 2, 3)?;
    let parts: Vec<&str> = text.split(DIVIDER).collect();
    Ok(parts.len() as f64 == wanted && parts.iter().all(|part| level(part) == prompt))
}

/// A part of the request, from one character to before another.
pub(super) fn copy_span(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    let prompt = arguments.text("prompt_to_repeat")?;
    let length = i64::try_from(prompt.chars().count()).unwrap_or(i64::MAX);
    let start = arguments.index("n_start", 0, length - 2)?;
    let end = arguments.index("n_end", start.saturating_add(1), length - 1)?;
    Ok(level(text) == level(&slice(prompt, start, end)))
}

/// Phrases that begin and end as the given one, exactly so many, and of as many words; at most one word is another in
/// each, and one is in the last.
pub(super) fn repeat_phrase(arguments: &mut Arguments<'_>, text: &str) -> Result<bool, Broken> {
    const PHRASES: [&str; 3] =
        ["A quiet morning by the lake", "Nobody forgets the first snow", "Every road leads somewhere new"];
    let phrase = arguments.phrase("phrase", &PHRASES)?;
    let wanted = arguments.count_not_zero("small_n", 2, 3)?;
    let words: Vec<&str> = split(&phrase).collect();
    let [Some(first), Some(last)] = [words.first(), words.last()] else { return Err(Broken::Raises) };
    let pattern = Pattern::new(&format!("{first} .*? {last}"), Case::Matters)?;
    let found = pattern.matches(text)?;
    if found.len() as f64 != wanted {
        return Ok(false);
    }
    let mut differences = 0;
    for found in &found {
        let repeated = match found.group_count() {
            0 => found.text(),
            1 => found.group(1).unwrap_or_default(),
            // Python gives a tuple, which has no words.
            _ => return Err(Broken::Raises),
        };
        let repeated: Vec<&str> = split(repeated).collect();
        differences = repeated.iter().zip(&words).filter(|(word, wanted)| word != wanted).count();
        if repeated.len() != words.len() || differences > 1 {
            return Ok(false);
        }
    }
    Ok(differences == 1)
}
