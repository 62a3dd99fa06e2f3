// SPDX-License-Identifier: Apache-2.0
//! The query in an answer, and what a query says of the order of its rows.

/// The last block of a text that begins with three backticks and `sql` (in any case of letters) and white space, and
/// ends with the next three backticks; without white space and semicolons around it. `None` if there is none, or if it
/// is empty.
pub(crate) fn last_sql_block(text: &str) -> Option<&str> {
    const FENCE: &str = "```";
    let mut found = None;
    let mut rest = text;
    while let Some(start) = rest.find(FENCE) {
        rest = &rest[start + FENCE.len()..];
        let is_sql = rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("sql"))
            && rest[3..].starts_with(char::is_whitespace);
        if !is_sql {
            continue;
        }
        let Some(end) = rest.find(FENCE) else { break };
        found = Some(rest[3..end].trim_matches(|letter: char| letter.is_whitespace() || letter == ';'));
        rest = &rest[end + FENCE.len()..];
    }
    found.filter(|sql| !sql.is_empty())
}

/// Whether a query orders its result: it has `ORDER BY` outside of parentheses, comments, strings and quoted names.
pub(crate) fn orders(sql: &str) -> bool {
    let mut depth = 0_i32;
    let mut after_order = false;
    let mut rest = sql;
    while let Some(letter) = rest.chars().next() {
        let skipped = match letter {
            '\'' | '"' | '`' => 1 + rest[1..].find(letter).map_or(rest.len() - 1, |end| end + 1),
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map_or(rest.len(), |end| end + 4),
            _ => 0,
        };
        if skipped > 0 {
            // A comment stands between words like white space does; a string does not.
            after_order &= matches!(letter, '-' | '/');
            rest = &rest[skipped..];
            continue;
        }
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let length = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        if length > 0 {
            let word = &rest[..length];
            if after_order && depth == 0 && word.eq_ignore_ascii_case("by") {
                return true;
            }
            after_order = word.eq_ignore_ascii_case("order");
            rest = &rest[length..];
            continue;
        }
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        after_order &= letter.is_whitespace();
        rest = &rest[letter.len_utf8()..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sql_block_counts() {
        for (text, expected) in [
            ("```sql\nSELECT 1;\n```", Some("SELECT 1")),
            ("```SQL\nSELECT 1\n```\nor\n```Sql SELECT 2 ; ```", Some("SELECT 2")),
            ("```python\nx\n```\n```sql\nSELECT 3\n```", Some("SELECT 3")),
            ("```sql\nSELECT 1\n```\n```sql\nSELECT 2", Some("SELECT 1")),
            ("```\nSELECT 1\n```", None),
            ("```sqlite\nSELECT 1\n```", None),
            ("```sql\n;\n```", None),
            ("SELECT 1", None),
            ("``````sql\n```", None),
            ("```sqł", None),
        ] {
            assert_eq!(last_sql_block(text), expected, "{text}");
        }
    }

    #[test]
    fn only_an_order_by_of_the_whole_query_orders() {
        for (sql, expected) in [
            ("SELECT a FROM t ORDER BY a", true),
            ("select a from t order\n  /* so */ by a limit 3", true),
            ("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", true),
            ("WITH x AS (SELECT a FROM t ORDER BY a LIMIT 3) SELECT a FROM x", false),
            ("SELECT rank() OVER (ORDER BY a) FROM t", false),
            ("SELECT 'x ORDER BY y' FROM t -- ORDER BY a", false),
            ("SELECT \"order\" 'x' by FROM t", false),
            ("SELECT reorder BY", false),
            ("SELECT 'it''s ( ' FROM t ORDER BY 1", true),
            ("SELECT [order by] FROM t", false),
            ("", false),
        ] {
            assert_eq!(orders(sql), expected, "{sql}");
        }
    }
}
