// SPDX-License-Identifier: Apache-2.0
//! Words and marks as NLTK's `word_tokenize` gives them: sentence by sentence, in the way of the Penn Treebank.
//!
//! Quotes, punctuation, brackets and clitics are set apart with spaces, one kind after the other, and the text is split
//! at white space. A full stop is set apart at the end of a sentence only; hyphens are not.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

use crate::{
    python::{is_word, split},
    sentences::sentences,
};

/// Patterns and what replaces their matches, in order.
struct Rules(Vec<(Regex, &'static str)>);

impl Rules {
    fn new<const N: usize>(rules: [(&str, &'static str); N]) -> Self {
        Self(rules.map(|(pattern, by)| (Regex::new(pattern).expect("the pattern is valid"), by)).into())
    }

    fn apply(&self, mut text: String) -> String {
        for (pattern, by) in &self.0 {
            let replaced = pattern.replace_all(&text, |found: &Captures<'_>| {
                let mut replacement = String::new();
                found.expand(by, &mut replacement);
                replacement
            });
            if let Cow::Owned(replaced) = replaced {
                text = replaced;
            }
        }
        text
    }
}

/// Quotes that open.
static QUOTES: LazyLock<Rules> = LazyLock::new(|| {
    Rules::new([("([«“‘„]|`+)", " $1 "), (r#"^""#, "``"), ("(``)", " $1 "), (r#"([ (\[{<])("|'{2})"#, "$1 `` ")])
});

/// Punctuation, brackets and dashes.
static MARKS: LazyLock<Rules> = LazyLock::new(|| {
    Rules::new([
        (r#"([^.])(\.)([\])}>"'»”’ ]*)\s*$"#, "$1 $2 $3 "),
        (r"([:,])([^\d])", " $1 $2"),
        (r"([:,])(\n?)$", " $1 $2"),
        (r"\.{2,}", " $0 "),
        ("[;@#$%&]", " $0 "),
        ("[\u{2012}-\u{2015}]", " $0 "),
        (r#"([^.])(\.)([\])}>"']*)\s*$"#, "$1 $2$3 "),
        ("[?!]", " $0 "),
        ("([^'])' ", "$1 ' "),
        ("[*]", " $0 "),
        (r"[\]\[(){}<>]", " $0 "),
        ("--", " -- "),
    ])
});

/// Quotes that close, clitics, and two words written as one.
static WORDS: LazyLock<Rules> = LazyLock::new(|| {
    Rules::new([
        ("([»”’])", " $1 "),
        ("''", " '' "),
        ("\"", " '' "),
        (r"\s+", " "),
        ("([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 "),
        ("([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 "),
        (r"(?i)\b(can)(not)\b", " $1 $2 "),
        (r"(?i)\b(d)('ye)\b", " $1 $2 "),
        (r"(?i)\b(gim)(me)\b", " $1 $2 "),
        (r"(?i)\b(gon)(na)\b", " $1 $2 "),
        (r"(?i)\b(got)(ta)\b", " $1 $2 "),
        (r"(?i)\b(lem)(me)\b", " $1 $2 "),
        (r"(?i)\b(more)('n)\b", " $1 $2 "),
        (r"(?i)\b(wan)(na)(\s)", " $1 $2 $3"),
        (r"(?i) ('t)(is)\b", " $1 $2 "),
        (r"(?i) ('t)(was)\b", " $1 $2 "),
    ])
});

/// Parts single quotes from the words before which they stand, unless the rest of the word is a clitic.
fn part_quotes(text: &str) -> String {
    const CLITICS: [&str; 8] = ["re", "ve", "ll", "m", "t", "s", "d", "n"];
    let mut parted = String::with_capacity(text.len());
    let mut before = None;
    for (at, c) in text.char_indices() {
        parted.push(c);
        let rest = &text[at + c.len_utf8()..];
        if c == '\'' && !before.is_some_and(is_word) {
            let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
            if !word.is_empty() && !CLITICS.iter().any(|clitic| word.eq_ignore_ascii_case(clitic)) {
                parted.push(' ');
            }
        }
        before = Some(c);
    }
    parted
}

/// The words and marks of a text.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let tokens_of = |sentence: String| {
        let text = WORDS.apply(format!(" {} ", MARKS.apply(part_quotes(&QUOTES.apply(sentence)))));
        split(&text).map(str::to_owned).collect::<Vec<_>>()
    };
    sentences(text).into_iter().flat_map(tokens_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_marks_are_parted() {
        for (text, expected) in [
            ("", ""),
            ("Good muffins cost $3.88 in New York.", "Good|muffins|cost|$|3.88|in|New|York|."),
            ("Thanks. Bye.", "Thanks|.|Bye|."),
            ("It's Ann's dog, isn't it?", "It|'s|Ann|'s|dog|,|is|n't|it|?"),
            ("They'll say \"no\" (maybe).", "They|'ll|say|``|no|''|(|maybe|)|."),
            ("I cannot go; gonna wait... 1,000 times", "I|can|not|go|;|gon|na|wait|...|1,000|times"),
            ("well-known -- true*", "well-known|--|true|*"),
            // A clitic stays with the mark before it, another word does not.
            ("'tis 'a", "'|tis|'|a"),
            ("I said 'stop' and 't 're", "I|said|'|stop|'|and|'t|'re"),
            ("rock'n'roll", "rock'n'roll"),
            ("AM–GM, or—not", "AM|–|GM|,|or|—|not"),
            ("“Quoted” words", "“|Quoted|”|words"),
        ] {
            assert_eq!(tokens(text).join("|"), expected, "{text}");
        }
    }
}
