// SPDX-License-Identifier: Apache-2.0
//! `gym-host reverify`: stored rollouts are graded again.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Reply, RequestContext, ResourcesServer, Route};
use gym_config::{Place, Purpose, Settings};
use gym_protocol::{Fault, FaultKind, ServerKind, environment::ReverifyMode};
use gym_rollouts::{Change, Files, Reverified, ReverifyPlan, Verifier, reverify};
use serde_json::json;

use crate::{
    args::{ConfigArgs, ReverifyArgs},
    assemble::Resources,
    commands::collect::failure,
    configuration,
    failure::{CommandResult, Failure, WITH_FAULTS, of_file},
    gym_options::GymOptions,
    local::Local,
    places::Places,
};

pub(crate) async fn run(arguments: &ReverifyArgs, places: &Places, quiet: bool) -> CommandResult {
    let settings = configuration::settings(&arguments.config, places, Purpose::Data)?;
    let mut plan = plan(arguments, &settings)?;
    let config = with_components(arguments, &settings, places)?;
    let local = Local::without_policy(&config, places).await?;
    let verifier = Arc::new(Servers::of(&local).await);
    plan.provenance = local.provenance.clone();
    if arguments.force && !verifier.all_stateless() {
        plan.output = marked(&plan.output);
    }
    let json = arguments.json;
    let result = reverify(&plan, verifier, &mut |change| show(change, json)).await;
    let summary = result.map_err(|error| failure(&error))?;
    let metrics = if arguments.disable_aggregation {
        None
    } else {
        let metrics = Files::of(&plan.output).metrics;
        let errors = gym_rollouts::aggregate(&summary.rollouts_file, &metrics, local.dispatch.as_ref())
            .await
            .map_err(|error| failure(&error))?;
        for (agent, error) in errors {
            eprintln!("error: no metrics of `{agent}`: {error}");
        }
        Some(metrics)
    };
    if json {
        println!("{}", json!({"event": "finished", "summary": summary, "metrics_file": metrics}));
    } else if !quiet {
        report(&summary, &plan, metrics.as_deref());
    }
    let changed = arguments.fail_on_change && summary.changed > 0;
    let all = summary.failed == 0 && summary.unmatched == 0 && !changed;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(WITH_FAULTS) })
}

fn plan(arguments: &ReverifyArgs, settings: &Settings) -> Result<ReverifyPlan, Failure> {
    let gym = GymOptions(settings);
    let path = |own: &Option<PathBuf>, key: &str| {
        own.clone().map_or_else(|| Ok(gym.text(key)?.map(PathBuf::from)), |own| Ok(Some(own)))
    };
    let rollouts = path(&arguments.rollouts, "rollouts_jsonl_fpath")?
        .ok_or_else(|| Failure::user("no rollouts are given").with_hint("add --rollouts FILE"))?;
    let stem = rollouts.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let inputs =
        path(&arguments.inputs, "materialized_inputs_jsonl_fpath")?.unwrap_or_else(|| Files::of(&rollouts).inputs);
    File::open(&rollouts)
        .map_err(|error| of_file(format!("failed to open {}: {error}", rollouts.display()), &error))?;
    if !inputs.is_file() {
        return Err(Failure::user(format!("the rows that were run are not there: {}", inputs.display()))
            .with_hint("name them with --inputs FILE"));
    }
    let output = path(&arguments.output, "output_jsonl_fpath")?
        .unwrap_or_else(|| rollouts.with_file_name(format!("{stem}_reverified.jsonl")));
    if output == rollouts {
        return Err(Failure::user("the output is the file of the stored rollouts").with_hint("name another --output"));
    }
    Ok(ReverifyPlan {
        rollouts,
        inputs,
        output,
        concurrency: arguments.concurrency as usize,
        limit: arguments.limit.map_or_else(|| gym.count("limit"), |limit| Ok(Some(limit)))?,
        force: arguments.force,
        judge_failed_only: arguments.judge_failed_only,
        fresh: arguments.fresh,
        provenance: BTreeMap::new(),
    })
}

/// `unsafe_` before the file's name.
fn marked(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!("unsafe_{name}"))
}

/// The configuration with the components of the command line.
fn with_components(arguments: &ReverifyArgs, settings: &Settings, places: &Places) -> Result<ConfigArgs, Failure> {
    let mut config = arguments.config.clone();
    let servers: Vec<_> =
        settings.servers.iter().filter(|server| server.kind == ServerKind::ResourcesServers).collect();
    let known = || servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>().join(", ");
    for text in &arguments.component {
        let named = text.split_once('=').filter(|(name, _)| servers.iter().any(|server| server.name.as_str() == *name));
        let (server, file) = match (named, servers.as_slice()) {
            (Some((name, file)), _) => (servers.iter().find(|server| server.name.as_str() == name), file),
            (None, [only]) => (Some(only), text.as_str()),
            (None, _) => (None, text.as_str()),
        };
        let server = server.ok_or_else(|| {
            Failure::user(format!("`{text}` does not say which server the component is for"))
                .with_hint(format!("write --component SERVER=FILE; the servers are: {}", known()))
        })?;
        let path = places.current.join(file);
        if !path.is_file() {
            return Err(Failure::user(format!("there is no component {}", path.display())));
        }
        let key = format!("{}.{}.{}.component", server.name, server.kind.key(), server.implementation);
        config.overrides.push(gym_config::text_override(&format!("++{key}"), &path.display().to_string()));
    }
    Ok(config)
}

/// The resources servers behind agents.
struct Servers {
    by_agent: BTreeMap<String, (Arc<dyn ResourcesServer>, ReverifyMode)>,
}

impl Servers {
    async fn of(local: &Local) -> Self {
        let mut by_agent = BTreeMap::new();
        for agent in local.settings.servers.iter().filter(|server| server.kind == ServerKind::ResponsesApiAgents) {
            let Some(name) = agent.reference("resources_server").map(|reference| reference.name.as_str()) else {
                continue;
            };
            let target: Option<(Arc<dyn ResourcesServer>, ReverifyMode)> = match local.resources.get(name) {
                Some(Resources::Here(service)) => {
                    Some((Arc::new(service.clone()), service.environment().description().reverify))
                }
                Some(Resources::Elsewhere(server)) => match local.settings.server(name).map(|server| &server.place) {
                    Some(Place::Elsewhere { url }) => Some((Arc::clone(server), mode_of(url).await)),
                    _ => None,
                },
                None => None,
            };
            by_agent.extend(target.map(|target| (agent.name.to_string(), target)));
        }
        Self { by_agent }
    }

    fn all_stateless(&self) -> bool {
        self.by_agent.values().all(|(_, mode)| *mode == ReverifyMode::Stateless)
    }
}

/// What a server elsewhere says. One without that route does not say.
async fn mode_of(url: &str) -> ReverifyMode {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build();
    let Ok(client) = client else { return ReverifyMode::Unknown };
    let answer = client.get(format!("{url}/reverify_mode")).send().await.and_then(reqwest::Response::error_for_status);
    let Ok(answer) = answer else { return ReverifyMode::Unknown };
    match answer.text().await.as_deref().map(|text| text.trim().trim_matches('"')) {
        Ok("stateless") => ReverifyMode::Stateless,
        Ok("unsupported") => ReverifyMode::Unsupported,
        _ => ReverifyMode::Unknown,
    }
}

#[async_trait]
impl Verifier for Servers {
    async fn mode(&self, agent: &str) -> Option<ReverifyMode> {
        self.by_agent.get(agent).map(|(_, mode)| *mode)
    }

    async fn verify(&self, agent: &str, body: Bytes) -> Result<Reply, Fault> {
        let (server, _) = self
            .by_agent
            .get(agent)
            .ok_or_else(|| Fault::new(FaultKind::AgentRun, format!("there is no agent `{agent}`")))?;
        let mut session = server.session(&RequestContext::default());
        let reply = session.post(&Route::Verify, body).await;
        session.end().await;
        reply
    }
}

fn show(change: &Change, json: bool) {
    if json {
        println!("{}", json!({"event": "changed", "change": change}));
        return;
    }
    let reward = |reward: Option<f64>| reward.map_or_else(|| "no measurement".to_owned(), |reward| reward.to_string());
    println!(
        "task {} rollout {}: {} -> {} ({})",
        change.task,
        change.rollout,
        reward(change.old_reward),
        reward(change.new_reward),
        change.agent
    );
}

fn report(summary: &Reverified, plan: &ReverifyPlan, metrics: Option<&Path>) {
    eprintln!(
        "{} of {} rollouts graded, {} rewards changed; {} were done before, {} failed, {} have no row among the inputs",
        summary.graded, summary.stored, summary.changed, summary.kept, summary.failed, summary.unmatched
    );
    for (component, count) in &summary.old_components {
        eprintln!("graded before by component {component}: {count}");
    }
    for (agent, provenance) in &plan.provenance {
        if let Some(component) = provenance["component"].as_str() {
            eprintln!("graded now by component    {component} ({agent})");
        }
    }
    eprintln!("rollouts: {}", summary.rollouts_file.display());
    eprintln!("changes:  {}", summary.changes_file.display());
    if summary.failed > 0 {
        eprintln!("failures: {}", summary.failures_file.display());
    }
    if let Some(metrics) = metrics {
        eprintln!("metrics:  {}", metrics.display());
    }
}
