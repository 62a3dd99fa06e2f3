// SPDX-License-Identifier: Apache-2.0
//! TOML 1.0 as Python's `tomllib` reads it. Dates and times are values that JSON does not have.

use gym_env::python::Value;

use crate::data::foreign;

/// As many numbers beyond 64 bits an answer may have.
const MAX_LARGE: usize = 64;

pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut text = text.to_owned();
    // The reader knows numbers of 64 bits only. A larger one is read by itself, and a small one that the text has nowhere
    // stands in for it.
    let mut large: Vec<(i64, i128)> = Vec::new();
    loop {
        match text.parse::<::toml::Table>() {
            Ok(table) => return Ok(value(::toml::Value::Table(table), &large)),
            Err(error) => {
                let found = (large.len() < MAX_LARGE).then(|| large_number(&text, &error)).flatten();
                let (place, number) = found.ok_or_else(|| error.message().to_owned())?;
                let stands_in = stand_in(&text);
                text.replace_range(place, &stands_in.to_string());
                large.push((stands_in, number));
            }
        }
    }
}

/// The whole number of more than 64 bits that is the error, and where it is.
fn large_number(text: &str, error: &::toml::de::Error) -> Option<(std::ops::Range<usize>, i128)> {
    error.message().contains("to fit in target type").then_some(())?;
    let at = error.span()?.start;
    let is_of_number = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-');
    let bytes = text.as_bytes();
    let start = at - bytes[..at].iter().rev().take_while(|byte| is_of_number(byte)).count();
    let end = at + bytes[at..].iter().take_while(|byte| is_of_number(byte)).count();
    let digits = text[start..end].replace('_', "");
    let number = match digits.as_bytes().get(..2) {
        Some(b"0x") => i128::from_str_radix(&digits[2..], 16),
        Some(b"0o") => i128::from_str_radix(&digits[2..], 8),
        Some(b"0b") => i128::from_str_radix(&digits[2..], 2),
        _ => digits.parse(),
    };
    Some((start..end, number.ok()?))
}

/// A number that is nowhere in the text.
fn stand_in(text: &str) -> i64 {
    let mut number = i64::MAX - 1;
    while text.contains(&number.to_string()) {
        number -= 1;
    }
    number
}

fn value(given: ::toml::Value, large: &[(i64, i128)]) -> Value {
    match given {
        ::toml::Value::String(text) => Value::Text(text),
        ::toml::Value::Integer(number) => {
            let large = large.iter().find(|(stands_in, _)| *stands_in == number);
            Value::Int(large.map_or(number.into(), |(_, number)| *number))
        }
        ::toml::Value::Float(number) => Value::Float(number),
        ::toml::Value::Boolean(truth) => Value::Bool(truth),
        ::toml::Value::Datetime(_) => foreign("datetime"),
        ::toml::Value::Array(items) => Value::List(items.into_iter().map(|item| value(item, large)).collect()),
        ::toml::Value::Table(members) => {
            Value::Dict(members.into_iter().map(|(name, member)| (name, value(member, large))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_values_are_read() {
        let text =
            "name = 'x'\nn = 1_000\nf = 1.5\nok = true\nday = 2024-05-10\nlist = [1, 'a']\n[t]\ninner = {a = inf}\n";
        let expected = [
            "'name': 'x'",
            "'n': 1000",
            "'f': 1.5",
            "'ok': True",
            "'day': {'\\x00datetime ': None}",
            "'list': [1, 'a']",
            "'t': {'inner': {'a': inf}}",
        ];
        let found = parse(text).map(|value| value.repr()).unwrap_or_default();
        for part in expected {
            assert!(found.contains(part), "{part} in {found}");
        }
    }

    #[test]
    fn whole_numbers_may_have_more_than_64_bits() {
        let text = "a = 9223372036854775806\nb = 9_223_372_036_854_775_808\n[c]\nd = [-100000000000000000000, 0xFFFFFFFFFFFFFFFFFF]\n";
        let found = parse(text).map(|value| value.repr()).unwrap();
        for part in ["9223372036854775806", "9223372036854775808", "-100000000000000000000, 4722366482869645213695"] {
            assert!(found.contains(part), "{part} in {found}");
        }
        assert!(parse(&format!("a = {}", "9".repeat(60))).is_err());
        let many: Vec<String> = (0..200).map(|_| u64::MAX.to_string()).collect();
        assert!(parse(&format!("a = [{}]", many.join(","))).is_err());
    }

    #[test]
    fn what_toml_1_0_does_not_have_is_an_error() {
        for text in [
            "a = 1\na = 2",
            "a =",
            "```toml\na = 1\n```",
            "{\"a\": 1}",
            "a = {b = 1,\n c = 2}",
            "a = \"\\e\"",
            "a = 01",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
