// SPDX-License-Identifier: Apache-2.0
//! Answers whose form is prescribed, graded by rules. See the README for the reward rule.

use gym_env::{AnyJson, Attempt, Context, Fault, Rng, Schema, Verdict, resources_server};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod arguments;
mod checks;
mod language;
mod lexicon;
mod python;
mod sentences;
mod split;
mod tokens;

use arguments::{Arguments, Broken};

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct InstructionFollowing;

/// What grading needs of a row. Rows of an older form have the members of `verifier_metadata` at their top.
#[derive(Debug, Deserialize, Schema)]
struct Task {
    /// The number of the row.
    #[allow(dead_code, reason = "a row must have it, but nobody asks for it")]
    #[schema(json = r#"{"type": "integer"}"#)]
    id: AnyJson,
    /// The instructions: `instruction_id_list`, `kwargs`, `prompt`, `grading_mode`.
    #[schema(json = r#"{"type": ["object", "null"]}"#)]
    verifier_metadata: Option<AnyJson>,
    /// The names of the instructions.
    instruction_id_list: Option<AnyJson>,
    /// Their arguments, in the same order.
    kwargs: Option<AnyJson>,
    /// What the model was asked.
    prompt: Option<AnyJson>,
    /// How the reward follows from the instructions.
    grading_mode: Option<AnyJson>,
}

/// How the reward follows from the instructions.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum GradingMode {
    /// 1 if all are followed.
    Binary,
    /// The share of those that are followed.
    Fraction,
}

#[resources_server(reusable, reverify = "stateless")]
impl InstructionFollowing {
    #[verify]
    fn verify(attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Fault> {
        let metadata = metadata(&attempt.task)?;
        let names = list(&metadata, "instruction_id_list")?;
        let kwargs = list(&metadata, "kwargs")?;
        let mode = match metadata.get("grading_mode") {
            None => GradingMode::Binary,
            Some(mode) => GradingMode::deserialize(mode)
                .map_err(|_| Fault::new("`grading_mode` is neither `binary` nor `fraction`"))?,
        };
        let text = attempt.last_item_text()?.unwrap_or_default();
        let mut rng = cx.rng();
        // As many as there are of both.
        let followed = names
            .iter()
            .zip(&kwargs)
            .map(|(name, kwargs)| is_followed(name, kwargs, &text, &mut rng))
            .collect::<Result<Vec<bool>, Fault>>()?;
        let all = followed.iter().all(|followed| *followed);
        let reward = match mode {
            GradingMode::Binary => f64::from(u8::from(all)),
            GradingMode::Fraction if followed.is_empty() => 0.0,
            GradingMode::Fraction => {
                followed.iter().filter(|followed| **followed).count() as f64 / followed.len() as f64
            }
        };
        Ok(Verdict::new(reward)
            .field("follow_all_instructions", all)
            .field("follow_instruction_list", followed)
            .field("verifier_metadata", metadata))
    }
}

/// The metadata of the row: what stands at its top, and over it what stands in `verifier_metadata`.
fn metadata(task: &Task) -> Result<Map<String, Value>, Fault> {
    let mut metadata: Map<String, Value> = match &task.verifier_metadata {
        Some(given) => read::<Option<Map<String, Value>>>("verifier_metadata", given)?.unwrap_or_default(),
        None => Map::new(),
    };
    for (name, value) in [
        ("instruction_id_list", &task.instruction_id_list),
        ("prompt", &task.prompt),
        ("kwargs", &task.kwargs),
        ("grading_mode", &task.grading_mode),
    ] {
        if let Some(value) = value
            && !metadata.contains_key(name)
        {
            metadata.insert(name.to_owned(), read(name, value)?);
        }
    }
    for name in ["instruction_id_list", "prompt", "kwargs"] {
        if !metadata.contains_key(name) {
            return Err(Fault::new(format!("the row has no `{name}`, neither in `verifier_metadata` nor at its top")));
        }
    }
    Ok(metadata)
}

fn read<T: for<'de> Deserialize<'de>>(name: &str, value: &AnyJson) -> Result<T, Fault> {
    value.read().map_err(|error| Fault::new(format!("failed to read `{name}`: {error}")))
}

/// What a loop in Python goes over: the items of a list, the names of an object, the characters of a text.
fn list(metadata: &Map<String, Value>, name: &str) -> Result<Vec<Value>, Fault> {
    match metadata.get(name) {
        Some(Value::Array(items)) => Ok(items.clone()),
        Some(Value::Object(members)) => Ok(members.keys().cloned().map(Value::String).collect()),
        Some(Value::String(text)) => Ok(text.chars().map(|c| Value::String(c.into())).collect()),
        _ => Err(Fault::new(format!("`{name}` of the row is no list"))),
    }
}

/// Whether the text follows one instruction. One that the public verifier fails on is not followed.
fn is_followed(name: &Value, kwargs: &Value, text: &str, rng: &mut Rng) -> Result<bool, Fault> {
    let Some(class) = name.as_str().and_then(checks::find) else { return Ok(false) };
    let verdict =
        Arguments::new(kwargs, class.parameters, rng).and_then(|mut arguments| (class.check)(&mut arguments, text));
    match verdict {
        Ok(followed) => Ok(followed),
        Err(Broken::Raises) => Ok(false),
        Err(Broken::Fault(fault)) => Err(Fault::new(format!("instruction `{}`: {}", class.name, fault.message()))),
    }
}

#[cfg(test)]
mod tests;
