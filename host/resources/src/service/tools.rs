// SPDX-License-Identifier: Apache-2.0
//! `POST /<tool>`.

use std::sync::Arc;

use gym_agents::Reply;
use gym_protocol::{
    environment::CallError,
    names::is_tool_route,
    raw::write_string,
    validate::{Errors, Path, Rules, Schema},
};

use super::{
    Caller, Server,
    body::Payload,
    calls::{Answer, Call},
    reply::{self, Failure},
    seed::text,
};

impl Server {
    /// The name may come from a model: what is not a tool is not found.
    pub(super) async fn tool(
        self: &Arc<Self>,
        name: &str,
        payload: Payload<'_>,
        caller: &mut Caller,
    ) -> Result<Reply, Failure> {
        let is_agents = self.environment.description().is_agents_tool(name);
        let arguments = match self.compiled.tools.get(name) {
            _ if !is_tool_route(name) && !is_agents => return Ok(reply::not_found()),
            Some(schema) => arguments(schema, payload)?,
            None if self.environment.description().any_tool => {
                payload.value()?.map_or_else(|| "{}".to_owned(), |value| value.as_str().to_owned())
            }
            None => return Ok(reply::not_found()),
        };
        let lifetime = self.lifetime_by_env_id(&arguments, caller);
        let call = Call::Tool { name: name.to_owned(), arguments };
        match self.call(call, lifetime, None, caller).await {
            Ok(Answer::Text(text)) => Ok(Reply::ok(text)),
            Ok(other) => unreachable!("a tool answers with text, not {other:?}"),
            Err(CallError::Rejected(text)) => {
                let mut body = b"{\"error\":".to_vec();
                write_string(&mut body, &text);
                body.push(b'}');
                Ok(Reply::ok(body))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The arguments that fit. A tool without parameters does not read the body.
fn arguments(schema: &Schema, payload: Payload<'_>) -> Result<String, Failure> {
    if schema.is_empty() {
        return Ok("{}".to_owned());
    }
    let body = payload.object()?;
    let mut errors = Errors::new();
    let fields = schema.check_fields(body.bytes(), &[], Rules::ARGUMENTS, &Path::Body, &mut errors);
    if errors.is_empty() {
        Ok(text([b"{", fields.inner(), b"}"].concat()))
    } else {
        Err(Failure::Invalid(errors.into_vec()))
    }
}
