// SPDX-License-Identifier: Apache-2.0
//! `replay_model`: answers as a model did in recorded rollouts, so that a run can be made again without a network.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Cookie, Model, Reply, RequestContext};
use gym_protocol::{Fault, Members, ModelRequest, Raw, ServerName};

use crate::chat::{list, object, string};
use crate::response::{Answer, Output, error_body, write_response};
use crate::scripted::transcript::{From, Item};
use crate::scripted::{Inputs, find, same_item};
use crate::settings::{ModelError, Settings};

/// A model server that plays rollouts files. Its key `rollouts` is one path or several; relative ones are looked up
/// under the search roots. The files are held in memory.
///
/// A request is answered if it begins with the input of a recorded row. What the model said since picks the recorded
/// attempt and its turn: several attempts at one task play in turn. A turn ends before an item that is not the model's,
/// or after one that carries token data. The last turn carries the usage of the whole attempt, so that an agent's sum
/// is the recorded one.
pub struct ReplayModel {
    name: ServerName,
    inputs: Inputs,
    tasks: Vec<Task>,
    cookie: String,
}

/// The attempts at one task.
#[derive(Default)]
struct Task {
    attempts: Vec<Attempt>,
    begun: AtomicU64,
}

/// One recorded rollout.
struct Attempt {
    turns: Vec<Vec<Raw>>,
    id: String,
    created_at: f64,
    model: Raw,
    incomplete: Option<String>,
    usage: Option<Raw>,
}

impl ReplayModel {
    /// Reads the files.
    pub fn new(settings: Settings<'_>, roots: &[std::path::PathBuf]) -> Result<Self, ModelError> {
        let server = settings.server();
        let paths = settings.texts("rollouts")?;
        if paths.is_empty() {
            return Err(settings.missing("rollouts"));
        }
        let mut model = Self {
            name: server.clone(),
            inputs: Inputs::new(),
            tasks: Vec::new(),
            cookie: format!("ReplayModel___{server}"),
        };
        for path in paths {
            let path = find(&path, roots);
            model.read(&path).map_err(|problem| ModelError::File {
                server: server.clone(),
                path: path.clone(),
                problem,
            })?;
        }
        Ok(model)
    }

    fn read(&mut self, path: &Path) -> Result<(), String> {
        let text = Bytes::from(std::fs::read(path).map_err(|error| error.to_string())?);
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let row = Raw::parse(text.slice_ref(line))
                .and_then(|row| row.members())
                .map_err(|error| format!("line {}: {error}", index + 1))?;
            // A row without a response is a failure: there is nothing to play.
            let Some(response) = object(&row, "response") else { continue };
            let input = object(&row, "responses_create_params")
                .and_then(|params| params.get_set("input").cloned())
                .and_then(|input| input.read::<serde_json::Value>().ok())
                .ok_or_else(|| format!("line {}: there is no `responses_create_params.input`", index + 1))?;
            let (number, new) = self.inputs.insert(&input);
            if new {
                self.tasks.push(Task::default());
            }
            self.tasks[number].attempts.push(Attempt::new(&response, index));
        }
        Ok(())
    }

    /// The attempt and the turn for a request about `task`, whose own items are `since`.
    fn pick(&self, task: &Task, since: &[Raw], context: &RequestContext) -> Option<(usize, usize)> {
        let said: Vec<&Raw> = since.iter().filter(|item| Item::read(item).from == From::Model).collect();
        if said.is_empty() {
            let round = task.begun.fetch_add(1, Ordering::Relaxed);
            return Some(((round % task.attempts.len() as u64) as usize, 0));
        }
        let of_cookie = context.cookies.get(&self.cookie).and_then(|value| value.parse::<usize>().ok());
        let others = (0..task.attempts.len()).filter(|number| Some(*number) != of_cookie);
        of_cookie
            .into_iter()
            .chain(others)
            .find_map(|number| Some((number, task.attempts.get(number)?.turn_after(&said)?)))
    }
}

impl Attempt {
    fn new(response: &Members, line: usize) -> Self {
        let mut turns: Vec<Vec<Raw>> = Vec::new();
        let mut open = false;
        for item in list(response, "output") {
            if Item::read(&item).from != From::Model {
                open = false;
                continue;
            }
            if !open {
                turns.push(Vec::new());
            }
            open = item.members().is_ok_and(|item| item.get_set("generation_token_ids").is_none());
            if let Some(turn) = turns.last_mut() {
                turn.push(item);
            }
        }
        Self {
            turns,
            id: string(response, "id").unwrap_or_else(|| format!("resp_line{}", line + 1)),
            created_at: response.get_set("created_at").and_then(|at| at.read().ok()).unwrap_or_default(),
            model: response.get_set("model").cloned().unwrap_or_else(|| Raw::from_value("")),
            incomplete: object(response, "incomplete_details").and_then(|details| string(&details, "reason")),
            usage: response.get_set("usage").cloned(),
        }
    }

    /// The turn that comes after these items, if they are how this attempt begins.
    fn turn_after(&self, said: &[&Raw]) -> Option<usize> {
        let mut said = said.iter();
        for (number, turn) in self.turns.iter().enumerate() {
            if said.len() == 0 {
                return Some(number);
            }
            if !turn.iter().all(|item| said.next().is_some_and(|said| same_item(item, said))) {
                return None;
            }
        }
        (said.len() == 0).then_some(self.turns.len())
    }
}

#[async_trait]
impl Model for ReplayModel {
    fn name(&self) -> &ServerName {
        &self.name
    }

    async fn respond(&self, request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        let Some((number, length)) = self.inputs.find(&request.input) else {
            return Ok(missing("no recorded rollout begins with the input of this request"));
        };
        let task = &self.tasks[number];
        let Some((number, turn)) = self.pick(task, &request.input[length..], context) else {
            return Ok(missing("no recorded rollout went the way of this request"));
        };
        let attempt = &task.attempts[number];
        let Some(items) = attempt.turns.get(turn) else {
            return Ok(missing("the recorded rollout has no further turn"));
        };
        context.cookies.set(Cookie { name: self.cookie.clone(), value: number.to_string() });
        let last = turn + 1 == attempt.turns.len();
        let id = if last { attempt.id.clone() } else { format!("{}_{turn}", attempt.id) };
        let response = write_response(
            &request.params,
            &Answer {
                id: &id,
                created_at: attempt.created_at,
                model: attempt.model.clone(),
                output: Output::Whole(items),
                incomplete: attempt.incomplete.as_deref().filter(|_| last),
                usage: attempt.usage.clone().filter(|_| last),
                native_finish_reason: None,
            },
        );
        Ok(Reply::ok(response.bytes().clone()))
    }

    async fn chat(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        crate::chat::serve::through_responses(self, body, context).await
    }

    async fn messages(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        crate::messages::through_responses_with_options(self, body, context).await
    }
}

fn missing(message: &str) -> Reply {
    Reply::new(400, error_body(message, "invalid_request_error", Some("no_recorded_answer")).bytes().clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn call(id: &str) -> Value {
        json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}", "id": null})
    }

    fn output(id: &str) -> Value {
        json!({"type": "function_call_output", "call_id": id, "output": "x"})
    }

    fn said(text: &str) -> Value {
        json!({"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": text}]})
    }

    fn row(input: &str, output: Value) -> String {
        let usage = json!({"input_tokens": 9, "output_tokens": 1, "total_tokens": 10});
        let response = json!({"id": "resp_r", "created_at": 5.0, "model": "m", "output": output, "usage": usage});
        json!({"responses_create_params": {"input": [{"role": "user", "content": input}]}, "response": response})
            .to_string()
    }

    fn model(rows: &[String]) -> ReplayModel {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), rows.join("\n")).unwrap();
        let server = ServerName::new("m").expect("not empty");
        let block = json!({"rollouts": file.path()});
        ReplayModel::new(Settings::new(&server, block.as_object().expect("a mapping")), &[]).expect("a model")
    }

    async fn ask(model: &ReplayModel, input: Value, context: &mut RequestContext) -> (u16, Value) {
        let request = ModelRequest::parse(Bytes::from(json!({"input": input}).to_string())).unwrap();
        let reply = model.respond(request, context).await.unwrap();
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    #[tokio::test]
    async fn recorded_turns_are_played_in_order_and_the_last_has_the_usage() {
        let model = model(&[row("q", json!([call("c"), output("c"), said("done")]))]);
        let user = json!({"role": "user", "content": "q"});
        let mut context = RequestContext::default();
        let (_, first) = ask(&model, json!([user]), &mut context).await;
        assert_eq!((&first["output"], &first["usage"]), (&json!([call("c")]), &Value::Null));
        let live = json!({"type": "function_call_output", "call_id": "c", "output": "another"});
        let (_, second) = ask(&model, json!([user, call("c"), live]), &mut context).await;
        assert_eq!(second["output"], json!([said("done")]));
        assert_eq!((&second["usage"]["total_tokens"], &second["id"]), (&json!(10), &json!("resp_r")));
        let (status, _) = ask(&model, json!([user, call("c"), live, said("done")]), &mut context).await;
        assert_eq!(status, 400);
        assert_eq!(ask(&model, json!([user, call("other")]), &mut context).await.0, 400);
        assert_eq!(ask(&model, json!([{"role": "user", "content": "?"}]), &mut context).await.0, 400);
    }

    #[tokio::test]
    async fn attempts_at_one_task_play_in_turn() {
        let model = model(&[
            row("q", json!([call("c"), output("c"), said("one")])),
            row("q", json!([call("c"), output("c"), said("two")])),
        ]);
        let user = json!({"role": "user", "content": "q"});
        let (mut one, mut two) = (RequestContext::default(), RequestContext::default());
        ask(&model, json!([user]), &mut one).await;
        ask(&model, json!([user]), &mut two).await;
        let next = json!([user, call("c"), output("c")]);
        assert_eq!(ask(&model, next.clone(), &mut two).await.1["output"], json!([said("two")]));
        assert_eq!(ask(&model, next, &mut one).await.1["output"], json!([said("one")]));
    }

    #[tokio::test]
    async fn token_data_separates_turns_and_is_played_as_it_was_written() {
        let item = |text: &str| {
            format!(
                r#"{{"type":"reasoning","id":"r","summary":[],"generation_token_ids":[{text}],"generation_log_probs":[-0.10]}}"#
            )
        };
        let line = format!(
            r#"{{"responses_create_params":{{"input":"q"}},"response":{{"id":"resp_1","output":[{},{}]}}}}"#,
            item("1"),
            item("2")
        );
        let model = model(&[line]);
        let request = ModelRequest::parse(Bytes::from_static(br#"{"input":"q"}"#)).unwrap();
        let reply = model.respond(request, &mut RequestContext::default()).await.unwrap();
        let response = Raw::parse(reply.body).unwrap().members().unwrap();
        assert_eq!(response.get("output").unwrap().as_str(), format!("[{}]", item("1")));
    }

    #[test]
    fn files_that_are_no_rollouts_are_refused_with_their_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"_ng_failure_class\":\"x\"}\n{\"response\":{}}\n").unwrap();
        let server = ServerName::new("m").expect("not empty");
        let block = json!({"rollouts": file.path()});
        let error = ReplayModel::new(Settings::new(&server, block.as_object().expect("a mapping")), &[]).err().unwrap();
        assert!(error.to_string().ends_with("line 2: there is no `responses_create_params.input`"), "{error}");
    }
}
