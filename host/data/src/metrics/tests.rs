// SPDX-License-Identifier: Apache-2.0
//! Numbers worked out by hand.

use bytes::Bytes;
use gym_protocol::environment::Score;

use super::*;

fn rows(lines: &[&str]) -> Vec<Raw> {
    lines.iter().map(|line| Raw::parse(Bytes::copy_from_slice(line.as_bytes())).unwrap()).collect()
}

fn float(metrics: &Map<String, Value>, key: &str) -> f64 {
    metrics.get(key).and_then(Value::as_f64).unwrap_or_else(|| panic!("no `{key}` in {metrics:?}"))
}

#[test]
fn statistics_are_listed_by_statistic_and_then_by_column() {
    let replies = rows(&[
        r#"{"_ng_task_index":0,"_ng_rollout_index":0,"reward":1.0,"ok":true,"response":{"usage":{"input_tokens":10,"output_tokens":4,"total_tokens":14}}}"#,
        r#"{"_ng_task_index":0,"_ng_rollout_index":1,"reward":0.0,"ok":false,"response":{"usage":{"input_tokens":20,"output_tokens":8,"total_tokens":28}}}"#,
    ]);
    let aggregate = aggregate(&replies, MetricOptions::default()).unwrap();
    let keys: Vec<&str> = aggregate.agent_metrics.keys().map(String::as_str).take(7).collect();
    assert_eq!(
        keys,
        [
            "mean/reward",
            "mean/ok",
            "mean/input_tokens",
            "mean/output_tokens",
            "mean/total_tokens",
            "max/reward",
            "max/ok"
        ]
    );
    assert_eq!(float(&aggregate.agent_metrics, "mean/reward"), 0.5);
    assert_eq!(float(&aggregate.agent_metrics, "median/input_tokens"), 15.0);
    // Two values that are 1 apart: the mean is half way, so the squares sum to 1/2.
    assert_eq!(float(&aggregate.agent_metrics, "std/reward"), 0.5_f64.sqrt());
    let group = aggregate.group_level_metrics[0].metrics();
    assert_eq!(group["num_rollouts"], json!(2));
    assert_eq!(group["rollout_infos"][1]["rollout_id"], "0:1");
}

#[test]
fn a_single_reply_has_a_deviation_of_zero_and_no_repeats_to_compare() {
    let aggregate = aggregate(&rows(&[r#"{"reward":1.0}"#]), MetricOptions::default()).unwrap();
    let metrics = &aggregate.agent_metrics;
    let keys: Vec<&str> = metrics.keys().map(String::as_str).collect();
    assert_eq!(keys, ["mean/reward", "max/reward", "min/reward", "median/reward", "std/reward", "num_repeats"]);
    assert_eq!((&metrics["std/reward"], &metrics["num_repeats"]), (&json!(0.0), &json!(1)));
    assert_eq!(aggregate.key_metrics, json!({"mean/reward": 1.0}).as_object().unwrap().clone());
    assert!(aggregate.repeat_level_metrics.is_empty());
    let body: Value = serde_json::from_slice(&aggregate.into_json()).unwrap();
    assert_eq!(body["perf_summary"], Value::Null);
    assert_eq!(body["group_level_metrics"][0]["rollout_infos"][0]["reward"], 1.0);
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["group_level_metrics", "agent_metrics", "key_metrics", "perf_summary", "repeat_level_metrics"]);
}

#[test]
fn nothing_comes_of_nothing() {
    assert_eq!(aggregate(&[], MetricOptions::default()).unwrap(), Aggregate::default());
}

#[test]
fn columns_stand_in_the_order_of_their_first_row_and_gaps_are_left_out() {
    let replies = rows(&[
        r#"{"_ng_task_index":1,"reward":0.0,"late":4,"_hidden":1,"text":"x"}"#,
        r#"{"_ng_task_index":0,"reward":1.0,"input_tokens":9,"response":{"usage":{"input_tokens":10,"cost":0.5,"details":{}}}}"#,
    ]);
    let metrics = aggregate(&replies, MetricOptions::default()).unwrap();
    let means: Vec<(&str, f64)> =
        metrics.key_metrics.iter().map(|(name, value)| (name.as_str(), value.as_f64().unwrap())).collect();
    // The count of the response stands in the place of the reply's own number of that name.
    assert_eq!(means, [("mean/reward", 0.5), ("mean/input_tokens", 10.0), ("mean/cost", 0.5), ("mean/late", 4.0)]);
    // One value is no deviation, and the reward has one, so the others have none.
    assert!(!metrics.agent_metrics.contains_key("std/late"));
    let infos = &metrics.group_level_metrics[0].metrics()["rollout_infos"];
    let expected = json!([{"rollout_id": "0:0", "_ng_task_index": 0, "_ng_rollout_index": 0, "reward": 1.0,
        "input_tokens": 9, "cost": 0.5}]);
    assert_eq!(infos, &expected);
    // In a group of one row no column has a deviation: those that are there get 0.
    assert_eq!(metrics.group_level_metrics[1].metrics()["std/late"], json!(0.0));
    assert!(!metrics.group_level_metrics[1].metrics().contains_key("std/cost"));
}

#[test]
fn extremes_are_integers_only_if_every_number_is_one() {
    let whole =
        rows(&[r#"{"_ng_task_index":0,"reward":1,"ok":true}"#, r#"{"_ng_task_index":1,"reward":0,"ok":false}"#]);
    let metrics = aggregate(&whole, MetricOptions::default()).unwrap().agent_metrics;
    assert_eq!((&metrics["max/reward"], &metrics["min/ok"]), (&json!(1), &json!(0)));
    assert_eq!((&metrics["mean/reward"], &metrics["median/ok"]), (&json!(0.5), &json!(0.5)));
    let mixed = rows(&[r#"{"_ng_task_index":0,"reward":1.0,"n":3}"#, r#"{"_ng_task_index":1,"reward":0,"n":4}"#]);
    let metrics = aggregate(&mixed, MetricOptions::default()).unwrap().agent_metrics;
    assert_eq!((&metrics["max/reward"], &metrics["max/n"]), (&json!(1.0), &json!(4.0)));
}

#[test]
fn sums_are_made_in_eight_lanes() {
    // The large numbers meet in the first lane before anything small is added to them. From left to right the seven
    // ones between them would be lost.
    let mut values = [1.0; 16];
    (values[0], values[8]) = (1e16, -1e16);
    assert_eq!(statistics::mean(&values), Some(14.0 / 16.0));
    // Python's own sum keeps what is lost.
    assert_eq!(number::sum_floats(values), 14.0);
    assert_eq!(statistics::exact_sum([1e100, 1.0, -1e100, 1e-100]), 1.0);
}

#[test]
fn repeats_are_compared_when_there_are_two() {
    let replies = rows(&[
        r#"{"_ng_task_index":0,"_ng_rollout_index":0,"reward":1.0,"b":1}"#,
        r#"{"_ng_task_index":1,"_ng_rollout_index":0,"reward":0.0,"b":1}"#,
        r#"{"_ng_task_index":0,"_ng_rollout_index":1,"reward":1.0,"b":1}"#,
    ]);
    let metrics = aggregate(&replies, MetricOptions::default()).unwrap();
    let [first, second] = metrics.repeat_level_metrics.as_slice() else { panic!("two repeats") };
    assert_eq!((&first["sample_count"], &first["missing_count"]), (&json!(2), &json!(0)));
    assert_eq!((&second["sample_count"], &second["missing_count"]), (&json!(1), &json!(1)));
    // Columns by name; mean 1/2, deviation sqrt(1/2), so the error is 1/2; quarters by interpolation.
    let names: Vec<&str> = first.keys().map(String::as_str).skip(3).take(11).collect();
    assert_eq!(
        names,
        [
            "mean/b",
            "median/b",
            "std/b",
            "sem/b",
            "min/b",
            "max/b",
            "p25/b",
            "p75/b",
            "ci_low_95/b",
            "ci_high_95/b",
            "mean/reward"
        ]
    );
    assert!((float(first, "sem/reward") - 0.5).abs() < 1e-15);
    assert_eq!((float(first, "p25/reward"), float(first, "p75/reward")), (0.25, 0.75));
    // With one degree of freedom the quantile is tan(0.475 π).
    let width = (0.475 * std::f64::consts::PI).tan() / 2.0;
    assert!((float(first, "ci_high_95/reward") - (0.5 + width)).abs() < 1e-12);
    // A single value: no deviation, no interval.
    assert_eq!(float(second, "std/reward"), 0.0);
    assert!(!second.contains_key("ci_low_95/reward"));
    // The repeats' means are 1/2 and 1.
    let all = &metrics.agent_metrics;
    assert_eq!(float(all, "mean_across_repeats/mean/reward"), 0.75);
    assert_eq!(float(all, "std_across_repeats/mean/reward"), 0.125_f64.sqrt());
    assert_eq!(float(all, "ci_low_95_across_repeats/mean/b"), 1.0);
    assert!(!all.contains_key("mean_across_repeats/median/reward"));
    assert_eq!(all["num_repeats"], json!(2));
}

#[test]
fn masked_replies_are_counted_and_left_out() {
    let replies = rows(&[
        r#"{"_ng_task_index":0,"reward":1.0,"mask_sample":false}"#,
        r#"{"_ng_task_index":1,"reward":0.0,"mask_sample":true}"#,
    ]);
    let metrics = aggregate(&replies, MetricOptions::default()).unwrap();
    assert_eq!(float(&metrics.agent_metrics, "mean/reward"), 1.0);
    assert!(!metrics.agent_metrics.contains_key("mean/mask_sample"));
    let coverage = [
        ("coverage/measured_rollouts", 1),
        ("coverage/masked_rollouts", 1),
        ("coverage/measured_tasks", 1),
        ("coverage/fully_masked_tasks", 1),
    ];
    for (name, count) in coverage {
        assert_eq!((&metrics.agent_metrics[name], &metrics.key_metrics[name]), (&json!(count), &json!(count)));
    }
    assert_eq!(metrics.group_level_metrics.len(), 1);
    let nothing_left = aggregate(&replies[1..], MetricOptions::default()).unwrap();
    assert_eq!(nothing_left.agent_metrics.len(), 4);
    assert_eq!(nothing_left.agent_metrics, nothing_left.key_metrics);
    assert!(nothing_left.group_level_metrics.is_empty());
}

#[test]
fn costs_are_summed_up_over_masked_replies_as_well() {
    let replies = rows(&[
        r#"{"_ng_task_index":0,"reward":1.0,"ng_perf":{"num_turns":2,"completion_tokens":10,"total_latency_ms":1.5}}"#,
        r#"{"_ng_task_index":1,"reward":0.0,"mask_sample":true,"ng_perf":{"num_turns":4,"completion_tokens":40}}"#,
        r#"{"_ng_task_index":2,"reward":0.0}"#,
        r#"{"_ng_task_index":3,"reward":0.0}"#,
    ]);
    let summary = aggregate(&replies, MetricOptions::default()).unwrap().perf_summary.unwrap();
    let expected = json!({
        "overall_observability_coverage": 0.5, "token_observability_coverage": 0.0,
        "mean_completion_tokens": 25.0, "median_completion_tokens": 25.0, "total_completion_tokens": 50,
        "mean_num_turns": 3.0, "median_num_turns": 3.0, "std_num_turns": 1.0, "min_num_turns": 2, "p90_num_turns": 3.8,
        "max_num_turns": 4,
        "mean_tokens_per_turn": 7.5, "median_tokens_per_turn": 7.5,
        "total_latency_p50_ms": 1.5, "total_latency_p90_ms": 1.5, "total_latency_p99_ms": 1.5, "total_latency_mean_ms": 1.5,
    });
    assert_eq!(Value::Object(summary), expected);
}

#[test]
fn the_same_rollout_twice_is_an_error() {
    let replies = rows(&[r#"{"_ng_task_index":0,"reward":1.0}"#, r#"{"_ng_task_index":0,"reward":1.0}"#]);
    assert!(matches!(
        aggregate(&replies, MetricOptions::default()),
        Err(MetricsError::Duplicate { task: 0, rollout: 0 })
    ));
}

#[test]
fn pass_and_majority_follow_their_definitions() {
    let pass = PassMetrics {
        scores: vec![Score { name: "accuracy".to_owned(), field: "reward".to_owned(), only_if_present: None }],
        answer_field: Some("answer".to_owned()),
        subset_field: None,
    };
    let replies = rows(&[
        r#"{"_ng_task_index":0,"_ng_rollout_index":0,"reward":1.0,"answer":"B"}"#,
        r#"{"_ng_task_index":0,"_ng_rollout_index":1,"reward":0.0,"answer":"C"}"#,
        r#"{"_ng_task_index":0,"_ng_rollout_index":2,"reward":0.0,"answer":"C"}"#,
        r#"{"_ng_task_index":1,"_ng_rollout_index":0,"reward":0.0,"answer":null}"#,
        r#"{"_ng_task_index":1,"_ng_rollout_index":1,"reward":1.0,"answer":"A"}"#,
        r#"{"_ng_task_index":1,"_ng_rollout_index":2,"reward":1.0,"answer":"A"}"#,
    ]);
    let metrics = aggregate(&replies, MetricOptions { pass: Some(&pass) }).unwrap();
    let all = &metrics.agent_metrics;
    // Task 0 has one right of three, task 1 two: pass@1 is 1/3 and 2/3.
    assert!((float(all, "pass@1/accuracy") - 50.0).abs() < 1e-12);
    // pass@2: 1 - C(2,2)/C(3,2) = 2/3, and 1 because one wrong answer cannot fill two places.
    assert!((float(all, "pass@2/accuracy") - 100.0 * (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-9);
    assert_eq!(float(all, "pass@3/accuracy"), 100.0);
    // The first two: 1/2 and 1/2.
    assert_eq!(float(all, "pass@1[avg-of-2]/accuracy"), 50.0);
    // Of the first two answers: B and C tie (1 and 0), and A is the only one: 0.5 and 1.
    assert_eq!(float(all, "majority@2/accuracy"), 75.0);
    // Of three: C wins with 0, A wins with 1.
    assert_eq!(float(all, "majority@3/accuracy"), 50.0);
    // Whoever gave no answer cannot be voted for.
    assert_eq!(float(all, "majority@3/no_answer"), 0.0);
    // Per run 1/2, 1/2, 1/2 are right: no deviation.
    assert_eq!(all["per_sample_aggregate"]["accuracy"], json!([50.0, 50.0, 50.0]));
    assert_eq!(float(all, "pass@1[avg-of-2]/accuracy/std_dev_across_runs"), 0.0);
    // One of six has no answer; per run 1/2, 0, 0.
    assert!((float(all, "pass@1[avg-of-3]/no_answer") - 100.0 / 6.0).abs() < 1e-12);
    let keys: Vec<&str> = metrics.key_metrics.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "mean/reward",
            "pass@1[avg-of-3]/accuracy",
            "pass@1[avg-of-3]/no_answer",
            "pass@3/no_answer",
            "majority@3/accuracy",
            "pass@1/accuracy"
        ]
    );
}

#[test]
fn subsets_and_absent_scores_are_metrics_of_their_own() {
    let score = |name: &str, field: &str, only: Option<&str>| Score {
        name: name.to_owned(),
        field: field.to_owned(),
        only_if_present: only.map(str::to_owned),
    };
    let pass = PassMetrics {
        scores: vec![
            score("accuracy", "reward", None),
            score("judged", "judge", Some("judge")),
            score("never", "no", None),
        ],
        answer_field: None,
        subset_field: Some("level".to_owned()),
    };
    let replies = rows(&[
        r#"{"_ng_task_index":0,"_ng_rollout_index":0,"reward":0.5,"level":"hard"}"#,
        r#"{"_ng_task_index":0,"_ng_rollout_index":1,"reward":0.75,"judge":true,"level":"hard"}"#,
        r#"{"_ng_task_index":1,"_ng_rollout_index":0,"reward":0.25,"level":"easy"}"#,
    ]);
    let all = aggregate(&replies, MetricOptions { pass: Some(&pass) }).unwrap().agent_metrics;
    // Not just right or wrong: the best of the first k.
    assert_eq!(float(&all, "pass@1/accuracy"), 37.5);
    assert_eq!(float(&all, "hard/pass@2/accuracy"), 75.0);
    // The second task has one rollout, which is all of its first two.
    assert_eq!(float(&all, "pass@1[avg-of-2]/accuracy"), 100.0 * (0.625 + 0.25) / 2.0);
    assert_eq!(float(&all, "hard/pass@1[avg-of-2]/judged"), 100.0);
    assert!(!all.contains_key("hard/pass@1[avg-of-1]/judged"), "the first rollout was not judged");
    assert!(!all.keys().any(|key| key.contains("never") || key.contains("easy/pass@2") || key.contains("majority")));
    let subsets: Vec<&str> = all.keys().filter(|key| key.ends_with("/pass@1/accuracy")).map(String::as_str).collect();
    assert_eq!(subsets, ["hard/pass@1/accuracy", "easy/pass@1/accuracy"]);
    assert!(!all.contains_key("hard/per_sample_aggregate"));
}

#[test]
fn chances_of_many_rollouts_are_rounded_once() {
    let pass = PassMetrics {
        scores: vec![Score { name: "a".to_owned(), field: "reward".to_owned(), only_if_present: None }],
        ..PassMetrics::default()
    };
    let lines: Vec<String> =
        (0..20).map(|index| format!("{{\"_ng_rollout_index\":{index},\"reward\":{}}}", u8::from(index < 3))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let all = aggregate(&rows(&lines), MetricOptions { pass: Some(&pass) }).unwrap().agent_metrics;
    // C(17, 10) = 19448 and C(20, 10) = 184756.
    assert_eq!(float(&all, "pass@10/a"), 100.0 * (1.0 - 19448.0 / 184756.0));
}
