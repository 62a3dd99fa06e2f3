// SPDX-License-Identifier: Apache-2.0
//! JSON as Python's `json.dumps` writes it: `", "` and `": "` between things, everything beyond ASCII as escapes, floats
//! as `repr` prints them.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use gym_protocol::{
    number::{is_integer_text, write_float},
    scan::{self, Kind},
};

/// Deeper values cannot be written; Python's own limit is about as deep.
pub(crate) const MAX_DEPTH: usize = 500;

/// The value is nested too deeply.
#[derive(Debug)]
pub(crate) struct TooDeep;

/// Appends `value`, which is valid JSON.
pub(crate) fn dump(value: &[u8], out: &mut Vec<u8>) -> Result<(), TooDeep> {
    write(value, None, MAX_DEPTH, out)
}

/// Appends `value` without the members that `model` does not have in the same place. Where `model` is something else than
/// an object or an array, `value` is written as it is.
pub(crate) fn dump_like(value: &[u8], model: &[u8], out: &mut Vec<u8>) -> Result<(), TooDeep> {
    write(value, Some(model), MAX_DEPTH, out)
}

fn write(value: &[u8], model: Option<&[u8]>, depth: usize, out: &mut Vec<u8>) -> Result<(), TooDeep> {
    let Some(depth) = depth.checked_sub(1) else { return Err(TooDeep) };
    let kind = scan::kind(value);
    let model = model.filter(|model| scan::kind(model) == kind);
    match kind {
        Kind::String => write_string(value, out),
        Kind::Number => write_number(value, out),
        Kind::Null | Kind::Bool => out.extend_from_slice(value),
        Kind::Array => {
            out.push(b'[');
            let mut models = model.map(scan::elements);
            for (index, element) in scan::elements(value).enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write(element, models.as_mut().and_then(Iterator::next), depth, out)?;
            }
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            let models: Option<Vec<(Cow<'_, str>, &[u8])>> = model.map(|model| scan::members(model).collect());
            // A dump has the members in about the same order.
            let mut place = 0;
            let mut first = true;
            for (name, value) in members(value) {
                let model = match &models {
                    None => None,
                    Some(models) => {
                        let is_it = |(known, _): &(Cow<'_, str>, &[u8])| *known == name;
                        let later = models[place..].iter().position(is_it).map(|at| at + place);
                        match later.or_else(|| models[..place].iter().position(is_it)) {
                            None => continue,
                            Some(at) => {
                                place = at + 1;
                                Some(models[at].1)
                            }
                        }
                    }
                };
                if !first {
                    out.extend_from_slice(b", ");
                }
                first = false;
                write_text(&name, out);
                out.extend_from_slice(b": ");
                write(value, model, depth, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// The members of an object as a Python dictionary has them: of equal names the first place and the last value.
fn members(object: &[u8]) -> Vec<(Cow<'_, str>, &[u8])> {
    let mut members: Vec<(Cow<'_, str>, &[u8])> = scan::members(object).collect();
    if !has_equal_names(&members) {
        return members;
    }
    let mut last: HashMap<String, &[u8]> = members.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    members.retain_mut(|(name, value)| last.remove(name.as_ref()).map(|last| *value = last).is_some());
    members
}

fn has_equal_names(members: &[(Cow<'_, str>, &[u8])]) -> bool {
    if members.len() > 32 {
        let mut names = HashSet::with_capacity(members.len());
        return !members.iter().all(|(name, _)| names.insert(name.as_ref()));
    }
    members.iter().enumerate().any(|(index, (name, _))| members[..index].iter().any(|(earlier, _)| earlier == name))
}

/// Writes the string `value`, quotes included. Halves of characters stay what they are, but for those in names.
fn write_string(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = &value[1..value.len() - 1];
    out.push(b'"');
    loop {
        let at = plain_length(rest);
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        if rest.is_empty() {
            break;
        }
        if rest[0] == b'\\' {
            rest = write_escape(rest, out);
            continue;
        }
        let end = rest.iter().position(|byte| *byte < 0x7f).unwrap_or(rest.len());
        write_plain(&String::from_utf8_lossy(&rest[..end]), out);
        rest = &rest[end..];
    }
    out.push(b'"');
}

/// How many bytes `text` begins with that stand for themselves. Blocks are looked at as a whole: most have nothing else.
fn plain_length(text: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let is_special = |byte: u8| byte == b'\\' || byte >= 0x7f;
    let is_plain = |block: &&[u8]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let start = text.chunks_exact(BLOCK).take_while(is_plain).count() * BLOCK;
    let rest = &text[start..];
    start + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

/// Writes the escape that `text` begins with, and gives what follows it.
fn write_escape<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let unit = || std::str::from_utf8(text.get(2..6)?).ok().and_then(|hex| u16::from_str_radix(hex, 16).ok());
    match text.get(1) {
        Some(b'u') => {
            let unit = unit().unwrap_or(0xFFFD);
            match u8::try_from(unit).ok().filter(u8::is_ascii) {
                Some(byte) => write_plain(char::from(byte).encode_utf8(&mut [0; 4]), out),
                None => write_unit(unit, out),
            }
            text.get(6..).unwrap_or_default()
        }
        Some(b'/') => {
            out.push(b'/');
            &text[2..]
        }
        _ => {
            out.extend_from_slice(&text[..2.min(text.len())]);
            text.get(2..).unwrap_or_default()
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_plain(text, out);
    out.push(b'"');
}

fn write_plain(text: &str, out: &mut Vec<u8>) {
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            ' '..='~' => out.push(character as u8),
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write_unit(*unit, out)),
        }
    }
}

fn write_unit(unit: u16, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| HEX[usize::from(unit >> shift & 15)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

fn write_number(value: &[u8], out: &mut Vec<u8>) {
    let text = std::str::from_utf8(value).unwrap_or_default();
    match text.parse::<f64>() {
        _ if value == b"-0" => out.push(b'0'),
        Ok(number) if !is_integer_text(value) && number.is_finite() => {
            out.extend_from_slice(float_text(number).as_bytes());
        }
        // Numbers out of range stay as they are; Python would write `Infinity`, which is no JSON.
        _ => out.extend_from_slice(value),
    }
}

/// `repr` of a finite float: the shortest digits that read back as the same number, of two equally near ones the even.
fn float_text(number: f64) -> String {
    let mut text = Vec::new();
    write_float(&mut text, number);
    let text = String::from_utf8(text).expect("numbers are ASCII");
    // Pydantic, whose style this is, begins with exponents one digit later than Python, and has exponents of one digit.
    if let Some((digits, exponent)) = text.split_once("e-") {
        return format!("{digits}e-{exponent:0>2}");
    }
    let (sign, plain) = text.strip_prefix('-').map_or(("", text.as_str()), |plain| ("-", plain));
    match plain.strip_prefix("0.0000") {
        Some(digits) if digits.len() > 1 => format!("{sign}{}.{}e-05", &digits[..1], &digits[1..]),
        Some(digits) => format!("{sign}{digits}e-05"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(text: &str) -> String {
        let mut out = Vec::new();
        dump(text.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_needs_an_escape_is_found_at_every_place() {
        for at in 0..100 {
            let (before, after) = ("a".repeat(at), "b".repeat(100 - at));
            for (special, written) in [("é", "\\u00e9"), ("\\n", "\\n"), ("\\/", "/"), ("\u{7f}", "\\u007f"), ("", "")]
            {
                let (text, expected) =
                    (format!("\"{before}{special}{after}\""), format!("\"{before}{written}{after}\""));
                assert_eq!(python(&text), expected, "{at}");
            }
        }
    }

    #[test]
    fn values_are_written_like_json_dumps() {
        for (text, expected) in [
            (r#"{"a":[1,2],"b":{}, "c":[] ,"d":null}"#, r#"{"a": [1, 2], "b": {}, "c": [], "d": null}"#),
            (r#"{"a":1,"b":2,"a":3,"b":4}"#, r#"{"a": 3, "b": 4}"#),
            ("\"é😀\u{7f}/\"", "\"\\u00e9\\ud83d\\ude00\\u007f/\""),
            (r#""\u00E9\/\u0041\u0022\ud83d\n\u0001""#, r#""\u00e9/A\"\ud83d\n\u0001""#),
            ("1.50", "1.5"),
            ("1E3", "1000.0"),
            ("-0.0", "-0.0"),
            ("-0", "0"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("-0.0000125", "-1.25e-05"),
            ("1.25e-7", "1.25e-07"),
            ("1e-100", "1e-100"),
            // Half way between two texts that both read back as the number.
            ("-755867502730634.25", "-755867502730634.2"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("1e999", "1e999"),
        ] {
            assert_eq!(python(text), expected, "{text}");
        }
    }

    #[test]
    fn members_that_the_model_lacks_are_left_out() {
        let mut out = Vec::new();
        let value = br#"{"a":{"x":1,"y":2},"b":[{"x":1,"z":2},{"x":1}],"c":3}"#;
        dump_like(value, br#"{"b":[{"x":null,"more":1},7],"a":"other"}"#, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a": {"x": 1, "y": 2}, "b": [{"x": 1}, {"x": 1}]}"#);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(dump(deep(MAX_DEPTH).as_bytes(), &mut Vec::new()).is_ok());
        assert!(dump(deep(MAX_DEPTH + 1).as_bytes(), &mut Vec::new()).is_err());
    }
}
