// SPDX-License-Identifier: Apache-2.0
//! CSV as Python's `csv.DictReader` reads it: the first row has the names, the others are one object each.

use gym_env::python::Value;

use crate::data::{Members, foreign_name};

/// Longer fields are an error.
const MAX_FIELD: usize = 131_072;

/// The rows as a list of objects. Values are texts; names without a value have null, and values without a name are a
/// list under a name that no schema has.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut rows = rows(text)?.into_iter();
    let names = rows.next().unwrap_or_default();
    let objects = rows.filter(|row| !row.is_empty()).map(|row| {
        let mut members = Members::default();
        let mut values = row.into_iter().map(Value::Text);
        for name in &names {
            members.set(name.clone(), values.next().unwrap_or(Value::None));
        }
        let rest: Vec<Value> = values.collect();
        if !rest.is_empty() {
            members.set(foreign_name("rest", ""), Value::List(rest));
        }
        Value::Dict(members.into_list())
    });
    Ok(Value::List(objects.collect()))
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    RowStart,
    FieldStart,
    InField,
    InQuotes,
    AfterQuote,
    RowEnd,
}

/// The rows of fields, in the excel dialect: quotes around fields, doubled inside of them; what comes after a closing
/// quote is part of the field. An empty line is a row without fields.
fn rows(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let mut field = String::new();
    let mut length = 0;
    let mut state = State::RowStart;
    for line in text.split_inclusive('\n') {
        for c in line.chars() {
            let ends = matches!(c, '\r' | '\n');
            let mut keep = false;
            state = match state {
                State::RowEnd if ends => State::RowEnd,
                State::RowEnd => return Err("a line break in a field without quotes".to_owned()),
                State::InQuotes if c == '"' => State::AfterQuote,
                State::InQuotes => {
                    keep = true;
                    State::InQuotes
                }
                State::RowStart if ends => State::RowEnd,
                State::RowStart | State::FieldStart if c == '"' => State::InQuotes,
                State::AfterQuote if c == '"' => {
                    keep = true;
                    State::InQuotes
                }
                _ if c == ',' => {
                    row.push(std::mem::take(&mut field));
                    length = 0;
                    State::FieldStart
                }
                _ if ends => {
                    row.push(std::mem::take(&mut field));
                    length = 0;
                    State::RowEnd
                }
                _ => {
                    keep = true;
                    State::InField
                }
            };
            if keep {
                length += 1;
                if length > MAX_FIELD {
                    return Err(format!("field larger than field limit ({MAX_FIELD})"));
                }
                field.push(c);
            }
        }
        // At the end of a line a row ends, unless a quote is open.
        match state {
            State::InQuotes => continue,
            State::InField | State::AfterQuote | State::FieldStart => row.push(std::mem::take(&mut field)),
            State::RowStart | State::RowEnd => {}
        }
        length = 0;
        rows.push(std::mem::take(&mut row));
        state = State::RowStart;
    }
    if state == State::InQuotes {
        row.push(field);
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_objects_with_the_names_of_the_first_row() {
        for (text, expected) in [
            ("", "[]"),
            ("a,b", "[]"),
            ("a,b\n1,2\n", "[{'a': '1', 'b': '2'}]"),
            ("a,b\r\n1,2\r\n\r\n3,4", "[{'a': '1', 'b': '2'}, {'a': '3', 'b': '4'}]"),
            ("a,b\n1", "[{'a': '1', 'b': None}]"),
            ("a\n1,2", "[{'a': '1', '\\x00rest ': ['2']}]"),
            ("a,b\n\"x, \"\"y\"\"\",\"1\n2\"", "[{'a': 'x, \"y\"', 'b': '1\\n2'}]"),
            ("a,b\n\"x\"y, z\"", "[{'a': 'xy', 'b': ' z\"'}]"),
            ("a,b\n,\n", "[{'a': '', 'b': ''}]"),
            ("a\n\"open", "[{'a': 'open'}]"),
            ("a,a\n1,2", "[{'a': '2'}]"),
            ("\na\n1", "[{'\\x00rest ': ['a']}, {'\\x00rest ': ['1']}]"),
        ] {
            assert_eq!(parse(text).map(|value| value.repr()), Ok(expected.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn line_breaks_of_old_and_long_fields_are_errors() {
        assert!(parse("a\rb\n").is_err());
        assert!(parse(&"x".repeat(MAX_FIELD + 1)).is_err());
        assert!(parse(&"x".repeat(MAX_FIELD)).is_ok());
    }
}
