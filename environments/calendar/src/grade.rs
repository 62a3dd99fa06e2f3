// SPDX-License-Identifier: Apache-2.0
//! Compares a calendar with the one that should be.

use std::collections::{BTreeMap, HashMap};

use gym_env::{
    AnyJson,
    python::{Value, loads},
};

use crate::clock::minutes;

/// Whether the list of events is the calendar that is expected: the same ids, no two events at the same time, each with
/// its duration, inside of its window and as its constraint says. Nothing if a part of it cannot be read, which is as
/// good as wrong.
pub(crate) fn is_right(calendar: &Value, expected: &BTreeMap<String, AnyJson>) -> Option<bool> {
    let Value::List(events) = calendar else { return None };
    let mut by_id = HashMap::new();
    for event in events {
        // Of events with the same id the last one counts. Ids are compared as text: 1 is "1".
        by_id.insert(event.get("event_id")?.str(), event);
    }
    if by_id.len() != expected.len() || some_overlap(events)? {
        return Some(false);
    }
    for (id, wanted) in expected {
        if !fits(by_id.get(id)?, &loads(wanted.text()).ok()?)? {
            return Some(false);
        }
    }
    Some(true)
}

/// When an event takes place: start and end in minutes from midnight.
fn span(event: &Value) -> Option<(f64, f64)> {
    let start = minutes(event.get("start_time")?.as_text()?)?;
    Some((start, start + event.get("duration")?.as_number()?))
}

/// Whether two events take place at the same time. An event that is listed twice, the same in all fields, does not
/// stand in its own way.
fn some_overlap(events: &[Value]) -> Option<bool> {
    let spans = events.iter().map(span).collect::<Option<Vec<_>>>()?;
    for (event, (start, end)) in events.iter().zip(&spans) {
        for (other, (other_start, other_end)) in events.iter().zip(&spans) {
            let apart = end <= other_start || start >= other_end;
            if !apart && event != other {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// Whether an event is as it should be.
fn fits(event: &Value, wanted: &Value) -> Option<bool> {
    if event.get("duration")? != wanted.get("duration")? {
        return Some(false);
    }
    let time = |name: &str| minutes(wanted.get(name)?.as_text()?);
    let (earliest, latest) = (time("min_time")?, time("max_time")?);
    let (start, end) = span(event)?;
    if start < earliest || end > latest {
        return Some(false);
    }
    let constraint = match wanted.get("constraint")? {
        Value::None => return Some(true),
        constraint => constraint.as_text()?,
    };
    // The word is taken out wherever it stands, not only at the beginning.
    let is = |word: &str| constraint.starts_with(word).then(|| constraint.replace(word, ""));
    if let Some(time) = is("before ") {
        Some(end <= minutes(&time)?)
    } else if let Some(time) = is("after ") {
        Some(start >= minutes(&time)?)
    } else if let Some(times) = is("between ") {
        match times.split(" and ").collect::<Vec<_>>()[..] {
            [from, to] => Some(start >= minutes(from)? && end <= minutes(to)?),
            _ => None,
        }
    } else if let Some(time) = is("at ") {
        Some(start == minutes(&time)?)
    } else {
        Some(true)
    }
}
