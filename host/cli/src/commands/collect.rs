// SPDX-License-Identifier: Apache-2.0
//! `gym-host collect` and `gym-host eval`: agents work on tasks, rollouts go to disk.

use std::{
    collections::BTreeMap,
    io::{BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use gym_config::{Dataset, Purpose, Settings};
use gym_data::jsonl::Reader;
use gym_protocol::{Raw, ServerKind};
use gym_rollouts::{AgentDispatch, CollectError, CollectPlan, Collector, Dispatch, Observer, Shard, Summary};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{CollectArgs, CollectOptions, ConfigArgs, EvalArgs},
    assemble::{Foundation, StandIns, assemble, provenance},
    configuration,
    failure::{CommandResult, Failure, INTERRUPTED, WITH_FAULTS, chain},
    head_dispatch::HeadDispatch,
    options::HostOptions,
    places::Places,
    progress::Progress,
    prompt_file, report,
    signals::Signals,
};

/// How often a failing rollout is attempted, over all runs; NeMo Gym's variable changes it.
const MAX_ATTEMPTS: u64 = 3;

pub(crate) async fn run(arguments: &CollectArgs, places: &Places, quiet: bool) -> CommandResult {
    let has_config = !arguments.config.configs.is_empty() || !arguments.config.environments.is_empty();
    if has_config && arguments.head.is_some() {
        return Err(Failure::user("--head uses running servers, and a configuration starts servers: give one of them"));
    }
    let mut plan = plan(&arguments.options, arguments.input.clone())?;
    if has_config {
        let (dispatch, from) = local(&arguments.config, places).await?.into_parts();
        plan.provenance = from;
        return collect(plan, dispatch, &arguments.options, quiet).await;
    }
    let head = arguments.head.as_deref().unwrap_or("http://127.0.0.1:11000");
    let dispatch = Arc::new(HeadDispatch::connect(head).await?);
    collect(plan, dispatch, &arguments.options, quiet).await
}

pub(crate) async fn eval(arguments: &EvalArgs, places: &Places, quiet: bool) -> CommandResult {
    let local = local(&arguments.config, places).await?;
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::infrastructure(format!("failed to make a temporary folder: {error}")))?;
    let input = match &arguments.input {
        Some(input) => input.clone(),
        None => collate(&local.settings, &arguments.split, folder.path())?,
    };
    let mut plan = plan(&arguments.options, input)?;
    let (dispatch, from) = local.into_parts();
    plan.provenance = from;
    collect(plan, dispatch, &arguments.options, quiet).await
}

/// Agents in this process.
struct Local {
    settings: Settings,
    dispatch: Arc<dyn Dispatch>,
    provenance: BTreeMap<String, Value>,
}

impl Local {
    fn into_parts(self) -> (Arc<dyn Dispatch>, BTreeMap<String, Value>) {
        (self.dispatch, self.provenance)
    }
}

async fn local(config: &ConfigArgs, places: &Places) -> Result<Local, Failure> {
    let settings = configuration::settings(config, places, Purpose::Serve)?;
    let foundation = Foundation::new(&HostOptions::read(&settings)?, places)?;
    let deployment = assemble(&settings, places, &foundation, &StandIns::new()).await?;
    if deployment.agents.is_empty() {
        return Err(Failure::user("the configuration has no agent that could work on tasks")
            .with_hint("add an instance under `responses_api_agents`"));
    }
    let provenance = provenance(&settings, &deployment);
    let dispatch = Arc::new(AgentDispatch::new(deployment.agents.into_values()));
    Ok(Local { settings, dispatch, provenance })
}

/// The rows of all configured datasets of one type, each with its agent, in one file.
fn collate(settings: &Settings, split: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("{split}.jsonl"));
    let problem =
        |error: std::io::Error| Failure::infrastructure(format!("failed to write {}: {error}", path.display()));
    let mut output = BufWriter::new(std::fs::File::create(&path).map_err(problem)?);
    let mut found = false;
    for server in settings.servers.iter().filter(|server| server.kind == ServerKind::ResponsesApiAgents) {
        for dataset in server.datasets.iter().filter(|dataset| dataset.kind.as_str() == split) {
            found = true;
            let mut reader = Reader::open(&file_of(dataset)?).map_err(|error| Failure::user(chain(&error)))?;
            let agent = Raw::from_value(&json!({"type": server.kind.key(), "name": server.name}));
            while let Some(mut row) = reader.next_row().map_err(|error| Failure::user(chain(&error)))? {
                row.members.set("agent_ref", agent.clone());
                let text = row.members.to_raw();
                for _ in 0..dataset.num_repeats {
                    output.write_all(text.bytes()).and_then(|()| output.write_all(b"\n")).map_err(problem)?;
                }
            }
        }
    }
    output.flush().map_err(problem)?;
    if !found {
        return Err(Failure::user(format!("no agent of the configuration has a dataset of type `{split}`"))
            .with_hint("choose another --split, or give a file with --input"));
    }
    Ok(path)
}

fn file_of(dataset: &Dataset) -> Result<PathBuf, Failure> {
    dataset.path.clone().ok_or_else(|| {
        Failure::user(format!(
            "{}: the file `{}` of the dataset `{}` is not there",
            dataset.origin, dataset.jsonl_fpath, dataset.name
        ))
    })
}

fn plan(options: &CollectOptions, input: PathBuf) -> Result<CollectPlan, Failure> {
    let shard = match &options.shard {
        Some(text) => Some(Shard::parse(text).ok_or_else(|| {
            Failure::user(format!("`{text}` is no shard")).with_hint("write --shard I/N, from 1/N to N/N")
        })?),
        None => None,
    };
    let mut overrides = BTreeMap::new();
    for (name, value) in [
        ("temperature", options.temperature.map(Value::from)),
        ("top_p", options.top_p.map(Value::from)),
        ("max_output_tokens", options.max_output_tokens.map(Value::from)),
    ] {
        if let Some(value) = value {
            overrides.insert(name.to_owned(), value);
        }
    }
    let max_attempts = match std::env::var("NEMO_GYM_MAX_ROLLOUT_ATTEMPTS") {
        Ok(text) => text.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
            Failure::user(format!("NEMO_GYM_MAX_ROLLOUT_ATTEMPTS is `{text}`, which is no positive number"))
        })?,
        Err(_) => MAX_ATTEMPTS,
    };
    Ok(CollectPlan {
        input,
        output: options.output.clone(),
        agent: options.agent.clone(),
        agent_map: BTreeMap::new(),
        num_repeats: options.num_repeats.into(),
        limit: options.limit,
        shard,
        seed_repeats: options.seed_repeats,
        overrides,
        prompt: options.prompt_config.as_deref().map(prompt_file::read).transpose()?,
        concurrency: options.concurrency as usize,
        max_attempts,
        aggregate: !options.disable_aggregation,
        fresh: options.fresh,
        provenance: BTreeMap::new(),
    })
}

async fn collect(
    plan: CollectPlan,
    dispatch: Arc<dyn Dispatch>,
    options: &CollectOptions,
    quiet: bool,
) -> CommandResult {
    let mut signals = Signals::listen()?;
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    let observer: Arc<dyn Observer> = Progress::observer(options.json, quiet);
    let collector = Collector::new(plan, dispatch, observer);
    let work = collector.run(stop.clone(), abort.clone());
    tokio::pin!(work);
    let result = tokio::select! {
        result = &mut work => result,
        () = signals.first() => {
            stop.cancel();
            let end = async {
                tokio::select! {
                    () = signals.second() => {}
                    () = tokio::time::sleep(Duration::from_secs(options.grace)) => {}
                }
                abort.cancel();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                result = &mut work => result,
                () = end => unreachable!("the end of the grace aborts the work, which then returns"),
            }
        }
    };
    let summary = result.map_err(|error| failure(&error))?;
    if !options.json {
        report::print(&summary);
    }
    Ok(exit_code(&summary))
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.stopped {
        ExitCode::from(INTERRUPTED)
    } else if summary.failed > 0 || summary.missing > 0 {
        ExitCode::from(WITH_FAULTS)
    } else {
        ExitCode::SUCCESS
    }
}

fn failure(error: &CollectError) -> Failure {
    let text = chain(error);
    let failure = match error {
        // A path that is wrong is for the user to mend, a disk that is full is not.
        CollectError::File { source, .. }
            if matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            ) =>
        {
            Failure::user(text)
        }
        CollectError::File { .. } | CollectError::Rows(gym_data::jsonl::JsonlError::Write { .. }) => {
            Failure::infrastructure(text)
        }
        _ => Failure::user(text),
    };
    error.hint().into_iter().fold(failure, Failure::with_hint)
}
