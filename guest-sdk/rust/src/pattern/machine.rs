// SPDX-License-Identifier: Apache-2.0
//! Runs the steps of a pattern over a text, going back where they lead nowhere.

use super::{
    Match, PatternError,
    letters::fold,
    parse::Place,
    program::{Program, Step},
};
use crate::text::is_word;

/// Steps that a search may take on any text, and for each character of it.
const STEPS: usize = 400_000;
const STEPS_PER_CHARACTER: usize = 100;

/// A slot that keeps no place.
const NOWHERE: usize = usize::MAX;

/// The first matches that do not overlap, up to `limit`.
pub(super) fn search(program: &Program, text: &str, limit: usize) -> Result<Vec<Match>, PatternError> {
    let text: Vec<char> = text.chars().collect();
    let mut machine = Machine {
        program,
        text: &text,
        left: STEPS.saturating_add(text.len().saturating_mul(STEPS_PER_CHARACTER)),
        slots: vec![NOWHERE; program.slots],
        trail: Vec::new(),
        must_advance_from: NOWHERE,
    };
    let mut found = Vec::new();
    let mut start = 0;
    while found.len() < limit && start <= text.len() {
        match machine.run_from(start)? {
            Some(end) => {
                found.push(machine.found(start, end));
                // After an empty match, the next one at the same place must not be empty again.
                machine.must_advance_from = if end == start { end } else { NOWHERE };
                start = end;
            }
            None => start += 1,
        }
    }
    Ok(found)
}

struct Machine<'a> {
    program: &'a Program,
    text: &'a [char],
    /// Steps that are left.
    left: usize,
    slots: Vec<usize>,
    /// How to go back, last first.
    trail: Vec<Back>,
    must_advance_from: usize,
}

enum Back {
    /// Go on at this step and place.
    To(usize, usize),
    /// Put this place back into the slot.
    Restore(usize, usize),
}

impl Machine<'_> {
    fn run_from(&mut self, start: usize) -> Result<Option<usize>, PatternError> {
        self.slots.fill(NOWHERE);
        self.trail.clear();
        self.run(0, start, start == self.must_advance_from)
    }

    fn found(&self, start: usize, end: usize) -> Match {
        let part = |from: usize, to: usize| -> Option<String> {
            let chars = self.text.get(from..to)?;
            Some(chars.iter().collect())
        };
        let groups = (1..=self.program.groups).map(|group| part(self.slots[2 * group], self.slots[2 * group + 1]));
        Match { groups: std::iter::once(part(start, end)).chain(groups).collect() }
    }

    /// Runs steps from a place up to an `Accept`, and gives the place it comes to. What it leaves on the trail are the
    /// other ways to get there.
    fn run(&mut self, step: usize, start: usize, must_advance: bool) -> Result<Option<usize>, PatternError> {
        let base = self.trail.len();
        let (mut step, mut at) = (step, start);
        loop {
            self.left = self.left.checked_sub(1).ok_or(PatternError::TooHard)?;
            let program = self.program;
            let goes_on = match &program.steps[step] {
                Step::One(one) => {
                    let takes = self.text.get(at).is_some_and(|c| one.takes(*c));
                    (step, at) = (step + 1, at + 1);
                    takes
                }
                Step::Place(place) => {
                    step += 1;
                    self.is_at(*place, at)
                }
                Step::Keep(slot) => {
                    self.keep(*slot, at);
                    step += 1;
                    true
                }
                Step::Split(first, second) => {
                    self.trail.push(Back::To(*second, at));
                    step = *first;
                    true
                }
                Step::Jump(to) => {
                    step = *to;
                    true
                }
                Step::Again { slot, to } => {
                    step = if self.slots[*slot] == at { step + 1 } else { *to };
                    true
                }
                Step::Back { group, folded } => {
                    step += 1;
                    match self.taken_again(*group, *folded, at) {
                        Some(end) => {
                            at = end;
                            true
                        }
                        None => false,
                    }
                }
                Step::Look { back, negated, to } => {
                    let inner = self.trail.len();
                    let matched = match at.checked_sub(*back) {
                        Some(from) => self.run(step + 1, from, false)?.is_some(),
                        None => false,
                    };
                    if matched && *negated {
                        self.undo(inner);
                    }
                    self.commit(inner);
                    step = *to;
                    matched != *negated
                }
                Step::Atomic(to) => {
                    let inner = self.trail.len();
                    let end = self.run(step + 1, at, false)?;
                    self.commit(inner);
                    step = *to;
                    at = end.unwrap_or(at);
                    end.is_some()
                }
                Step::Unless { group, to } => {
                    step = if self.slots[2 * group + 1] == NOWHERE { *to } else { step + 1 };
                    true
                }
                Step::Accept if must_advance && at == start => false,
                Step::Accept => return Ok(Some(at)),
            };
            if !goes_on {
                match self.back(base) {
                    Some(place) => (step, at) = place,
                    None => return Ok(None),
                }
            }
        }
    }

    /// Goes back to the last place where there was another way, down to this length of the trail.
    fn back(&mut self, base: usize) -> Option<(usize, usize)> {
        while self.trail.len() > base {
            match self.trail.pop()? {
                Back::To(step, at) => return Some((step, at)),
                Back::Restore(slot, place) => self.slots[slot] = place,
            }
        }
        None
    }

    fn keep(&mut self, slot: usize, at: usize) {
        self.trail.push(Back::Restore(slot, self.slots[slot]));
        self.slots[slot] = at;
    }

    /// Forgets the other ways on the trail, but not how to restore slots.
    fn commit(&mut self, base: usize) {
        let mut kept = base;
        for index in base..self.trail.len() {
            if matches!(self.trail[index], Back::Restore(..)) {
                self.trail.swap(kept, index);
                kept += 1;
            }
        }
        self.trail.truncate(kept);
    }

    /// Restores all slots on the trail.
    fn undo(&mut self, base: usize) {
        while self.back(base).is_some() {}
    }

    fn taken_again(&self, group: usize, folded: bool, at: usize) -> Option<usize> {
        let taken = self.text.get(self.slots[2 * group]..self.slots[2 * group + 1])?;
        let here = self.text.get(at..at + taken.len())?;
        let is_same = taken.iter().zip(here).all(|(a, b)| if folded { fold(*a) == fold(*b) } else { a == b });
        is_same.then_some(at + taken.len())
    }

    fn is_at(&self, place: Place, at: usize) -> bool {
        let end = self.text.len();
        let is_break = |at: usize| self.text.get(at) == Some(&'\n');
        let is_word_at = |at: usize| self.text.get(at).is_some_and(|c| is_word(*c));
        let is_edge = || (at > 0 && is_word_at(at - 1)) != is_word_at(at);
        match place {
            Place::Start => at == 0,
            Place::End => at == end,
            Place::LastEnd => at == end || at + 1 == end && is_break(at),
            Place::LineStart => at == 0 || is_break(at - 1),
            Place::LineEnd => at == end || is_break(at),
            Place::WordEdge => is_edge(),
            // Up to release 3.13, Python finds none in an empty text.
            Place::NoWordEdge => end > 0 && !is_edge(),
        }
    }
}
