// SPDX-License-Identifier: Apache-2.0
//! Grading several attempts at one task together.
//!
//! Some rewards say how an attempt compares with others. Each member of a group is sent to `/verify` by itself and waits
//! for the rest; when all are there the environment is called once, and every caller gets its own reward. What is kept of
//! a group outlives the callers: one that goes away can ask again, and gets the same reward.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use gym_agents::Reply;
use gym_protocol::{
    Fault, FaultKind, Raw,
    environment::{CallError, Lifetime, Verdict},
    raw::write_string,
    scan,
};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{sync::watch, time::Instant};

use super::{
    Server,
    calls::{Answer, Call},
    compiled::ServiceError,
    reply::Failure,
    verify::Attempt,
};
use crate::environment::InstanceFor;

mod key;
mod state;
#[cfg(test)]
mod tests;

use key::{Key, Place};
use state::Registry;

/// How attempts are graded in groups: the value of `x-gym-group` in an environment's `verify-fields`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Members of a group.
    size: usize,
    /// Seconds, from the first member's arrival, in which all must arrive.
    collect_seconds: f64,
    /// Seconds that grading may take.
    evaluate_seconds: f64,
    /// Seconds for which a group that is done is remembered; without it only their number bounds them.
    #[serde(default)]
    keep_seconds: Option<f64>,
    /// How many groups that are done are remembered.
    keep: usize,
    /// Fields that must be the same for all members, besides `responses_create_params.input`.
    #[serde(default)]
    same: Vec<String>,
    /// Whether `_ng_group_id`, `_ng_group_attempt` and `_ng_rollout_index` count. Otherwise attempts at the same prompt are
    /// a group in the order of their arrival.
    #[serde(default = "yes")]
    explicit: bool,
    /// Attempts whose row has this field are graded alone, as without groups.
    #[serde(default)]
    alone_with: Option<String>,
}

fn yes() -> bool {
    true
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4)
}

/// What came of a group.
#[derive(Debug)]
enum Outcome {
    /// Reward and further fields of each member, in the order of their places.
    Graded(Vec<(f64, String)>),
    /// A fault: every member is told, as if it had been graded alone.
    Fault(Fault),
    /// The group cannot be graded: status 503.
    Unfit(String),
}

type Result<T> = std::result::Result<T, Failure>;

/// The groups of one server.
pub(super) struct Groups {
    options: Options,
    registry: Mutex<Registry>,
}

impl Groups {
    /// Groups, if the environment wants them.
    pub(super) fn new(verify_fields: &str, lifetime: Lifetime) -> std::result::Result<Option<Self>, ServiceError> {
        #[derive(Deserialize)]
        struct Keyword {
            #[serde(rename = "x-gym-group")]
            options: Option<Options>,
        }
        let bad = |reason: &str| ServiceError::Groups(reason.to_owned());
        let keyword: Keyword = serde_json::from_str(verify_fields).map_err(|error| bad(&error.to_string()))?;
        let Some(options) = keyword.options else { return Ok(None) };
        let positive = |seconds: f64| seconds.is_finite() && seconds > 0.0;
        if options.size < 2 || options.keep == 0 {
            return Err(bad("`size` must be at least 2 and `keep` at least 1"));
        }
        if ![options.collect_seconds, options.evaluate_seconds].into_iter().chain(options.keep_seconds).all(positive) {
            return Err(bad("all times must be finite and above 0"));
        }
        if lifetime == Lifetime::Session {
            return Err(bad("`verify` must run in instances that belong to no session"));
        }
        Ok(Some(Self { options, registry: Mutex::default() }))
    }
}

impl Groups {
    /// Whether an attempt belongs to a group at all.
    pub(super) fn take(&self, attempt: &Attempt) -> bool {
        let field = self.options.alone_with.as_ref().and_then(|name| attempt.fields.get(name));
        field.is_none_or(|value| value == b"null")
    }
}

impl Server {
    /// Grades an attempt as a member of its group. Waits for the others.
    pub(super) async fn verify_in_group(self: &Arc<Self>, groups: &Arc<Groups>, attempt: &Attempt) -> Result<Reply> {
        let place = Place::read(attempt, &groups.options)?;
        let joined = groups.registry.lock().join(&place, attempt, self, &groups.options)?;
        let mut outcome = joined.outcome;
        if let Some(requests) = joined.complete {
            let (server, groups, key) = (self.clone(), groups.clone(), place.key.clone());
            // A task of its own: the group is graded even if this caller goes away.
            self.running.spawn(async move {
                let result = server.grade_group(&groups.options, requests).await;
                groups.registry.lock().finish(&key, joined.number, result);
            });
        }
        let late = match joined.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, outcome.wait_for(Option::is_some)).await.is_err(),
            None => false,
        };
        if late {
            // Whoever waited until the deadline tells the others. If the group is complete by now, it goes on.
            groups.registry.lock().expire(&place.key, joined.number, &groups.options);
        }
        let known = outcome.wait_for(Option::is_some).await.map(|known| known.clone());
        let gone = || Failure::Fault(Fault::new(FaultKind::Shutdown, "the server is shutting down"));
        let known = known.ok().flatten().ok_or_else(gone)?;
        self.told(&known, joined.slot, attempt, place.key.is_explicit())
    }

    /// The reply of one member.
    fn told(&self, outcome: &Outcome, slot: usize, attempt: &Attempt, explicit: bool) -> Result<Reply> {
        const AGAIN: &str = " Members of a failed group without `_ng_group_id` cannot be told from those of its \
                             replacement: grade it again with a new `_ng_group_id` for all members.";
        let advice = if explicit { "" } else { AGAIN };
        match outcome {
            Outcome::Graded(members) => {
                let (reward, fields) = &members[slot];
                let verdict = Verdict { reward: *reward, components: Vec::new(), fields: fields.clone() };
                Ok(self.graded(attempt, &verdict).unwrap_or_else(|fault| self.masked(attempt, &fault)))
            }
            Outcome::Fault(fault) => match fault.kind {
                FaultKind::Busy | FaultKind::Shutdown => Err(Failure::Fault(fault.clone())),
                _ => {
                    let mut fault = fault.clone();
                    fault.message.push_str(advice);
                    Ok(self.masked(attempt, &fault))
                }
            },
            Outcome::Unfit(message) => Err(refused(503, &format!("{message}{advice}"))),
        }
    }

    /// Calls the environment with all members. Their requests are in the order of their places.
    async fn grade_group(self: &Arc<Self>, options: &Options, requests: Vec<String>) -> Outcome {
        let mut request = b"{\"group\":[".to_vec();
        for (index, member) in requests.iter().enumerate() {
            if index > 0 {
                request.push(b',');
            }
            request.extend_from_slice(member.as_bytes());
        }
        request.extend_from_slice(b"],");
        // The request is one of an attempt like any other, with those of the group beside it.
        request.extend_from_slice(&requests[0].as_bytes()[1..]);
        let call = Call::Verify { request: super::seed::text(request) };
        let purpose = match self.environment.description().verify_runs_in {
            Lifetime::Pooled => InstanceFor::Pooled,
            Lifetime::Session | Lifetime::Call => InstanceFor::Call,
        };
        let graded = async {
            let mut instance = self.environment.instance(purpose).await?;
            call.run(instance.as_mut()).await
        };
        let answer = match tokio::time::timeout(duration(options.evaluate_seconds), graded).await {
            Ok(answer) => answer,
            Err(_) => {
                let text = format!("grading the group took more than {} s", options.evaluate_seconds);
                return Outcome::Fault(Fault::new(FaultKind::JudgeFailed, text));
            }
        };
        match answer {
            Ok(Answer::Verdict(verdict)) => {
                members(&verdict, requests.len()).map_or_else(Outcome::Fault, Outcome::Graded)
            }
            Ok(other) => unreachable!("verify answers with a verdict, not {other:?}"),
            Err(CallError::Refused { detail, .. }) => Outcome::Unfit(format!("the group cannot be graded: {detail}")),
            Err(error) => match Failure::from(error) {
                Failure::Fault(fault) => Outcome::Fault(fault),
                Failure::Invalid(_) | Failure::Status(..) => {
                    Outcome::Fault(Fault::new(FaultKind::BadReply, "the environment gave no rewards for the group"))
                }
            },
        }
    }
}

/// Rewards and fields of the members: `{"group": [{"reward": 1.5, …}, …]}`.
fn members(verdict: &Verdict, count: usize) -> std::result::Result<Vec<(f64, String)>, Fault> {
    let bad = || {
        let text =
            format!("the environment did not give a finite `reward` for each of the {count} members of the group");
        Fault::new(FaultKind::BadReply, text)
    };
    let fields = Raw::parse(verdict.fields.clone().into()).map_err(|_| bad())?;
    let group = scan::member(fields.bytes(), "group").unwrap_or_default();
    let mut members = Vec::with_capacity(count);
    for member in scan::elements(group) {
        let reward: Option<f64> = scan::member(member, "reward").and_then(|text| serde_json::from_slice(text).ok());
        let reward = reward.filter(|reward| reward.is_finite()).ok_or_else(bad)?;
        let mut rest = b"{".to_vec();
        for (name, value) in scan::members(member).filter(|(name, _)| name != "reward") {
            if rest.len() > 1 {
                rest.push(b',');
            }
            write_string(&mut rest, &name);
            rest.push(b':');
            rest.extend_from_slice(value);
        }
        rest.push(b'}');
        members.push((reward, super::seed::text(rest)));
    }
    if members.len() == count { Ok(members) } else { Err(bad()) }
}

fn refused(status: u16, text: &str) -> Failure {
    let mut detail = Vec::with_capacity(text.len() + 2);
    write_string(&mut detail, text);
    Failure::Status(status, super::seed::text(detail))
}
