// SPDX-License-Identifier: Apache-2.0
//! Reads dates and times in the many ways of writing them that pandas takes. Between day and month, the month comes
//! first unless that is impossible.

use super::{
    Parts, Stamp, days_in_month,
    words::{Unit, could_be_zone, is_afternoon, is_filler, is_utc, is_weekday, month, split, unit},
};

/// The year of `today` and `now`, and of times without a date: later than everything that happens in the tables.
const THIS_YEAR: i64 = 2100;

/// Longer texts are no dates.
const LONGEST: usize = 1000;

/// Reads a text. The error is the exception's text.
pub(super) fn read(text: &str) -> Result<Stamp, String> {
    if matches!(text, "" | "nan" | "NaN" | "NAN" | "NaT" | "nat" | "NAT") {
        return Ok(Stamp::NAT);
    }
    if matches!(text, "now" | "today") {
        return Parts::default().stamp(THIS_YEAR).map_err(str::to_owned);
    }
    let small_number = || text.trim().parse::<f64>().is_ok_and(|number| number < 1000.0);
    let is_letter = matches!(text.to_lowercase().as_str(), "a" | "m" | "p" | "t");
    if is_letter || !text.starts_with('0') && small_number() {
        return Err(format!("Given date string \"{text}\" not likely a datetime"));
    }
    let unknown = || format!("Unknown datetime string format, unable to parse: {text}");
    if text.len() > LONGEST {
        return Err(unknown());
    }
    let words = split(text);
    let parts = Reader { words, parts: Parts::default(), half: None, zone: false, date: Date::default() }
        .read()
        .ok_or_else(unknown)?;
    let has_any =
        [parts.year, parts.month, parts.day, parts.hour, parts.minute, parts.second].iter().any(Option::is_some);
    if !has_any {
        return Err(format!("Unable to parse datetime string: {text}"));
    }
    // A text that begins with a time is meant for today, and other dates without a year for the year 1.
    let year = if begins_with_time(text) { THIS_YEAR } else { 1 };
    parts.stamp(year).map_err(|reason| match reason {
        "year is out of range" => format!("year {} is out of range: {text}", parts.year.unwrap_or(1)),
        _ => format!("{reason}: {text}"),
    })
}

/// Whether a text begins as `9:00` or `09:00` do.
fn begins_with_time(text: &str) -> bool {
    let text = text.as_bytes();
    text.len() >= 4 && text[0].is_ascii_digit() && (text[1] == b':' || text[1].is_ascii_digit() && text[2] == b':')
}

/// The numbers of a date, before it is known which is which.
#[derive(Debug, Default)]
struct Date {
    values: Vec<i64>,
    year_at: Option<usize>,
    month_at: Option<usize>,
    has_century: bool,
}

impl Date {
    /// Adds a number as it is written.
    fn push(&mut self, written: &str) -> Option<()> {
        if written.len() > 2 && written.bytes().all(|byte| byte.is_ascii_digit()) {
            self.push_year(written.parse().ok()?)
        } else {
            self.values.push(written.parse().ok()?);
            Some(())
        }
    }

    /// Adds a number.
    fn push_number(&mut self, number: f64) -> Option<()> {
        if number > 100.0 {
            return self.push_year(number as i64);
        }
        self.values.push(number as i64);
        Some(())
    }

    fn push_year(&mut self, year: i64) -> Option<()> {
        self.has_century = true;
        if self.year_at.replace(self.values.len()).is_some() {
            return None;
        }
        self.values.push(year);
        Some(())
    }

    fn push_month(&mut self, number: i64) -> Option<()> {
        if self.month_at.replace(self.values.len()).is_some() {
            return None;
        }
        self.values.push(number);
        Some(())
    }

    fn could_be_day(&self, number: f64) -> bool {
        let most = match (self.month_at, self.year_at) {
            (Some(month), Some(year)) => days_in_month(self.values[year], self.values[month]),
            (Some(month), None) => days_in_month(2000, self.values[month]),
            (None, _) => 31,
        };
        number >= 1.0 && number <= most as f64
    }

    /// Year, month and day.
    fn resolve(&self) -> Option<[Option<i64>; 3]> {
        let known = usize::from(self.year_at.is_some()) + usize::from(self.month_at.is_some());
        let count = self.values.len();
        if count == known || count == 3 && known == 2 {
            let value = |at: Option<usize>| at.map(|at| self.values[at]);
            let rest = (0..count).find(|at| Some(*at) != self.year_at && Some(*at) != self.month_at);
            return Some([value(self.year_at), value(self.month_at), value(rest)]);
        }
        let [year, month, day] = match (self.values.as_slice(), self.month_at) {
            ([month], Some(_)) => [None, Some(*month), None],
            ([other], None) | ([other, _], Some(1)) | ([_, other], Some(_)) => {
                let month = self.month_at.map(|at| self.values[at]);
                if *other > 31 { [Some(*other), month, None] } else { [None, month, Some(*other)] }
            }
            ([first, second], None) if *first > 31 => [Some(*first), Some(*second), None],
            ([first, second], None) if *second > 31 => [Some(*second), Some(*first), None],
            ([first, second], None) => [None, Some(*first), Some(*second)],
            ([first, second, third], at) => {
                let (first, second, third) = (Some(*first), Some(*second), Some(*third));
                match at {
                    Some(0) if second > Some(31) => [second, first, third],
                    Some(0) => [third, first, second],
                    Some(1) if first > Some(31) => [first, second, third],
                    Some(1) => [third, second, first],
                    Some(_) if second > Some(31) => [second, third, first],
                    Some(_) => [first, third, second],
                    None if first > Some(31) || self.year_at == Some(0) => [first, second, third],
                    None if first > Some(12) => [third, second, first],
                    None => [third, first, second],
                }
            }
            _ => return None,
        };
        Some([year, month, day])
    }
}

struct Reader {
    words: Vec<String>,
    parts: Parts,
    /// Which half of the day was said.
    half: Option<bool>,
    /// Whether a time zone was said.
    zone: bool,
    date: Date,
}

impl Reader {
    fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(String::as_str)
    }

    /// Nothing where the text is no date.
    fn read(mut self) -> Option<Parts> {
        let mut at = 0;
        while let Some(word) = self.word(at).map(str::to_owned) {
            at = if word.starts_with(|c: char| c.is_ascii_digit()) {
                self.number(at, &word)?
            } else if is_weekday(&word) {
                at
            } else if let Some(number) = month(&word) {
                self.month(at, number)?
            } else if let Some(is_afternoon) = is_afternoon(&word) {
                self.half_of_day(is_afternoon)?;
                at
            } else if self.parts.hour.is_some() && !self.zone && self.parts.ahead.is_none() && could_be_zone(&word) {
                self.zone(at, &word);
                at
            } else if self.parts.hour.is_some() && (word == "+" || word == "-") {
                self.offset(at, word == "+")?
            } else if is_filler(&word) {
                at
            } else {
                return None;
            };
            at += 1;
        }
        let [year, month, day] = self.date.resolve()?;
        let full_year = |year: i64| {
            if year < 100 && !self.date.has_century { 2000 + year - if year > 76 { 100 } else { 0 } } else { year }
        };
        Some(Parts { year: year.map(full_year), month, day, ..self.parts })
    }

    fn half_of_day(&mut self, is_afternoon: bool) -> Option<()> {
        let hour = self.parts.hour.filter(|hour| (0..=12).contains(hour) && self.half.is_none())?;
        self.parts.hour = Some(to_24(hour, is_afternoon));
        self.half = Some(is_afternoon);
        Some(())
    }

    /// A month by its name, and what stands behind it.
    fn month(&mut self, at: usize, number: i64) -> Option<usize> {
        self.date.push_month(number)?;
        let Some(next) = self.word(at + 1).map(str::to_owned) else { return Some(at) };
        if next == "-" || next == "/" {
            let second = self.word(at + 2)?.to_owned();
            self.date.push(&second)?;
            if self.word(at + 3) == Some(&next) {
                let third = self.word(at + 4)?.to_owned();
                self.date.push(&third)?;
                return Some(at + 4);
            }
            return Some(at + 2);
        }
        if next == " "
            && self.word(at + 2).is_some_and(|word| word.eq_ignore_ascii_case("of"))
            && self.word(at + 3) == Some(" ")
            && let Some(year) = self.word(at + 4)
            && let Ok(year) = year.parse::<i64>()
        {
            let year = if year < 100 { 2000 + year } else { year };
            self.date.push_year(year)?;
            return Some(at + 4);
        }
        Some(at)
    }

    fn zone(&mut self, at: usize, word: &str) {
        self.zone = true;
        // Names other than that of UTC are read and forgotten.
        self.parts.ahead = is_utc(word).then_some(0);
        // `GMT+3` is behind GMT by three hours, to whoever wrote that.
        if let Some(sign) = self.words.get_mut(at + 1)
            && (sign == "+" || sign == "-")
        {
            *sign = if sign == "+" { "-" } else { "+" }.to_owned();
            self.parts.ahead = None;
        }
    }

    /// How far the clock is ahead of UTC.
    fn offset(&mut self, at: usize, is_ahead: bool) -> Option<usize> {
        let digits = self.word(at + 1)?;
        let number = |text: &str| text.parse::<i64>().ok();
        let (hours, minutes, end) = if digits.len() == 4 && digits.is_ascii() {
            (number(&digits[..2])?, number(&digits[2..])?, at + 1)
        } else if self.word(at + 2) == Some(":") {
            (number(digits)?, number(self.word(at + 3)?)?, at + 3)
        } else if digits.len() <= 2 {
            (number(digits)?, 0, at + 1)
        } else {
            return None;
        };
        // A zone is less than a day away.
        let seconds = (0..24).contains(&hours).then(|| hours * 3600 + minutes.min(1_000_000) * 60)?;
        if seconds >= 86_400 {
            return None;
        }
        self.parts.ahead = Some(if is_ahead { seconds } else { -seconds });
        Some(end)
    }

    /// A number, and what stands behind it. Gives the place of the last word that belongs to it.
    fn number(&mut self, at: usize, written: &str) -> Option<usize> {
        let value: f64 = written.parse().ok()?;
        let digits = |from: usize, to: usize| written.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
        let next = self.word(at + 1).map(str::to_owned);
        let next = next.as_deref();
        let length = written.len();
        let is_before_time = next == Some(":") || next.is_some_and(|word| unit(word).is_some());
        if self.date.values.len() == 3 && matches!(length, 2 | 4) && self.parts.hour.is_none() && !is_before_time {
            self.parts.hour = Some(digits(0, 2)?);
            self.parts.minute = if length == 4 { Some(digits(2, 4)?) } else { self.parts.minute };
            return Some(at);
        }
        if length == 6 || length > 6 && written.find('.') == Some(6) {
            if self.date.values.is_empty() && !written.contains('.') {
                for from in [0, 2, 4] {
                    self.date.push(written.get(from..from + 2)?)?;
                }
            } else {
                self.parts.hour = Some(digits(0, 2)?);
                self.parts.minute = Some(digits(2, 4)?);
                self.seconds(written.get(4..)?)?;
            }
            return Some(at);
        }
        if matches!(length, 8 | 12 | 14) {
            self.date.push_year(digits(0, 4)?)?;
            self.date.values.extend([digits(4, 6)?, digits(6, 8)?]);
            if length > 8 {
                self.parts.hour = Some(digits(8, 10)?);
                self.parts.minute = Some(digits(10, 12)?);
            }
            if length > 12 {
                self.parts.second = Some(digits(12, 14)?);
            }
            return Some(at);
        }
        if let Some((unit, end)) = self.unit_at(at) {
            match unit {
                Unit::Hour => {
                    self.parts.hour = Some(value as i64);
                    if value.fract() != 0.0 {
                        self.parts.minute = Some((60.0 * value.fract()) as i64);
                    }
                }
                Unit::Minute => self.minutes(value),
                Unit::Second => self.seconds(written)?,
            }
            return Some(end);
        }
        if next == Some(":") && self.word(at + 2).is_some() {
            self.parts.hour = Some(value as i64);
            let minutes = self.word(at + 2)?.parse().ok()?;
            self.minutes(minutes);
            if self.word(at + 3) == Some(":") && self.word(at + 4).is_some() {
                let seconds = self.word(at + 4)?.to_owned();
                self.seconds(&seconds)?;
                return Some(at + 4);
            }
            return Some(at + 2);
        }
        if let Some(sign @ ("-" | "/" | ".")) = next {
            self.date.push(written)?;
            let Some(second) = self.word(at + 2).filter(|word| !is_filler(word)).map(str::to_owned) else {
                return Some(at + 1);
            };
            if second.bytes().all(|byte| byte.is_ascii_digit()) {
                self.date.push(&second)?;
            } else {
                self.date.push_month(month(&second)?)?;
            }
            if self.word(at + 3) == Some(sign) {
                let third = self.word(at + 4)?.to_owned();
                match month(&third) {
                    Some(number) => self.date.push_month(number)?,
                    None => self.date.push(&third)?,
                }
                return Some(at + 4);
            }
            return Some(at + 2);
        }
        if next.is_none_or(is_filler) {
            if let Some(is_afternoon) = self.word(at + 2).and_then(is_afternoon) {
                self.parts.hour = Some(to_24(value as i64, is_afternoon));
                return Some(at + 2);
            }
            self.date.push_number(value)?;
            return Some(at + 1);
        }
        if let Some(is_afternoon) = next.and_then(is_afternoon)
            && (0.0..24.0).contains(&value)
        {
            self.parts.hour = Some(to_24(value as i64, is_afternoon));
            return Some(at + 1);
        }
        if self.date.could_be_day(value) {
            self.date.push_number(value)?;
            return Some(at);
        }
        None
    }

    /// The unit of the number at this place, and where it ends: behind the number, or in front of it one smaller
    /// (`9h 30`).
    fn unit_at(&self, at: usize) -> Option<(Unit, usize)> {
        let unit_of = |at: usize| self.word(at).and_then(unit);
        if let Some(unit) = unit_of(at + 1) {
            return Some((unit, at + 1));
        }
        if self.word(at + 1) == Some(" ")
            && let Some(unit) = unit_of(at + 2)
        {
            return Some((unit, at + 2));
        }
        let before = at.checked_sub(1).and_then(unit_of).or_else(|| {
            let is_last = at + 1 == self.words.len();
            let behind_space = at >= 2 && self.word(at - 1) == Some(" ");
            if is_last && behind_space { unit_of(at - 2) } else { None }
        });
        match before? {
            Unit::Hour => Some((Unit::Minute, at)),
            Unit::Minute => Some((Unit::Second, at)),
            Unit::Second => None,
        }
    }

    fn minutes(&mut self, value: f64) {
        self.parts.minute = Some(value as i64);
        if value.fract() != 0.0 {
            self.parts.second = Some((60.0 * value.fract()) as i64);
        }
    }

    fn seconds(&mut self, written: &str) -> Option<()> {
        let (whole, fraction) = written.split_once('.').unwrap_or((written, ""));
        self.parts.second = Some(whole.parse().ok()?);
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let nanos: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
        self.parts.nanos = nanos.parse().ok()?;
        Some(())
    }
}

fn to_24(hour: i64, is_afternoon: bool) -> i64 {
    match (hour, is_afternoon) {
        (12, false) => 0,
        (hour, true) if hour < 12 => hour + 12,
        _ => hour,
    }
}
