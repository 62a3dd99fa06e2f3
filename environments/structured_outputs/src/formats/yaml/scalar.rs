// SPDX-License-Identifier: Apache-2.0
//! What a scalar is by YAML 1.1, in the form of PyYAML.

use gym_env::python::{self, Value, float};

use crate::data::foreign;

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    Time,
    Binary,
    Merge,
    /// The plain scalar `=`, which PyYAML knows and cannot construct.
    Unknown,
}

impl Kind {
    /// The type of that name, written `!!name`.
    pub(super) fn of_tag(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "str" => Self::Text,
            "timestamp" => Self::Time,
            "binary" => Self::Binary,
            "merge" => Self::Merge,
            _ => return None,
        })
    }
}

/// The type of a plain scalar without a tag.
pub(super) fn kind_of(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "<<" => Kind::Merge,
        "=" => Kind::Unknown,
        _ if truth(text).is_some_and(|_| is_one_case(text)) => Kind::Bool,
        _ if is_int(text) => Kind::Int,
        _ if is_float(text) => Kind::Float,
        _ if is_time(text) => Kind::Time,
        _ => Kind::Text,
    }
}

/// Small, or capitals, or a capital at the beginning.
fn is_one_case(text: &str) -> bool {
    let rest = &text[1..];
    let is_lower = rest.chars().all(|c| c.is_ascii_lowercase());
    is_lower || text.chars().all(|c| c.is_ascii_uppercase())
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn all(text: &str, test: impl Fn(u8) -> bool) -> bool {
    text.bytes().all(|byte| test(byte) || byte == b'_')
}

/// Parts after the first one, each below 60: `1:30:00` is a number to the base of 60.
fn are_sixties<'a>(mut parts: impl Iterator<Item = &'a str>) -> bool {
    parts.all(|part| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
        _ => false,
    })
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_int(text: &str) -> bool {
    let digits = unsigned(text);
    let is_decimal = |text: &str| {
        text == "0" || begins_with_digit(text) && !text.starts_with('0') && all(text, |byte| byte.is_ascii_digit())
    };
    if let Some(bits) = digits.strip_prefix("0b") {
        return !bits.is_empty() && all(bits, |byte| matches!(byte, b'0' | b'1'));
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return !hex.is_empty() && all(hex, |byte| byte.is_ascii_hexdigit());
    }
    if let Some((first, rest)) = digits.split_once(':') {
        return first != "0" && is_decimal(first) && are_sixties(rest.split(':'));
    }
    let is_octal = digits.len() > 1 && digits.starts_with('0') && all(digits, |byte| (b'0'..=b'7').contains(&byte));
    is_octal || is_decimal(digits)
}

fn is_float(text: &str) -> bool {
    let digits = unsigned(text);
    let is_signed = digits.len() < text.len();
    if [".inf", ".Inf", ".INF"].contains(&digits) || [".nan", ".NaN", ".NAN"].contains(&text) {
        return true;
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let has_exponent = exponent.is_none_or(|exponent| {
        let digits = unsigned(exponent);
        !digits.is_empty() && digits.len() < exponent.len() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let Some((whole, fraction)) = mantissa.split_once('.') else { return false };
    if !has_exponent || !all(fraction, |byte| byte.is_ascii_digit()) {
        return false;
    }
    if whole.is_empty() {
        // Without a digit before the point there is no sign, and a digit after it.
        return !is_signed && begins_with_digit(fraction);
    }
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let has_sixties = whole.contains(':');
    begins_with_digit(first)
        && all(first, |byte| byte.is_ascii_digit())
        && are_sixties(parts)
        && !(has_sixties && exponent.is_some())
}

/// Whether it is a date, or a date and a time.
fn is_time(text: &str) -> bool {
    let sizes = |text: &str, expected: &[(usize, usize)], mark: char| {
        let parts: Vec<&str> = text.split(mark).collect();
        parts.len() == expected.len()
            && parts.iter().zip(expected).all(|(part, (least, most))| {
                (*least..=*most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
            })
    };
    if sizes(text, &[(4, 4), (2, 2), (2, 2)], '-') {
        return true;
    }
    let Some((date, time)) = text.split_once(['T', 't', ' ', '\t']) else { return false };
    let time = if text[date.len()..].starts_with(['T', 't']) { time } else { time.trim_start_matches([' ', '\t']) };
    let clock_end = time.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(time.len());
    let (clock, rest) = time.split_at(clock_end);
    let rest = rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = rest.trim_start_matches([' ', '\t']);
    let is_offset = |offset: &str| sizes(offset, &[(1, 2)], ':') || sizes(offset, &[(1, 2), (2, 2)], ':');
    let has_zone = match zone.strip_prefix(['-', '+']) {
        Some(offset) => is_offset(offset),
        None => zone == "Z" || rest.is_empty(),
    };
    sizes(date, &[(4, 4), (1, 2), (1, 2)], '-') && sizes(clock, &[(1, 2), (2, 2), (2, 2)], ':') && has_zone
}

/// The value of a scalar of this type. The error is a sentence.
pub(super) fn construct(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Null => Ok(Value::None),
        Kind::Bool => truth(text).map(Value::Bool).ok_or_else(|| format!("`{text}` is neither true nor false")),
        Kind::Int => int(text).map(Value::Int).ok_or_else(|| format!("`{text}` is no whole number")),
        Kind::Float => number(text).map(Value::Float).ok_or_else(|| format!("`{text}` is no number")),
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::Time if is_time(text) && exists(text) => Ok(foreign("date")),
        Kind::Time => Err(format!("`{text}` is no date")),
        Kind::Binary if is_base64(text) => Ok(foreign("bytes")),
        Kind::Binary => Err("failed to decode base64 data".to_owned()),
        Kind::Merge | Kind::Unknown => Err(format!("could not determine a constructor for `{text}`")),
    }
}

fn signed(text: &str) -> (String, i128) {
    let text = text.replace('_', "");
    let sign = if text.starts_with('-') { -1 } else { 1 };
    (unsigned(&text).to_owned(), sign)
}

fn int(text: &str) -> Option<i128> {
    let (digits, sign) = signed(text);
    let number = if digits == "0" {
        0
    } else if let Some(bits) = digits.strip_prefix("0b") {
        i128::from_str_radix(bits, 2).ok()?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        i128::from_str_radix(hex, 16).ok()?
    } else if digits.starts_with('0') {
        i128::from_str_radix(&digits, 8).ok()?
    } else if digits.contains(':') {
        digits
            .split(':')
            .try_fold(0_i128, |number, part| Some(number.saturating_mul(60).saturating_add(python::int(part)?)))?
    } else {
        python::int(&digits)?
    };
    Some(number.saturating_mul(sign))
}

fn number(text: &str) -> Option<f64> {
    let (digits, sign) = signed(&text.to_ascii_lowercase());
    let number = match digits.as_str() {
        ".inf" => f64::INFINITY,
        ".nan" => return Some(f64::NAN),
        digits if digits.contains(':') => {
            digits.split(':').try_fold(0.0, |number, part| Some(number * 60.0 + float(part)?))?
        }
        digits => float(digits)?,
    };
    Some(number * sign as f64)
}

/// Whether the calendar has this date, and the clock this time.
fn exists(text: &str) -> bool {
    let numbers: Vec<u32> =
        text.split(|c: char| !c.is_ascii_digit()).take(6).filter_map(|part| part.parse().ok()).collect();
    let [year, month, day, ref clock @ ..] = numbers[..] else { return false };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let in_clock = clock.iter().zip([24, 60, 60]).all(|(number, end)| *number < end);
    year > 0 && (1..=days).contains(&day) && in_clock
}

fn is_base64(text: &str) -> bool {
    let data: Vec<u8> = text.bytes().filter(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)).collect();
    text.is_ascii() && data.len().is_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_types_of_yaml_1_1() {
        for (kind, texts) in [
            (Kind::Null, vec!["", "~", "null", "Null", "NULL"]),
            (Kind::Bool, vec!["yes", "No", "ON", "off", "True", "FALSE"]),
            (Kind::Int, vec!["0", "12", "-1_000", "+7", "0b101", "0x1F", "017", "0o_".trim_end_matches("o_"), "1:30"]),
            (Kind::Float, vec!["1.5", "-1.", "1_0.2", ".5", "1.5e+3", ".inf", "-.INF", ".nan", "1:30.5"]),
            (
                Kind::Time,
                vec!["2024-05-10", "2024-5-1 1:02:03", "2024-05-10T10:00:00Z", "2024-05-10 10:00:00.5 +02:00"],
            ),
            (
                Kind::Text,
                vec![
                    "yEs",
                    "y",
                    "nULL",
                    "1e3",
                    "1.5e3",
                    "0o17",
                    "08",
                    "1,5",
                    "-.5",
                    "+.5",
                    "1:60",
                    "0:30",
                    "2024-5-1",
                    "2024-05-10T10:00",
                    "inf",
                    "NaN",
                    "1 2",
                    "-",
                    "é",
                    "01:30",
                ],
            ),
            (Kind::Merge, vec!["<<"]),
            (Kind::Unknown, vec!["="]),
        ] {
            for text in texts {
                assert_eq!(kind_of(text), kind, "{text}");
            }
        }
    }

    #[test]
    fn scalars_are_constructed() {
        for (text, value) in [
            ("-0x1f", "-31"),
            ("017", "15"),
            ("1_000", "1000"),
            ("1:30", "90"),
            ("-1:30.5", "-90.5"),
            ("1.5e+3", "1500.0"),
            ("-.inf", "-inf"),
            ("On", "True"),
            ("2024-02-29", "{'\\x00date ': None}"),
        ] {
            assert_eq!(construct(kind_of(text), text).map(|value| value.repr()), Ok(value.to_owned()), "{text}");
        }
        for text in ["2023-02-29", "2024-13-01", "=", "0x_", "2024-05-10 25:00:00"] {
            assert!(construct(kind_of(text), text).is_err(), "{text}");
        }
    }
}
