// SPDX-License-Identifier: Apache-2.0
//! Agents, and the addresses under which NeMo Gym 0.7.0 looks for their `/run`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::ports::{Agent, Cookie, ItemWatch, Model, Reply, RequestContext};
use gym_protocol::ServerName;

use super::{
    Call, ModelSite, Site,
    agent_sessions::AgentSessions,
    episode::{self, Episode},
    item_stream::{self, stream_items},
    openai::{self, take_stream},
};
use crate::{
    answer::Answer,
    cookie::{OwnCookie, set_cookie_text},
    errors,
    route::SiteRoute,
};

/// An agent over HTTP.
pub struct AgentSite {
    agent: Arc<dyn Agent>,
    own: OwnCookie,
    keep_alive: Duration,
    sessions: Option<Arc<AgentSessions>>,
    dialects: Option<ModelSite>,
}

impl AgentSite {
    /// `keep_alive` is [`HttpLimits::stream_keep_alive`](crate::HttpLimits::stream_keep_alive).
    pub fn new(agent: Arc<dyn Agent>, keep_alive: Duration) -> Self {
        let own = OwnCookie::new(agent.name());
        Self { agent, own, keep_alive, sessions: None, dialects: None }
    }

    /// The same with agent sessions (`/v1/agent_sessions`). `tools_of` is the resources server whose tools the agent
    /// calls: sessions may grant those tools only. Closed sessions are remembered for `retry_window`
    /// (`session_close_retry_window_seconds`, 300 s by default).
    pub fn with_sessions(self, tools_of: Option<ServerName>, retry_window: Duration) -> Self {
        Self { sessions: Some(Arc::new(AgentSessions::new(tools_of, retry_window))), ..self }
    }

    /// The same with `/v1/chat/completions` and `/v1/messages`, which `dialects` answers: the agent as a model.
    pub fn with_dialects(self, dialects: Arc<dyn Model>) -> Self {
        Self { dialects: Some(ModelSite::new(dialects, self.keep_alive)), ..self }
    }

    async fn responses(&self, body: Bytes, client: String, context: &mut RequestContext) -> Answer {
        let session = match &self.sessions {
            None => None,
            Some(sessions) => match sessions.enter(&client, context) {
                None => None,
                Some(Ok(())) => Some(Arc::clone(sessions)),
                Some(Err(refusal)) => return Answer::from(refusal),
            },
        };
        let leave = move |cookies: &[Cookie]| {
            if let Some(session) = session {
                session.leave(&client, cookies);
            }
        };
        let Some(request) = take_stream(&body) else {
            let reply = self.agent.responses(body, context).await;
            leave(&cookies_of(context));
            return Answer::from(reply);
        };
        let agent = Arc::clone(&self.agent);
        let body = request.params.to_raw().bytes().clone();
        let mut own_context = context.clone();
        let (watch, items) = ItemWatch::channel();
        own_context.watch = Some(watch);
        let work = async move {
            let reply = agent.responses(body, &mut own_context).await;
            let cookies = cookies_of(&own_context);
            leave(&cookies);
            (reply, cookies)
        };
        let id = format!("resp_{}", uuid::Uuid::new_v4().simple());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let begun = item_stream::begun(&request.params, self.agent.name().as_str(), &id, now.as_secs_f64().floor());
        stream_items(work, items, begun, self.keep_alive).await
    }
}

impl AgentSite {
    fn session_call(&self, call: impl FnOnce(&AgentSessions) -> Result<Reply, Reply>) -> Answer {
        match &self.sessions {
            Some(sessions) => Answer::from(call(sessions).unwrap_or_else(|refusal| refusal)),
            None => errors::not_found(),
        }
    }
}

/// An agent's answer sets all cookies that its context holds: those of the servers it used, so that a client that
/// calls again reaches the same sessions, and its own.
fn cookies_of(context: &RequestContext) -> Vec<Cookie> {
    context.cookies.iter().cloned().collect()
}

#[async_trait]
impl Site for AgentSite {
    fn offers(&self, route: &SiteRoute) -> bool {
        match route {
            SiteRoute::OneModel(name) => name == self.agent.name().as_str(),
            SiteRoute::Run | SiteRoute::Responses | SiteRoute::AggregateMetrics | SiteRoute::Models => true,
            SiteRoute::AgentSession | SiteRoute::CloseAgentSession => self.sessions.is_some(),
            SiteRoute::ChatCompletions | SiteRoute::Messages => self.dialects.is_some(),
            _ => false,
        }
    }

    async fn set_cookie(&self, context: &RequestContext) -> Option<String> {
        Some(set_cookie_text(&self.own.ensure(&mut context.clone())))
    }

    async fn answer(&self, route: SiteRoute, call: Call, context: &mut RequestContext) -> Answer {
        if let (SiteRoute::ChatCompletions | SiteRoute::Messages, Some(dialects)) = (&route, &self.dialects) {
            return dialects.answer(route, call, context).await;
        }
        let client = self.own.ensure(context).value;
        let answer = match route {
            SiteRoute::Run => run(&*self.agent, call.body, context).await,
            SiteRoute::Responses => self.responses(call.body, client, context).await,
            SiteRoute::AgentSession => self.session_call(|sessions| sessions.open(call.body, &client)),
            SiteRoute::CloseAgentSession => self.session_call(|sessions| sessions.close(call.body, &client)),
            SiteRoute::AggregateMetrics => Answer::from(self.agent.aggregate_metrics(call.body).await),
            SiteRoute::Models => openai::model_list([self.agent.name().as_str()].into_iter()),
            SiteRoute::OneModel(name) => Answer::json(200, openai::model_entry(&name).to_string()),
            _ => errors::not_found(),
        };
        if answer.cookies.is_empty() { answer.with_cookies(cookies_of(context)) } else { answer }
    }
}

/// An environment server: the address of an agent's `/run` and `/aggregate_metrics`. It has no cookie of its own; those
/// of the agent's servers pass through.
pub struct EnvironmentSite {
    agent: Arc<dyn Agent>,
}

impl EnvironmentSite {
    /// The environment server of that agent.
    pub fn new(agent: Arc<dyn Agent>) -> Self {
        Self { agent }
    }
}

#[async_trait]
impl Site for EnvironmentSite {
    fn offers(&self, route: &SiteRoute) -> bool {
        matches!(route, SiteRoute::Run | SiteRoute::AggregateMetrics)
    }

    async fn set_cookie(&self, _context: &RequestContext) -> Option<String> {
        None
    }

    async fn answer(&self, route: SiteRoute, call: Call, context: &mut RequestContext) -> Answer {
        match route {
            SiteRoute::Run => {
                let answer = run(&*self.agent, call.body, context).await;
                answer.with_cookies(cookies_of(context))
            }
            SiteRoute::AggregateMetrics => Answer::from(self.agent.aggregate_metrics(call.body).await),
            _ => errors::not_found(),
        }
    }
}

/// `POST /run`: a flat row as NeMo Gym of August 2026 sends it, or a typed episode of 0.7.0, each answered in kind.
async fn run(agent: &dyn Agent, body: Bytes, context: &mut RequestContext) -> Answer {
    match Episode::parse(&body) {
        None => Answer::from(agent.run(body, context).await),
        Some(Err(refusal)) => Answer::from(refusal),
        Some(Ok(episode)) => {
            context.rollout_id.get_or_insert_with(|| episode.capture_key());
            context.prefixed = true;
            let reply: Reply = agent.run(episode.row.bytes().clone(), context).await;
            Answer::json(200, episode::reply_body(&episode, &reply))
        }
    }
}
