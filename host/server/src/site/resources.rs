// SPDX-License-Identifier: Apache-2.0
//! Resources servers.

use std::{borrow::Cow, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use gym_agents::ports::RequestContext;
use gym_protocol::{environment::Style, names::is_tool_route};
use gym_resources::{MCP_TOKEN_HEADER, McpHeaders, Method, Outcome, ResourcesService};
use http::{
    HeaderMap,
    header::{ACCEPT, CONTENT_TYPE},
};

use super::{Call, Site};
use crate::{
    answer::{Answer, AnswerBody},
    errors,
    route::SiteRoute,
    sse,
};

/// How often the stream of an MCP client that listens shows that it lives.
const MCP_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A resources server over HTTP.
pub struct ResourcesSite {
    service: ResourcesService,
}

impl ResourcesSite {
    /// The server behind this service.
    pub fn new(service: ResourcesService) -> Self {
        Self { service }
    }
}

#[async_trait]
impl Site for ResourcesSite {
    fn offers(&self, route: &SiteRoute) -> bool {
        let description = self.service.environment().description();
        let tools = description.style == Style::Tools;
        let has_tool = |name: &str| description.any_tool || description.tools.iter().any(|tool| tool.name == name);
        match route {
            SiteRoute::AggregateMetrics => true,
            SiteRoute::Verify | SiteRoute::Seed | SiteRoute::CloseSession | SiteRoute::ReverifyMode => tools,
            // Servers with tools may have some of these names.
            SiteRoute::Reset => !tools || has_tool("reset"),
            SiteRoute::Step => !tools || has_tool("step"),
            SiteRoute::Close => !tools || has_tool("close"),
            SiteRoute::Tool(name) => tools && is_tool_route(name) && has_tool(name),
            SiteRoute::Mcp => self.service.has_mcp(),
            _ => false,
        }
    }

    async fn set_cookie(&self, context: &RequestContext) -> Option<String> {
        Some(self.service.handle(Method::Get, "/", None, Bytes::new(), context).await.set_cookie)
    }

    async fn answer(&self, route: SiteRoute, call: Call, context: &mut RequestContext) -> Answer {
        if route == SiteRoute::Mcp {
            return self.mcp(call, context).await;
        }
        let method = match call.method {
            http::Method::GET => Method::Get,
            http::Method::POST => Method::Post,
            _ => Method::Other,
        };
        let content_type = header(&call.headers, CONTENT_TYPE.as_str());
        let path = path_of(&route);
        answer_of(self.service.handle(method, &path, content_type, call.body, context).await)
    }
}

impl ResourcesSite {
    /// The server says nothing that it was not asked for, so the stream of `GET` stays empty.
    async fn mcp(&self, call: Call, context: &RequestContext) -> Answer {
        if call.method == http::Method::GET {
            if !header(&call.headers, ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/event-stream")) {
                return Answer::json(406, errors::detail("Not Acceptable: Client must accept text/event-stream"));
            }
            let idle = stream::unfold((), |()| async {
                tokio::time::sleep(MCP_KEEP_ALIVE).await;
                Some((Bytes::from_static(sse::KEEP_ALIVE), ()))
            });
            return Answer::events(AnswerBody::Stream(Box::pin(idle)));
        }
        let headers = McpHeaders {
            accept: header(&call.headers, ACCEPT.as_str()),
            content_type: header(&call.headers, CONTENT_TYPE.as_str()),
            version: header(&call.headers, "mcp-protocol-version"),
            token: header(&call.headers, MCP_TOKEN_HEADER),
        };
        answer_of(self.service.mcp(headers, call.body, context).await)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn answer_of(outcome: Outcome) -> Answer {
    let Outcome { reply, set_cookie, allow, location } = outcome;
    let mut answer = Answer::from(reply);
    answer.set_cookie = Some(set_cookie);
    answer.headers.extend(allow.map(|allow| ("allow", allow.to_owned())));
    answer.headers.extend(location.map(|location| ("location", location)));
    answer
}

/// The path of a route as the service reads it: without prefixes, with the name of a tool escaped.
fn path_of(route: &SiteRoute) -> Cow<'static, str> {
    Cow::Borrowed(match route {
        SiteRoute::Verify => "/verify",
        SiteRoute::Seed => "/seed_session",
        SiteRoute::AggregateMetrics => "/aggregate_metrics",
        SiteRoute::ReverifyMode => "/reverify_mode",
        SiteRoute::CloseSession => "/close_session",
        SiteRoute::Reset => "/reset",
        SiteRoute::Step => "/step",
        SiteRoute::Close => "/close",
        SiteRoute::Tool(name) => {
            let mut path = String::with_capacity(name.len() + 1);
            path.push('/');
            for byte in name.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~') {
                    path.push(char::from(byte));
                } else {
                    path.push_str(&format!("%{byte:02X}"));
                }
            }
            return Cow::Owned(path);
        }
        _ => "/",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tools_are_escaped() {
        for (name, path) in [("get_weather", "/get_weather"), ("a b?", "/a%20b%3F"), ("é", "/%C3%A9")] {
            assert_eq!(path_of(&SiteRoute::Tool(name.to_owned())), path);
        }
    }
}
