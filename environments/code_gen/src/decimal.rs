// SPDX-License-Identifier: Apache-2.0
//! Decimal numbers as Python's `Decimal` reads and compares them.

use std::cmp::Ordering;

use gym_env::python::digit;

/// Largest exponent that Python's decimals can be written with.
const MAX_EXPONENT: i64 = 999_999_999_999_999_999;
/// Largest exponent of what arithmetic gives.
const MAX_RESULT: i64 = 999_999;
/// Numbers whose magnitudes are further apart are so different that the smaller one does not matter.
const SPREAD: i64 = 100;

/// What a text says.
#[derive(Clone, Debug)]
pub(crate) enum Decimal {
    Finite(Finite),
    Infinite { negative: bool },
    Quiet,
    Signaling,
}

/// `± digits × 10^exponent`, without zeros at either end; zero has no digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finite {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

/// Python raises an error: a comparison with a signaling NaN, or a difference that is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raised(pub(crate) &'static str);

impl Decimal {
    /// What `Decimal(text)` gives; nothing where it raises.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = gym_env::text::strip(text);
        let plain: String = text.chars().filter(|c| *c != '_').collect();
        let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
        let negative = plain.starts_with('-');
        let word = unsigned.to_ascii_lowercase();
        let is_payload = |rest: &str| rest.chars().all(|c| digit(c).is_some());
        if word == "inf" || word == "infinity" {
            return Some(Self::Infinite { negative });
        }
        if word.strip_prefix("snan").is_some_and(is_payload) {
            return Some(Self::Signaling);
        }
        if word.strip_prefix("nan").is_some_and(is_payload) {
            return Some(Self::Quiet);
        }
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], whole(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = before.chars().chain(after.chars()).map(digit).collect::<Option<Vec<u8>>>()?;
        if digits.is_empty() {
            return None;
        }
        let exponent = exponent - after.chars().count() as i64;
        let number = Finite::new(negative, digits, exponent);
        let is_large = !number.digits.is_empty() && number.magnitude() > MAX_EXPONENT;
        (!is_large).then_some(Self::Finite(number))
    }

    /// `==`
    pub(crate) fn equals(&self, other: &Self) -> Result<bool, Raised> {
        Ok(match (self, other) {
            (Self::Signaling, _) | (_, Self::Signaling) => {
                return Err(Raised("[<class 'decimal.InvalidOperation'>]"));
            }
            (Self::Finite(left), Self::Finite(right)) => left == right,
            (Self::Infinite { negative: left }, Self::Infinite { negative: right }) => left == right,
            _ => false,
        })
    }

    /// Whether `other` is off by no more than a millionth, absolutely or in proportion to this number.
    pub(crate) fn is_near(&self, other: &Self) -> Result<bool, Raised> {
        let (Self::Finite(expected), Self::Finite(said)) = (self, other) else { return Ok(false) };
        let error = expected.distance(said);
        if !error.digits.is_empty() && error.magnitude() > MAX_RESULT {
            return Err(Raised("[<class 'decimal.Overflow'>]"));
        }
        let millionth = Finite::new(false, vec![1], -6);
        let part = Finite { negative: false, exponent: expected.exponent.saturating_sub(6), ..expected.clone() };
        Ok(error.compare(&millionth).is_le() || error.compare(&part).is_le())
    }
}

/// A whole number in a text; what is beyond the range is at its end.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut value = 0_i64;
    for c in digits.chars() {
        value = value.saturating_mul(10).saturating_add(digit(c)?.into());
    }
    // Far from the ends of the range, so that sums stay in it.
    let value = value.min(i64::MAX / 4);
    (!digits.is_empty()).then_some(if text.starts_with('-') { -value } else { value })
}

impl Finite {
    fn new(negative: bool, digits: Vec<u8>, mut exponent: i64) -> Self {
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        let mut digits = digits[leading..].to_vec();
        while digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        Self { negative, digits, exponent }
    }

    /// The exponent of the first digit.
    fn magnitude(&self) -> i64 {
        self.exponent.saturating_add(self.digits.len() as i64 - 1)
    }

    /// `|self - other|`
    fn distance(&self, other: &Self) -> Self {
        let absolute = |number: &Self| Self { negative: false, ..number.clone() };
        let (large, small) = if self.compare(other).is_ge() { (self, other) } else { (other, self) };
        if small.digits.is_empty() {
            return absolute(large);
        }
        if large.magnitude().saturating_sub(small.magnitude()) > SPREAD + large.digits.len() as i64 {
            return absolute(large);
        }
        let exponent = large.exponent.min(small.exponent);
        // The magnitudes are near, so the number of digits is bounded by those of the two.
        let aligned = |number: &Self| {
            let zeros = (number.exponent - exponent) as usize;
            let mut digits = number.digits.clone();
            digits.resize(digits.len() + zeros, 0);
            digits
        };
        let (large_digits, mut small_digits) = (aligned(large), aligned(small));
        small_digits.splice(0..0, std::iter::repeat_n(0, large_digits.len() - small_digits.len()));
        let mut result = vec![0; large_digits.len() + 1];
        let mut carry = 0_i8;
        let sign = if self.negative == other.negative { -1 } else { 1 };
        for at in (0..large_digits.len()).rev() {
            let mut digit = large_digits[at] as i8 + sign * small_digits[at] as i8 + carry;
            carry = digit.div_euclid(10);
            digit = digit.rem_euclid(10);
            result[at + 1] = digit as u8;
        }
        result[0] = carry as u8;
        Self::new(false, result, exponent)
    }

    /// Compares without regard to signs.
    fn compare(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Digits without zeros at the end compare like texts.
            (false, false) => self.magnitude().cmp(&other.magnitude()).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn texts_are_numbers_as_in_python() {
        for text in ["1", "-1", "+.5", "5.", "1e5", "1E-5", "1_000", "inf", "-Infinity", "nan", "NaN12", "sNaN", "٣.٥"]
        {
            assert!(Decimal::parse(text).is_some(), "{text}");
        }
        for text in ["", ".", "e5", "1e", "1.2.3", "0x1", "a", "--1", "1 2", "1e9999999999999999999", "infi", "nanx"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn equality_is_by_value() {
        for (left, right, equal) in [
            ("1", "1.000", true),
            ("100", "1e2", true),
            ("0", "-0.00", true),
            ("1", "-1", false),
            ("12345678901234567890123456789012345678901", "12345678901234567890123456789012345678902", false),
            ("0.1", "0.10000000000000000000000000000000000000000000001", false),
            ("inf", "Infinity", true),
            ("inf", "-inf", false),
            ("nan", "nan", false),
        ] {
            assert_eq!(read(left).equals(&read(right)), Ok(equal), "{left} {right}");
        }
        assert!(read("snan").equals(&read("1")).is_err());
    }

    #[test]
    fn a_millionth_is_near() {
        for (expected, said, near) in [
            ("1.0", "1.000001", true),
            ("1.0", "1.0000011", false),
            ("0.0", "0.000001", true),
            ("0.0", "-0.0000010001", false),
            ("1000000.0", "1000001.0", true),
            ("1000000.0", "1000001.1", false),
            ("-2.5", "-2.5000001", true),
            ("2.5", "-2.5", false),
            ("1e-300", "1e300", false),
            ("1e300", "1e-300", false),
            ("1e-300", "2e-300", true),
            ("1e-999999999", "0.5", false),
            ("1e-999999999", "1e-7", true),
            ("0.0", "0.0", true),
            ("999999.5", "1000000.4", true),
            ("0.9", "1.1", false),
            ("inf", "1.0", false),
        ] {
            assert_eq!(read(expected).is_near(&read(said)), Ok(near), "{expected} {said}");
        }
        assert!(read("1e1000000").is_near(&read("1.0")).is_err());
    }
}
