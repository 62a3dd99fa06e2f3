// SPDX-License-Identifier: Apache-2.0
//! Binds arguments to parameters as a call of a Python method with keywords does.

use gym_env::python::{Value, repr_str};

use crate::raise::{Raise, raise};

/// What a parameter is when it is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// `None`
    None,
    /// `""`
    Empty,
    /// A whole number.
    Number(i128),
}

/// A parameter and its default.
pub(crate) type Parameter = (&'static str, Default);

/// The value of each parameter, in order. Fails, with Python's text, at the first argument that is no parameter.
pub(crate) fn bind(
    function: &str,
    parameters: &[Parameter],
    arguments: Vec<(String, Value)>,
) -> Result<Vec<Value>, Raise> {
    let mut values: Vec<Option<Value>> = vec![None; parameters.len()];
    for (name, value) in arguments {
        if name == "self" {
            return raise(format!("{function}() got multiple values for argument 'self'"));
        }
        match parameters.iter().position(|(parameter, _)| *parameter == name) {
            Some(place) => values[place] = Some(value),
            None => {
                let known = std::iter::once("self").chain(parameters.iter().map(|(parameter, _)| *parameter));
                let hint = similar(&name, known).map(|known| format!(". Did you mean {}?", repr_str(known)));
                let hint = hint.unwrap_or_default();
                return raise(format!("{function}() got an unexpected keyword argument '{name}'{hint}"));
            }
        }
    }
    let default = |default: &Default| match default {
        Default::None => Value::None,
        Default::Empty => Value::Text(String::new()),
        Default::Number(number) => Value::Int(*number),
    };
    Ok(values.into_iter().zip(parameters).map(|(value, (_, or))| value.unwrap_or_else(|| default(or))).collect())
}

/// What one letter for another costs, and what letters that differ in case only cost.
const MOVE: usize = 2;
const CASE: usize = 1;

/// Longer names are not compared.
const LONGEST: usize = 40;

/// The name that Python 3.13 suggests in place of a wrong one.
fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let mut limit = (name.len() + candidate.len() + 3) * MOVE / 6;
        if let Some((distance, _)) = best {
            limit = limit.min(distance - 1);
        }
        let distance = distance(name.as_bytes(), candidate.as_bytes(), limit);
        if distance <= limit && best.is_none_or(|(known, _)| distance < known) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The cost of turning one name into the other; anything above the limit stands for all that is above it.
fn distance(left: &[u8], right: &[u8], limit: usize) -> usize {
    if left == right {
        return 0;
    }
    let front = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let (left, right) = (&left[front..], &right[front..]);
    let back = left.iter().rev().zip(right.iter().rev()).take_while(|(left, right)| left == right).count();
    let (left, right) = (&left[..left.len() - back], &right[..right.len() - back]);
    if left.is_empty() || right.is_empty() {
        return (left.len() + right.len()) * MOVE;
    }
    if left.len() > LONGEST || right.len() > LONGEST {
        return limit + 1;
    }
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    if (long.len() - short.len()) * MOVE > limit {
        return limit + 1;
    }
    let mut row: Vec<usize> = (1..=short.len()).map(|count| count * MOVE).collect();
    for (index, letter) in long.iter().enumerate() {
        let mut diagonal = index * MOVE;
        let mut before = diagonal + MOVE;
        for (place, other) in row.iter_mut().zip(short) {
            let substituted = diagonal + substitution(*letter, *other);
            diagonal = *place;
            *place = substituted.min(before.min(diagonal) + MOVE);
            before = *place;
        }
        if row.iter().all(|cost| *cost > limit) {
            return limit + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn substitution(left: u8, right: u8) -> usize {
    if left == right {
        0
    } else if left.eq_ignore_ascii_case(&right) {
        CASE
    } else {
        MOVE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: [Parameter; 3] =
        [("recipient", Default::None), ("subject", Default::Empty), ("page", Default::Number(1))];

    fn call(names: &[&str]) -> Result<Vec<String>, Raise> {
        let arguments = names.iter().map(|name| ((*name).to_owned(), Value::Bool(true))).collect();
        Ok(bind("Tool.send", &PARAMETERS, arguments)?.iter().map(Value::repr).collect())
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        assert_eq!(call(&["subject"]).unwrap(), ["None", "True", "1"]);
        assert_eq!(call(&[]).unwrap(), ["None", "''", "1"]);
    }

    #[test]
    fn unknown_arguments_fail_with_pythons_text() {
        for (name, text) in [
            ("bogus", "Tool.send() got an unexpected keyword argument 'bogus'"),
            ("recipent", "Tool.send() got an unexpected keyword argument 'recipent'. Did you mean 'recipient'?"),
            ("Page", "Tool.send() got an unexpected keyword argument 'Page'. Did you mean 'page'?"),
            ("self", "Tool.send() got multiple values for argument 'self'"),
        ] {
            assert_eq!(call(&["page", name]), raise(text));
        }
    }
}
