// SPDX-License-Identifier: Apache-2.0
//! JSON text as Python reads and writes it.

use crate::{number, raw::write_string, scan};

/// Where and why Python's `json.loads` stops reading `text`: a position in characters, and the message. `None` if it is
/// valid. `NaN` and the infinities are values to Python.
pub fn json_error(text: &str) -> Option<(usize, &'static str)> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    let error = reader.document().err()?;
    let position = error.at.min(text.len());
    Some((text.as_bytes()[..position].iter().filter(|byte| **byte & 0xC0 != 0x80).count(), error.message))
}

/// Appends the JSON value `text` without white space, with characters for `\u` escapes, and floats in pydantic's style:
/// the way in which NeMo Gym's servers repeat an input.
pub fn write_compact(buffer: &mut Vec<u8>, text: &[u8]) {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'"' => {
                let end = at + scan::string_length(&text[at..]);
                let string = &text[at..end];
                if memchr::memchr(b'\\', string).is_none() || scan::has_lone_surrogate(string) {
                    buffer.extend_from_slice(string);
                } else {
                    write_string(buffer, &scan::string(string).unwrap_or_default());
                }
                at = end;
            }
            b'-' | b'0'..=b'9' => {
                let length = text[at..].iter().take_while(|byte| is_number_byte(**byte)).count();
                let token = &text[at..at + length];
                match number::parse_float(token) {
                    Some(value) if !number::is_integer_text(token) => number::write_float(buffer, value),
                    _ => buffer.extend_from_slice(token),
                }
                at += length;
            }
            other => {
                buffer.push(other);
                at += 1;
            }
        }
    }
}

fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Since Python 3.13.
const TRAILING_IN_ARRAY: &str = "Illegal trailing comma before end of array";
/// Since Python 3.13.
const TRAILING_IN_OBJECT: &str = "Illegal trailing comma before end of object";

struct Stop {
    at: usize,
    message: &'static str,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Stop> {
        // The brackets that are open. A stack of our own: nesting may be as deep as the text is long.
        let mut open = Vec::new();
        self.space();
        loop {
            // A value starts here.
            match self.byte() {
                Some(b'[') => {
                    self.at += 1;
                    self.space();
                    if self.byte() != Some(b']') {
                        open.push(b']');
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if self.byte() != Some(b'}') {
                        self.name()?;
                        open.push(b'}');
                        continue;
                    }
                    self.at += 1;
                }
                _ => self.scalar()?,
            }
            // A value ended here.
            loop {
                self.space();
                let Some(&closing) = open.last() else {
                    return if self.at == self.text.len() { Ok(()) } else { Err(self.stop("Extra data")) };
                };
                match self.byte() {
                    Some(byte) if byte == closing => {
                        self.at += 1;
                        open.pop();
                    }
                    Some(b',') => {
                        let comma = self.at;
                        self.at += 1;
                        self.space();
                        if self.byte() == Some(closing) {
                            let object = closing == b'}';
                            let message = if object { TRAILING_IN_OBJECT } else { TRAILING_IN_ARRAY };
                            return Err(Stop { at: comma, message });
                        }
                        if closing == b'}' {
                            self.name()?;
                        }
                        break;
                    }
                    _ => return Err(self.stop("Expecting ',' delimiter")),
                }
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn stop(&self, message: &'static str) -> Stop {
        Stop { at: self.at, message }
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A name and its colon.
    fn name(&mut self) -> Result<(), Stop> {
        if self.byte() != Some(b'"') {
            return Err(self.stop("Expecting property name enclosed in double quotes"));
        }
        self.string()?;
        self.space();
        if self.byte() != Some(b':') {
            return Err(self.stop("Expecting ':' delimiter"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), Stop> {
        if self.byte() == Some(b'"') {
            return self.string();
        }
        for word in ["null", "true", "false", "NaN", "Infinity", "-Infinity"] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        self.number()
    }

    fn number(&mut self) -> Result<(), Stop> {
        let rest = &self.text[self.at..];
        let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let sign = usize::from(rest.first() == Some(&b'-'));
        let whole = if rest.get(sign) == Some(&b'0') { 1 } else { digits(sign) };
        if whole == 0 {
            return Err(self.stop("Expecting value"));
        }
        let mut length = sign + whole;
        if rest.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            if length + 1 + sign <= rest.len() && digits(length + 1 + sign) > 0 {
                length += 1 + sign + digits(length + 1 + sign);
            }
        }
        self.at += length;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Stop> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.byte() {
                None => return Err(Stop { at: start, message: "Unterminated string starting at" }),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape(start)?,
                Some(0..=0x1f) => return Err(self.stop("Invalid control character at")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<(), Stop> {
        match self.text.get(self.at + 1) {
            None => Err(Stop { at: start, message: "Unterminated string starting at" }),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    self.at += 6;
                    return Ok(());
                }
                Err(Stop { at: self.at + 1, message: "Invalid \\uXXXX escape" })
            }
            Some(_) => Err(self.stop("Invalid \\escape")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_position_and_text_of_python() {
        for (text, expected) in [
            ("", Some((0, "Expecting value"))),
            ("  ", Some((2, "Expecting value"))),
            ("nul", Some((0, "Expecting value"))),
            ("[1,]", Some((2, "Illegal trailing comma before end of array"))),
            ("[[1 , ],2]", Some((4, "Illegal trailing comma before end of array"))),
            ("[1,,]", Some((3, "Expecting value"))),
            ("[,]", Some((1, "Expecting value"))),
            ("[1,", Some((3, "Expecting value"))),
            ("{\"é\":tru}", Some((5, "Expecting value"))),
            ("-", Some((0, "Expecting value"))),
            ("{", Some((1, "Expecting property name enclosed in double quotes"))),
            ("{a:1}", Some((1, "Expecting property name enclosed in double quotes"))),
            ("{\"a\":1,}", Some((6, "Illegal trailing comma before end of object"))),
            ("{\"a\":1,,}", Some((7, "Expecting property name enclosed in double quotes"))),
            ("{\"a\":1,", Some((7, "Expecting property name enclosed in double quotes"))),
            ("{\"a\" 1}", Some((5, "Expecting ':' delimiter"))),
            ("{\"a\":1 \"b\":2}", Some((7, "Expecting ',' delimiter"))),
            ("[1", Some((2, "Expecting ',' delimiter"))),
            ("{} x", Some((3, "Extra data"))),
            ("01", Some((1, "Extra data"))),
            ("1.", Some((1, "Extra data"))),
            ("\"abc", Some((0, "Unterminated string starting at"))),
            ("[\"\\", Some((1, "Unterminated string starting at"))),
            ("\"a\nb\"", Some((2, "Invalid control character at"))),
            ("\"\\x\"", Some((1, "Invalid \\escape"))),
            ("\"\\u12g4\"", Some((2, "Invalid \\uXXXX escape"))),
            ("\"\\ud83d\\u12\"", Some((8, "Invalid \\uXXXX escape"))),
            (" {\"a\":[1,2.5e+3,-0,{}],\"b\":[]} ", None),
            ("{\"a\":[NaN,-Infinity]}", None),
        ] {
            assert_eq!(json_error(text), expected, "{text}");
        }
    }

    #[test]
    fn a_hundred_thousand_brackets_are_read() {
        assert_eq!(json_error(&"[".repeat(100_000)), Some((100_000, "Expecting value")));
        assert_eq!(json_error(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))), None);
    }

    #[test]
    fn inputs_are_repeated_without_white_space_and_escapes() {
        let mut buffer = Vec::new();
        write_compact(
            &mut buffer,
            br#"{ "a" : [1, 1e-5 ,1.50,12345678901234567890] , "b":"x \u00e9\/ \n", "c":"\ud83d" }"#,
        );
        let expected = r#"{"a":[1,0.00001,1.5,12345678901234567890],"b":"x é/ \n","c":"\ud83d"}"#;
        assert_eq!(String::from_utf8(buffer).unwrap(), expected);
    }
}
