// SPDX-License-Identifier: Apache-2.0
//! The arguments of an instruction, read as the public verifier reads them.
//!
//! It takes them as Python keyword arguments: one that the class does not have, or of a type that it cannot use, raises
//! an exception, and the instruction then counts as not followed. What is missing is drawn at random.

use gym_env::{Fault, Rng, pattern::PatternError, text::strip};
use serde_json::{Map, Value};

use crate::python::split;

/// Why an instruction gets no verdict of its own.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The public verifier raises an exception: not followed.
    Raises,
    /// Nothing can be said of the answer.
    Fault(Fault),
}

impl From<PatternError> for Broken {
    fn from(error: PatternError) -> Self {
        match error {
            PatternError::Invalid(_) => Self::Raises,
            PatternError::TooHard => Self::Fault(error.into()),
        }
    }
}

/// How a count compares with a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    LessThan,
    AtLeast,
}

impl Relation {
    pub(crate) fn holds(self, count: usize, threshold: f64) -> bool {
        match self {
            Self::LessThan => (count as f64) < threshold,
            Self::AtLeast => count as f64 >= threshold,
        }
    }
}

/// Words to draw from where an instruction does not say which.
const KEYWORDS: [&str; 24] = [
    "anchor", "basket", "candle", "desert", "engine", "feather", "garden", "harbor", "island", "jacket", "kettle",
    "ladder", "market", "needle", "orchard", "pencil", "quarry", "ribbon", "saddle", "tunnel", "umbrella", "valley",
    "window", "yarn",
];

/// The arguments of one instruction.
pub(crate) struct Arguments<'a> {
    given: Vec<(&'a str, &'a Value)>,
    rng: &'a mut Rng,
}

impl<'a> Arguments<'a> {
    /// Takes `kwargs` for a class with these parameters; null is as good as not there.
    pub(crate) fn new(kwargs: &'a Value, parameters: &[&str], rng: &'a mut Rng) -> Result<Self, Broken> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let kwargs = match kwargs {
            Value::Null => &NONE,
            Value::Object(kwargs) => kwargs,
            _ => return Err(Broken::Raises),
        };
        let given: Vec<_> =
            kwargs.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.as_str(), value)).collect();
        if given.iter().any(|(name, _)| !parameters.contains(name)) {
            return Err(Broken::Raises);
        }
        Ok(Self { given, rng })
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| *value)
    }

    /// The argument, unless it is one that Python takes for false.
    fn get_true(&self, name: &str) -> Option<&'a Value> {
        self.get(name).filter(|value| match value {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
        })
    }

    fn draw(&mut self, choices: &[&'static str]) -> &'static str {
        self.rng.choose(choices).expect("the choices are not empty")
    }

    fn between(&mut self, first: i64, last: i64) -> f64 {
        self.rng.between(first, last) as f64
    }

    /// A count; missing or negative it is drawn from `first` to `last`.
    pub(crate) fn count(&mut self, name: &str, first: i64, last: i64) -> Result<f64, Broken> {
        match self.get(name).map(number).transpose()? {
            Some(count) if count >= 0.0 => Ok(count),
            _ => Ok(self.between(first, last)),
        }
    }

    /// A number; missing it is drawn from `first` to `last`.
    pub(crate) fn any_count(&mut self, name: &str, first: i64, last: i64) -> Result<f64, Broken> {
        self.get(name).map_or_else(|| Ok(self.rng.between(first, last) as f64), number)
    }

    /// A number; missing or 0 it is drawn from `first` to `last`.
    pub(crate) fn count_not_zero(&mut self, name: &str, first: i64, last: i64) -> Result<f64, Broken> {
        self.get_true(name).map_or_else(|| Ok(self.rng.between(first, last) as f64), number)
    }

    /// A whole number; missing or 0 it is drawn from `first` to `last`, which fails if there is nothing between.
    pub(crate) fn index(&mut self, name: &str, first: i64, last: i64) -> Result<i64, Broken> {
        match self.get_true(name) {
            Some(Value::Bool(_)) => Ok(1),
            Some(value) => value.as_i64().ok_or(Broken::Raises),
            None if first > last => Err(Broken::Raises),
            None => Ok(self.rng.between(first, last)),
        }
    }

    /// The paragraph that is looked at, from 1; missing, or outside of the paragraphs, it is drawn, as the public
    /// verifier does, from one more than there are.
    pub(crate) fn paragraph(&mut self, name: &str, paragraphs: f64) -> Result<usize, Broken> {
        let wanted = self.get(name).map(number).transpose()?;
        match wanted.filter(|nth| *nth > 0.0 && *nth <= paragraphs) {
            Some(nth) if nth.fract() == 0.0 => Ok(nth as usize),
            None if paragraphs.fract() == 0.0 => Ok(self.between(1, (paragraphs as i64).saturating_add(1)) as usize),
            _ => Err(Broken::Raises),
        }
    }

    /// `less than` or `at least`; missing it is drawn.
    pub(crate) fn relation(&mut self, name: &str) -> Result<Relation, Broken> {
        let relation = match self.get(name) {
            None => self.draw(&["less than", "at least"]),
            Some(Value::String(relation)) => relation,
            Some(_) => return Err(Broken::Raises),
        };
        match relation {
            "less than" => Ok(Relation::LessThan),
            "at least" => Ok(Relation::AtLeast),
            _ => Err(Broken::Raises),
        }
    }

    /// A relation that may be any text: none when it is neither of the two.
    pub(crate) fn loose_relation(&mut self, name: &str) -> Result<Option<Relation>, Broken> {
        if self.get_true(name).is_none() {
            return self.relation("").map(Some);
        }
        Ok(self.relation(name).ok())
    }

    /// A text without white space around it; missing it is one of the choices.
    pub(crate) fn stripped_or(&mut self, name: &str, choices: &[&'static str]) -> Result<String, Broken> {
        match self.get(name) {
            None => Ok(self.draw(choices).to_owned()),
            Some(value) => Ok(strip(value.as_str().ok_or(Broken::Raises)?).to_owned()),
        }
    }

    /// A text that is not empty, without white space around it; missing it is a keyword.
    pub(crate) fn keyword(&mut self, name: &str) -> Result<String, Broken> {
        self.phrase(name, &KEYWORDS)
    }

    /// As [`keyword`](Self::keyword), or the first text of a list.
    pub(crate) fn keyword_or_first(&mut self, name: &str) -> Result<String, Broken> {
        match self.get_true(name) {
            Some(Value::Array(items)) => {
                Ok(strip(items.first().and_then(Value::as_str).ok_or(Broken::Raises)?).to_owned())
            }
            _ => self.keyword(name),
        }
    }

    /// A text that must be there, without white space around it, or the first text of a list.
    pub(crate) fn text_or_first(&self, name: &str) -> Result<&'a str, Broken> {
        let text = match self.get_true(name).ok_or(Broken::Raises)? {
            Value::Array(items) => items.first().ok_or(Broken::Raises)?,
            text => text,
        };
        text.as_str().map(strip).ok_or(Broken::Raises)
    }

    /// A text as it is; missing it is a keyword.
    pub(crate) fn word(&mut self, name: &str) -> Result<String, Broken> {
        match self.get(name) {
            None => Ok(self.draw(&KEYWORDS).to_owned()),
            Some(value) => value.as_str().map(str::to_owned).ok_or(Broken::Raises),
        }
    }

    /// A text that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Broken> {
        self.get_true(name).and_then(Value::as_str).ok_or(Broken::Raises)
    }

    /// The code of one of these languages; missing it is drawn.
    pub(crate) fn language(&mut self, name: &str, languages: &[&'static str]) -> Result<String, Broken> {
        match self.get(name) {
            None => Ok(self.draw(languages).to_owned()),
            Some(Value::String(code)) if languages.contains(&code.as_str()) => Ok(code.clone()),
            Some(_) => Err(Broken::Raises),
        }
    }

    /// A text that is not empty, without white space around it; missing it is one of the choices.
    pub(crate) fn phrase(&mut self, name: &str, choices: &[&'static str]) -> Result<String, Broken> {
        match self.get_true(name) {
            None => Ok(self.draw(choices).to_owned()),
            Some(value) => Ok(strip(value.as_str().ok_or(Broken::Raises)?).to_owned()),
        }
    }

    /// As [`keyword`](Self::keyword), but missing it is a word of another argument.
    pub(crate) fn keyword_or_word_of(&mut self, name: &str, other: &str) -> Result<String, Broken> {
        if self.get_true(name).is_some() {
            return self.keyword(name);
        }
        let text = self.get(other).and_then(Value::as_str).ok_or(Broken::Raises)?;
        let words: Vec<&str> = split(text).collect();
        self.rng.choose(&words).map(|word| (*word).to_owned()).ok_or(Broken::Raises)
    }

    /// One letter, small; drawn when it is missing or several.
    pub(crate) fn letter(&mut self, name: &str) -> Result<String, Broken> {
        match self.get_true(name) {
            Some(Value::String(letter)) if letter.chars().nth(1).is_none() => Ok(strip(letter).to_lowercase()),
            None | Some(Value::String(_)) => Ok(self.any_letter()),
            Some(Value::Array(items)) if items.len() > 1 => Ok(self.any_letter()),
            Some(Value::Object(members)) if members.len() > 1 => Ok(self.any_letter()),
            Some(_) => Err(Broken::Raises),
        }
    }

    fn any_letter(&mut self) -> String {
        let letters: Vec<char> = ('a'..='z').collect();
        self.rng.choose(&letters).copied().unwrap_or('a').to_string()
    }

    /// A list of texts; of a text it is the letters, of an object the names. Missing or empty it is two keywords.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<String>, Broken> {
        match self.get_true(name) {
            None => {
                let mut words = KEYWORDS;
                self.rng.shuffle(&mut words);
                Ok(words.iter().take(2).map(|word| (*word).to_owned()).collect())
            }
            Some(Value::String(text)) => Ok(text.chars().map(String::from).collect()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(Broken::Raises)).collect()
            }
            Some(Value::Object(members)) => Ok(members.keys().cloned().collect()),
            Some(_) => Err(Broken::Raises),
        }
    }
}

/// A number as Python compares it: true and false are 1 and 0.
fn number(value: &Value) -> Result<f64, Broken> {
    match value {
        Value::Bool(value) => Ok(f64::from(u8::from(*value))),
        value => value.as_f64().ok_or(Broken::Raises),
    }
}
