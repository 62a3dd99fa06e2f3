// SPDX-License-Identifier: Apache-2.0
//! Cases of environments that are known by an id of their own, played as their agent does it: a seed that names the
//! task, `step` with the calls of each answer, `close`, and grading.

use serde_json::{Map, Value, json};

use super::Case;
use crate::{
    failure::{Failure, Fault},
    server::{Instance, ResourcesServer},
};

/// The reward and the fields of the reply, as for other environments.
pub(super) fn play<E: ResourcesServer>(
    instance: &mut Instance<E>,
    case: &Case,
    row: &Map<String, Value>,
    outputs: &mut Vec<String>,
) -> Result<(f64, Map<String, Value>), Failure> {
    let seeded = read(&instance.seed_session(&json!({"task_idx": row.get("task_idx")}).to_string())?)?;
    let env_id = &seeded["env_id"];
    let mut transcript: Vec<Value> = seeded["obs"].as_array().cloned().unwrap_or_default();
    for turn in &case.turns {
        let items = turn.items(transcript.len());
        let calls: Vec<Value> = items.iter().filter(|item| item["type"] == "function_call").cloned().collect();
        transcript.extend(items);
        if turn.incomplete.is_some() || calls.is_empty() {
            break;
        }
        let step = json!({"env_id": env_id, "action": calls}).to_string();
        let stepped = read(&instance.call_tool("step", &step)?)?;
        for observation in stepped["obs"].as_array().into_iter().flatten() {
            if observation["type"] == "function_call_output" {
                outputs.push(observation["output"].as_str().unwrap_or_default().to_owned());
            }
            transcript.push(observation.clone());
        }
        if stepped["done"] == true {
            break;
        }
    }
    instance.call_tool("close", &json!({"env_id": env_id}).to_string())?;
    let mut request = row.clone();
    let response = json!({"output": transcript, "env_id": env_id, "group_id": "0", "contains_transitions": false});
    request.insert("response".to_owned(), response);
    let verdict = instance.verify(Value::Object(request).to_string())?;
    Ok((verdict.reward(), verdict.fields().clone()))
}

fn read(reply: &str) -> Result<Value, Failure> {
    serde_json::from_str(reply).map_err(|error| Fault::new(format!("a reply is not JSON: {error}")).into())
}
