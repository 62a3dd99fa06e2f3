// SPDX-License-Identifier: Apache-2.0
//! Bodies of `/run` and `/v1/responses`: what is accepted, and the 422 for everything else.

use bytes::Bytes;
use gym_protocol::{
    Members, ModelRequest, Raw,
    responses::write_create_params,
    validate::{BodyError, Errors, Path, detail_body, parse_body},
};

use crate::ports::Reply;

const PARAMS: &str = "responses_create_params";

/// The members of a `/run` body, or the error that it is answered with.
pub(crate) fn row_members(body: Bytes) -> Result<Members, Reply> {
    let raw = read_body(body)?;
    let members = raw.members().map_err(|_| refusal(|errors| errors.not_an_object(&Path::Body, raw.bytes())))?;
    let path = Path::Name(&Path::Body, PARAMS);
    let Some(params) = members.get(PARAMS) else {
        return Err(refusal(|errors| errors.missing(&path, raw.bytes())));
    };
    let mut errors = Errors::new();
    write_create_params(params.bytes(), &path, &mut Vec::new(), &mut errors);
    if errors.is_empty() { Ok(members) } else { Err(Reply::new(422, detail_body(&errors.into_vec()))) }
}

/// The model request in a row.
pub(crate) fn row_request(row: &Members) -> Result<ModelRequest, Reply> {
    row_request_as_it_came(row).map(ModelRequest::with_message)
}

/// The same, with an input that is a text as a text: for agents that pass the request on.
pub(crate) fn row_request_as_it_came(row: &Members) -> Result<ModelRequest, Reply> {
    let params = row.get(PARAMS).cloned().unwrap_or_else(Raw::null);
    params
        .members()
        .and_then(ModelRequest::from_members)
        .map_err(|_| refusal(|errors| errors.not_an_object(&Path::Name(&Path::Body, PARAMS), params.bytes())))
}

/// The request in a `/v1/responses` body, or the error that it is answered with.
pub(crate) fn create_params(body: Bytes) -> Result<ModelRequest, Reply> {
    create_params_as_they_came(body).map(ModelRequest::with_message)
}

/// The same, with an input that is a text as a text.
pub(crate) fn create_params_as_they_came(body: Bytes) -> Result<ModelRequest, Reply> {
    let raw = read_body(body)?;
    let mut errors = Errors::new();
    write_create_params(raw.bytes(), &Path::Body, &mut Vec::new(), &mut errors);
    if !errors.is_empty() {
        return Err(Reply::new(422, detail_body(&errors.into_vec())));
    }
    raw.members()
        .and_then(ModelRequest::from_members)
        .map_err(|_| refusal(|errors| errors.not_an_object(&Path::Body, raw.bytes())))
}

/// The 422 for a row without a field that the agent needs.
pub(crate) fn missing_field(row: &Members, name: &str) -> Reply {
    refusal(|errors| errors.missing(&Path::Name(&Path::Body, name), row.to_raw().bytes()))
}

/// The id that calls of this attempt are prefixed with: the row's own, or made of its indices, with `-a<n>` from the
/// second try on.
pub(crate) fn rollout_id(row: &Members) -> Option<String> {
    let number = |name: &str| row.get(name).and_then(|value| value.read::<u64>().ok());
    let own = row.get("_ng_rollout_id").and_then(|value| value.read::<String>().ok());
    let id = match own {
        Some(own) => own,
        None => format!("{}-{}", number("_ng_task_index")?, number("_ng_rollout_index")?),
    };
    let is_plain = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    is_plain.then(|| match number("_ng_attempt_index").filter(|attempt| *attempt > 0) {
        Some(attempt) => format!("{id}-a{attempt}"),
        None => id,
    })
}

/// A body that must be an object, or the error that it is answered with.
pub(crate) fn read_object(body: Bytes) -> Result<Raw, Reply> {
    let raw = read_body(body)?;
    if raw.is_object() { Ok(raw) } else { Err(refusal(|errors| errors.not_an_object(&Path::Body, raw.bytes()))) }
}

fn read_body(body: Bytes) -> Result<Raw, Reply> {
    match parse_body(body) {
        Ok(Some(raw)) => Ok(raw),
        Ok(None) => Err(refusal(|errors| errors.missing(&Path::Body, b"null"))),
        Err(BodyError::Invalid(detail)) => Err(Reply::new(422, detail_body(&[*detail]))),
        Err(BodyError::NotText) => {
            Err(Reply::new(400, Bytes::from_static(br#"{"detail":"There was an error parsing the body"}"#)))
        }
    }
}

fn refusal(add: impl FnOnce(&mut Errors)) -> Reply {
    let mut errors = Errors::new();
    add(&mut errors);
    Reply::new(422, detail_body(&errors.into_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        Raw::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap().members().unwrap()
    }

    #[test]
    fn a_row_without_create_params_is_refused() {
        let reply = row_members(Bytes::from_static(br#"{"x":1}"#)).unwrap_err();
        assert_eq!(reply.status, 422);
        assert_eq!(
            std::str::from_utf8(&reply.body).unwrap(),
            r#"{"detail":[{"type":"missing","loc":["body","responses_create_params"],"msg":"Field required","input":{"x":1}}]}"#
        );
    }

    #[test]
    fn unknown_create_params_are_refused() {
        assert_eq!(create_params(Bytes::from_static(br#"{"input":"x","temprature":1}"#)).unwrap_err().status, 422);
        assert_eq!(create_params(Bytes::from_static(br#"{"input":"x"}"#)).unwrap().input.len(), 1);
    }

    #[test]
    fn a_rollout_has_one_id_per_try() {
        let cases = [
            (r#"{"_ng_rollout_id":"r.1"}"#, Some("r.1")),
            (r#"{"_ng_rollout_id":"r.1","_ng_attempt_index":2}"#, Some("r.1-a2")),
            (r#"{"_ng_task_index":3,"_ng_rollout_index":0}"#, Some("3-0")),
            (r#"{"_ng_task_index":3,"_ng_rollout_index":0,"_ng_attempt_index":1}"#, Some("3-0-a1")),
            (r#"{"_ng_task_index":3}"#, None),
            (r#"{"_ng_rollout_id":"../x"}"#, None),
            (r#"{"_ng_rollout_id":""}"#, None),
        ];
        for (row, expected) in cases {
            assert_eq!(rollout_id(&members(row)).as_deref(), expected, "{row}");
        }
    }
}
