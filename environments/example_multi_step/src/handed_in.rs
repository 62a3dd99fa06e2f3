// SPDX-License-Identifier: Apache-2.0
//! The list that the model handed in.

use gym_env::{Fault, python};
use serde_json::{Value, json};

/// One element of the list. Elements are compared as they were written, and reported as whole numbers.
#[derive(Debug, PartialEq)]
pub(crate) enum Element {
    /// A whole number; `3.0` and `true` are whole numbers too.
    Number(i64),
    /// A whole number of more than 64 bits, which is no value of a synonym; the nearest double.
    Beyond(f64),
    /// Text that spells a whole number. It is not equal to the number.
    Text(String, i64),
}

impl Element {
    /// Whether it is this number.
    pub(crate) fn is(&self, value: i64) -> bool {
        *self == Self::Number(value)
    }

    /// Whether it is this text.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        matches!(self, Self::Text(written, _) if written == text)
    }

    /// The number that is reported.
    pub(crate) fn number(&self) -> Value {
        match self {
            Self::Number(number) | Self::Text(_, number) => json!(number),
            Self::Beyond(number) => json!(number),
        }
    }
}

/// Reads the arguments of the call, as Python reads JSON: of a member that is there twice the last one counts. A fault
/// when they are not an object with a list of whole numbers.
pub(crate) fn read(arguments: &str) -> Result<Vec<Element>, Fault> {
    let unreadable =
        |reason: &str| Fault::new(format!("the arguments of `extract_synonym_values` are unreadable: {reason}"));
    let arguments = python::loads(arguments).map_err(|_| unreadable("not JSON"))?;
    let values = match arguments.get("synonym_values") {
        Some(python::Value::List(values)) => values,
        Some(other) => return Err(unreadable(&format!("`synonym_values` is a {}, not a list", other.type_name()))),
        None => return Err(unreadable("there is no `synonym_values`")),
    };
    let element = |value: &python::Value| match value {
        python::Value::Int(whole) => Ok(i64::try_from(*whole).map_or(Element::Beyond(*whole as f64), Element::Number)),
        python::Value::Large(digits) => Ok(Element::Beyond(digits.parse().unwrap_or(f64::INFINITY))),
        python::Value::Bool(truth) => Ok(Element::Number((*truth).into())),
        python::Value::Float(float) => {
            whole(*float).map(Element::Number).ok_or_else(|| unreadable("not a whole number"))
        }
        python::Value::Text(text) => match text.trim().parse() {
            Ok(number) => Ok(Element::Text(text.clone(), number)),
            Err(_) => Err(unreadable("text that is not a whole number")),
        },
        other => Err(unreadable(&format!("a {} is no whole number", other.type_name()))),
    };
    values.iter().map(element).collect()
}

/// The whole number that a float is.
fn whole(float: f64) -> Option<i64> {
    (float.fract() == 0.0 && float.abs() < 9.0e18).then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_members_that_are_there_twice_the_last_one_counts() {
        let twice = read(r#"{"synonym_values": [1], "synonym_values": [2, "3", true, 4.0]}"#).unwrap();
        assert_eq!(
            twice,
            [Element::Number(2), Element::Text("3".to_owned(), 3), Element::Number(1), Element::Number(4)]
        );
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_read_and_equals_nothing() {
        let read =
            read(r#"{"synonym_values": [9223372036854775808, -1000000000000000000000000000000, 9223372036854775807]}"#);
        let read = read.unwrap();
        assert_eq!(
            read,
            [Element::Beyond(9.223_372_036_854_776e18), Element::Beyond(-1e30), Element::Number(i64::MAX)]
        );
        assert!(!read[0].is(i64::MAX));
        assert_eq!(read[1].number(), json!(-1e30));
        let huge = super::read(&format!("{{\"synonym_values\": [{}]}}", "9".repeat(400))).unwrap();
        assert_eq!(huge[0].number(), Value::Null);
    }

    #[test]
    fn what_is_no_object_with_a_list_of_whole_numbers_is_a_fault() {
        let values = ["5", "null", "\"12\"", "{}", "[null]", "[[1]]", "[1.5]", "[NaN]", "[\"x\"]", "[1e30]"];
        let objects = values.map(|values| format!("{{\"synonym_values\": {values}}}"));
        let others = ["", "{", "null", "[]", "[[1]]", "5", "{}"].map(str::to_owned);
        for arguments in objects.into_iter().chain(others) {
            assert!(read(&arguments).is_err(), "{arguments}");
        }
    }
}
