// SPDX-License-Identifier: Apache-2.0
//! Reading configuration values as leniently as NeMo Gym does.
//!
//! `${oc.env:NAME,default}` always stands for a text, also where a flag or a number is meant. NeMo Gym reads such a text
//! as what is wanted, and so does this: `"false"`, `"0"`, `"off"`, `"no"`, `"f"` and `"n"` for a flag, digits for a
//! number, and 0 and 1 for a flag. Nothing else changes its type.

use std::fmt;

use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor,
    value::{MapDeserializer, SeqDeserializer},
};
use serde_json::{Error, Value};

/// Reads a value.
///
/// # Errors
/// What does not fit the type, leniently taken.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Misfit> {
    serde_path_to_error::deserialize(Lax(value)).map_err(|error| {
        let place = error.path().iter().filter_map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
            serde_path_to_error::Segment::Map { key } => Some(key.clone()),
            _ => None,
        });
        Misfit { place: place.collect(), reason: error.inner().to_string() }
    })
}

/// A value that does not fit its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Keys and positions that lead to it; none for the whole.
    pub place: Vec<String>,
    reason: String,
}

impl Misfit {
    /// What is wrong there, in words for who wrote the value.
    pub fn reason(&self) -> String {
        if self.known_keys().is_some() {
            return "there is no such key".to_owned();
        }
        // Rust's names of types say nothing to them.
        let words = [
            (["u8", "u16", "u32", "u64", "usize"].as_slice(), "a whole number, not negative"),
            (&["i8", "i16", "i32", "i64", "isize"], "a whole number"),
            (&["f32", "f64"], "a number"),
        ];
        let Some((found, expected)) = self.reason.rsplit_once(", expected ") else { return self.reason.clone() };
        let word = words.iter().find(|(types, _)| types.contains(&expected)).map_or(expected, |(_, word)| word);
        format!("{found}, expected {word}")
    }

    /// The keys that there are, if the value is a key that there is not.
    pub fn known_keys(&self) -> Option<Vec<&str>> {
        let known = self.reason.strip_prefix("unknown field ")?.split_once(", expected ")?.1;
        Some(known.split('`').skip(1).step_by(2).collect())
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "`{}`: ", self.place.join("."))?;
        }
        f.write_str(&self.reason())
    }
}

impl std::error::Error for Misfit {}

/// The keys that a struct reads, other names of theirs included; none for other types.
pub fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // The struct says its keys to what it would be read from, which then has nothing to give.
    T::deserialize(Keys(&mut keys)).err();
    keys
}

struct Keys<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Keys<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Whether a key may be in the block of every server: who starts it, where, what it is about. Names that begin with an
/// underscore are notes of who composes configurations.
pub fn is_common_key(key: &str) -> bool {
    const KEYS: [&str; 13] = [
        "allowed_agents",
        "allowed_model_types",
        "datasets",
        "description",
        "domain",
        "entrypoint",
        "host",
        "name",
        "num_workers",
        "port",
        "url",
        "value",
        "verified",
    ];
    key.starts_with('_') || key.starts_with("verified_") || KEYS.contains(&key)
}

/// The flag that a value stands for.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The whole number from 0 that a value stands for.
pub fn count(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    }
}

/// The finite number that a value stands for.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        other => other.as_f64(),
    }
}

struct Lax(Value);

impl IntoDeserializer<'_, Error> for Lax {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// A text that is a number as that number; anything else as it is.
fn numeric(value: Value, whole: bool) -> Value {
    let Value::String(text) = &value else { return value };
    let text = text.trim();
    let parsed = match (text.parse::<u64>(), text.parse::<i64>()) {
        (Ok(number), _) => Some(Value::from(number)),
        (_, Ok(number)) => Some(Value::from(number)),
        _ if whole => None,
        _ => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
    };
    parsed.unwrap_or(value)
}

macro_rules! numbers {
    ($($method:ident $whole:literal,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            numeric(self.0, $whole).$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Lax {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Lax));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Value::Object(map) => {
                let mut members = MapDeserializer::new(map.into_iter().map(|(key, value)| (key, Lax(value))));
                let value = visitor.visit_map(&mut members)?;
                members.end()?;
                Ok(value)
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match flag(&self.0) {
            Some(flag) => visitor.visit_bool(flag),
            None => self.0.deserialize_bool(visitor),
        }
    }

    numbers! {
        deserialize_i8 true, deserialize_i16 true, deserialize_i32 true, deserialize_i64 true, deserialize_i128 true,
        deserialize_u8 true, deserialize_u16 true, deserialize_u32 true, deserialize_u64 true, deserialize_u128 true,
        deserialize_f32 false, deserialize_f64 false,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_unit() } else { Err(Error::custom("expected nothing")) }
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        on: bool,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        First,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Block {
        #[serde(default)]
        flag: bool,
        steps: Option<u32>,
        #[serde(default)]
        share: f64,
        #[serde(default)]
        inner: Vec<Inner>,
        word: Option<Word>,
        text: Option<String>,
        any: Option<Value>,
    }

    fn block(value: Value) -> Result<Block, String> {
        from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn texts_of_variables_are_read_as_what_is_wanted() {
        let read = block(json!({"flag": "False", "steps": "7", "share": "0.5", "inner": [{"on": "yes"}, {"on": 0}],
            "word": "first", "text": "7", "any": "7"}));
        let inner = vec![Inner { on: true }, Inner { on: false }];
        let (text, any) = (Some("7".to_owned()), Some(json!("7")));
        assert_eq!(
            read,
            Ok(Block { flag: false, steps: Some(7), share: 0.5, inner, word: Some(Word::First), text, any })
        );
        let empty = block(json!({"steps": null})).expect("nothing is required");
        assert_eq!((empty.steps, empty.flag), (None, false));
    }

    #[test]
    fn what_is_no_flag_or_number_is_an_error() {
        for value in [
            json!({"flag": "maybe"}),
            json!({"flag": 2}),
            json!({"flag": []}),
            json!({"steps": "1.5"}),
            json!({"steps": "-1"}),
            json!({"steps": ""}),
            json!({"share": "nan"}),
            json!({"text": 7}),
            json!({"inner": {}}),
            json!({"word": "second"}),
            json!([]),
        ] {
            assert!(block(value.clone()).is_err(), "{value}");
        }
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Strict {
        rows: u64,
        share: f64,
    }

    #[test]
    fn what_does_not_fit_is_named_in_plain_words() {
        for (value, said) in [
            (json!({"rows": "many"}), "`rows`: invalid type: string \"many\", expected a whole number, not negative"),
            (json!({"share": []}), "`share`: invalid type: sequence, expected a number"),
            (json!({"rowz": 1}), "`rowz`: there is no such key"),
        ] {
            assert_eq!(from_value::<Strict>(value).unwrap_err().to_string(), said);
        }
        let unknown = from_value::<Strict>(json!({"rowz": 1})).unwrap_err();
        assert_eq!(unknown.known_keys(), Some(vec!["rows", "share"]));
        assert_eq!(
            block(json!({"inner": [{"on": true}, {"on": "maybe"}]})).unwrap_err(),
            "`inner.1.on`: invalid type: string \"maybe\", expected a boolean"
        );
        assert_eq!(block(json!({"inner": [{}]})).unwrap_err(), "`inner.0`: missing field `on`");
    }

    #[test]
    fn a_struct_says_which_keys_it_reads() {
        assert_eq!(keys_of::<Strict>(), ["rows", "share"]);
        assert!(keys_of::<Vec<Strict>>().is_empty());
        assert!(is_common_key("entrypoint") && is_common_key("_note") && !is_common_key("rows"));
    }

    #[test]
    fn single_values_are_read_the_same_way() {
        for (value, expected) in [
            (json!("off"), Some(false)),
            (json!("ON"), Some(true)),
            (json!(1.0), Some(true)),
            (json!(2), None),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(flag(&value), expected, "{value}");
        }
        assert_eq!((count(&json!("12")), count(&json!(12)), count(&json!("-1"))), (Some(12), Some(12), None));
        assert_eq!((number(&json!("1e3")), number(&json!("inf")), number(&json!(true))), (Some(1000.0), None, None));
    }
}
