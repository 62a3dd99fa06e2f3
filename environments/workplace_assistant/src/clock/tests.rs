// SPDX-License-Identifier: Apache-2.0

use super::*;

/// Shows a point in time as pandas does.
fn show(stamp: Stamp) -> String {
    let Some(Point { wall, ahead }) = stamp.0 else { return "NaT".to_owned() };
    let days = i64::try_from(wall.div_euclid(NANOS_PER_DAY)).unwrap();
    let mut date = (1, 1, 1);
    while days_from_epoch(date.0 + 1, 1, 1) <= days {
        date.0 += 1;
    }
    while date.1 < 12 && days_from_epoch(date.0, date.1 + 1, 1) <= days {
        date.1 += 1;
    }
    date.2 = days - days_from_epoch(date.0, date.1, 1) + 1;
    let of_day = wall.rem_euclid(NANOS_PER_DAY);
    let seconds = of_day / NANOS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}", date.0, date.1, date.2);
    match of_day % NANOS_PER_SECOND {
        0 => {}
        nanos if nanos % 1000 == 0 => text += &format!(".{:06}", nanos / 1000),
        nanos => text += &format!(".{nanos:09}"),
    }
    if let Some(ahead) = ahead {
        let minutes = ahead / NANOS_PER_SECOND / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        text += &format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
    }
    text
}

fn read(text: &str) -> String {
    match Stamp::of(&Value::Text(text.to_owned())) {
        Ok(stamp) => show(stamp),
        Err(not) => not.to_string(),
    }
}

#[test]
fn times_are_read_in_many_ways_of_writing() {
    for (text, time) in [
        ("2023-12-01", "2023-12-01 00:00:00"),
        ("2023-12-01 09:00", "2023-12-01 09:00:00"),
        ("2023-12-01T09:00:00", "2023-12-01 09:00:00"),
        ("2023-12-01T09:00:00Z", "2023-12-01 09:00:00+00:00"),
        ("2023-12-01T09:00:00+02:00", "2023-12-01 09:00:00+02:00"),
        ("2023-12-01 09:00 -0500", "2023-12-01 09:00:00-05:00"),
        ("2023-12-01 09:00:00.5", "2023-12-01 09:00:00.500000"),
        ("2023-12-01 09", "2023-12-01 09:00:00"),
        ("2023-1-5 9:00", "2023-01-05 09:00:00"),
        ("2023-12-01 9am", "2023-12-01 09:00:00"),
        ("2023-12-01 9:30PM", "2023-12-01 21:30:00"),
        ("20231201 0900", "2023-12-01 09:00:00"),
        ("12/01/2023", "2023-12-01 00:00:00"),
        ("13/12/2023", "2023-12-13 00:00:00"),
        ("11/30/23", "2023-11-30 00:00:00"),
        ("2023.12.01", "2023-12-01 00:00:00"),
        ("December 1, 2023", "2023-12-01 00:00:00"),
        ("Friday, December 1st, 2023 at 9 am", "2023-12-01 09:00:00"),
        ("30 Nov 2023 18:00", "2023-11-30 18:00:00"),
        ("Thu Nov 30 23:59:00 2023", "2023-11-30 23:59:00"),
        ("2023-12-01 09h30", "2023-12-01 09:30:00"),
        ("2023", "2023-01-01 00:00:00"),
        ("November 2023", "2023-11-01 00:00:00"),
        ("May 5", "0001-05-05 00:00:00"),
        ("6 pm", "0001-01-01 18:00:00"),
        ("18:30", "2100-01-01 18:30:00"),
        ("now", "2100-01-01 00:00:00"),
        ("2023-12-01 12:30 am", "2023-12-01 00:30:00"),
        ("2023-12-01 09:00 EST", "2023-12-01 09:00:00"),
        ("nan", "NaT"),
        ("", "NaT"),
    ] {
        assert_eq!(read(text), time, "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused_with_pandas_text() {
    for (text, reason) in [
        ("tomorrow", "Unknown datetime string format, unable to parse: tomorrow"),
        ("2023-12-01 noon", "Unknown datetime string format, unable to parse: 2023-12-01 noon"),
        ("2023-12-01 13:00 pm", "Unknown datetime string format, unable to parse: 2023-12-01 13:00 pm"),
        ("2023-12-01T9", "Unknown datetime string format, unable to parse: 2023-12-01T9"),
        ("YYYY-MM-DD", "Unknown datetime string format, unable to parse: YYYY-MM-DD"),
        ("Friday", "Unable to parse datetime string: Friday"),
        ("0000-00-00", "year 0 is out of range: 0000-00-00"),
        ("2023-13-01", "month must be in 1..12: 2023-13-01"),
        ("2023-02-30", "day is out of range for month: 2023-02-30"),
        ("2023-12-01 25:00", "hour must be in 0..23: 2023-12-01 25:00"),
        ("2023-12-01 09:60", "minute must be in 0..59: 2023-12-01 09:60"),
        ("930", "Given date string \"930\" not likely a datetime"),
        ("12345", "year 12345 is out of range: 12345"),
    ] {
        assert_eq!(read(text), reason, "{text}");
    }
}

#[test]
fn values_that_are_no_texts_are_numbers_or_refused() {
    assert_eq!(Stamp::of(&Value::Int(5)).map(show), Ok("1970-01-01 00:00:00.000000005".to_owned()));
    assert!(matches!(Stamp::of(&Value::Int(i128::MAX)), Err(NotATime::Value(_))));
    assert!(matches!(Stamp::of(&Value::Float(1e30)), Err(NotATime::Value(_))));
    let text = "Cannot convert input [True] of type <class 'bool'> to Timestamp";
    assert_eq!(Stamp::of(&Value::Bool(true)), Err(NotATime::Type(text.to_owned())));
}

#[test]
fn points_with_and_without_a_zone_do_not_compare() {
    let stamp = |text: &str| Stamp::of(&Value::Text(text.to_owned())).unwrap();
    assert!(stamp("2023-12-01 09:00Z").compare(&stamp("2023-12-01 09:00")).is_err());
    let order = stamp("2023-12-01 09:00+02:00").compare(&stamp("2023-12-01 08:00Z"));
    assert_eq!(order, Ok(Some(Ordering::Less)));
    assert_eq!(stamp("nan").compare(&stamp("2023-12-01 08:00Z")), Ok(None));
    assert_eq!(stamp("nan").day(), raise("Cannot compare NaT with datetime.date object"));
}
