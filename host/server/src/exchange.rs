// SPDX-License-Identifier: Apache-2.0
//! From one HTTP request to one HTTP response.

use std::{any::Any, collections::HashMap, convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use gym_agents::ports::{Cookies, RequestContext};
use gym_protocol::ServerKind;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, COOKIE, RETRY_AFTER, SET_COOKIE, VARY},
    request::Parts,
};
use hyper::body::{Body, Incoming};

use crate::{
    answer::{Answer, AnswerBody, JSON},
    connection::Pulse,
    cookie::set_cookie_text,
    errors,
    path::{decode_segment, split_segment, strip_rollout},
    request_body::{self, BodyError, HeldBody},
    response_body::ResponseBody,
    route::{self, Found, SiteRoute, Table},
    server::Shared,
    site::{Call, Site},
    stats::Counters,
};

/// A site with its name and its counters.
pub(crate) struct Served {
    pub(crate) name: String,
    pub(crate) table: Table,
    pub(crate) site: Arc<dyn Site>,
    pub(crate) counters: Counters,
}

impl Served {
    pub(crate) fn new(name: impl Into<String>, table: Table, site: Arc<dyn Site>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), table, site, counters: Counters::new() })
    }
}

/// What is behind an address.
pub(crate) enum Door {
    /// One server.
    One(Arc<Served>),
    /// The gateway: its own routes, and all servers by the first segment of the path.
    Gateway { root: Arc<Served>, servers: HashMap<String, Arc<Served>> },
}

impl Door {
    /// The server that a path is for, and the path as that server sees it.
    fn resolve<'a>(&'a self, path: &'a str) -> (&'a Arc<Served>, &'a str) {
        match self {
            Self::One(served) => (served, path),
            Self::Gateway { root, servers } => {
                let (first, rest) = split_segment(path.strip_prefix('/').unwrap_or(path));
                match decode_segment(first).and_then(|name| servers.get(&*name)) {
                    Some(served) => (served, if rest.is_empty() { "/" } else { rest }),
                    None => (root, path),
                }
            }
        }
    }
}

/// What all requests of one connection share.
pub(crate) struct Line {
    pub(crate) door: Arc<Door>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) pulse: Arc<Pulse>,
}

/// Ends an exchange when it is dropped: the connection is idle again and the request is counted, as cancelled unless
/// it was answered.
pub(crate) struct Finish {
    line: Arc<Line>,
    served: Arc<Served>,
    slot: usize,
    started: Instant,
    status: Option<u16>,
    complete: bool,
}

impl Finish {
    /// A streamed body came to its end.
    pub(crate) fn sent_all(&mut self) {
        self.complete = true;
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        self.line.pulse.end();
        let took = self.started.elapsed();
        let (server, route) = (&*self.served.name, SiteRoute::NAMES.get(self.slot).copied().unwrap_or("no_route"));
        let micros = took.as_micros();
        match self.status {
            Some(status) if self.complete => {
                self.served.counters.answered(self.slot, status, took);
                if status >= 500 {
                    tracing::warn!(server, route, status, micros, "answered");
                } else if status >= 400 {
                    tracing::info!(server, route, status, micros, "answered");
                } else {
                    tracing::debug!(server, route, status, micros, "answered");
                }
            }
            _ => {
                self.served.counters.cancelled(self.slot);
                tracing::info!(server, route, micros, "the client went away");
            }
        }
    }
}

/// Answers one request. Never fails: whatever goes wrong is an answer.
pub(crate) async fn exchange(
    line: Arc<Line>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let started = Instant::now();
    line.pulse.begin();
    let (parts, mut incoming) = request.into_parts();
    let (served, path) = line.door.resolve(parts.uri.path());
    let served = Arc::clone(served);

    let mut context = RequestContext::default();
    let found = match strip_rollout(path) {
        None => Found::Nothing,
        Some(prefixed) => {
            context.prefixed = prefixed.rollout_id.is_some();
            context.rollout_id = prefixed.rollout_id.map(str::to_owned);
            context.token_capture = prefixed.token_capture;
            route::find(served.table, prefixed.rest)
        }
    };
    read_context(&parts.headers, &mut context);
    let found = match found {
        Found::Route(route) | Found::WithoutSlash(route) if !is_common(&route) && !served.site.offers(&route) => {
            drop(route);
            Found::Nothing
        }
        found => found,
    };
    let slot = match &found {
        Found::Route(route) => route.index(),
        _ => Counters::NO_ROUTE,
    };
    served.counters.begin(slot);
    let mut finish =
        Finish { line: Arc::clone(&line), served: Arc::clone(&served), slot, started, status: None, complete: false };

    let mut close = false;
    let answer = match found {
        Found::Nothing => errors::not_found(),
        Found::WithoutSlash(_) => redirect(&parts),
        Found::Route(route) if !route.answers(&parts.method) => errors::method_not_allowed(route.allow()),
        Found::Route(SiteRoute::Alive) => Answer::json(200, STATUS_OK),
        Found::Route(SiteRoute::Ready) => ready(&line.shared, served.table),
        Found::Route(route) if line.shared.lifecycle.is_draining() && !route.survives_drain() => errors::draining(),
        Found::Route(route) => answer(&line, &served, route, parts, &mut incoming, &mut context, &mut close).await,
    };

    if !incoming.is_end_stream() {
        line.pulse.leave_body_unread();
    }
    close |= line.shared.lifecycle.is_draining();
    finish.status = Some(answer.status);
    finish.complete = matches!(answer.body, AnswerBody::Full(_));
    Ok(respond(answer, &served, &context, close, finish).await)
}

const STATUS_OK: &[u8] = br#"{"status":"ok"}"#;

/// Routes that every server has.
fn is_common(route: &SiteRoute) -> bool {
    matches!(route, SiteRoute::Alive | SiteRoute::Ready)
}

/// The head server is ready when the whole process is; any other server is as soon as it answers.
fn ready(shared: &Shared, table: Table) -> Answer {
    if shared.lifecycle.is_draining() {
        Answer::json(503, &br#"{"status":"draining"}"#[..])
    } else if table == Table::Head && !shared.lifecycle.is_ready() {
        Answer::json(503, &br#"{"status":"starting"}"#[..])
    } else {
        Answer::json(200, STATUS_OK)
    }
}

fn redirect(parts: &Parts) -> Answer {
    // The route was found, so the path starts with exactly one slash: the target stays on this host.
    let path = parts.uri.path();
    let mut location = path.strip_suffix('/').unwrap_or(path).to_owned();
    if let Some(query) = parts.uri.query() {
        location.push('?');
        location.push_str(query);
    }
    Answer::json(307, Bytes::new()).with_header("location", location)
}

fn read_context(headers: &HeaderMap, context: &mut RequestContext) {
    if headers.contains_key(COOKIE) {
        context.cookies = Cookies::parse(headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()));
    }
    context.traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
}

/// Reads the body and calls the site.
async fn answer(
    line: &Arc<Line>,
    served: &Served,
    route: SiteRoute,
    parts: Parts,
    incoming: &mut Incoming,
    context: &mut RequestContext,
    close: &mut bool,
) -> Answer {
    let shared = &line.shared;
    let HeldBody { bytes: body, room } = match request_body::read(incoming, &shared.limits, &shared.room).await {
        Ok(body) => body,
        Err(error) => {
            *close = true;
            line.pulse.leave_body_unread();
            return match error {
                BodyError::TooLarge => Answer::json(413, errors::detail("the request body is too large")),
                BodyError::NoRoom => {
                    let busy = Answer::json(503, errors::detail("too many large requests at one time"));
                    Answer { retry_after: Some(1), ..busy }
                }
                BodyError::TooSlow => Answer::json(408, errors::detail("Request Timeout")),
                BodyError::Broken => Answer::json(400, errors::detail("the request body is incomplete")),
            };
        }
    };
    // A resources server says itself what is wrong with such a body, as it knows what it wants.
    let own_check = served.table == Table::Kind(ServerKind::ResourcesServers);
    if !own_check && parts.method == Method::POST && !body.is_empty() && !is_json(&parts.headers) {
        return Answer::from(errors::not_json_content(&body));
    }
    let listens = route == SiteRoute::Mcp;
    let call = Call { method: parts.method, headers: parts.headers, body };
    let outcome = AssertUnwindSafe(served.site.answer(route, call, context)).catch_unwind().await;
    drop(room);
    let mut answer = outcome.unwrap_or_else(|panic| panicked(&served.name, &*panic));
    if listens && let AnswerBody::Stream(events) = answer.body {
        // Such a stream has no end of its own; nobody need wait for it.
        let drain = shared.lifecycle.drain.clone().cancelled_owned();
        answer.body = AnswerBody::Stream(Box::pin(events.take_until(drain)));
    }
    answer
}

/// The public answer to a panic names an incident; the log says what happened.
fn panicked(server: &str, panic: &(dyn Any + Send)) -> Answer {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned());
    let incident = incident();
    tracing::error!(server, incident, panic = text, "a request handler panicked");
    Answer::json(500, errors::json_string(&format!("An unknown error occurred (incident {incident})")))
}

/// A short random word that an error's public text and the log have in common.
pub(crate) fn incident() -> String {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    format!("{:08x}", u32::from_be_bytes(bytes))
}

/// `application/json` or `application/*+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    if value == JSON {
        return true;
    }
    let Ok(text) = value.to_str() else { return false };
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

async fn respond(
    mut answer: Answer,
    served: &Served,
    context: &RequestContext,
    close: bool,
    finish: Finish,
) -> Response<ResponseBody> {
    if answer.cookies.is_empty() && answer.set_cookie.is_none() {
        answer.set_cookie = served.site.set_cookie(context).await;
    }
    let mut response = Response::new(ResponseBody::new(answer.body, finish));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    let cookies = answer.cookies.iter().map(set_cookie_text).chain(answer.set_cookie);
    for text in cookies {
        match HeaderValue::from_maybe_shared(Bytes::from(text)) {
            Ok(value) => {
                headers.append(SET_COOKIE, value);
            }
            // The text is a client's own, or a session's: it is not logged.
            Err(error) => tracing::debug!(%error, "left out a cookie that cannot be a header"),
        }
    }
    if headers.contains_key(SET_COOKIE) {
        headers.insert(VARY, HeaderValue::from_static("Cookie"));
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    for (name, value) in &answer.headers {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                headers.insert(HeaderName::from_static(name), value);
            }
            Err(error) => tracing::debug!(name, %error, "left out a header that is not valid"),
        }
    }
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_media_type() {
        let cases = [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("Application/JSON", true),
            ("application/vnd.api+json", true),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonp", false),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_json(&headers), expected, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
