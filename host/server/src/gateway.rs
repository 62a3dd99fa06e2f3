// SPDX-License-Identifier: Apache-2.0
//! The gateway's own routes: one OpenAI-compatible endpoint for all agents and model servers, where `model` is the name
//! of an agent or of a model server.

use std::sync::Arc;

use async_trait::async_trait;
use gym_agents::ports::RequestContext;
use gym_protocol::ServerKind;

use crate::{
    answer::Answer,
    errors,
    exchange::Served,
    head::Overview,
    route::SiteRoute,
    site::{Call, Site, openai},
};

#[derive(Clone)]
pub(crate) struct GatewaySite {
    /// Agents and model servers, in the order of the configuration.
    models: Vec<(ServerKind, Arc<Served>)>,
    overview: Option<Arc<Overview>>,
}

impl GatewaySite {
    pub(crate) fn new(servers: impl Iterator<Item = (ServerKind, Arc<Served>)>) -> Self {
        let is_model =
            |kind: &ServerKind| matches!(kind, ServerKind::ResponsesApiAgents | ServerKind::ResponsesApiModels);
        Self { models: servers.filter(|(kind, _)| is_model(kind)).collect(), overview: None }
    }

    pub(crate) fn with_overview(self, overview: Arc<Overview>) -> Self {
        Self { overview: Some(overview), ..self }
    }

    fn find(&self, name: &str) -> Option<&(ServerKind, Arc<Served>)> {
        self.models.iter().find(|(_, served)| served.name == name)
    }

    async fn forward(&self, route: SiteRoute, mut call: Call, context: &mut RequestContext) -> Answer {
        let mut params = match errors::object_body(call.body.clone()) {
            Ok(params) => params,
            Err(refusal) => return Answer::from(refusal),
        };
        let Some(name) = params.get_set("model").and_then(|name| name.read::<String>().ok()) else {
            return openai::openai_error(
                400,
                "`model` must be the name of an agent or a model server",
                "model",
                "missing",
            );
        };
        let Some((kind, served)) = self.find(&name) else { return openai::no_such_model(&name) };
        if !served.site.offers(&route) {
            let message = format!("`{name}` is an agent, which answers /v1/responses only");
            return openai::openai_error(400, &message, "model", "unsupported_route");
        }
        // An agent passes `model` on to its model server, where the agent's name means nothing.
        if *kind == ServerKind::ResponsesApiAgents && route == SiteRoute::Responses {
            params.remove("model");
            call.body = params.to_raw().bytes().clone();
        }
        served.site.answer(route, call, context).await
    }
}

#[async_trait]
impl Site for GatewaySite {
    fn offers(&self, _route: &SiteRoute) -> bool {
        true
    }

    async fn set_cookie(&self, _context: &RequestContext) -> Option<String> {
        None
    }

    async fn answer(&self, route: SiteRoute, call: Call, context: &mut RequestContext) -> Answer {
        match route {
            SiteRoute::Responses | SiteRoute::ChatCompletions | SiteRoute::Messages => {
                self.forward(route, call, context).await
            }
            SiteRoute::Models => openai::model_list(self.models.iter().map(|(_, served)| &*served.name)),
            SiteRoute::OneModel(name) => match self.find(&name) {
                Some(_) => Answer::json(200, openai::model_entry(&name).to_string()),
                None => openai::no_such_model(&name),
            },
            SiteRoute::Status => match &self.overview {
                Some(overview) => Answer::json(200, overview.status().to_string()),
                None => errors::not_found(),
            },
            _ => errors::not_found(),
        }
    }
}
