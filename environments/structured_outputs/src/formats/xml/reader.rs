// SPDX-License-Identifier: Apache-2.0
//! Tokens of XML, as strict as Expat is about what is well formed. Entities cannot be declared.

/// A part of a document.
#[derive(Debug, PartialEq)]
pub(super) enum Token {
    /// An element begins.
    Start { name: String, attributes: Vec<(String, String)> },
    /// An element ends.
    End { name: String },
    /// A part of an element's text.
    Text(String),
}

/// Reads tokens one by one.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The end of an element without content, after its beginning.
    end: Option<String>,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | ':')
}

fn is_in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '\u{b7}')
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, end: None }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error<T>(&self, reason: &str) -> Result<T, String> {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count();
        Err(format!("{reason}: line {line}, column {column}"))
    }

    fn invalid<T>(&self) -> Result<T, String> {
        self.error("not well-formed (invalid token)")
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn skip_space(&mut self) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches(is_space);
        self.at += rest.len() - trimmed.len();
        trimmed.len() < rest.len()
    }

    /// What stands before a mark, which is passed over as well.
    fn until(&mut self, mark: &str) -> Result<&'a str, String> {
        let rest = self.rest();
        let Some(length) = rest.find(mark) else { return self.error("unclosed token") };
        let found = &rest[..length];
        if !found.chars().all(is_allowed) {
            return self.invalid();
        }
        self.at += length + mark.len();
        Ok(found)
    }

    /// The next token; none at the end. `depth` is how many elements are open, `is_done` whether the root has ended.
    pub(super) fn next(&mut self, depth: usize, is_done: bool) -> Result<Option<Token>, String> {
        if let Some(name) = self.end.take() {
            return Ok(Some(Token::End { name }));
        }
        loop {
            if depth == 0 {
                self.skip_space();
            }
            let rest = self.rest();
            if rest.is_empty() {
                return if depth > 0 { self.error("no element found") } else { Ok(None) };
            }
            if self.eat("<!--") {
                let comment = self.until("--")?;
                if !self.eat(">") || comment.ends_with('-') {
                    return self.invalid();
                }
            } else if self.eat("<?") {
                self.instruction()?;
            } else if rest.starts_with("<!DOCTYPE") && depth == 0 && !is_done {
                self.document_type()?;
            } else if depth > 0 && self.eat("<![CDATA[") {
                return Ok(Some(Token::Text(line_breaks(self.until("]]>")?))));
            } else if self.eat("</") {
                let name = self.name()?;
                self.skip_space();
                return if self.eat(">") { Ok(Some(Token::End { name })) } else { self.invalid() };
            } else if rest.starts_with('<') {
                if is_done && depth == 0 {
                    return self.error("junk after document element");
                }
                self.at += 1;
                return self.start().map(Some);
            } else if depth > 0 {
                return self.characters().map(Some);
            } else {
                return if is_done { self.error("junk after document element") } else { self.error("syntax error") };
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let rest = self.rest();
        if !rest.starts_with(begins_name) {
            return self.invalid();
        }
        let length = rest.find(|c| !is_in_name(c)).unwrap_or(rest.len());
        self.at += length;
        Ok(rest[..length].to_owned())
    }

    /// A processing instruction, of which the XML declaration may stand at the very beginning only.
    fn instruction(&mut self) -> Result<(), String> {
        let start = self.at - 2;
        let name = self.name()?;
        if name.eq_ignore_ascii_case("xml") && (start > 0 || name != "xml") {
            return self.error("XML or text declaration not at start of entity");
        }
        self.until("?>").map(drop)
    }

    /// A document type declaration is passed over, but for declarations of entities.
    fn document_type(&mut self) -> Result<(), String> {
        let mut quote = None;
        let mut depth = 0_usize;
        let start = self.at;
        for (index, c) in self.rest().char_indices() {
            match (quote, c) {
                (Some(open), _) => quote = Some(open).filter(|open| *open != c),
                (None, '"' | '\'') => quote = Some(c),
                (None, '<') => depth += 1,
                (None, '>') => depth = depth.saturating_sub(1),
                _ => {}
            }
            if self.text[start + index..].starts_with("<!ENTITY") {
                return self.error("entities are disabled");
            }
            if depth == 0 && c == '>' {
                self.at = start + index + 1;
                return Ok(());
            }
        }
        self.error("unclosed token")
    }

    /// The beginning of an element, after `<`.
    fn start(&mut self) -> Result<Token, String> {
        let name = self.name()?;
        let mut attributes: Vec<(String, String)> = Vec::new();
        loop {
            let spaced = self.skip_space();
            if self.eat("/>") {
                self.end = Some(name.clone());
                return Ok(Token::Start { name, attributes });
            }
            if self.eat(">") {
                return Ok(Token::Start { name, attributes });
            }
            if !spaced {
                return self.invalid();
            }
            let attribute = self.name()?;
            self.skip_space();
            if !self.eat("=") {
                return self.invalid();
            }
            self.skip_space();
            let quote = match self.rest().chars().next() {
                Some(quote @ ('"' | '\'')) => quote,
                _ => return self.invalid(),
            };
            self.at += 1;
            let raw = self.until(if quote == '"' { "\"" } else { "'" })?;
            if raw.contains('<') {
                return self.invalid();
            }
            let Some(value) = unescape(&line_breaks(raw).replace(['\n', '\t'], " ")) else {
                return self.error("undefined entity");
            };
            if attributes.iter().any(|(known, _)| *known == attribute) {
                return self.error("duplicate attribute");
            }
            attributes.push((attribute, value));
        }
    }

    /// Text up to the next tag.
    fn characters(&mut self) -> Result<Token, String> {
        let rest = self.rest();
        let length = rest.find('<').unwrap_or(rest.len());
        let raw = &rest[..length];
        if raw.contains("]]>") || !raw.chars().all(is_allowed) {
            return self.invalid();
        }
        let Some(text) = unescape(&line_breaks(raw)) else { return self.error("undefined entity") };
        self.at += length;
        Ok(Token::Text(text))
    }
}

/// All line breaks as `\n`.
fn line_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The text with references replaced; none if one is unknown or broken.
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (reference, rest) = part.split_once(';')?;
        out.push(match reference {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "apos" => '\'',
            "quot" => '"',
            _ => {
                let number = reference.strip_prefix('#')?;
                let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
                if !digits.starts_with(|c: char| c.is_digit(radix)) {
                    return None;
                }
                char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|c| is_allowed(*c))?
            }
        });
        out.push_str(rest);
    }
    Some(out)
}
