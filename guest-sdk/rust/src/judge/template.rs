// SPDX-License-Identifier: Apache-2.0
//! Prompt templates, as Python's `str.format` fills them in.

use crate::failure::Fault;

/// A text with places for values: `{name}` is replaced, `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(String),
}

impl Template {
    /// Reads a template. A fault when Python would not take it, when it has a place that is not among `names`, or uses
    /// conversions and format specifications, which templates of prompts have no need for.
    pub fn parse(text: &str, names: &[&str]) -> Result<Self, Fault> {
        let wrong = |reason: String| Err(Fault::new(format!("the prompt template {reason}")));
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if after.starts_with(brace) {
                plain.push_str(brace);
                rest = &after[1..];
                continue;
            }
            if brace == "}" {
                return wrong("has a single `}`; write `}}` for a brace".to_owned());
            }
            let Some(end) = after.find('}') else {
                return wrong("has a `{` that is not closed; write `{{` for a brace".to_owned());
            };
            let name = &after[..end];
            if !names.contains(&name) {
                let known: Vec<_> = names.iter().map(|name| format!("`{{{name}}}`")).collect();
                return wrong(format!("has the place `{{{name}}}`; there are {}", known.join(", ")));
            }
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Place(name.to_owned()));
            rest = &after[end + 1..];
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Self { pieces })
    }

    /// The text with these values in their places. A place without a value stays empty.
    pub fn render(&self, values: &[(&str, &str)]) -> String {
        let value = |name: &str| values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Place(name) => value(name),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["a", "b"];

    #[test]
    fn places_are_filled_and_braces_halved() {
        let values = [("a", "{b}"), ("b", "2")];
        for (template, text) in [
            ("{a}-{b}-{a}", "{b}-2-{b}"),
            ("{{a}} {{{a}}}", "{a} {{b}}"),
            (r"\boxed{{{b}}}", r"\boxed{2}"),
            ("no place", "no place"),
            ("", ""),
        ] {
            assert_eq!(Template::parse(template, &NAMES).unwrap().render(&values), text, "{template}");
        }
        assert_eq!(Template::parse("<{b}>", &NAMES).unwrap().render(&[]), "<>");
    }

    #[test]
    fn what_python_would_not_fill_in_is_a_fault() {
        for (template, reason) in [
            ("a } b", "the prompt template has a single `}`; write `}}` for a brace"),
            ("a { b", "the prompt template has a `{` that is not closed; write `{{` for a brace"),
            ("{c}", "the prompt template has the place `{c}`; there are `{a}`, `{b}`"),
            ("{}", "the prompt template has the place `{}`; there are `{a}`, `{b}`"),
            ("{a!r}", "the prompt template has the place `{a!r}`; there are `{a}`, `{b}`"),
        ] {
            assert_eq!(Template::parse(template, &NAMES).unwrap_err().message(), reason);
        }
    }
}
