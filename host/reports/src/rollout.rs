// SPDX-License-Identifier: Apache-2.0
//! What a profile looks at in one rollout.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use gym_data::jsonl::{BlankLines, JsonlError, Reader as Rows};
use gym_protocol::{Members, Raw, scan};

use crate::content::of_prompt;

/// One rollout, small.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rollout {
    pub(crate) task: u64,
    pub(crate) agent: String,
    /// None if it is no measurement.
    pub(crate) reward: Option<f64>,
    /// How often each tool was called.
    pub(crate) tools: BTreeMap<String, u64>,
    /// Tokens of all its responses, if the model told.
    pub(crate) tokens: Option<u64>,
    /// Characters of what the model wrote: texts, reasoning and arguments of calls.
    pub(crate) characters: u64,
}

impl Rollout {
    pub(crate) fn calls(&self) -> u64 {
        self.tools.values().sum()
    }
}

/// Reads rollouts of one file after the other. Memory is taken for figures, not for the rows.
#[derive(Default)]
pub struct Reader {
    pub(crate) rollouts: Vec<Rollout>,
    seen: HashSet<(u64, u64)>,
    pub(crate) rows: u64,
    pub(crate) twice: u64,
    pub(crate) without_key: u64,
    /// Rollouts that name no task; they have the number of their prompt.
    pub(crate) by_prompt: Vec<Rollout>,
    pub(crate) prompts: HashMap<u128, u64>,
}

impl Reader {
    /// Reads a file. A rollout that was read before is counted and passed over. Rollouts without `_ng_task_index`, as
    /// older ones of NeMo Gym are, are of the same task if they have the same prompt; without `_ng_rollout_index` each
    /// is one of its own.
    pub fn read(&mut self, path: &Path) -> Result<(), JsonlError> {
        let mut rows = Rows::open(path)?.blank_lines(BlankLines::Skipped);
        while let Some(row) = rows.next_row()? {
            self.rows += 1;
            let number = |name: &str| row.members.get(name).and_then(|value| value.read::<u64>().ok());
            let Some(task) = number("_ng_task_index") else {
                match of_prompt(&row.members) {
                    Some(prompt) => {
                        let next = self.prompts.len() as u64;
                        let task = *self.prompts.entry(prompt).or_insert(next);
                        self.by_prompt.push(rollout(task, &row.members));
                    }
                    None => self.without_key += 1,
                }
                continue;
            };
            if number("_ng_rollout_index").is_some_and(|repeat| !self.seen.insert((task, repeat))) {
                self.twice += 1;
                continue;
            }
            self.rollouts.push(rollout(task, &row.members));
        }
        Ok(())
    }
}

fn rollout(task: u64, members: &Members) -> Rollout {
    let agent = members.get_set("agent_ref").and_then(|agent| agent.members().ok()?.get_set("name")?.read().ok());
    let response = members.get_set("response");
    let mut rollout = Rollout {
        task,
        agent: agent.unwrap_or_default(),
        reward: reward(members),
        tools: BTreeMap::new(),
        tokens: None,
        characters: 0,
    };
    let Some(response) = response.map(Raw::bytes) else { return rollout };
    let usage = scan::member(response, "usage");
    rollout.tokens = usage
        .and_then(|usage| scan::member(usage, "output_tokens"))
        .and_then(|tokens| std::str::from_utf8(tokens).ok()?.parse().ok());
    let Some(output) = scan::member(response, "output").filter(|output| scan::kind(output) == scan::Kind::Array) else {
        return rollout;
    };
    for item in scan::elements(output) {
        if scan::kind(item) != scan::Kind::Object {
            continue;
        }
        let text = |name: &str| scan::member(item, name).and_then(scan::string);
        let kind = text("type");
        if kind.as_deref().is_some_and(|kind| kind.ends_with("_call")) {
            let name = text("name").or(kind).map(|name| name.into_owned()).unwrap_or_default();
            *rollout.tools.entry(name).or_default() += 1;
            rollout.characters += text("arguments").map_or(0, |text| text.chars().count() as u64);
            continue;
        }
        // What tools or a simulated user said is no work of the model's.
        let is_models = !kind.as_deref().is_some_and(|kind| kind.ends_with("_output"))
            && text("role").is_none_or(|role| role == "assistant");
        if is_models {
            rollout.characters += ["content", "summary"]
                .into_iter()
                .filter_map(|name| scan::member(item, name))
                .map(characters)
                .sum::<u64>();
        }
    }
    rollout
}

/// Characters of a text or of the texts of parts.
fn characters(value: &[u8]) -> u64 {
    match scan::kind(value) {
        scan::Kind::String => scan::string(value).map_or(0, |text| text.chars().count() as u64),
        scan::Kind::Array => scan::elements(value)
            .filter(|part| scan::kind(part) == scan::Kind::Object)
            .filter_map(|part| scan::string(scan::member(part, "text").or_else(|| scan::member(part, "refusal"))?))
            .map(|text| text.chars().count() as u64)
            .sum(),
        _ => 0,
    }
}

fn reward(members: &Members) -> Option<f64> {
    if members.get("mask_sample").is_some_and(|flag| flag.as_str() == "true") {
        return None;
    }
    let reward = members.get_set("reward")?;
    match reward.as_str() {
        "true" => Some(1.0),
        "false" => Some(0.0),
        _ => reward.read().ok().filter(|reward: &f64| reward.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_lengths_and_rewards_are_read() {
        let text = r#"{"reward":0.5,"agent_ref":{"name":"a"},"response":{"usage":{"output_tokens":7},"output":[
            {"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},
            {"type":"function_call","name":"f","arguments":"{}"},{"type":"function_call","name":"f","arguments":""},
            {"type":"function_call_output","output":"long long long"},{"type":"web_search_call"},
            {"type":"message","role":"user","content":"not the model"},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"\u00e4bc"}]}]}}"#;
        let read = rollout(3, &Raw::parse(text.to_owned().into()).unwrap().members().unwrap());
        assert_eq!((read.reward, read.tokens, read.calls()), (Some(0.5), Some(7), 3));
        assert_eq!(
            read.tools.iter().map(|(name, count)| (name.as_str(), *count)).collect::<Vec<_>>(),
            [("f", 2), ("web_search_call", 1)]
        );
        assert_eq!(read.characters, 2 + 2 + 3);
    }

    #[test]
    fn malformed_rollouts_are_read_as_far_as_they_go() {
        for text in [
            "{}",
            r#"{"response":3}"#,
            r#"{"response":{"output":3,"usage":[]}}"#,
            r#"{"response":{"output":[3,null,{"type":3},{"content":{"a":1}}]},"reward":"x"}"#,
        ] {
            let read = rollout(0, &Raw::parse(text.to_owned().into()).unwrap().members().unwrap());
            assert_eq!((read.reward, read.calls(), read.characters), (None, 0, 0), "{text}");
        }
    }
}
