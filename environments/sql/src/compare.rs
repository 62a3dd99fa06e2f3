// SPDX-License-Identifier: Apache-2.0
//! Whether two results are the same answer.

use std::{cmp::Ordering, collections::HashMap};

use serde::Deserialize;

use crate::table::{Cell, Table};

/// Arrangements of columns that are tried.
const MAX_ARRANGEMENTS: usize = 100;

/// Rows that differ in numbers only, among which a pairing is searched when sorting them gives none.
const MAX_PAIRED: usize = 200;

/// Which order of columns is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ColumnOrder {
    /// Any, as long as it is the same in all rows.
    #[default]
    Any,
    /// That of the gold query.
    Exact,
}

/// How results are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether rows must come in the gold query's order.
    pub(crate) ordered: bool,
    pub(crate) columns: ColumnOrder,
    /// How far numbers may be apart if one of them is not whole: as a part of the larger one, and absolutely when that
    /// is below 1.
    pub(crate) tolerance: f64,
}

/// Whether `found` is the same answer as `gold`. Names of columns do not count.
pub(crate) fn same(gold: &Table, found: &Table, rules: Rules) -> bool {
    if gold.columns.len() != found.columns.len() || gold.rows.len() != found.rows.len() {
        return false;
    }
    let as_it_is: Vec<usize> = (0..gold.columns.len()).collect();
    if same_rows(gold, found, &as_it_is, rules) {
        return true;
    }
    rules.columns == ColumnOrder::Any && Arrangements::new(gold, found, rules).any_fits()
}

/// The search for an order of the columns.
struct Arrangements<'a> {
    gold: &'a Table,
    found: &'a Table,
    rules: Rules,
    /// For each column of `gold` those of `found` with the same values.
    candidates: Vec<Vec<usize>>,
    left: usize,
}

impl<'a> Arrangements<'a> {
    fn new(gold: &'a Table, found: &'a Table, rules: Rules) -> Self {
        let width = gold.columns.len();
        let column = |table: &Table, index: usize| Table {
            columns: vec![String::new()],
            rows: table.rows.iter().map(|row| vec![row[index].clone()]).collect(),
        };
        let columns: Vec<Table> = (0..width).map(|index| column(found, index)).collect();
        let candidates = (0..width).map(|index| {
            let wanted = column(gold, index);
            (0..width).filter(|other| same_rows(&wanted, &columns[*other], &[0], rules)).collect()
        });
        Self { gold, found, rules, candidates: candidates.collect(), left: MAX_ARRANGEMENTS }
    }

    fn any_fits(&mut self) -> bool {
        self.candidates.iter().all(|columns| !columns.is_empty()) && self.extend(&mut Vec::new())
    }

    fn extend(&mut self, chosen: &mut Vec<usize>) -> bool {
        if self.left == 0 {
            return false;
        }
        if chosen.len() == self.candidates.len() {
            self.left -= 1;
            return same_rows(self.gold, self.found, chosen, self.rules);
        }
        for position in 0..self.candidates[chosen.len()].len() {
            let column = self.candidates[chosen.len()][position];
            if chosen.contains(&column) {
                continue;
            }
            chosen.push(column);
            if self.extend(chosen) {
                return true;
            }
            chosen.pop();
        }
        // Dead ends count too: there may be many that never get to the last column.
        self.left = self.left.saturating_sub(1);
        false
    }
}

/// Whether the rows are the same when the columns of `found` are taken in this order.
fn same_rows(gold: &Table, found: &Table, order: &[usize], rules: Rules) -> bool {
    let arranged: Vec<Vec<&Cell>> =
        found.rows.iter().map(|row| order.iter().map(|column| &row[*column]).collect()).collect();
    let wanted: Vec<Vec<&Cell>> = gold.rows.iter().map(|row| row.iter().collect()).collect();
    if rules.ordered {
        return wanted.iter().zip(&arranged).all(|(one, other)| close(one, other, rules.tolerance));
    }
    same_bag(&wanted, &arranged, rules.tolerance)
}

type Row<'a> = Vec<&'a Cell>;

/// Whether every row of one side has a partner on the other. Rows are first sorted into groups by everything that is
/// not a number, where equality is exact.
fn same_bag(wanted: &[Row<'_>], arranged: &[Row<'_>], tolerance: f64) -> bool {
    let mut groups: HashMap<Vec<u8>, [Vec<&Row<'_>>; 2]> = HashMap::new();
    for (side, rows) in [wanted, arranged].into_iter().enumerate() {
        for row in rows {
            groups.entry(exact_part(row)).or_default()[side].push(row);
        }
    }
    groups.into_values().all(|[mut one, mut other]| {
        if one.len() != other.len() {
            return false;
        }
        one.sort_by(|a, b| by_numbers(a, b));
        other.sort_by(|a, b| by_numbers(a, b));
        one.iter().zip(&other).all(|(a, b)| close(a, b, tolerance)) || has_pairing(&one, &other, tolerance)
    })
}

/// What must be equal to the letter; the place of a number is marked.
fn exact_part(row: &Row<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    for cell in row {
        let (kind, content): (u8, &[u8]) = match cell {
            Cell::Null => (0, &[]),
            Cell::Integer(_) | Cell::Real(_) => (1, &[]),
            Cell::Text(text) => (2, text.as_bytes()),
            Cell::Blob(bytes) => (3, bytes),
        };
        key.push(kind);
        key.extend((content.len() as u64).to_le_bytes());
        key.extend(content);
    }
    key
}

fn by_numbers(one: &Row<'_>, other: &Row<'_>) -> Ordering {
    let pairs = one.iter().zip(other);
    let orders = pairs.map(|(a, b)| match (a, b) {
        (Cell::Integer(a), Cell::Integer(b)) => a.cmp(b),
        _ => a.number().unwrap_or(0.0).total_cmp(&b.number().unwrap_or(0.0)),
    });
    orders.fold(Ordering::Equal, Ordering::then)
}

/// Searches partners for all rows, by augmenting paths. Sorting can put rows side by side that do not belong together
/// when the first number of two rows differs by less than the tolerance.
fn has_pairing(one: &[&Row<'_>], other: &[&Row<'_>], tolerance: f64) -> bool {
    if one.len() > MAX_PAIRED {
        return false;
    }
    let fits: Vec<Vec<usize>> =
        one.iter().map(|row| (0..other.len()).filter(|index| close(row, other[*index], tolerance)).collect()).collect();
    let mut partner = vec![None; other.len()];
    (0..one.len()).all(|row| find_partner(row, &fits, &mut partner, &mut vec![false; other.len()]))
}

fn find_partner(row: usize, fits: &[Vec<usize>], partner: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for &candidate in &fits[row] {
        if std::mem::replace(&mut seen[candidate], true) {
            continue;
        }
        let is_free = match partner[candidate] {
            None => true,
            Some(taken_by) => find_partner(taken_by, fits, partner, seen),
        };
        if is_free {
            partner[candidate] = Some(row);
            return true;
        }
    }
    false
}

fn close(one: &Row<'_>, other: &Row<'_>, tolerance: f64) -> bool {
    one.iter().zip(other).all(|(a, b)| equal(a, b, tolerance))
}

/// Whole numbers are equal exactly, other numbers within the tolerance; a number is never equal to a text.
fn equal(one: &Cell, other: &Cell, tolerance: f64) -> bool {
    match (one, other) {
        (Cell::Integer(one), Cell::Integer(other)) => one == other,
        _ => match (one.number(), other.number()) {
            (Some(one), Some(other)) => {
                one == other
                    || (one.is_finite()
                        && other.is_finite()
                        && (one - other).abs() <= tolerance * one.abs().max(other.abs()).max(1.0))
            }
            _ => one == other,
        },
    }
}

#[cfg(test)]
mod tests;
