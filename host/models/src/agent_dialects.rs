// SPDX-License-Identifier: Apache-2.0
//! An agent behind the port of a model server: clients that speak Chat Completions or Anthropic's Messages reach it too.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Agent, Model, Reply, RequestContext};
use gym_protocol::{Fault, Members, ModelRequest, Raw, ServerName};

use crate::chat::{self, list, string};

/// An agent that answers like a model. What it answers is what it says in the end and the calls that nobody has answered;
/// the tools that it used on its way, and what it said meanwhile, are in its Response only.
pub struct AgentDialects {
    agent: Arc<dyn Agent>,
}

impl AgentDialects {
    /// The dialects of that agent.
    pub fn new(agent: Arc<dyn Agent>) -> Self {
        Self { agent }
    }
}

#[async_trait]
impl Model for AgentDialects {
    fn name(&self) -> &ServerName {
        self.agent.name()
    }

    async fn respond(&self, mut request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        // The agent would pass it on to its model server, where the agent's name means nothing.
        request.params.remove("model");
        let reply = self.agent.responses(request.to_body(), context).await;
        Ok(match Raw::parse(reply.body.clone()).and_then(|body| body.members()) {
            Ok(response) if reply.status == 200 => Reply { body: final_part(response).bytes().clone(), ..reply },
            _ => reply,
        })
    }

    async fn chat(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        chat::serve::through_responses(self, body, context).await
    }

    async fn messages(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        crate::messages::through_responses_with_options(self, body, context).await
    }
}

/// The Response with only those output items that are left for the client.
fn final_part(mut response: Members) -> Raw {
    let items: Vec<(Raw, Members)> =
        list(&response, "output").into_iter().filter_map(|item| item.members().ok().map(|read| (item, read))).collect();
    let answered: HashSet<String> = items
        .iter()
        .filter(|(_, item)| string(item, "type").as_deref() == Some("function_call_output"))
        .filter_map(|(_, item)| string(item, "call_id"))
        .collect();
    // Tools and environments speak in between.
    let by_others = |item: &Members| match string(item, "type").as_deref() {
        Some("function_call_output") => true,
        Some("message") | None => string(item, "role").is_some_and(|role| role != "assistant"),
        Some(_) => false,
    };
    let begin = items.iter().rposition(|(_, item)| by_others(item)).map_or(0, |last| last + 1);
    let is_open = |item: &Members| {
        string(item, "type").as_deref() == Some("function_call")
            && string(item, "call_id").is_none_or(|call| !answered.contains(&call))
    };
    let left: Vec<Raw> = items
        .iter()
        .enumerate()
        .filter(|(place, (_, item))| match string(item, "type").as_deref() {
            Some("function_call") => is_open(item),
            _ => *place >= begin,
        })
        .map(|(_, (item, _))| item.clone())
        .collect();
    response.set("output", chat::request::array(&left));
    response.to_raw()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn left_of(output: &Value) -> Value {
        let response = json!({"id": "resp_1", "output": output, "usage": null});
        let response = Raw::from_value(&response).members().unwrap();
        let left: Value = final_part(response).read().unwrap();
        assert_eq!(left["id"], "resp_1");
        left["output"].clone()
    }

    fn said(text: &str) -> Value {
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
    }

    fn called(call: &str) -> Value {
        json!({"type": "function_call", "call_id": call, "name": "f", "arguments": "{}"})
    }

    fn answered(call: &str) -> Value {
        json!({"type": "function_call_output", "call_id": call, "output": "1"})
    }

    #[test]
    fn what_is_said_in_the_end_and_open_calls_are_left() {
        let user = json!({"type": "message", "role": "user", "content": "next"});
        let reasoning = json!({"type": "reasoning", "summary": []});
        let cases = [
            (json!([]), json!([])),
            (json!([reasoning, said("a")]), json!([reasoning, said("a")])),
            (json!([said("wait"), called("1"), answered("1"), reasoning, said("b")]), json!([reasoning, said("b")])),
            (json!([said("a"), called("1")]), json!([said("a"), called("1")])),
            (json!([called("1"), called("2"), answered("1"), said("b")]), json!([called("2"), said("b")])),
            (json!([said("a"), user, said("b")]), json!([said("b")])),
            (json!([said("a"), called("1"), answered("1")]), json!([])),
        ];
        for (output, expected) in cases {
            assert_eq!(left_of(&output), expected, "{output}");
        }
    }
}
