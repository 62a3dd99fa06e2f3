// SPDX-License-Identifier: Apache-2.0
//! XML and CSV know texts only: values become what the schema asks for, where they can. Those that cannot stay texts,
//! and the schema then finds them wrong.

use gym_env::python::{Value, float, int};
use serde_json::Value as Json;

/// A text as a value of this type; the text itself if it is none.
fn scalar(text: String, kind: &Json) -> Value {
    let value = match kind.as_str() {
        Some("integer") => int(&text).map(Value::Int),
        Some("number") => float(&text).map(Value::Float),
        Some("boolean") => match text.to_lowercase().as_str() {
            "true" | "1" => Some(Value::Bool(true)),
            "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    value.unwrap_or(Value::Text(text))
}

/// A value that was read from XML. In the place of an array an object with one member is that member, and what is no
/// list becomes one; an empty element in the place of a string is an empty string.
pub(crate) fn xml(value: Value, schema: &Json) -> Value {
    let Some(kind) = schema.get("type") else { return value };
    match (kind.as_str(), value) {
        (Some("object"), Value::Dict(members)) => {
            let coerce = |(name, value): (String, Value)| match schema.get("properties").and_then(|all| all.get(&name))
            {
                Some(schema) => (name, xml(value, schema)),
                None => (name, value),
            };
            Value::Dict(members.into_iter().map(coerce).collect())
        }
        (Some("array"), mut value) => {
            if let Value::Dict(members) = &mut value
                && members.len() == 1
                && let Some((_, member)) = members.pop()
            {
                value = member;
            }
            let items = match value {
                Value::List(items) => items,
                Value::None => Vec::new(),
                other => vec![other],
            };
            let schema = schema.get("items").unwrap_or(&Json::Null);
            Value::List(items.into_iter().map(|item| xml(item, schema)).collect())
        }
        (Some("string"), Value::None) => Value::Text(String::new()),
        (_, Value::Text(text)) => scalar(text, kind),
        (_, value) => value,
    }
}

/// Rows that were read from CSV. An empty field stays empty, unless its type allows null. The error is a sentence: the
/// schema has no place for types of columns.
pub(crate) fn csv(rows: Value, schema: &Json) -> Result<Value, String> {
    let Value::List(rows) = rows else { return Ok(rows) };
    let object = |schema: &Json| schema.as_object().cloned().ok_or_else(|| "the schema is no object".to_owned());
    let whole = object(schema)?;
    let items = whole.get("items").map_or_else(|| Ok(whole.clone()), object)?;
    let properties = items.get("properties").map_or_else(|| Ok(serde_json::Map::new()), object)?;
    let row = |row: Value| {
        let Value::Dict(members) = row else { return Ok(row) };
        let members = members.into_iter().map(|(name, value)| {
            let kind = match properties.get(&name) {
                None => Json::from("string"),
                Some(schema) => object(schema)?.get("type").cloned().unwrap_or_else(|| "string".into()),
            };
            Ok((name, field(value, &kind)))
        });
        members.collect::<Result<_, String>>().map(Value::Dict)
    };
    rows.into_iter().map(row).collect::<Result<_, String>>().map(Value::List)
}

/// A field of this type, or of the first of several that it can be.
fn field(value: Value, kind: &Json) -> Value {
    let is_empty = matches!(&value, Value::None) || value.as_text() == Some("");
    let Json::Array(kinds) = kind else {
        return match value {
            Value::Text(text) if !is_empty => scalar(text, kind),
            value => value,
        };
    };
    if is_empty && kinds.contains(&Json::from("null")) {
        return Value::None;
    }
    for kind in kinds.iter().filter(|kind| kind.as_str() != Some("null")) {
        let coerced = field(value.clone(), kind);
        if coerced.as_text().is_none() || kind.as_str() == Some("string") {
            return coerced;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dict(members: &[(&str, Value)]) -> Value {
        Value::Dict(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn xml_becomes_what_the_schema_asks_for() {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "integer"}, "x": {"type": "number"}, "ok": {"type": "boolean"}, "s": {"type": "string"},
            "list": {"type": "array", "items": {"type": "integer"}}, "any": {}, "two": {"type": ["integer", "null"]},
        }});
        for (name, given, expected) in [
            ("n", text("12"), "12"),
            ("n", text("1.5"), "'1.5'"),
            ("n", Value::None, "None"),
            ("x", text("2"), "2.0"),
            ("ok", text("TRUE"), "True"),
            ("ok", text("0"), "False"),
            ("ok", text("yes"), "'yes'"),
            ("s", Value::None, "''"),
            ("s", text("5"), "'5'"),
            ("list", dict(&[("i", Value::List(vec![text("1"), text("2")]))]), "[1, 2]"),
            ("list", dict(&[("i", text("1"))]), "[1]"),
            ("list", text("1"), "[1]"),
            ("list", Value::None, "[]"),
            ("list", dict(&[("i", text("1")), ("j", text("2"))]), "[{'i': '1', 'j': '2'}]"),
            ("any", text("1"), "'1'"),
            ("two", text("1"), "'1'"),
            ("unknown", text("1"), "'1'"),
        ] {
            let coerced = xml(dict(&[(name, given)]), &schema);
            assert_eq!(coerced.get(name).map(Value::repr).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn csv_becomes_what_the_schema_asks_for() {
        let schema = json!({"type": "array", "items": {"type": "object", "properties": {
            "n": {"type": "integer"}, "two": {"type": ["null", "integer", "string"]}, "s": {"type": "string"}, "any": {},
        }}});
        for (name, given, expected) in [
            ("n", "12", "12"),
            ("n", "", "''"),
            ("n", "x", "'x'"),
            ("two", "", "None"),
            ("two", "7", "7"),
            ("two", "x", "'x'"),
            ("s", "5", "'5'"),
            ("any", "5", "'5'"),
            ("unknown", "5", "'5'"),
        ] {
            let rows = csv(Value::List(vec![dict(&[(name, text(given))])]), &schema).expect("the schema is an object");
            assert_eq!(rows.repr(), format!("[{{'{name}': {expected}}}]"));
        }
        assert!(csv(Value::List(vec![]), &json!([])).is_err());
    }
}
