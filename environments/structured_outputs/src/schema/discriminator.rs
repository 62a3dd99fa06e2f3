// SPDX-License-Identifier: Apache-2.0
//! `discriminator` of OpenAPI: beside `oneOf`, `anyOf` or `allOf` it takes their place. The value of one property says
//! which schema counts, and the alternatives themselves are not looked at.

use serde_json::{Map, Value, json};

const ALTERNATIVES: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// Writes the schema with plain keywords of JSON Schema.
pub(super) fn spell_out(schema: &mut Value) {
    let root = schema.clone();
    within(schema, &root);
}

fn within(schema: &mut Value, root: &Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(|member| within(member, root));
            if let Some(choice) = choice(members, root) {
                ALTERNATIVES.iter().for_each(|keyword| drop(members.shift_remove(*keyword)));
                members.insert("allOf".to_owned(), choice);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| within(item, root)),
        _ => {}
    }
}

/// What an object with a discriminator must be: a value that the mapping has, or that is the name of a component, and
/// then that schema. References that lead nowhere fit nothing.
fn choice(members: &Map<String, Value>, root: &Value) -> Option<Value> {
    if !ALTERNATIVES.iter().any(|keyword| members.contains_key(*keyword)) {
        return None;
    }
    let discriminator = members.get("discriminator")?;
    let property = discriminator.get("propertyName")?.as_str()?;
    let mapping = discriminator.get("mapping").and_then(Value::as_object);
    let mapped = mapping.into_iter().flatten().map(|(value, target)| (value, target.as_str().map(str::to_owned)));
    let components = root.pointer("/components/schemas").and_then(Value::as_object);
    let named = components.into_iter().flatten().map(|(name, _)| (name, Some(format!("#/components/schemas/{name}"))));
    let named = named.filter(|(name, _)| mapping.is_none_or(|mapping| !mapping.contains_key(*name)));
    let targets: Vec<(&String, String)> = mapped
        .chain(named)
        .filter_map(|(value, target)| Some((value, target?)))
        .filter(|(value, target)| {
            let pointer = target.strip_prefix('#');
            !value.is_empty() && pointer.is_some_and(|pointer| root.pointer(pointer).is_some())
        })
        .collect();
    let values: Vec<&String> = targets.iter().map(|(value, _)| *value).collect();
    let mut all = vec![json!({"type": "object", "required": [property], "properties": {property: {"enum": values}}})];
    all.extend(
        targets.iter().map(
            |(value, target)| json!({"if": {"properties": {property: {"const": value}}}, "then": {"$ref": target}}),
        ),
    );
    Some(all.into())
}

#[cfg(test)]
mod tests {
    use super::super::validate;
    use super::*;

    #[test]
    fn the_value_of_the_property_says_which_schema_counts() {
        let schema = json!({
            "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
            "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog", "cow": "Cow"}},
            "$defs": {
                "Cat": {"type": "object", "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}}},
                "Dog": {"type": "object", "properties": {"kind": {"type": "string"}, "name": {"type": "string"}}},
            },
        });
        for (value, fits) in [
            (json!({"kind": "cat", "lives": 9}), true),
            (json!({"kind": "cat", "lives": "nine"}), false),
            // It fits both alternatives, but only one is looked at.
            (json!({"kind": "dog"}), true),
            (json!({"kind": "cow"}), false),
            (json!({"kind": "hen"}), false),
            (json!({"kind": ""}), false),
            (json!({"lives": 9}), false),
            (json!("cat"), false),
        ] {
            assert_eq!(validate(&value, &schema).unwrap().is_ok(), fits, "{value}");
        }
    }

    #[test]
    fn without_a_mapping_the_value_is_the_name_of_a_component() {
        let mut schema = json!({
            "anyOf": [{"properties": {"kind": {"const": "cat"}}}],
            "discriminator": {"propertyName": "kind"},
        });
        assert!(validate(&json!({"kind": "cat"}), &schema).unwrap().is_err());
        schema["components"] = json!({"schemas": {"cat": {"required": ["lives"]}}});
        assert!(validate(&json!({"kind": "cat"}), &schema).unwrap().is_err());
        assert!(validate(&json!({"kind": "cat", "lives": 9}), &schema).unwrap().is_ok());
    }

    #[test]
    fn without_alternatives_a_discriminator_says_nothing() {
        let schema = json!({"type": "object", "discriminator": {"propertyName": "kind"}});
        assert!(validate(&json!({}), &schema).unwrap().is_ok());
    }
}
