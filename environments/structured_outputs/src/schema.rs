// SPDX-License-Identifier: Apache-2.0
//! Schemas: made strict, and checked as `openapi-schema-validator` does for OpenAPI 3.1, which is JSON Schema of draft
//! 2020-12. Formats are not checked.

use std::cell::Cell;

use gym_env::{
    Fault,
    pattern::{Case, Pattern, PatternError},
};
use jsonschema::{Draft, Keyword, ValidationError, paths::Location};
use serde_json::{Map, Value};

mod discriminator;

thread_local! {
    /// Whether a pattern took too many steps since the last check began. A keyword can only say yes or no.
    static TOO_HARD: Cell<bool> = const { Cell::new(false) };
}

/// Makes every object of the schema with `properties` take all of them and no others. Lists, such as `anyOf`, are not
/// looked into; all members of objects are, whatever they mean.
pub(crate) fn strictify(schema: &mut Value) -> Result<(), Fault> {
    let Value::Object(members) = schema else { return Ok(()) };
    if let Some(properties) = members.get("properties") {
        let names: Vec<Value> = match properties {
            Value::Object(properties) => properties.keys().cloned().map(Value::String).collect(),
            Value::Array(names) => names.clone(),
            Value::String(names) => names.chars().map(|name| Value::String(name.to_string())).collect(),
            _ => return Err(Fault::new("`properties` in the schema has no names")),
        };
        members.insert("required".to_owned(), names.into());
        members.insert("additionalProperties".to_owned(), false.into());
    }
    members.values_mut().try_for_each(strictify)
}

/// Checks a value; the inner error is a sentence, for a value or a schema that is wrong.
pub(crate) fn validate(value: &Value, schema: &Value) -> Result<Result<(), String>, Fault> {
    TOO_HARD.set(false);
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        // The draft is always the same.
        members.shift_remove("$schema");
    }
    discriminator::spell_out(&mut schema);
    if refers_to_itself(&schema) {
        return Ok(Err("RecursionError: maximum recursion depth exceeded".to_owned()));
    }
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(false)
        .with_keyword("pattern", pattern)
        .with_keyword("multipleOf", multiple_of)
        .build(&schema);
    let verdict = match validator {
        Err(error) => Err(format!("SchemaError: {error}")),
        Ok(validator) => validator.validate(value).map_err(|error| format!("ValidationError: {error}")),
    };
    if TOO_HARD.get() {
        return Err(PatternError::TooHard.into());
    }
    Ok(verdict)
}

/// Whether the references of the schema come back to where they were, so that Python never ends following them.
fn refers_to_itself(schema: &Value) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut at = schema;
    while let Some(reference) = at.get("$ref").and_then(Value::as_str) {
        if reference == "#" || seen.contains(&reference) {
            return true;
        }
        seen.push(reference);
        match reference.strip_prefix('#').and_then(|pointer| schema.pointer(pointer)) {
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

type Built<'a> = Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>>;

/// `pattern`, as Python's `re.search` has it.
struct PatternIn(String);

fn pattern<'a>(_: &'a Map<String, Value>, value: &'a Value, _: Location) -> Built<'a> {
    let text = value.as_str().unwrap_or_default();
    match Pattern::new(text, Case::Matters) {
        Ok(_) => Ok(Box::new(PatternIn(text.to_owned()))),
        Err(error) => Err(ValidationError::custom(format!("`{text}` is {error}"))),
    }
}

impl<'i> Keyword<'i> for PatternIn {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if Keyword::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom(format!("{instance} does not match `{}`", self.0)))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let Some(text) = instance.as_str() else { return true };
        Pattern::new(&self.0, Case::Matters).and_then(|pattern| pattern.is_in(text)).unwrap_or_else(|_| {
            TOO_HARD.set(true);
            false
        })
    }
}

/// `multipleOf`, with the arithmetic of Python: 0.3 is no multiple of 0.1.
struct MultipleOf(Value);

fn multiple_of<'a>(_: &'a Map<String, Value>, value: &'a Value, _: Location) -> Built<'a> {
    Ok(Box::new(MultipleOf(value.clone())))
}

impl<'i> Keyword<'i> for MultipleOf {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if Keyword::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom(format!("{instance} is not a multiple of {}", self.0)))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
        match (whole(instance), whole(&self.0)) {
            (Some(number), Some(unit)) => unit == 0 || number % unit == 0,
            (_, Some(_)) => match (instance.as_f64(), self.0.as_f64()) {
                (Some(number), Some(unit)) => number % unit == 0.0,
                _ => true,
            },
            _ => match (instance.as_f64(), self.0.as_f64()) {
                (Some(number), Some(unit)) => (number / unit).fract() == 0.0,
                _ => true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_take_all_properties_and_no_others() {
        let mut schema = json!({
            "type": "object",
            "required": [],
            "properties": {"a": {"type": "object", "properties": {"b": {}}}, "c": {"items": {"properties": {}}}},
            "anyOf": [{"properties": {"d": {}}}],
            "$defs": {"e": {"properties": {"f": {}}, "additionalProperties": true}},
        });
        strictify(&mut schema).expect("the schema has names");
        let expected = json!({
            "type": "object",
            "required": ["a", "c"],
            "properties": {
                "a": {"type": "object", "properties": {"b": {}}, "required": ["b"], "additionalProperties": false},
                "c": {"items": {"properties": {}, "required": [], "additionalProperties": false}},
            },
            "anyOf": [{"properties": {"d": {}}}],
            "$defs": {"e": {"properties": {"f": {}}, "additionalProperties": false, "required": ["f"]}},
            "additionalProperties": false,
        });
        assert_eq!(schema, expected);
        assert!(strictify(&mut json!({"properties": 5})).is_err());
    }

    #[test]
    fn values_are_checked_by_draft_2020_12() {
        for (value, schema, is_valid) in [
            (json!(1.0), json!({"type": "integer"}), true),
            (json!(1.5), json!({"type": "integer"}), false),
            (json!(true), json!({"type": "integer"}), false),
            (json!(null), json!({"type": "string", "nullable": true}), false),
            (json!("x"), json!({"type": ["string", "null"]}), true),
            (json!("no date"), json!({"type": "string", "format": "date"}), true),
            (json!("abc"), json!({"pattern": "^b"}), false),
            (json!("abc"), json!({"pattern": "b(?=c)"}), true),
            (json!(5), json!({"pattern": "^b"}), true),
            (json!("x"), json!({"pattern": "("}), false),
            (json!(0.3), json!({"multipleOf": 0.1}), false),
            (json!(9), json!({"multipleOf": 3}), true),
            (json!(7.5), json!({"multipleOf": 2}), false),
            (json!({"a": 1}), json!({"$ref": "#/$defs/x", "$defs": {"x": {"required": ["a"]}}}), true),
            (json!({}), json!({"$ref": "#/$defs/x", "$defs": {"x": {"required": ["a"]}}}), false),
            (json!(1), json!({"$ref": "http://nowhere.invalid/x"}), false),
            (json!(1), json!({"type": "number", "$schema": "http://json-schema.org/draft-07/schema#"}), true),
            (json!(1), json!({"type": "any"}), false),
            (json!(1), json!({"enum": [1.0]}), true),
            (json!(true), json!({"enum": [1]}), false),
            (json!([1, 1.0]), json!({"uniqueItems": true}), false),
            (json!("é"), json!({"maxLength": 1}), true),
            (json!(1), json!({"$ref": "#"}), false),
            (json!(1), json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), false),
            (json!(1), json!(true), true),
            (json!(1), json!([]), false),
            (json!(1), json!("x"), false),
            (json!([1]), json!({"items": [{"type": "integer"}]}), false),
        ] {
            let verdict = validate(&value, &schema).expect("no pattern is hard");
            assert_eq!(verdict.is_ok(), is_valid, "{value} by {schema}: {verdict:?}");
        }
    }

    #[test]
    fn a_pattern_that_takes_ages_is_a_fault() {
        let text = json!("a".repeat(60) + "b");
        assert!(validate(&text, &json!({"pattern": "(a|aa)+$"})).is_err());
    }
}
