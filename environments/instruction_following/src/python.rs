// SPDX-License-Identifier: Apache-2.0
//! What Python's `str` and `re` say of characters and words, where it differs from Rust.

pub(crate) use gym_env::text::{is_word, words as split};
use unicode_general_category::{GeneralCategory, get_general_category};

/// Whether `\d` takes it: decimal digits of any script.
pub(crate) fn is_digit(c: char) -> bool {
    gym_env::python::digit(c).is_some()
}

/// The runs of word characters, as by `re.findall(r"\w+", text)`.
pub(crate) fn word_runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word(c)).filter(|run| !run.is_empty())
}

fn is_title(c: char) -> bool {
    !c.is_ascii() && get_general_category(c) == GeneralCategory::TitlecaseLetter
}

/// `str.isupper()`: there are letters with case, and all of them are capitals.
pub(crate) fn is_upper(text: &str) -> bool {
    !text.chars().any(|c| c.is_lowercase() || is_title(c)) && text.chars().any(char::is_uppercase)
}

/// `str.islower()`: there are letters with case, and all of them are small.
pub(crate) fn is_lower(text: &str) -> bool {
    !text.chars().any(|c| c.is_uppercase() || is_title(c)) && text.chars().any(char::is_lowercase)
}

/// `items[index]`: negative indices count from the end.
pub(crate) fn item<T>(items: &[T], index: i64) -> Option<&T> {
    items.get(resolve(index, items.len())?)
}

fn resolve(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index.checked_add(length)? } else { index }).ok()
}

/// `text[start:end]`, in characters.
pub(crate) fn slice(text: &str, start: i64, end: i64) -> String {
    let length = text.chars().count();
    let place = |index: i64| match index {
        ..0 => resolve(index, length).unwrap_or(0),
        _ => usize::try_from(index).unwrap_or(usize::MAX).min(length),
    };
    let (start, end) = (place(start), place(end));
    text.chars().skip(start).take(end.saturating_sub(start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_numbers() {
        for (text, count) in [
            ("", 0),
            ("Don't stop", 3),
            ("snake_case and-kebab 3.5", 5),
            ("naïve café", 2),
            ("x² ½", 2),
            // The vowel signs and the virama are marks: they end the run.
            ("हिन्दी", 3),
        ] {
            assert_eq!(word_runs(text).count(), count, "{text}");
        }
    }

    #[test]
    fn case_is_that_of_all_letters_that_have_one() {
        for (text, upper, lower) in [
            ("ABC 12!", true, false),
            ("abc 12!", false, true),
            ("Abc", false, false),
            ("12!", false, false),
            ("漢字", false, false),
            ("ǅ", false, false),
            ("ǅA", false, false),
            ("ÉÀ", true, false),
            ("ß", false, true),
        ] {
            assert_eq!((is_upper(text), is_lower(text)), (upper, lower), "{text}");
        }
    }

    #[test]
    fn indices_are_pythons() {
        assert_eq!(item(&[1, 2, 3], -1), Some(&3));
        assert_eq!(item(&[1, 2, 3], 3), None);
        assert_eq!(item(&[1, 2, 3], i64::MIN), None);
        for (start, end, part) in [(1, 3, "él"), (-3, -1, "li"), (2, 1, ""), (0, 99, "oéliX"), (-99, 2, "oé")] {
            assert_eq!(slice("oéliX", start, end), part, "{start}..{end}");
        }
    }
}
