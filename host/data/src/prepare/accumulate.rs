// SPDX-License-Identifier: Apache-2.0
//! Statistics of a dataset, in NeMo Gym's names, order and rounding.

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::facts::{Facts, Observation};

/// Count, mean, extremes and deviation, row by row.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    count: u64,
    mean: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Numbers {
    /// Adds a number to a running mean (Welford's method).
    fn observe(&mut self, value: f64) {
        self.widen(value, value);
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
    }

    /// Adds other numbers. For a single one this is not the same to the last digit as [`observe`](Self::observe), and the
    /// numbers of a row's parameters are added this way.
    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other.clone();
            return;
        }
        let (own, added) = (self.count as f64, other.count as f64);
        let all = own + added;
        let delta = other.mean - self.mean;
        self.mean += delta * (added / all);
        self.squares += other.squares + (delta * delta) * (own * added / all);
        self.widen(other.min, other.max);
        self.count += other.count;
    }

    fn widen(&mut self, min: f64, max: f64) {
        self.min = if self.count == 0 || min < self.min { min } else { self.min };
        self.max = if self.count == 0 || max > self.max { max } else { self.max };
    }

    fn merge_one(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.merge(&Self { count: 1, mean: value, squares: 0.0, min: value, max: value });
        }
    }

    fn to_json(&self) -> Value {
        let deviation = if self.count > 1 { (self.squares / (self.count - 1) as f64).sqrt() } else { 0.0 };
        json!({
            "Total # non-null values": self.count,
            "Average": round(self.mean),
            "Min": round(self.min),
            "Max": round(self.max),
            "Standard deviation": round(deviation),
        })
    }
}

/// Two decimals from 1 on, three below: the nearest decimal of the number's exact value, ties to the even digit.
fn round(value: f64) -> f64 {
    let text = if value.abs() >= 1.0 { format!("{value:.2}") } else { format!("{value:.3}") };
    text.parse().unwrap_or(value)
}

/// A field of the rows besides the parameters.
#[derive(Clone, Debug)]
enum Extra {
    Numbers(Numbers),
    /// How many strings, and digests of the different ones.
    Texts(u64, HashSet<u128>),
    Categories(Categories),
}

/// How often each word occurs. Only so many different ones are told apart, as in NeMo Gym.
#[derive(Clone, Debug, Default)]
struct Categories {
    counts: BTreeMap<String, u64>,
    others: u64,
}

impl Categories {
    const MAX: usize = 100;

    fn add(&mut self, word: &str, times: u64) {
        let is_full = self.counts.len() >= Self::MAX;
        match self.counts.get_mut(word) {
            Some(count) => *count += times,
            None if is_full => self.others += times,
            None => {
                self.counts.insert(word.to_owned(), times);
            }
        }
    }

    fn to_json(&self) -> Value {
        let mut counts: Map<String, Value> =
            self.counts.iter().map(|(word, count)| (word.clone(), json!(count))).collect();
        if self.others > 0 {
            let name = if counts.contains_key("Other") { "Other (overflow)" } else { "Other" };
            counts.insert(name.to_owned(), json!(self.others));
        }
        let total = self.counts.values().sum::<u64>() + self.others;
        json!({"counts": counts, "unique_count": counts.len(), "total_count": total})
    }
}

/// Statistics of one dataset.
#[derive(Clone, Debug, Default)]
pub(super) struct Accumulated {
    examples: u64,
    /// Rows that are materialised tasks.
    tasks: u64,
    tools: Numbers,
    words: Numbers,
    task_words: Numbers,
    tokens: Numbers,
    all_tokens: u64,
    turns: Numbers,
    temperature: Numbers,
    extras: IndexMap<String, Extra>,
}

impl Accumulated {
    /// Adds a row. The error is a field that is text here and a number in an earlier row, or the other way round.
    pub(super) fn add(&mut self, facts: &Facts) -> Result<(), String> {
        self.examples += 1;
        self.tools.merge_one(facts.tools);
        self.tasks += u64::from(facts.task_words.is_some());
        self.words.merge_one(facts.words);
        self.task_words.merge_one(facts.task_words);
        self.turns.merge_one(facts.turns);
        if let Some(tokens) = facts.tokens {
            self.tokens.merge_one(Some(tokens as f64));
            self.all_tokens += tokens;
        }
        self.temperature.merge_one(facts.temperature);
        let mut mixed = None;
        for (name, observation) in &facts.others {
            let extra = match self.extras.get_mut(name) {
                Some(extra) => extra,
                None => {
                    let (place, new) = match observation {
                        Observation::Number(_) => (self.extras.len(), Extra::Numbers(Numbers::default())),
                        Observation::Text(_) => (self.extras.len(), Extra::Texts(0, HashSet::new())),
                        // NeMo Gym counts it before the fields of flat rows.
                        Observation::Category(_) => (0, Extra::Categories(Categories::default())),
                    };
                    self.extras.shift_insert(place, name.clone(), new);
                    &mut self.extras[name]
                }
            };
            match (extra, observation) {
                (Extra::Numbers(numbers), Observation::Number(value)) => numbers.observe(*value),
                (Extra::Texts(count, different), Observation::Text(digest)) => {
                    *count += 1;
                    different.insert(*digest);
                }
                (Extra::Categories(categories), Observation::Category(word)) => categories.add(word, 1),
                _ => mixed = Some(name.clone()),
            }
        }
        mixed.map_or(Ok(()), Err)
    }

    /// What the file of token counts says of the rows.
    pub(super) fn tokens_to_json(&self) -> Map<String, Value> {
        let mut metrics = Map::new();
        metrics.insert("Number of examples".to_owned(), json!(self.examples));
        metrics.insert("Number of tokens".to_owned(), self.tokens.to_json());
        metrics.insert("Total number of tokens".to_owned(), json!(self.all_tokens));
        metrics
    }

    /// What the file of metrics says of the rows.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let mut metrics = Map::new();
        metrics.insert("Number of examples".to_owned(), json!(self.examples));
        if self.tasks > 0 {
            metrics.insert("Number of tasks".to_owned(), json!(self.tasks));
        }
        let task_words = ("Json-dumped task-input words (proxy for token count)", &self.task_words);
        let numbers = [
            Some(("Number of tools", &self.tools)),
            Some(("Json-dumped number of words (proxy for token count)", &self.words)),
            (self.tasks > 0).then_some(task_words),
            Some(("Number of turns", &self.turns)),
            Some(("Temperature", &self.temperature)),
        ];
        for (name, numbers) in numbers.into_iter().flatten() {
            metrics.insert(name.to_owned(), numbers.to_json());
        }
        for (name, extra) in &self.extras {
            let value = match extra {
                Extra::Numbers(numbers) => numbers.to_json(),
                Extra::Texts(count, different) => json!({"unique_count": different.len(), "total_count": count}),
                Extra::Categories(categories) => categories.to_json(),
            };
            metrics.insert(name.clone(), value);
        }
        metrics
    }

    /// Adds a dataset of the same type: its rows are counted with the others, but of its other fields only the last
    /// dataset's numbers stay. How many tasks are of which set is added up.
    pub(super) fn merge(&mut self, other: &Self) {
        self.examples += other.examples;
        self.tools.merge(&other.tools);
        self.tasks += other.tasks;
        self.words.merge(&other.words);
        self.task_words.merge(&other.task_words);
        self.turns.merge(&other.turns);
        self.tokens.merge(&other.tokens);
        self.all_tokens += other.all_tokens;
        self.temperature.merge(&other.temperature);
        for (name, extra) in &other.extras {
            if let (Some(Extra::Categories(own)), Extra::Categories(added)) = (self.extras.get_mut(name), extra) {
                added.counts.iter().for_each(|(word, times)| own.add(word, *times));
                own.others += added.others;
                continue;
            }
            self.extras.insert(name.clone(), extra.clone());
        }
    }

    pub(super) fn examples(&self) -> u64 {
        self.examples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_pythons() {
        for (value, expected) in [
            (0.125, 0.125),
            (0.0625, 0.062),
            (0.1875, 0.188),
            (1.125, 1.12),
            (1.375, 1.38),
            (2.675, 2.67),
            (-1.005, -1.0),
            (0.9996, 1.0),
            (1234.5678, 1234.57),
            (0.0, 0.0),
        ] {
            assert_eq!(round(value), expected, "{value}");
        }
    }

    #[test]
    fn both_ways_of_adding_agree() {
        let (mut one, mut other) = (Numbers::default(), Numbers::default());
        for value in [2.0, 4.0, 9.0] {
            one.observe(value);
            other.merge_one(Some(value));
        }
        // Mean 5; the squares of -3, -1 and 4 sum to 26, so the deviation is the root of 13.
        let expected = json!({"Total # non-null values": 3, "Average": 5.0, "Min": 2.0, "Max": 9.0,
            "Standard deviation": 3.61});
        assert_eq!((one.to_json(), other.to_json()), (expected.clone(), expected));
        let nothing = json!({"Total # non-null values": 0, "Average": 0.0, "Min": 0.0, "Max": 0.0,
            "Standard deviation": 0.0});
        assert_eq!(Numbers::default().to_json(), nothing);
    }
}
