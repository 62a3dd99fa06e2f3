// SPDX-License-Identifier: Apache-2.0
//! The facts that a list of rollouts shows, out of one line of a file.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use gym_protocol::{
    Raw,
    scan::{Kind, elements, kind, member, members, string},
};

use crate::table::State;

/// How much of a prompt a list shows, in characters.
const TITLE: usize = 160;
/// How much of a prompt is searched, in characters.
const SEARCHED: usize = 400;
/// Numbers of a verdict beyond these are shown with the rollout, but not in the list.
const NUMBERS: usize = 24;

/// Facts of one rollout. Numbers that a rollout lacks are NaN.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub state: State,
    pub task: Option<i64>,
    pub rollout: Option<i64>,
    pub attempt: i64,
    /// Equal for rollouts of the same task; 0 if nothing tells which task it was.
    pub group: u64,
    pub agent: String,
    pub model: String,
    /// What failed; empty if nothing did.
    pub failure: String,
    pub reward: f64,
    pub tokens: f64,
    pub output_tokens: f64,
    pub calls: u32,
    pub items: u32,
    pub title: String,
    pub search: String,
    /// Whether the row holds the task.
    pub has_task: bool,
    /// Other numbers at the row's top level, such as an environment's measures.
    pub numbers: Vec<(String, f64)>,
}

/// Reads a line. A line that is no JSON object is a row too: one that says so.
pub(crate) fn facts(line: Bytes) -> Facts {
    let mut facts = Facts { reward: f64::NAN, tokens: f64::NAN, output_tokens: f64::NAN, ..Facts::default() };
    match Raw::parse(line.clone()) {
        Ok(raw) if raw.is_object() => read(&mut facts, raw.bytes()),
        Ok(_) => unreadable(&mut facts, &line, "this line is not a JSON object"),
        Err(error) => unreadable(&mut facts, &line, &format!("this line is not JSON: {error}")),
    }
    facts
}

/// Whether a line is one JSON object: the test for a last line without a line break.
pub(crate) fn is_whole(line: Bytes) -> bool {
    Raw::parse(line).is_ok_and(|raw| raw.is_object())
}

fn unreadable(facts: &mut Facts, line: &[u8], why: &str) {
    facts.state = State::Unreadable;
    facts.failure = "unreadable".to_owned();
    let start = String::from_utf8_lossy(&line[..line.len().min(4 * TITLE)]).into_owned();
    (facts.title, facts.search) = shorten(&format!("{why}: {start}"));
}

fn read(facts: &mut Facts, row: &[u8]) {
    let mut masked = false;
    let mut failure_kind = None;
    let mut failure_class = None;
    let mut task_id = None;
    let mut source = None;
    for (name, value) in members(row) {
        match name.as_ref() {
            "responses_create_params" => read_task(facts, value),
            "response" => read_response(facts, value),
            "reward" => facts.reward = number(value),
            "mask_sample" => masked = value == b"true",
            "failure_kind" => failure_kind = text(value),
            "_ng_failure_class" => failure_class = text(value),
            "_ng_task_index" => facts.task = integer(value),
            "_ng_rollout_index" => facts.rollout = integer(value),
            "_ng_attempt_index" => facts.attempt = integer(value).unwrap_or(0),
            "_ng_task_id" => task_id = (kind(value) != Kind::Null).then_some(value),
            "agent_ref" => facts.agent = member(value, "name").and_then(text).unwrap_or_default(),
            "task_source" | "_ng_environment_server" => source = text(value),
            "reward_components" => {
                for (name, part) in members(value).take(NUMBERS) {
                    let part = number(part);
                    if !part.is_nan() && facts.numbers.len() < NUMBERS {
                        facts.numbers.push((format!("component.{name}"), part));
                    }
                }
            }
            name if !name.starts_with('_') && facts.numbers.len() < NUMBERS => {
                let value = number(value);
                if !value.is_nan() {
                    facts.numbers.push((name.to_owned(), value));
                }
            }
            _ => {}
        }
    }
    if facts.agent.is_empty() {
        facts.agent = source.unwrap_or_default();
    }
    // A task is known by its number, else by the name that its set gave it, else by its prompt.
    facts.group = match (facts.task, task_id) {
        (Some(task), _) => hash(&("index", task)),
        (None, Some(id)) => hash(&("id", id)),
        (None, None) => facts.group,
    };
    if facts.title.is_empty()
        && let Some(id) = task_id
    {
        (facts.title, facts.search) = shorten(&String::from_utf8_lossy(id));
    }
    facts.state = if failure_class.is_some() {
        State::Failed
    } else if masked || failure_kind.is_some() {
        State::Masked
    } else if facts.reward.is_nan() {
        State::Unscored
    } else {
        State::Scored
    };
    facts.failure = failure_class.or(failure_kind).unwrap_or_default();
    if facts.failure.is_empty() && facts.state == State::Masked {
        facts.failure = "masked".to_owned();
    }
}

fn read_task(facts: &mut Facts, params: &[u8]) {
    let Some(input) = member(params, "input").filter(|input| kind(input) != Kind::Null) else { return };
    facts.has_task = true;
    facts.group = hash(&("input", input));
    (facts.title, facts.search) = shorten(&prompt(input));
    if facts.model.is_empty() {
        facts.model = member(params, "model").and_then(text).unwrap_or_default();
    }
}

/// The first words of the user in an input; of anyone if there is no user.
pub(crate) fn prompt(input: &[u8]) -> String {
    if let Some(text) = string(input) {
        return text.into_owned();
    }
    let of = |user: bool| {
        let mut items = elements(input)
            .filter(|item| !user || member(item, "role").and_then(string).is_some_and(|role| role == "user"));
        items.find_map(|item| member(item, "content").map(words).filter(|words| !words.trim().is_empty()))
    };
    of(true).or_else(|| of(false)).unwrap_or_default()
}

/// The text of a message's content: a string, or a list of parts.
fn words(content: &[u8]) -> String {
    match string(content) {
        Some(text) => text.into_owned(),
        None => {
            let parts = elements(content).filter_map(|part| member(part, "text").and_then(string));
            parts.collect::<Vec<_>>().join(" ")
        }
    }
}

fn read_response(facts: &mut Facts, response: &[u8]) {
    (facts.calls, facts.items) = (0, 0);
    for (name, value) in members(response) {
        match name.as_ref() {
            "model" => facts.model = text(value).unwrap_or_default(),
            "usage" => {
                let field = |name: &str| member(value, name).map_or(f64::NAN, number);
                facts.output_tokens = field("output_tokens");
                facts.tokens = field("total_tokens");
                if facts.tokens.is_nan() {
                    facts.tokens = field("input_tokens") + facts.output_tokens;
                }
            }
            "output" => {
                for item in elements(value) {
                    facts.items += 1;
                    let is_call = member(item, "type").and_then(string).is_some_and(|name| name.ends_with("_call"));
                    facts.calls += u32::from(is_call);
                }
            }
            _ => {}
        }
    }
}

fn text(value: &[u8]) -> Option<String> {
    string(value).map(|text| text.into_owned()).filter(|text| !text.is_empty())
}

fn integer(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A number, or a boolean as 0 or 1; NaN otherwise.
fn number(value: &[u8]) -> f64 {
    match value {
        b"true" => 1.0,
        b"false" => 0.0,
        value if kind(value) == Kind::Number => {
            let parsed = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
            parsed.filter(|number| number.is_finite()).unwrap_or(f64::NAN)
        }
        _ => f64::NAN,
    }
}

/// A prompt on one line as a list shows it, and as it is searched (longer, in lower case).
pub(crate) fn shorten(text: &str) -> (String, String) {
    let mut line = String::new();
    let mut title = None;
    let mut length = 0;
    'words: for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            length += 1;
        }
        for character in word.chars() {
            if length >= SEARCHED {
                break 'words;
            }
            if length >= TITLE && title.is_none() {
                title = Some(line.clone());
            }
            line.push(character);
            length += 1;
        }
    }
    let search = line.to_lowercase();
    (title.unwrap_or(line), search)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    // 0 stands for tasks that nothing tells apart.
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Facts {
        facts(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn the_facts_of_a_rollout_are_read() {
        let facts = of(r#"{"responses_create_params":{"input":[{"role":"system","content":"Be brief."},
                {"role":"user","content":[{"type":"input_text","text":"What  is\n2+2?"}]}]},
                "response":{"model":"m","usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12},
                "output":[{"type":"reasoning"},{"type":"function_call","name":"f"},{"type":"message"}]},
                "reward":0.5,"reward_components":{"form":0.25},"accuracy":true,"note":"x","_ng_task_index":3,"_ng_rollout_index":1,
                "agent_ref":{"name":"a"}}"#);
        assert_eq!((facts.state, facts.task, facts.rollout), (State::Scored, Some(3), Some(1)));
        assert_eq!((facts.reward, facts.tokens, facts.output_tokens), (0.5, 12.0, 7.0));
        assert_eq!((facts.calls, facts.items), (1, 3));
        assert_eq!((facts.agent.as_str(), facts.model.as_str(), facts.failure.as_str()), ("a", "m", ""));
        assert_eq!((facts.title.as_str(), facts.search.as_str()), ("What is 2+2?", "what is 2+2?"));
        assert_eq!(facts.numbers, [("component.form".to_owned(), 0.25), ("accuracy".to_owned(), 1.0)]);
    }

    #[test]
    fn states_and_failures_are_told_apart() {
        for (text, state, failure) in [
            (r#"{"reward":0}"#, State::Scored, ""),
            (r#"{"reward":true}"#, State::Scored, ""),
            (r#"{"response":{}}"#, State::Unscored, ""),
            (r#"{"reward":null}"#, State::Unscored, ""),
            (r#"{"reward":0.0,"mask_sample":true,"failure_kind":"judge_failed"}"#, State::Masked, "judge_failed"),
            (r#"{"reward":0.0,"mask_sample":true}"#, State::Masked, "masked"),
            (r#"{"_ng_failure_class":"agent_run_error","mask_sample":true}"#, State::Failed, "agent_run_error"),
            ("[1]", State::Unreadable, "unreadable"),
            ("{\"a\":", State::Unreadable, "unreadable"),
        ] {
            let facts = of(text);
            assert_eq!((facts.state, facts.failure.as_str()), (state, failure), "{text}");
        }
    }

    #[test]
    fn fields_of_unexpected_types_do_no_harm() {
        let facts =
            of(r#"{"responses_create_params":[1],"response":"no","reward":"1","_ng_task_index":"x","agent_ref":7,
                "mask_sample":1,"failure_kind":{},"_ng_failure_class":null,"big":1e999}"#);
        assert_eq!((facts.state, facts.task), (State::Unscored, None));
        assert!(facts.numbers.is_empty() && facts.agent.is_empty());
        let deep = format!("{{\"response\":{{\"output\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(of(&deep).items, 1);
    }

    #[test]
    fn the_same_task_is_known_without_a_number() {
        let group = |text: &str| of(text).group;
        let prompt = r#"{"responses_create_params":{"input":"hi"},"reward":1}"#;
        assert_eq!(group(prompt), group(r#"{"reward":0,"responses_create_params":{"input":"hi","model":"m"}}"#));
        assert_ne!(group(prompt), group(r#"{"responses_create_params":{"input":"ho"}}"#));
        assert_eq!(group(r#"{"_ng_task_index":1}"#), group(r#"{"_ng_task_index":1,"_ng_rollout_index":2}"#));
        assert_eq!(group(r#"{"reward":1}"#), 0);
    }

    #[test]
    fn long_prompts_are_cut_between_characters() {
        let (title, search) = shorten(&"Ü ".repeat(1000));
        assert_eq!((title.chars().count(), search.chars().count()), (TITLE, SEARCHED));
        assert!(search.starts_with("ü ü"));
    }
}
