// SPDX-License-Identifier: Apache-2.0
//! JSON in the style of Python's `json.dumps(value, ensure_ascii=False)`: NeMo Gym's agent shows the model a tool's result
//! in it, and the model should read the same text here.

use gym_protocol::{
    Raw,
    number::{is_integer_text, parse_float},
    raw::write_string,
};

/// Values deeper inside than this stay as they came.
const MAX_DEPTH: usize = 128;

/// A value in that style.
pub(super) fn dumps(value: &Raw) -> String {
    let mut buffer = Vec::with_capacity(value.bytes().len() + 16);
    write(&mut buffer, value, MAX_DEPTH);
    String::from_utf8(buffer).expect("JSON text is UTF-8")
}

fn write(buffer: &mut Vec<u8>, value: &Raw, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else {
        buffer.extend_from_slice(value.bytes());
        return;
    };
    if let Some(members) = value.is_object().then(|| value.members().ok()).flatten() {
        buffer.push(b'{');
        for (index, (name, member)) in members.iter().enumerate() {
            separate(buffer, index);
            write_string(buffer, name);
            buffer.extend_from_slice(b": ");
            write(buffer, member, depth);
        }
        buffer.push(b'}');
    } else if let Some(elements) = value.is_array().then(|| value.elements().ok()).flatten() {
        buffer.push(b'[');
        for (index, element) in elements.iter().enumerate() {
            separate(buffer, index);
            write(buffer, element, depth);
        }
        buffer.push(b']');
    } else if let Ok(text) = value.read::<String>() {
        write_string(buffer, &text);
    } else {
        buffer.extend_from_slice(scalar(value.as_str()).as_bytes());
    }
}

fn separate(buffer: &mut Vec<u8>, index: usize) {
    if index > 0 {
        buffer.extend_from_slice(b", ");
    }
}

/// A number, `true`, `false` or `null`. Python reads and writes numbers anew.
fn scalar(text: &str) -> String {
    if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return text.to_owned();
    }
    match parse_float(text.as_bytes()) {
        _ if text == "-0" => "0".to_owned(),
        Some(number) if !is_integer_text(text.as_bytes()) => python_float(number),
        _ => text.to_owned(),
    }
}

/// The shortest digits that give the number again; an exponent below -4 and from 16 on.
fn python_float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let cases = [
            (r#"{"a":[1,{"b":null}],"c":{},"d":[]}"#, r#"{"a": [1, {"b": null}], "c": {}, "d": []}"#),
            (r#""\u00e9\ud83d\ude00\n\/""#, "\"é😀\\n/\""),
            ("[-0,12345678901234567890123,true,false]", "[0, 12345678901234567890123, true, false]"),
            (
                "[1.0,1e2,0.0001,0.00001,1e15,1e16,-2.50]",
                "[1.0, 100.0, 0.0001, 1e-05, 1000000000000000.0, 1e+16, -2.5]",
            ),
            ("[1.5e-7,1e100,1e999,-0.0]", "[1.5e-07, 1e+100, Infinity, -0.0]"),
        ];
        for (json, expected) in cases {
            let value = Raw::parse(bytes::Bytes::from_static(json.as_bytes())).unwrap();
            assert_eq!(dumps(&value), expected);
        }
    }

    #[test]
    fn what_is_nested_deep_stays_as_it_came() {
        let deep = format!("{}1,2{}", "[".repeat(100_000), "]".repeat(100_000));
        let value = Raw::parse(bytes::Bytes::from(deep)).unwrap();
        assert!(dumps(&value).contains("[1,2]"));
    }
}
