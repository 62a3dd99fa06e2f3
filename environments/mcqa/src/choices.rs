// SPDX-License-Identifier: Apache-2.0
//! The choices of a question.

use std::fmt;

use gym_env::text::{is_letter, normalize};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// An object of a row's `options`: names with texts, in the order of the row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(Vec<(String, Option<String>)>);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Given;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
                let mut members: Vec<(String, Option<String>)> = Vec::new();
                while let Some((name, text)) = map.next_entry()? {
                    match members.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, slot)) => *slot = text,
                        None => members.push((name, text)),
                    }
                }
                Ok(Given(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A choice whose text is not null.
#[derive(Debug)]
struct Choice {
    /// Its name in upper case: a letter, but `ß` becomes two.
    letter: String,
    /// Whether the name is one character.
    is_single: bool,
    /// Its text without differences of case and white space.
    text: String,
}

/// The letters that may be answered, and the texts they stand for.
#[derive(Debug)]
pub(crate) struct Choices(Vec<Choice>);

impl Choices {
    /// Takes the members whose text is not null, and whose name in upper case is that of a member with a single letter.
    pub(crate) fn new(options: &[Given]) -> Self {
        let members =
            || options.iter().flat_map(|given| &given.0).filter_map(|(name, text)| Some((name, text.as_ref()?)));
        let letters: Vec<String> = members().filter_map(|(name, _)| single_letter(name)).collect();
        let choices = members().map(|(name, text)| Choice {
            letter: name.to_uppercase(),
            is_single: name.chars().count() == 1,
            text: normalize(text),
        });
        Self(choices.filter(|choice| letters.contains(&choice.letter)).collect())
    }

    /// Whether this upper-case letter may be answered.
    pub(crate) fn allow(&self, letter: &str) -> bool {
        self.0.iter().any(|choice| choice.letter == letter)
    }

    /// The letter, if it may be answered.
    pub(crate) fn allowed(&self, letter: String) -> Option<String> {
        self.allow(&letter).then_some(letter)
    }

    /// The letter of the first choice with this text, up to case and white space.
    pub(crate) fn by_text(&self, text: &str) -> Option<String> {
        let text = normalize(text);
        self.0.iter().find(|choice| choice.text == text).map(|choice| choice.letter.clone())
    }

    /// The letter of the only choice whose text occurs in one of these, up to case and white space.
    pub(crate) fn only_one_within(&self, texts: &[&str]) -> Option<String> {
        let texts: Vec<String> = texts.iter().map(|text| normalize(text)).collect();
        let occurs = |known: &str| !known.is_empty() && texts.iter().any(|text| text.contains(known));
        let mut found = self.0.iter().filter(|choice| choice.is_single && occurs(&choice.text));
        let first = found.next()?;
        found.all(|other| other.letter == first.letter).then(|| first.letter.clone())
    }
}

/// The letter that the text is in upper case, if it is one letter.
pub(crate) fn single_letter(text: &str) -> Option<String> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(letter), None) if is_letter(letter) => Some(letter.to_uppercase().collect()),
        _ => None,
    }
}
