// SPDX-License-Identifier: Apache-2.0
//! Tools that the environment elsewhere has named, and what a call of one must have. NeMo Gym makes a request model of the
//! schema of each: a missing argument, or one of another type, is answered with 422 and its list of errors; what may be
//! missing is null then, and what the schema does not have is dropped.

use gym_env::Refuse;
use serde_json::{Map, Value, json};

/// A tool of the environment.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    schema: Value,
}

impl Tool {
    /// The tools of a list, those without a name left out.
    pub(crate) fn all(list: &[Value]) -> Vec<Self> {
        let tool = |tool: &Value| {
            let name = tool.get("name")?.as_str()?.to_owned();
            // MCP's own spelling is the second.
            let schema = tool.get("input_schema").or_else(|| tool.get("inputSchema"));
            Some(Self { name, schema: schema.cloned().unwrap_or_default() })
        };
        list.iter().filter_map(tool).collect()
    }

    /// The arguments as the environment gets them.
    pub(crate) fn arguments(&self, given: &Value) -> Result<Value, Refuse> {
        let refused = |errors: Vec<Value>| Refuse::new(422, errors);
        let Some(members) = given.as_object() else {
            let message = "Input should be a valid dictionary or object to extract fields from";
            return Err(refused(vec![json!({
                "type": "model_attributes_type", "loc": ["body"], "msg": message, "input": given
            })]));
        };
        let required = self.schema.get("required").and_then(Value::as_array);
        let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|one| one == name));
        let mut arguments = Map::new();
        let mut errors = Vec::new();
        for (name, property) in self.schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let value = match members.get(name) {
                None if is_required(name) => {
                    errors.push(
                        json!({"type": "missing", "loc": ["body", name], "msg": "Field required", "input": given}),
                    );
                    continue;
                }
                None | Some(Value::Null) if !is_required(name) => {
                    arguments.insert(name.clone(), Value::Null);
                    continue;
                }
                value => value.cloned().unwrap_or_default(),
            };
            match typed(property.get("type").and_then(Value::as_str).unwrap_or("string"), &value) {
                Ok(value) => {
                    arguments.insert(name.clone(), value);
                }
                Err((kind, wanted)) => errors.push(json!({
                    "type": kind, "loc": ["body", name], "msg": format!("Input should be {wanted}"), "input": value
                })),
            }
        }
        if errors.is_empty() { Ok(Value::Object(arguments)) } else { Err(refused(errors)) }
    }
}

/// A value of a JSON type as pydantic takes it, or the kind of the error and what it should be. Types that are unknown are
/// texts.
pub(crate) fn typed(name: &str, value: &Value) -> Result<Value, (&'static str, &'static str)> {
    let keep = |fits: bool, kind, wanted| if fits { Ok(value.clone()) } else { Err((kind, wanted)) };
    match (name, value) {
        ("integer", Value::Number(number)) => match number.as_f64().filter(|_| !number.is_i64() && !number.is_u64()) {
            None => Ok(value.clone()),
            Some(float) if float.fract() == 0.0 && float.abs() < 1e18 => Ok(json!(float as i64)),
            Some(_) => Err(("int_from_float", "a valid integer, got a number with a fractional part")),
        },
        ("integer", Value::String(text)) => text
            .trim()
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| ("int_parsing", "a valid integer, unable to parse string as an integer")),
        ("integer", Value::Bool(truth)) => Ok(json!(i64::from(*truth))),
        ("integer", _) => Err(("int_type", "a valid integer")),
        ("number", Value::Number(_)) => Ok(value.clone()),
        ("number", Value::String(text)) => text
            .trim()
            .parse::<f64>()
            .map(Value::from)
            .map_err(|_| ("float_parsing", "a valid number, unable to parse string as a number")),
        ("number", Value::Bool(truth)) => Ok(json!(f64::from(u8::from(*truth)))),
        ("number", _) => Err(("float_type", "a valid number")),
        ("boolean", _) => keep(value.is_boolean(), "bool_type", "a valid boolean"),
        ("object", _) => keep(value.is_object(), "dict_type", "a valid dictionary"),
        ("array", _) => keep(value.is_array(), "list_type", "a valid list"),
        _ => keep(value.is_string(), "string_type", "a valid string"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool() -> Tool {
        let properties = json!({
            "text": {"type": "string"}, "count": {"type": "integer"}, "share": {"type": "number"},
            "deep": {"type": "boolean"}, "map": {"type": "object"}, "list": {"type": "array"}, "other": {},
        });
        let schema = json!({"type": "object", "properties": properties, "required": ["text", "count"]});
        Tool::all(&[json!({"name": "t", "input_schema": schema}), json!({"description": "no name"})]).remove(0)
    }

    #[test]
    fn what_may_be_missing_is_null_and_what_is_not_known_is_dropped() {
        let arguments = tool().arguments(&json!({"text": "a", "count": 2.0, "share": "0.5", "more": 1})).unwrap();
        let expected = json!({
            "text": "a", "count": 2, "share": 0.5, "deep": null, "map": null, "list": null, "other": null
        });
        assert_eq!(arguments, expected);
        let nothing = Tool::all(&[json!({"name": "t"})]).remove(0);
        assert_eq!(nothing.arguments(&json!({"a": 1})).unwrap(), json!({}));
    }

    #[test]
    fn other_types_are_errors_in_the_order_of_the_schema() {
        let given = json!({"text": 1, "share": [], "deep": "x", "map": [], "list": {}, "other": 3});
        let refuse = tool().arguments(&given).unwrap_err();
        assert_eq!(refuse.status(), 422);
        let kinds: Vec<_> = refuse.detail().as_array().unwrap().iter().map(|error| error["type"].clone()).collect();
        let expected = ["string_type", "missing", "float_type", "bool_type", "dict_type", "list_type", "string_type"];
        assert_eq!(kinds, expected);
        assert_eq!(
            refuse.detail()[1],
            json!({"type": "missing", "loc": ["body", "count"], "msg": "Field required", "input": given})
        );
        for (count, kind) in [(json!(1.5), "int_from_float"), (json!("x"), "int_parsing"), (json!([]), "int_type")] {
            let refuse = tool().arguments(&json!({"text": "a", "count": count})).unwrap_err();
            assert_eq!(refuse.detail()[0]["type"], kind);
        }
        assert_eq!(tool().arguments(&json!([])).unwrap_err().detail()[0]["loc"], json!(["body"]));
    }
}
