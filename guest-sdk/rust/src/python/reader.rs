// SPDX-License-Identifier: Apache-2.0
//! Reads JSON as Python's `json.loads` does.

use std::collections::HashMap;

use super::Value;

/// How deep lists and objects may be nested. Python goes deeper, but nobody writes it on purpose.
const MAX_DEPTH: usize = 400;

/// Whole numbers with more digits are an error in Python too.
pub(super) const MAX_DIGITS: usize = 4300;

/// The text is no JSON as Python has it, or nested more than 400 deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// Where reading stopped, in bytes.
    pub at: usize,
}

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not JSON from byte {} on", self.at)
    }
}

impl std::error::Error for NotJson {}

/// Reads a JSON text as Python's `json.loads` does. Of members with the same name the last one counts.
pub fn loads(text: &str) -> Result<Value, NotJson> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(reader.error()) }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self) -> NotJson {
        NotJson { at: self.at }
    }

    fn skip_space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, NotJson> {
        if depth > MAX_DEPTH {
            return Err(self.error());
        }
        match self.text.get(self.at) {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.dict(depth),
            Some(b'n') if self.eat("null") => Ok(Value::None),
            Some(b't') if self.eat("true") => Ok(Value::Bool(true)),
            Some(b'f') if self.eat("false") => Ok(Value::Bool(false)),
            Some(b'N') if self.eat("NaN") => Ok(Value::Float(f64::NAN)),
            Some(b'I') if self.eat("Infinity") => Ok(Value::Float(f64::INFINITY)),
            Some(b'-') if self.eat("-Infinity") => Ok(Value::Float(f64::NEG_INFINITY)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.error()),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, NotJson> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.eat("]") {
            return Ok(Value::List(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat("]") {
                return Ok(Value::List(items));
            }
            if !self.eat(",") {
                return Err(self.error());
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Value, NotJson> {
        self.at += 1;
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        self.skip_space();
        if self.eat("}") {
            return Ok(Value::Dict(members));
        }
        loop {
            self.skip_space();
            if self.text.get(self.at) != Some(&b'"') {
                return Err(self.error());
            }
            let name = self.string()?;
            self.skip_space();
            if !self.eat(":") {
                return Err(self.error());
            }
            self.skip_space();
            let value = self.value(depth + 1)?;
            match places.get(&name) {
                Some(place) => members[*place].1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
            self.skip_space();
            if self.eat("}") {
                return Ok(Value::Dict(members));
            }
            if !self.eat(",") {
                return Err(self.error());
            }
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value, NotJson> {
        let start = self.at;
        self.eat("-");
        let whole_digits = if self.eat("0") { 1 } else { self.digits() };
        if whole_digits == 0 {
            return Err(self.error());
        }
        let mut is_whole = true;
        // A point or an exponent without digits is not part of the number; what follows then fails.
        let before = self.at;
        if self.eat(".") {
            if self.digits() == 0 {
                self.at = before;
            } else {
                is_whole = false;
            }
        }
        let before = self.at;
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                self.at = before;
            } else {
                is_whole = false;
            }
        }
        if is_whole && whole_digits > MAX_DIGITS {
            return Err(self.error());
        }
        let written = std::str::from_utf8(&self.text[start..self.at]).map_err(|_| NotJson { at: start })?;
        if is_whole {
            return Ok(written.parse().map_or_else(|_| Value::Large(written.to_owned()), Value::Int));
        }
        written.parse().map(Value::Float).map_err(|_| NotJson { at: start })
    }

    fn string(&mut self) -> Result<String, NotJson> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return String::from_utf8(out).map_err(|_| self.error());
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(byte) if *byte >= 0x20 => {
                    out.push(*byte);
                    self.at += 1;
                }
                _ => return Err(self.error()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let letter = *self.text.get(self.at).ok_or(NotJson { at: self.at })?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.code_unit()?;
                if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
                    let back = self.at;
                    self.at += 2;
                    let second = self.code_unit()?;
                    if (0xdc00..0xe000).contains(&second) {
                        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        return char::from_u32(code).ok_or(NotJson { at: back });
                    }
                    self.at = back;
                }
                char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(self.error()),
        })
    }

    fn code_unit(&mut self) -> Result<u32, NotJson> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(NotJson { at: self.at })?;
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| NotJson { at: self.at })
    }
}
