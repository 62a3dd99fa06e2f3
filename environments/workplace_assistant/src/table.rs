// SPDX-License-Identifier: Apache-2.0
//! Tables that behave like the data frames of Python's pandas, as far as the tools need it: labelled rows, cells of any
//! type, missing cells.

use std::rc::Rc;

use gym_env::python::Value;
use serde_json::{Map, Value as Json};

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The row's label. Deleting rows leaves gaps; some ways of adding a row number all of them anew.
    pub(crate) label: i64,
    /// One cell for each column.
    pub(crate) cells: Vec<Value>,
}

/// A table. Copies share their rows until one of them changes.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Rc<[String]>,
    rows: Rc<Vec<Row>>,
}

/// Cells that stand for nothing in a CSV file.
const MISSING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Columns whose texts are compared as they are written.
const CASE_MATTERS: [&str; 3] = ["status", "list_name", "board"];

impl Table {
    /// A table without rows.
    pub(crate) fn empty(columns: &[&str]) -> Self {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Self { columns, rows: Rc::default() }
    }

    /// Reads a CSV file. All cells are text, or missing. With `columns` the file has no line of names. The error is a
    /// sentence.
    pub(crate) fn from_csv(text: &str, columns: Option<&[&str]>) -> Result<Self, String> {
        let mut lines = csv_records(text)?.into_iter();
        let columns: Rc<[String]> = match columns {
            Some(names) => names.iter().map(|name| (*name).to_owned()).collect(),
            None => lines.next().ok_or("there is no line of names")?.into(),
        };
        let mut rows = Vec::new();
        for (number, record) in lines.enumerate() {
            if record.len() != columns.len() {
                return Err(format!("row {number} has {} cells, not {}", record.len(), columns.len()));
            }
            let label = i64::try_from(number).unwrap_or(i64::MAX);
            rows.push(Row { label, cells: record.into_iter().map(cell).collect() });
        }
        Ok(Self { columns, rows: Rc::new(rows) })
    }

    /// The names of the columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Where a column is.
    pub(crate) fn find_column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Where a column is that every such table has.
    ///
    /// # Panics
    /// When it is not there: files are checked when they are read.
    pub(crate) fn column(&self, name: &str) -> usize {
        self.find_column(name).expect("the columns are checked when a file is read")
    }

    /// The rows, in order.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows, to change them.
    pub(crate) fn rows_mut(&mut self) -> &mut Vec<Row> {
        Rc::make_mut(&mut self.rows)
    }

    /// The first row with this value in a column.
    pub(crate) fn find(&self, column: &str, value: &Value) -> Option<&Row> {
        let column = self.column(column);
        self.rows.iter().find(|row| row.cells[column] == *value)
    }

    /// Deletes the rows with this value in a column. The others keep their labels.
    pub(crate) fn delete(&mut self, column: &str, value: &Value) {
        let column = self.column(column);
        self.rows_mut().retain(|row| row.cells[column] != *value);
    }

    /// Adds a row with this label. Columns that are not named are missing.
    pub(crate) fn push(&mut self, label: i64, cells: &[(&str, Value)]) {
        let value_of = |name: &String| cells.iter().find(|(cell, _)| cell == name).map(|(_, value)| value.clone());
        let cells = self.columns.iter().map(|name| value_of(name).unwrap_or(Value::None)).collect();
        self.rows_mut().push(Row { label, cells });
    }

    /// Adds a row and numbers all rows anew.
    pub(crate) fn push_and_renumber(&mut self, cells: &[(&str, Value)]) {
        self.push(0, cells);
        for (label, row) in (0..).zip(self.rows_mut()) {
            row.label = label;
        }
    }

    /// A row as an object with its columns in order.
    pub(crate) fn record(&self, row: &Row) -> Json {
        let members: Map<String, Json> = self.columns.iter().cloned().zip(row.cells.iter().map(json)).collect();
        Json::Object(members)
    }

    /// Whether two tables count as the same: labels and order of rows, and cells; texts without regard to case (but for
    /// some columns), and whatever is not text as missing.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        if Rc::ptr_eq(&self.rows, &other.rows) {
            return true;
        }
        self.columns == other.columns
            && self.rows.len() == other.rows.len()
            && self.rows.iter().zip(other.rows.iter()).all(|(left, right)| {
                left.label == right.label
                    && self.columns.iter().zip(left.cells.iter().zip(&right.cells)).all(|(column, (left, right))| {
                        if CASE_MATTERS.contains(&column.as_str()) {
                            is_missing(left) && is_missing(right) || left == right
                        } else {
                            is_same_text(left.as_text(), right.as_text())
                        }
                    })
            })
    }
}

fn is_same_text(left: Option<&str>, right: Option<&str>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => left == right || left.to_lowercase() == right.to_lowercase(),
        (None, None) => true,
        _ => false,
    }
}

/// Whether a cell holds nothing.
pub(crate) fn is_missing(value: &Value) -> bool {
    match value {
        Value::None => true,
        Value::Float(number) => number.is_nan(),
        _ => false,
    }
}

fn cell(text: String) -> Value {
    if MISSING.contains(&text.as_str()) { Value::Float(f64::NAN) } else { Value::Text(text) }
}

/// A value as the model reads it. What JSON cannot spell is null.
pub(crate) fn json(value: &Value) -> Json {
    value.to_json(|_| Json::Null)
}

/// The records of a CSV file: cells between commas, in double quotes where they hold commas, quotes or line ends. Empty
/// lines are passed over.
fn csv_records(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut records = Vec::new();
    let mut record: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut was_quoted = false;
    let mut letters = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            ',' if !quoted => {
                record.push(std::mem::take(&mut cell));
                was_quoted = false;
            }
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                if !record.is_empty() || !cell.is_empty() || was_quoted {
                    record.push(std::mem::take(&mut cell));
                    records.push(std::mem::take(&mut record));
                }
                was_quoted = false;
            }
            _ => cell.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    if !record.is_empty() || !cell.is_empty() || was_quoted {
        record.push(cell);
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn table() -> Table {
        Table::from_csv("id,name,status\n0,Ann,Won\n1,\"Bo, \"\"B\"\"\nx\",\n\n2,NA,Lost\n", None).unwrap()
    }

    #[test]
    fn csv_cells_are_texts_or_missing() {
        let table = table();
        let records: Vec<Json> = table.rows().iter().map(|row| table.record(row)).collect();
        assert_eq!(
            Json::from(records),
            serde_json::json!([
                {"id": "0", "name": "Ann", "status": "Won"},
                {"id": "1", "name": "Bo, \"B\"\nx", "status": null},
                {"id": "2", "name": null, "status": "Lost"},
            ])
        );
        assert_eq!(Table::from_csv("a@b.c\r\nd@e.f", Some(&["address"])).unwrap().rows().len(), 2);
    }

    #[test]
    fn csv_files_that_are_no_tables_are_refused() {
        for text in ["", "a,b\n1\n", "a\n\"1\n"] {
            assert!(Table::from_csv(text, None).is_err(), "{text:?}");
        }
    }

    #[test]
    fn tables_are_the_same_when_labels_order_and_texts_are() {
        let base = table();
        let changed = |change: fn(&mut Table)| {
            let mut table = table();
            change(&mut table);
            table.is_same(&base)
        };
        assert!(changed(|_| {}));
        assert!(changed(|table| table.rows_mut()[0].cells[1] = text("ANN")));
        assert!(!changed(|table| table.rows_mut()[0].cells[2] = text("won")));
        assert!(!changed(|table| table.rows_mut()[0].cells[0] = Value::Int(0)));
        assert!(changed(|table| table.rows_mut()[2].cells[1] = Value::Int(7)));
        assert!(changed(|table| table.rows_mut()[1].cells[2] = Value::None));
        assert!(!changed(|table| table.rows_mut().swap(0, 1)));
        assert!(!changed(|table| table.rows_mut()[2].label = 3));
        assert!(!changed(|table| table.delete("id", &text("2"))));
    }

    #[test]
    fn adding_a_row_may_number_all_anew() {
        let mut table = table();
        table.delete("id", &text("0"));
        table.push(0, &[("id", text("3"))]);
        let labels = |table: &Table| table.rows().iter().map(|row| row.label).collect::<Vec<_>>();
        assert_eq!(labels(&table), [1, 2, 0]);
        table.push_and_renumber(&[("id", text("4"))]);
        assert_eq!(labels(&table), [0, 1, 2, 3]);
    }
}
