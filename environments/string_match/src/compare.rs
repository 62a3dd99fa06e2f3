// SPDX-License-Identifier: Apache-2.0
//! Whether two answers are the same, with tolerance for how they are written.

use gym_env::python;
use unicode_normalization::UnicodeNormalization;

use crate::{latex, states, units};

/// The reward of numbers that are almost equal.
const ALMOST: f64 = 0.98;

/// The reward for an answer: 1 if it is the same as the expected one in some spelling, a little less for a number that
/// is almost equal, or else 0.
pub(crate) fn grade(expected: &str, answer: &str) -> f64 {
    let (expected, answer) = (level(expected), level(answer));
    let same = |spelling: fn(&str) -> String| spelling(&answer) == spelling(&expected);
    if answer == expected
        || same(number)
        || same(without_thousands)
        || same(latex::plain)
        || same(as_list)
        || same(|text| as_list(&states::abbreviated(text)).to_lowercase())
    {
        return 1.0;
    }
    if closeness(&expected, &answer) > ALMOST {
        return ALMOST;
    }
    let bare = |text: &str| strip(&units::removed(&units::spelled(&latex::plain(text)))).to_owned();
    let (expected, answer) = (bare(&expected), bare(&answer));
    if answer == expected {
        1.0
    } else if closeness(&expected, &answer) > ALMOST {
        ALMOST
    } else {
        0.0
    }
}

fn strip(text: &str) -> &str {
    gym_env::text::strip(text)
}

/// Compatibility form, without one pair of quotes, in lower case, without full stops and the like at the end.
fn level(text: &str) -> String {
    let text: String = text.nfkc().collect();
    let quoted = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    let lower = quoted.unwrap_or(&text).to_lowercase();
    match lower.trim_end_matches(['.', '!', '?']) {
        "" => lower,
        stripped => stripped.to_owned(),
    }
}

/// A number in its one spelling; anything else as it is.
fn number(text: &str) -> String {
    let bare = text.replace("\\%", "").replace("\\$", "").replace('$', "");
    python::float(&bare).map_or_else(|| text.to_owned(), python::repr_float)
}

/// Without the commas between two runs of digits. A run is looked at once: `1,234,567` keeps its second comma.
fn without_thousands(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let digits_from = |at: usize| chars[at..].iter().take_while(|c| c.is_numeric()).count();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let before = digits_from(at);
        if before == 0 {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(&chars[at..at + before]);
        at += before;
        if chars.get(at) == Some(&',') {
            let after = digits_from(at + 1);
            if after > 0 {
                out.extend(&chars[at + 1..=at + after]);
                at += 1 + after;
            }
        }
    }
    out.replace("\\%", "%")
}

/// What stands between the items of a list as single spaces. A text of which little else would be left stays.
pub(crate) fn as_list(text: &str) -> String {
    let replaced = text.replace([',', ';'], " ").replace("and", " ").replace("or", " ");
    if (replaced.chars().count() as f64) < 0.9 * text.chars().count() as f64 {
        return text.to_owned();
    }
    words(&replaced)
}

/// Runs of white space as one space, none around.
pub(crate) fn words(text: &str) -> String {
    gym_env::text::words(text).collect::<Vec<_>>().join(" ")
}

/// How close two numbers with units are, from 0 to 1; 0 for what is no number.
fn closeness(expected: &str, answer: &str) -> f64 {
    let number = |text: &str| {
        let bare: String = text.chars().filter(|c| !matches!(c, '$' | '£' | '€' | '%' | ',')).collect();
        python::float(&units::removed(&units::spelled(&bare)))
    };
    let (Some(answer), Some(expected)) = (number(answer), number(expected)) else { return 0.0 };
    let error = (answer - expected).abs() / expected.abs().max(1e-9);
    // What is not comparable (not a number) is not close.
    (1.0 - error).max(0.0).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reward: f64, pairs: &[(&str, &str)]) {
        for (expected, answer) in pairs {
            assert_eq!(grade(expected, answer), reward, "{answer:?} for {expected:?}");
        }
    }

    #[test]
    fn spellings_of_the_same_get_one() {
        check(
            1.0,
            &[
                ("Paris", "paris."),
                ("Paris", "'PARIS'"),
                ("Paris", "Paris?!."),
                ("ﬁve", "FIVE"),
                ("42", "42.0"),
                ("0.5", "5e-1"),
                ("12", "$12"),
                ("12", "\\$12.00"),
                ("1000", "1_000"),
                ("1234 people", "1,234 people"),
                ("50% off", "50\\% off"),
                ("x", "\\text{x}"),
                ("x + y", "\\( \\mathrm{x} +  y \\)"),
                ("apples, pears and plums", "apples pears plums"),
                ("a; b", "a, b"),
                ("nan", "NaN"),
                ("New York", "NY"),
                ("lives in Ohio", "lives in oh"),
                ("x cm", "x"),
                ("t°", "t^{\\circ}"),
            ],
        );
    }

    #[test]
    fn what_is_almost_equal_gets_almost_one() {
        check(
            ALMOST,
            &[
                ("100", "100.5"),
                ("1000000", "1,000,001"),
                ("3.14159 m", "3.1416"),
                ("10 km", "$10.05"),
                ("90°", "90^\\circ"),
                ("5 cm", "5"),
            ],
        );
        check(0.0, &[("100", "102"), ("0", "1e-9"), ("inf", "1e308"), ("1", "nan")]);
    }

    #[test]
    fn something_else_gets_nothing() {
        check(0.0, &[("Paris", "London"), ("Paris", "Paris, France"), ("a", ""), ("12", "21"), ("-0.0", "x")]);
    }

    #[test]
    fn a_run_of_digits_loses_one_comma() {
        for (text, bare) in
            [("1,234", "1234"), ("1,234,567", "1234,567"), ("1, 2", "1, 2"), ("a,1,b", "a,1,b"), ("\\%", "%")]
        {
            assert_eq!(without_thousands(text), bare, "{text}");
        }
    }

    #[test]
    fn a_list_keeps_its_words_unless_too_little_is_left() {
        for (text, list) in [
            ("apples, pears and plums", "apples pears plums"),
            ("red or blue", "red blue"),
            ("and", "and"),
            ("or", "or"),
            ("x", "x"),
        ] {
            assert_eq!(as_list(text), list, "{text}");
        }
    }

    #[test]
    fn quotes_and_punctuation_alone_stay() {
        for (text, leveled) in [("...", "..."), ("\"\"", ""), ("\"", "\""), ("''a''", "'a'"), ("\"a'", "\"a'")] {
            assert_eq!(level(text), leveled, "{text}");
        }
    }
}
