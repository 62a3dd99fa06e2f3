// SPDX-License-Identifier: Apache-2.0
use super::*;

const RULES: Rules = Rules { ordered: false, columns: ColumnOrder::Any, tolerance: 1e-6 };

fn cell(word: &str) -> Cell {
    if word == "null" {
        return Cell::Null;
    }
    if let Ok(number) = word.parse::<i64>() {
        return Cell::Integer(number);
    }
    word.parse::<f64>().map_or_else(|_| Cell::Text(word.to_owned()), Cell::Real)
}

/// Rows are separated by `|`, cells by white space.
fn table(text: &str) -> Table {
    let rows: Vec<Vec<Cell>> = text
        .split('|')
        .filter(|row| !row.trim().is_empty())
        .map(|row| row.split_whitespace().map(cell).collect())
        .collect();
    let width = rows.first().map_or(1, Vec::len);
    Table { columns: vec!["x".to_owned(); width], rows }
}

#[test]
fn rows_are_compared_as_a_bag() {
    for (gold, found, expected) in [
        ("1 a | 2 b", "2 b | 1 a", true),
        ("1 a | 2 b", "1 b | 2 a", false),
        ("1 | 1 | 2", "1 | 2 | 2", false),
        ("", "", true),
        ("1", "", false),
        ("null | a", "a | null", true),
        ("null", "0", false),
        ("1 2", "1", false),
        // Pairing by sorted numbers would put 1.0000001 beside 1.0 with the other second column.
        ("1.0 5 | 1.0000001 4", "1.0 4 | 1.0000001 5", true),
        ("1.0 5 | 1.0000001 4", "1.0 4 | 1.0000001 6", false),
        ("9007199254740993", "9007199254740992", false),
        ("inf", "inf", true),
        ("inf", "1.5", false),
    ] {
        assert_eq!(same(&table(gold), &table(found), RULES), expected, "{gold} / {found}");
    }
}

#[test]
fn order_counts_when_the_rules_say_so() {
    let rules = Rules { ordered: true, ..RULES };
    assert!(same(&table("1 a | 2 b"), &table("a 1 | b 2"), rules));
    assert!(!same(&table("1 a | 2 b"), &table("2 b | 1 a"), rules));
}

#[test]
fn one_arrangement_of_the_columns_holds_for_all_rows() {
    for (gold, found, expected) in [
        ("1 2 3 | 4 5 6", "3 1 2 | 6 4 5", true),
        ("1 2 | 3 4", "2 1 | 3 4", false),
        // Both columns have the same values, so that only the rows tell them apart.
        ("1 2 9 | 2 1 8", "2 1 9 | 1 2 8", true),
        ("1 2 9 | 2 1 8", "2 1 8 | 1 2 9", true),
        ("1 1 | 2 3", "1 1 | 3 2", true),
    ] {
        assert_eq!(same(&table(gold), &table(found), RULES), expected, "{gold} / {found}");
        let exact = Rules { columns: ColumnOrder::Exact, ..RULES };
        assert!(!same(&table(gold), &table(found), exact) || gold == "1 2 9 | 2 1 8", "{gold} / {found}");
    }
}

#[test]
fn many_equal_columns_do_not_take_for_ever() {
    let row = |last: &str| format!("{} {last}", "1 2 3 4 5 6 7 8 9 10 11 12".replace(char::is_numeric, "7"));
    let gold = table(&format!("{} | {}", row("1"), row("2")));
    let found = table(&format!("{} | {}", row("1"), row("3")));
    assert!(!same(&gold, &found, RULES));
    let wide = (0..30).map(|_| "1 | ").collect::<String>();
    assert!(same(&table(&wide), &table(&wide), RULES));
}
