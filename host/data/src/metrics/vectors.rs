// SPDX-License-Identifier: Apache-2.0
//! Test vectors derived by hand from the definitions, each with its derivation.

use bytes::Bytes;
use gym_protocol::environment::Score;

use super::*;

/// The metrics of tasks, each a list of replies without their numbers.
fn metrics(tasks: &[&[&str]], answers: bool) -> Aggregate {
    let mut replies = Vec::new();
    for (task, rollouts) in tasks.iter().enumerate() {
        for (rollout, rest) in rollouts.iter().enumerate() {
            let reply = format!("{{\"_ng_task_index\":{task},\"_ng_rollout_index\":{rollout},{rest}}}");
            replies.push(Raw::parse(Bytes::from(reply)).unwrap());
        }
    }
    let pass = PassMetrics {
        scores: vec![Score { name: "acc".to_owned(), field: "reward".to_owned(), only_if_present: None }],
        answer_field: answers.then(|| "answer".to_owned()),
        subset_field: Some("level".to_owned()),
    };
    aggregate(&replies, MetricOptions { pass: Some(&pass) }).unwrap()
}

#[track_caller]
fn check(metrics: &Map<String, Value>, expected: &[(&str, f64)], absent: &[&str]) {
    for (key, expected) in expected {
        let found = metrics.get(*key).and_then(Value::as_f64).unwrap_or_else(|| panic!("no `{key}`"));
        assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{key}: {found}, not {expected}");
    }
    for key in absent {
        assert!(!metrics.contains_key(*key), "{key}");
    }
}

#[test]
fn pass_at_k_is_the_chance_that_k_drawn_rollouts_have_a_right_one() {
    // 2 of 5 are right, 3 wrong: 1 - C(3,k)/C(5,k) is 1 - 3/5, 1 - 3/10, 1 - 1/10, then 1.
    let five = ["\"reward\":1.0", "\"reward\":0.0", "\"reward\":0.0", "\"reward\":1.0", "\"reward\":0.0"];
    let expected = [
        ("pass@1/acc", 40.0),
        ("pass@2/acc", 70.0),
        ("pass@3/acc", 90.0),
        ("pass@4/acc", 100.0),
        ("pass@5/acc", 100.0),
        // The first k, in their order.
        ("pass@1[avg-of-1]/acc", 100.0),
        ("pass@1[avg-of-2]/acc", 50.0),
        ("pass@1[avg-of-3]/acc", 100.0 / 3.0),
        ("pass@1[avg-of-4]/acc", 50.0),
        ("pass@1[avg-of-5]/acc", 40.0),
        // 100 and 0: mean 50, squares 2500 + 2500 over 1.
        ("pass@1[avg-of-2]/acc/std_dev_across_runs", 5000.0_f64.sqrt()),
        ("pass@1[avg-of-2]/acc/std_err_across_runs", 50.0),
        // 100 0 0 100 0: mean 40, squares 2 * 3600 + 3 * 1600 = 12000 over 4; the error over 5 more.
        ("pass@1[avg-of-5]/acc/std_dev_across_runs", 3000.0_f64.sqrt()),
        ("pass@1[avg-of-5]/acc/std_err_across_runs", 600.0_f64.sqrt()),
    ];
    let absent = ["pass@6/acc", "majority@1/acc", "pass@1[avg-of-1]/acc/std_dev_across_runs"];
    check(&metrics(&[&five], false).agent_metrics, &expected, &absent);
    // Booleans and integers are the same scores.
    let booleans = five.map(|reply| reply.replace("1.0", "true").replace("0.0", "false"));
    let integers = five.map(|reply| reply.replace(".0", ""));
    for same in [booleans, integers] {
        let same: Vec<&str> = same.iter().map(String::as_str).collect();
        check(&metrics(&[&same], false).agent_metrics, &expected, &absent);
    }
    // All right, all wrong: means over tasks.
    let (right, wrong) = (["\"reward\":1"; 3], ["\"reward\":0"; 3]);
    let both = metrics(&[&right, &wrong], false).agent_metrics;
    check(&both, &[("pass@1/acc", 50.0), ("pass@2/acc", 50.0), ("pass@3/acc", 50.0)], &["pass@4/acc"]);
}

#[test]
fn scores_between_right_and_wrong_count_as_the_best_of_the_first_k() {
    let rewards = ["\"reward\":0.25", "\"reward\":0.5", "\"reward\":0.125"];
    let expected = [
        ("pass@1/acc", 25.0),
        ("pass@2/acc", 50.0),
        ("pass@3/acc", 50.0),
        ("pass@1[avg-of-2]/acc", 37.5),
        ("pass@1[avg-of-3]/acc", 87.5 / 3.0),
    ];
    check(&metrics(&[&rewards], false).agent_metrics, &expected, &[]);
    // A single value between makes all of the task count so, also whole ones: the first is 0.
    let mixed = ["\"reward\":0.0", "\"reward\":0.5", "\"reward\":1.0"];
    check(&metrics(&[&mixed], false).agent_metrics, &[("pass@1/acc", 0.0), ("pass@2/acc", 50.0)], &[]);
}

/// The reward and the answer of each rollout.
type Votes<'a> = &'a [(i32, &'a str)];

#[test]
fn ties_of_a_vote_are_averaged() {
    let vote = |list: Votes<'_>| -> Vec<String> {
        list.iter().map(|(reward, answer)| format!("\"reward\":{reward},\"answer\":{answer}")).collect()
    };
    let cases: [(Votes<'_>, &[f64]); 6] = [
        // A; A and B; B twice; two each; two each and C once.
        (&[(1, "\"A\""), (0, "\"B\""), (0, "\"B\""), (1, "\"A\""), (0, "\"C\"")], &[100.0, 50.0, 0.0, 50.0, 50.0]),
        // Three different ones, of which one is right.
        (&[(0, "\"A\""), (1, "\"B\""), (0, "\"C\"")], &[0.0, 50.0, 100.0 / 3.0]),
        // The same answer with two scores is two answers.
        (&[(1, "\"A\""), (0, "\"A\""), (0, "\"A\"")], &[100.0, 50.0, 0.0]),
        // No answer is no vote, and without any the task counts 0.
        (&[(0, "null"), (1, "\"A\""), (0, "null")], &[0.0, 100.0, 100.0]),
        // Answers need not be texts; zero has no sign.
        (&[(1, "4"), (0, "5"), (1, "4")], &[100.0, 50.0, 100.0]),
        (&[(1, "[1]"), (1, "[1]"), (0, "{}")], &[100.0, 100.0, 100.0]),
    ];
    for (list, expected) in cases {
        let rows = vote(list);
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let all = metrics(&[&rows], true).agent_metrics;
        let names: Vec<String> = (1..=expected.len()).map(|k| format!("majority@{k}/acc")).collect();
        let expected: Vec<(&str, f64)> = names.iter().map(String::as_str).zip(expected.iter().copied()).collect();
        check(&all, &expected, &[]);
    }
    let zeros = ["\"reward\":0.0,\"answer\":1", "\"reward\":-0.0,\"answer\":1", "\"reward\":1.0,\"answer\":2"];
    check(&metrics(&[&zeros], true).agent_metrics, &[("majority@3/acc", 0.0)], &[]);
    // 1 of 2 has no answer: 1 - C(1,1)/C(2,1), then there is surely one. Nobody votes for no answer.
    let rows = vote(&[(0, "null"), (1, "\"A\"")]);
    let expected = [
        ("pass@1/no_answer", 50.0),
        ("pass@2/no_answer", 100.0),
        ("pass@1[avg-of-1]/no_answer", 100.0),
        ("pass@1[avg-of-2]/no_answer", 50.0),
        ("majority@1/no_answer", 0.0),
        ("majority@2/no_answer", 0.0),
    ];
    check(&metrics(&[&[&rows[0], &rows[1]]], true).agent_metrics, &expected, &[]);
}

#[test]
fn tasks_may_have_different_numbers_of_rollouts() {
    let tasks: [&[&str]; 2] = [&["\"reward\":1", "\"reward\":0", "\"reward\":1"], &["\"reward\":1"]];
    let all = metrics(&tasks, false);
    let expected = [
        // 2/3 and 1; from two on only the first task has so many.
        ("pass@1/acc", 500.0 / 6.0),
        ("pass@2/acc", 100.0),
        ("pass@1[avg-of-1]/acc", 100.0),
        // 1/2 and 1, 2/3 and 1: the second task has no more than its one.
        ("pass@1[avg-of-2]/acc", 75.0),
        ("pass@1[avg-of-3]/acc", 500.0 / 6.0),
        ("mean/reward", 0.75),
        // Repeats: 1 and 1, 0, 1.
        ("mean_across_repeats/mean/reward", 2.0 / 3.0),
    ];
    check(&all.agent_metrics, &expected, &[]);
    assert_eq!(all.agent_metrics["per_sample_aggregate"]["acc"], json!([100.0, 0.0, 100.0]));
    let missing: Vec<_> = all.repeat_level_metrics.iter().map(|repeat| repeat["missing_count"].clone()).collect();
    assert_eq!(missing, [0, 1, 1]);
}

#[test]
fn one_repeat_has_no_deviation_between_runs() {
    let all = metrics(&[&["\"reward\":1"], &["\"reward\":0"], &["\"reward\":1"]], false);
    let absent = ["pass@2/acc", "pass@1[avg-of-1]/acc/std_dev_across_runs", "mean_across_repeats/mean/reward"];
    // 1 0 1: mean 2/3, squares 2 * 1/9 + 4/9 = 2/3 over 2.
    let expected = [("pass@1/acc", 200.0 / 3.0), ("std/reward", (1.0_f64 / 3.0).sqrt()), ("median/reward", 1.0)];
    check(&all.agent_metrics, &expected, &absent);
    assert!(all.repeat_level_metrics.is_empty());
}

#[test]
fn rollouts_without_a_measurement_are_in_no_mean() {
    // The one in the middle is a fault: one right and one wrong are left.
    let masked = ["\"reward\":1.0", "\"reward\":0.0,\"mask_sample\":true,\"failure_kind\":\"x\"", "\"reward\":0.0"];
    let all = metrics(&[&masked], false).agent_metrics;
    let expected = [("pass@1/acc", 50.0), ("pass@2/acc", 100.0), ("mean/reward", 0.5), ("num_repeats", 3.0)];
    check(&all, &expected, &["pass@3/acc", "mean/mask_sample"]);
    // Without a reward there is no score, and the following ones keep their place among the first k.
    let gap = ["\"reward\":1.0", "\"other\":1", "\"reward\":0.0"];
    let expected = [
        ("pass@1/acc", 50.0),
        ("pass@2/acc", 100.0),
        ("pass@1[avg-of-2]/acc", 100.0),
        ("pass@1[avg-of-3]/acc", 50.0),
        ("mean/reward", 0.5),
        ("mean/other", 1.0),
    ];
    let all = metrics(&[&gap], false).agent_metrics;
    check(&all, &expected, &["pass@3/acc", "std/other"]);
    assert_eq!(all["per_sample_aggregate"]["acc"], json!([100.0, 0.0]));
}

#[test]
fn a_subset_has_the_metrics_of_its_tasks_alone() {
    let of = |level: &str, reward: i32| format!("\"reward\":{reward},\"level\":\"{level}\"");
    let rows = [of("easy", 1), of("easy", 1), of("hard", 0), of("hard", 1), of("", 0), of("", 0)];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let all = metrics(&[&rows[0..2], &rows[2..4], &rows[4..6]], false).agent_metrics;
    let expected = [
        ("pass@1/acc", 50.0),
        ("easy/pass@1/acc", 100.0),
        ("hard/pass@1/acc", 50.0),
        ("hard/pass@2/acc", 100.0),
        ("hard/pass@1[avg-of-1]/acc", 0.0),
        // 0 and 100.
        ("hard/pass@1[avg-of-2]/acc/std_dev_across_runs", 5000.0_f64.sqrt()),
    ];
    check(&all, &expected, &["/pass@1/acc", "easy/pass@3/acc", "easy/per_sample_aggregate"]);
}

#[test]
fn columns_are_numbers_at_the_top_and_token_counts() {
    let values = [2, 4, 4, 4, 5, 5, 7, 9];
    let rows = values.map(|value| {
        format!(
            "\"x\":{value},\"ok\":{},\"text\":\"1\",\"nothing\":null,\"list\":[1],\"nested\":{{\"y\":1}},\"_z\":1,\
             \"response\":{{\"usage\":{{\"input_tokens\":{},\"details\":{{\"cached\":1}}}},\"created_at\":5}}",
            value > 4,
            value * 10
        )
    });
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let all = metrics(&[&rows], false);
    let expected = [
        // The sum is 40; squares 9 + 3 * 1 + 0 + 0 + 4 + 16 = 32 over 7.
        ("mean/x", 5.0),
        ("median/x", 4.5),
        ("min/x", 2.0),
        ("max/x", 9.0),
        ("std/x", (32.0_f64 / 7.0).sqrt()),
        ("mean/input_tokens", 50.0),
        ("std/input_tokens", 10.0 * (32.0_f64 / 7.0).sqrt()),
        // Four of eight: squares 8 * 1/4 over 7.
        ("mean/ok", 0.5),
        ("std/ok", (2.0_f64 / 7.0).sqrt()),
        // Between repeats of one task the means are the values themselves.
        ("mean_across_repeats/mean/x", 5.0),
        ("se_across_repeats/mean/x", (4.0_f64 / 7.0).sqrt()),
    ];
    let absent = ["mean/text", "mean/nothing", "mean/list", "mean/nested", "mean/y", "mean/_z", "mean/created_at"];
    check(&all.agent_metrics, &expected, &absent);
    check(&all.group_level_metrics[0].metrics(), &expected[..9], &absent);
    // Of a repeat over four tasks: 1 2 3 4. Quarters between neighbours; squares 5 over 3, the error over 4 more; with
    // three degrees of freedom 97.5 % lie below 3.182446305284263.
    let tasks: Vec<[String; 2]> = (1..=4).map(|x| [format!("\"x\":{x}"), "\"x\":0".to_owned()]).collect();
    let tasks: Vec<Vec<&str>> = tasks.iter().map(|task| task.iter().map(String::as_str).collect()).collect();
    let tasks: Vec<&[&str]> = tasks.iter().map(Vec::as_slice).collect();
    let sem = (5.0_f64 / 12.0).sqrt();
    let width = 3.182_446_305_284_263 * sem;
    let expected = [
        ("mean/x", 2.5),
        ("p25/x", 1.75),
        ("p75/x", 3.25),
        ("sem/x", sem),
        ("ci_low_95/x", 2.5 - width),
        ("ci_high_95/x", 2.5 + width),
    ];
    check(&metrics(&tasks, false).repeat_level_metrics[0], &expected, &[]);
}
