// SPDX-License-Identifier: Apache-2.0
//! Pushing, pulling and listing, wherever it is.

use std::path::{Path, PathBuf};

use crate::{
    address::Address,
    error::DatasetError,
    folder, gitlab,
    http::{Client, Patience},
    hub,
    local::{self, Digests, Expected},
    secret::Token,
};

/// How the places of datasets are reached.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// GitLab's registry.
    pub gitlab: GitLab,
    /// The hub.
    pub hugging_face: HuggingFace,
    /// Where uploads that were cut off are remembered; without it they begin anew.
    pub memory: Option<PathBuf>,
}

/// GitLab's registry. The names in `env.yaml` are NeMo Gym's.
#[derive(Clone, Debug, Default)]
pub struct GitLab {
    /// `mlflow_tracking_uri`: `https://gitlab.example/api/v4/projects/ID/ml/mlflow`.
    pub tracking_uri: Option<String>,
    /// `mlflow_tracking_token`.
    pub tracking_token: Option<Token>,
}

/// The hub.
#[derive(Clone, Debug, Default)]
pub struct HuggingFace {
    /// `hf_endpoint`; the public hub if it is not set.
    pub endpoint: Option<String>,
    /// `hf_token`. Public datasets can be pulled without one.
    pub token: Option<Token>,
    /// Make new datasets public.
    pub public: bool,
    /// Propose the change rather than making it.
    pub create_pr: bool,
}

/// One thing that is listed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// Its address.
    pub address: String,
    /// Its size in bytes, of files.
    pub size: Option<u64>,
    /// SHA-256 in hexadecimal digits, if the place knows it.
    pub sha256: Option<String>,
    #[serde(skip)]
    pub(crate) git: Option<String>,
    #[serde(skip)]
    pub(crate) file: Option<String>,
}

impl Entry {
    pub(crate) fn place(address: impl ToString) -> Self {
        Self { address: address.to_string(), size: None, sha256: None, git: None, file: None }
    }
}

/// A file that was pushed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Pushed {
    /// Where it is now; `gym-host data pull` takes it.
    pub address: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Whether the place had it already.
    pub already_there: bool,
    /// Whether the place's own checksum was compared.
    pub verified: bool,
    /// Where a person can look at the change.
    pub page: Option<String>,
}

/// A file that was pulled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Pulled {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Whether it was there already.
    pub already_there: bool,
    /// Whether the place told a checksum to compare with.
    pub verified: bool,
}

/// All places.
#[derive(Debug)]
pub struct Store {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
}

impl Store {
    /// Makes no connection yet.
    pub fn new(settings: Settings) -> Result<Self, DatasetError> {
        Self::with_patience(settings, Patience::default())
    }

    pub(crate) fn with_patience(settings: Settings, patience: Patience) -> Result<Self, DatasetError> {
        Ok(Self { settings, client: Client::new(patience)? })
    }

    /// What is at a place: datasets, versions or files, as far as the address goes.
    pub async fn list(&self, address: &Address) -> Result<Vec<Entry>, DatasetError> {
        match address {
            Address::GitLab { .. } => gitlab::Registry::of(self)?.list(address).await,
            Address::HuggingFace { .. } => hub::Hub::of(self).list(address).await,
            Address::Path(path) => folder::list(path),
        }
    }

    /// Sends a file. An address without a file, and a folder, take the file's own name.
    pub async fn push(&self, file: &Path, to: &Address) -> Result<Pushed, DatasetError> {
        let own = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match to {
            Address::GitLab { name, version, file: path } => {
                let lacking =
                    |what: &str| DatasetError::Incomplete { address: to.to_string(), lacking: what.to_owned() };
                let name = name.as_deref().ok_or_else(|| lacking("the dataset's name"))?;
                let version = version.as_deref().ok_or_else(|| lacking("the version"))?;
                let path = path.as_deref().unwrap_or(&own);
                gitlab::Registry::of(self)?.push(file, name, version, path).await
            }
            Address::HuggingFace { owner, name, revision, file: path } => {
                let name = name.as_deref().ok_or_else(|| DatasetError::Incomplete {
                    address: to.to_string(),
                    lacking: "the dataset's name".to_owned(),
                })?;
                let repo = hub::Repo { owner, name, revision: revision.as_deref().unwrap_or("main") };
                hub::Hub::of(self).push(file, &repo, path.as_deref().unwrap_or(&own)).await
            }
            Address::Path(path) => folder::push(file, path),
        }
    }

    /// Fetches a file. If the address names none, the place must have one only. `target` is a file or a folder; an
    /// existing file with other content is overwritten only by `force`.
    pub async fn pull(&self, from: &Address, target: &Path, force: bool) -> Result<Pulled, DatasetError> {
        let entry = self.one_file(from).await?;
        let file = entry.file.clone().unwrap_or_default();
        let target = if target.is_dir() {
            target.join(Path::new(&file).file_name().unwrap_or_default())
        } else {
            target.to_owned()
        };
        let expected = Expected { size: entry.size, sha256: entry.sha256.clone(), git: entry.git.clone() };
        if target.exists() {
            let found = local::digests(&target).map_err(local::problem(&target))?;
            if expected.content().is_some() && expected.check("", &found).is_ok() {
                return Ok(pulled(target, found, true, true));
            }
            if !force {
                return Err(DatasetError::Exists { path: target.display().to_string() });
            }
        }
        let found = match from {
            Address::GitLab { name, version, .. } => {
                let (name, version) = (name.as_deref().unwrap_or_default(), version.as_deref().unwrap_or_default());
                gitlab::Registry::of(self)?.pull(name, version, &file, &target, &expected).await?
            }
            Address::HuggingFace { owner, name, revision, .. } => {
                let name = name.as_deref().unwrap_or_default();
                let repo = hub::Repo { owner, name, revision: revision.as_deref().unwrap_or("main") };
                hub::Hub::of(self).pull(&repo, &file, &target, &expected).await?
            }
            Address::Path(path) => folder::pull(path, &file, &target, &expected)?,
        };
        let verified = expected.content().is_some();
        Ok(pulled(target, found, false, verified))
    }

    /// The file of a split, as `train`, in a dataset of the hub of which no file is named: the only file of rows with a
    /// word of that split in its path, or else the only file of rows, if its path has no word of any split and the split
    /// is `train` (so the hub's own library sees it). An address of another kind, or with a file, is the answer itself.
    pub async fn of_split(&self, from: &Address, split: &str) -> Result<Address, DatasetError> {
        let Address::HuggingFace { owner, name: Some(name), revision, file: None } = from else {
            return Ok(from.clone());
        };
        let files = self.list(from).await?.into_iter().filter_map(|entry| entry.file);
        let files: Vec<String> = files.filter(|file| file.ends_with(".jsonl")).collect();
        let split_of = |file: &String| {
            let mut words = file.split(|character: char| !character.is_ascii_alphanumeric()).rev();
            words.find_map(|word| {
                SPLITS
                    .iter()
                    .find(|(_, words)| words.contains(&word.to_ascii_lowercase().as_str()))
                    .map(|(name, _)| *name)
            })
        };
        let mut own: Vec<&String> = files.iter().filter(|file| split_of(file) == Some(split)).collect();
        if own.is_empty() && split == "train" {
            own = files.iter().filter(|file| split_of(file).is_none()).collect();
        }
        match own.as_slice() {
            [file] => Ok(Address::HuggingFace {
                owner: owner.clone(),
                name: Some(name.clone()),
                revision: revision.clone(),
                file: Some((*file).clone()),
            }),
            found => {
                let lacking = match (found, files.len()) {
                    (_, 0) => "a file of rows (.jsonl)".to_owned(),
                    ([], count) => {
                        format!("which of {count} files is the split `{split}`: {}", first(&mut files.iter()))
                    }
                    (several, _) => format!(
                        "which of the {} files of the split `{split}`: {}",
                        several.len(),
                        first(&mut several.iter().copied())
                    ),
                };
                Err(DatasetError::Incomplete { address: from.to_string(), lacking })
            }
        }
    }

    /// The file that an address means.
    async fn one_file(&self, from: &Address) -> Result<Entry, DatasetError> {
        let lacking = |lacking: String| DatasetError::Incomplete { address: from.to_string(), lacking };
        match from {
            Address::GitLab { name: None, .. } | Address::HuggingFace { name: None, .. } => {
                return Err(lacking("the dataset's name".to_owned()));
            }
            Address::GitLab { version: None, .. } => return Err(lacking("the version".to_owned())),
            // Where the registry cannot list files, a file that is named can be fetched all the same.
            Address::GitLab { name: Some(name), version: Some(version), file: Some(file) } => {
                let known = gitlab::Registry::of(self)?.files(name, version).await?;
                let found = known.into_iter().flatten().find(|entry| entry.file.as_ref() == Some(file));
                return Ok(found.unwrap_or_else(|| Entry { file: Some(file.clone()), ..Entry::place(from) }));
            }
            Address::HuggingFace { owner, name: Some(name), revision, file: Some(file) } => {
                let repo = hub::Repo { owner, name, revision: revision.as_deref().unwrap_or("main") };
                return hub::Hub::of(self).look(&repo, file).await;
            }
            _ => {}
        }
        let mut files: Vec<Entry> = self.list(from).await?.into_iter().filter(|entry| entry.file.is_some()).collect();
        let is_rows = |entry: &Entry| entry.file.as_ref().is_some_and(|file| file.ends_with(".jsonl"));
        if files.iter().filter(|entry| is_rows(entry)).count() == 1 {
            files.retain(is_rows);
        }
        match files.len() {
            1 => Ok(files.remove(0)),
            0 => Err(lacking("which file, and there is none".to_owned())),
            count => {
                let names: Vec<String> = files.into_iter().filter_map(|entry| entry.file).collect();
                Err(lacking(format!("which of {count} files: {}", first(&mut names.iter()))))
            }
        }
    }
}

fn pulled(path: PathBuf, found: Digests, already_there: bool, verified: bool) -> Pulled {
    Pulled { path, size: found.size, sha256: found.sha256, already_there, verified }
}

/// Splits, and the words in a file's path that name them.
const SPLITS: [(&str, &[&str]); 4] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "val", "dev"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
    ("example", &["example", "examples"]),
];

/// The first names of many.
fn first(names: &mut dyn Iterator<Item = &String>) -> String {
    names.take(5).map(String::as_str).collect::<Vec<_>>().join(", ")
}
