// SPDX-License-Identifier: Apache-2.0
//! Pages of results. Page and size come from a model and may be anything; they are calculated with as in Python.

use gym_env::python::Value;
use serde_json::{Map, Value as Json, json};

use crate::{
    raise::{Raise, Reply, raise},
    table::json as to_json,
};

/// The page of these records, as `{"<what>": […], "pagination": {"total_<what>": …, …}}`. Nothing when there are none.
pub(crate) fn page(what: &str, records: Vec<Json>, page: &Value, size: &Value) -> Result<Option<Json>, Raise> {
    let total = i128::try_from(records.len()).unwrap_or(i128::MAX);
    let place = Place::new(total, page, size)?;
    if records.is_empty() {
        return Ok(None);
    }
    let (start, end) = place.bounds()?;
    let length = (end - start).max(0);
    let (skip, take) = (usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(length).unwrap_or(usize::MAX));
    let records: Vec<Json> = records.into_iter().skip(skip).take(take).collect();
    let mut reply = Map::new();
    reply.insert(what.to_owned(), Json::Array(records));
    let mut pagination = Map::new();
    pagination.insert(format!("total_{what}"), to_json(&Value::Int(total)));
    pagination.insert("page".to_owned(), to_json(&place.page));
    pagination.insert("page_size".to_owned(), to_json(size));
    pagination.insert("total_pages".to_owned(), to_json(&place.total_pages));
    reply.insert("pagination".to_owned(), Json::Object(pagination));
    Ok(Some(Json::Object(reply)))
}

/// The page, or a sentence when there are no records.
pub(crate) fn page_or(what: &str, records: Vec<Json>, number: &Value, size: &Value, none: &str) -> Reply {
    Ok(page(what, records, number, size)?.unwrap_or_else(|| json!(none)))
}

/// Where a page is.
struct Place {
    total: i128,
    /// The page that is shown: there is one even when another was asked for.
    page: Value,
    size: Value,
    total_pages: Value,
}

impl Place {
    fn new(total: i128, page: &Value, size: &Value) -> Result<Self, Raise> {
        let total_pages = match whole(size) {
            Some(0) => return raise("integer division or modulo by zero"),
            Some(size) => Value::Int(floor_div(total.saturating_add(size).saturating_sub(1), size)),
            None => match size {
                Value::Float(0.0) => return raise("float floor division by zero"),
                Value::Float(size) => Value::Float(((total as f64 + size - 1.0) / size).floor()),
                _ => return raise(format!("unsupported operand type(s) for +: 'int' and '{}'", size.type_name())),
            },
        };
        let mut shown = Value::Int(1);
        let is_positive = |value: &Value| value.as_number().is_some_and(|number| number > 0.0);
        if is_positive(&total_pages) {
            let (Some(wanted), Some(last)) = (page.as_number(), total_pages.as_number()) else {
                let (left, right) = (total_pages.type_name(), page.type_name());
                return raise(format!("'<' not supported between instances of '{left}' and '{right}'"));
            };
            let nearest = if last < wanted { &total_pages } else { page };
            if nearest.as_number().is_some_and(|number| number > 1.0) {
                shown = nearest.clone();
            }
        }
        Ok(Self { total, page: shown, size: size.clone(), total_pages })
    }

    /// From which record to which, as a slice of a list has them.
    fn bounds(&self) -> Result<(i128, i128), Raise> {
        let (Some(page), Some(size)) = (whole(&self.page), whole(&self.size)) else {
            return raise("slice indices must be integers or None or have an __index__ method");
        };
        let start = (page - 1).saturating_mul(size);
        let end = start.saturating_add(size).min(self.total);
        let from_front = |place: i128| if place < 0 { (place.saturating_add(self.total)).max(0) } else { place };
        Ok((from_front(start).min(self.total), from_front(end)))
    }
}

/// The whole number that a value is; truths are numbers too.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Bool(truth) => Some(i128::from(*truth)),
        _ => None,
    }
}

fn floor_div(left: i128, right: i128) -> i128 {
    let quotient = left / right;
    if left % right != 0 && (left < 0) != (right < 0) { quotient - 1 } else { quotient }
}

#[cfg(test)]
mod tests {
    use gym_env::python::loads;

    use super::*;

    fn show(total: usize, number: &str, size: &str) -> Result<String, String> {
        let records = (0..total).map(Json::from).collect();
        let page = page("rows", records, &loads(number).unwrap(), &loads(size).unwrap());
        page.map(|page| page.map_or_else(|| "none".to_owned(), |page| page.to_string())).map_err(|raised| raised.0)
    }

    #[test]
    fn pages_are_cut_as_in_python() {
        for (total, number, size, rows, shown, pages) in [
            (7, "1", "3", "[0,1,2]", "1", "3"),
            (7, "3", "3", "[6]", "3", "3"),
            (7, "9", "3", "[6]", "3", "3"),
            (7, "0", "3", "[0,1,2]", "1", "3"),
            (7, "-2", "3", "[0,1,2]", "1", "3"),
            (7, "1.0", "3", "[0,1,2]", "1", "3"),
            (7, "99.5", "3", "[6]", "3", "3"),
            (7, "true", "3", "[0,1,2]", "1", "3"),
            (7, "1", "100", "[0,1,2,3,4,5,6]", "1", "1"),
            (7, "1", "-2", "[0,1,2,3,4]", "1", "-2"),
            (7, "1", "-9", "[]", "1", "0"),
            (2, "2", "true", "[1]", "2", "2"),
        ] {
            let expected = format!(
                r#"{{"rows":{rows},"pagination":{{"total_rows":{total},"page":{shown},"page_size":{size},"total_pages":{pages}}}}}"#
            );
            assert_eq!(show(total, number, size), Ok(expected), "{number} {size}");
        }
    }

    #[test]
    fn what_cannot_be_calculated_fails_with_pythons_text() {
        for (total, number, size, text) in [
            (7, "1", "0", "integer division or modulo by zero"),
            (0, "1", "0", "integer division or modulo by zero"),
            (7, "1", "\"3\"", "unsupported operand type(s) for +: 'int' and 'str'"),
            (7, "\"1\"", "3", "'<' not supported between instances of 'int' and 'str'"),
            (7, "null", "3", "'<' not supported between instances of 'int' and 'NoneType'"),
            (7, "2.0", "3", "slice indices must be integers or None or have an __index__ method"),
            (7, "1", "3.0", "slice indices must be integers or None or have an __index__ method"),
        ] {
            assert_eq!(show(total, number, size), Err(text.to_owned()), "{number} {size}");
        }
        for (number, size) in [("\"1\"", "3"), ("1", "3.0")] {
            assert_eq!(show(0, number, size), Ok("none".to_owned()));
        }
        assert!(show(7, "1e999", "170141183460469231731687303715884105727").is_ok());
    }
}
