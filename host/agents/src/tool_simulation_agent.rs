// SPDX-License-Identifier: Apache-2.0
//! `tool_simulation_agent`: for tasks whose tools exist only as definitions. Calls are answered by a second model that
//! plays the tools (`simulation_model_server`); without one the first answer is graded as it is, calls and all. No
//! session is seeded.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{FaultKind, Members, ModelRequest, Raw, ServerRef, responses::output_text};
use serde::Deserialize;
use serde_json::json;

use crate::{
    arguments,
    calls::{ModelCalls, error_text},
    driver::{Base, Driver},
    failure::{RunError, Stage},
    ports::{Model, Reply, RequestContext, Session},
    request_body::{create_params_as_they_came, row_request_as_it_came},
    simple_agent::{DEFAULT_CEILING, too_many_steps},
    transcript::{FunctionCall, Transcript, asked, call_output, user_message},
};

/// What the model that plays the tools is told, unless the configuration says otherwise.
const DEFAULT_PROMPT: &str = "You play a tool that does not exist. You get its definition, the calls that were answered \
     so far with their outputs, and a new call. Answer with the output of the new call and nothing else: one JSON value \
     of the kind that such a tool would return, consistent with the earlier outputs. If the arguments do not fit the \
     definition, answer with a JSON object whose only member is `error`.";

/// The block `responses_api_agents.tool_simulation_agent`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ToolSimulationConfig {
    /// Grades.
    #[serde(default)]
    pub(crate) resources_server: Option<ServerRef>,
    pub(crate) model_server: ServerRef,
    /// Plays the tools.
    #[serde(default)]
    pub(crate) simulation_model_server: Option<ServerRef>,
    /// Instructions of the model that plays the tools.
    #[serde(default = "default_prompt")]
    simulation_prompt: String,
    /// Model calls of one attempt; null or 0: no limit but `step_ceiling`.
    #[serde(default)]
    max_steps: Option<u64>,
    /// Model calls after which an attempt is ended as a failure.
    #[serde(default = "default_ceiling")]
    step_ceiling: u64,
}

fn default_prompt() -> String {
    DEFAULT_PROMPT.to_owned()
}

fn default_ceiling() -> u64 {
    DEFAULT_CEILING
}

/// The agent.
pub(crate) struct ToolSimulationAgent {
    base: Base,
    config: ToolSimulationConfig,
    model: Arc<dyn Model>,
    simulator: Option<Arc<dyn Model>>,
}

impl ToolSimulationAgent {
    pub(crate) fn new(
        base: Base,
        config: ToolSimulationConfig,
        model: Arc<dyn Model>,
        simulator: Option<Arc<dyn Model>>,
    ) -> Self {
        Self { base, config, model, simulator }
    }

    /// One call passes the request on as it came; of several, all begin with the same message.
    fn readied(&self, request: ModelRequest) -> ModelRequest {
        if self.simulator.is_some() { request.with_message() } else { request }
    }

    async fn answer(
        &self,
        request: ModelRequest,
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Raw, RunError> {
        let mut model = ModelCalls::new(&*self.model, context);
        let mut tools = Tools {
            definitions: request.params.get("tools").and_then(|tools| tools.elements().ok()).unwrap_or_default(),
            prompt: &self.config.simulation_prompt,
            model: self.simulator.as_deref().map(|simulator| ModelCalls::new(simulator, context)),
            answered: Vec::new(),
        };
        let mut transcript = Transcript::new(request, context);
        let result = self.exchange(&mut model, &mut tools, &mut transcript).await;
        context.cookies.merge(model.cookies());
        let response = transcript.response();
        if let Err(error) = result {
            *partial = response;
            return Err(error);
        }
        Ok(response.expect("the exchange ends without an error only after an answer"))
    }

    async fn exchange(
        &self,
        model: &mut ModelCalls<'_>,
        tools: &mut Tools<'_>,
        transcript: &mut Transcript,
    ) -> Result<(), RunError> {
        let mut step = 0;
        loop {
            step += 1;
            let response = model.ask(transcript.request()).await?;
            let is_cut_off = response.is_incomplete();
            let calls = asked(&response.output).calls;
            transcript.answer(response);
            if is_cut_off || calls.is_empty() || tools.model.is_none() {
                return Ok(());
            }
            for call in &calls {
                let output = tools.output(call).await?;
                transcript.push(call_output(&call.call_id, &output));
            }
            if self.config.max_steps.is_some_and(|limit| limit > 0 && step >= limit) {
                return Ok(());
            }
            if step >= self.config.step_ceiling {
                return Err(too_many_steps(step));
            }
        }
    }
}

/// The simulated tools of one attempt.
struct Tools<'a> {
    definitions: Vec<Raw>,
    prompt: &'a str,
    model: Option<ModelCalls<'a>>,
    /// Calls and their outputs, so that the tools do not contradict themselves.
    answered: Vec<serde_json::Value>,
}

impl Tools<'_> {
    async fn output(&mut self, call: &FunctionCall) -> Result<String, RunError> {
        if let Some(output) = arguments::error_output(&call.arguments) {
            return Ok(output);
        }
        let is_it = |tool: &&Raw| {
            let name = tool.members().ok().and_then(|tool| tool.get("name")?.read::<String>().ok());
            name.is_some_and(|name| name == call.name)
        };
        let Some(definition) = self.definitions.iter().find(is_it) else {
            return Ok(error_text(&format!("there is no tool `{}`", call.name)));
        };
        let Some(model) = &mut self.model else {
            return Ok(error_text("this agent has no tools"));
        };
        let question = json!({
            "tool": definition,
            "answered_calls": self.answered,
            "call": {"name": call.name, "arguments": call.arguments},
        });
        let mut request = ModelRequest { input: vec![user_message(&question.to_string())], ..ModelRequest::default() };
        request.params.set("instructions", Raw::from_value(self.prompt));
        let response = model.ask(request).await?;
        let text = output_text(&response.with(&response.output, None)).map_err(|_| no_text())?;
        if text.trim().is_empty() {
            return Err(no_text());
        }
        let output = text.trim().to_owned();
        self.answered.push(json!({"name": call.name, "arguments": call.arguments, "output": output}));
        Ok(output)
    }
}

fn no_text() -> RunError {
    RunError::failed(FaultKind::ModelFailed, Stage::Agent, "the model that plays the tools answered without text")
}

#[async_trait]
impl Driver for ToolSimulationAgent {
    fn base(&self) -> &Base {
        &self.base
    }

    async fn attempt(
        &self,
        row: &Members,
        session: Option<&mut (dyn Session + 'static)>,
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Reply, RunError> {
        let request = self.readied(row_request_as_it_came(row).map_err(RunError::Refused)?);
        let response = self.answer(request, context, partial).await?;
        *partial = Some(response.clone());
        self.base.common.grade(row, response, session).await
    }

    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError> {
        let request = self.readied(create_params_as_they_came(body).map_err(RunError::Refused)?);
        self.answer(request, context, &mut None).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fakes::{World, call, member, message, ok, response, user_model};

    const ROW: &str = r#"{"responses_create_params":{"input":[],"tools":[{"type":"function","name":"add"}]}}"#;

    #[tokio::test]
    async fn a_second_model_plays_the_tools() {
        let asked = [call("a", "add", r#""{\"x\":1}""#), call("b", "sub", r#""{}""#)].join(",");
        let world = World::new([response(&asked), response(&message("x"))], [response(&message("[42]"))])
            .route("verify", [ok(r#"{"reward":1.0}"#)]);
        let config = json!({"simulation_model_server": user_model(), "simulation_prompt": "play"});
        let reply = world.run(&*world.agent("tool_simulation_agent", config), ROW).await;
        assert_eq!(member(&reply, "reward"), 1.0);
        let question = member(&world.log.of("u ")[0], "input")[0]["content"].as_str().unwrap().to_owned();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&question).unwrap(),
            json!({
                "tool": {"type": "function", "name": "add"},
                "answered_calls": [],
                "call": {"name": "add", "arguments": "{\"x\":1}"},
            })
        );
        let graded = member(&world.log.of("verify ")[0], "response");
        assert_eq!(graded["output"][2], json!({"type": "function_call_output", "call_id": "a", "output": "[42]"}));
        assert_eq!(graded["output"][3]["output"], r#"{"error":"there is no tool `sub`"}"#);
        assert!(world.log.of("seed ").is_empty());
    }

    #[tokio::test]
    async fn without_it_calls_are_graded_as_they_are() {
        let world = World::new([response(&call("a", "add", r#""{}""#))], []).route("verify", [ok(r#"{"reward":1.0}"#)]);
        world.run(&*world.agent("tool_simulation_agent", json!({})), ROW).await;
        assert_eq!(world.log.entries().len(), 2);
    }

    #[tokio::test]
    async fn a_tool_that_cannot_be_played_is_a_failure() {
        let world = World::new([response(&call("a", "add", r#""{}""#))], [response("")]);
        let config = json!({"simulation_model_server": user_model()});
        let reply = world.run(&*world.agent("tool_simulation_agent", config), ROW).await;
        assert_eq!(member(&reply, "_ng_failure_class"), "provider_unavailable");
    }
}
