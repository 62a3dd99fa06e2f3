// SPDX-License-Identifier: Apache-2.0
//! JSON values as Python sees them.

use serde_json::{Map, Value};

/// The object that the arguments of a call are; `None` when the text is something else. Nesting beyond 128 levels is
/// not read.
pub(crate) fn object(arguments: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// Equality as Python has it: `1`, `1.0` and `true` are the same, and so are `0`, `0.0` and `false`.
pub(crate) fn equal(one: &Value, other: &Value) -> bool {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => return one == other,
        (None, None) => {}
        _ => return false,
    }
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let found = |(name, value): (&String, &Value)| other.get(name).is_some_and(|other| equal(value, other));
            one.len() == other.len() && one.iter().all(found)
        }
        _ => one == other,
    }
}

/// A number that loses nothing of a whole number of 64 bits.
#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i128),
    Float(f64),
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Whole(one), Self::Whole(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Whole(whole), Self::Float(float)) | (Self::Float(float), Self::Whole(whole)) => {
                float.fract() == 0.0 && float.abs() < 1e30 && float as i128 == whole
            }
        }
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(value) => Some(Number::Whole(i128::from(*value))),
        Value::Number(value) => Some(match (value.as_i64(), value.as_u64()) {
            (Some(whole), _) => Number::Whole(whole.into()),
            (_, Some(whole)) => Number::Whole(whole.into()),
            _ => Number::Float(value.as_f64()?),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_equal_as_in_python() {
        for (one, other, expected) in [
            ("1", "1.0", true),
            ("true", "1", true),
            ("false", "0.0", true),
            ("true", "\"true\"", false),
            ("9007199254740993", "9007199254740992.0", false),
            ("18446744073709551615", "18446744073709551615", true),
            ("18446744073709551615", "-1", false),
            ("null", "false", false),
            ("[1, {\"a\": true}]", "[1.0, {\"a\": 1}]", true),
            ("[1]", "[1, 1]", false),
            ("{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1}", true),
            ("{\"a\": null}", "{}", false),
            ("\"Paris\"", "\"paris\"", false),
        ] {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(equal(&read(one), &read(other)), expected, "{one} and {other}");
            assert_eq!(equal(&read(other), &read(one)), expected, "{other} and {one}");
        }
    }

    #[test]
    fn only_objects_are_arguments() {
        assert_eq!(object(r#"{"a": 1, "a": 2}"#).unwrap()["a"], 2);
        for text in ["", "null", "[]", "{", "{} x", "\"{}\"", r#"{"a": "\ud800"}"#, &"{\"a\":".repeat(10_000)] {
            assert_eq!(object(text), None, "{text:.20}");
        }
    }
}
