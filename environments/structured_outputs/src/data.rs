// SPDX-License-Identifier: Apache-2.0
//! Values of Python as the validator of schemas sees them.

use std::collections::HashMap;

use gym_env::python::Value;
use serde_json::Value as Json;

/// What begins names that no answer and no schema has.
const FOREIGN: char = '\u{0}';

/// A value of a type that JSON does not have, such as a date. It is of no type that a schema can ask for: an object with
/// a member of an impossible name, which no schema with `properties` takes.
pub(crate) fn foreign(kind: &str) -> Value {
    Value::Dict(vec![(foreign_name(kind, ""), Value::None)])
}

/// A name for a key that is no text, such as the number 1, which is not the name `1`.
pub(crate) fn foreign_name(kind: &str, text: &str) -> String {
    format!("{FOREIGN}{kind} {text}")
}

/// The value as JSON. Infinite numbers and NaN, which JSON does not have, become numbers that are not whole and, if
/// infinite, large.
pub(crate) fn to_json(value: &Value) -> Json {
    value.to_json(|number| match number {
        _ if number.is_nan() => Json::from(0.5),
        _ => Json::from(4_503_599_627_370_495.5_f64.copysign(number)),
    })
}

/// The members of a `dict` while it grows.
#[derive(Default)]
pub(crate) struct Members {
    list: Vec<(String, Value)>,
    places: HashMap<String, usize>,
}

impl Members {
    /// The value of that name.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.places.get(name).map(|place| &mut self.list[*place].1)
    }

    /// Sets a member; one of the same name keeps its place.
    pub(crate) fn set(&mut self, name: String, value: Value) {
        match self.get_mut(&name) {
            Some(slot) => *slot = value,
            None => {
                self.places.insert(name.clone(), self.list.len());
                self.list.push((name, value));
            }
        }
    }

    /// Sets several members.
    pub(crate) fn extend(&mut self, members: impl IntoIterator<Item = (String, Value)>) {
        members.into_iter().for_each(|(name, value)| self.set(name, value));
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All members, in the order in which they came.
    pub(crate) fn into_list(self) -> Vec<(String, Value)> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_cannot_hold_keeps_its_kind() {
        let huge = i128::from(u64::MAX) + 1;
        for (value, json) in [
            (Value::Int(huge), json!(18_446_744_073_709_551_616.0)),
            (Value::Float(f64::NAN), json!(0.5)),
            (Value::Float(f64::NEG_INFINITY), json!(-4_503_599_627_370_495.5)),
            (Value::List(vec![Value::Text("a".into()), Value::None]), json!(["a", null])),
            (foreign("date"), json!({"\u{0}date ": null})),
        ] {
            assert_eq!(to_json(&value), json);
        }
    }
}
