// SPDX-License-Identifier: Apache-2.0
//! What a solution returned, as data, and when it is what was expected.

use gym_env::{RewardRules, python};

/// A value of Python, without the methods of its class.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Bool(bool),
    /// Decimal digits, with a sign if it is negative.
    Int(String),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    /// In order of insertion.
    Dict(Vec<(Value, Value)>),
    /// A number of a class that JSON does not know, with the number it is equal to.
    Exotic(Box<Value>),
    /// Equal to nothing that JSON can spell.
    Other,
}

/// Python raises an error when it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raised(pub(crate) &'static str);

impl From<python::Value> for Value {
    fn from(value: python::Value) -> Self {
        match value {
            python::Value::None => Self::None,
            python::Value::Bool(truth) => Self::Bool(truth),
            python::Value::Int(number) => Self::Int(number.to_string()),
            python::Value::Large(digits) => Self::Int(digits),
            python::Value::Float(float) => Self::Float(float),
            python::Value::Text(text) => Self::Text(text),
            python::Value::List(items) => Self::List(items.into_iter().map(Self::from).collect()),
            python::Value::Dict(members) => {
                Self::Dict(members.into_iter().map(|(name, value)| (Self::Text(name), value.into())).collect())
            }
        }
    }
}

impl Value {
    /// Reads a JSON text as Python's `json.loads` does.
    pub(crate) fn read(text: &str) -> Result<Self, python::NotJson> {
        python::loads(text).map(Self::from)
    }

    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Dict(members) = self else { return None };
        members.iter().find(|(key, _)| matches!(key, Self::Text(key) if key == name)).map(|(_, value)| value)
    }

    /// A member of an object that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What the driver wrote of a value: objects say what it is.
    pub(crate) fn decoded(self) -> Self {
        let all = |items: Vec<Self>| items.into_iter().map(Self::decoded).collect();
        let members = match self {
            Self::List(items) => return Self::List(all(items)),
            Self::Dict(members) => members,
            other => return other,
        };
        let Ok([(Self::Text(kind), content)]) = <[_; 1]>::try_from(members) else { return Self::Other };
        match (&*kind, content) {
            ("t", Self::List(items)) => Self::Tuple(all(items)),
            ("d", Self::List(pairs)) => {
                let pair = |pair: Self| match pair {
                    Self::List(pair) => {
                        <[_; 2]>::try_from(pair).ok().map(|[key, value]| (key.decoded(), value.decoded()))
                    }
                    _ => None,
                };
                pairs.into_iter().map(pair).collect::<Option<_>>().map_or(Self::Other, Self::Dict)
            }
            ("e", number @ (Self::Int(_) | Self::Float(_))) => Self::Exotic(Box::new(number)),
            _ => Self::Other,
        }
    }

    /// Whether the function's result is what is expected: equal, of the same JSON text, or (floats, and floats in a list
    /// by the current rule) near enough.
    pub(crate) fn is_answered_by(&self, said: &Self, rules: RewardRules) -> Result<bool, Raised> {
        if self.equals(said) || self.has_json_of(said) || self.is_near(said)? {
            return Ok(true);
        }
        let (RewardRules::Current, Self::List(expected), Self::List(items)) = (rules, self, said) else {
            return Ok(false);
        };
        if expected.len() != items.len() {
            return Ok(false);
        }
        for (expected, said) in expected.iter().zip(items) {
            if !expected.is_near(said)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `==`
    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exotic(number), other) | (other, Self::Exotic(number)) => number.equals(other),
            (Self::None, Self::None) => true,
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::List(left), Self::List(right)) | (Self::Tuple(left), Self::Tuple(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.equals(right))
            }
            (Self::Dict(left), Self::Dict(right)) => {
                let member = |name: &str| right.iter().find(|(key, _)| matches!(key, Self::Text(key) if key == name));
                left.len() == right.len()
                    && left.iter().zip(right).all(|((key, value), (beside, at_hand))| match (key, beside) {
                        (Self::Text(name), Self::Text(beside)) if name == beside => value.equals(at_hand),
                        (Self::Text(name), _) => member(name).is_some_and(|(_, other)| value.equals(other)),
                        _ => false,
                    })
            }
            _ => match (self.number(), other.number()) {
                (Some(Number::Int(left)), Some(Number::Int(right))) => left == right,
                (Some(Number::Float(left)), Some(Number::Float(right))) => left == right,
                (Some(Number::Int(int)), Some(Number::Float(float)))
                | (Some(Number::Float(float)), Some(Number::Int(int))) => {
                    // The format writes all digits of a whole number.
                    float.fract() == 0.0 && (format!("{float:.0}") == int || float == 0.0 && int == "0")
                }
                _ => false,
            },
        }
    }

    fn number(&self) -> Option<Number<'_>> {
        match self {
            Self::Bool(truth) => Some(Number::Int(if *truth { "1" } else { "0" })),
            Self::Int(digits) => Some(Number::Int(digits)),
            Self::Float(float) => Some(Number::Float(*float)),
            _ => None,
        }
    }

    /// Whether Python writes the same JSON text for both; this one was read from JSON.
    fn has_json_of(&self, said: &Self) -> bool {
        match (self, said) {
            (Self::None, Self::None) => true,
            (Self::Bool(expected), Self::Bool(said)) => expected == said,
            (Self::Int(expected), Self::Int(said)) | (Self::Text(expected), Self::Text(said)) => expected == said,
            (Self::Float(expected), Self::Float(said)) => {
                expected.to_bits() == said.to_bits() || expected.is_nan() && said.is_nan()
            }
            (Self::List(expected), Self::List(said) | Self::Tuple(said)) => {
                expected.len() == said.len()
                    && expected.iter().zip(said).all(|(expected, said)| expected.has_json_of(said))
            }
            (Self::Dict(expected), Self::Dict(said)) => {
                expected.len() == said.len()
                    && expected.iter().zip(said).all(|((name, expected), (key, said))| {
                        matches!((name, key.json_key()), (Self::Text(name), Some(key)) if *name == key)
                            && expected.has_json_of(said)
                    })
            }
            _ => false,
        }
    }

    /// The name that a dictionary's key has in JSON.
    fn json_key(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::None => Some("null".to_owned()),
            Self::Bool(truth) => Some(truth.to_string()),
            Self::Int(digits) => Some(digits.clone()),
            Self::Float(float) if float.is_nan() => Some("NaN".to_owned()),
            Self::Float(float) if float.is_infinite() => {
                Some(if *float > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
            }
            Self::Float(float) => Some(python::repr_float(*float)),
            _ => None,
        }
    }

    /// Whether one of them is a `float`, and they are nearly the same, as `numpy.allclose` has it.
    fn is_near(&self, said: &Self) -> Result<bool, Raised> {
        if self.equals(said) {
            return Ok(true);
        }
        if !matches!(self, Self::Float(_)) && !matches!(said, Self::Float(_)) {
            return Ok(false);
        }
        let (Some(said), Some(expected)) = (said.to_float()?, self.to_float()?) else { return Ok(false) };
        if !said.is_finite() || !expected.is_finite() {
            return Ok(said == expected);
        }
        Ok((said - expected).abs() <= 1e-8 + 1e-5 * expected.abs())
    }

    /// What `float(value)` gives; nothing for a `bool`, and where it is no number.
    fn to_float(&self) -> Result<Option<f64>, Raised> {
        match self {
            Self::Float(float) => Ok(Some(*float)),
            Self::Int(digits) => match digits.parse::<f64>() {
                Ok(float) if float.is_finite() => Ok(Some(float)),
                _ => Err(Raised("OverflowError('int too large to convert to float')")),
            },
            Self::Text(text) => Ok(python::float(text)),
            _ => Ok(None),
        }
    }

    /// What `repr` gives.
    pub(crate) fn repr(&self) -> String {
        let all = |items: &[Self]| items.iter().map(Self::repr).collect::<Vec<_>>().join(", ");
        match self {
            Self::None => "None".to_owned(),
            Self::Bool(truth) => if *truth { "True" } else { "False" }.to_owned(),
            Self::Int(digits) => digits.clone(),
            Self::Float(float) => python::repr_float(*float),
            Self::Text(text) => python::repr_str(text),
            Self::List(items) => format!("[{}]", all(items)),
            Self::Tuple(items) if items.len() == 1 => format!("({},)", items[0].repr()),
            Self::Tuple(items) => format!("({})", all(items)),
            Self::Dict(members) => {
                let member = |(key, value): &(Self, Self)| format!("{}: {}", key.repr(), value.repr());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
            Self::Exotic(number) => number.repr(),
            Self::Other => "...".to_owned(),
        }
    }

    /// What `str` gives.
    pub(crate) fn str(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.repr(),
        }
    }
}

enum Number<'a> {
    Int(&'a str),
    Float(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(expected: &str, said: &str, rules: RewardRules) -> Result<bool, Raised> {
        Value::read(expected).unwrap().is_answered_by(&Value::read(said).unwrap().decoded(), rules)
    }

    #[test]
    fn results_are_compared_as_python_compares_them() {
        // Expected, returned, right by the current rule, right by that of August 2026.
        for (expected, said, current, august) in [
            ("1", "1.0", true, true),
            ("1", "true", true, true),
            ("[1, 0]", "[true, false]", true, true),
            ("null", "false", false, false),
            ("\"a\"", "\"a\"", true, true),
            ("\"1\"", "1", false, false),
            // Text that is a number, beside a float.
            ("1.5", "\"1.5\"", true, true),
            ("\"0.5\"", "0.5", true, true),
            ("\"half\"", "0.5", false, false),
            ("0.1", "0.1000000001", true, true),
            ("0.1", "0.5", false, false),
            ("[0.1, 0.2]", "[0.1000000001, 0.2]", true, false),
            ("[0.1, 0.2]", "[0.1000000001]", false, false),
            ("[[0.1], 0.2]", "[[0.1000000001], 0.2]", false, false),
            ("50000000000000000", "50000000000000001", false, false),
            ("[50000000000000000]", "[50000000000000001]", false, false),
            // 2^60 is a float, 2^60+1 is none: near by the rule for floats.
            ("1152921504606846977", "1152921504606846976.0", true, true),
            ("1.0", "false", false, false),
            // A tuple within a list has the JSON text of a list; but not where a float stands for an int.
            ("[[1, 2]]", r#"[{"t": [1, 2]}]"#, true, true),
            ("[[1, 2.0]]", r#"[{"t": [1, 2]}]"#, false, false),
            (r#"{"a": 1, "b": 2}"#, r#"{"d": [["b", 2], ["a", 1]]}"#, true, true),
            (r#"{"1": "x"}"#, r#"{"d": [[1, "x"]]}"#, true, true),
            (r#"{"1": "x", "2": "y"}"#, r#"{"d": [[2, "y"], [1, "x"]]}"#, false, false),
            (r#"{"true": 1}"#, r#"{"d": [[true, 1]]}"#, true, true),
            ("NaN", "NaN", true, true),
            ("[NaN]", "[NaN]", true, true),
            ("Infinity", "Infinity", true, true),
            ("0.0", "-0.0", true, true),
            ("3", r#"{"e": 3}"#, true, true),
            ("0.5", r#"{"e": 0.5}"#, true, true),
            ("0.5", r#"{"e": 0.50000001}"#, false, false),
            ("[1, 2]", r#"{"o": 0}"#, false, false),
            ("[]", "[]", true, true),
            ("[]", "null", false, false),
            (r#"{}"#, r#"{"d": []}"#, true, true),
        ] {
            assert_eq!(answers(expected, said, RewardRules::Current), Ok(current), "{expected} {said}");
            assert_eq!(answers(expected, said, RewardRules::August2026), Ok(august), "{expected} {said}");
        }
    }

    #[test]
    fn whole_numbers_keep_their_digits() {
        for digits in ["0", "-17", &"9".repeat(400)] {
            assert_eq!(Value::read(digits).unwrap().repr(), digits);
        }
    }

    #[test]
    fn a_number_beyond_floats_raises() {
        let huge = format!("1{}", "0".repeat(400));
        assert!(answers("1.5", &huge, RewardRules::Current).is_err());
        assert_eq!(answers(&huge, &huge, RewardRules::Current), Ok(true));
        assert_eq!(answers("1", &huge, RewardRules::Current), Ok(false));
    }
}
