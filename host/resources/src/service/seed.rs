// SPDX-License-Identifier: Apache-2.0
//! `POST /seed_session` and `POST /close_session`, in both dialects.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use gym_agents::Reply;
use gym_protocol::{
    Raw,
    environment::Lifetime,
    raw::write_string,
    scan,
    validate::{Errors, Path, Rules, Schema},
};

use super::{
    Caller, Server,
    body::Payload,
    calls::{Answer, Call},
    reply::Failure,
    typed::{Binding, Claim},
};

/// The dataset row's field with a seed for the session's clock and random numbers, a whole number of 64 bits without
/// sign. With it a session can be repeated; without it the seed follows from the session's random id.
const SESSION_SEED: &str = "_ng_session_seed";

/// The keys of a typed seed. A body that has all of them is one.
const TYPED_KEYS: [&str; 4] = ["resources_session_id", "episode_id", "task_id", "task_data"];

static TYPED_SEED: LazyLock<Schema> = LazyLock::new(|| {
    compile(
        r#"{"type":"object","additionalProperties":false,
        "required":["resources_session_id","episode_id","task_id","task_data"],"properties":{
        "resources_session_id":{"type":"string","minLength":1},
        "episode_id":{"type":"object","additionalProperties":false,"required":["rollout_id"],"properties":{
            "rollout_id":{"type":"string"},"attempt":{"type":"integer","minimum":0,"default":0}}},
        "task_id":{"type":"object","additionalProperties":false,"required":["taskset","task_id"],"properties":{
            "taskset":{"type":"string","minLength":1},"task_id":{"type":"string","minLength":1}}},
        "task_data":{"type":"object"}}}"#,
    )
});

static TYPED_CLOSE: LazyLock<Schema> = LazyLock::new(|| {
    compile(
        r#"{"type":"object","additionalProperties":false,"required":["resources_session_id","episode_id"],"properties":{
        "resources_session_id":{"type":"string","minLength":1},
        "episode_id":{"type":"object","additionalProperties":false,"required":["rollout_id"],"properties":{
            "rollout_id":{"type":"string"},"attempt":{"type":"integer","minimum":0,"default":0}}}}}"#,
    )
});

fn compile(text: &str) -> Schema {
    Schema::compile_object(text).expect("the schemas of this file are valid")
}

impl Server {
    /// A body with all keys of a typed seed is one, and is answered as one; everything else is a dataset row.
    pub(super) async fn seed(self: &Arc<Self>, payload: Payload<'_>, caller: &mut Caller) -> Result<Reply, Failure> {
        let body = payload.object()?;
        let mut keys = 0;
        for (name, _) in scan::members(body.bytes()) {
            if let Some(at) = TYPED_KEYS.iter().position(|key| *key == name) {
                keys |= 1 << at;
            }
        }
        if keys == 0b1111 { self.typed_seed(&body, caller).await } else { self.legacy_seed(&body, caller).await }
    }

    async fn legacy_seed(self: &Arc<Self>, row: &Raw, caller: &mut Caller) -> Result<Reply, Failure> {
        let request = self.seed_request(row.bytes(), &Path::Body)?;
        let reply = if self.environment.description().tools_run_in == Lifetime::Session {
            self.begin_by_env_id(caller);
            let call = Call::Seed { request, once: false };
            match self.call(call, Lifetime::Session, session_seed(row.bytes()), caller).await? {
                Answer::Text(reply) => self.with_env_id(checked_reply(reply)?, caller),
                other => unreachable!("a seed answers with text, not {other:?}"),
            }
        } else {
            Raw::trusted("{}")
        };
        Ok(Reply::ok(match self.mcp_access(caller) {
            Some(access) => with_member(&reply, "mcp", Raw::trusted(access)),
            None => reply.bytes().clone(),
        }))
    }

    async fn typed_seed(self: &Arc<Self>, body: &Raw, caller: &mut Caller) -> Result<Reply, Failure> {
        let mut errors = Errors::new();
        let fields = TYPED_SEED.check_fields(body.bytes(), &[], Rules::FIELDS, &Path::Body, &mut errors);
        if errors.is_empty() {
            check_rollout_id(fields.get("episode_id").unwrap_or_default(), &mut errors);
        }
        if !errors.is_empty() {
            return Err(Failure::Invalid(errors.into_vec()));
        }
        let field = |name: &str| fields.get(name).unwrap_or_default();
        let session_id = scan::string(field("resources_session_id")).unwrap_or_default();
        let row = field("task_data");
        let request = self.seed_request(row, &Path::Name(&Path::Body, "task_data"))?;
        if self.compiled.stateful {
            let binding = Binding::new(field("episode_id"), Some(field("task_id")));
            caller.ticket = match self.typed.claim(&session_id, &binding, || self.new_ticket()) {
                Claim::Bound(ticket) => ticket,
                Claim::OtherEpisode => {
                    return Err(conflict("resources_session_id is already bound to another episode or task"));
                }
                Claim::Closed => return Err(conflict("Resources session is already closed")),
            };
            if self.environment.description().tools_run_in == Lifetime::Session {
                let call = Call::Seed { request, once: true };
                self.call(call, Lifetime::Session, session_seed(row), caller).await?;
            }
            // A close may have overtaken the seed; then nobody will come to close it again.
            if self.typed.is_closed(&session_id) {
                self.end_session(caller.ticket.id, "the session was closed").await;
                return Err(conflict("Resources session is already closed"));
            }
        }
        let mut reply = b"{\"resources_session_id\":".to_vec();
        write_string(&mut reply, &session_id);
        reply.extend_from_slice(b",\"resources_tools\":");
        reply.extend_from_slice(self.mcp_access(caller).as_deref().unwrap_or("null").as_bytes());
        reply.extend_from_slice(b",\"sandbox_access\":null}");
        Ok(Reply::ok(reply))
    }

    /// The row as the environment wants it.
    fn seed_request(&self, row: &[u8], path: &Path<'_>) -> Result<String, Failure> {
        let Some(schema) = &self.compiled.seed else { return Ok(text(row.to_vec())) };
        let mut errors = Errors::new();
        let fields = schema.check_fields(row, &[], Rules::FIELDS, path, &mut errors);
        if !errors.is_empty() {
            return Err(Failure::Invalid(errors.into_vec()));
        }
        Ok(text([b"{", fields.inner(), b"}"].concat()))
    }

    /// Closing is idempotent, and an id that was closed before it was seeded stays closed. A client without an id may
    /// close the session of its cookie with an empty object.
    pub(super) async fn close_session(
        self: &Arc<Self>,
        payload: Payload<'_>,
        caller: &mut Caller,
    ) -> Result<Reply, Failure> {
        let body = payload.object()?;
        if caller.ticket.stateful && scan::members(body.bytes()).next().is_none() {
            self.end_session(caller.ticket.id, "the session was closed").await;
            return Ok(Reply::ok(&b"{\"closed\":true}"[..]));
        }
        let mut errors = Errors::new();
        let fields = TYPED_CLOSE.check_fields(body.bytes(), &[], Rules::FIELDS, &Path::Body, &mut errors);
        if errors.is_empty() {
            check_rollout_id(fields.get("episode_id").unwrap_or_default(), &mut errors);
        }
        if !errors.is_empty() {
            return Err(Failure::Invalid(errors.into_vec()));
        }
        let session_id = fields.get("resources_session_id").and_then(scan::string).unwrap_or_default();
        if self.compiled.stateful {
            let binding = Binding::new(fields.get("episode_id").unwrap_or_default(), None);
            match self.typed.close(&session_id, &binding) {
                Claim::Bound(ticket) => self.end_session(ticket.id, "the session was closed").await,
                Claim::Closed => {}
                Claim::OtherEpisode => {
                    return Err(conflict("resources_session_id is bound to another episode"));
                }
            }
        }
        let mut reply = b"{\"resources_session_id\":".to_vec();
        write_string(&mut reply, &session_id);
        reply.push(b'}');
        Ok(Reply::ok(reply))
    }
}

fn conflict(text: &str) -> Failure {
    Failure::Status(409, format!("\"{text}\""))
}

pub(super) fn session_seed(row: &[u8]) -> Option<u64> {
    std::str::from_utf8(scan::member(row, SESSION_SEED)?).ok()?.parse().ok()
}

/// Rollout ids are part of file names, and of capture keys, which append `-a<attempt>` to them.
fn check_rollout_id(episode: &[u8], errors: &mut Errors) {
    let Some(value) = scan::member(episode, "rollout_id") else { return };
    let id = scan::string(value).unwrap_or_default();
    let (base, path) = (Path::Name(&Path::Body, "episode_id"), "rollout_id");
    let path = Path::Name(&base, path);
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    if !id.starts_with(|first: char| first.is_ascii_alphanumeric()) || !id.chars().all(plain) {
        let pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$";
        let ctx = Raw::from_value(&serde_json::json!({ "pattern": pattern }));
        let message = format!("String should match pattern '{pattern}'");
        return errors.add_with("string_pattern_mismatch", &path, message, value, Some(ctx));
    }
    let attempt = id.rsplit_once("-a").map(|(_, attempt)| attempt);
    if attempt.is_some_and(|digits| {
        digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u64>().is_ok_and(|n| n > 0)
    }) {
        let message = "Value error, rollout_id must not end in -a<attempt>";
        errors.add_with("value_error", &path, message, value, Some(Raw::trusted(r#"{"error":{}}"#)));
    }
}

fn with_member(object: &Raw, name: &str, value: Raw) -> Bytes {
    let mut members = object.members().unwrap_or_default();
    members.set(name, value);
    members.to_raw().bytes().clone()
}

/// What an environment answered to a seed must be an object.
fn checked_reply(reply: String) -> Result<Raw, Failure> {
    use gym_protocol::{Fault, FaultKind};
    match Raw::parse(reply.into()) {
        Ok(object) if object.is_object() => Ok(object),
        _ => Err(Failure::Fault(Fault::new(
            FaultKind::BadReply,
            "the environment's reply to the seed is not a JSON object",
        ))),
    }
}

/// Text that was put together from JSON.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
