// SPDX-License-Identifier: Apache-2.0
//! Times of day.

use gym_env::{python::int, text::strip};

/// Minutes from midnight to a time such as `10am`, `2:15pm` or `14:00`; nothing if it cannot be read as one. `am` and
/// `pm` are in lower case, and hours and minutes need not be possible ones.
pub(crate) fn minutes(time: &str) -> Option<f64> {
    let time = strip(time);
    let half = ["am", "pm"].into_iter().find(|half| time.contains(half));
    let time = half.map_or_else(|| time.to_owned(), |half| time.replace(half, ""));
    let (hours, minutes) = match time.split_once(':') {
        Some((hours, minutes)) => (int(hours)?, int(minutes)?),
        None if half.is_some() => (int(&time)?, 0),
        None => return None,
    };
    let hours = match half {
        Some("pm") if hours == 12 => 12.0,
        Some("pm") => hours as f64 + 12.0,
        Some(_) if hours == 12 => 0.0,
        _ => hours as f64,
    };
    Some(hours * 60.0 + minutes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_ways_of_writing() {
        for (time, expected) in [
            ("10am", Some(600.0)),
            ("12am", Some(0.0)),
            ("12pm", Some(720.0)),
            ("1pm", Some(780.0)),
            ("2:15pm", Some(855.0)),
            ("12:30am", Some(30.0)),
            ("12:05pm", Some(725.0)),
            ("14:00", Some(840.0)),
            ("9:05", Some(545.0)),
            (" 10 am ", Some(600.0)),
            ("10:30 am", Some(630.0)),
            ("25:99", Some(1599.0)),
            ("\u{661}\u{660}:00", Some(600.0)),
            ("10AM", None),
            ("10:30PM", None),
            ("10", None),
            ("1000", None),
            ("10:00:00", None),
            ("10:00:00am", None),
            ("noon", None),
            ("10.30am", None),
            ("", None),
            ("am", None),
        ] {
            assert_eq!(minutes(time), expected, "{time}");
        }
    }
}
