// SPDX-License-Identifier: Apache-2.0
//! `perf_summary`: what rollouts cost, from the `ng_perf` objects that observability adds to them.

use gym_protocol::Members;
use serde_json::{Map, Value, json};

use super::{
    number::{Number, sum},
    statistics::{exact_sum, max, median, min, quantile},
    table::Row,
};

/// The summary of all rollouts, masked ones included: they ran as well. None when no rollout has `ng_perf`.
pub(super) fn summary(rows: &[Row]) -> Option<Map<String, Value>> {
    let records: Vec<Members> =
        rows.iter().filter_map(|row| row.members().get_set("ng_perf")?.members().ok()).collect();
    if records.is_empty() {
        return None;
    }
    let number = |record: &Members, name: &str| record.get(name).and_then(Number::read);
    let values = |name: &str| -> Vec<Number> { records.iter().filter_map(|record| number(record, name)).collect() };
    let share = |count: usize| json!(count as f64 / rows.len() as f64);
    let observed = values("token_observability_coverage").iter().filter(|number| number.value > 0.0).count();
    let mut summary = Map::new();
    summary.insert("overall_observability_coverage".to_owned(), share(records.len()));
    summary.insert("token_observability_coverage".to_owned(), share(observed));
    let mut put = |name: String, numbers: &[Number], statistic: &str| {
        if let Some(value) = compute(numbers, statistic) {
            summary.insert(name, value);
        }
    };
    for field in ["prompt_tokens", "cached_prompt_tokens", "completion_tokens", "reasoning_tokens"] {
        for statistic in ["mean", "median", "total"] {
            put(format!("{statistic}_{field}"), &values(field), statistic);
        }
    }
    for statistic in ["mean", "median", "std", "min", "p90", "max"] {
        put(format!("{statistic}_num_turns"), &values("num_turns"), statistic);
    }
    let tokens_per_turn: Vec<Number> = records
        .iter()
        .filter_map(|record| {
            let turns = number(record, "num_turns").filter(|turns| turns.value > 0.0)?;
            Some(Number::float(number(record, "completion_tokens")?.value / turns.value))
        })
        .collect();
    for statistic in ["mean", "median"] {
        put(format!("{statistic}_tokens_per_turn"), &tokens_per_turn, statistic);
    }
    for statistic in ["p50", "p90", "p99", "mean"] {
        put(format!("total_latency_{statistic}_ms"), &values("total_latency_ms"), statistic);
    }
    Some(summary)
}

/// A statistic of numbers. What is chosen among integers, and the sum of integers, is an integer.
fn compute(numbers: &[Number], statistic: &str) -> Option<Value> {
    let values: Vec<f64> = numbers.iter().map(|number| number.value).collect();
    let count = values.len() as f64;
    let whole = numbers.iter().all(Number::is_whole);
    let chosen = |value: f64| if whole { json!(value as i64) } else { json!(value) };
    if values.is_empty() {
        return None;
    }
    Some(match statistic {
        "mean" => json!(exact_sum(values.iter().copied()) / count),
        "median" if values.len() % 2 == 1 => chosen(median(&values)?),
        "median" => json!(median(&values)?),
        "total" => chosen(sum(numbers.iter().copied())),
        "std" => json!(population_deviation(&values)),
        "min" => chosen(min(&values)?),
        "max" => chosen(max(&values)?),
        "p50" => json!(quantile(&values, 0.5)?),
        "p90" => json!(quantile(&values, 0.9)?),
        _ => json!(quantile(&values, 0.99)?),
    })
}

/// The standard deviation of all values (n, not n - 1), rounded once where the values are counts.
fn population_deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let total = exact_sum(values.iter().copied());
    let squares = exact_sum(values.iter().map(|value| value * value));
    // n² times the variance; of counts it is exact as long as it is below 2^53.
    let scaled = count * squares - total * total;
    let whole = values.iter().all(|value| value.fract() == 0.0) && count * squares < 9_007_199_254_740_992.0;
    if !whole {
        let mean = total / count;
        return (exact_sum(values.iter().map(|value| (value - mean) * (value - mean))) / count).sqrt();
    }
    // The quotient and its root with the parts that do not fit into one number.
    let divisor = count * count;
    let quotient = scaled / divisor;
    let rest = (-quotient).mul_add(divisor, scaled) / divisor;
    let root = quotient.sqrt();
    if root == 0.0 { 0.0 } else { root + ((-root).mul_add(root, quotient) + rest) / (2.0 * root) }
}
