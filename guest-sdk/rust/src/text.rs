// SPDX-License-Identifier: Apache-2.0
//! Text rules that graders share. Where rules come from Python graders, white space and case are Python's.

mod boxed;
mod letters;

pub use boxed::{last_boxed, last_closed_boxed, unwrap_text};
pub use letters::{is_alphanumeric, is_letter, is_word};

/// Whether Python's `str.isspace` counts `c` as white space: Unicode white space and four control characters.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// `text` without white space around it, as by Python's `str.strip`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `text` in lower case, each run of white space one space, none around it. For comparing what people write.
pub fn normalize(text: &str) -> String {
    words(&text.to_lowercase()).collect::<Vec<_>>().join(" ")
}

/// The parts of `text` between white space, as by Python's `str.split()`.
pub fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(is_space).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizing_levels_case_and_white_space() {
        for (text, normal) in
            [("  New\u{a0}\tYork \n", "new york"), ("ÉCOLE", "école"), ("a\u{1f}b", "a b"), (" \n", ""), ("", "")]
        {
            assert_eq!(normalize(text), normal);
        }
    }

    #[test]
    fn words_stand_between_white_space() {
        for (text, expected) in [(" a\u{1f}b\u{3000} c\n", vec!["a", "b", "c"]), ("a-b", vec!["a-b"]), (" \t", vec![])]
        {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn stripping_takes_what_python_takes() {
        assert_eq!(strip("\u{1c} \u{3000}a b\u{85}\n"), "a b");
        assert_eq!(strip("\u{200b}a"), "\u{200b}a");
    }
}
