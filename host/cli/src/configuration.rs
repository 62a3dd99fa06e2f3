// SPDX-License-Identifier: Apache-2.0
//! From the command line's options to the settings that are served.

use std::{collections::BTreeMap, path::PathBuf};

use gym_config::{Composed, ConfigErrors, Purpose, Settings, Sources};
use gym_protocol::ServerKind;

use crate::{
    args::ConfigArgs,
    failure::{Failure, chain},
    places::Places,
};

/// Composes the configuration.
pub(crate) fn compose(arguments: &ConfigArgs, places: &Places, purpose: Purpose) -> Result<Composed, Failure> {
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut sources = Sources::from_environment(places.current.clone(), places.install.clone(), variables);
    let beside = environment_roots(arguments, places)?;
    sources.search_roots.splice(0..0, places.search.iter().cloned().chain(beside));
    sources.purpose = purpose;
    sources.config_paths = config_paths(arguments, places)?;
    sources.overrides = overrides(arguments);
    Composed::load(sources).map_err(|errors| failure(&errors))
}

/// Composes the configuration and checks it. Warnings go to the log.
pub(crate) fn settings(arguments: &ConfigArgs, places: &Places, purpose: Purpose) -> Result<Settings, Failure> {
    let settings = compose(arguments, places, purpose)?.settings().map_err(|errors| failure(&errors))?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// Which agent works on the rows of which instance's datasets, when rows do not say it: an agent on its own; on those of
/// a resources server the agent that uses it, if there is only one.
pub(crate) fn agents_of_sources(settings: &Settings) -> BTreeMap<String, String> {
    let agents = || settings.servers.iter().filter(|server| server.kind == ServerKind::ResponsesApiAgents);
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for agent in agents() {
        if let Some(server) = agent.reference("resources_server") {
            users.entry(server.name.as_str()).or_default().push(agent.name.as_str());
        }
    }
    let only = users.into_iter().filter_map(|(server, agents)| match agents.as_slice() {
        [agent] => Some((server.to_owned(), (*agent).to_owned())),
        _ => None,
    });
    only.chain(agents().map(|agent| (agent.name.to_string(), agent.name.to_string()))).collect()
}

/// Which agent works on the tasks of which set: the one behind the environment server that the set is routed to.
pub(crate) fn agents_of_tasksets(settings: &Settings) -> BTreeMap<String, String> {
    let agent_of = |environment: &str| settings.server(environment)?.reference("agent_server");
    let routes = settings.environment_server_routes.iter();
    routes.filter_map(|(set, to)| Some((set.clone(), agent_of(to.as_str())?.name.to_string()))).collect()
}

/// All errors of a pass as one failure.
pub(crate) fn failure(errors: &ConfigErrors) -> Failure {
    let text = chain(errors);
    let failure = Failure::user(format!("the configuration cannot be used\n{text}"));
    if text.contains("`policy_base_url`") || text.contains("`policy_model_name`") {
        return failure.with_hint(
            "name the model's endpoint with --model-url URL and --model NAME, or `policy_base_url` and \
             `policy_model_name` in env.yaml",
        );
    }
    failure
}

/// The roots of environments that the flags name by path: their implementation is found there.
fn environment_roots(arguments: &ConfigArgs, places: &Places) -> Result<Vec<PathBuf>, Failure> {
    let names = arguments.environments.iter().map(|name| split_flavor(name, places).0);
    names.map(|name| Ok(places.environment(name)?.root())).collect()
}

/// `NAME/FLAVOR`, where `NAME` may be a path.
fn split_flavor<'a>(name: &'a str, places: &Places) -> (&'a str, Option<&'a str>) {
    match name.rsplit_once('/') {
        Some((front, flavor)) if places.environment(name).is_err() => (front, Some(flavor)),
        _ => (name, None),
    }
}

/// The files that the flags name.
fn config_paths(arguments: &ConfigArgs, places: &Places) -> Result<Vec<String>, Failure> {
    let mut paths = arguments.configs.clone();
    for name in &arguments.environments {
        let (name, flavor) = name
            .rsplit_once('/')
            .filter(|(name, _)| places.environment(name).is_ok())
            .map_or_else(|| (name.as_str(), None), |(name, flavor)| (name, Some(flavor)));
        let folder = places.environment(name)?;
        let file = folder.path.join("configs").join(format!("{}.yaml", flavor.unwrap_or(&folder.name)));
        if !file.is_file() {
            return Err(Failure::user(format!(
                "the environment `{}` has no configuration {}",
                folder.name,
                file.display()
            )));
        }
        paths.push(file.display().to_string());
    }
    if let Some(model) = &arguments.model_type {
        let (name, flavor) = model.split_once('/').unwrap_or((model, model));
        paths.push(format!("responses_api_models/{name}/configs/{flavor}.yaml"));
    } else if !arguments.environments.is_empty() && arguments.configs.is_empty() {
        // An environment's own configuration refers to `policy_model`; without a file that has one, any
        // OpenAI-compatible endpoint is meant.
        paths.push("responses_api_models/openai_model/configs/openai_model.yaml".to_owned());
    }
    Ok(paths)
}

/// The overrides: first those that the flags stand for, then those written out.
fn overrides(arguments: &ConfigArgs) -> Vec<String> {
    let flags = [
        ("policy_model_name", &arguments.model),
        ("policy_base_url", &arguments.model_url),
        ("policy_api_key", &arguments.model_api_key),
    ];
    let mut overrides: Vec<String> =
        flags.into_iter().filter_map(|(key, value)| Some(gym_config::text_override(key, value.as_deref()?))).collect();
    overrides.extend(arguments.overrides.iter().cloned());
    overrides
}
