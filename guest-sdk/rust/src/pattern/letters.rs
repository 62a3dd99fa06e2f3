// SPDX-License-Identifier: Apache-2.0
//! Which characters a part of a pattern takes.

use std::rc::Rc;

use crate::text::{is_space, is_word};

/// What one character must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum One {
    /// This character.
    Is(char),
    /// This character in any case; it is folded.
    IsFolded(char),
    /// Any but a line break.
    InLine,
    /// Any.
    Any,
    /// One of a class.
    In(Rc<Class>),
}

/// A class of characters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Class {
    pub(super) members: Vec<Member>,
    pub(super) negated: bool,
    pub(super) folded: bool,
}

/// A part of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Member {
    /// From one character to another, both included.
    Range(char, char),
    /// `\d`, or `\D` when not wanted.
    Digit(bool),
    /// `\s` or `\S`.
    Space(bool),
    /// `\w` or `\W`.
    Word(bool),
}

impl One {
    pub(super) fn takes(&self, c: char) -> bool {
        match self {
            Self::Is(wanted) => c == *wanted,
            Self::IsFolded(wanted) => fold(c) == *wanted,
            Self::InLine => c != '\n',
            Self::Any => true,
            Self::In(class) => class.takes(c),
        }
    }
}

impl Class {
    fn takes(&self, c: char) -> bool {
        let has = |c: char| self.members.iter().any(|member| member.takes(c));
        let found = has(c) || self.folded && (has(fold(c)) || has(upper(c)));
        found != self.negated
    }
}

impl Member {
    fn takes(self, c: char) -> bool {
        match self {
            Self::Range(first, last) => (first..=last).contains(&c),
            Self::Digit(wanted) => is_digit(c) == wanted,
            Self::Space(wanted) => is_space(c) == wanted,
            Self::Word(wanted) => is_word(c) == wanted,
        }
    }
}
/// Whether `\d` takes it: decimal digits of all scripts.
fn is_digit(c: char) -> bool {
    crate::python::digit(c).is_some()
}

/// The form in which characters that differ in case only are equal.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        'ſ' => 's',
        'İ' | 'ı' => 'i',
        'µ' => 'μ',
        'ς' => 'σ',
        _ => only(c.to_lowercase()).unwrap_or(c),
    }
}

fn upper(c: char) -> char {
    only(c.to_uppercase()).unwrap_or(c)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}
