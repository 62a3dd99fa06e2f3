// SPDX-License-Identifier: Apache-2.0
//! The numbers of replies, as rows and as columns.

use std::ops::Range;

use gym_protocol::{Members, Raw};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    number::Number,
    statistics::{max, mean, median, min, std},
};

/// One reply, with what the metrics look at. Its members are read again whenever they are needed: a million replies
/// that are split into their members would take gigabytes.
pub(super) struct Row {
    pub(super) task: i64,
    pub(super) rollout: i64,
    pub(super) masked: bool,
    reply: Raw,
}

impl Row {
    pub(super) fn read(reply: &Raw) -> Option<Self> {
        let members = reply.members().ok()?;
        let integer = |name: &str| members.get(name).and_then(|value| value.read::<i64>().ok()).unwrap_or(0);
        Some(Self {
            task: integer("_ng_task_index"),
            rollout: integer("_ng_rollout_index"),
            masked: members.get("mask_sample").is_some_and(is_truthy),
            reply: reply.clone(),
        })
    }

    pub(super) fn members(&self) -> Members {
        self.reply.members().expect("the reply was read before")
    }

    /// The entry in `rollout_infos`: the reward as it came, token counts, and the other numbers.
    pub(super) fn info(&self) -> Value {
        let members = self.members();
        let mut info = Map::new();
        info.insert("rollout_id".to_owned(), json!(format!("{}:{}", self.task, self.rollout)));
        info.insert("_ng_task_index".to_owned(), json!(self.task));
        info.insert("_ng_rollout_index".to_owned(), json!(self.rollout));
        if let Some(reward) = members.get("reward") {
            info.insert("reward".to_owned(), reward.read().unwrap_or(Value::Null));
        }
        let usage = usage(&members);
        let own = members.iter().filter(|(name, _)| is_metric(name) && *name != "reward");
        for (name, value) in usage.iter().flat_map(Members::iter).chain(own) {
            if let Some(number) = Number::read(value) {
                info.insert(name.to_owned(), number.to_json());
            }
        }
        Value::Object(info)
    }
}

/// The token counts of a reply.
fn usage(reply: &Members) -> Option<Members> {
    reply.get_set("response")?.members().ok()?.get_set("usage")?.members().ok()
}

/// Numbers by name in the order of the reply. Token counts stand last, and in the place of members of their name.
fn numbers<'a>(reply: &'a Members, usage: Option<&'a Members>) -> IndexMap<&'a str, Number> {
    let mut numbers = IndexMap::new();
    let usage = usage.into_iter().flat_map(Members::iter);
    for (name, value) in reply.iter().chain(usage).filter(|(name, _)| is_metric(name)) {
        match Number::read(value) {
            Some(number) => {
                numbers.insert(name, number);
            }
            None => {
                numbers.shift_remove(name);
            }
        }
    }
    numbers
}

fn is_metric(name: &str) -> bool {
    !name.starts_with('_') && name != "mask_sample" && name != "response"
}

/// Whether Python takes the value for true.
fn is_truthy(value: &Raw) -> bool {
    match Number::read(value) {
        Some(number) => number.value != 0.0,
        None => !matches!(value.as_str(), "null" | "\"\"" | "[]" | "{}"),
    }
}

/// All numbers of all rows. What a row lacks is NaN.
pub(super) struct Table {
    columns: IndexMap<String, Vec<f64>>,
    /// Whether all numbers are integers and none is missing: then maxima and minima are integers as well.
    whole: bool,
}

impl Table {
    pub(super) fn new(rows: &[Row]) -> Self {
        let mut columns: IndexMap<String, Vec<f64>> = IndexMap::new();
        let mut whole = true;
        for (index, row) in rows.iter().enumerate() {
            let members = row.members();
            let usage = usage(&members);
            for (name, number) in numbers(&members, usage.as_ref()) {
                if !columns.contains_key(name) {
                    columns.insert(name.to_owned(), vec![f64::NAN; rows.len()]);
                }
                columns[name][index] = number.value;
                whole &= number.is_whole();
            }
        }
        whole &= columns.values().flatten().all(|value| !value.is_nan());
        Self { columns, whole }
    }

    /// All columns by name, in the order of the names.
    pub(super) fn sorted(&self) -> Vec<(&str, &[f64])> {
        let mut columns: Vec<_> =
            self.columns.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
        columns.sort_unstable_by_key(|(name, _)| *name);
        columns
    }

    /// `mean/x`, …, `std/x` of every column over some rows. When no column has a standard deviation (a single row),
    /// those of columns without gaps are 0.
    pub(super) fn describe(&self, rows: Range<usize>) -> Map<String, Value> {
        let columns: Vec<(&str, &[f64])> =
            self.columns.iter().map(|(name, values)| (name.as_str(), &values[rows.clone()])).collect();
        let extreme = |value: f64| if self.whole { json!(value as i64) } else { json!(value) };
        let no_deviation = columns.iter().all(|(_, values)| std(values).is_none());
        let deviation = |values: &[f64]| match std(values) {
            None if no_deviation && values.iter().all(|value| !value.is_nan()) => Some(0.0),
            deviation => deviation,
        };
        let mut metrics = Map::new();
        for statistic in ["mean", "max", "min", "median", "std"] {
            for (name, values) in &columns {
                let value = match statistic {
                    "mean" => mean(values).map(|value| json!(value)),
                    "max" => max(values).map(extreme),
                    "min" => min(values).map(extreme),
                    "median" => median(values).map(|value| json!(value)),
                    _ => deviation(values).map(|value| json!(value)),
                };
                if let Some(value) = value {
                    metrics.insert(format!("{statistic}/{name}"), value);
                }
            }
        }
        metrics
    }
}
