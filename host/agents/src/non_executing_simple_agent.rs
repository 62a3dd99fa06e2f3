// SPDX-License-Identifier: Apache-2.0
//! `non_executing_simple_agent`: seeds the session, asks the model once and has the answer graded. The model may call
//! tools; the calls are graded, not executed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{Members, ModelRequest, Raw, ServerRef};
use serde::Deserialize;

use crate::{
    calls,
    driver::{Base, Driver},
    failure::RunError,
    ports::{Model, Reply, RequestContext, Session},
    request_body::{create_params, row_request},
};

/// The block `responses_api_agents.non_executing_simple_agent`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NonExecutingConfig {
    #[serde(default)]
    pub(crate) resources_server: Option<ServerRef>,
    pub(crate) model_server: ServerRef,
}

/// The agent.
pub(crate) struct NonExecutingSimpleAgent {
    base: Base,
    model: Arc<dyn Model>,
}

impl NonExecutingSimpleAgent {
    pub(crate) fn new(base: Base, model: Arc<dyn Model>) -> Self {
        Self { base, model }
    }

    async fn answer(&self, request: ModelRequest, context: &mut RequestContext) -> Result<Raw, RunError> {
        calls::ask_once(&*self.model, request, context).await
    }
}

#[async_trait]
impl Driver for NonExecutingSimpleAgent {
    fn base(&self) -> &Base {
        &self.base
    }

    async fn attempt(
        &self,
        row: &Members,
        mut session: Option<&mut (dyn Session + 'static)>,
        context: &mut RequestContext,
        partial: &mut Option<Raw>,
    ) -> Result<Reply, RunError> {
        let request = row_request(row).map_err(RunError::Refused)?;
        if let Some(session) = session.as_deref_mut() {
            calls::seed(session, row.to_raw().bytes().clone()).await?;
            context.cookies.merge(session.cookies());
        }
        let response = self.answer(request, context).await?;
        *partial = Some(response.clone());
        self.base.common.grade(row, response, session).await
    }

    async fn respond(&self, body: Bytes, context: &mut RequestContext) -> Result<Raw, RunError> {
        self.answer(create_params(body).map_err(RunError::Refused)?, context).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fakes::{World, call, member, ok, response};

    #[tokio::test]
    async fn calls_are_graded_and_not_executed() {
        let row = r#"{"responses_create_params":{"input":[]},"x":1}"#;
        let asked = call("c", "add", r#""{}""#);
        let world = World::new([response(&asked)], [])
            .route("seed", [ok("{}")])
            .route("tool add", [ok("1")])
            .route("verify", [ok(r#"{"reward":0.5}"#)]);
        let reply = world.run(&*world.agent("non_executing_simple_agent", json!({})), row).await;
        assert_eq!(member(&reply, "reward"), 0.5);
        assert_eq!(
            world.log.entries(),
            [
                format!("seed {row}"),
                r#"m {"input":[]}"#.to_owned(),
                format!(
                    r#"verify {},"response":{{"id":"resp","object":"response","output":[{asked}],"usage":null}}}}"#,
                    row.strip_suffix('}').unwrap()
                ),
            ]
        );
    }
}
