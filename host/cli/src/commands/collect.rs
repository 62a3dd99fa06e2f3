// SPDX-License-Identifier: Apache-2.0
//! `gym-host collect` and `gym-host eval`: agents work on tasks, rollouts go to disk.

mod plan;

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use gym_config::{Dataset, Purpose, Settings};
use gym_data::jsonl::Reader;
use gym_protocol::Raw;
use gym_rollouts::{CollectError, CollectPlan, Collector, Dispatch, Observer, Summary};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{CollectArgs, CollectOptions, EvalArgs},
    configuration,
    failure::{CommandResult, Failure, INTERRUPTED, WITH_FAULTS, chain, of_file, of_rows},
    gym_options::GymOptions,
    head_dispatch::{DEFAULT_HEAD, HeadDispatch},
    local::Local,
    places::Places,
    progress::Display,
    prompt_file, report,
    signals::Signals,
};

pub(crate) async fn run(arguments: &CollectArgs, places: &Places, quiet: bool) -> CommandResult {
    let named = |config: &String| config.trim_start_matches('+').starts_with("config_paths");
    let config = &arguments.config;
    let has_config =
        !config.configs.is_empty() || !config.environments.is_empty() || config.overrides.iter().any(named);
    if has_config && arguments.head.is_some() {
        return Err(Failure::user("--head uses running servers, and a configuration starts servers: give one of them"));
    }
    if has_config {
        let local = Local::start(config, places).await?;
        let mut plan = plan::plan(&arguments.options, arguments.input.clone(), &local.settings)?;
        plan.provenance = local.provenance;
        return collect(plan, local.dispatch, &arguments.options, quiet).await;
    }
    let settings = configuration::settings(config, places, Purpose::Data)?;
    let mut plan = plan::plan(&arguments.options, arguments.input.clone(), &settings)?;
    let head = arguments.head.as_deref().unwrap_or(DEFAULT_HEAD);
    let dispatch = HeadDispatch::connect(head).await?;
    plan.provenance = dispatch.provenance().await;
    collect(plan, Arc::new(dispatch), &arguments.options, quiet).await
}

pub(crate) async fn eval(arguments: &EvalArgs, places: &Places, quiet: bool) -> CommandResult {
    let local = Local::start(&arguments.config, places).await?;
    let gym = GymOptions(&local.settings);
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::infrastructure(format!("failed to make a temporary folder: {error}")))?;
    let input = match arguments.input.clone() {
        Some(input) => input,
        None => match gym.text("input_jsonl_fpath")? {
            Some(input) => input.into(),
            None => {
                let split = arguments.split.clone().map_or_else(|| gym.text("split"), |split| Ok(Some(split)))?;
                collate(&local.settings, split.as_deref().unwrap_or("example"), folder.path())?
            }
        },
    };
    let mut plan = plan::plan(&arguments.options, Some(input), &local.settings)?;
    plan.provenance = local.provenance;
    collect(plan, local.dispatch, &arguments.options, quiet).await
}

/// The rows of all configured datasets of one type, each with its agent, in one file.
fn collate(settings: &Settings, split: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("{split}.jsonl"));
    let problem = |error: std::io::Error| of_file(format!("failed to write {}: {error}", path.display()), &error);
    let mut output = BufWriter::new(std::fs::File::create(&path).map_err(problem)?);
    let agents = configuration::agents_of_sources(settings);
    let tasksets = configuration::agents_of_tasksets(settings);
    let mut found = false;
    for server in &settings.servers {
        for dataset in server.datasets.iter().filter(|dataset| dataset.kind.as_str() == split) {
            found = true;
            let agent = dataset.agent.as_ref().map(ToString::to_string);
            let of_set = dataset.taskset.as_ref().and_then(|taskset| tasksets.get(taskset));
            let agent = agent.or_else(|| of_set.or_else(|| agents.get(server.name.as_str())).cloned());
            let agent = agent.map(|name| Raw::from_value(&json!({"type": "responses_api_agents", "name": name})));
            let prompt = dataset.prompt_config.as_deref().map(|path| {
                let found = settings.composed().roots().find(path);
                prompt_file::read(found.as_deref().unwrap_or(Path::new(path)))
            });
            let prompt = prompt.transpose()?;
            let file = file_of(dataset)?;
            let mut reader = Reader::open(&file).map_err(|error| of_rows(&error))?;
            let (start, end) = (dataset.start_idx.unwrap_or(0), dataset.end_idx.unwrap_or(u64::MAX));
            for index in 0..end {
                let Some(mut row) = reader.next_row().map_err(|error| of_rows(&error))? else { break };
                if index < start {
                    continue;
                }
                if let Some(prompt) = &prompt {
                    prompt
                        .apply(&mut row.members)
                        .map_err(|error| Failure::user(format!("{}:{}: {error}", file.display(), row.line)))?;
                }
                if let Some(agent) = &agent {
                    row.members.set("agent_ref", agent.clone());
                }
                row.members.set("task_source", Raw::from_value(server.name.as_str()));
                let text = row.members.to_raw();
                for _ in 0..dataset.num_repeats {
                    output.write_all(text.bytes()).and_then(|()| output.write_all(b"\n")).map_err(problem)?;
                }
            }
        }
    }
    output.flush().map_err(problem)?;
    if !found {
        return Err(Failure::user(format!("the configuration has no dataset of type `{split}`"))
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
        .with_hint("`gym-host data pull` fetches datasets that say where they can be had")
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
    let display = Arc::new(Display::new(options.json, quiet));
    let collector = Collector::new(plan, dispatch, Arc::clone(&display) as Arc<dyn Observer>);
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
    display.end()?;
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

pub(super) fn failure(error: &CollectError) -> Failure {
    let text = chain(error);
    let failure = match error {
        CollectError::File { source, .. } => of_file(text, source),
        CollectError::Rows(error) => of_rows(error),
        _ => Failure::user(text),
    };
    match error.hint() {
        Some(hint) if failure.hint.is_none() => failure.with_hint(hint),
        Some(hint) => {
            let own = failure.hint.clone().unwrap_or_default();
            failure.with_hint(format!("{own}; {hint}"))
        }
        None => failure,
    }
}
