// SPDX-License-Identifier: Apache-2.0
//! The calculator: arithmetic as Python writes it. Whole numbers are exact up to 128 bits, `/` gives a float, `//` and
//! `%` round down, `**` binds to the right and tighter than a sign before it.

use gym_env::python::repr_float;

/// Characters of an expression.
const MAX_LENGTH: usize = 4096;
/// Brackets, signs and powers within each other.
const MAX_DEPTH: u32 = 64;

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

/// The value of an expression as text. A float without a fraction is written as a whole number.
pub(crate) fn evaluate(expression: &str) -> Result<String, Reason> {
    if expression.len() > MAX_LENGTH {
        return Err("the expression is too long");
    }
    let mut reader = Reader { rest: expression.trim(), depth: 0 };
    let value = reader.sum()?;
    reader.skip_space();
    if !reader.rest.is_empty() {
        return Err(SYNTAX);
    }
    Ok(match value {
        Whole(value) => value.to_string(),
        Float(value) if value.fract() == 0.0 && value.abs() < 1e16 => format!("{value:.0}").replace("-0", "0"),
        Float(value) => repr_float(value),
    })
}

struct Reader<'a> {
    rest: &'a str,
    depth: u32,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
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
            let value = self.deeper(Self::sum)?;
            return self.take(&[")"]).map(|_| value).ok_or(SYNTAX);
        }
        self.number()
    }

    fn number(&mut self) -> Result<Number, Reason> {
        self.skip_space();
        let bytes = self.rest.as_bytes();
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
            true if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Whole).map_err(|_| if text.is_empty() { SYNTAX } else { TOO_LARGE })
            }
            _ => text.parse().map(Float).map_err(|_| SYNTAX),
        }
    }
}

/// A number without the underscores that may stand between two of its digits.
pub(crate) fn plain(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |index: Option<usize>| index.and_then(|index| bytes.get(index)).is_some_and(u8::is_ascii_digit);
    let well_placed = bytes
        .iter()
        .enumerate()
        .all(|(index, byte)| *byte != b'_' || (is_digit(index.checked_sub(1)) && is_digit(Some(index + 1))));
    well_placed.then(|| text.replace('_', ""))
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Whole(value) => value as f64,
            Float(value) => value,
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
        let rest = if rest != 0.0 && (rest < 0.0) != (other < 0.0) { rest + other } else { rest };
        Ok((Float(((one - rest) / other).round()), Float(rest)))
    }

    fn to_the(self, exponent: Self) -> Result<Self, Reason> {
        if let (Whole(base), Whole(exponent)) = (self, exponent)
            && exponent >= 0
        {
            if matches!(base, -1..=1) {
                // Any power of these is in reach.
                let is_odd = exponent % 2 == 1;
                return Ok(Whole(if exponent == 0 {
                    1
                } else if base == -1 && !is_odd {
                    1
                } else {
                    base
                }));
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
            ("1e20 * 1", "1e+20"),
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
