// SPDX-License-Identifier: Apache-2.0
//! `gym-host data push`, `pull` and `list`: datasets elsewhere.

use std::{path::Path, process::ExitCode};

use gym_config::Purpose;
use gym_datasets::{Address, DatasetError, GitLab, HuggingFace, Settings, Store, Token};
use serde::Serialize;

use crate::{
    args::{ConfigArgs, ListArgs, PullArgs, PushArgs},
    configuration,
    failure::{CommandResult, Failure, chain, of_file},
    gym_options::GymOptions,
    places::Places,
};

pub(super) async fn push(arguments: &PushArgs, places: &Places) -> CommandResult {
    let to = address(&arguments.to)?;
    let mut settings = settings(&to, &arguments.config, places)?;
    settings.hugging_face.public = arguments.public;
    settings.hugging_face.create_pr = arguments.create_pr;
    let pushed = store(settings)?.push(&arguments.file, &to).await.map_err(|error| failure(&error))?;
    if arguments.json {
        return print_json(&pushed);
    }
    println!("{}", pushed.address);
    let how = if pushed.already_there { "it was there already" } else { "sent" };
    let checked = if pushed.verified { "checksum compared" } else { "the place tells no checksum" };
    eprintln!("{}, {how}, {checked}, SHA-256 {}", bytes(pushed.size), pushed.sha256);
    if let Some(page) = &pushed.page {
        eprintln!("{page}");
    }
    eprintln!("hint: `gym-host data pull {}` fetches it", pushed.address);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn pull(arguments: &PullArgs, places: &Places) -> CommandResult {
    let from = address(&arguments.from)?;
    let store = store(settings(&from, &arguments.config, places)?)?;
    let pulled = store.pull(&from, &arguments.output, arguments.force).await.map_err(|error| failure(&error))?;
    if arguments.json {
        return print_json(&pulled);
    }
    println!("{}", pulled.path.display());
    let how = if pulled.already_there { "it was there already" } else { "fetched" };
    let checked = if pulled.verified { "checksum compared" } else { "the place tells no checksum" };
    eprintln!("{}, {how}, {checked}, SHA-256 {}", bytes(pulled.size), pulled.sha256);
    Ok(ExitCode::SUCCESS)
}

/// Fetches the file of one place to a path; of a dataset of the hub without a file, that of the split.
pub(super) async fn fetch(
    from: &str,
    split: &str,
    to: &Path,
    config: &ConfigArgs,
    places: &Places,
) -> Result<(), Failure> {
    let from = address(from)?;
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| of_file(format!("failed to make {}: {error}", folder.display()), &error))?;
    }
    let store = store(settings(&from, config, places)?)?;
    let from = store.of_split(&from, split).await.map_err(|error| failure(&error))?;
    let pulled = store.pull(&from, to, false).await.map_err(|error| failure(&error))?;
    eprintln!("fetched  {} ({}) from {from}", pulled.path.display(), bytes(pulled.size));
    Ok(())
}

pub(super) async fn list(arguments: &ListArgs, places: &Places) -> CommandResult {
    let place = address(&arguments.place)?;
    let store = store(settings(&place, &arguments.config, places)?)?;
    let entries = store.list(&place).await.map_err(|error| failure(&error))?;
    for entry in &entries {
        if arguments.json {
            print_json(entry)?;
            continue;
        }
        match entry.size {
            Some(size) => println!("{:>10}  {}", bytes(size), entry.address),
            None => println!("{}", entry.address),
        }
    }
    if entries.is_empty() {
        eprintln!("{place} has nothing");
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(value: &impl Serialize) -> CommandResult {
    let text = serde_json::to_string(value).map_err(|error| Failure::infrastructure(error.to_string()))?;
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn address(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error: gym_datasets::AddressError| {
        Failure::user(error.to_string()).with_hint("write gitlab:NAME/VERSION/FILE, hf:OWNER/NAME/FILE or a path")
    })
}

fn store(settings: Settings) -> Result<Store, Failure> {
    Store::new(settings).map_err(|error| failure(&error))
}

/// Addresses and tokens: from the configuration under NeMo Gym's names, else from the environment variables that the
/// clients of GitLab and the hub read.
fn settings(address: &Address, config: &ConfigArgs, places: &Places) -> Result<Settings, Failure> {
    if matches!(address, Address::Path(_)) {
        return Ok(Settings::default());
    }
    let composed = configuration::settings(config, places, Purpose::Data)?;
    let options = GymOptions(&composed);
    let text = |key: &str| -> Result<Option<String>, Failure> {
        let configured = options.text(key)?.filter(|text| !text.trim().is_empty());
        Ok(configured.or_else(|| std::env::var(key.to_ascii_uppercase()).ok().filter(|text| !text.trim().is_empty())))
    };
    let token = |key: &str| -> Result<Option<Token>, Failure> { Ok(text(key)?.as_deref().and_then(Token::new)) };
    Ok(Settings {
        gitlab: GitLab { tracking_uri: text("mlflow_tracking_uri")?, tracking_token: token("mlflow_tracking_token")? },
        hugging_face: HuggingFace {
            endpoint: text("hf_endpoint")?,
            token: token("hf_token")?,
            ..HuggingFace::default()
        },
        memory: Some(places.cache().join("uploads")),
    })
}

fn failure(error: &DatasetError) -> Failure {
    let text = chain(error);
    if let DatasetError::File { source, .. } = error {
        return of_file(text, source);
    }
    let failure = if error.is_users() { Failure::user(text) } else { Failure::infrastructure(text) };
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// A size for people.
fn bytes(size: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = size as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{size} B") } else { format!("{value:.1} {}", units[unit]) }
}
