// SPDX-License-Identifier: Apache-2.0
//! What agents and model servers have in common: requests for streams, answered by calls that do not stream.

use std::{any::Any, panic::AssertUnwindSafe, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use gym_agents::ports::{Cookie, Reply};
use gym_protocol::{Members, Raw};
use tokio::time::timeout;

use crate::{
    answer::{Answer, AnswerBody},
    errors,
    exchange::incident,
    sse,
};

/// What a client that wants a stream gets instead of the reply itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamShape {
    /// Events of the Responses API.
    Responses,
    /// Chunks of the Chat Completions API, with the usage if asked for.
    Chat { include_usage: bool },
    /// Events of the Messages API.
    Messages,
}

impl StreamShape {
    fn encode(self, reply: Bytes) -> Option<Bytes> {
        let encoded = match self {
            Self::Responses => sse::responses::encode(reply),
            Self::Chat { include_usage } => sse::chat::encode(reply, include_usage),
            Self::Messages => sse::messages::encode(reply),
        };
        encoded.inspect_err(|error| tracing::warn!(%error, "failed to make a stream of a reply")).ok()
    }
}

/// Takes `stream` and `stream_options` out of a body when it asks for a stream. Bodies that do not are not touched,
/// and hardly looked at.
pub(crate) fn take_stream(body: &Bytes) -> Option<StreamRequest> {
    memchr::memmem::find(body, b"\"stream\"")?;
    let mut params = Raw::parse(body.clone()).ok()?.members().ok()?;
    if params.remove("stream")?.as_str() != "true" {
        return None;
    }
    let options = params.remove("stream_options").and_then(|options| options.members().ok());
    let include_usage = options
        .and_then(|options| options.get_set("include_usage").map(|usage| usage.as_str() == "true"))
        .unwrap_or(false);
    Some(StreamRequest { params, include_usage })
}

/// A request for a stream without the fields that say so.
pub(crate) struct StreamRequest {
    pub(crate) params: Members,
    pub(crate) include_usage: bool,
}

/// A finished reply, and the cookies that go with it.
pub(crate) type Finished = (Reply, Vec<Cookie>);

/// Answers a request for a stream from a call that does not stream. An error that comes soon is an ordinary reply; when
/// the call takes longer than `keep_alive`, the stream begins with comments and the error becomes an event.
pub(crate) async fn stream_when_done(
    work: impl Future<Output = Finished> + Send + 'static,
    shape: StreamShape,
    keep_alive: Duration,
) -> Answer {
    let guarded = AssertUnwindSafe(work).catch_unwind().map(|outcome| outcome.unwrap_or_else(panicked));
    let mut work: Pin<Box<dyn Future<Output = Finished> + Send>> = Box::pin(guarded);
    if let Ok((reply, cookies)) = timeout(keep_alive, &mut work).await {
        return finished(reply, shape).with_cookies(cookies);
    }
    let rest = stream::unfold(Some(work), move |work| async move {
        let mut work = work?;
        match timeout(keep_alive, &mut work).await {
            Ok((reply, _cookies)) => Some((late_events(reply, shape), None)),
            Err(_) => Some((Bytes::from_static(sse::KEEP_ALIVE), Some(work))),
        }
    });
    let first = stream::once(std::future::ready(Bytes::from_static(sse::KEEP_ALIVE)));
    Answer::events(AnswerBody::Stream(Box::pin(first.chain(rest))))
}

/// What comes of a call that panicked. The panic's text is printed by the panic hook.
pub(super) fn panicked(_panic: Box<dyn Any + Send>) -> Finished {
    let incident = incident();
    tracing::error!(incident, "a streamed call panicked");
    let text = format!("An unknown error occurred (incident {incident})");
    (Reply::new(500, errors::json_string(&text)), Vec::new())
}

pub(super) fn finished(reply: Reply, shape: StreamShape) -> Answer {
    if !reply.is_success() {
        return Answer::from(reply);
    }
    match shape.encode(reply.body) {
        Some(events) => Answer::events(AnswerBody::Full(events)),
        None => Answer::json(502, errors::detail(NOT_STREAMABLE)),
    }
}

pub(super) const NOT_STREAMABLE: &str = "the reply is not one that can be streamed";

fn late_events(reply: Reply, shape: StreamShape) -> Bytes {
    if !reply.is_success() {
        return sse::late_error(&message_of(&reply.body), reply.status);
    }
    shape.encode(reply.body).unwrap_or_else(|| sse::late_error(NOT_STREAMABLE, 502))
}

/// The text of an error body: `error.message`, `detail` or the body itself when it is a string.
pub(super) fn message_of(body: &Bytes) -> String {
    let message = Raw::parse(body.clone()).ok().and_then(|raw| {
        if raw.is_string() {
            return raw.read().ok();
        }
        let members = raw.members().ok()?;
        let found = match members.get_set("error") {
            Some(error) if error.is_object() => error.members().ok()?.get_set("message").cloned(),
            Some(error) => Some(error.clone()),
            None => members.get_set("detail").cloned(),
        }?;
        Some(if found.is_string() { found.read().ok()? } else { found.as_str().to_owned() })
    });
    message.unwrap_or_else(|| "the call failed".to_owned())
}

/// An error in OpenAI's shape.
pub(crate) fn openai_error(status: u16, message: &str, param: &str, code: &str) -> Answer {
    let mut error = gym_protocol::ObjectWriter::with_capacity(message.len() + 96);
    error.string("message", message);
    error.string("type", "invalid_request_error");
    error.string("param", param);
    error.string("code", code);
    let mut body = gym_protocol::ObjectWriter::with_capacity(message.len() + 112);
    body.member("error", &error.finish());
    Answer::json(status, body.finish().bytes().clone())
}

/// One entry of `GET /v1/models`.
pub(crate) fn model_entry(name: &str) -> serde_json::Value {
    serde_json::json!({"id": name, "object": "model", "created": 0, "owned_by": "gym-host"})
}

/// `GET /v1/models`.
pub(crate) fn model_list<'a>(names: impl Iterator<Item = &'a str>) -> Answer {
    let list: Vec<_> = names.map(model_entry).collect();
    Answer::json(200, serde_json::json!({"object": "list", "data": list}).to_string())
}

/// 404 for a name that nothing has.
pub(crate) fn no_such_model(name: &str) -> Answer {
    openai_error(404, &format!("the model `{name}` does not exist"), "model", "model_not_found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_asked_for_by_the_top_level_field_only() {
        let taken = |body: &'static str| {
            take_stream(&Bytes::from_static(body.as_bytes()))
                .map(|request| (request.params.to_raw().as_str().to_owned(), request.include_usage))
        };
        assert_eq!(taken(r#"{"input":"a"}"#), None);
        assert_eq!(taken(r#"{"input":"a","stream":false}"#), None);
        assert_eq!(taken(r#"{"input":"a","stream":null}"#), None);
        assert_eq!(taken(r#"{"input":"a \"stream\": true"}"#), None);
        assert_eq!(taken(r#"{"input":{"stream":true}}"#), None);
        assert_eq!(
            taken(r#"{"stream":true,"stream_options":{"include_usage":true},"a":1.50}"#),
            Some((r#"{"a":1.50}"#.to_owned(), true))
        );
    }

    #[test]
    fn error_bodies_of_all_shapes_have_a_message() {
        for (body, expected) in [
            (r#""oops""#, "oops"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (r#"{"detail":[1]}"#, "[1]"),
            (r#"{"error":{"message":"no key"}}"#, "no key"),
            ("<html>", "the call failed"),
        ] {
            assert_eq!(message_of(&Bytes::from_static(body.as_bytes())), expected);
        }
    }
}
