// SPDX-License-Identifier: Apache-2.0
//! Model servers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gym_agents::ports::{Cookie, Cookies, Model, ModelRoute, Reply, RequestContext, Streamed};
use gym_protocol::{Fault, Members, ModelRequest, Raw, responses::check_create_params, validate::detail_body};

use super::{
    Call, Site,
    openai::{self, StreamShape, take_stream},
    streamed_params::{self, Namespaces},
};
use crate::{
    answer::{Answer, AnswerBody},
    cookie::{OwnCookie, set_cookie_text},
    errors,
    route::SiteRoute,
    sse,
};

/// A model server over HTTP.
pub struct ModelSite {
    model: Arc<dyn Model>,
    own: OwnCookie,
    keep_alive: Duration,
}

impl ModelSite {
    /// `keep_alive` is [`HttpLimits::stream_keep_alive`](crate::HttpLimits::stream_keep_alive).
    pub fn new(model: Arc<dyn Model>, keep_alive: Duration) -> Self {
        let own = OwnCookie::new(model.name());
        Self { model, own, keep_alive }
    }

    async fn call(&self, route: ModelRoute, body: Bytes, context: &mut RequestContext) -> Answer {
        let before = context.cookies.clone();
        let own = self.own.ensure(context);
        let Some(mut request) = take_stream(&body) else {
            let reply = match checked(route, body) {
                Ok(input) => ask(&*self.model, input, context).await,
                Err(refusal) => return Answer::from(refusal),
            };
            return Answer::from(reply).with_cookies(new_cookies(&before, context, own));
        };
        if let Some(streamed) = self.model.respond_stream(route, &body, context).await {
            let answer = match streamed {
                Ok(Streamed::Events(events)) => Answer::events(AnswerBody::Stream(passed_on(events))),
                Ok(Streamed::Reply(reply)) => Answer::from(reply),
                Err(fault) => Answer::from(failed(&fault)),
            };
            return answer.with_cookies(new_cookies(&before, context, own));
        }
        let shape = match route {
            ModelRoute::Responses => StreamShape::Responses,
            ModelRoute::Chat => StreamShape::Chat { include_usage: request.include_usage },
            ModelRoute::Messages => StreamShape::Messages,
        };
        let namespaces = match route {
            ModelRoute::Responses => streamed_params::plain(&mut request.params),
            ModelRoute::Chat | ModelRoute::Messages => Namespaces::default(),
        };
        let input = match input_of(route, request.params) {
            Ok(input) => input,
            Err(refusal) => return Answer::from(refusal),
        };
        let model = Arc::clone(&self.model);
        let mut own_context = context.clone();
        let work = async move {
            let reply = namespaces.restore(ask(&*model, input, &mut own_context).await);
            let cookies = new_cookies(&before, &own_context, own);
            (reply, cookies)
        };
        openai::stream_when_done(work, shape, self.keep_alive).await
    }
}

/// A body for one of the three routes.
enum Input {
    Responses(ModelRequest),
    Chat(Bytes),
    Messages(Bytes),
}

/// Only Responses bodies are taken apart here; the other two are read where they are answered.
fn checked(route: ModelRoute, body: Bytes) -> Result<Input, Reply> {
    match route {
        ModelRoute::Responses => {
            let params = errors::object_body(body)?;
            check_params(&params)?;
            input_of(route, params)
        }
        ModelRoute::Chat => Ok(Input::Chat(body)),
        ModelRoute::Messages => Ok(Input::Messages(body)),
    }
}

/// Refuses unknown params and params of a wrong type, as NeMo Gym's servers do unless a stream is asked for. The items
/// are not looked at here: most of a long request is in them, and who answers reads them anyway.
fn check_params(params: &Members) -> Result<(), Reply> {
    let mut without_items = params.clone();
    if without_items.get("input").is_some_and(Raw::is_array) {
        without_items.set("input", Raw::trusted("[]"));
    }
    check_create_params(&without_items.to_raw()).map_err(|errors| Reply::new(422, detail_body(&errors)))
}

fn input_of(route: ModelRoute, params: Members) -> Result<Input, Reply> {
    match route {
        ModelRoute::Responses => {
            let Some(input) = params.get("input").cloned() else {
                return Err(errors::unprocessable("missing", &["input"], "Field required", params.to_raw()));
            };
            ModelRequest::from_members(params).map(Input::Responses).map_err(|_| not_a_list(input))
        }
        ModelRoute::Chat => Ok(Input::Chat(params.to_raw().bytes().clone())),
        ModelRoute::Messages => Ok(Input::Messages(params.to_raw().bytes().clone())),
    }
}

fn not_a_list(input: Raw) -> Reply {
    errors::unprocessable("list_type", &["input"], "Input should be a valid list", input)
}

async fn ask(model: &dyn Model, input: Input, context: &mut RequestContext) -> Reply {
    let outcome = match input {
        Input::Responses(request) => model.respond(request, context).await,
        Input::Chat(body) => model.chat(body, context).await,
        Input::Messages(body) => model.messages(body, context).await,
    };
    outcome.unwrap_or_else(|fault| failed(&fault))
}

fn failed(fault: &Fault) -> Reply {
    let (label, internal) = (fault.kind.label(), fault.internal.as_deref());
    tracing::warn!(label, message = fault.message, internal, "a model call failed");
    errors::fault(fault)
}

/// The cookies that the call set, and the server's own.
fn new_cookies(before: &Cookies, context: &RequestContext, own: Cookie) -> Vec<Cookie> {
    let mut cookies = vec![own];
    for cookie in context.cookies.iter() {
        if before.get(&cookie.name) != Some(&cookie.value) && cookie.name != cookies[0].name {
            cookies.push(cookie.clone());
        }
    }
    cookies
}

/// The upstream's events as they come; an upstream that breaks off ends the stream with an error event.
fn passed_on(
    events: gym_agents::ports::EventStream,
) -> std::pin::Pin<Box<dyn futures_util::Stream<Item = Bytes> + Send>> {
    let pieces = stream::unfold(Some(events), |events| async move {
        let mut events = events?;
        match events.next().await? {
            Ok(bytes) => Some((bytes, Some(events))),
            Err(fault) => {
                tracing::warn!(label = fault.kind.label(), message = fault.message, "an upstream broke off its stream");
                Some((sse::late_error(&fault.message, fault.kind.http_status()), None))
            }
        }
    });
    Box::pin(pieces)
}

#[async_trait]
impl Site for ModelSite {
    fn offers(&self, route: &SiteRoute) -> bool {
        match route {
            SiteRoute::OneModel(name) => name == self.model.name().as_str(),
            SiteRoute::Responses | SiteRoute::ChatCompletions | SiteRoute::Messages | SiteRoute::Models => true,
            _ => false,
        }
    }

    async fn set_cookie(&self, context: &RequestContext) -> Option<String> {
        Some(set_cookie_text(&self.own.ensure(&mut context.clone())))
    }

    async fn answer(&self, route: SiteRoute, call: Call, context: &mut RequestContext) -> Answer {
        match route {
            SiteRoute::Responses => self.call(ModelRoute::Responses, call.body, context).await,
            SiteRoute::ChatCompletions => self.call(ModelRoute::Chat, call.body, context).await,
            SiteRoute::Messages => self.call(ModelRoute::Messages, call.body, context).await,
            SiteRoute::Models => openai::model_list([self.model.name().as_str()].into_iter()),
            SiteRoute::OneModel(name) => Answer::json(200, openai::model_entry(&name).to_string()),
            _ => errors::not_found(),
        }
    }
}
