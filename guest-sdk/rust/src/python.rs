// SPDX-License-Identifier: Apache-2.0
//! Values and JSON as Python has them, for graders whose rule is stated in terms of Python.
//!
//! [`loads`] reads what Python's `json.loads` reads: also `NaN` and `Infinity`, whole numbers of up to 4300 digits, and lone
//! surrogates (which become U+FFFD). [`Value`] compares, prints and is true or false as in Python.

use std::fmt::Write;

use serde_json::{Map, Number, Value as Json};

mod digits;
mod reader;

pub use digits::digit;
pub use reader::{NotJson, loads};

/// A value of Python that JSON can spell.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`
    None,
    /// `True` and `False`
    Bool(bool),
    /// A whole number of at most 128 bits.
    Int(i128),
    /// A larger whole number: its digits, after a sign if it is negative.
    Large(String),
    /// `float`
    Float(f64),
    /// `str`
    Text(String),
    /// `list`
    List(Vec<Value>),
    /// `dict`, in order of insertion; keys occur once.
    Dict(Vec<(String, Value)>),
}

impl Value {
    /// Whether an `if` takes it.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Large(_) => true,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Dict(members) => !members.is_empty(),
        }
    }

    /// Name of its type, as in messages of errors.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Large(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Dict(_) => "dict",
        }
    }

    /// The text, if it is a `str`.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one (`bool` counts). Whole numbers beyond 53 bits lose digits, and some beyond 1023 bits are
    /// infinite, where Python raises an `OverflowError`.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Self::Int(number) => Some(*number as f64),
            Self::Large(digits) => digits.parse().ok(),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A member of a `dict`.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value as JSON has it. Whole numbers beyond 64 bits become floats; `odd` says what becomes of a float that is not
    /// finite, which JSON does not have.
    pub fn to_json(&self, odd: impl Fn(f64) -> Json + Copy) -> Json {
        let float = |number: f64| Number::from_f64(number).map_or_else(|| odd(number), Json::Number);
        match self {
            Self::None => Json::Null,
            Self::Bool(truth) => (*truth).into(),
            Self::Int(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(number), _) => number.into(),
                (_, Ok(number)) => number.into(),
                _ => float(*number as f64),
            },
            Self::Large(digits) => float(digits.parse().unwrap_or(f64::NAN)),
            Self::Float(number) => float(*number),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(|item| item.to_json(odd)).collect(),
            Self::Dict(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.to_json(odd))).collect::<Map<_, _>>().into()
            }
        }
    }

    /// What `str(value)` gives.
    pub fn str(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.repr(),
        }
    }

    /// What `repr(value)` gives.
    pub fn repr(&self) -> String {
        let mut out = String::new();
        self.write_repr(&mut out);
        out
    }

    fn write_repr(&self, out: &mut String) {
        match self {
            Self::None => out.push_str("None"),
            Self::Bool(true) => out.push_str("True"),
            Self::Bool(false) => out.push_str("False"),
            Self::Int(number) => write!(out, "{number}").expect("text takes text"),
            Self::Large(digits) => out.push_str(digits),
            Self::Float(number) => out.push_str(&repr_float(*number)),
            Self::Text(text) => write_repr_str(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    item.write_repr(out);
                }
                out.push(']');
            }
            Self::Dict(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    write_repr_str(name, out);
                    out.push_str(": ");
                    value.write_repr(out);
                }
                out.push('}');
            }
        }
    }
}

/// `==` of Python: numbers by value whatever their type, `dict` without regard to order. `NaN` is equal to nothing by
/// itself, but to itself inside of containers, where Python looks at identity first.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::List(left), Self::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.is_or_equals(right))
            }
            (Self::Dict(left), Self::Dict(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(name, value)| other.get(name).is_some_and(|other| value.is_or_equals(other)))
            }
            (Self::Int(left), Self::Int(right)) => left == right,
            (Self::Large(left), Self::Large(right)) => left == right,
            // Digit by digit: a float is near to many whole numbers, and equal to one.
            (Self::Int(_) | Self::Large(_), Self::Float(float)) => is_float(&self.repr(), *float),
            (Self::Float(float), Self::Int(_) | Self::Large(_)) => is_float(&other.repr(), *float),
            _ => matches!((self.as_number(), other.as_number()), (Some(left), Some(right)) if left == right),
        }
    }
}

impl Value {
    fn is_or_equals(&self, other: &Self) -> bool {
        let is_nan = |value: &Self| matches!(value, Self::Float(number) if number.is_nan());
        self == other || is_nan(self) && is_nan(other)
    }
}

/// Whether a whole number, in digits, is exactly this float.
fn is_float(digits: &str, float: f64) -> bool {
    match float {
        0.0 => digits == "0",
        // The format writes all digits of a whole number.
        _ => float.fract() == 0.0 && format!("{float:.0}") == digits,
    }
}

/// What `repr` gives for a `float`: the shortest digits that give it back.
pub fn repr_float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// What `repr` gives for a `str`.
pub fn repr_str(text: &str) -> String {
    let mut out = String::new();
    write_repr_str(text, &mut out);
    out
}

fn write_repr_str(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            _ if c == quote => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ if is_printable(c) => out.push(c),
            _ => {
                let code = u32::from(c);
                let written = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                written.expect("text takes text");
            }
        }
    }
    out.push(quote);
}

/// Rust escapes what is not printable; only at the beginning of a text also what combines with the letter before.
fn is_printable(c: char) -> bool {
    let text = ['a', c].iter().collect::<String>();
    text.escape_debug().skip(1).count() == 1
}

/// What `int(text)` gives; nothing where Python raises a `ValueError`. Numbers beyond 128 bits become the largest
/// (smallest) one.
pub fn int(text: &str) -> Option<i128> {
    let text = crate::text::strip(text);
    let unsigned = text.strip_prefix(['-', '+']);
    let mut magnitude = 0_i128;
    let mut count = 0;
    for group in unsigned.unwrap_or(text).split('_') {
        if group.is_empty() {
            return None;
        }
        for c in group.chars() {
            magnitude = magnitude.saturating_mul(10).saturating_add(digit(c)?.into());
            count += 1;
        }
    }
    let is_readable = count <= reader::MAX_DIGITS;
    is_readable.then_some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// What `float(text)` gives; nothing where Python raises a `ValueError`. Decimal digits of all scripts are taken.
pub fn float(text: &str) -> Option<f64> {
    let text = crate::text::strip(text);
    if let Some(ascii) = in_ascii_digits(text) {
        return float(&ascii);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let words = ["inf", "infinity", "nan"];
    if words.iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return text.parse().ok();
    }
    // An underscore stands between two digits.
    let bytes = unsigned.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let underscores_are_right =
        (0..bytes.len()).filter(|at| bytes[*at] == b'_').all(|at| at > 0 && is_digit(at - 1) && is_digit(at + 1));
    let starts_right = is_digit(0) || bytes.first() == Some(&b'.') && is_digit(1);
    if !underscores_are_right || !starts_right {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// The text with all decimal digits as ASCII has them; nothing if they are.
fn in_ascii_digits(text: &str) -> Option<String> {
    let foreign = |c: &char| !c.is_ascii() && digit(*c).is_some();
    text.chars()
        .any(|c| foreign(&c))
        .then(|| text.chars().map(|c| digit(c).map_or(c, |digit| char::from(b'0' + digit))).collect())
}

/// What `text.splitlines()` gives.
pub fn lines(text: &str) -> Vec<&str> {
    let ends = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        lines.push(&rest[..at]);
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + rest[at..].chars().next().map_or(0, char::len_utf8)
        };
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

#[cfg(test)]
mod tests;
