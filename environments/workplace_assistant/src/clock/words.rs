// SPDX-License-Identifier: Apache-2.0
//! Splits a date into words, numbers and signs, and knows the words.

/// Words that mean nothing.
const FILLERS: [&str; 18] =
    [" ", ".", ",", ";", "-", "/", "'", "at", "on", "and", "ad", "m", "t", "of", "st", "nd", "rd", "th"];

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A unit of time behind a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// `h`
    Hour,
    /// `m`
    Minute,
    /// `s`
    Second,
}

/// Whether a word means nothing.
pub(super) fn is_filler(word: &str) -> bool {
    FILLERS.contains(&word.to_lowercase().as_str())
}

/// Whether a word is a day of the week.
pub(super) fn is_weekday(word: &str) -> bool {
    let word = word.to_lowercase();
    WEEKDAYS.iter().any(|name| *name == word || name[..3] == word)
}

/// The number of a month.
pub(super) fn month(word: &str) -> Option<i64> {
    let word = word.to_lowercase();
    let word = if word == "sept" { "sep" } else { &word };
    (1..).zip(MONTHS).find(|(_, name)| *name == word || name[..3] == *word).map(|(number, _)| number)
}

/// Whether a word is for the second half of the day, if it is for one of them.
pub(super) fn is_afternoon(word: &str) -> Option<bool> {
    match word.to_lowercase().as_str() {
        "am" | "a" => Some(false),
        "pm" | "p" => Some(true),
        _ => None,
    }
}

/// The unit that a word is.
pub(super) fn unit(word: &str) -> Option<Unit> {
    match word.to_lowercase().as_str() {
        "h" | "hour" | "hours" => Some(Unit::Hour),
        "m" | "minute" | "minutes" => Some(Unit::Minute),
        "s" | "second" | "seconds" => Some(Unit::Second),
        _ => None,
    }
}

/// Whether a word names UTC.
pub(super) fn is_utc(word: &str) -> bool {
    matches!(word.to_lowercase().as_str(), "utc" | "gmt" | "z")
}

/// Whether a word could be the name of a time zone.
pub(super) fn could_be_zone(word: &str) -> bool {
    word.len() <= 5 && (word.bytes().all(|byte| byte.is_ascii_uppercase()) || matches!(word, "UTC" | "GMT" | "Z" | "z"))
}

/// Words, numbers and signs, in order. Points belong to numbers and abbreviations where there is one only.
pub(super) fn split(text: &str) -> Vec<String> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Letters,
        Digits,
        LettersWithPoint,
        DigitsWithPoint,
    }
    let mut words = Vec::new();
    let mut letters = text.chars().filter(|c| *c != '\0').peekable();
    while let Some(first) = letters.next() {
        let mut word = String::from(first);
        let mut state = if first.is_alphabetic() {
            State::Letters
        } else if first.is_numeric() {
            State::Digits
        } else {
            words.push(if gym_env::text::is_space(first) { " ".to_owned() } else { word });
            continue;
        };
        let mut has_letters = false;
        while let Some(next) = letters.peek().copied() {
            has_letters |= matches!(state, State::Letters | State::LettersWithPoint);
            let after_point = word.ends_with('.');
            let (is_letter, is_digit) = (next.is_alphabetic(), next.is_numeric());
            state = match state {
                State::Letters if is_letter => State::Letters,
                State::Letters if next == '.' => State::LettersWithPoint,
                State::Digits if is_digit => State::Digits,
                State::Digits if next == '.' || next == ',' && word.len() >= 2 => State::DigitsWithPoint,
                State::LettersWithPoint if next == '.' || is_letter => State::LettersWithPoint,
                State::LettersWithPoint if is_digit && after_point => State::DigitsWithPoint,
                State::DigitsWithPoint if next == '.' || is_digit => State::DigitsWithPoint,
                State::DigitsWithPoint if is_letter && after_point => State::LettersWithPoint,
                _ => break,
            };
            word.push(next);
            letters.next();
        }
        let points = word.matches('.').count();
        let is_pointed = matches!(state, State::LettersWithPoint | State::DigitsWithPoint);
        if is_pointed && (has_letters || points > 1 || word.ends_with(['.', ','])) {
            let mut rest = word.as_str();
            while let Some(at) = rest.find(['.', ',']) {
                words.extend(
                    [&rest[..at], &rest[at..=at]].into_iter().filter(|part| !part.is_empty()).map(str::to_owned),
                );
                rest = &rest[at + 1..];
            }
            words.extend(Some(rest).filter(|rest| !rest.is_empty()).map(str::to_owned));
        } else if state == State::DigitsWithPoint && points == 0 {
            words.push(word.replace(',', "."));
        } else {
            words.push(word);
        }
    }
    words
}
