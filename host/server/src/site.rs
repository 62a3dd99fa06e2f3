// SPDX-License-Identifier: Apache-2.0
//! The port between HTTP and the servers behind it.

mod agent;
mod agent_sessions;
mod episode;
mod item_stream;
mod model;
pub(crate) mod openai;
mod resources;
mod streamed_params;

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::ports::RequestContext;
use http::{HeaderMap, Method};

use crate::{answer::Answer, route::SiteRoute};

pub use agent::{AgentSite, EnvironmentSite};
pub use model::ModelSite;
pub use resources::ResourcesSite;

/// What a request brings besides its route and its context.
#[derive(Debug)]
pub struct Call {
    /// The method, one that the route answers.
    pub method: Method,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, whole; empty when there was none.
    pub body: Bytes,
}

/// One server. Dropping the future of [`answer`](Self::answer) is how the server learns that its client went away.
#[async_trait]
pub trait Site: Send + Sync {
    /// Whether it has this route of its kind. Others are 404.
    fn offers(&self, route: &SiteRoute) -> bool;

    /// The whole `Set-Cookie` value for answers that bring no cookie of their own, such as 404 or 413: the session that
    /// the client came with, or a new one.
    async fn set_cookie(&self, context: &RequestContext) -> Option<String>;

    /// Answers a request. A panic becomes status 500.
    async fn answer(&self, route: SiteRoute, call: Call, context: &mut RequestContext) -> Answer;
}
