// SPDX-License-Identifier: Apache-2.0
//! From judgements to one score for each response of a group.

use gym_env::{
    python::digit,
    text::{is_space, strip},
};

use crate::{
    config::{Config, Normalization, Strategy},
    judgement::Judgement,
    responses::Texts,
};

/// Between "the first is slightly better" and "the second is".
const MIDDLE: f64 = 3.5;

/// The pairs that are compared, by their places in the group.
pub(crate) fn pairs(strategy: Strategy, count: usize) -> Vec<(usize, usize)> {
    match strategy {
        _ if count < 2 => Vec::new(),
        Strategy::Circular => (0..count).map(|one| (one, (one + 1) % count)).collect(),
        Strategy::AllPairs => (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))).collect(),
    }
}

/// Mean score of each response. Where a judgement has equal scores the ranking decides: what it is away from the middle
/// goes from one to the other.
pub(crate) fn means(judged: &[((usize, usize), Judgement)], count: usize, config: &Config) -> Vec<f64> {
    let mut sums = vec![(0.0, 0_u32); count];
    for ((one, other), judgement) in judged {
        let shift = if is_tie(judgement) { MIDDLE - judgement.ranking } else { 0.0 };
        for (place, score) in [(*one, judgement.score_1 + shift), (*other, judgement.score_2 - shift)] {
            sums[place].0 += score;
            sums[place].1 += 1;
        }
    }
    sums.into_iter().map(|(sum, n)| if n == 0 { config.default_score } else { sum / f64::from(n) }).collect()
}

/// Whether the scores are equal.
pub(crate) fn is_tie(judgement: &Judgement) -> bool {
    judgement.score_1 == judgement.score_2
}

/// Bonuses and penalties for length and formatting, compared within the group.
pub(crate) fn adjust(scores: &mut [f64], texts: &[Texts], config: &Config) {
    if scores.len() < 2 {
        return;
    }
    let length = |text: &str| strip(text).chars().count();
    let reasoning: Vec<usize> = texts.iter().map(|texts| length(&texts.reasoning)).collect();
    let answers: Vec<usize> = texts.iter().map(|texts| length(&texts.answer)).collect();
    let threshold = {
        let mut sorted = scores.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let place = (scores.len() as f64 * config.top_percentile) as usize;
        sorted[place.saturating_sub(1).min(sorted.len() - 1)]
    };
    for (bonus, lengths) in [(config.reasoning_bonus, &reasoning), (config.answer_bonus, &answers)] {
        let shortest = lengths.iter().enumerate().filter(|(_, length)| **length > 0).min_by_key(|(_, length)| **length);
        if let Some((place, _)) = shortest
            && bonus > 0.0
            && scores[place] >= threshold
        {
            scores[place] += bonus;
        }
    }
    let lengths = |lengths: &[usize]| weights(&lengths.iter().map(|length| *length as f64).collect::<Vec<_>>());
    let (of_reasoning, of_answer) =
        (config.group_reasoning_length_penalty_coeff, config.group_answer_length_penalty_coeff);
    if of_reasoning > 0.0 || of_answer > 0.0 {
        let (reasoning, answers) = (lengths(&reasoning), lengths(&answers));
        for (place, score) in scores.iter_mut().enumerate() {
            *score += reasoning[place] * of_reasoning + answers[place] * of_answer;
        }
    }
    if config.group_style_penalty_coeff > 0.0 {
        let densities: Vec<f64> = texts.iter().map(|texts| density(&texts.answer)).collect();
        for (score, weight) in scores.iter_mut().zip(weights(&densities)) {
            *score += weight * config.group_style_penalty_coeff;
        }
    }
}

/// From the least (much) to the most (little), with the mean 0; nothing where all are the same.
fn weights(values: &[f64]) -> Vec<f64> {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if least == most {
        return vec![0.0; values.len()];
    }
    let raw: Vec<f64> = values.iter().map(|value| 1.0 - (value - least) / (most - least)).collect();
    let mean = compensated_sum(&raw) / raw.len() as f64;
    raw.iter().map(|weight| weight - mean).collect()
}

/// Headings, items of lists, bold words and emojis per character, blocks of code aside.
fn density(text: &str) -> f64 {
    let text = without_code(text);
    let length = strip(&text).chars().count();
    if length == 0 {
        return 0.0;
    }
    let mut count = 0;
    for line in text.split_inclusive('\n') {
        let start = line.trim_start_matches(is_space);
        let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
        count += usize::from((1..=6).contains(&hashes) && line[hashes..].starts_with(is_space));
        let rest = start.trim_start_matches(|c| digit(c).is_some());
        count += usize::from(
            rest.len() < start.len() && rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(is_space)),
        );
        count += usize::from(start.strip_prefix(['-', '*', '+']).is_some_and(|rest| rest.starts_with(is_space)));
        count += bold(line, "**") + bold(line, "__");
    }
    count += text.chars().filter(|c| is_emoji(*c)).count();
    count as f64 / length as f64
}

fn without_code(text: &str) -> String {
    const FENCE: &str = "```";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(FENCE) {
        let Some(length) = rest[start + FENCE.len()..].find(FENCE) else { break };
        out.push_str(&rest[..start]);
        rest = &rest[start + length + 2 * FENCE.len()..];
    }
    out.push_str(rest);
    out
}

/// Words between two marks, without the mark's sign inside.
fn bold(line: &str, mark: &str) -> usize {
    let sign = &mark[..1];
    let mut count = 0;
    let mut rest = line;
    while let Some(start) = rest.find(mark) {
        let inner = &rest[start + mark.len()..];
        match inner.find(sign) {
            Some(end) if end > 0 && inner[end..].starts_with(mark) => {
                count += 1;
                rest = &inner[end + mark.len()..];
            }
            _ => rest = &rest[start + 1..],
        }
    }
    count
}

/// The blocks that NeMo Gym takes for emojis. The first one reaches far: it has the East Asian scripts too.
fn is_emoji(c: char) -> bool {
    matches!(u32::from(c), 0x24c2..=0x1f251 | 0x1f300..=0x1f64f | 0x1f680..=0x1f6ff | 0x1f900..=0x1f9ff
        | 0x1fa00..=0x1faff)
}

/// The sum as Python's `sum` has it, to the last bit: what each addition loses is added at the end.
fn compensated_sum(values: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    // An infinite sum has lost nothing that can be told.
    if lost.is_finite() { sum + lost } else { sum }
}

/// The sum as NumPy has it, to the last bit: of more than seven numbers eight sums run side by side, and of more than 128
/// each half is summed by itself.
pub(crate) fn sum(values: &[f64]) -> f64 {
    match values.len() {
        0..8 => values.iter().sum(),
        8..=128 => {
            let (whole, rest) = values.as_chunks::<8>();
            let mut sums = [0.0; 8];
            for chunk in whole {
                sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
            }
            let [a, b, c, d, e, f, g, h] = sums;
            rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, value| sum + value)
        }
        count => {
            let half = count / 2 / 8 * 8;
            sum(&values[..half]) + sum(&values[half..])
        }
    }
}

/// Scores of a group as rewards.
pub(crate) fn normalized(scores: &[f64], normalization: Normalization) -> Vec<f64> {
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let deviation =
        (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len().max(1) as f64).sqrt();
    let one = |score: f64| match normalization {
        Normalization::None => score,
        Normalization::MinMax if least == most => 0.5,
        Normalization::MinMax => (score - least) / (most - least),
        Normalization::ZScore if least == most => 0.0,
        Normalization::ZScore => (score - mean) / deviation,
    };
    scores.iter().map(|score| one(*score)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(one: usize, other: usize, score_1: f64, score_2: f64, ranking: f64) -> ((usize, usize), Judgement) {
        ((one, other), Judgement { score_1, score_2, ranking })
    }

    fn texts(pairs: &[(&str, &str)]) -> Vec<Texts> {
        let one = |(reasoning, answer): &(&str, &str)| Texts {
            reasoning: (*reasoning).to_owned(),
            answer: (*answer).to_owned(),
        };
        pairs.iter().map(one).collect()
    }

    fn adjusted(scores: &[f64], pairs: &[(&str, &str)], config: &Config) -> Vec<f64> {
        let mut scores = scores.to_vec();
        adjust(&mut scores, &texts(pairs), config);
        scores
    }

    #[test]
    fn pairs_go_around_or_are_all() {
        assert_eq!(pairs(Strategy::Circular, 3), [(0, 1), (1, 2), (2, 0)]);
        assert_eq!(pairs(Strategy::Circular, 2), [(0, 1), (1, 0)]);
        assert_eq!(pairs(Strategy::AllPairs, 3), [(0, 1), (0, 2), (1, 2)]);
        assert_eq!(pairs(Strategy::AllPairs, 1), []);
    }

    #[test]
    fn scores_are_means_and_rankings_break_ties() {
        let judged = [judged(0, 1, 5.0, 3.0, 1.0), judged(1, 2, 4.0, 4.0, 2.0), judged(2, 0, 2.0, 3.0, 6.0)];
        // 1: (3 + 5.5) / 2, 2: (2.5 + 2) / 2
        assert_eq!(means(&judged, 4, &Config::default()), [4.0, 4.25, 2.25, 3.0]);
    }

    #[test]
    fn the_shortest_of_the_best_gets_a_bonus() {
        let config = Config { answer_bonus: 0.5, reasoning_bonus: 0.25, top_percentile: 0.5, ..Config::default() };
        let pairs = [("long reasoning", "a"), ("short", "long answer"), ("", ""), ("longest of all", "longest of all")];
        // The best two: 4 and 3. The shortest answer is of the first, the shortest reasoning of the second.
        assert_eq!(adjusted(&[4.0, 3.0, 2.0, 1.0], &pairs, &config), [4.5, 3.25, 2.0, 1.0]);
        assert_eq!(adjusted(&[1.0, 2.0, 3.0, 4.0], &pairs, &config), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn lengths_and_formatting_count_within_the_group() {
        let config = Config { group_answer_length_penalty_coeff: 2.0, ..Config::default() };
        // Lengths 1, 2, 3 have the weights 1, 0.5, 0 less their mean.
        assert_eq!(adjusted(&[3.0; 3], &[("", "a"), ("", "bb"), ("", "ccc")], &config), [4.0, 3.0, 2.0]);
        let config = Config { group_style_penalty_coeff: 1.0, ..Config::default() };
        assert_eq!(adjusted(&[3.0; 2], &[("", "plain"), ("", "**b**")], &config), [3.5, 2.5]);
        assert_eq!(adjusted(&[3.0], &[("", "**b**")], &config), [3.0]);
    }

    #[test]
    fn formatting_is_counted_outside_of_code() {
        for (text, count) in [
            ("# One\n###### Six\n####### none\n#none", 2),
            ("1. a\n 22. b\n- c\n* d\n+ e\n-f\n3.g", 5),
            ("\u{663}. a", 1),
            ("**a** __b c__ **d\ne ***x***", 3),
            ("\u{1f600}\u{1f680} \u{2713}", 3),
            ("```\n# code\n- code\n``` plain", 0),
            ("``` open\n- item", 1),
            ("plain", 0),
        ] {
            let length = strip(&without_code(text)).chars().count() as f64;
            assert_eq!(density(text), f64::from(count) / length, "{text:?}");
        }
        assert_eq!(density(" "), 0.0);
    }

    #[test]
    fn sums_are_those_of_eight_columns() {
        // The columns: 1, and seven times twice the small number. One after the other the small numbers would all be lost.
        let tiny = 2.0_f64.powi(-53);
        let mut values = vec![1.0];
        values.extend([tiny; 7]);
        values.extend([0.0, tiny, tiny, tiny, tiny, tiny, tiny, tiny]);
        assert_eq!(sum(&values), 1.0 + 7.0 * 2.0_f64.powi(-52));
        assert_eq!(values.iter().sum::<f64>(), 1.0);
        assert_eq!(values[..7].iter().sum::<f64>(), sum(&values[..7]));
        assert_eq!(sum(&[0.5; 300]), 150.0);
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(compensated_sum(&[1.0, tiny, tiny]), 1.0 + 2.0 * tiny);
        assert_eq!(compensated_sum(&[1e308, 1e308]), f64::INFINITY);
    }

    #[test]
    fn scores_become_rewards() {
        assert_eq!(normalized(&[2.0, 4.0, 3.0], Normalization::None), [2.0, 4.0, 3.0]);
        assert_eq!(normalized(&[2.0, 4.0, 3.0], Normalization::MinMax), [0.0, 1.0, 0.5]);
        assert_eq!(normalized(&[2.0, 4.0], Normalization::ZScore), [-1.0, 1.0]);
        assert_eq!(normalized(&[3.0, 3.0], Normalization::MinMax), [0.5, 0.5]);
        assert_eq!(normalized(&[3.0, 3.0], Normalization::ZScore), [0.0, 0.0]);
    }
}
