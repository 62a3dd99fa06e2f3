// SPDX-License-Identifier: Apache-2.0
//! YAML as PyYAML's `safe_load` reads it: one document, with the types of YAML 1.1.

use std::{collections::HashMap, ops::Range};

use gym_env::python::Value;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use crate::data::{Members, foreign, foreign_name};

mod scalar;

use scalar::{Kind, construct, kind_of};

/// Lists and objects may be nested this deep; Python gives up a little later.
const MAX_DEPTH: usize = 200;
/// A document may have so many values once its aliases are followed.
const MAX_VALUES: usize = 200_000;

/// The prefix of the tags of YAML itself, written `!!`.
const CORE: &str = "tag:yaml.org,2002:";

pub(super) fn parse(text: &str) -> Result<Value, String> {
    if let Some(c) = text.chars().find(|c| !is_printable(*c)) {
        return Err(format!("unacceptable character #x{:04x}", u32::from(c)));
    }
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines.next() == Some("...") {
        return Err("expected the node content, but found '<document end>'".to_owned());
    }
    let length = text.chars().count();
    // A block scalar that ends with the text has no line break there.
    let length = if text.ends_with('\n') { length + 1 } else { length };
    let mut composer = Composer {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
        length,
        with_tabs: Vec::new(),
    };
    let mut document = Value::None;
    let mut documents = 0;
    while let Some(event) = composer.next_event()? {
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err("expected a single document in the stream, but found another document".to_owned());
                }
                let first = composer.event()?;
                document = composer.node(first, 0)?.0;
            }
            Event::StreamEnd => break,
            _ => {}
        }
    }
    match stray_tab(text, &composer.with_tabs) {
        Some(at) => Err(format!("found character '\\t' that cannot start any token, at character {at}")),
        None => Ok(document),
    }
}

/// The first tab that is neither in one of these scalars nor in a comment. PyYAML takes none, not even between words.
fn stray_tab(text: &str, scalars: &[Range<usize>]) -> Option<usize> {
    let mut scalars = scalars.iter().peekable();
    let mut in_comment = false;
    let mut before = '\n';
    for (at, c) in text.chars().enumerate() {
        while scalars.next_if(|scalar| scalar.end <= at).is_some() {}
        if scalars.peek().is_some_and(|scalar| scalar.contains(&at)) {
            in_comment = false;
        } else {
            in_comment = if in_comment { c != '\n' } else { c == '#' && matches!(before, ' ' | '\n') };
            if c == '\t' && !in_comment {
                return Some(at);
            }
        }
        before = c;
    }
    None
}

fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// A value, and whether it is the plain scalar `<<`.
type Node = (Value, bool);

struct Composer<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Values with an anchor, and how many values they hold.
    anchors: HashMap<usize, (Value, usize)>,
    values: usize,
    /// The length of the text in characters.
    length: usize,
    /// Where scalars are in which tabs may be.
    with_tabs: Vec<Range<usize>>,
}

impl<'a> Composer<'a> {
    fn next_event(&mut self) -> Result<Option<Event<'a>>, String> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok((mut event, span))) => {
                if let Event::Scalar(text, style, ..) = &mut event
                    && *style != ScalarStyle::Plain
                {
                    let (start, end) = (span.start.index(), span.end.index());
                    self.with_tabs.push(start..end);
                    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    if is_block && end >= self.length && text.ends_with('\n') {
                        text.to_mut().pop();
                    }
                }
                Ok(Some(event))
            }
            Some(Err(error)) => Err(error.to_string()),
        }
    }

    fn event(&mut self) -> Result<Event<'a>, String> {
        self.next_event()?.ok_or_else(|| "the document is cut off".to_owned())
    }

    fn count(&mut self, values: usize) -> Result<(), String> {
        self.values += values;
        if self.values > MAX_VALUES { Err(format!("more than {MAX_VALUES} values")) } else { Ok(()) }
    }

    /// The value that begins with this event.
    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err("maximum recursion depth exceeded".to_owned());
        }
        let before = self.values;
        self.count(1)?;
        let (anchor, node) = match event {
            Event::Alias(anchor) => {
                let Some((value, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err("found unconstructable recursive node".to_owned());
                };
                self.count(size)?;
                return Ok((value, false));
            }
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(&text, style, tag.as_deref())?),
            Event::SequenceStart(anchor, tag) => (anchor, (self.sequence(tag.as_deref(), depth)?, false)),
            Event::MappingStart(anchor, tag) => (anchor, (self.mapping(tag.as_deref(), depth)?, false)),
            other => return Err(format!("unexpected {other:?}")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.0.clone(), self.values - before));
        }
        Ok(node)
    }

    fn sequence(&mut self, tag: Option<&Tag>, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            match self.event()? {
                Event::SequenceEnd => break,
                event => items.push(self.node(event, depth + 1)?.0),
            }
        }
        match core_tag(tag)? {
            None | Some("seq") => Ok(Value::List(items)),
            // Lists of pairs.
            Some("omap" | "pairs") => Ok(Value::List(items)),
            Some(other) => Err(unfit(other, "a sequence")),
        }
    }

    fn mapping(&mut self, tag: Option<&Tag>, depth: usize) -> Result<Value, String> {
        let kind = core_tag(tag)?;
        // What is merged comes first, so that the members of the mapping itself win.
        let mut merged = Members::default();
        let mut members = Members::default();
        loop {
            let key = match self.event()? {
                Event::MappingEnd => break,
                event => self.node(event, depth + 1)?,
            };
            let event = self.event()?;
            let (value, _) = self.node(event, depth + 1)?;
            if key.1 {
                merged.extend(to_merge(value)?);
            } else {
                members.set(name(key.0)?, value);
            }
        }
        merged.extend(members.into_list());
        match kind {
            None | Some("map") => Ok(Value::Dict(merged.into_list())),
            Some("set") => Ok(foreign("set")),
            Some(other) => Err(unfit(other, "a mapping")),
        }
    }
}

/// The members of a mapping, or of several ones, the first of which wins.
fn to_merge(value: Value) -> Result<Vec<(String, Value)>, String> {
    match value {
        Value::Dict(members) => Ok(members),
        Value::List(items) => {
            let mut merged = Members::default();
            for item in items.into_iter().rev() {
                let Value::Dict(members) = item else { return Err("expected a mapping for merging".to_owned()) };
                merged.extend(members);
            }
            Ok(merged.into_list())
        }
        _ => Err("expected a mapping or list of mappings for merging".to_owned()),
    }
}

/// The key as a name. One that is no text gets a name that no schema has.
fn name(key: Value) -> Result<String, String> {
    match key {
        Value::Text(name) => Ok(name),
        Value::List(_) => Err("found unhashable key".to_owned()),
        Value::Dict(members) => match members.into_iter().next() {
            // Dates and the like can be keys.
            Some((name, Value::None)) if name == foreign_name("date", "") => Ok(name),
            _ => Err("found unhashable key".to_owned()),
        },
        other => Ok(foreign_name(other.type_name(), &other.repr())),
    }
}

/// The name of a tag of YAML itself, if there is a tag. Others are unknown.
fn core_tag(tag: Option<&Tag>) -> Result<Option<&str>, String> {
    let Some(tag) = tag else { return Ok(None) };
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        (CORE, name) => Ok(Some(name)),
        ("", "!") | ("!", "") => Ok(None),
        ("", full) if full.starts_with(CORE) => Ok(full.strip_prefix(CORE)),
        (handle, suffix) => Err(format!("could not determine a constructor for the tag `{handle}{suffix}`")),
    }
}

fn unfit(tag: &str, what: &str) -> String {
    format!("could not construct `!!{tag}` of {what}")
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, String> {
    let kind = match core_tag(tag)? {
        Some(name) => Kind::of_tag(name).ok_or_else(|| unfit(name, "a scalar"))?,
        None if style == ScalarStyle::Plain && tag.is_none() => kind_of(text),
        None => Kind::Text,
    };
    if kind == Kind::Merge {
        return Ok((Value::Text(text.to_owned()), true));
    }
    Ok((construct(kind, text)?, false))
}

#[cfg(test)]
mod tests;
