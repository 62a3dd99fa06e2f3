// SPDX-License-Identifier: Apache-2.0
//! TOML 1.0 as Python's `tomllib` reads it. Dates and times are values that JSON does not have.

use gym_env::python::Value;

use crate::data::foreign;

pub(super) fn parse(text: &str) -> Result<Value, String> {
    let table: ::toml::Table = ::toml::from_str(text).map_err(|error| error.message().to_owned())?;
    Ok(value(::toml::Value::Table(table)))
}

fn value(given: ::toml::Value) -> Value {
    match given {
        ::toml::Value::String(text) => Value::Text(text),
        ::toml::Value::Integer(number) => Value::Int(number.into()),
        ::toml::Value::Float(number) => Value::Float(number),
        ::toml::Value::Boolean(truth) => Value::Bool(truth),
        ::toml::Value::Datetime(_) => foreign("datetime"),
        ::toml::Value::Array(items) => Value::List(items.into_iter().map(value).collect()),
        ::toml::Value::Table(members) => {
            Value::Dict(members.into_iter().map(|(name, member)| (name, value(member))).collect())
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
