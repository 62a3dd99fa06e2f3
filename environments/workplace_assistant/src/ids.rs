// SPDX-License-Identifier: Apache-2.0
//! Ids of new rows.

use gym_env::python::{Value, digit, int, repr_str};

use crate::{
    raise::{Raise, raise},
    table::{Table, is_missing},
};

/// One more than the largest id. The largest is found among texts, letter by letter: `999` comes after `1000`.
pub(crate) fn next(table: &Table, column: &str) -> Result<i128, Raise> {
    let column = table.column(column);
    let mut largest: Option<&Value> = None;
    for id in table.rows().iter().map(|row| &row.cells[column]).filter(|id| !is_missing(id)) {
        largest = match (largest.map(|largest| (largest, largest.as_text(), id.as_text())), largest) {
            (None, _) => Some(id),
            (Some((_, Some(left), Some(right))), _) => {
                if right > left {
                    Some(id)
                } else {
                    largest
                }
            }
            (Some((left, _, _)), _) => {
                let (left, right) = (left.type_name(), id.type_name());
                return raise(format!("'>=' not supported between instances of '{left}' and '{right}'"));
            }
        };
    }
    let number = match largest {
        None => return raise("cannot convert float NaN to integer"),
        Some(Value::Text(text)) => match int(text) {
            Some(number) => number,
            None => return raise(format!("invalid literal for int() with base 10: {}", repr_str(text))),
        },
        Some(Value::Int(number)) => *number,
        Some(other) => return raise(format!("there is no id after {}", other.repr())),
    };
    Ok(number.saturating_add(1))
}

/// One more than the largest id, with zeros in front up to eight digits.
pub(crate) fn next_padded(table: &Table, column: &str) -> Result<String, Raise> {
    Ok(format!("{:08}", next(table, column)?))
}

/// Whether a value is an id as the calendar wants it: text of eight digits, of any script.
pub(crate) fn has_eight_digits(id: &Value) -> bool {
    id.as_text().is_some_and(|text| text.chars().count() == 8 && text.chars().all(|c| digit(c).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_any_script_make_an_id() {
        for (id, fits) in [
            ("00000001", true),
            ("٠٠٠٠٠٠٠١", true),
            ("0000000", false),
            ("000000001", false),
            ("0000000a", false),
            ("-0000001", false),
            ("", false),
        ] {
            assert_eq!(has_eight_digits(&Value::Text(id.to_owned())), fits, "{id}");
        }
        assert!(!has_eight_digits(&Value::Int(10_000_000)));
    }
}
