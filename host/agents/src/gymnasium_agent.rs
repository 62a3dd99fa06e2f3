// SPDX-License-Identifier: Apache-2.0
//! `gymnasium_agent`: for resources servers with `/reset` and `/step` instead of tools. After each answer of the model
//! the environment says what the model sees next and what the answer was worth; the reward is the sum.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{FaultKind, Members, ObjectWriter, Raw, ServerRef, number::float};
use serde::Deserialize;

use crate::{
    calls::{self, ModelCalls},
    driver::{Base, Driver},
    failure::{RunError, Stage},
    ports::{Model, Reply, RequestContext, Route, Session},
    request_body::{create_params_as_they_came, row_request},
    transcript::{Transcript, call_output, user_message},
};

#[cfg(test)]
mod tests;

/// The block `responses_api_agents.gymnasium_agent`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct GymnasiumAgentConfig {
    pub(crate) resources_server: ServerRef,
    pub(crate) model_server: ServerRef,
    /// Model calls of one attempt; an attempt that does not end within them is truncated.
    #[serde(default = "default_steps", deserialize_with = "at_least_one")]
    max_steps: u64,
}

fn default_steps() -> u64 {
    10
}

fn at_least_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let steps = u64::deserialize(deserializer)?;
    if steps == 0 { Err(serde::de::Error::custom("`max_steps` must be at least 1")) } else { Ok(steps) }
}

/// The agent.
pub(crate) struct GymnasiumAgent {
    base: Base,
    config: GymnasiumAgentConfig,
    model: Arc<dyn Model>,
    /// Makes the ids by which a server knows a step that comes twice.
    step_id: fn() -> String,
}

impl GymnasiumAgent {
    pub(crate) fn new(base: Base, config: GymnasiumAgentConfig, model: Arc<dyn Model>) -> Self {
        Self { base, config, model, step_id: || uuid::Uuid::new_v4().simple().to_string() }
    }

    /// The steps, from the first question to the model until the environment or the limit ends the attempt.
    async fn play(
        &self,
        row: &Members,
        idempotent: bool,
        model: &mut ModelCalls<'_>,
        transcript: &mut Transcript,
        session: &mut (dyn Session + 'static),
    ) -> Result<Outcome, RunError> {
        let mut reward = 0.0;
        let mut steps = 0;
        loop {
            steps += 1;
            let response = model.ask(transcript.request()).await?;
            let body = self.step_body(row, &response.with(&response.output, response.usage.as_ref()), idempotent);
            transcript.answer(response);
            let reply = calls::post_ok(session, &Route::Step, "step", body, Stage::Agent).await?;
            let step = Step::read(&reply).ok_or_else(|| bad_reply("step"))?;
            reward += step.reward;
            let ended = step.terminated || step.truncated;
            if !ended {
                for output in step.tool_outputs() {
                    transcript.push(output);
                }
                if let Some(observation) = &step.observation {
                    transcript.push(user_message(observation));
                }
            }
            if ended || steps >= self.config.max_steps {
                // The limit truncates only what has not ended by itself; what the last step showed is in the transcript.
                return Ok(Outcome {
                    reward,
                    terminated: step.terminated,
                    truncated: step.truncated || !ended,
                    info: step.info,
                });
            }
        }
    }

    /// The row with the model's latest answer. The environment has seen the earlier ones.
    fn step_body(&self, row: &Members, response: &Raw, idempotent: bool) -> Bytes {
        let mut body = row.clone();
        body.set("response", response.clone());
        if idempotent {
            body.set("_ng_step_request_id", Raw::from_value(&(self.step_id)()));
        }
        body.to_raw().bytes().clone()
    }
}

/// What came of an attempt.
struct Outcome {
    reward: f64,
    terminated: bool,
    truncated: bool,
    info: Raw,
}

/// The reply of `/step`.
struct Step {
    observation: Option<String>,
    reward: f64,
    terminated: bool,
    truncated: bool,
    info: Raw,
}

impl Step {
    fn read(reply: &Raw) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire {
            observation: Option<String>,
            #[serde(default)]
            reward: f64,
            #[serde(default)]
            terminated: bool,
            #[serde(default)]
            truncated: bool,
        }
        let wire: Wire = reply.read().ok()?;
        Some(Self {
            observation: wire.observation.filter(|text| !text.is_empty()),
            reward: wire.reward,
            terminated: wire.terminated,
            truncated: wire.truncated,
            info: info(reply)?,
        })
    }

    /// `info.tool_outputs`: results of the model's calls, as items.
    fn tool_outputs(&self) -> Vec<Raw> {
        #[derive(Deserialize)]
        struct Wire {
            call_id: serde_json::Value,
            output: String,
        }
        let outputs = self.info.members().ok().and_then(|info| info.get_set("tool_outputs")?.read::<Vec<Wire>>().ok());
        let item = |wire: Wire| call_output(&Raw::from_value(&wire.call_id), &wire.output);
        outputs.unwrap_or_default().into_iter().map(item).collect()
    }
}

/// `info` of a reply; an object, empty when absent.
fn info(reply: &Raw) -> Option<Raw> {
    let members = reply.members().ok()?;
    let info = members.get_set("info").cloned().unwrap_or_else(|| Members::new().to_raw());
    info.is_object().then_some(info)
}

fn bad_reply(route: &str) -> RunError {
    let reason = format!("`{route}` of the resources server answered something that is not its reply");
    RunError::failed(FaultKind::BadReply, Stage::Agent, reason)
}

/// Ends the environment's attempt. The error is a sentence.
async fn close(session: &mut (dyn Session + 'static)) -> Result<(), String> {
    match session.post(&Route::Close, Bytes::from_static(b"{}")).await {
        Ok(reply) if reply.is_success() => Ok(()),
        Ok(reply) => Err(format!("`close` answered {}", reply.status)),
        Err(fault) => Err(fault.message),
    }
}

/// `info` with a note that the attempt went well but was not tidied up.
fn with_cleanup_warning(info: &Raw, message: &str) -> Raw {
    let mut members = info.members().unwrap_or_default();
    let warning = serde_json::json!({"operation": "close", "error_type": "CleanupError", "message": message});
    members.set("cleanup_warning", Raw::from_value(&warning));
    members.to_raw()
}

#[async_trait]
impl Driver for GymnasiumAgent {
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
        let mut request = row_request(row).map_err(RunError::Refused)?;
        let session = session.expect("the configuration requires a resources server");
        let reply = calls::post_ok(session, &Route::Reset, "reset", row.to_raw().bytes().clone(), Stage::Seed).await?;
        let reset = Step::read(&reply).ok_or_else(|| bad_reply("reset"))?;
        let says = |flag: &str| {
            reset.info.members().is_ok_and(|info| info.get(flag).is_some_and(|value| value.as_str() == "true"))
        };
        if let Some(observation) = &reset.observation {
            request.input.push(user_message(observation));
        }
        let params = Raw::trusted(request.to_body());
        let mut transcript = Transcript::new(request, context);
        let mut model = ModelCalls::new(&*self.model, context);
        let result = self.play(row, says("supports_step_idempotency"), &mut model, &mut transcript, session).await;
        let closed = if says("supports_explicit_close") { close(session).await } else { Ok(()) };
        context.cookies.merge(model.cookies());
        context.cookies.merge(session.cookies());
        let response = transcript.response();
        let outcome = match (result, closed) {
            (Ok(outcome), Ok(())) => outcome,
            (Ok(outcome), Err(message)) => Outcome { info: with_cleanup_warning(&outcome.info, &message), ..outcome },
            (Err(error), closed) => {
                if let Err(message) = closed {
                    tracing::warn!(agent = %self.base.name, "a failed attempt was not closed: {message}");
                }
                *partial = response;
                return Err(error);
            }
        };
        let response = response.expect("an attempt has an outcome only after an answer");
        let mut reply = ObjectWriter::with_capacity(params.bytes().len() + response.bytes().len() + 256);
        reply.member("responses_create_params", &params);
        reply.member("response", &response);
        reply.member("reward", &float(outcome.reward));
        reply.text("terminated", if outcome.terminated { "true" } else { "false" });
        reply.text("truncated", if outcome.truncated { "true" } else { "false" });
        reply.member("info", &outcome.info);
        Ok(Reply::ok(reply.finish().bytes().clone()))
    }

    /// The model's own answer.
    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError> {
        calls::ask_once(&*self.model, create_params_as_they_came(body).map_err(RunError::Refused)?, context).await
    }
}
