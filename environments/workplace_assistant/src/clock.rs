// SPDX-License-Identifier: Apache-2.0
//! Dates and times as models write them, read as `pandas.Timestamp` reads them.

use std::cmp::Ordering;

use gym_env::python::Value;

use crate::raise::{Raise, raise};

mod reader;
mod words;

/// The time at which the tools think they are called.
pub(crate) const NOW: &str = "2023-11-30 23:59:00";

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_DAY: i128 = 86_400 * NANOS_PER_SECOND;

/// A point in time, or `NaT`, which is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<Point>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    /// What a clock on the wall shows, in nanoseconds from 1970-01-01.
    wall: i128,
    /// How far that clock is ahead of UTC, in nanoseconds, if that was said.
    ahead: Option<i128>,
}

/// Why something is no time, with the exception's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotATime {
    /// A `ValueError`.
    Value(String),
    /// A `TypeError`.
    Type(String),
}

impl std::fmt::Display for NotATime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(text) | Self::Type(text) => f.write_str(text),
        }
    }
}

impl Stamp {
    const NAT: Self = Self(None);

    /// Reads a value. Numbers are nanoseconds.
    pub(crate) fn of(value: &Value) -> Result<Self, NotATime> {
        let nanos = |nanos: i128, text: String| match i64::try_from(nanos) {
            Ok(_) => Ok(Self(Some(Point { wall: nanos, ahead: None }))),
            Err(_) => Err(NotATime::Value(text)),
        };
        match value {
            Value::Text(text) => reader::read(text).map_err(NotATime::Value),
            Value::None => Ok(Self::NAT),
            Value::Float(number) if number.is_nan() => Ok(Self::NAT),
            Value::Float(number) => {
                nanos(*number as i128, format!("cannot convert input {} with the unit 'None'", value.repr()))
            }
            Value::Int(number) => nanos(*number, format!("Out of bounds nanosecond timestamp {number}")),
            Value::Large(digits) => Err(NotATime::Value(format!("Out of bounds nanosecond timestamp {digits}"))),
            Value::Bool(_) | Value::List(_) | Value::Dict(_) => {
                let (shown, name) = (value.repr(), value.type_name());
                Err(NotATime::Type(format!("Cannot convert input [{shown}] of type <class '{name}'> to Timestamp")))
            }
        }
    }

    /// For sorting: nothing comes before everything.
    pub(crate) fn moment(&self) -> Option<i128> {
        self.0.map(|point| point.wall - point.ahead.unwrap_or(0))
    }

    /// Whether it says how far it is ahead of UTC.
    pub(crate) fn is_aware(&self) -> bool {
        self.0.is_some_and(|point| point.ahead.is_some())
    }

    /// Compares two points in time; nothing if one of them is none. Fails when only one of them says how far it is ahead
    /// of UTC.
    pub(crate) fn compare(&self, other: &Self) -> Result<Option<Ordering>, Raise> {
        let (Some(left), Some(right)) = (self.moment(), other.moment()) else { return Ok(None) };
        if self.is_aware() != other.is_aware() {
            return raise("Cannot compare tz-naive and tz-aware timestamps");
        }
        Ok(Some(left.cmp(&right)))
    }

    /// The day on the wall, in days from 1970-01-01.
    pub(crate) fn day(&self) -> Result<i128, Raise> {
        match self.0 {
            Some(point) => Ok(point.wall.div_euclid(NANOS_PER_DAY)),
            None => raise("Cannot compare NaT with datetime.date object"),
        }
    }
}

/// The parts of a date and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    hour: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: i64,
    /// Seconds ahead of UTC.
    ahead: Option<i64>,
}

impl Parts {
    /// The point in time. What is not said is 1 January of the given year, 00:00. The error says which part is impossible.
    fn stamp(&self, year: i64) -> Result<Stamp, &'static str> {
        let (year, month, day) = (self.year.unwrap_or(year), self.month.unwrap_or(1), self.day.unwrap_or(1));
        let (hour, minute, second) = (self.hour.unwrap_or(0), self.minute.unwrap_or(0), self.second.unwrap_or(0));
        if !(1..=9999).contains(&year) {
            return Err("year is out of range");
        }
        if !(1..=12).contains(&month) {
            return Err("month must be in 1..12");
        }
        if !(1..=days_in_month(year, month)).contains(&day) {
            return Err("day is out of range for month");
        }
        for (part, most, reason) in [
            (hour, 23, "hour must be in 0..23"),
            (minute, 59, "minute must be in 0..59"),
            (second, 59, "second must be in 0..59"),
        ] {
            if !(0..=most).contains(&part) {
                return Err(reason);
            }
        }
        let seconds = i128::from(days_from_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second);
        let wall = seconds * NANOS_PER_SECOND + i128::from(self.nanos);
        Ok(Stamp(Some(Point { wall, ahead: self.ahead.map(|seconds| i128::from(seconds) * NANOS_PER_SECOND) })))
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, by counting years from March on.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests;
