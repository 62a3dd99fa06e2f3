// SPDX-License-Identifier: Apache-2.0
//! The modes that look for `Answer: …`.

use gym_env::text::{is_space, is_word, strip, unwrap_text};

use crate::{
    choices::{Choices, single_letter},
    letters::to_latin,
};

const WORD: &str = "answer";

/// The letter after the first `Answer:`, in any case: a letter alone, or the text of a choice. Anything more, even a
/// full stop, is no answer.
pub(crate) fn first(text: &str, choices: &Choices) -> Option<String> {
    let payload = words(text).find_map(|(_, after)| {
        let rest = text[after..].trim_start_matches(is_space).strip_prefix(':')?;
        let payload = line(rest.trim_start_matches(is_space));
        (!payload.is_empty()).then_some(payload)
    })?;
    // White space after it keeps a wrapper where it is.
    let payload = if payload.ends_with(is_space) { strip(payload) } else { unwrap_text(payload) };
    single_letter(payload).and_then(|letter| choices.allowed(letter)).or_else(|| choices.by_text(payload))
}

/// The letter after the last `Answer:` that gives one; stars and underscores of Markdown around the word are passed
/// over. A prefix opens further payloads.
pub(crate) fn markdown(text: &str, prefix: Option<&str>, choices: &Choices) -> Option<String> {
    let mut payloads = markdown_payloads(text);
    if let Some(prefix) = prefix {
        payloads.extend(prefixed_payloads(text, prefix));
    }
    payloads.sort_by_key(|(at, _)| *at);
    payloads.iter().rev().find_map(|(_, payload)| letter(payload, choices))
}

/// Where they begin, and what follows `Answer:` in the line.
fn markdown_payloads(text: &str) -> Vec<(usize, &str)> {
    let is_mark = |c: char| c == '*' || c == '_';
    let mut found = Vec::new();
    let mut done = 0;
    for (at, after) in words(text) {
        if at < done {
            continue;
        }
        let rest = skip_up_to_two(&text[after..], is_mark).0;
        let Some(rest) = rest.trim_start_matches(is_space).strip_prefix(':') else { continue };
        // Up to two marks or spaces are passed over, but fewer where otherwise nothing would be left of the line.
        let (_, skips) = skip_up_to_two(rest, |c| is_mark(c) || is_space(c));
        let Some(payload) = skips.iter().rev().map(|skip| line(&rest[*skip..])).find(|payload| !payload.is_empty())
        else {
            continue;
        };
        let marks = text[done..at].chars().rev().take(2).take_while(|c| is_mark(*c)).count();
        found.push((at - marks, payload));
        done = offset(text, payload) + payload.len();
    }
    found
}

/// Where they begin, and what follows the prefix and white space in the line.
fn prefixed_payloads<'a>(text: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let mut done = 0;
    for (at, _) in text.char_indices() {
        if at < done {
            continue;
        }
        let Some(rest) = strip_prefix_in_any_case(&text[at..], prefix) else { continue };
        let rest = rest.trim_start_matches(is_space);
        found.push((at, line(rest)));
        done = text.len() - rest.len();
    }
    found
}

/// The letter that a payload gives.
fn letter(payload: &str, choices: &Choices) -> Option<String> {
    let payload = to_latin(payload);
    let payload = payload.trim_matches(|c: char| "*_` \t\n\r.,;:".contains(c));
    if is_ambiguous(payload, choices) {
        return None;
    }
    let letter = single_letter(payload).or_else(|| leading(payload)).or_else(|| last_standing_alone(payload))?;
    choices.allowed(letter)
}

/// Whether two different letters that may be answered stand next to each other as in a list. Latin letters stand alone
/// that no Latin letter is beside.
fn is_ambiguous(payload: &str, choices: &Choices) -> bool {
    let chars: Vec<(usize, char)> = payload.char_indices().collect();
    let is_latin = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|(_, c)| c.is_ascii_alphabetic());
    let letters: Vec<(usize, String)> = (0..chars.len())
        .filter(|at| is_latin(Some(*at)) && !is_latin(at.checked_sub(1)) && !is_latin(Some(at + 1)))
        .map(|at| (chars[at].0, chars[at].1.to_ascii_uppercase().to_string()))
        .filter(|(_, letter)| choices.allow(letter))
        .collect();
    letters.windows(2).any(|pair| pair[0].1 != pair[1].1 && separates(&payload[pair[0].0 + 1..pair[1].0]))
}

/// Whether the text is what stands between the members of a list: white space, with one mark or one word in it.
fn separates(between: &str) -> bool {
    let word = between.trim_matches(is_space);
    match word {
        "" => !between.is_empty(),
        "/" | "|" | "&" | "," | ";" => true,
        _ => {
            (word.eq_ignore_ascii_case("or") || word.eq_ignore_ascii_case("and"))
                && between.starts_with(is_space)
                && between.ends_with(is_space)
        }
    }
}

/// A Latin letter at the beginning that no Latin letter or digit follows.
fn leading(payload: &str) -> Option<String> {
    let mut chars = payload.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    (!chars.next().is_some_and(|next| next.is_ascii_alphanumeric())).then(|| letter.to_ascii_uppercase().to_string())
}

/// The last Latin capital that has no letter, digit or underscore on either side.
fn last_standing_alone(payload: &str) -> Option<String> {
    let chars: Vec<char> = payload.chars().collect();
    let alone = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        !before.is_some_and(|c| is_word(*c)) && !chars.get(at + 1).is_some_and(|c| is_word(*c))
    };
    (0..chars.len()).rev().find(|at| chars[*at].is_ascii_uppercase() && alone(*at)).map(|at| chars[at].to_string())
}

/// Where the word `answer` begins and ends, in any case; the long s counts as an s.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    text.char_indices().filter_map(|(at, _)| {
        let mut rest = text[at..].chars();
        let same = |wanted: char, found: char| found.eq_ignore_ascii_case(&wanted) || wanted == 's' && found == 'ſ';
        WORD.chars()
            .all(|wanted| rest.next().is_some_and(|found| same(wanted, found)))
            .then(|| (at, text.len() - rest.as_str().len()))
    })
}

/// What follows the prefix, if the text begins with it in any case. As in Python, the Turkish letters `İ` and `ı` are no
/// others than `i`.
fn strip_prefix_in_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for wanted in prefix.chars() {
        let [found, wanted] = [rest.next()?, wanted].map(|c| if matches!(c, 'İ' | 'ı') { 'i' } else { c });
        if found != wanted
            && !found.to_lowercase().eq(wanted.to_lowercase())
            && !found.to_uppercase().eq(wanted.to_uppercase())
        {
            return None;
        }
    }
    Some(rest.as_str())
}

/// The text up to the end of its first line.
fn line(text: &str) -> &str {
    text.split('\n').next().unwrap_or_default()
}

/// Passes over up to two characters; also the ways to pass over fewer, shortest first.
fn skip_up_to_two(text: &str, skip: impl Fn(char) -> bool) -> (&str, Vec<usize>) {
    let mut skips = vec![0];
    for c in text.chars().take(2).take_while(|c| skip(*c)) {
        skips.push(skips[skips.len() - 1] + c.len_utf8());
    }
    (&text[skips[skips.len() - 1]..], skips)
}

/// Where a part of the text begins.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}
