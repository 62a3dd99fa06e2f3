// SPDX-License-Identifier: Apache-2.0
//! `gym-host profile`: what rollouts say of tasks.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use gym_reports::{Band, Filter, Profile, Reader, SubsetError, csv, html, table, write_subset};
use gym_rollouts::{Files, reward_profile};

use crate::{
    args::ProfileArgs,
    commands::collect::failure,
    failure::{CommandResult, Failure, chain, of_file, of_rows},
    patterns,
};

/// What files and options in NeMo Gym's way name.
struct Inputs {
    rollouts: Vec<PathBuf>,
    rows: Option<PathBuf>,
    partial: bool,
}

pub(crate) fn run(arguments: &ProfileArgs) -> CommandResult {
    let filter = filter(arguments);
    if arguments.subset.is_none() && !filter.is_empty() {
        return Err(Failure::user("tasks are chosen, but nothing is done with them").with_hint("add --subset FILE"));
    }
    let inputs = inputs(arguments)?;
    let mut reader = Reader::default();
    for path in &inputs.rollouts {
        reader.read(path).map_err(|error| of_rows(&error))?;
    }
    let profile = Profile::new(&reader, arguments.bands);
    let names: Vec<String> = inputs.rollouts.iter().map(|path| path.display().to_string()).collect();
    if profile.tasks.is_empty() {
        return Err(Failure::user(format!("{} has no rollouts", names.join(", ")))
            .with_hint("rollouts are rows with `_ng_task_index`, or with the prompt that they answer"));
    }
    let json = serde_json::to_string_pretty(&profile).expect("plain data serialises") + "\n";
    let to_stdout = arguments.json.as_deref() == Some(Path::new("-"));
    for (path, content) in [
        (arguments.json.as_ref().filter(|_| !to_stdout), Some(&json)),
        (arguments.csv.as_ref(), arguments.csv.as_ref().map(|_| csv(&profile)).as_ref()),
        (arguments.html.as_ref(), arguments.html.as_ref().map(|_| html(&profile, &names.join(", "))).as_ref()),
    ] {
        if let (Some(path), Some(content)) = (path, content) {
            write(path, content)?;
        }
    }
    if let Some(output) = &arguments.subset {
        let rows = inputs.rows.as_deref().ok_or_else(|| {
            Failure::user("the rows that were run are not beside the rollouts")
                .with_hint("name them with --inputs FILE")
        })?;
        let count = write_subset(&profile, &filter, rows, output).map_err(|error| match &error {
            SubsetError::Rows(error) => of_rows(error),
            SubsetError::File { source, .. } => of_file(chain(&error), source),
        })?;
        eprintln!("wrote    {} ({count} tasks of {})", output.display(), profile.tasks.len());
    }
    // NeMo Gym's files are made of numbered rollouts only.
    let no_gym_files = arguments.no_gym_files || profile.by_prompt > 0;
    if let ([rollouts], Some(rows), false) = (inputs.rollouts.as_slice(), &inputs.rows, no_gym_files) {
        let files = reward_profile(rollouts, rows, inputs.partial).map_err(|error| failure(&error))?;
        for path in [&files.tasks, &files.agents, &files.repeats] {
            eprintln!("wrote    {}", path.display());
        }
    }
    if to_stdout {
        print!("{json}");
    } else {
        print!("{}", table(&profile, arguments.tasks));
    }
    for (count, what) in [
        (profile.twice, "were passed over: they were there already"),
        (profile.without_key, "were passed over: they have neither `_ng_task_index` nor a prompt"),
        (profile.by_prompt, "have no `_ng_task_index`: those with the same prompt were taken for one task"),
    ] {
        if count > 0 {
            eprintln!("note: {count} of {} rows {what}", profile.rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn filter(arguments: &ProfileArgs) -> Filter {
    Filter {
        bands: arguments.band.iter().filter_map(|name| Band::from_name(name)).collect(),
        agent: arguments.agent.clone(),
        min_mean: arguments.min_mean,
        max_mean: arguments.max_mean,
        min_std: arguments.min_std,
        min_rollouts: arguments.min_rollouts,
        min_calls: arguments.min_calls,
        max_calls: arguments.max_calls,
    }
}

fn inputs(arguments: &ProfileArgs) -> Result<Inputs, Failure> {
    let mut names = arguments.rollouts.clone();
    let mut rows = arguments.inputs.clone();
    let mut partial = arguments.partial;
    for text in &arguments.files {
        match text.trim_start_matches('+').split_once('=') {
            Some(("rollouts_jsonl_fpath", path)) => names.push(path.to_owned()),
            Some(("materialized_inputs_jsonl_fpath", path)) => rows = Some(path.into()),
            Some(("allow_partial_rollouts", flag)) => partial |= flag.eq_ignore_ascii_case("true"),
            Some((key, _)) if text.starts_with('+') => {
                return Err(Failure::user(format!("`{key}` is no option of a profile"))
                    .with_hint("`gym-host profile --help` lists them"));
            }
            _ => names.push(text.clone()),
        }
    }
    let rollouts = patterns::files(&names, None)?;
    // Beside a single file of rollouts lie the rows that were run.
    if let (None, [only]) = (&rows, rollouts.as_slice()) {
        rows = Some(Files::of(only).inputs).filter(|path| path.is_file());
    }
    Ok(Inputs { rollouts, rows, partial })
}

/// Writes a whole file or none.
fn write(path: &Path, content: &str) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!("{name}.partial"));
    std::fs::write(&partial, content).and_then(|()| std::fs::rename(&partial, path)).map_err(|error| {
        // The part that was written is of no use; the error that matters is the first one.
        std::fs::remove_file(&partial).ok();
        of_file(format!("failed to write {}: {error}", path.display()), &error)
    })?;
    eprintln!("wrote    {}", path.display());
    Ok(())
}
