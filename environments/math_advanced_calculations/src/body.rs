// SPDX-License-Identifier: Apache-2.0
//! Arguments of a call, as pydantic reads optional floats.

use gym_env::{Refuse, python};
use serde_json::{Value, json};

use crate::functions::{Arguments, NAMES};

/// Reads the body of a call. Refused with status 422 when it is no object, or an argument no number.
pub(crate) fn read(body: &str) -> Result<Arguments, Refuse> {
    let value = python::loads(body).ok();
    let Some(object @ python::Value::Dict(_)) = &value else {
        let msg = "Input should be a valid dictionary or object to extract fields from";
        let input = serde_json::from_str(body).unwrap_or(Value::Null);
        let error = json!({"type": "model_attributes_type", "loc": ["body"], "msg": msg, "input": input});
        return Err(Refuse::new(422, json!([error])));
    };
    let mut errors = Vec::new();
    let mut arguments = [None; NAMES.len()];
    for (slot, name) in arguments.iter_mut().zip(NAMES) {
        let given = object.get(name).unwrap_or(&python::Value::None);
        let (kind, msg, input) = match given {
            python::Value::None => continue,
            // Pydantic reads digits of ASCII only.
            python::Value::Text(text) => match python::float(text).filter(|_| !has_foreign_digits(text)) {
                Some(number) => {
                    *slot = Some(number);
                    continue;
                }
                None => {
                    let msg = "Input should be a valid number, unable to parse string as a number";
                    ("float_parsing", msg, Value::String(text.clone()))
                }
            },
            other => match other.as_number() {
                Some(number) => {
                    *slot = Some(number);
                    continue;
                }
                None => {
                    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
                    ("float_type", "Input should be a valid number", body.get(name).cloned().unwrap_or(Value::Null))
                }
            },
        };
        errors.push(json!({"type": kind, "loc": ["body", name], "msg": msg, "input": input}));
    }
    if errors.is_empty() { Ok(arguments) } else { Err(Refuse::new(422, Value::Array(errors))) }
}

fn has_foreign_digits(text: &str) -> bool {
    text.chars().any(|c| !c.is_ascii() && python::digit(c).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_leniently() {
        for (body, arguments) in [
            ("{}", [None; 4]),
            (r#"{"a":1,"b":"2.5","radians":true,"base":null,"other":[]}"#, [Some(1.0), Some(2.5), Some(1.0), None]),
            (r#"{"a":1e999}"#, [Some(f64::INFINITY), None, None, None]),
            (
                r#"{"a":123456789012345678901234567890}"#,
                [Some(123_456_789_012_345_678_901_234_567_890.0), None, None, None],
            ),
        ] {
            assert_eq!(read(body).unwrap(), arguments, "{body}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_with_pydantics_words() {
        let refuse = read(r#"{"a":"x","b":[1]}"#).unwrap_err();
        assert_eq!(refuse.status(), 422);
        let text = "Input should be a valid number, unable to parse string as a number";
        assert_eq!(
            *refuse.detail(),
            json!([
                {"type": "float_parsing", "loc": ["body", "a"], "msg": text, "input": "x"},
                {"type": "float_type", "loc": ["body", "b"], "msg": "Input should be a valid number", "input": [1]},
            ])
        );
        for body in ["[]", "3", "null", "", "\"text\""] {
            assert_eq!(read(body).unwrap_err().status(), 422, "{body}");
        }
    }
}
