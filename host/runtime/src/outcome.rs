// SPDX-License-Identifier: Apache-2.0
//! What a call's end means: a result, a failure that the environment reported, or a fault.

use gym_protocol::{
    Fault, FaultKind,
    environment::{CallError, Observation, StepOutcome, Verdict},
};
use serde::de::IgnoredAny;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use crate::{bindings::gym::environment::types as wit, limits::Limits, state::State};

/// How far the parts of a reward may be from their sum.
const REWARD_TOLERANCE: f64 = 1e-6;
/// Bytes of a text that an environment gives for a fault.
const MESSAGE_BYTES: usize = 2000;
/// Seconds after which another try makes sense when there was no room.
pub(crate) const RETRY_AFTER_S: u32 = 2;

/// The fault that an error of the guest amounts to. The instance cannot be used any more.
pub(crate) fn fault_of(error: &wasmtime::Error, state: &mut State) -> Fault {
    if let Some(fault) = state.take_stop() {
        return fault;
    }
    if state.memory.starved {
        return Fault::busy("this host has no memory left for environments", RETRY_AFTER_S);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::busy("this host has no room for another instance", RETRY_AFTER_S).with_internal(error);
    }
    if state.memory.refused {
        let most = state.settings.limits.memory_mib;
        return Fault::new(FaultKind::Memory, format!("the environment needs more than its {most} MiB of memory"))
            .with_internal(format!("{error:?}"));
    }
    if out_of_host_memory(error) {
        return Fault::busy("this host has no room for another instance", RETRY_AFTER_S).with_internal(error);
    }
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return Fault::new(FaultKind::Trap, format!("the environment exited with status {status}"))
            .with_internal(format!("{error:?}"));
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Fault::new(FaultKind::Trap, format!("the environment trapped: {}", trap_name(*trap)))
            .with_internal(format!("{error:?}"));
    }
    // These errors have no public types, only their texts.
    let cause = error.root_cause().to_string();
    if let Some(limit) = cause.strip_prefix("resource limit exceeded: ") {
        return Fault::new(FaultKind::Trap, format!("the environment goes over a limit: {limit}"));
    }
    if cause.contains("fuel allocated for hostcalls has been exhausted") {
        let most = state.settings.limits.crossing_bytes();
        return Fault::new(FaultKind::Output, format!("the environment passed more than {most} bytes at once"));
    }
    Fault::new(FaultKind::Trap, "the environment broke a rule of the host").with_internal(format!("{error:?}"))
}

fn out_of_host_memory(error: &wasmtime::Error) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::OutOfMemory;
    error.is::<wasmtime::OutOfMemory>()
        || error.chain().any(|cause| {
            cause.downcast_ref::<std::io::Error>().is_some_and(refused)
                || cause.downcast_ref::<rustix::io::Errno>().is_some_and(|errno| *errno == rustix::io::Errno::NOMEM)
        })
}

fn trap_name(trap: Trap) -> String {
    match trap {
        Trap::UnreachableCodeReached => "unreachable".into(),
        Trap::StackOverflow => "call stack exhausted".into(),
        Trap::MemoryOutOfBounds => "out of bounds memory access".into(),
        Trap::TableOutOfBounds => "out of bounds table access".into(),
        Trap::IntegerDivisionByZero => "division by zero".into(),
        Trap::CannotEnterComponent => "it cannot be entered".into(),
        other => other.to_string().trim_start_matches("wasm trap: ").to_owned(),
    }
}

/// The error that a reported failure amounts to. The instance is intact.
pub(crate) fn failure(failure: wit::Failure) -> CallError {
    match failure {
        wit::Failure::Rejected(text) => CallError::Rejected(text),
        wit::Failure::Refused(wit::Refusal { status, detail }) => {
            if !(400..600).contains(&status) {
                return bad_reply(format!("the environment refused with status {status}, expected 400 to 599"));
            }
            if serde_json::from_str::<IgnoredAny>(&detail).is_err() {
                return bad_reply("the detail of a refusal is not JSON");
            }
            CallError::Refused { status, detail }
        }
        wit::Failure::JudgeFailed(text) => Fault::new(FaultKind::JudgeFailed, shortened(text)).into(),
        wit::Failure::Fault(text) => Fault::new(FaultKind::Reported, shortened(text)).into(),
    }
}

/// A fault that an environment reports after it was refused memory is one of memory: an interpreter survives that, and has
/// an exception for it.
pub(crate) fn starved(error: CallError, was_refused: bool, limits: &Limits) -> CallError {
    match error {
        CallError::Fault(fault) if was_refused && fault.kind == FaultKind::Reported => {
            let most = limits.memory_mib;
            Fault::new(FaultKind::Memory, format!("the environment needs more than its {most} MiB of memory"))
                .with_internal(fault)
                .into()
        }
        other => other,
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES));
    text
}

fn bad_reply(message: impl Into<String>) -> CallError {
    Fault::new(FaultKind::BadReply, message).into()
}

/// Checks the size of a reply.
pub(crate) fn check_size(bytes: usize, limits: &Limits) -> Result<(), CallError> {
    if bytes <= limits.reply_bytes {
        return Ok(());
    }
    let most = limits.reply_bytes;
    Err(Fault::new(FaultKind::Output, format!("the environment replied with more than {most} bytes")).into())
}

/// Checks that a reply is the text of a JSON object.
pub(crate) fn check_object(what: &str, text: &str) -> Result<(), CallError> {
    let object = text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    if object { Ok(()) } else { Err(bad_reply(format!("{what} is not a JSON object"))) }
}

pub(crate) fn seeded(reply: String, limits: &Limits) -> Result<String, CallError> {
    check_size(reply.len(), limits)?;
    check_object("the reply of `seed-session`", &reply)?;
    Ok(reply)
}

pub(crate) fn aggregated(reply: String, limits: &Limits) -> Result<String, CallError> {
    check_size(reply.len(), limits)?;
    check_object("the reply of `aggregate-metrics`", &reply)?;
    Ok(reply)
}

pub(crate) fn verdict(verdict: wit::Verdict, limits: &Limits) -> Result<Verdict, CallError> {
    let wit::Verdict { reward, components, fields } = verdict;
    check_size(fields.len() + components.iter().map(|(name, _)| name.len()).sum::<usize>(), limits)?;
    check_reward(reward)?;
    if !components.is_empty() {
        let sum: f64 = components.iter().map(|(_, part)| part).sum();
        let tolerance = REWARD_TOLERANCE * reward.abs().max(1.0);
        let apart = (sum - reward).abs();
        if apart.is_nan() || apart > tolerance {
            return Err(bad_reply(format!("the parts of the reward add up to {sum}, but the reward is {reward}")));
        }
    }
    check_object("`fields` of the verdict", &fields)?;
    Ok(Verdict { reward, components, fields })
}

fn check_reward(reward: f64) -> Result<(), CallError> {
    if reward.is_finite() { Ok(()) } else { Err(bad_reply(format!("the reward is {reward}, which is not finite"))) }
}

pub(crate) fn observation(observation: wit::Observation, limits: &Limits) -> Result<Observation, CallError> {
    let wit::Observation { text, info } = observation;
    check_size(info.len() + text.as_ref().map_or(0, String::len), limits)?;
    check_object("`info` of the observation", &info)?;
    Ok(Observation { text, info })
}

pub(crate) fn step(outcome: wit::StepOutcome, limits: &Limits) -> Result<StepOutcome, CallError> {
    let wit::StepOutcome { observation: seen, reward, terminated, truncated } = outcome;
    check_reward(reward)?;
    Ok(StepOutcome { observation: observation(seen, limits)?, reward, terminated, truncated })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graded(reward: f64, components: &[f64], fields: &str) -> Result<Verdict, String> {
        let components = components.iter().map(|part| (String::from("part"), *part)).collect();
        verdict(wit::Verdict { reward, components, fields: fields.into() }, &Limits::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn verdicts_are_checked() {
        assert!(graded(1.0, &[], "{}").is_ok());
        assert!(graded(1.0, &[0.25, 0.75 + 5e-7], " {\"a\":[1]}").is_ok());
        assert!(graded(1e9, &[1e9 + 1.0], "{}").is_ok());
        let cases: [(f64, &[f64], &str, &str); 7] = [
            (f64::NAN, &[], "{}", "the reward is NaN, which is not finite"),
            (f64::INFINITY, &[f64::INFINITY], "{}", "the reward is inf, which is not finite"),
            (1.0, &[0.5, 0.25], "{}", "the parts of the reward add up to 0.75, but the reward is 1"),
            (1.0, &[f64::NAN], "{}", "the parts of the reward add up to NaN, but the reward is 1"),
            (1.0, &[], "[]", "`fields` of the verdict is not a JSON object"),
            (1.0, &[], "{\"a\":}", "`fields` of the verdict is not a JSON object"),
            (1.0, &[], "", "`fields` of the verdict is not a JSON object"),
        ];
        for (reward, parts, fields, expected) in cases {
            assert_eq!(graded(reward, parts, fields).unwrap_err(), expected);
        }
    }

    #[test]
    fn failures_name_who_must_act() {
        let refused =
            |status, detail: &str| failure(wit::Failure::Refused(wit::Refusal { status, detail: detail.into() }));
        assert!(matches!(failure(wit::Failure::Rejected("no".into())), CallError::Rejected(text) if text == "no"));
        assert!(matches!(refused(422, "[]"), CallError::Refused { status: 422, .. }));
        for (error, kind) in [
            (refused(200, "[]"), FaultKind::BadReply),
            (refused(600, "[]"), FaultKind::BadReply),
            (refused(404, "not JSON"), FaultKind::BadReply),
            (failure(wit::Failure::JudgeFailed("down".into())), FaultKind::JudgeFailed),
            (failure(wit::Failure::Fault("bug".into())), FaultKind::Reported),
        ] {
            assert!(matches!(&error, CallError::Fault(fault) if fault.kind == kind), "{error:?}");
        }
    }

    #[test]
    fn a_fault_after_memory_was_refused_is_one_of_memory() {
        let reported = || failure(wit::Failure::Fault("MemoryError".into()));
        let kind = |error: CallError| match error {
            CallError::Fault(fault) => fault.kind,
            other => panic!("{other:?}"),
        };
        let limits = Limits::default();
        assert_eq!(kind(starved(reported(), true, &limits)), FaultKind::Memory);
        assert_eq!(kind(starved(reported(), false, &limits)), FaultKind::Reported);
        assert!(matches!(starved(failure(wit::Failure::Rejected("no".into())), true, &limits), CallError::Rejected(_)));
    }

    #[test]
    fn long_replies_are_faults() {
        let limits = Limits { reply_bytes: 10, ..Limits::default() };
        assert!(seeded("{}".into(), &limits).is_ok());
        let error = seeded(format!("{{\"a\":\"{}\"}}", "x".repeat(10)), &limits).unwrap_err();
        assert_eq!(error.to_string(), "the environment replied with more than 10 bytes");
    }
}
