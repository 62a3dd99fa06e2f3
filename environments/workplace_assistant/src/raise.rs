// SPDX-License-Identifier: Apache-2.0
//! What the tools raise, with the texts that Python gives: the model reads them.

use gym_env::python::Value;
use serde_json::Value as Json;

/// A call that failed, with the text of the exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raise(pub(crate) String);

/// What a tool gives: the value that the model reads.
pub(crate) type Reply = Result<Json, Raise>;

/// Fails with this text.
pub(crate) fn raise<T>(text: impl Into<String>) -> Result<T, Raise> {
    Err(Raise(text.into()))
}

/// The lower-case text, as by a method that only `str` has.
pub(crate) fn lower(value: &Value) -> Result<String, Raise> {
    match value.as_text() {
        Some(text) => Ok(text.to_lowercase()),
        None => raise(format!("'{}' object has no attribute 'lower'", value.type_name())),
    }
}

/// Whether a text is in a value: as a part of a `str`, an item of a `list`, a key of a `dict`.
pub(crate) fn holds(value: &Value, text: &str) -> Result<bool, Raise> {
    match value {
        Value::Text(whole) => Ok(whole.contains(text)),
        Value::List(items) => Ok(items.iter().any(|item| item.as_text() == Some(text))),
        Value::Dict(_) => Ok(value.get(text).is_some()),
        _ => raise(format!("argument of type '{}' is not iterable", value.type_name())),
    }
}

/// A value that stands for one thing in a comparison with a column: lists are compared item by item, and fail unless
/// they are as long as the column.
pub(crate) fn scalar(value: &Value, rows: usize) -> Result<&Value, Raise> {
    match value {
        Value::List(items) => raise(format!("('Lengths must match to compare', ({rows},), ({},))", items.len())),
        _ => Ok(value),
    }
}

/// The name of a field: lists and dicts cannot be looked up.
pub(crate) fn hashable(value: &Value) -> Result<&Value, Raise> {
    match value {
        Value::List(_) | Value::Dict(_) => raise(format!("unhashable type: '{}'", value.type_name())),
        _ => Ok(value),
    }
}

/// Which side of a comparison `cell >= bound` (or `<=`) a text is on. Only texts compare with texts.
pub(crate) fn compare(cell: &Value, bound: &Value, operator: &str) -> Result<std::cmp::Ordering, Raise> {
    match (cell.as_text(), bound.as_text()) {
        (Some(cell), Some(bound)) => Ok(cell.cmp(bound)),
        _ => {
            let (left, right) = (cell.type_name(), bound.type_name());
            raise(format!("'{operator}' not supported between instances of '{left}' and '{right}'"))
        }
    }
}
