// SPDX-License-Identifier: Apache-2.0
//! JSON as Python reads it, with whole numbers of any size.

use crate::value::Value;

/// How deep lists and objects may be nested.
const MAX_DEPTH: usize = 400;

/// The text is no JSON as Python has it, or nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Reads a JSON text as Python's `json.loads` does: `NaN` and `Infinity` are numbers, of members with the same name the
/// last one counts.
pub(crate) fn read(text: &str) -> Result<Value, NotJson> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(NotJson) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, NotJson> {
        if depth > MAX_DEPTH {
            return Err(NotJson);
        }
        self.skip_space();
        for (word, value) in [
            ("null", Value::None),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ] {
            if self.eat(word) {
                return Ok(value);
            }
        }
        match self.rest().bytes().next() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.dict(depth),
            _ => self.number(),
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
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat("]") {
                return Ok(Value::List(items));
            }
            if !self.eat(",") {
                return Err(NotJson);
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Value, NotJson> {
        self.at += 1;
        let mut members: Vec<(Value, Value)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        self.skip_space();
        if self.eat("}") {
            return Ok(Value::Dict(members));
        }
        loop {
            self.skip_space();
            if !self.rest().starts_with('"') {
                return Err(NotJson);
            }
            let name = self.string()?;
            self.skip_space();
            if !self.eat(":") {
                return Err(NotJson);
            }
            let value = self.value(depth + 1)?;
            match places.get(&name) {
                Some(place) => {
                    let place: &usize = place;
                    members[*place].1 = value;
                }
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((Value::Text(name), value));
                }
            }
            self.skip_space();
            if self.eat("}") {
                return Ok(Value::Dict(members));
            }
            if !self.eat(",") {
                return Err(NotJson);
            }
        }
    }

    fn digits(&mut self) -> usize {
        let before = self.at;
        self.at += self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.at - before
    }

    fn number(&mut self) -> Result<Value, NotJson> {
        let start = self.at;
        self.eat("-");
        if !self.eat("0") && self.digits() == 0 {
            return Err(NotJson);
        }
        let end_of_whole = self.at;
        if self.eat(".") && self.digits() == 0 {
            self.at = end_of_whole;
        }
        let end_of_fraction = self.at;
        if self.eat("e") || self.eat("E") {
            let _signed = self.eat("+") || self.eat("-");
            if self.digits() == 0 {
                self.at = end_of_fraction;
            }
        }
        let text = &self.text[start..self.at];
        if self.at > end_of_whole {
            return text.parse().map(Value::Float).map_err(|_| NotJson);
        }
        Ok(Value::Int(if text == "-0" { "0".to_owned() } else { text.to_owned() }))
    }

    fn string(&mut self) -> Result<String, NotJson> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').ok_or(NotJson)?;
            out.push_str(&rest[..plain]);
            self.at += plain;
            if self.eat("\"") {
                return Ok(out);
            }
            if !self.eat("\\") {
                return Err(NotJson);
            }
            let escape = self.rest().chars().next().ok_or(NotJson)?;
            self.at += escape.len_utf8();
            out.push(match escape {
                '"' | '\\' | '/' => escape,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => self.unicode()?,
                _ => return Err(NotJson),
            });
        }
    }

    /// The character after `\u`; a lone surrogate becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, NotJson> {
        let first = self.hex()?;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, NotJson> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(NotJson)?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_python_does() {
        let big = "9".repeat(400);
        for (text, shown) in [
            (" [1, -0, 2.50, 1e3] ", "[1, 0, 2.5, 1000.0]"),
            (&*big, &*big),
            ("[NaN, -Infinity]", "[nan, -inf]"),
            (r#"{"a": 1, "b": [true, null], "a": 2}"#, "{'a': 2, 'b': [True, None]}"),
            (r#""\u00e9\ud83d\ude00\n""#, "'é😀\\n'"),
            ("[]", "[]"),
            ("{}", "{}"),
        ] {
            assert_eq!(read(text).unwrap().repr(), shown, "{text}");
        }
    }

    #[test]
    fn other_texts_are_none() {
        let deep = "[".repeat(100_000);
        for text in
            ["", "[1,]", "{1: 2}", "01", "1.", ".5", "+1", "1 2", "'a'", "\"a", "\"\\x\"", "\"\\u12g4\"", "nul", &deep]
        {
            assert_eq!(read(text).err(), Some(NotJson), "{text:.20}");
        }
    }
}
