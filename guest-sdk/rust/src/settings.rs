// SPDX-License-Identifier: Apache-2.0
//! Settings as types, read as pydantic reads them.
//!
//! A value that comes from a command line or a variable of the environment is often a text: `"true"` is a flag and `"5"` a
//! number where the type asks for one. `5.0` is a whole number, and 1 and 0 are flags. A text stays one, and nothing else
//! becomes a text. What is below a [`Value`] or in a type that buffers (`#[serde(flatten)]`, untagged enums) is read as it
//! is.

use std::{cell::RefCell, fmt};

use serde::{
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
        SeqAccess, Unexpected, VariantAccess, Visitor, value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::python;

/// What every server's block may have: it is for the host.
const OF_THE_HOST: [&str; 14] = [
    "allowed_agents",
    "datasets",
    "description",
    "domain",
    "entrypoint",
    "expose_tools_over_mcp",
    "host",
    "judge_endpoint_max_concurrency",
    "judge_request_timeout_s",
    "name",
    "num_workers",
    "port",
    "value",
    "verified",
];

/// A setting that does not fit its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// Its place, for example `limits.rows`; empty for the whole.
    place: String,
    reason: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.place {
            "" => f.write_str(&self.reason),
            place => write!(f, "`{place}`: {}", self.reason),
        }
    }
}

impl std::error::Error for Unfit {}

impl serde::de::Error for Unfit {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self { place: String::new(), reason: reason.to_string() }
    }
}

impl Unfit {
    fn inside(self, name: &str) -> Self {
        let place = match &*self.place {
            "" => name.to_owned(),
            below => format!("{name}.{below}"),
        };
        Self { place, ..self }
    }
}

/// Reads a block of settings. Gives the value and the places that its type does not have, without those that are for
/// the host.
pub(crate) fn read<C: DeserializeOwned>(block: &Value) -> Result<(C, Vec<String>), Unfit> {
    let unknown = RefCell::default();
    let value = C::deserialize(Setting { value: block, place: Place::Root, unknown: &unknown })?;
    let mut unknown = unknown.into_inner();
    unknown.retain(|place| !is_of_the_host(place));
    Ok((value, unknown))
}

/// Whether a member of the block is not meant for the environment. Names with an underscore are notes of whoever
/// composes configurations, `verified_url` and the like belong to `verified`.
fn is_of_the_host(name: &str) -> bool {
    name.starts_with('_') || name.starts_with("verified_") || OF_THE_HOST.contains(&name)
}

/// Where a value is in the block.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Member { of: &'a Place<'a>, name: &'a str },
    Item { of: &'a Place<'a>, index: usize },
}

impl Place<'_> {
    fn text(&self) -> String {
        let (of, name) = match self {
            Self::Root => return String::new(),
            Self::Member { of, name } => (of.text(), (*name).to_owned()),
            Self::Item { of, index } => (of.text(), index.to_string()),
        };
        if of.is_empty() { name } else { format!("{of}.{name}") }
    }
}

#[derive(Clone, Copy)]
struct Setting<'a> {
    value: &'a Value,
    place: Place<'a>,
    unknown: &'a RefCell<Vec<String>>,
}

impl Setting<'_> {
    /// How an error names the value.
    fn found(&self) -> Unexpected<'_> {
        match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(truth) => Unexpected::Bool(*truth),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => Unexpected::Unsigned(number),
                (_, Some(number), _) => Unexpected::Signed(number),
                (.., float) => Unexpected::Float(float.unwrap_or(f64::NAN)),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }

    fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Bool(truth) => Some(*truth),
            Value::Number(number) => match number.as_f64()? {
                0.0 => Some(false),
                1.0 => Some(true),
                _ => None,
            },
            Value::String(text) => match &*text.to_ascii_lowercase() {
                "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
                "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    fn whole(&self) -> Option<i128> {
        let of_float = |float: f64| (float.fract() == 0.0 && float.abs() < 1e19).then_some(float as i128);
        match self.value {
            Value::Bool(truth) => Some((*truth).into()),
            Value::Number(number) => {
                let whole = number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
                whole.or_else(|| of_float(number.as_f64()?))
            }
            // A point may stand before zeros, but not an exponent.
            Value::String(text) if text.is_ascii() => {
                let text = text.trim();
                let is_zeros = |text: &str| !text.is_empty() && text.bytes().all(|zero| zero == b'0');
                let whole = text.split_once('.').filter(|(_, zeros)| is_zeros(zeros));
                python::int(whole.map_or(text, |(whole, _)| whole))
            }
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self.value {
            Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Value::Number(number) => number.as_f64(),
            Value::String(text) if text.is_ascii() => python::float(text),
            _ => None,
        }
    }

    fn visit_whole<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Unfit> {
        let whole = self.whole().ok_or_else(|| Unfit::invalid_type(self.found(), &"a whole number"))?;
        match (u64::try_from(whole), i64::try_from(whole)) {
            (Ok(whole), _) => visitor.visit_u64(whole),
            (_, Ok(whole)) => visitor.visit_i64(whole),
            _ => Err(Unfit::invalid_value(self.found(), &visitor)),
        }
    }
}

fn unfit(error: serde_json::Error) -> Unfit {
    Unfit::custom(error)
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            self.visit_whole(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Setting<'_> {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.value.clone().deserialize_any(visitor).map_err(unfit)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let flag = self.flag().ok_or_else(|| Unfit::invalid_type(self.found(), &"a boolean"))?;
        visitor.visit_bool(flag)
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let number = self.number().ok_or_else(|| Unfit::invalid_type(self.found(), &"a number"))?;
        visitor.visit_f64(number)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Value::Array(items) => visitor.visit_seq(Items { items, next: 0, of: self }),
            _ => Err(Unfit::invalid_type(self.found(), &visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Value::Object(members) => visitor.visit_map(Members { members: members.iter(), of: self, at: None }),
            _ => Err(Unfit::invalid_type(self.found(), &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self.value {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(members) if members.len() == 1 => {
                let (name, value) = members.iter().next().expect("there is one");
                let place = Place::Member { of: &self.place, name };
                let content = Setting { value, place, unknown: self.unknown };
                visitor.visit_enum(Variant { name, content: Some(content) }).map_err(|error| error.inside(name))
            }
            _ => Err(Unfit::invalid_type(self.found(), &visitor)),
        }
    }

    /// A member that its type does not have.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.unknown.borrow_mut().push(self.place.text());
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { char str string bytes byte_buf unit unit_struct identifier }
}

struct Items<'a> {
    items: &'a [Value],
    next: usize,
    of: Setting<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unfit> {
        let index = self.next;
        let Some(value) = self.items.get(index) else { return Ok(None) };
        self.next += 1;
        let place = Place::Item { of: &self.of.place, index };
        let item = Setting { value, place, unknown: self.of.unknown };
        seed.deserialize(item).map(Some).map_err(|error| error.inside(&index.to_string()))
    }
}

struct Members<'a> {
    members: serde_json::map::Iter<'a>,
    of: Setting<'a>,
    at: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Unfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unfit> {
        self.at = self.members.next().map(|(name, value)| (&**name, value));
        let Some((name, _)) = self.at else { return Ok(None) };
        let key: StrDeserializer<'_, Unfit> = name.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Unfit> {
        let (name, value) = self.at.take().expect("serde asks for the name first");
        let place = Place::Member { of: &self.of.place, name };
        let member = Setting { value, place, unknown: self.of.unknown };
        seed.deserialize(member).map_err(|error| error.inside(name))
    }
}

/// One of several choices, with what belongs to it.
struct Variant<'a> {
    name: &'a str,
    content: Option<Setting<'a>>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Unfit;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'a>), Unfit> {
        let name: StrDeserializer<'_, Unfit> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

struct Content<'a>(Option<Setting<'a>>);

impl<'a> Content<'a> {
    fn given(self) -> Result<Setting<'a>, Unfit> {
        self.0.ok_or_else(|| Unfit::custom("the choice needs a value"))
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Unfit;

    fn unit_variant(self) -> Result<(), Unfit> {
        match self.0 {
            None => Ok(()),
            Some(content) => Err(Unfit::invalid_type(content.found(), &"a choice without a value")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unfit> {
        seed.deserialize(self.given()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.given()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unfit> {
        self.given()?.deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Map, json};

    use super::*;

    fn one<T: DeserializeOwned>(value: Value) -> Result<T, String> {
        let (mut read, _) = super::read::<BTreeMap<String, T>>(&json!({ "x": value })).map_err(|e| e.to_string())?;
        Ok(read.remove("x").unwrap())
    }

    #[test]
    fn flags_have_many_spellings() {
        for (value, flag) in [
            (json!(true), true),
            (json!("true"), true),
            (json!("True"), true),
            (json!("YES"), true),
            (json!("y"), true),
            (json!("on"), true),
            (json!("t"), true),
            (json!("1"), true),
            (json!(1), true),
            (json!(1.0), true),
            (json!("off"), false),
            (json!("no"), false),
            (json!("0"), false),
            (json!(0), false),
        ] {
            assert_eq!(one::<bool>(value.clone()), Ok(flag), "{value}");
        }
        for value in [json!("maybe"), json!(""), json!(" true"), json!(2), json!(0.5), json!(null), json!([true])] {
            assert!(one::<bool>(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn texts_of_numbers_are_numbers() {
        for (value, number) in [
            (json!(5), 5),
            (json!("5"), 5),
            (json!(" 5 "), 5),
            (json!(5.0), 5),
            (json!("5.0"), 5),
            (json!("1_000"), 1000),
            (json!("-3"), -3),
            (json!("+3"), 3),
            (json!(true), 1),
        ] {
            assert_eq!(one::<i64>(value.clone()), Ok(number), "{value}");
        }
        for value in [
            json!(5.5),
            json!("5.5"),
            json!("five"),
            json!("5e1"),
            json!("5."),
            json!(".0"),
            json!("٣"),
            json!(""),
            json!(null),
            json!(1e300),
        ] {
            assert!(one::<i64>(value.clone()).is_err(), "{value}");
        }
        for value in [json!(-1), json!("-1"), json!("18446744073709551616")] {
            assert!(one::<usize>(value.clone()).is_err(), "{value}");
        }
        assert_eq!(one::<u64>(json!("18446744073709551615")), Ok(u64::MAX));
        for (value, number) in [(json!(5), 5.0), (json!("5"), 5.0), (json!("1e-3"), 0.001), (json!(false), 0.0)] {
            assert_eq!(one::<f64>(value.clone()), Ok(number), "{value}");
        }
        assert!(one::<f64>(json!("much")).is_err());
    }

    #[test]
    fn nothing_becomes_a_text_and_values_stay_as_they_are() {
        for value in [json!(5), json!(true), json!(null), json!(["a"])] {
            assert!(one::<String>(value.clone()).is_err(), "{value}");
        }
        assert_eq!(one::<String>(json!("5")), Ok("5".to_owned()));
        assert_eq!(one::<Option<bool>>(json!(null)), Ok(None));
        assert_eq!(one::<Option<bool>>(json!("no")), Ok(Some(false)));
        assert_eq!(one::<Value>(json!({"a": ["5"]})), Ok(json!({"a": ["5"]})));
        let params = one::<Map<String, Value>>(json!({"temperature": "1"})).unwrap();
        assert_eq!(params["temperature"], "1");
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default)]
    struct Block {
        limits: Limits,
        grading: Option<Grading>,
        kinds: Vec<Grading>,
        width: f32,
    }

    impl Default for Block {
        fn default() -> Self {
            Self { limits: Limits { rows: 7 }, grading: None, kinds: Vec::new(), width: 1.0 }
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Limits {
        rows: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Grading {
        All,
        Weighted { weight: f64 },
        Most(u8),
    }

    #[test]
    fn blocks_are_read_at_any_depth() {
        let (block, mut unknown) = read::<Block>(&json!({
            "limits": {"rows": "3", "colums": 4}, "grading": {"weighted": {"weight": "0.5"}},
            "kinds": ["all", {"most": "2"}], "entrypoint": "app.py", "domain": "math", "_inherit_from": "x",
            "verified_url": null, "graiding": "all",
        }))
        .unwrap();
        let kinds = vec![Grading::All, Grading::Most(2)];
        let grading = Some(Grading::Weighted { weight: 0.5 });
        assert_eq!(block, Block { limits: Limits { rows: 3 }, grading, kinds, width: 1.0 });
        unknown.sort();
        assert_eq!(unknown, ["graiding", "limits.colums"].map(str::to_owned));
    }

    #[test]
    fn errors_name_the_place() {
        for (block, text) in [
            (
                json!({"limits": {"rows": "many"}}),
                "`limits.rows`: invalid type: string \"many\", expected a whole number",
            ),
            (json!({"limits": {}}), "`limits`: missing field `rows`"),
            (
                json!({"limits": {"rows": 4294967296_u64}}),
                "`limits.rows`: invalid value: integer `4294967296`, expected u32",
            ),
            (
                json!({"grading": "some"}),
                "`grading`: unknown variant `some`, expected one of `all`, `weighted`, `most`",
            ),
            (json!({"kinds": ["all", 3]}), "`kinds.1`: invalid type: integer `3`, expected enum Grading"),
            (json!({"kinds": ["most"]}), "`kinds.0`: the choice needs a value"),
            (
                json!({"grading": {"weighted": {"weight": null}}}),
                "`grading.weighted.weight`: invalid type: unit value, expected a number",
            ),
            (json!([]), "invalid type: sequence, expected struct Block"),
        ] {
            assert_eq!(read::<Block>(&block).unwrap_err().to_string(), text);
        }
    }
}
