// SPDX-License-Identifier: Apache-2.0
//! XML as `xmltodict` reads it: an element is an object of its attributes (`@name`), children and text (`#text`), or its
//! text alone, or null when it is empty; children of the same name are a list. White space around texts goes.

use gym_env::{python::Value, text::strip};

use crate::data::Members;

mod reader;

use reader::{Reader, Token};

/// Elements may be nested this deep.
const MAX_DEPTH: usize = 400;

/// An element that is still open.
struct Open {
    name: String,
    members: Members,
    text: String,
}

impl Open {
    /// Adds a child; several of one name become a list.
    fn add(&mut self, name: String, value: Value) {
        match self.members.get_mut(&name) {
            Some(Value::List(items)) => items.push(value),
            Some(first) => *first = Value::List(vec![std::mem::replace(first, Value::None), value]),
            None => self.members.set(name, value),
        }
    }

    fn close(mut self) -> (String, Value) {
        let text = strip(&self.text);
        let text = (!text.is_empty()).then(|| Value::Text(text.to_owned()));
        if self.members.is_empty() {
            return (self.name, text.unwrap_or(Value::None));
        }
        if let Some(text) = text {
            self.add("#text".to_owned(), text);
        }
        (self.name, Value::Dict(self.members.into_list()))
    }
}

pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader::new(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    while let Some(token) = reader.next(open.len(), root.is_some())? {
        match token {
            Token::Start { name, attributes } => {
                if open.len() >= MAX_DEPTH {
                    return Err("the elements are nested too deep".to_owned());
                }
                let mut members = Members::default();
                members.extend(attributes.into_iter().map(|(name, value)| (format!("@{name}"), Value::Text(value))));
                open.push(Open { name, members, text: String::new() });
            }
            Token::End { name } => {
                let Some(element) = open.pop().filter(|element| element.name == name) else {
                    return Err(format!("mismatched tag `{name}`"));
                };
                let (name, value) = element.close();
                match open.last_mut() {
                    Some(parent) => parent.add(name, value),
                    None => root = Some(Value::Dict(vec![(name, value)])),
                }
            }
            Token::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err("no element found".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_objects_texts_or_null() {
        for (text, expected) in [
            ("<a>1</a>", "{'a': '1'}"),
            ("<a/>", "{'a': None}"),
            ("<a></a>", "{'a': None}"),
            ("<a> \n </a>", "{'a': None}"),
            ("<a x='1'>t</a>", "{'a': {'@x': '1', '#text': 't'}}"),
            ("<a x=\"1 &lt; 2\"/>", "{'a': {'@x': '1 < 2'}}"),
            ("<a><b>1</b><b>2</b><c/></a>", "{'a': {'b': ['1', '2'], 'c': None}}"),
            ("<a>x<b>1</b> y </a>", "{'a': {'b': '1', '#text': 'x y'}}"),
            ("<a>&amp;&#65;&#x42;<![CDATA[<c>]]></a>", "{'a': '&AB<c>'}"),
            ("<?xml version=\"1.0\"?>\n<!DOCTYPE a>\n<!-- c --><a><?pi x?>1<!-- d --></a>\n", "{'a': '1'}"),
            ("\n <x:a xmlns:x=\"u\">é</x:a>", "{'x:a': {'@xmlns:x': 'u', '#text': 'é'}}"),
        ] {
            assert_eq!(parse(text).map(|value| value.repr()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_an_error() {
        for text in [
            "",
            "text",
            "```xml\n<a/>\n```",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/> text",
            "text <a/>",
            "<a x=1/>",
            "<a x='1' x='2'/>",
            "<a x='<'/>",
            "<a x='1'y='2'/>",
            "<a>&nbsp;</a>",
            "<a>a & b</a>",
            "<a>1 < 2</a>",
            "<a>]]></a>",
            "<a>&#0;</a>",
            "<a>\u{1}</a>",
            "<1a/>",
            "<a><!-- x -- y --></a>",
            " <?xml version=\"1.0\"?><a/>",
            "<a b/>",
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
            "</a>",
            "<a><?xml version='1.0'?></a>",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"<a>".repeat(100_000)).is_err());
    }
}
