// SPDX-License-Identifier: Apache-2.0
//! `pass@k`, `pass@1[avg-of-k]` and `majority@k`, in percent.

use gym_protocol::{Members, Raw, environment::PassMetrics};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    number::{Number, sum, sum_floats},
    table::Row,
};

const NO_ANSWER: &str = "no_answer";

/// The rollouts of one task.
struct Task {
    /// For each score its values by rollout; none where the score does not apply.
    scores: Vec<Vec<Option<Number>>>,
    answers: Vec<Option<String>>,
    subset: Option<String>,
}

/// Metrics of all tasks, and of the subsets if there are any. The rows of a task stand together.
pub(super) fn pass_metrics(rows: &[Row], options: &PassMetrics) -> Map<String, Value> {
    let mut names: Vec<&str> = options.scores.iter().map(|score| score.name.as_str()).collect();
    if options.answer_field.is_some() {
        names.push(NO_ANSWER);
    }
    names.sort_unstable();
    names.dedup();
    let tasks: Vec<Task> =
        rows.chunk_by(|one, other| one.task == other.task).map(|rows| Task::read(rows, &names, options)).collect();
    let mut metrics = of_tasks(&tasks.iter().collect::<Vec<_>>(), &names, options);
    let mut subsets: IndexMap<&str, Vec<&Task>> = IndexMap::new();
    for task in &tasks {
        if let Some(subset) = &task.subset {
            subsets.entry(subset).or_default().push(task);
        }
    }
    for (subset, tasks) in subsets {
        let of_subset = of_tasks(&tasks, &names, options).into_iter();
        metrics.extend(
            of_subset
                .filter(|(name, _)| name != "per_sample_aggregate")
                .map(|(name, value)| (format!("{subset}/{name}"), value)),
        );
    }
    metrics
}

/// The headline: the mean reward, then of each kind of metric those with the largest k, and plain `pass@1`.
pub(super) fn headline(
    statistics: &Map<String, Value>,
    metrics: &Map<String, Value>,
    options: &PassMetrics,
) -> Map<String, Value> {
    let mut keys = Map::new();
    if let Some(reward) = statistics.get("mean/reward") {
        keys.insert("mean/reward".to_owned(), reward.clone());
    }
    let is_score = |name: &str| options.scores.iter().any(|score| score.name == name);
    keys.extend(with_largest_k(metrics, "pass@1[avg-of-", "]/", |name| is_score(name) || name == NO_ANSWER));
    keys.extend(with_largest_k(metrics, "pass@", "/", |name| name == NO_ANSWER));
    keys.extend(with_largest_k(metrics, "majority@", "/", is_score));
    for score in &options.scores {
        let key = format!("pass@1/{}", score.name);
        if let Some(value) = metrics.get(&key) {
            keys.insert(key, value.clone());
        }
    }
    keys
}

/// Of the metrics `<before>k<after>name` those with the largest k.
fn with_largest_k(
    metrics: &Map<String, Value>,
    before: &str,
    after: &str,
    wanted: impl Fn(&str) -> bool,
) -> Vec<(String, Value)> {
    let k = |key: &str| {
        let (k, name) = key.strip_prefix(before)?.split_once(after)?;
        k.parse::<usize>().ok().filter(|_| wanted(name))
    };
    let largest = metrics.keys().filter_map(|key| k(key)).max();
    metrics
        .iter()
        .filter(|(key, _)| largest.is_some() && k(key) == largest)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn subset(row: &Members, field: &str) -> Option<String> {
    let text = text(row.get_set(field)?);
    (!matches!(text.as_str(), "" | "0" | "false")).then_some(text)
}

impl Task {
    fn read(rows: &[Row], names: &[&str], options: &PassMetrics) -> Self {
        let rows: Vec<Members> = rows.iter().map(Row::members).collect();
        let subset = options.subset_field.as_ref().and_then(|field| rows.iter().find_map(|row| subset(row, field)));
        let answers: Vec<Option<String>> = match &options.answer_field {
            Some(field) => rows.iter().map(|row| row.get_set(field).map(text)).collect(),
            None => Vec::new(),
        };
        let scores = names
            .iter()
            .map(|name| {
                if *name == NO_ANSWER && options.answer_field.is_some() {
                    return answers.iter().map(|answer| Some(Number::integer(i64::from(answer.is_none())))).collect();
                }
                rows.iter().map(|row| score(row, name, options)).collect()
            })
            .collect();
        Self { scores, answers, subset }
    }

    /// The most frequent answer's score among the first k; ties are averaged, and without any answer it is 0.
    fn majority(&self, score: usize, k: usize) -> f64 {
        let mut votes: IndexMap<(&str, u64), (Number, usize)> = IndexMap::new();
        for (answer, score) in self.answers.iter().zip(&self.scores[score]).take(k) {
            if let (Some(answer), Some(score)) = (answer, score) {
                // Adding zero takes the sign from a zero.
                votes.entry((answer, (score.value + 0.0).to_bits())).or_insert((*score, 0)).1 += 1;
            }
        }
        let Some(most) = votes.values().map(|(_, count)| *count).max() else { return 0.0 };
        let tied: Vec<Number> = votes.values().filter(|(_, count)| *count == most).map(|(score, _)| *score).collect();
        sum(tied.iter().copied()) / tied.len() as f64
    }
}

/// The text of a string, or the JSON text of anything else.
fn text(value: &Raw) -> String {
    value.read().unwrap_or_else(|_| value.as_str().to_owned())
}

fn score(row: &Members, name: &str, options: &PassMetrics) -> Option<Number> {
    let score = options.scores.iter().find(|score| score.name == name)?;
    if score.only_if_present.as_ref().is_some_and(|field| row.get_set(field).is_none()) {
        return None;
    }
    Number::read(row.get(&score.field)?)
}

fn of_tasks(tasks: &[&Task], names: &[&str], options: &PassMetrics) -> Map<String, Value> {
    let largest = tasks.iter().flat_map(|task| task.scores.iter().map(Vec::len)).max().unwrap_or(0);
    // A score that no rollout has is not listed.
    let has_score =
        |(index, _): &(usize, &&str)| tasks.iter().any(|task| task.scores[*index].iter().any(Option::is_some));
    let names: Vec<(usize, &str)> =
        names.iter().enumerate().filter(has_score).map(|(index, name)| (index, *name)).collect();
    let mut metrics = Map::new();
    for k in 1..=largest {
        for &(index, name) in &names {
            let present = |task: &&Task| task.scores[index].iter().flatten().copied().collect::<Vec<Number>>();
            let passes = tasks.iter().map(present).filter(|scores| k <= scores.len()).map(|scores| pass(&scores, k));
            put(&mut metrics, format!("pass@{k}/{name}"), passes.collect());
            let averages = tasks.iter().filter_map(|task| {
                let scores: Vec<Number> = task.scores[index].iter().take(k).flatten().copied().collect();
                (!scores.is_empty()).then(|| Number::float(sum(scores.iter().copied()) / scores.len() as f64))
            });
            put(&mut metrics, format!("pass@1[avg-of-{k}]/{name}"), averages.collect());
            if options.answer_field.is_some() {
                let majorities = tasks.iter().map(|task| Number::float(task.majority(index, k)));
                put(&mut metrics, format!("majority@{k}/{name}"), majorities.collect());
            }
        }
    }
    let mut runs: IndexMap<&str, Vec<f64>> = IndexMap::new();
    for &(index, name) in &names {
        let of_run =
            |run: usize| percent(&tasks.iter().filter_map(|task| *task.scores[index].get(run)?).collect::<Vec<_>>());
        runs.insert(name, (0..largest).filter_map(of_run).collect());
    }
    runs.retain(|_, averages| !averages.is_empty());
    metrics.insert("per_sample_aggregate".to_owned(), json!(runs));
    for k in 2..=largest {
        for (_, name) in &names {
            let Some(runs) = runs.get(name).map(|runs| &runs[..k.min(runs.len())]).filter(|runs| runs.len() > 1) else {
                continue;
            };
            let count = runs.len() as f64;
            let mean = sum_floats(runs.iter().copied()) / count;
            let variance = sum_floats(runs.iter().map(|run| square(run - mean))) / (count - 1.0);
            let key = format!("pass@1[avg-of-{k}]/{name}");
            metrics.insert(format!("{key}/std_dev_across_runs"), json!(variance.sqrt()));
            metrics.insert(format!("{key}/std_err_across_runs"), json!(variance.sqrt() / count.sqrt()));
        }
    }
    metrics
}

/// Python's `x ** 2`, which is the C library's `pow` and not always the last digit of `x * x`. The compiler would make
/// a product of it if it knew the exponent.
fn square(x: f64) -> f64 {
    x.powf(std::hint::black_box(2.0))
}

fn put(metrics: &mut Map<String, Value>, key: String, shares: Vec<Number>) {
    if let Some(percent) = percent(&shares) {
        metrics.insert(key, json!(percent));
    }
}

fn percent(shares: &[Number]) -> Option<f64> {
    (!shares.is_empty()).then(|| 100.0 * sum(shares.iter().copied()) / shares.len() as f64)
}

/// The chance that at least one of k rollouts, drawn from all without putting back, is right; for scores that are not
/// just right or wrong the best of the first k.
fn pass(scores: &[Number], k: usize) -> Number {
    if scores.iter().any(|score| score.value != 0.0 && score.value != 1.0) {
        let better = |one: Number, other: Number| if other.value > one.value { other } else { one };
        return scores[..k].iter().copied().reduce(better).unwrap_or(Number::integer(0));
    }
    let wrong = scores.iter().filter(|score| score.value == 0.0).count();
    if wrong < k {
        return Number::float(1.0);
    }
    // The chance that all of them are wrong.
    let all_wrong = match (choose(wrong, k), choose(scores.len(), k)) {
        (Some(wrong), Some(all)) => ratio(wrong, all),
        // So many rollouts that the numbers are beyond 126 bits; the last digit may be another one then.
        _ => (0..k).map(|i| (wrong - i) as f64 / (scores.len() - i) as f64).product(),
    };
    Number::float(1.0 - all_wrong)
}

/// The number of ways to choose k of n, if it is below 2^126.
fn choose(n: usize, k: usize) -> Option<u128> {
    let mut ways: u128 = 1;
    for i in 0..k.min(n - k) {
        ways = ways.checked_mul((n - i) as u128)? / (i + 1) as u128;
    }
    (ways < 1 << 126).then_some(ways)
}

/// `part / whole`, rounded once; `part` is not larger.
fn ratio(part: u128, whole: u128) -> f64 {
    if part == whole {
        return 1.0;
    }
    if part == 0 {
        return 0.0;
    }
    // Long division, bit by bit: 53 digits, and one more to round by.
    let mut rest = part;
    let mut exponent = 0;
    while rest < whole {
        rest <<= 1;
        exponent -= 1;
    }
    let mut digits: u64 = 0;
    for _ in 0..54 {
        digits <<= 1;
        if rest >= whole {
            rest -= whole;
            digits |= 1;
        }
        rest <<= 1;
    }
    let round_up = digits & 1 == 1 && (rest != 0 || digits & 2 == 2);
    ((digits >> 1) + u64::from(round_up)) as f64 * 2.0_f64.powi(exponent - 52)
}
