// SPDX-License-Identifier: Apache-2.0
//! Regular expressions as Python's `re` has them, as they stand in datasets and configurations.
//!
//! Patterns and texts come from others, so a search has a bound on its steps: a pattern that would go back and forth
//! for ages gives [`PatternError::TooHard`] instead. Nothing here depends on large tables, which keeps components small.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

mod letters;
mod machine;
mod parse;
mod program;

use program::Program;

/// How many patterns an instance keeps compiled. Data comes in runs of the same few.
const KEPT: usize = 64;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Rc<Program>);

/// Why a pattern gives no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// Python would not take it as a pattern, or it is too large.
    Invalid(String),
    /// It takes too many steps on this text.
    TooHard,
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(reason) => write!(f, "not a regular expression: {reason}"),
            Self::TooHard => f.write_str("the regular expression takes too many steps on this text"),
        }
    }
}

impl std::error::Error for PatternError {}

/// Whether letters match in either case (Python's `re.IGNORECASE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    /// They must be as written.
    Matters,
    /// Either will do.
    Ignored,
}

/// One match: the whole of it, and what its groups took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    groups: Vec<Option<String>>,
}

impl Match {
    /// All that matched.
    pub fn text(&self) -> &str {
        self.group(0).unwrap_or_default()
    }

    /// What a group took; none if it took no part, or does not exist. Group 0 is the whole match.
    pub fn group(&self, number: usize) -> Option<&str> {
        self.groups.get(number)?.as_deref()
    }

    /// How many groups the pattern has, without group 0.
    pub fn group_count(&self) -> usize {
        self.groups.len().saturating_sub(1)
    }
}

impl Pattern {
    /// How many groups the pattern has, without group 0.
    pub fn group_count(&self) -> usize {
        self.0.groups
    }

    /// Compiles a pattern, or takes it from those that this instance has compiled before.
    pub fn new(pattern: &str, case: Case) -> Result<Self, PatternError> {
        thread_local! {
            static COMPILED: RefCell<HashMap<(String, Case), Pattern>> = RefCell::new(HashMap::new());
        }
        let key = (pattern.to_owned(), case);
        COMPILED.with_borrow_mut(|compiled| {
            if let Some(known) = compiled.get(&key) {
                return Ok(known.clone());
            }
            let pattern = Self(Rc::new(Program::new(&parse::parse(pattern, case)?)?));
            if compiled.len() >= KEPT {
                compiled.clear();
            }
            compiled.insert(key, pattern.clone());
            Ok(pattern)
        })
    }

    /// The first match, as by Python's `re.search`.
    pub fn find(&self, text: &str) -> Result<Option<Match>, PatternError> {
        Ok(machine::search(&self.0, text, 1)?.pop())
    }

    /// All matches that do not overlap, as by Python's `re.finditer`.
    pub fn matches(&self, text: &str) -> Result<Vec<Match>, PatternError> {
        machine::search(&self.0, text, usize::MAX)
    }

    /// All matches that do not overlap, as by Python's `re.findall`: the group if the pattern has one, the whole match
    /// if it has none. Where Python gives a tuple of several groups, this gives the first one that is not empty.
    pub fn find_all(&self, text: &str) -> Result<Vec<String>, PatternError> {
        let text_of = |found: Match| match found.group_count() {
            0 => found.text().to_owned(),
            _ => found.groups.into_iter().skip(1).flatten().find(|group| !group.is_empty()).unwrap_or_default(),
        };
        Ok(self.matches(text)?.into_iter().map(text_of).collect())
    }

    /// Whether the pattern occurs in the text.
    pub fn is_in(&self, text: &str) -> Result<bool, PatternError> {
        Ok(self.find(text)?.is_some())
    }
}

#[cfg(test)]
mod tests;
