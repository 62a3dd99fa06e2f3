// SPDX-License-Identifier: Apache-2.0
//! Figures of tasks, agents, tools and lengths.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::{
    bands::{Band, Bands},
    rollout::{Reader, Rollout},
    statistics::{correlation, deviation, mean, quantile},
};

/// One task with one agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskProfile {
    /// Name of the agent.
    pub agent: String,
    /// `_ng_task_index`.
    pub task: u64,
    /// Its rollouts.
    pub rollouts: u64,
    /// Those among them that are no measurements.
    pub masked: u64,
    /// Mean reward; none without a measurement, so for the next fields.
    pub mean: Option<f64>,
    /// Standard deviation of the rewards (n-1).
    pub std: Option<f64>,
    /// The lowest reward.
    pub min: Option<f64>,
    /// The highest reward.
    pub max: Option<f64>,
    /// How many rewards are 1 or more.
    pub full: u64,
    /// How many are 0 or less.
    pub zero: u64,
    /// How hard it is.
    pub band: Option<Band>,
    /// Mean number of tool calls.
    pub calls: f64,
    /// Mean output tokens, if the model told.
    pub tokens: Option<f64>,
    /// Mean number of characters that the model wrote.
    pub characters: f64,
}

/// Tasks of one band.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BandCount {
    /// The band.
    pub band: Band,
    /// Its tasks.
    pub tasks: u64,
    /// Their rollouts that are measurements.
    pub rollouts: u64,
    /// Median length of their responses.
    pub median_length: Option<f64>,
}

/// Rollouts with so many tool calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByCalls {
    /// The fewest calls.
    pub from: u64,
    /// The most calls.
    pub to: u64,
    /// Rollouts.
    pub rollouts: u64,
    /// Their mean reward.
    pub mean_reward: f64,
}

/// Rollouts with responses of such a length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByLength {
    /// The shortest.
    pub from: f64,
    /// The longest.
    pub to: f64,
    /// Rollouts.
    pub rollouts: u64,
    /// Their mean reward.
    pub mean_reward: f64,
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolUse {
    /// Its name.
    pub tool: String,
    /// How often it was called.
    pub calls: u64,
    /// Measured rollouts that called it.
    pub rollouts: u64,
    /// Their mean reward.
    pub reward_with: Option<f64>,
    /// Mean reward of the other measured rollouts.
    pub reward_without: Option<f64>,
    /// Correlation of the number of its calls with the reward.
    pub correlation: Option<f64>,
}

/// One agent, or all together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentProfile {
    /// Name of the agent.
    pub agent: String,
    /// Its tasks.
    pub tasks: u64,
    /// Its rollouts.
    pub rollouts: u64,
    /// Those among them that are no measurements.
    pub masked: u64,
    /// Mean reward of all measured rollouts.
    pub mean: Option<f64>,
    /// Standard deviation of all rewards.
    pub std: Option<f64>,
    /// Mean over tasks of the deviation within a task: what a trainer that compares repeats has to learn from.
    pub std_within_tasks: Option<f64>,
    /// Share of tasks with a full reward in at least one rollout.
    pub solved_once: Option<f64>,
    /// Tasks by difficulty.
    pub bands: Vec<BandCount>,
    /// Correlation of the number of tool calls with the reward.
    pub calls_correlation: Option<f64>,
    /// Correlation of calls and reward within tasks: both as distances from their task's means, so that harder tasks
    /// needing more calls does not count.
    pub calls_correlation_within: Option<f64>,
    /// Rewards by number of calls.
    pub by_calls: Vec<ByCalls>,
    /// The tools, the most used first.
    pub tools: Vec<ToolUse>,
    /// What lengths are: `output_tokens` if every rollout has them, else `characters`.
    pub length_unit: &'static str,
    /// Length of the responses: 5th, 25th, 50th, 75th and 95th percentile.
    pub length_percentiles: Vec<f64>,
    /// Correlation of length and reward.
    pub length_correlation: Option<f64>,
    /// Rewards by length, ten groups of about the same size.
    pub by_length: Vec<ByLength>,
    /// Rewards of the measured rollouts in 20 groups of the same width: where each begins, and how many.
    pub reward_histogram: Vec<(f64, u64)>,
    /// The same of the tasks' mean rewards.
    pub task_histogram: Vec<(f64, u64)>,
}

/// A whole profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that were passed over because their rollout was there already.
    pub twice: u64,
    /// Rows that were passed over because they have neither `_ng_task_index` nor a prompt.
    pub without_key: u64,
    /// Rows without `_ng_task_index`: those with the same prompt count as one task, numbered after the others.
    pub by_prompt: u64,
    /// The tasks of these prompts, by digest.
    #[serde(skip)]
    pub(crate) prompts: HashMap<u128, u64>,
    /// Where bands begin and end.
    pub bands: Bands,
    /// All agents together, then each if there are several.
    pub agents: Vec<AgentProfile>,
    /// The tasks, by agent and number.
    pub tasks: Vec<TaskProfile>,
}

impl Profile {
    /// The profile of what was read.
    pub fn new(reader: &Reader, bands: Bands) -> Self {
        let mut by_task: BTreeMap<(&str, u64), Vec<&Rollout>> = BTreeMap::new();
        for rollout in &reader.rollouts {
            by_task.entry((&rollout.agent, rollout.task)).or_default().push(rollout);
        }
        let next = reader.rollouts.iter().map(|rollout| rollout.task.saturating_add(1)).max().unwrap_or(0);
        for rollout in &reader.by_prompt {
            by_task.entry((&rollout.agent, next + rollout.task)).or_default().push(rollout);
        }
        let tasks: Vec<TaskProfile> =
            by_task.iter().map(|((agent, number), rollouts)| task(agent, *number, rollouts, bands)).collect();
        let mut names: Vec<&str> = by_task.keys().map(|(agent, _)| *agent).collect();
        names.dedup();
        let mut agents = Vec::new();
        if names.len() > 1 {
            agents.push(agent("all agents", &by_task, &tasks, |_| true));
        }
        agents.extend(names.iter().map(|name| agent(name, &by_task, &tasks, |other| other == *name)));
        Self {
            rows: reader.rows,
            twice: reader.twice,
            without_key: reader.without_key,
            by_prompt: reader.by_prompt.len() as u64,
            prompts: reader.prompts.iter().map(|(prompt, task)| (*prompt, next + task)).collect(),
            bands,
            agents,
            tasks,
        }
    }
}

fn task(agent: &str, task: u64, rollouts: &[&Rollout], bands: Bands) -> TaskProfile {
    let rewards: Vec<f64> = rollouts.iter().filter_map(|rollout| rollout.reward).collect();
    let tokens: Option<Vec<f64>> = rollouts.iter().map(|rollout| rollout.tokens.map(|tokens| tokens as f64)).collect();
    let of = |figure: fn(&Rollout) -> u64| {
        mean(&rollouts.iter().map(|rollout| figure(rollout) as f64).collect::<Vec<_>>()).unwrap_or_default()
    };
    TaskProfile {
        agent: agent.to_owned(),
        task,
        rollouts: rollouts.len() as u64,
        masked: (rollouts.len() - rewards.len()) as u64,
        mean: mean(&rewards),
        std: deviation(&rewards),
        min: rewards.iter().copied().reduce(f64::min),
        max: rewards.iter().copied().reduce(f64::max),
        full: rewards.iter().filter(|reward| **reward >= 1.0).count() as u64,
        zero: rewards.iter().filter(|reward| **reward <= 0.0).count() as u64,
        band: bands.of(&rewards),
        calls: of(Rollout::calls),
        tokens: tokens.and_then(|tokens| mean(&tokens)),
        characters: of(|rollout| rollout.characters),
    }
}

type Tasks<'a> = BTreeMap<(&'a str, u64), Vec<&'a Rollout>>;

fn agent(name: &str, by_task: &Tasks<'_>, tasks: &[TaskProfile], is: impl Fn(&str) -> bool) -> AgentProfile {
    let own: Vec<(&TaskProfile, &Vec<&Rollout>)> = tasks
        .iter()
        .filter(|task| is(&task.agent))
        .filter_map(|task| Some((task, by_task.get(&(task.agent.as_str(), task.task))?)))
        .collect();
    let all = || own.iter().flat_map(|(_, rollouts)| rollouts.iter().copied());
    let measured: Vec<(&Rollout, f64)> = all().filter_map(|rollout| Some((rollout, rollout.reward?))).collect();
    let rewards: Vec<f64> = measured.iter().map(|(_, reward)| *reward).collect();
    let has_tokens = all().all(|rollout| rollout.tokens.is_some()) && !own.is_empty();
    let length = |rollout: &Rollout| match rollout.tokens {
        Some(tokens) if has_tokens => tokens as f64,
        _ => rollout.characters as f64,
    };
    let mut lengths: Vec<f64> = all().map(length).collect();
    lengths.sort_by(f64::total_cmp);
    let pairs = |figure: &dyn Fn(&Rollout) -> f64| -> Vec<(f64, f64)> {
        measured.iter().map(|(rollout, reward)| (figure(rollout), *reward)).collect()
    };
    let means: Vec<f64> = own.iter().filter_map(|(task, _)| task.mean).collect();
    let deviations: Vec<f64> =
        own.iter().filter(|(task, _)| task.rollouts - task.masked > 1).filter_map(|(task, _)| task.std).collect();
    let solved = own.iter().filter(|(task, _)| task.full > 0).count();
    AgentProfile {
        agent: if name.is_empty() { "(no agent)".to_owned() } else { name.to_owned() },
        tasks: own.len() as u64,
        rollouts: lengths.len() as u64,
        masked: (lengths.len() - measured.len()) as u64,
        mean: mean(&rewards),
        std: deviation(&rewards),
        std_within_tasks: mean(&deviations),
        solved_once: (!means.is_empty()).then(|| solved as f64 / means.len() as f64),
        bands: bands(&own, &length),
        calls_correlation: correlation(&pairs(&|rollout| rollout.calls() as f64)),
        calls_correlation_within: within(&own),
        by_calls: by_calls(&measured),
        tools: tools(&measured),
        length_unit: if has_tokens { "output_tokens" } else { "characters" },
        length_percentiles: [0.05, 0.25, 0.5, 0.75, 0.95].iter().filter_map(|at| quantile(&lengths, *at)).collect(),
        length_correlation: correlation(&pairs(&length)),
        by_length: by_length(pairs(&length)),
        reward_histogram: histogram(&rewards),
        task_histogram: histogram(&means),
    }
}

fn bands(own: &[(&TaskProfile, &Vec<&Rollout>)], length: &dyn Fn(&Rollout) -> f64) -> Vec<BandCount> {
    let of_band = |band: Band| {
        let tasks: Vec<_> = own.iter().filter(|(task, _)| task.band == Some(band)).collect();
        let mut lengths: Vec<f64> =
            tasks.iter().flat_map(|(_, rollouts)| rollouts.iter().map(|rollout| length(rollout))).collect();
        lengths.sort_by(f64::total_cmp);
        BandCount {
            band,
            tasks: tasks.len() as u64,
            rollouts: tasks.iter().map(|(task, _)| task.rollouts - task.masked).sum(),
            median_length: quantile(&lengths, 0.5),
        }
    };
    Band::ALL.into_iter().map(of_band).collect()
}

fn within(own: &[(&TaskProfile, &Vec<&Rollout>)]) -> Option<f64> {
    let mut pairs = Vec::new();
    for (_, rollouts) in own {
        let task: Vec<(f64, f64)> =
            rollouts.iter().filter_map(|rollout| Some((rollout.calls() as f64, rollout.reward?))).collect();
        let of = |figure: fn(&(f64, f64)) -> f64| mean(&task.iter().map(figure).collect::<Vec<_>>());
        if let (Some(calls), Some(reward)) = (of(|pair| pair.0), of(|pair| pair.1)) {
            pairs.extend(task.iter().map(|pair| (pair.0 - calls, pair.1 - reward)));
        }
    }
    correlation(&pairs)
}

/// One group for each number of calls up to 8, then groups that double.
fn by_calls(measured: &[(&Rollout, f64)]) -> Vec<ByCalls> {
    let mut groups: BTreeMap<u64, (u64, Vec<f64>)> = BTreeMap::new();
    for (rollout, reward) in measured {
        let calls = rollout.calls();
        let (from, to) = match calls {
            0..=8 => (calls, calls),
            calls => {
                let power = 1_u64 << (calls - 1).ilog2();
                (power + 1, power.saturating_mul(2))
            }
        };
        groups.entry(from).or_insert((to, Vec::new())).1.push(*reward);
    }
    groups
        .into_iter()
        .map(|(from, (to, rewards))| ByCalls {
            from,
            to,
            rollouts: rewards.len() as u64,
            mean_reward: mean(&rewards).unwrap_or_default(),
        })
        .collect()
}

fn by_length(mut pairs: Vec<(f64, f64)>) -> Vec<ByLength> {
    const GROUPS: usize = 10;
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let group = |index: usize| {
        let group = &pairs[index * pairs.len() / GROUPS..(index + 1) * pairs.len() / GROUPS];
        let (first, last) = (group.first()?, group.last()?);
        Some(ByLength {
            from: first.0,
            to: last.0,
            rollouts: group.len() as u64,
            mean_reward: mean(&group.iter().map(|pair| pair.1).collect::<Vec<_>>())?,
        })
    };
    (0..GROUPS).filter_map(group).collect()
}

fn tools(measured: &[(&Rollout, f64)]) -> Vec<ToolUse> {
    let mut names: Vec<&str> =
        measured.iter().flat_map(|(rollout, _)| rollout.tools.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let mut tools: Vec<ToolUse> = names
        .into_iter()
        .map(|tool| {
            let calls = |rollout: &Rollout| rollout.tools.get(tool).copied().unwrap_or(0);
            let rewards = |with: bool| -> Vec<f64> {
                measured.iter().filter(|(rollout, _)| (calls(rollout) > 0) == with).map(|(_, reward)| *reward).collect()
            };
            let (with, without) = (rewards(true), rewards(false));
            let pairs: Vec<(f64, f64)> =
                measured.iter().map(|(rollout, reward)| (calls(rollout) as f64, *reward)).collect();
            ToolUse {
                tool: tool.to_owned(),
                calls: measured.iter().map(|(rollout, _)| calls(rollout)).sum(),
                rollouts: with.len() as u64,
                reward_with: mean(&with),
                reward_without: mean(&without),
                correlation: correlation(&pairs),
            }
        })
        .collect();
    tools.sort_by(|one, other| other.calls.cmp(&one.calls).then_with(|| one.tool.cmp(&other.tool)));
    tools
}

/// 20 groups from 0 to 1, or from the lowest to the highest value if there are others.
fn histogram(values: &[f64]) -> Vec<(f64, u64)> {
    const GROUPS: usize = 20;
    let low = values.iter().copied().fold(0.0, f64::min);
    let high = values.iter().copied().fold(1.0, f64::max);
    // Multiplied first and divided then, so that 0.15 is 3/20 to both.
    let count = GROUPS as f64;
    let mut groups: Vec<(f64, u64)> = (0..GROUPS).map(|index| (low + (high - low) * index as f64 / count, 0)).collect();
    for value in values {
        // The highest value belongs to the last group.
        let index = (((value - low) * count / (high - low)) as usize).min(GROUPS - 1);
        // Where rounding puts the value below the edge that it is on.
        let is_next = groups.get(index + 1).is_some_and(|next| *value >= next.0);
        groups[index + usize::from(is_next)].1 += 1;
    }
    groups
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two tasks of one agent, four rollouts each, and one rollout of another agent that is no measurement.
    pub(crate) fn sample() -> Profile {
        let rollout = |agent: &str, task: u64, reward: Option<f64>, calls: u64, tokens: Option<u64>| Rollout {
            task,
            agent: agent.to_owned(),
            reward,
            tools: if calls > 0 { [("look_up".to_owned(), calls)].into() } else { BTreeMap::new() },
            tokens,
            characters: 10 * calls,
        };
        let mut reader = Reader::default();
        for (reward, calls) in [(1.0, 2), (1.0, 2), (0.0, 0), (0.0, 0)] {
            reader.rollouts.push(rollout("a", 0, Some(reward), calls, Some(100 * calls)));
        }
        for calls in [1, 1, 3, 3] {
            reader.rollouts.push(rollout("a", 1, Some(0.0), calls, Some(10)));
        }
        reader.rollouts.push(rollout("<b>", 7, None, 20, None));
        reader.rows = 9;
        Profile::new(&reader, Bands::default())
    }

    #[test]
    fn tasks_and_agents_have_the_figures_worked_out_by_hand() {
        let profile = sample();
        assert_eq!(profile.agents.len(), 3);
        let [_, b, a] = &profile.agents[..] else { panic!("all, then both") };
        assert_eq!((b.agent.as_str(), b.rollouts, b.masked, b.mean), ("<b>", 1, 1, None));
        assert_eq!((a.tasks, a.rollouts, a.mean, a.solved_once), (2, 8, Some(0.25), Some(0.5)));
        // Within the first task the squares add up to 1, a third of that is the variance; the second does not vary.
        assert_eq!(a.std_within_tasks, Some((1.0_f64 / 3.0).sqrt() / 2.0));
        let found: Vec<_> = a.bands.iter().map(|band| band.tasks).collect();
        assert_eq!(found, [1, 0, 1, 0, 0]);
        assert_eq!(
            a.by_calls.iter().map(|group| (group.from, group.rollouts, group.mean_reward)).collect::<Vec<_>>(),
            [(0, 2, 0.0), (1, 2, 0.0), (2, 2, 1.0), (3, 2, 0.0)]
        );
        // Calls 2 2 0 0 1 1 3 3, rewards 1 1 0 …: products add up to 1, squares to 10 and 1.5.
        let expected = 1.0 / (10.0_f64 * 1.5).sqrt();
        assert!((a.calls_correlation.unwrap() - expected).abs() < 1e-12);
        // Within tasks: distances 1 1 -1 -1 -1 -1 1 1 and .5 .5 -.5 -.5 0 …: 2 / sqrt(8 * 1).
        assert!((a.calls_correlation_within.unwrap() - 2.0 / 8.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!((a.tools[0].calls, a.tools[0].rollouts), (12, 6));
        assert_eq!((a.tools[0].reward_with, a.tools[0].reward_without), (Some(2.0 / 6.0), Some(0.0)));
        assert_eq!(a.length_unit, "output_tokens");
        assert_eq!(a.length_percentiles[2], 10.0);
        assert_eq!(a.reward_histogram[0], (0.0, 6));
        assert_eq!(a.reward_histogram[19].1, 2);
        let task = &profile.tasks[1];
        assert_eq!((task.agent.as_str(), task.task, task.mean, task.full, task.zero), ("a", 0, Some(0.5), 2, 2));
        assert_eq!((task.calls, task.tokens, task.band), (1.0, Some(100.0), Some(Band::Medium)));
    }

    #[test]
    fn many_calls_share_groups_that_double() {
        let rollout = |calls: u64| Rollout {
            task: 0,
            agent: String::new(),
            reward: Some(0.0),
            tools: [("t".to_owned(), calls)].into(),
            tokens: None,
            characters: 0,
        };
        for (calls, from, to) in [(8, 8, 8), (9, 9, 16), (16, 9, 16), (17, 17, 32), (33, 33, 64)] {
            let rollout = rollout(calls);
            let groups = by_calls(&[(&rollout, 0.0)]);
            assert_eq!((groups[0].from, groups[0].to), (from, to), "{calls}");
        }
    }

    #[test]
    fn a_reward_at_the_edge_of_a_group_begins_it() {
        for step in 0..20_u32 {
            let value = f64::from(step) / 20.0;
            let groups = histogram(&[value]);
            assert_eq!(groups[step as usize], (value, 1));
        }
        let at = |value: f64| histogram(&[value]).iter().position(|(_, count)| *count > 0);
        assert_eq!((at(1.0), at(0.999_999), at(0.049_999), at(-0.0)), (Some(19), Some(19), Some(0), Some(0)));
        // Other values widen it: from -1 to 1 groups are 0.1 wide, from 0 to 4 they are 0.2 wide.
        let wide = histogram(&[-1.0, -0.9, 1.0, 0.0]);
        assert_eq!([wide[0].1, wide[1].1, wide[10].1, wide[19].1], [1, 1, 1, 1]);
        assert_eq!(histogram(&[4.0, 3.8, 0.2]).iter().map(|(_, count)| *count).sum::<u64>(), 3);
        assert_eq!((histogram(&[4.0, 3.8])[19], histogram(&[0.2, 4.0])[1]), ((3.8, 2), (0.2, 1)));
    }

    #[test]
    fn rollouts_without_numbers_are_of_the_task_of_their_prompt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let row = |prompt: &str, reward: f64, rest: &str| {
            format!("{{\"responses_create_params\":{{\"input\":\"{prompt}\"}},\"reward\":{reward:?}{rest}}}\n")
        };
        let rows = [
            row("a", 1.0, ""),
            row("b", 0.0, ""),
            row("a", 0.0, ""),
            row("c", 1.0, ",\"_ng_task_index\":4"),
            row("c", 0.0, ",\"_ng_task_index\":4"),
            "{\"reward\":1.0}\n".to_owned(),
        ];
        std::fs::write(&path, rows.concat()).unwrap();
        let mut reader = Reader::default();
        reader.read(&path).unwrap();
        let profile = Profile::new(&reader, Bands::default());
        let tasks: Vec<_> = profile.tasks.iter().map(|task| (task.task, task.rollouts, task.mean)).collect();
        assert_eq!(tasks, [(4, 2, Some(0.5)), (5, 2, Some(0.5)), (6, 1, Some(0.0))]);
        assert_eq!((profile.rows, profile.by_prompt, profile.without_key, profile.twice), (6, 3, 1, 0));

        // The rows that were run need not have numbers either.
        let (inputs, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
        let input = |prompt: &str| {
            format!("{{\"responses_create_params\":{{\"input\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}}}\n")
        };
        std::fs::write(&inputs, input("b") + &input("a") + &input("a") + &input("z")).unwrap();
        let filter = crate::Filter { min_mean: Some(0.1), ..crate::Filter::default() };
        assert_eq!(crate::write_subset(&profile, &filter, &inputs, &output).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(output).unwrap(), input("a"));
    }

    #[test]
    fn nothing_is_a_profile_too() {
        let profile = Profile::new(&Reader::default(), Bands::default());
        assert!(profile.agents.is_empty() && profile.tasks.is_empty());
    }
}
