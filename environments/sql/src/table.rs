// SPDX-License-Identifier: Apache-2.0
//! The result of a query.

use rusqlite::types::ValueRef;
use serde_json::{Value, json};

/// Characters of a text that a tool shows.
const SHOWN_CHARS: usize = 200;

/// One value of a result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    /// A text that is not UTF-8 is kept as its bytes.
    pub(crate) fn from_sqlite(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(_) => Self::Blob(bytes.to_owned()),
            },
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_owned()),
        }
    }

    /// About how many bytes of memory the value takes.
    pub(crate) fn size(&self) -> usize {
        let content = match self {
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        };
        size_of::<Self>() + content
    }

    /// The number, if it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Null | Self::Text(_) | Self::Blob(_) => None,
        }
    }

    /// The value as a model reads it; long ones are cut.
    pub(crate) fn shown(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => json!(number),
            Self::Real(number) if number.is_finite() => json!(number),
            Self::Real(number) => json!(number.to_string()),
            Self::Text(text) => match text.char_indices().nth(SHOWN_CHARS) {
                Some((end, _)) => json!(format!("{}…", &text[..end])),
                None => json!(text),
            },
            Self::Blob(bytes) => json!(format!("(blob of {} bytes)", bytes.len())),
        }
    }
}

/// Rows with names of their columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}
