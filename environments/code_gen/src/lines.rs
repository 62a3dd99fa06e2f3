// SPDX-License-Identifier: Apache-2.0
//! Comparing what a program printed with what is expected.

use gym_env::{
    RewardRules,
    text::{strip, words},
};

use crate::decimal::{Decimal, Raised};

/// Where two outputs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// In their number of lines.
    Length,
    /// In this line, counted from 0.
    Line { index: usize, expected: String, printed: String },
}

/// Compares line by line, without white space at their ends and at the ends of the whole. Lines are equal as texts, or
/// number by number; of release 0.7 on numbers that are written with a fraction or an exponent may be off by a millionth,
/// and `yes` and `no` may be written in capitals or not.
///
/// The error is one that NeMo Gym's comparison runs into itself, which it takes for a failed run of the tests.
pub(crate) fn difference(expected: &str, printed: &str, rules: RewardRules) -> Result<Option<Difference>, Raised> {
    let lines = |text| strip(text).split('\n').map(strip).collect::<Vec<&str>>();
    let (expected, printed) = (lines(expected), lines(printed));
    if expected.len() != printed.len() {
        return Ok(Some(Difference::Length));
    }
    for (index, (expected, printed)) in expected.into_iter().zip(printed).enumerate() {
        if expected != printed && !is_verdict(expected, printed, rules) && !are_equal_numbers(expected, printed, rules)?
        {
            return Ok(Some(Difference::Line { index, expected: expected.to_owned(), printed: printed.to_owned() }));
        }
    }
    Ok(None)
}

fn is_verdict(expected: &str, printed: &str, rules: RewardRules) -> bool {
    let printed = printed.to_lowercase();
    rules == RewardRules::Current && matches!(&*printed, "yes" | "no") && printed == expected.to_lowercase()
}

fn are_equal_numbers(expected: &str, printed: &str, rules: RewardRules) -> Result<bool, Raised> {
    let numbers = |line: &str| {
        let tokens = words(line);
        tokens.map(|token| Some((is_fractional(token), Decimal::parse(token)?))).collect::<Option<Vec<_>>>()
    };
    let (Some(printed), Some(expected)) = (numbers(printed), numbers(expected)) else { return Ok(false) };
    if expected.len() != printed.len() {
        return Ok(false);
    }
    for ((is_fraction, expected), (is_fraction_too, printed)) in expected.iter().zip(&printed) {
        let may_be_off = rules == RewardRules::Current && (*is_fraction || *is_fraction_too);
        let is_right = expected.equals(printed)? || may_be_off && expected.is_near(printed)?;
        if !is_right {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a number is written with a point or an exponent.
fn is_fractional(token: &str) -> bool {
    token.contains(['.', 'e', 'E'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_right(expected: &str, printed: &str, rules: RewardRules) -> bool {
        difference(expected, printed, rules).unwrap().is_none()
    }

    #[test]
    fn lines_are_compared_by_the_rules_of_either_release() {
        // Expected, printed, right by the current rule, right by that of August 2026.
        for (expected, printed, current, august) in [
            ("1\n2\n", " 1 \n2", true, true),
            ("1 2", "1  2", true, true),
            ("a b", "a  b", false, false),
            ("1\n2", "1\n\n2", false, false),
            ("", "\n\n", true, true),
            ("", "x", false, false),
            ("1.0", "1", true, true),
            ("1e2", "100.000", true, true),
            ("0.333333333333", "0.333333", true, false),
            ("0.333333333333", "0.334", false, false),
            ("1 0.5", "1 0.5000001", true, false),
            ("2 0.5", "1 0.5", false, false),
            ("50000000000000000", "50000000000000001", false, false),
            ("50000000000000000.0", "50000000000000001", true, false),
            ("YES", "yes", true, false),
            ("Yes\nNO", "YES\nno", true, false),
            ("Yes 1", "YES 1", false, false),
            ("Alice", "alice", false, false),
            ("1 2 3", "1 2", false, false),
            ("nan", "nan", true, true),
            ("nan 1", "nan  1", false, false),
            ("inf 1", "Infinity 1", true, true),
        ] {
            assert_eq!(is_right(expected, printed, RewardRules::Current), current, "{expected:?} {printed:?}");
            assert_eq!(is_right(expected, printed, RewardRules::August2026), august, "{expected:?} {printed:?}");
        }
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        let line = Difference::Line { index: 1, expected: "b".to_owned(), printed: "c".to_owned() };
        assert_eq!(difference("a\nb\nx", "a\n c\ny", RewardRules::Current), Ok(Some(line)));
        assert_eq!(difference("a", "a\nb", RewardRules::Current), Ok(Some(Difference::Length)));
        assert!(difference("snan 1", "snan  1", RewardRules::Current).is_err());
    }
}
