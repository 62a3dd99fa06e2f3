// SPDX-License-Identifier: Apache-2.0
//! Days of the Gregorian calendar.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A day, written `2026-03-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Day {
    year: i64,
    month: i64,
    day: i64,
}

impl Day {
    /// Reads `YYYY-MM-DD`; nothing else, and no day that does not exist.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_date = text.len() == 10
            && text.bytes().enumerate().all(|(index, byte)| match index {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !is_date {
            return None;
        }
        let (year, month, day) = (text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (1..=last).contains(&day).then_some(Self { year, month, day })
    }

    /// Days since the first of March of the year 0. Years are counted from March on, so that a leap day comes last.
    fn number(self) -> i64 {
        let (year, month) = if self.month > 2 { (self.year, self.month - 3) } else { (self.year - 1, self.month + 9) };
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + self.day
            - 1
    }

    /// How many days `self` is after `other`.
    pub(crate) fn days_after(self, other: Self) -> i64 {
        self.number() - other.number()
    }

    /// Whether it is a Sunday. The first of March of the year 0 was a Wednesday.
    pub(crate) fn is_sunday(self) -> bool {
        self.number().rem_euclid(7) == 4
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no day like 2026-03-11"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn days_are_counted_across_months_and_leap_days() {
        for (later, earlier, days) in [
            ("2026-03-12", "2026-03-11", 1),
            ("2024-03-01", "2024-02-28", 2),
            ("2026-03-01", "2026-02-28", 1),
            ("2027-01-01", "2026-01-01", 365),
            ("2026-03-01", "2026-03-11", -10),
        ] {
            assert_eq!(day(later).days_after(day(earlier)), days, "{later} {earlier}");
        }
    }

    #[test]
    fn sundays() {
        assert!(day("2026-03-15").is_sunday());
        assert!(day("2000-01-02").is_sunday());
        assert!(!day("2026-03-11").is_sunday() && !day("2026-03-14").is_sunday());
    }

    #[test]
    fn what_is_no_day_is_not_read() {
        for text in ["2026-02-29", "2026-13-01", "2026-3-1", "tomorrow", "", "2026-03-00", "٢٠٢٦-٠٣", "2026-03-111"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        assert_eq!(day("2024-02-29").to_string(), "2024-02-29");
    }
}
