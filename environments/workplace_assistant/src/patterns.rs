// SPDX-License-Identifier: Apache-2.0
//! Regular expressions that a model wrote.

use gym_env::{
    pattern::{Case, Pattern, PatternError},
    python::Value,
};

use crate::raise::{Raise, hashable, raise};

/// A regular expression that matches in either case.
pub(crate) fn compile(value: &Value) -> Result<Pattern, Raise> {
    match hashable(value)? {
        Value::Text(text) => Pattern::new(text, Case::Ignored).or_else(|error| match error {
            PatternError::Invalid(_) => raise(mistake(text).unwrap_or_else(|| error.to_string())),
            PatternError::TooHard => raise(error.to_string()),
        }),
        _ => raise("first argument must be string or compiled pattern"),
    }
}

/// Whether a pattern occurs in a cell; nothing when the cell is no text.
pub(crate) fn occurs(pattern: &Pattern, cell: &Value) -> Result<Option<bool>, Raise> {
    match cell.as_text() {
        Some(text) => pattern.is_in(text).map(Some).or_else(|error| raise(error.to_string())),
        None => Ok(None),
    }
}

/// What Python says of the mistakes that are made in plain words: brackets and signs that were not meant as a pattern.
fn mistake(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut open = Vec::new();
    // Whether there is something to repeat, and whether it is repeated already.
    let (mut is_atom, mut is_repeated) = (false, false);
    let mut at = 0;
    while at < letters.len() {
        let place = at;
        at += 1;
        match letters[place] {
            '\\' if at == letters.len() => return Some(format!("bad escape (end of pattern) at position {place}")),
            '\\' => {
                at += 1;
                (is_atom, is_repeated) = (true, false);
            }
            '[' => {
                at += usize::from(letters.get(at) == Some(&'^'));
                // A bracket at the beginning of a class is a letter of it.
                at += usize::from(letters.get(at) == Some(&']'));
                while letters.get(at).is_some_and(|c| *c != ']') {
                    at += if letters[at] == '\\' { 2 } else { 1 };
                }
                if at >= letters.len() {
                    return Some(format!("unterminated character set at position {place}"));
                }
                at += 1;
                (is_atom, is_repeated) = (true, false);
            }
            '(' => {
                open.push(place);
                is_atom = false;
            }
            ')' => {
                if open.pop().is_none() {
                    return Some(format!("unbalanced parenthesis at position {place}"));
                }
                (is_atom, is_repeated) = (true, false);
            }
            '|' => is_atom = false,
            '*' | '+' | '?' if !is_atom => return Some(format!("nothing to repeat at position {place}")),
            '*' if is_repeated => return Some(format!("multiple repeat at position {place}")),
            '*' | '+' | '?' => {
                // Behind a repetition, `?` and `+` belong to it.
                at += usize::from(matches!(letters.get(at), Some('?' | '+')));
                is_repeated = true;
            }
            _ => (is_atom, is_repeated) = (true, false),
        }
    }
    open.last().map(|place| format!("missing ), unterminated subpattern at position {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_as_in_python() {
        for (pattern, text) in [
            ("Budget (Q4", "missing ), unterminated subpattern at position 7"),
            ("a(b(c", "missing ), unterminated subpattern at position 3"),
            ("Q4)", "unbalanced parenthesis at position 2"),
            ("*", "nothing to repeat at position 0"),
            ("a|+1", "nothing to repeat at position 2"),
            ("+1 555", "nothing to repeat at position 0"),
            ("a**", "multiple repeat at position 2"),
            ("[x", "unterminated character set at position 0"),
            ("a[]", "unterminated character set at position 1"),
            ("end\\", "bad escape (end of pattern) at position 3"),
        ] {
            let error = compile(&Value::Text(pattern.to_owned())).map(|_| ());
            assert_eq!(error, raise(text), "{pattern}");
        }
        for pattern in ["C++", "a+?", "[]x]", "(a)*", "a.b", ""] {
            assert!(compile(&Value::Text(pattern.to_owned())).is_ok(), "{pattern}");
        }
        assert_eq!(compile(&Value::Int(5)).map(|_| ()), raise("first argument must be string or compiled pattern"));
        assert_eq!(compile(&Value::List(Vec::new())).map(|_| ()), raise("unhashable type: 'list'"));
    }
}
