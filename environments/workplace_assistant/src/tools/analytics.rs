// SPDX-License-Identifier: Apache-2.0
//! Statistics of visits to the company's site.

use std::collections::BTreeMap;

use gym_env::python::Value;
use serde_json::{Map, Value as Json, json};

use crate::{
    raise::{Raise, Reply, raise, scalar},
    table::{Row, Table, json as to_json},
};

const VALUES: [&str; 7] = [
    "total_visits",
    "session_duration_seconds",
    "user_engaged",
    "visits_direct",
    "visits_referral",
    "visits_search_engine",
    "visits_social_media",
];
const PLOTS: [&str; 4] = ["bar", "line", "scatter", "histogram"];

pub(super) fn get_visitor_information_by_id(visits: &mut Table, arguments: &[Value]) -> Reply {
    let [visitor_id] = arguments else { return super::unbound() };
    if !visitor_id.is_truthy() {
        return Ok(json!("Visitor ID not provided."));
    }
    let visitor_id = scalar(visitor_id, visits.rows().len())?;
    let column = visits.column("visitor_id");
    let rows = visits.rows().iter().filter(|row| row.cells[column] == *visitor_id);
    let records: Vec<Json> = rows.map(|row| visits.record(row)).collect();
    Ok(if records.is_empty() { json!("Visitor not found.") } else { records.into() })
}

/// Plots are not drawn, only noted.
pub(super) fn create_plot(plots: &mut Table, arguments: &[Value]) -> Reply {
    let [time_min, time_max, value_to_plot, plot_type] = arguments else { return super::unbound() };
    if !time_min.is_truthy() {
        return Ok(json!("Start date not provided."));
    }
    if !time_max.is_truthy() {
        return Ok(json!("End date not provided."));
    }
    let is_one_of = |value: &Value, words: &[&str]| value.as_text().is_some_and(|text| words.contains(&text));
    if !is_one_of(value_to_plot, &VALUES) {
        return Ok(json!(format!("Value to plot must be one of '{}'", VALUES.join("', '"))));
    }
    if !is_one_of(plot_type, &PLOTS) {
        return Ok(json!("Plot type must be one of 'bar', 'line', 'scatter', or 'histogram'"));
    }
    let [time_min, time_max, value, kind] = [time_min, time_max, value_to_plot, plot_type].map(Value::str);
    let file_path = format!("plots/{time_min}_{time_max}_{value}_{kind}.png");
    let label = i64::try_from(plots.rows().len()).unwrap_or(i64::MAX);
    plots.push(label, &[("file_path", Value::Text(file_path.clone()))]);
    Ok(json!(file_path))
}

/// The visits between two dates, by day. Dates are compared as texts.
fn by_day<'a>(visits: &'a Table, time_min: &Value, time_max: &Value) -> Result<BTreeMap<String, Vec<&'a Row>>, Raise> {
    let date = visits.column("date_of_visit");
    let rows = super::bounded(visits.rows().iter().collect(), date, time_min, ">=")?;
    let mut days: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in super::bounded(rows, date, time_max, "<=")? {
        if let Some(day) = row.cells[date].as_text() {
            days.entry(day.to_owned()).or_default().push(row);
        }
    }
    Ok(days)
}

/// A number for each day.
fn each_day(days: BTreeMap<String, Vec<&Row>>, number: impl Fn(&[&Row]) -> Json) -> Json {
    let members: Map<String, Json> = days.into_iter().map(|(day, rows)| (day, number(&rows))).collect();
    Json::Object(members)
}

pub(super) fn total_visits_count(visits: &mut Table, arguments: &[Value]) -> Reply {
    let [time_min, time_max] = arguments else { return super::unbound() };
    Ok(each_day(by_day(visits, time_min, time_max)?, |rows| rows.len().into()))
}

pub(super) fn engaged_users_count(visits: &mut Table, arguments: &[Value]) -> Reply {
    let [time_min, time_max] = arguments else { return super::unbound() };
    let engaged = visits.column("user_engaged");
    let is_engaged = |row: &&&Row| row.cells[engaged].is_truthy();
    Ok(each_day(by_day(visits, time_min, time_max)?, |rows| rows.iter().filter(is_engaged).count().into()))
}

pub(super) fn traffic_source_count(visits: &mut Table, arguments: &[Value]) -> Reply {
    let [time_min, time_max, traffic_source] = arguments else { return super::unbound() };
    let days = by_day(visits, time_min, time_max)?;
    if !traffic_source.is_truthy() {
        return Ok(each_day(days, |rows| rows.len().into()));
    }
    let rows = days.values().map(Vec::len).sum();
    let traffic_source = scalar(traffic_source, rows)?;
    let source = visits.column("traffic_source");
    let is_from_there = |row: &&&Row| row.cells[source] == *traffic_source;
    Ok(each_day(days, |rows| rows.iter().filter(is_from_there).count().into()))
}

pub(super) fn get_average_session_duration(visits: &mut Table, arguments: &[Value]) -> Reply {
    let [time_min, time_max] = arguments else { return super::unbound() };
    let column = visits.column("session_duration_seconds");
    if !time_min.is_truthy() && !time_max.is_truthy() {
        // Asked for all dates, NeMo Gym calculates in the table itself: from then on the durations are numbers.
        for row in visits.rows_mut() {
            row.cells[column] = Value::Float(seconds(&row.cells[column])?);
        }
    }
    let days = by_day(visits, time_min, time_max)?;
    let mut averages = Map::new();
    for (day, rows) in days {
        let durations = rows.iter().map(|row| seconds(&row.cells[column])).collect::<Result<Vec<f64>, Raise>>()?;
        let known: Vec<f64> = durations.into_iter().filter(|duration| !duration.is_nan()).collect();
        averages.insert(day, to_json(&Value::Float(sum(&known) / known.len() as f64)));
    }
    Ok(Json::Object(averages))
}

fn seconds(cell: &Value) -> Result<f64, Raise> {
    match cell {
        Value::Text(text) => match text.trim().parse() {
            Ok(seconds) => Ok(seconds),
            Err(_) => raise(format!("could not convert string to float: {}", cell.repr())),
        },
        other => Ok(other.as_number().unwrap_or(f64::NAN)),
    }
}

/// The sum, with the error of each addition carried on (Kahan), as pandas has it.
fn sum(numbers: &[f64]) -> f64 {
    let (mut sum, mut error) = (0.0, 0.0);
    for number in numbers {
        let corrected = number - error;
        let next = sum + corrected;
        error = next - sum - corrected;
        sum = next;
    }
    sum
}
