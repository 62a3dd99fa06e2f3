// SPDX-License-Identifier: Apache-2.0
//! The mean reward of rows that have something in common.

use gym_env::{Metrics, MetricsRequest};
use serde_json::{Map, Value};

/// How a field's value becomes part of a metric's name.
#[derive(Clone, Copy)]
enum Part {
    /// A text that is not empty.
    Text,
    /// True or false.
    Truth,
    /// Any number.
    Number,
}

/// Fields, what stands before their value in the name of the metric, and what the value must be. Where two metrics have
/// the same name the later one counts.
const GROUPS: [(&str, &str, Part); 14] = [
    ("problem_type", "", Part::Text),
    ("schema_repr", "repr_", Part::Text),
    ("response_mode", "response_mode_", Part::Text),
    ("tool_schema_mode", "tool_schema_mode_", Part::Text),
    ("tool_choice", "tool_choice_", Part::Text),
    ("parallel_tool_calls", "parallel_tool_calls_", Part::Truth),
    ("num_tools", "num_tools_", Part::Number),
    ("has_distractors", "has_distractors_", Part::Truth),
    ("instruction_layout", "instruction_layout_", Part::Text),
    ("instruction_detail_level", "instruction_detail_level_", Part::Text),
    ("system_instruction_style", "system_instruction_style_", Part::Text),
    ("tool_name_style", "tool_name_style_", Part::Text),
    ("distractor_style", "distractor_style_", Part::Text),
    ("tool_union_mode", "tool_union_mode_", Part::Text),
];

fn part(reply: &Map<String, Value>, field: &str, kind: Part) -> Option<String> {
    match (kind, reply.get(field)?) {
        (Part::Text, Value::String(text)) if !text.is_empty() => Some(text.clone()),
        (Part::Truth, Value::Bool(truth)) => Some(truth.to_string()),
        (Part::Number, Value::Number(number)) => Some(number.to_string()),
        _ => None,
    }
}

/// The means, as `mean/reward_…`.
pub(crate) fn aggregate(request: &MetricsRequest) -> Metrics {
    let mut metrics = Metrics::default();
    let mut group = |prefix: &str, name: &dyn Fn(&Map<String, Value>) -> Option<String>| {
        let mut sums: Map<String, Value> = Map::new();
        for reply in request.replies() {
            if let Some(name) = name(reply) {
                let reward = reply.get("reward").and_then(Value::as_f64).unwrap_or(0.0);
                let [sum, count] =
                    [0, 1].map(|index| sums.get(&name).and_then(|known| known[index].as_f64()).unwrap_or(0.0));
                sums.insert(name, serde_json::json!([sum + reward, count + 1.0]));
            }
        }
        for (name, known) in sums {
            if let (Some(sum), Some(count)) = (known[0].as_f64(), known[1].as_f64()) {
                metrics.agent_metrics.insert(format!("mean/reward_{prefix}{name}"), Value::from(sum / count));
            }
        }
    };
    group("", &|reply| Some(part(reply, "schema_type", Part::Text).unwrap_or_else(|| "unknown".to_owned())));
    for (field, prefix, kind) in GROUPS {
        group(prefix, &|reply| part(reply, field, kind));
    }
    metrics
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rewards_are_averaged_by_what_rows_have_in_common() {
        let request = json!({"tasks": [
            [{"reward": 1.0, "schema_type": "json", "num_tools": 2, "has_distractors": true, "schema_repr": null},
             {"reward": 0.0, "schema_type": "json", "num_tools": 3, "has_distractors": true, "problem_type": ""}],
            [{"reward": 1.0, "schema_type": "xml", "problem_type": "direct", "schema_repr": "xsd"}, {"reward": 0.5}],
        ]});
        let metrics = aggregate(&serde_json::from_value(request).expect("the request is complete"));
        let expected = json!({
            "mean/reward_json": 0.5,
            "mean/reward_xml": 1.0,
            "mean/reward_unknown": 0.5,
            "mean/reward_direct": 1.0,
            "mean/reward_repr_xsd": 1.0,
            "mean/reward_num_tools_2": 1.0,
            "mean/reward_num_tools_3": 0.0,
            "mean/reward_has_distractors_true": 0.5,
        });
        assert_eq!(Value::Object(metrics.agent_metrics), expected);
    }
}
