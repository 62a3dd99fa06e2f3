// SPDX-License-Identifier: Apache-2.0
//! The calendar.

use gym_env::python::{Value, int};
use serde_json::json;

use crate::{
    clock::{NotATime, Stamp},
    ids::{self, has_eight_digits},
    paging::page_or,
    patterns::{compile, occurs},
    raise::{Raise, Reply, lower, raise},
    table::{Row, Table, json as to_json},
};

const INVALID_ID: &str = "Invalid event ID format. Expected 8-digit ID.";
const NOT_FOUND: &str = "Event not found.";
const FIELDS: [&str; 5] = ["event_id", "event_name", "participant_email", "event_start", "duration"];

/// What is said of a field that is not among these.
fn invalid_field(fields: &[&str]) -> Reply {
    Ok(json!(format!("Invalid field. Available fields are: {}", fields.join(", "))))
}

pub(super) fn get_event_information_by_id(events: &mut Table, arguments: &[Value]) -> Reply {
    let [event_id, field] = arguments else { return super::unbound() };
    if !event_id.is_truthy() {
        return Ok(json!("Event ID not provided."));
    }
    if !field.is_truthy() {
        return Ok(json!("Field not provided."));
    }
    if !has_eight_digits(event_id) {
        return Ok(json!(INVALID_ID));
    }
    let Some(name) = field.as_text().filter(|field| FIELDS.contains(field)) else { return invalid_field(&FIELDS) };
    match events.find("event_id", event_id) {
        Some(row) => Ok(json!({ name: to_json(&row.cells[events.column(name)]) })),
        None => Ok(json!(NOT_FOUND)),
    }
}

/// A time that was given, or none; the inner error is what is told of one that is no time.
fn time(value: &Value, name: &str) -> Result<Result<Option<Stamp>, String>, Raise> {
    if !value.is_truthy() {
        return Ok(Ok(None));
    }
    match Stamp::of(value) {
        Ok(stamp) => Ok(Ok(Some(stamp))),
        Err(NotATime::Value(_)) => Ok(Err(format!("Invalid {name} format. Expected YYYY-MM-DD HH:MM:SS."))),
        Err(NotATime::Type(text)) => raise(text),
    }
}

pub(super) fn search_events(events: &mut Table, arguments: &[Value]) -> Reply {
    let [query, time_min, time_max, number, size] = arguments else { return super::unbound() };
    let bounds = match (time(time_min, "time_min")?, time_max) {
        (Err(told), _) => return Ok(json!(told)),
        (Ok(min), time_max) => match time(time_max, "time_max")? {
            Err(told) => return Ok(json!(told)),
            Ok(max) => (min, max),
        },
    };
    let pattern = compile(query)?;
    let searched = ["event_name", "participant_email"].map(|name| events.column(name));
    let start = events.column("event_start");
    let mut found: Vec<(Stamp, &Row)> = Vec::new();
    for row in events.rows() {
        let mut occurs_somewhere = false;
        for column in searched {
            occurs_somewhere |= occurs(&pattern, &row.cells[column])? == Some(true);
        }
        if occurs_somewhere {
            found.push((Stamp::of(&row.cells[start]).map_err(|not| Raise(not.to_string()))?, row));
        }
    }
    if let Some(min) = bounds.0 {
        found = keep(found, |start| Ok(start.compare(&min)?.is_some_and(std::cmp::Ordering::is_ge)))?;
    }
    if let Some(max) = bounds.1 {
        found = keep(found, |start| Ok(start.compare(&max)?.is_some_and(std::cmp::Ordering::is_le)))?;
    }
    if found.is_empty() {
        return Ok(json!("No events found."));
    }
    if let Some(pair) = found.windows(2).find(|pair| pair[0].0.is_aware() != pair[1].0.is_aware()) {
        pair[0].0.compare(&pair[1].0)?;
    }
    // Newest first; what begins at the same time stays in order.
    found.sort_by_key(|(start, _)| std::cmp::Reverse(start.moment()));
    let records = found.into_iter().map(|(_, row)| events.record(row)).collect();
    page_or("events", records, number, size, "No events found.")
}

type Found<'a> = Vec<(Stamp, &'a Row)>;

fn keep<'a>(found: Found<'a>, is_kept: impl Fn(&Stamp) -> Result<bool, Raise>) -> Result<Found<'a>, Raise> {
    let mut kept = Vec::new();
    for (start, row) in found {
        if is_kept(&start)? {
            kept.push((start, row));
        }
    }
    Ok(kept)
}

/// What is wrong with a duration, if something is.
fn wrong_duration(duration: &Value) -> Result<Option<&'static str>, Raise> {
    let minutes = match duration {
        Value::Text(text) => match int(text) {
            Some(minutes) => minutes,
            None => return Ok(Some("Invalid duration format. Expected a number of minutes.")),
        },
        Value::Bool(truth) => i128::from(*truth),
        Value::Int(minutes) => *minutes,
        Value::Large(digits) if digits.starts_with('-') => i128::MIN,
        Value::Large(_) => i128::MAX,
        Value::Float(minutes) if minutes.is_nan() => {
            return Ok(Some("Invalid duration format. Expected a number of minutes."));
        }
        Value::Float(minutes) if minutes.is_infinite() => return raise("cannot convert float infinity to integer"),
        Value::Float(minutes) => minutes.trunc() as i128,
        Value::None | Value::List(_) | Value::Dict(_) => {
            let given = duration.type_name();
            return raise(format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{given}'"
            ));
        }
    };
    Ok((minutes <= 0).then_some("Duration must be a positive number of minutes."))
}

pub(super) fn create_event(events: &mut Table, arguments: &[Value]) -> Reply {
    let [event_name, participant_email, event_start, duration] = arguments else { return super::unbound() };
    for (value, name) in [
        (event_name, "Event name"),
        (participant_email, "Participant email"),
        (event_start, "Event start"),
        (duration, "Event duration"),
    ] {
        if !value.is_truthy() {
            return Ok(json!(format!("{name} not provided.")));
        }
    }
    if let Err(told) = time(event_start, "event_start")? {
        return Ok(json!(told));
    }
    if let Some(told) = wrong_duration(duration)? {
        return Ok(json!(told));
    }
    let participant_email = Value::Text(lower(participant_email)?);
    let event_id = ids::next_padded(events, "event_id")?;
    // New events all have the label 0.
    events.push(
        0,
        &[
            ("event_id", Value::Text(event_id.clone())),
            ("event_name", event_name.clone()),
            ("participant_email", participant_email),
            ("event_start", event_start.clone()),
            ("duration", duration.clone()),
        ],
    );
    Ok(json!(event_id))
}

pub(super) fn delete_event(events: &mut Table, arguments: &[Value]) -> Reply {
    let [event_id] = arguments else { return super::unbound() };
    if !event_id.is_truthy() {
        return Ok(json!("Event ID not provided."));
    }
    if !has_eight_digits(event_id) {
        return Ok(json!(INVALID_ID));
    }
    if events.find("event_id", event_id).is_none() {
        return Ok(json!(NOT_FOUND));
    }
    events.delete("event_id", event_id);
    Ok(json!("Event deleted successfully."))
}

pub(super) fn update_event(events: &mut Table, arguments: &[Value]) -> Reply {
    let [event_id, field, new_value] = arguments else { return super::unbound() };
    if !event_id.is_truthy() || !field.is_truthy() || !new_value.is_truthy() {
        return Ok(json!("Event ID, field, or new value not provided."));
    }
    if !has_eight_digits(event_id) {
        return Ok(json!(INVALID_ID));
    }
    let fields = &FIELDS[1..];
    let Some(name) = field.as_text().filter(|field| fields.contains(field)) else { return invalid_field(fields) };
    if name == "event_start"
        && let Err(told) = time(new_value, name)?
    {
        return Ok(json!(told));
    }
    if name == "duration"
        && let Some(told) = wrong_duration(new_value)?
    {
        return Ok(json!(told));
    }
    if events.find("event_id", event_id).is_none() {
        return Ok(json!(NOT_FOUND));
    }
    let new_value = if name == "participant_email" { Value::Text(lower(new_value)?) } else { new_value.clone() };
    super::set(events, "event_id", event_id, name, &new_value)?;
    Ok(json!("Event updated successfully."))
}
