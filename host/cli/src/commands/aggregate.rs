// SPDX-License-Identifier: Apache-2.0
//! `gym-host aggregate` and `gym-host merge`: metrics and files of rollouts that are there.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use gym_config::Purpose;
use gym_rollouts::{Dispatch, Files, PlainMetrics};
use serde_json::{Map, Value};

use crate::{
    args::{AggregateArgs, MergeArgs},
    commands::collect::failure,
    configuration,
    failure::{CommandResult, Failure, WITH_FAULTS},
    gym_options::GymOptions,
    head_dispatch::HeadDispatch,
    local::Local,
    patterns,
    places::Places,
};

pub(crate) async fn run(arguments: &AggregateArgs, places: &Places) -> CommandResult {
    let config = &arguments.config;
    let settings = configuration::settings(config, places, Purpose::Data)?;
    let gym = GymOptions(&settings);
    let mut inputs = arguments.input.clone();
    if inputs.is_empty() {
        inputs.extend(gym.text("input_glob")?);
    }
    let output = match &arguments.output {
        Some(output) => Some(output.clone()),
        None => gym.text("output_jsonl_fpath")?.map(PathBuf::from),
    };
    let merges = !arguments.no_merge && gym.flag("merge_shards")? != Some(false);
    let files = patterns::files(&inputs, output.as_deref())?;
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::infrastructure(format!("failed to make a temporary folder: {error}")))?;
    let (rollouts, output) = match (files.as_slice(), output) {
        ([file], None) => (file.clone(), file.clone()),
        (_, None) => {
            return Err(Failure::user(format!("there are {} files and no output", files.len()))
                .with_hint("add --output FILE: the metrics go beside it"));
        }
        (files, Some(output)) if merges => {
            let count = gym_rollouts::merge_all(files, &output).map_err(|error| failure(&error))?;
            eprintln!("rollouts: {} ({count} of {} files)", output.display(), files.len());
            (output.clone(), output)
        }
        (files, Some(output)) => {
            let merged = folder.path().join("all.jsonl");
            gym_rollouts::merge(files, &merged).map_err(|error| failure(&error))?;
            (merged, output)
        }
    };
    if std::fs::metadata(&rollouts).is_ok_and(|data| data.len() == 0) {
        return Err(
            Failure::user(format!("{} has no rows", rollouts.display())).with_hint("there is nothing to measure")
        );
    }
    let dispatch: Arc<dyn Dispatch> = if let Some(head) = &arguments.head {
        Arc::new(HeadDispatch::connect(head).await?)
    } else if names_servers(arguments) {
        Local::without_policy(config, places).await?.dispatch
    } else {
        eprintln!(
            "note: no environment is configured, so these are the metrics that all have in common; --environment or \
             --config adds pass@k and the environments' own"
        );
        Arc::new(PlainMetrics)
    };
    let metrics = Files::of(&output).metrics;
    let errors =
        gym_rollouts::aggregate(&rollouts, &metrics, dispatch.as_ref()).await.map_err(|error| failure(&error))?;
    let unreadable = |error| Failure::infrastructure(format!("failed to read {}: {error}", metrics.display()));
    if arguments.json {
        let mut file = std::fs::File::open(&metrics).map_err(unreadable)?;
        std::io::copy(&mut file, &mut std::io::stdout()).map_err(unreadable)?;
        println!();
    } else {
        print(&gym_rollouts::headlines(&metrics).map_err(unreadable)?);
    }
    eprintln!("metrics:  {}", metrics.display());
    for (agent, error) in &errors {
        eprintln!("error: no metrics of `{agent}`: {error}");
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(WITH_FAULTS) })
}

fn names_servers(arguments: &AggregateArgs) -> bool {
    let config = &arguments.config;
    let named = |text: &String| text.trim_start_matches('+').starts_with("config_paths");
    !config.configs.is_empty() || !config.environments.is_empty() || config.overrides.iter().any(named)
}

/// The headlines of each agent.
fn print(headlines: &[(String, Map<String, Value>)]) {
    for (agent, metrics) in headlines {
        println!("{agent}");
        for (name, value) in metrics {
            println!("  {name:<50} {value}");
        }
    }
}

pub(crate) fn merge(arguments: &MergeArgs) -> CommandResult {
    let files = patterns::files(&arguments.inputs, Some(&arguments.output))?;
    let count = gym_rollouts::merge_all(&files, &arguments.output).map_err(|error| failure(&error))?;
    println!("{count} rollouts of {} files: {}", files.len(), arguments.output.display());
    Ok(ExitCode::SUCCESS)
}
