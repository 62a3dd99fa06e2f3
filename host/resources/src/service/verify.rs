// SPDX-License-Identifier: Apache-2.0
//! `POST /verify`.
//!
//! The reply repeats what was asked, as a full dump, and adds the grade. Its fields come in the order in which the
//! classes of NeMo Gym's replies declare them: `responses_create_params`, `response`, `reward`, `mask_sample`,
//! `failure_kind`, `failure_reason` from the base classes, then the environment's: `reward_components`, what is
//! repeated of the row, and what the environment adds.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use gym_agents::{Reply, Route};
use gym_protocol::{
    Fault, FaultKind, Raw,
    environment::{CallError, Verdict},
    number::write_float,
    raw::write_string,
    responses, scan,
    validate::{Errors, Fields, Path, Rules},
};
use indexmap::IndexMap;

use super::{
    Caller, Server,
    body::Payload,
    calls::{Answer, Call},
    compiled::RESERVED_FIELDS,
    reply::{self, Failure},
    seed::text,
};

/// The two fields that every verify request has.
pub(super) const BASE_FIELDS: [&str; 2] = ["responses_create_params", "response"];

/// A request that fits.
pub(super) struct Attempt {
    /// `"responses_create_params":{…},"response":{…}`
    dump: Vec<u8>,
    params: Range<usize>,
    response: Range<usize>,
    pub(super) fields: Fields,
}

impl Attempt {
    /// Checks a verify (or step) request.
    pub(super) fn read(server: &Server, body: &Raw) -> Result<Self, Failure> {
        let [mut params, mut response] = [None; 2];
        for (name, value) in scan::members(body.bytes()) {
            match name.as_ref() {
                "responses_create_params" => params = Some(value),
                "response" => response = Some(value),
                _ => {}
            }
        }
        let mut errors = Errors::new();
        let mut dump = Vec::with_capacity(body.bytes().len() + 1536);
        let params = write_part(BASE_FIELDS[0], params, body, &mut dump, &mut errors, responses::write_create_params);
        dump.push(b',');
        let write_response = match server.compiled.known_by_env_id {
            true => responses::write_aviary_response,
            false => responses::write_response,
        };
        let response = write_part(BASE_FIELDS[1], response, body, &mut dump, &mut errors, write_response);
        let schema = &server.compiled.verify;
        let fields = schema.check_fields(body.bytes(), &BASE_FIELDS, Rules::FIELDS, &Path::Body, &mut errors);
        if errors.is_empty() {
            Ok(Self { dump, params, response, fields })
        } else {
            Err(Failure::Invalid(errors.into_vec()))
        }
    }

    /// The full dump of `responses_create_params`.
    pub(super) fn params(&self) -> &[u8] {
        &self.dump[self.params.clone()]
    }

    /// The full dump of `response`.
    pub(super) fn response(&self) -> &[u8] {
        &self.dump[self.response.clone()]
    }

    /// The request for the environment: without token data unless it wants them, with bare tool names if the tools are
    /// offered over MCP.
    pub(super) fn for_environment(&self, server: &Server) -> String {
        let strip = !server.environment.description().token_ids;
        let prefix = server.mcp.then_some(server.tool_prefix.as_str());
        let params = responses::for_scoring(&self.dump[self.params.clone()], strip, prefix);
        let response = responses::for_scoring(&self.dump[self.response.clone()], strip, prefix);
        let mut request = Vec::with_capacity(params.len() + response.len() + self.fields.inner().len() + 64);
        request.extend_from_slice(b"{\"responses_create_params\":");
        request.extend_from_slice(&params);
        request.extend_from_slice(b",\"response\":");
        request.extend_from_slice(&response);
        if !self.fields.inner().is_empty() {
            request.push(b',');
            request.extend_from_slice(self.fields.inner());
        }
        request.push(b'}');
        text(request)
    }
}

/// Writes `"name":<dump>` and tells where the dump is.
fn write_part(
    name: &str,
    value: Option<&[u8]>,
    body: &Raw,
    dump: &mut Vec<u8>,
    errors: &mut Errors,
    write: fn(&[u8], &Path<'_>, &mut Vec<u8>, &mut Errors),
) -> Range<usize> {
    let path = Path::Name(&Path::Body, name);
    write_string(dump, name);
    dump.push(b':');
    let start = dump.len();
    match value {
        Some(value) => write(value, &path, dump, errors),
        None => errors.missing(&path, body.bytes()),
    }
    start..dump.len()
}

impl Server {
    pub(super) async fn verify(self: &Arc<Self>, payload: Payload<'_>, caller: &mut Caller) -> Result<Reply, Failure> {
        let body = payload.object()?;
        let attempt = Attempt::read(self, &body)?;
        drop(body);
        if let Some(groups) = self.groups.as_ref().filter(|groups| groups.take(&attempt)) {
            return self.verify_in_group(groups, &attempt).await;
        }
        let lifetime = self.environment.description().verify_runs_in;
        let answer = match self.find_by_env_id(&attempt.dump[attempt.response.clone()], caller) {
            Ok(()) => {
                let call = Call::Verify { request: attempt.for_environment(self) };
                self.call(call, lifetime, None, caller).await
            }
            Err(fault) => Err(CallError::Fault(fault)),
        };
        let fault = match answer {
            Ok(Answer::Verdict(verdict)) => match self.graded(&attempt, &verdict) {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            },
            Ok(other) => unreachable!("verify answers with a verdict, not {other:?}"),
            Err(error @ CallError::Refused { .. }) => match error.into() {
                Failure::Fault(fault) => fault,
                refused => return Err(refused),
            },
            Err(error) => match Failure::from(error) {
                Failure::Fault(fault) => fault,
                other => return Err(other),
            },
        };
        match fault.kind {
            // Nothing was graded, and trying again is the caller's business.
            FaultKind::Busy | FaultKind::Shutdown => Err(Failure::Fault(fault)),
            _ => Ok(self.masked(&attempt, &fault)),
        }
    }

    /// The reply with a reward.
    pub(super) fn graded(&self, attempt: &Attempt, verdict: &Verdict) -> Result<Reply, Fault> {
        let bad = |text: &str| Fault::new(FaultKind::BadReply, text);
        if !verdict.reward.is_finite() {
            return Err(bad("the environment gave a reward that is not a finite number"));
        }
        let added = Raw::parse(Bytes::from(verdict.fields.clone()))
            .ok()
            .filter(Raw::is_object)
            .ok_or_else(|| bad("the fields that the environment gave are not a JSON object"))?;
        let mut added: IndexMap<_, _> = scan::members(added.bytes()).collect();
        // Why an attempt was graded without being looked at closely is the environment's to say.
        let reason = added.shift_remove("failure_reason").unwrap_or(b"null");
        if !reason.starts_with(b"\"") && reason != b"null" {
            return Err(bad("the environment gave a `failure_reason` that is not text"));
        }
        if let Some(name) = added.keys().find(|name| RESERVED_FIELDS.contains(&name.as_ref())) {
            return Err(bad(&format!("the environment gave the field `{name}`, which belongs to the host")));
        }
        let mut body = self.begin(attempt, verdict.reward);
        body.extend_from_slice(b",\"mask_sample\":false,\"failure_kind\":null,\"failure_reason\":");
        body.extend_from_slice(reason);
        self.write_components(verdict, &mut body)?;
        for (name, value) in self.repeated(attempt).filter(|(name, _)| !added.contains_key(*name)) {
            write_member(name, value, &mut body);
        }
        for (name, value) in &added {
            write_member(name, value, &mut body);
        }
        body.push(b'}');
        Ok(Reply::ok(body))
    }

    fn begin(&self, attempt: &Attempt, reward: f64) -> Vec<u8> {
        let mut body = Vec::with_capacity(attempt.dump.len() + attempt.fields.inner().len() + 512);
        body.push(b'{');
        body.extend_from_slice(&attempt.dump);
        body.extend_from_slice(b",\"reward\":");
        write_float(&mut body, reward);
        body
    }

    /// Trainers insist that the components add up to the reward.
    fn write_components(&self, verdict: &Verdict, body: &mut Vec<u8>) -> Result<(), Fault> {
        if verdict.components.is_empty() {
            return Ok(());
        }
        let sum: f64 = verdict.components.iter().map(|(_, part)| part).sum();
        let difference = (sum - verdict.reward).abs();
        if difference.is_nan() || difference > 1e-9 * verdict.reward.abs().max(1.0) {
            let text = format!("the components of the reward add up to {sum}, not to {}", verdict.reward);
            return Err(Fault::new(FaultKind::BadReply, text));
        }
        body.extend_from_slice(b",\"reward_components\":{");
        for (index, (name, part)) in verdict.components.iter().enumerate() {
            // In the reply only one of them would be left, and the sum would be wrong.
            if verdict.components[..index].iter().any(|(earlier, _)| earlier == name) {
                let text = format!("two components of the reward have the name `{name}`");
                return Err(Fault::new(FaultKind::BadReply, text));
            }
            if index > 0 {
                body.push(b',');
            }
            write_string(body, name);
            body.push(b':');
            write_float(body, *part);
        }
        body.push(b'}');
        Ok(())
    }

    /// What the reply repeats of the row: the fields that the environment named, and those beyond its schema that it
    /// keeps. Not those of the host, which a row that was graded before may have.
    fn repeated<'a>(&'a self, attempt: &'a Attempt) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let description = self.environment.description();
        let named = description.echo.iter().filter_map(|name| Some((name.as_str(), attempt.fields.get(name)?)));
        let declared: Vec<_> = self.compiled.verify.field_names().collect();
        let kept =
            attempt.fields.iter().filter(|(name, _)| !is_the_hosts(name)).filter(move |(name, _)| {
                !declared.contains(name) && !description.echo.iter().any(|echoed| echoed == name)
            });
        named.chain(kept)
    }

    /// The reply without a measurement: status 200, so that a collection goes on, with everything that readers of
    /// either generation look at to leave the row out.
    pub(super) fn masked(&self, attempt: &Attempt, fault: &Fault) -> Reply {
        let incident = reply::log(fault, &self.name, &Route::Verify);
        let mut body = self.begin(attempt, 0.0);
        body.extend_from_slice(b",\"mask_sample\":true,\"failure_kind\":");
        let kind = fault.kind.wire_name();
        write_string(&mut body, kind);
        let reason = format!("{} (incident {incident})", reply::shortened(&fault.message));
        body.extend_from_slice(b",\"failure_reason\":");
        write_string(&mut body, &reason);
        let host_fields = ["instance_config", "_ng_failure_judge_error"];
        let is_kept = |name: &str| !host_fields.contains(&name) && !is_the_hosts(name);
        for (name, value) in attempt.fields.iter().filter(|(name, _)| is_kept(name)) {
            write_member(name, value, &mut body);
        }
        body.extend_from_slice(b",\"instance_config\":{");
        let config = attempt.fields.get("instance_config").unwrap_or_default();
        for (name, value) in scan::members(config).filter(|(name, _)| name != "mask_sample") {
            write_string(&mut body, &name);
            body.push(b':');
            body.extend_from_slice(value);
            body.push(b',');
        }
        body.extend_from_slice(b"\"mask_sample\":true},\"_ng_failure_class\":");
        write_string(&mut body, kind);
        if fault.kind == FaultKind::JudgeFailed {
            body.extend_from_slice(b",\"_ng_failure_judge_error\":");
            write_string(&mut body, &reason);
        }
        body.push(b'}');
        Reply::ok(body)
    }
}

/// Whether a field of a row has the name of one that the host writes, or reads and takes away.
fn is_the_hosts(name: &str) -> bool {
    RESERVED_FIELDS.contains(&name) || matches!(name, "_ng_rollout_id" | "capture_rollout_id")
}

fn write_member(name: &str, value: &[u8], body: &mut Vec<u8>) {
    body.push(b',');
    write_string(body, name);
    body.push(b':');
    body.extend_from_slice(value);
}
