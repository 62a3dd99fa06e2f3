// SPDX-License-Identifier: Apache-2.0
//! Rollouts in an order.

use std::{cmp::Ordering, sync::Arc};

use crate::{
    query::{Query, QueryError},
    table::{NUMBER_FIELDS, State, Table},
};

/// What rollouts are ordered by. Those that lack it come last, both ways; equal ones stay in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// A field's name; `None` keeps the order of the file.
    field: Option<String>,
    descending: bool,
}

const TEXT_FIELDS: [&str; 6] = ["agent", "model", "failure", "prompt", "state", "file"];

impl Order {
    /// Reads `field` or `-field`; an empty text is the order of the file.
    pub fn parse(text: &str, table: &Table) -> Result<Self, QueryError> {
        let (descending, field) = match text.strip_prefix('-') {
            Some(field) => (true, field),
            None => (false, text),
        };
        if field.is_empty() {
            return Ok(Self { field: None, descending });
        }
        let known = || NUMBER_FIELDS.into_iter().chain(TEXT_FIELDS).chain(table.number_names());
        if !known().any(|name| name == field) {
            return Err(QueryError::Field { name: field.to_owned(), known: known().collect::<Vec<_>>().join(", ") });
        }
        Ok(Self { field: Some(field.to_owned()), descending })
    }

    /// Sorts indices of rows, which are in the order of the file.
    pub fn sort(&self, rows: &mut [u32], table: &Table) {
        let turn = |order: Ordering| if self.descending { order.reverse() } else { order };
        let Some(field) = &self.field else {
            if self.descending {
                rows.reverse();
            }
            return;
        };
        let all = table.rows();
        if TEXT_FIELDS.contains(&field.as_str()) {
            let text = |index: &u32| {
                let row = &all[*index as usize];
                match field.as_str() {
                    "agent" => table.agent(row),
                    "model" => table.model(row),
                    "failure" => table.failure(row),
                    "state" => row.state.name(),
                    "file" => ["a", "b"][usize::from(row.side.min(1))],
                    _ => &row.search,
                }
            };
            rows.sort_by(|left, right| {
                let (left, right) = (text(left), text(right));
                left.is_empty().cmp(&right.is_empty()).then_with(|| turn(left.cmp(right)))
            });
            return;
        }
        let mut keyed: Vec<(f64, u32)> =
            rows.iter().map(|index| (table.value(field, *index as usize).unwrap_or(f64::NAN), *index)).collect();
        keyed.sort_by(|(left, _), (right, _)| {
            let missing = left.is_nan().cmp(&right.is_nan());
            missing.then_with(|| turn(left.partial_cmp(right).unwrap_or(Ordering::Equal)))
        });
        for (slot, (_, index)) in rows.iter_mut().zip(keyed) {
            *slot = index;
        }
    }
}

/// The rows that pass a filter, in an order.
#[derive(Debug)]
pub(crate) struct Selection {
    pub rows: Vec<u32>,
    /// How many of them have a reward that counts, and its mean.
    pub scored: u64,
    pub mean: Option<f64>,
}

/// Makes a selection.
pub(crate) fn select(table: &Table, query: &Query, order: &Order) -> Selection {
    let count = u32::try_from(table.rows().len()).unwrap_or(u32::MAX);
    let mut rows: Vec<u32> = if query.is_empty() {
        (0..count).collect()
    } else {
        (0..count).filter(|index| query.matches(table, *index as usize)).collect()
    };
    let (mut scored, mut sum) = (0_u64, 0.0);
    for row in rows.iter().map(|index| &table.rows()[*index as usize]).filter(|row| row.state == State::Scored) {
        scored += 1;
        sum += row.reward;
    }
    order.sort(&mut rows, table);
    Selection { rows, scored, mean: (scored > 0).then(|| sum / scored as f64) }
}

/// The selections that were asked for last: a list is read page by page.
#[derive(Default)]
pub(crate) struct Orders(Vec<(Key, Arc<Selection>)>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub filter: String,
    pub sort: String,
    pub revision: u64,
}

/// How many selections are kept.
const KEPT: usize = 6;

impl Orders {
    pub(crate) fn get(&mut self, key: &Key) -> Option<Arc<Selection>> {
        let at = self.0.iter().position(|(kept, _)| kept == key)?;
        let found = self.0.remove(at);
        let selection = found.1.clone();
        self.0.push(found);
        Some(selection)
    }

    pub(crate) fn keep(&mut self, key: Key, selection: Arc<Selection>) {
        if self.0.len() >= KEPT {
            self.0.remove(0);
        }
        self.0.push((key, selection));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{extract, table::Place};

    #[test]
    fn rows_without_the_field_come_last_and_equal_ones_keep_their_order() {
        let rows = [
            r#"{"reward":0.5,"agent_ref":{"name":"b"},"x":2}"#,
            r#"{"agent_ref":{"name":"a"}}"#,
            r#"{"reward":1,"x":3}"#,
            r#"{"reward":0.5,"agent_ref":{"name":"c"}}"#,
        ];
        let mut table = Table::default();
        for (row, line) in rows.into_iter().zip(1..) {
            let place = Place { side: 0, in_failures: false, line, offset: 0, bytes: 0 };
            table.push(place, extract::facts(Bytes::from_static(row.as_bytes())));
        }
        for (sort, expected) in [
            ("", [0, 1, 2, 3]),
            ("-", [3, 2, 1, 0]),
            ("reward", [0, 3, 2, 1]),
            ("-reward", [2, 0, 3, 1]),
            ("agent", [1, 0, 3, 2]),
            ("-agent", [3, 0, 1, 2]),
            ("-x", [2, 0, 1, 3]),
            ("-line", [3, 2, 1, 0]),
        ] {
            let order = Order::parse(sort, &table).unwrap();
            let selection = select(&table, &Query::default(), &order);
            assert_eq!(selection.rows, expected, "{sort}");
            assert_eq!((selection.scored, selection.mean), (3, Some(2.0 / 3.0)));
        }
        let error = Order::parse("colour", &table).unwrap_err().to_string();
        assert!(error.contains("no field `colour`"), "{error}");
    }
}
