// SPDX-License-Identifier: Apache-2.0
//! Sentences by fixed rules, as some instructions split them: every full stop, question mark and exclamation mark ends
//! one, but for stops in titles, initials, acronyms, addresses of web sites and decimal numbers.

use std::sync::LazyLock;

use gym_env::text::strip;
use regex::Regex;

/// Stands for a full stop that ends nothing.
const STOP: &str = "<prd>";
/// Stands for the end of a sentence.
const END: &str = "<stop>";

/// What can follow an acronym or a suffix when a sentence begins there.
const STARTERS: &str = concat!(
    r"(Mr|Mrs|Ms|Dr|Prof|Capt|Cpt|Lt|He\s|She\s|It\s|They\s|Their\s|Our\s|We\s|But\s|However\s|That\s|This\s",
    "|Wherever)"
);

/// A pattern, and a replacement in which `~` stands for a full stop that ends nothing and `|` for an end.
static RULES: LazyLock<Vec<(Regex, String)>> = LazyLock::new(|| {
    let acronym_before_starter = format!("([A-Z][.][A-Z][.](?:[A-Z][.])?) {STARTERS}");
    let suffix_before_starter = format!(" (Inc|Ltd|Jr|Sr|Co)[.] {STARTERS}");
    [
        (r"\s([A-Za-z])[.] ", " ${1}~ "),
        (&acronym_before_starter, "${1}| ${2}"),
        ("([A-Za-z])[.]([A-Za-z])[.]([A-Za-z])[.]", "${1}~${2}~${3}~"),
        ("([A-Za-z])[.]([A-Za-z])[.]", "${1}~${2}~"),
        (&suffix_before_starter, " ${1}| ${2}"),
        (" (Inc|Ltd|Jr|Sr|Co)[.]", " ${1}~"),
        (" ([A-Za-z])[.]", " ${1}~"),
    ]
    .into_iter()
    .map(|(pattern, by)| (regex(pattern), by.replace('~', STOP).replace('|', END)))
    .collect()
});

static TITLE: LazyLock<Regex> = LazyLock::new(|| regex("(Mr|St|Mrs|Ms|Dr)[.]"));
static WEB_SITE: LazyLock<Regex> = LazyLock::new(|| regex("[.](com|net|org|io|gov|edu|me)"));
static DECIMAL: LazyLock<Regex> = LazyLock::new(|| regex("([0-9])[.]([0-9])"));
static ELLIPSIS: LazyLock<Regex> = LazyLock::new(|| regex(r"\.{2,}"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is valid")
}

/// The sentences of a text, without white space around them. There may be empty ones, but not at the end.
pub(crate) fn split_into_sentences(text: &str) -> Vec<String> {
    let mut text = format!(" {text}  ").replace('\n', " ");
    text = TITLE.replace_all(&text, "${1}<prd>").into_owned();
    text = WEB_SITE.replace_all(&text, "<prd>${1}").into_owned();
    text = DECIMAL.replace_all(&text, "${1}<prd>${2}").into_owned();
    let ellipsis = |found: &regex::Captures<'_>| STOP.repeat(found[0].len()) + END;
    text = ELLIPSIS.replace_all(&text, ellipsis).into_owned();
    text = text.replace("Ph.D.", "Ph<prd>D<prd>");
    for (pattern, by) in RULES.iter() {
        text = pattern.replace_all(&text, by.as_str()).into_owned();
    }
    // Marks move out of the quotes that close after them.
    for (inside, outside) in [(".”", "”."), (".\"", "\"."), ("!\"", "\"!"), ("?\"", "\"?")] {
        text = text.replace(inside, outside);
    }
    for (mark, end) in [(".", ".<stop>"), ("?", "?<stop>"), ("!", "!<stop>"), (STOP, ".")] {
        text = text.replace(mark, end);
    }
    let mut sentences: Vec<String> = text.split(END).map(|sentence| strip(sentence).to_owned()).collect();
    if sentences.last().is_some_and(String::is_empty) {
        sentences.pop();
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_ends_a_sentence_but_for_known_exceptions() {
        for (text, expected) in [
            ("", ""),
            ("One. Two!", "One.|Two!"),
            ("One\nTwo", "One Two"),
            ("Mr. Fox paid 3.50 at shop.com. Good.", "Mr. Fox paid 3.50 at shop.com.|Good."),
            ("Wait... what", "Wait...|what"),
            ("He has a Ph.D. in art.", "He has a Ph.D. in art."),
            ("Acme Inc. It grew. Acme Inc. grew.", "Acme Inc|It grew.|Acme Inc. grew."),
            ("The U.S. However it is", "The U.S.|However it is"),
            ("The u.s.a. is big.", "The u.s.a. is big."),
            ("She said \"Go!\" and left.", "She said \"Go\"!|and left."),
            ("What?!", "What?|!"),
        ] {
            assert_eq!(split_into_sentences(text).join("|"), expected, "{text}");
        }
    }
}
