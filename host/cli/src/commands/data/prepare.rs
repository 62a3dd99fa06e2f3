// SPDX-License-Identifier: Apache-2.0
//! `gym-host data prepare`: from configured datasets to checked files with an agent in every row.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use gym_config::{DatasetSource, Purpose, ServerSettings, Settings};
use gym_data::prepare::{
    Dataset, DatasetKind, Mode, Preparation, PrepareError, PrepareEvent, Prepared, Slice, prepare,
};
use gym_data::tokens::TokenCounter;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::transfer;
use crate::{
    args::PrepareArgs,
    configuration,
    failure::{CommandResult, Failure, chain, of_file, of_rows},
    gym_options::GymOptions,
    on_runtime,
    places::Places,
    prompt_file,
};

pub(super) fn run(arguments: &PrepareArgs, places: &Places, quiet: bool) -> CommandResult {
    let settings = configuration::settings(&arguments.config, places, Purpose::Data)?;
    let preparation = preparation(arguments, &settings, places)?;
    if arguments.download || GymOptions(&settings).flag("should_download")?.unwrap_or_default() {
        on_runtime(download(arguments, &settings, &preparation, places))?;
    }
    let started = Instant::now();
    let mut watcher = Watcher::new(arguments.json, quiet);
    let result = prepare(&preparation, &mut |event| watcher.event(&event));
    watcher.finish();
    let prepared = result.map_err(|error| failure(&error))?;
    report(&prepared, started.elapsed().as_secs_f64(), arguments.json, quiet);
    Ok(ExitCode::SUCCESS)
}

/// Fetches the datasets that are not there. If one cannot be had, nothing is fetched.
async fn download(
    arguments: &PrepareArgs,
    settings: &Settings,
    preparation: &Preparation,
    places: &Places,
) -> CommandResult {
    let preferred = GymOptions(settings).text("data_source")?.unwrap_or_else(|| "huggingface".to_owned());
    if !matches!(preferred.as_str(), "gitlab" | "huggingface") {
        return Err(Failure::user(format!("`{preferred}` is no source of data"))
            .with_hint("`data_source` is `gitlab` or `huggingface`"));
    }
    let all = settings.servers.iter().flat_map(|server| server.datasets.iter().map(move |dataset| (server, dataset)));
    let mut work = Vec::new();
    let mut missing = Vec::new();
    for (server, dataset) in all.filter(|(_, dataset)| dataset.path.is_none()) {
        let kind = DatasetKind::from_word(dataset.kind.as_str());
        if !kind.is_some_and(|kind| preparation.mode.kinds().contains(&kind)) {
            continue;
        }
        let is_preferred =
            |source: &&DatasetSource| matches!(source, DatasetSource::GitLab { .. }) == (preferred == "gitlab");
        match dataset.sources.iter().find(is_preferred).or_else(|| dataset.sources.first()) {
            Some(source) => {
                work.push((address(source), dataset.kind.as_str(), places.current.join(&dataset.jsonl_fpath)));
            }
            None => missing.push(format!("{}: {} ({})", server.name, dataset.name, dataset.jsonl_fpath)),
        }
    }
    if !missing.is_empty() {
        return Err(failure(&PrepareError::Missing { missing }));
    }
    for (from, split, to) in work {
        // Two datasets may share a file.
        if !to.is_file() {
            transfer::fetch(&from, split, &to, &arguments.config, places).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The place of a source, as `gym-host data pull` reads it.
fn address(source: &DatasetSource) -> String {
    match source {
        DatasetSource::GitLab { dataset_name, version, artifact_fpath } => {
            format!("gitlab:{dataset_name}/{version}/{artifact_fpath}")
        }
        DatasetSource::HuggingFace { repo_id, artifact_fpath: Some(file) } => format!("hf:{repo_id}/{file}"),
        DatasetSource::HuggingFace { repo_id, artifact_fpath: None } => format!("hf:{repo_id}"),
    }
}

fn preparation(arguments: &PrepareArgs, settings: &Settings, places: &Places) -> Result<Preparation, Failure> {
    let gym = GymOptions(settings);
    let mode = arguments.mode.clone().map_or_else(|| gym.text("mode"), |mode| Ok(Some(mode)))?;
    let mode = match mode.as_deref() {
        Some("train_preparation") => Mode::TrainPreparation,
        Some("example_validation") => Mode::ExampleValidation,
        Some(other) => {
            return Err(Failure::user(format!("`{other}` is no mode of preparation"))
                .with_hint("choose `train_preparation` or `example_validation`"));
        }
        None => {
            return Err(Failure::user("no mode is given")
                .with_hint("add --mode example_validation, or --mode train_preparation"));
        }
    };
    let output = match &arguments.output_dir {
        Some(output) => Some(output.clone()),
        None => gym.text("output_dirpath")?.map(PathBuf::from),
    };
    let output = output.ok_or_else(|| {
        Failure::user("no folder for the files of each type is given").with_hint("add --output-dir DIR")
    })?;
    let [start, end] = [(arguments.start_idx, "start_idx"), (arguments.end_idx, "end_idx")]
        .map(|(own, key)| own.map_or_else(|| gym.count(key), |own| Ok(Some(own))));
    let slice = Slice { start: start?, end: end? };
    let overwrite =
        arguments.overwrite_metrics_conflicts || gym.flag("overwrite_metrics_conflicts")?.unwrap_or_default();
    let threads = arguments
        .threads
        .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |threads| threads as usize);
    let tokenizer = match &arguments.tokenizer {
        Some(path) => Some(path.clone()),
        None => gym.text("tokenizer")?.map(PathBuf::from),
    };
    let tokens = tokenizer.map(|path| TokenCounter::load(&path)).transpose().map_err(|error| {
        Failure::user(chain(&error)).with_hint("give the `tokenizer.json` of a model, or the folder that has it")
    })?;
    Ok(Preparation {
        mode,
        datasets: datasets(settings, mode, slice, places)?,
        output,
        overwrite_metrics_conflicts: overwrite,
        keep_invalid_rows: arguments.keep_invalid_rows,
        threads,
        tokens,
    })
}

/// The configured datasets in the mode's scope.
fn datasets(settings: &Settings, mode: Mode, slice: Slice, places: &Places) -> Result<Vec<Dataset>, Failure> {
    let agents = configuration::agents_of_sources(settings);
    let mut datasets = Vec::new();
    for server in &settings.servers {
        for dataset in &server.datasets {
            let kind = DatasetKind::from_word(dataset.kind.as_str()).expect("both crates know the same types");
            if !mode.kinds().contains(&kind) {
                continue;
            }
            let agent = dataset.agent.as_ref().map(ToString::to_string);
            let agent = agent.or_else(|| agents.get(server.name.as_str()).cloned());
            let one = one(server, dataset, kind, slice, settings)?;
            let path = dataset.path.clone().unwrap_or_else(|| places.current.join(&dataset.jsonl_fpath));
            datasets.push(Dataset { agent, path, ..one });
        }
    }
    Ok(datasets)
}

fn one(
    server: &ServerSettings,
    dataset: &gym_config::Dataset,
    kind: DatasetKind,
    slice: Slice,
    settings: &Settings,
) -> Result<Dataset, Failure> {
    let slice = Slice { start: dataset.start_idx.or(slice.start), end: dataset.end_idx.or(slice.end) };
    if let (Some(start), Some(end)) = (slice.start, slice.end)
        && start >= end
    {
        return Err(Failure::user(format!(
            "{}: no row of the dataset `{}` is from {start} on and before {end}",
            dataset.origin, dataset.name
        )));
    }
    let prompt = dataset.prompt_config.as_deref().map(|path| {
        let found = settings.composed().roots().find(path);
        prompt_file::read(found.as_deref().unwrap_or(Path::new(path)))
    });
    let (source, gitlab_identifier, huggingface_identifier) = sources(&dataset.sources);
    Ok(Dataset {
        taskset: dataset.taskset.clone(),
        num_repeats: dataset.num_repeats,
        slice,
        prompt: prompt.transpose()?,
        prompt_config: dataset.prompt_config.clone(),
        prepare_script: dataset.prepare_script.clone(),
        source,
        gitlab_identifier,
        huggingface_identifier,
        license: dataset.license.clone(),
        ..Dataset::new(server.name.as_str(), &dataset.name, kind, &dataset.jsonl_fpath, "")
    })
}

/// `source`, `gitlab_identifier` and `huggingface_identifier` as NeMo Gym states them in files of statistics: a single
/// place is stated in the new and in the old way, two places only in the old one.
fn sources(sources: &[DatasetSource]) -> (Option<Value>, Option<Value>, Option<Value>) {
    let (mut source, mut gitlab, mut hugging_face) = (None, None, None);
    for one in sources {
        match one {
            DatasetSource::GitLab { dataset_name, version, artifact_fpath } => {
                source = Some(json!({"type": "gitlab", "dataset_name": dataset_name, "version": version,
                    "artifact_fpath": artifact_fpath}));
                gitlab = Some(json!({"dataset_name": dataset_name, "version": version,
                    "artifact_fpath": artifact_fpath}));
            }
            DatasetSource::HuggingFace { repo_id, artifact_fpath } => {
                source = Some(json!({"type": "huggingface", "repo_id": repo_id, "artifact_fpath": artifact_fpath}));
                hugging_face = Some(json!({"repo_id": repo_id, "artifact_fpath": artifact_fpath}));
            }
        }
    }
    (source.filter(|_| sources.len() == 1), gitlab, hugging_face)
}

/// Shows what happens.
struct Watcher {
    json: bool,
    bar: Option<ProgressBar>,
}

impl Watcher {
    fn new(json: bool, quiet: bool) -> Self {
        let bar = (!json && !quiet && std::io::stderr().is_terminal()).then(|| {
            let style =
                ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}  {msg}");
            let bar = ProgressBar::new(0);
            bar.set_style(style.expect("the template is well-formed"));
            bar
        });
        Self { json, bar }
    }

    fn event(&mut self, event: &PrepareEvent<'_>) {
        match event {
            PrepareEvent::Dataset(dataset) => {
                if let Some(bar) = &self.bar {
                    bar.reset();
                    bar.set_length(std::fs::metadata(&dataset.path).map_or(0, |data| data.len()));
                    bar.set_message(format!("{dataset:?}"));
                }
            }
            PrepareEvent::Progress { bytes, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(*bytes);
                }
            }
            PrepareEvent::Problem(problem) if self.json => {
                let line = json!({"event": "problem", "path": problem.path, "line": problem.line,
                    "field": problem.field, "reason": problem.reason});
                println!("{line}");
            }
            PrepareEvent::Problem(problem) => match &self.bar {
                Some(bar) => bar.println(problem.to_string()),
                None => eprintln!("{problem}"),
            },
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn report(prepared: &Prepared, seconds: f64, json: bool, quiet: bool) {
    let rate = prepared.bytes as f64 / 1e6 / seconds.max(1e-9);
    let files: Vec<(&str, &PathBuf)> = prepared.files.iter().map(|(kind, path)| (kind.as_str(), path)).collect();
    if json {
        let files: serde_json::Map<String, Value> =
            files.into_iter().map(|(kind, path)| (kind.to_owned(), json!(path))).collect();
        let line = json!({"event": "finished", "rows": prepared.rows, "invalid_rows": prepared.invalid_rows,
            "bytes": prepared.bytes, "seconds": seconds, "mb_per_second": rate, "files": files,
            "overwritten": prepared.overwritten});
        println!("{line}");
        return;
    }
    for (kind, path) in files {
        println!("{kind:<12} {}", path.display());
    }
    for path in &prepared.overwritten {
        eprintln!("{} said something else and was written anew", path.display());
    }
    if !quiet {
        let invalid = match prepared.invalid_rows {
            0 => String::new(),
            count => format!(", {count} of them not right"),
        };
        eprintln!(
            "{} rows{invalid}, {:.1} MB in {seconds:.2} s: {rate:.0} MB/s",
            prepared.rows,
            prepared.bytes as f64 / 1e6
        );
    }
}

fn failure(error: &PrepareError) -> Failure {
    let text = chain(error);
    let failure = match error {
        PrepareError::File { source, .. } => of_file(text, source),
        PrepareError::Rows(error) => of_rows(error),
        PrepareError::Missing { missing } => Failure::user(format!(
            "{} of the datasets are not there; nothing was done\n  {}",
            missing.len(),
            missing.join("\n  ")
        )),
        PrepareError::Conflicts { files } => {
            let mut text = "statistics differ from those that are there; no rows were written".to_owned();
            for (path, differences) in files {
                text.push_str(&format!("\n{}:", path.display()));
                for difference in differences {
                    text.push_str(&format!("\n  {difference}"));
                }
            }
            Failure::user(text)
        }
        _ => Failure::user(text),
    };
    match error {
        PrepareError::Conflicts { .. } => failure.with_hint(
            "what was computed is in the `_conflict.json` beside each file; if the data changed on purpose, add \
             --overwrite-metrics-conflicts",
        ),
        error => error.hint().into_iter().fold(failure, Failure::with_hint),
    }
}
