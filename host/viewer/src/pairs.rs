// SPDX-License-Identifier: Apache-2.0
//! Two files of rollouts, task by task.

use std::{cmp::Ordering, collections::HashMap};

use serde::Serialize;

use crate::table::{Row, State, Table};

/// One task in both files.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pair {
    pub task: Option<i64>,
    pub title: Box<str>,
    /// By file.
    pub sides: [Side; 2],
    /// By how much the mean reward of the second file is higher; `None` if one of them has none.
    pub delta: Option<f64>,
}

/// The rollouts of one task in one file.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Side {
    pub rollouts: u32,
    pub scored: u32,
    pub mean: Option<f64>,
    /// A rollout of them, to be shown first.
    pub row: Option<u32>,
    #[serde(skip)]
    sum: f64,
}

/// How a task fares in the second file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Better,
    Worse,
    Same,
    /// One of the files has no reward for it.
    Unpaired,
}

/// Differences of mean rewards below this are those of adding in another order.
const SAME: f64 = 1e-9;

impl Pair {
    pub(crate) fn outcome(&self) -> Outcome {
        match self.delta {
            None => Outcome::Unpaired,
            Some(delta) if delta > SAME => Outcome::Better,
            Some(delta) if delta < -SAME => Outcome::Worse,
            Some(_) => Outcome::Same,
        }
    }
}

/// Both files at a glance.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Totals {
    pub better: u64,
    pub worse: u64,
    pub same: u64,
    pub unpaired: u64,
    /// Mean over tasks that both files have rewards for, by file.
    pub means: [Option<f64>; 2],
}

/// All tasks of both files, in the order they were met.
pub(crate) fn pairs(table: &Table) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut places: HashMap<u64, usize> = HashMap::new();
    let known = |row: &&Row| row.group != 0 && row.side < 2;
    for (row, index) in table.rows().iter().zip(0_u32..).filter(|(row, _)| known(row)) {
        let place = *places.entry(row.group).or_insert_with(|| {
            pairs.push(Pair { task: row.task, title: "".into(), sides: [Side::default(); 2], delta: None });
            pairs.len() - 1
        });
        let pair = &mut pairs[place];
        if pair.title.is_empty() {
            pair.title = row.title.clone();
        }
        let side = &mut pair.sides[usize::from(row.side)];
        side.rollouts += 1;
        // A rollout with a reward is shown rather than one that failed.
        let scored = row.state == State::Scored;
        if side.row.is_none() || (scored && side.scored == 0) {
            side.row = Some(index);
        }
        if scored {
            side.scored += 1;
            side.sum += row.reward;
        }
    }
    for pair in &mut pairs {
        for side in &mut pair.sides {
            side.mean = (side.scored > 0).then(|| side.sum / f64::from(side.scored));
        }
        pair.delta = pair.sides[1].mean.zip(pair.sides[0].mean).map(|(second, first)| second - first);
    }
    pairs
}

pub(crate) fn totals(pairs: &[Pair]) -> Totals {
    let mut totals = Totals::default();
    let mut sums = [0.0; 2];
    for pair in pairs {
        match pair.outcome() {
            Outcome::Better => totals.better += 1,
            Outcome::Worse => totals.worse += 1,
            Outcome::Same => totals.same += 1,
            Outcome::Unpaired => totals.unpaired += 1,
        }
        if pair.delta.is_some() {
            for (sum, side) in sums.iter_mut().zip(pair.sides) {
                *sum += side.mean.unwrap_or(0.0);
            }
        }
    }
    let paired = totals.better + totals.worse + totals.same;
    totals.means = sums.map(|sum| (paired > 0).then(|| sum / paired as f64));
    totals
}

/// The pairs with an outcome (all with `None`) and a text in their prompt, in an order: `delta`, `a`, `b` or `task`, with
/// `-` before it from the highest down. Pairs without the value come last. `None` if there is no such order.
pub(crate) fn choose<'a>(pairs: &'a [Pair], outcome: Option<Outcome>, text: &str, sort: &str) -> Option<Vec<&'a Pair>> {
    let (descending, field) = match sort.strip_prefix('-') {
        Some(field) => (true, field),
        None => (false, sort),
    };
    let value: fn(&Pair) -> Option<f64> = match field {
        "delta" => |pair| pair.delta,
        "a" => |pair| pair.sides[0].mean,
        "b" => |pair| pair.sides[1].mean,
        "task" => |pair| pair.task.map(|task| task as f64),
        _ => return None,
    };
    let text = text.to_lowercase();
    let mut chosen: Vec<&Pair> = pairs
        .iter()
        .filter(|pair| outcome.is_none_or(|outcome| pair.outcome() == outcome))
        .filter(|pair| text.is_empty() || pair.title.to_lowercase().contains(&text))
        .collect();
    chosen.sort_by(|left, right| match (value(left), value(right)) {
        (Some(left), Some(right)) => {
            let order = left.partial_cmp(&right).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
        (left, right) => left.is_none().cmp(&right.is_none()),
    });
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{extract, table::Place};

    #[test]
    fn tasks_of_two_files_are_compared_by_their_mean_rewards() {
        let mut table = Table::default();
        for (side, task, reward) in [
            (0, 0, "1"),
            (0, 0, "0"),
            (0, 1, "1"),
            (0, 2, "0.25"),
            (0, 3, "1"),
            (1, 0, "1"),
            (1, 1, "0"),
            (1, 2, "0.25"),
            (1, 3, "null"),
            (1, 4, "1"),
        ] {
            let row = format!("{{\"_ng_task_index\":{task},\"reward\":{reward}}}");
            let place = Place { side, in_failures: false, line: 0, offset: 0, bytes: 0 };
            table.push(place, extract::facts(Bytes::from(row)));
        }
        let pairs = pairs(&table);
        let deltas: Vec<_> = pairs.iter().map(|pair| pair.delta).collect();
        assert_eq!(deltas, [Some(0.5), Some(-1.0), Some(0.0), None, None]);
        let totals = totals(&pairs);
        assert_eq!((totals.better, totals.worse, totals.same, totals.unpaired), (1, 1, 1, 2));
        // (0.5 + 1 + 0.25) / 3 and (1 + 0 + 0.25) / 3
        assert_eq!(totals.means, [Some(1.75 / 3.0), Some(1.25 / 3.0)]);
        let tasks = |outcome, sort| -> Vec<Option<i64>> {
            choose(&pairs, outcome, "", sort).unwrap().iter().map(|pair| pair.task).collect()
        };
        assert_eq!(tasks(None, "delta"), [Some(1), Some(2), Some(0), Some(3), Some(4)]);
        assert_eq!(tasks(None, "-delta"), [Some(0), Some(2), Some(1), Some(3), Some(4)]);
        assert_eq!(tasks(Some(Outcome::Unpaired), "-task"), [Some(4), Some(3)]);
        assert!(choose(&pairs, None, "", "colour").is_none());
    }
}
