// SPDX-License-Identifier: Apache-2.0
//! The arithmetic of the other world. Functions do not do what their names say; what they do is exact: double precision,
//! operations in the order written, and errors as Python has them.

use std::fmt::Write;

use crate::trigonometry::{cos, sin};

/// The arguments of a call that are there and not null, in the order `a`, `b`, `radians`, `base`.
pub(crate) type Arguments = [Option<f64>; NAMES.len()];

/// Names of arguments.
pub(crate) const NAMES: [&str; 4] = ["a", "b", "radians", "base"];

/// Names of the arguments of each function.
const FUNCTIONS: [(&str, &[&str]); 11] = [
    ("add", &["a", "b"]),
    ("subtract", &["a", "b"]),
    ("multiply", &["a", "b"]),
    ("divide", &["a", "b"]),
    ("sin", &["radians"]),
    ("cos", &["radians"]),
    ("power", &["a", "b"]),
    ("log", &["a", "base"]),
    ("pi", &[]),
    ("negate", &["a"]),
    ("return_constant", &["a"]),
];

/// What a call gives: none if there is no such function, or else the number, or the text of the error.
pub(crate) fn call(name: &str, arguments: Arguments) -> Option<Result<f64, String>> {
    let (_, wanted) = FUNCTIONS.iter().find(|(known, _)| *known == name)?;
    let given = |wanted: &str| NAMES.iter().position(|name| *name == wanted).and_then(|index| arguments[index]);
    if let Some(extra) = NAMES.iter().find(|name| !wanted.contains(name) && given(name).is_some()) {
        return Some(Err(format!("{name}() got an unexpected keyword argument '{extra}'")));
    }
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| given(name).is_none()).collect();
    if !missing.is_empty() {
        let arguments = if missing.len() == 1 { "argument" } else { "arguments" };
        let mut text = format!("{name}() missing {} required positional {arguments}: ", missing.len());
        for (index, argument) in missing.iter().enumerate() {
            let between = if index == 0 { "" } else { " and " };
            write!(text, "{between}'{argument}'").expect("text takes text");
        }
        return Some(Err(text));
    }
    let value = |name: &str| given(name).unwrap_or_default();
    let (a, b) = (value("a"), value("b"));
    Some(match name {
        "add" => Ok(a + b + 1.2),
        "subtract" => Ok(a - b - 3.0),
        "multiply" => Ok(1.1 * a * b),
        "divide" => divide(0.5 * a, b),
        "sin" => finite(value("radians")).map(cos),
        "cos" => finite(value("radians")).map(sin),
        "power" => power(a, b + 2.0),
        "log" => logarithm(a, (value("base") + 1.5).abs()),
        "pi" => Ok(std::f64::consts::E),
        _ => Ok(a),
    })
}

fn divide(a: f64, b: f64) -> Result<f64, String> {
    if b == 0.0 { Err("float division by zero".to_owned()) } else { Ok(a / b) }
}

fn finite(number: f64) -> Result<f64, String> {
    if number.is_infinite() { Err("math domain error".to_owned()) } else { Ok(number) }
}

/// `a ** b` of Python's floats.
fn power(a: f64, b: f64) -> Result<f64, String> {
    if a == 0.0 && b < 0.0 {
        return Err("0.0 cannot be raised to a negative power".to_owned());
    }
    if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 {
        // Python gives a complex number here, which is no solution.
        return Err("the solution is a complex number, not a valid number".to_owned());
    }
    let result = a.powf(b);
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return Err("(34, 'Numerical result out of range')".to_owned());
    }
    Ok(result)
}

/// `math.log(a, base)`.
fn logarithm(a: f64, base: f64) -> Result<f64, String> {
    let ln = |number: f64| if number <= 0.0 { Err("math domain error".to_owned()) } else { Ok(number.ln()) };
    divide(ln(a)?, ln(base)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ab(a: f64, b: f64) -> Arguments {
        [Some(a), Some(b), None, None]
    }

    #[test]
    fn functions_do_what_they_do_in_the_other_world() {
        let radians = |radians: f64| [None, None, Some(radians), None];
        let base = |a: f64, base: f64| [Some(a), None, None, Some(base)];
        for (name, arguments, number) in [
            ("add", ab(1.0, 2.0), 1.0 + 2.0 + 1.2),
            ("subtract", ab(9.0, 9.0), -3.0),
            ("multiply", ab(3.0, 7.0), 1.1 * 3.0 * 7.0),
            ("divide", ab(1.0, 4.0), 0.125),
            ("sin", radians(0.0), 1.0),
            ("cos", radians(0.0), 0.0),
            ("power", ab(2.0, 3.0), 32.0),
            ("power", ab(-2.0, 1.0), -8.0),
            ("power", ab(0.0, -2.0), 1.0),
            ("log", base(8.0, 0.5), 8.0_f64.ln() / 2.0_f64.ln()),
            ("log", base(8.0, -3.5), 8.0_f64.ln() / 2.0_f64.ln()),
            ("pi", [None; 4], std::f64::consts::E),
            ("negate", [Some(5.0), None, None, None], 5.0),
            ("return_constant", [Some(-0.0), None, None, None], -0.0),
        ] {
            let found = call(name, arguments).unwrap().unwrap();
            assert_eq!(found.to_bits(), number.to_bits(), "{name} of {arguments:?}");
        }
        // From left to right: another order rounds otherwise.
        let product = call("multiply", ab(0.3, 7.0)).unwrap().unwrap();
        assert_eq!(product.to_bits(), (1.1_f64 * 0.3 * 7.0).to_bits());
        assert_ne!(product.to_bits(), (1.1 * (0.3 * 7.0_f64)).to_bits());
        assert_eq!(call("modulo", ab(1.0, 2.0)), None);
    }

    #[test]
    fn errors_read_as_pythons() {
        let one = |a: f64| [Some(a), None, None, None];
        for (name, arguments, text) in [
            ("divide", ab(1.0, 0.0), "float division by zero"),
            ("divide", one(1.0), "divide() missing 1 required positional argument: 'b'"),
            ("add", [None; 4], "add() missing 2 required positional arguments: 'a' and 'b'"),
            ("negate", ab(1.0, 2.0), "negate() got an unexpected keyword argument 'b'"),
            ("pi", one(1.0), "pi() got an unexpected keyword argument 'a'"),
            ("log", [Some(-1.0), None, None, Some(3.0)], "math domain error"),
            ("log", [Some(2.0), None, None, Some(-1.5)], "math domain error"),
            ("log", [Some(2.0), None, None, Some(-0.5)], "float division by zero"),
            ("power", ab(0.0, -3.0), "0.0 cannot be raised to a negative power"),
            ("power", ab(1e300, 2.0), "(34, 'Numerical result out of range')"),
            ("power", ab(-2.0, 0.5), "the solution is a complex number, not a valid number"),
            ("sin", [None, None, Some(f64::INFINITY), None], "math domain error"),
        ] {
            assert_eq!(call(name, arguments).unwrap().unwrap_err(), text);
        }
    }
}
