// SPDX-License-Identifier: Apache-2.0
//! The calculator: arithmetic as Python writes it, with `abs`, `round`, `min` and `max`. Whole numbers are exact up to 128
//! bits, `/` gives a float, `//` and `%` round down, `**` binds to the right and tighter than a sign before it.

use gym_env::{python::repr_float, text::strip};

/// Characters of an expression.
const MAX_LENGTH: usize = 4096;
/// Brackets, signs and powers within each other.
const MAX_DEPTH: u32 = 200;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i128),
    Float(f64),
}

use Number::{Float, Whole};

/// Why an expression has no value, as a phrase.
pub(crate) type Reason = &'static str;

const TOO_LARGE: Reason = "the number is too large";
const BY_ZERO: Reason = "division by zero";
const SYNTAX: Reason = "this is not an arithmetic expression";
const ARGUMENTS: Reason = "the function does not take these numbers";

/// The value of an expression as text. A float without a fraction is written as a whole number, an infinite one is an
/// error, as it is where Python makes it an `int`.
pub(crate) fn evaluate(expression: &str) -> Result<String, Reason> {
    if expression.len() > MAX_LENGTH {
        return Err("the expression is too long");
    }
    let mut reader = Reader { rest: strip(expression), depth: 0, brackets: 0 };
    let value = reader.sum()?;
    reader.skip_space();
    if !reader.rest.is_empty() {
        return Err(SYNTAX);
    }
    Ok(match value {
        Whole(value) => value.to_string(),
        Float(value) if value.is_infinite() => return Err(TOO_LARGE),
        Float(0.0) => "0".to_owned(),
        Float(value) if value.fract() == 0.0 => format!("{value:.0}"),
        Float(value) => repr_float(value),
    })
}

struct Reader<'a> {
    rest: &'a str,
    depth: u32,
    /// How many brackets are open: lines may end inside of them only.
    brackets: u32,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        loop {
            let inside = self.brackets > 0;
            self.rest = self
                .rest
                .trim_start_matches(|c| matches!(c, ' ' | '\t' | '\u{c}') || (inside && matches!(c, '\n' | '\r')));
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = &comment[comment.find('\n').unwrap_or(comment.len())..],
                None => return,
            }
        }
    }

    /// The first of these that comes next. Longer ones come first.
    fn take(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        self.skip_space();
        let sign = signs.iter().find(|sign| self.rest.starts_with(**sign))?;
        self.rest = &self.rest[sign.len()..];
        Some(sign)
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Reason>) -> Result<T, Reason> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the expression is nested too deep");
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn sum(&mut self) -> Result<Number, Reason> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(&["+", "-"]) {
            let other = self.product()?;
            value = if sign == "+" { value.add(other)? } else { value.add(other.negated()?)? };
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Number, Reason> {
        let mut value = self.signed()?;
        // A power was taken by its base, so that no `*` here is the beginning of one.
        while let Some(sign) = self.take(&["*", "//", "/", "%"]) {
            let other = self.signed()?;
            value = match sign {
                "*" => value.times(other)?,
                "/" => value.over(other)?,
                "//" => value.floor_divided(other)?.0,
                _ => value.floor_divided(other)?.1,
            };
        }
        Ok(value)
    }

    fn signed(&mut self) -> Result<Number, Reason> {
        match self.take(&["+", "-"]) {
            Some("-") => self.deeper(Self::signed)?.negated(),
            Some(_) => self.deeper(Self::signed),
            None => self.power(),
        }
    }

    fn power(&mut self) -> Result<Number, Reason> {
        let base = self.atom()?;
        match self.take(&["**"]) {
            Some(_) => base.to_the(self.deeper(Self::signed)?),
            None => Ok(base),
        }
    }

    fn atom(&mut self) -> Result<Number, Reason> {
        if self.take(&["("]).is_some() {
            self.brackets += 1;
            let value = self.deeper(Self::sum)?;
            self.take(&[")"]).ok_or(SYNTAX)?;
            self.brackets -= 1;
            return Ok(value);
        }
        match self.take(&["abs", "round", "min", "max", "True", "False"]) {
            Some("True") => Ok(Whole(1)),
            Some("False") => Ok(Whole(0)),
            Some(function) => call(function, &self.arguments()?),
            None => self.number(),
        }
    }

    /// Numbers between brackets; a comma may stand after the last one.
    fn arguments(&mut self) -> Result<Vec<Number>, Reason> {
        self.take(&["("]).ok_or(SYNTAX)?;
        self.brackets += 1;
        let mut arguments = Vec::new();
        while self.take(&[")"]).is_none() {
            arguments.push(self.deeper(Self::sum)?);
            if self.take(&[","]).is_none() {
                self.take(&[")"]).ok_or(SYNTAX)?;
                break;
            }
        }
        self.brackets -= 1;
        Ok(arguments)
    }

    fn number(&mut self) -> Result<Number, Reason> {
        self.skip_space();
        let bytes = self.rest.as_bytes();
        if let [b'0', base @ (b'x' | b'X' | b'o' | b'O' | b'b' | b'B'), ..] = bytes {
            return self.number_of_base(*base);
        }
        let digits = |from: usize| {
            let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
            from + bytes[from..].iter().take_while(|byte| is_part(byte)).count()
        };
        let mut end = digits(0);
        let mut is_whole = true;
        if bytes.get(end) == Some(&b'.') {
            is_whole = false;
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent == end + 1 + sign {
                return Err(SYNTAX);
            }
            is_whole = false;
            end = exponent;
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let text = plain(text).ok_or(SYNTAX)?;
        match is_whole {
            // Python wants no zeros before another digit.
            true if text.starts_with('0') && text.bytes().any(|byte| byte != b'0') => Err(SYNTAX),
            true if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Whole).map_err(|_| if text.is_empty() { SYNTAX } else { TOO_LARGE })
            }
            _ => text.parse().map(Float).map_err(|_| SYNTAX),
        }
    }

    /// A whole number as `0x1f`, `0o17` or `0b11`; one underscore may stand before each digit.
    fn number_of_base(&mut self, base: u8) -> Result<Number, Reason> {
        let base = match base {
            b'x' | b'X' => 16,
            b'o' | b'O' => 8,
            _ => 2,
        };
        let rest = &self.rest[2..];
        let end = rest.find(|c: char| !c.is_digit(base) && c != '_').unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        self.rest = rest;
        let plain = digits.strip_prefix('_').unwrap_or(digits);
        if plain.split('_').any(str::is_empty) {
            return Err(SYNTAX);
        }
        i128::from_str_radix(&plain.replace('_', ""), base).map(Whole).map_err(|_| TOO_LARGE)
    }
}

/// A number without the underscores that may stand between two of its digits.
fn plain(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |index: Option<usize>| index.and_then(|index| bytes.get(index)).is_some_and(u8::is_ascii_digit);
    let well_placed = bytes
        .iter()
        .enumerate()
        .all(|(index, byte)| *byte != b'_' || (is_digit(index.checked_sub(1)) && is_digit(Some(index + 1))));
    well_placed.then(|| text.replace('_', ""))
}

fn call(function: &str, arguments: &[Number]) -> Result<Number, Reason> {
    match (function, arguments) {
        ("abs", [number]) if number.is_negative() => number.negated(),
        ("abs", [number]) => Ok(*number),
        ("round", [Whole(number)]) => Ok(Whole(*number)),
        ("round", [Float(number)]) => whole(number.round_ties_even()),
        ("round", [number, Whole(places)]) => number.rounded(*places),
        ("min", [first, rest @ ..]) if !rest.is_empty() => {
            Ok(rest.iter().fold(*first, |least, number| if number.is_less(least) { *number } else { least }))
        }
        ("max", [first, rest @ ..]) if !rest.is_empty() => {
            Ok(rest.iter().fold(*first, |most, number| if most.is_less(*number) { *number } else { most }))
        }
        _ => Err(ARGUMENTS),
    }
}

/// A float without a fraction as a whole number.
fn whole(value: f64) -> Result<Number, Reason> {
    match value {
        value if value.is_nan() => Err(ARGUMENTS),
        value if value.abs() < 1e38 => Ok(Whole(value as i128)),
        _ => Err(TOO_LARGE),
    }
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Whole(value) => value as f64,
            Float(value) => value,
        }
    }

    fn is_negative(self) -> bool {
        match self {
            Whole(value) => value < 0,
            Float(value) => value.is_sign_negative(),
        }
    }

    fn is_less(self, other: Self) -> bool {
        match (self, other) {
            (Whole(one), Whole(other)) => one < other,
            _ => self.float() < other.float(),
        }
    }

    /// To so many places after the point, or before it if there are less than none; a half goes to the even side.
    fn rounded(self, places: i128) -> Result<Self, Reason> {
        match self {
            Whole(_) if places >= 0 => Ok(self),
            Float(value) if !value.is_finite() => Ok(self),
            Float(value) if places >= 0 => {
                // Beyond these places nothing is left to round.
                let places = usize::try_from(places).map_or(400, |places| places.min(400));
                format!("{value:.places$}").parse().map(Float).map_err(|_| SYNTAX)
            }
            Whole(value) => Ok(Whole(round_before_point(value, false, places)?)),
            Float(value) if value.abs() < 1e36 => {
                let up = round_before_point(value.abs() as i128, value.fract() != 0.0, places)?;
                Ok(Float((up as f64).copysign(value)))
            }
            Float(_) => Err(TOO_LARGE),
        }
    }

    fn negated(self) -> Result<Self, Reason> {
        Ok(match self {
            Whole(value) => Whole(value.checked_neg().ok_or(TOO_LARGE)?),
            Float(value) => Float(-value),
        })
    }

    fn add(self, other: Self) -> Result<Self, Reason> {
        Ok(match (self, other) {
            (Whole(one), Whole(other)) => Whole(one.checked_add(other).ok_or(TOO_LARGE)?),
            _ => Float(self.float() + other.float()),
        })
    }

    fn times(self, other: Self) -> Result<Self, Reason> {
        Ok(match (self, other) {
            (Whole(one), Whole(other)) => Whole(one.checked_mul(other).ok_or(TOO_LARGE)?),
            _ => Float(self.float() * other.float()),
        })
    }

    fn over(self, other: Self) -> Result<Self, Reason> {
        if other.float() == 0.0 { Err(BY_ZERO) } else { Ok(Float(self.float() / other.float())) }
    }

    /// Quotient rounded down, and what is left of it, which has the sign of the divisor.
    fn floor_divided(self, other: Self) -> Result<(Self, Self), Reason> {
        if other.float() == 0.0 {
            return Err(BY_ZERO);
        }
        if let (Whole(one), Whole(other)) = (self, other) {
            let (quotient, rest) = (one.checked_div(other).ok_or(TOO_LARGE)?, one.checked_rem(other).ok_or(TOO_LARGE)?);
            let is_off = rest != 0 && (rest < 0) != (other < 0);
            return Ok(if is_off {
                (Whole(quotient - 1), Whole(rest + other))
            } else {
                (Whole(quotient), Whole(rest))
            });
        }
        let (one, other) = (self.float(), other.float());
        let rest = one % other;
        let quotient = (one - rest) / other;
        let is_off = rest != 0.0 && (rest < 0.0) != (other < 0.0);
        let (quotient, rest) = if is_off { (quotient - 1.0, rest + other) } else { (quotient, rest) };
        Ok((Float(quotient.round()), Float(rest)))
    }

    fn to_the(self, exponent: Self) -> Result<Self, Reason> {
        if let (Whole(base), Whole(exponent)) = (self, exponent)
            && exponent >= 0
        {
            if matches!(base, -1..=1) {
                // Any power of these is in reach.
                let is_one = exponent == 0 || (base == -1 && exponent % 2 == 0);
                return Ok(Whole(if is_one { 1 } else { base }));
            }
            let exponent = u32::try_from(exponent).map_err(|_| TOO_LARGE)?;
            return base.checked_pow(exponent).map(Whole).ok_or(TOO_LARGE);
        }
        let (base, exponent) = (self.float(), exponent.float());
        if base == 0.0 && exponent < 0.0 {
            return Err(BY_ZERO);
        }
        let value = base.powf(exponent);
        match value.is_finite() {
            true => Ok(Float(value)),
            false if value.is_nan() => Err("the power has no real value"),
            false => Err(TOO_LARGE),
        }
    }
}

/// To the nearest multiple of ten to the number of places, which is negative; `and_more` says that there is a fraction.
fn round_before_point(value: i128, and_more: bool, places: i128) -> Result<i128, Reason> {
    let Some(unit) = places.checked_neg().and_then(|k| u32::try_from(k).ok()).and_then(|k| 10_i128.checked_pow(k))
    else {
        return Ok(0);
    };
    let rest = value.rem_euclid(unit);
    let down = value - rest;
    let is_half = rest == unit - rest && !and_more;
    let up = if is_half { (down / unit) % 2 != 0 } else { rest >= unit - rest };
    if up { down.checked_add(unit).ok_or(TOO_LARGE) } else { Ok(down) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_have_the_values_that_python_gives() {
        for (expression, value) in [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("7 / 2", "3.5"),
            ("6 / 2", "3"),
            ("0.1 + 0.2", "0.30000000000000004"),
            ("-7 // 2", "-4"),
            ("-7 % 3", "2"),
            ("7 % -3", "-2"),
            ("7.5 // 2", "3"),
            ("-60.0 // 1e999", "-1"),
            ("-2 ** 2", "-4"),
            ("2 ** -1", "0.5"),
            ("2 ** 3 ** 2", "512"),
            ("2 * -3", "-6"),
            ("--4", "4"),
            ("1_000 * 2", "2000"),
            ("1e3", "1000"),
            (".5 + 1.", "1.5"),
            ("1.5e-3", "0.0015"),
            ("2 ** 100", "1267650600228229401496703205376"),
            ("1e20 * 1", "100000000000000000000"),
            ("1e308 * 10 - 1e999", "nan"),
            ("round(2.5)", "2"),
            ("round(3.5)", "4"),
            ("round(2.675, 2)", "2.67"),
            ("round(12.345, 1)", "12.3"),
            ("round(1/3, 4)", "0.3333"),
            ("round(1250, -2)", "1200"),
            ("round(1350, -2)", "1400"),
            ("round(1250.5, -2)", "1300"),
            ("round(-1351.0, -2)", "-1400"),
            ("round(7, 2)", "7"),
            ("round(7.5, 400)", "7.5"),
            ("round(7.5, -400)", "0"),
            ("abs(-3.5) + abs(4)", "7.5"),
            ("max(1, 2.5, 2) - min(3, 1,)", "1.5"),
            ("max (2, (3 + 4))", "7"),
            ("(1 +\n 2)", "3"),
            ("3 * 4 # eggs", "12"),
            ("(3 # three\n * 4)", "12"),
            ("0x1F + 0b11 + 0o7 + 0x_1", "42"),
            ("True + 1", "2"),
            ("00", "0"),
            ("1 / 3", "0.3333333333333333"),
            ("  ( 12 )  ", "12"),
            ("0 ** 0", "1"),
            ("(-1) ** 1000000000000", "1"),
            ("-0.0", "0"),
        ] {
            assert_eq!(evaluate(expression).as_deref(), Ok(value), "{expression}");
        }
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        for (expression, reason) in [
            ("", SYNTAX),
            ("1 +", SYNTAX),
            ("(1", SYNTAX),
            ("1)", SYNTAX),
            ("1 2", SYNTAX),
            ("x", SYNTAX),
            ("2^3", SYNTAX),
            ("1__0", SYNTAX),
            ("_1", SYNTAX),
            ("1e", SYNTAX),
            (".", SYNTAX),
            ("1,000", SYNTAX),
            ("import os", SYNTAX),
            ("1 +\n2", SYNTAX),
            ("012", SYNTAX),
            ("0x", SYNTAX),
            ("0b12", SYNTAX),
            ("maximum(1, 2)", SYNTAX),
            ("sum(1, 2)", SYNTAX),
            ("max(1, 2", SYNTAX),
            ("max(1)", ARGUMENTS),
            ("abs()", ARGUMENTS),
            ("round(1.5, 0.5)", ARGUMENTS),
            ("round(1e999 - 1e999)", ARGUMENTS),
            ("1e999", TOO_LARGE),
            ("1 / 0", BY_ZERO),
            ("1 // 0.0", BY_ZERO),
            ("0 ** -1", BY_ZERO),
            ("2 ** 1000", TOO_LARGE),
            ("10.0 ** 400", TOO_LARGE),
            ("99999999999999999999999999999999999999999", TOO_LARGE),
            ("(-8) ** 0.5", "the power has no real value"),
        ] {
            assert_eq!(evaluate(expression), Err(reason), "{expression}");
        }
        assert!(evaluate(&"(".repeat(4000)).is_err());
        assert!(evaluate(&"-".repeat(4000)).is_err());
        assert!(evaluate(&"1+".repeat(4000)).is_err());
    }
}
