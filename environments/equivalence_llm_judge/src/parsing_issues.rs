// SPDX-License-Identifier: Apache-2.0
//! How often a judge's answer could not be read as it should be.

use std::collections::{BTreeMap, BTreeSet};

use gym_env::{
    Metrics, MetricsRequest, Response,
    judge::{Exchange, Labels, Reading},
};
use serde_json::{Map, Value};

/// The share of judged rollouts with an issue; with a slash and the issue's name, the share with that one.
const RATE: &str = "judgement_parsing_issue_rate";

/// The label of evaluations that failed, in rollouts of older releases.
const FAILED: &str = "JUDGE_ERROR";

/// The rates over all rollouts that were judged, beside the means that are chosen by default. A rollout counts once, however
/// often it was judged.
pub(crate) fn metrics(request: &MetricsRequest, labels: &Labels) -> Metrics {
    let (mut judged, mut with_issues) = (0_u64, 0_u64);
    let mut by_issue: BTreeMap<String, u64> = BTreeMap::new();
    for reply in request.replies() {
        let evaluations = reply.get("judge_evaluations").and_then(Value::as_array);
        let measured: Vec<_> =
            evaluations.into_iter().flatten().filter_map(|evaluation| issues(evaluation, labels)).collect();
        if measured.is_empty() {
            continue;
        }
        let issues: BTreeSet<_> = measured.into_iter().flatten().collect();
        judged += 1;
        with_issues += u64::from(!issues.is_empty());
        for issue in issues {
            *by_issue.entry(issue).or_default() += 1;
        }
    }
    if judged == 0 {
        return Metrics::default();
    }
    let share = |count: u64| count as f64 / judged as f64;
    let mut metrics = Metrics::default().with(RATE, share(with_issues));
    for (issue, count) in by_issue {
        metrics = metrics.with(format!("{RATE}/{issue}"), share(count));
    }
    let means = request.agent_metrics.iter().filter(|(name, _)| name.starts_with("mean/"));
    let mut key_metrics: Map<_, _> = means.map(|(name, value)| (name.clone(), value.clone())).collect();
    key_metrics.insert(RATE.to_owned(), share(with_issues).into());
    metrics.key_metrics = Some(key_metrics);
    metrics
}

/// The issues of one evaluation; none at all if it was not measured. Where they were not noted they are read from the
/// answer that was kept.
fn issues(evaluation: &Value, labels: &Labels) -> Option<Vec<String>> {
    let evaluation = evaluation.as_object().filter(|evaluation| !evaluation.is_empty())?;
    if evaluation.get("verdict_label").and_then(Value::as_str) == Some(FAILED) {
        return None;
    }
    if let Some(noted) = evaluation.get("judgement_parsing_issues").and_then(Value::as_array) {
        return Some(noted.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    let response = evaluation.get("response").filter(|response| response.is_object())?;
    let exchange = Exchange { request: Map::new(), response: Response::new(response.to_string()) };
    Some(labels.read(&exchange, Reading::Last).issues.iter().map(|issue| issue.name().to_owned()).collect())
}
