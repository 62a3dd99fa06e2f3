// SPDX-License-Identifier: Apache-2.0
//! The datasets of an agent or a resources server.

use super::fields::{Fields, one_of};
use crate::{
    error::{ConfigError, ErrorKind, Origin},
    node::{Node, Path, Value},
    reserved::LICENSES,
    roots::Roots,
};
use gym_protocol::ServerName;
use std::path::PathBuf;

/// What a dataset is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DatasetKind {
    /// To train on.
    Train,
    /// To validate during training.
    Validation,
    /// A few rows to try an environment with.
    Example,
    /// To evaluate with.
    Benchmark,
}

impl DatasetKind {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Example => "example",
            Self::Benchmark => "benchmark",
        }
    }

    /// The kind of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Train, Self::Validation, Self::Example, Self::Benchmark].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Where a dataset can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatasetSource {
    /// A GitLab model registry.
    GitLab {
        /// Name of the dataset.
        dataset_name: String,
        /// Its version.
        version: String,
        /// The file in it.
        artifact_fpath: String,
    },
    /// The Hugging Face hub.
    HuggingFace {
        /// `owner/name`.
        repo_id: String,
        /// The file in it, if it is not loaded as a data set.
        artifact_fpath: Option<String>,
    },
}

/// One entry of `datasets`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: DatasetKind,
    /// The file as configured.
    pub jsonl_fpath: String,
    /// The file that was found, if there is one.
    pub path: Option<PathBuf>,
    /// How often each row is used; at least 1.
    pub num_repeats: u32,
    /// The first row that is used, from 0.
    pub start_idx: Option<u64>,
    /// The first row that is not used any more.
    pub end_idx: Option<u64>,
    /// Its licence, one of [`LICENSES`](crate::LICENSES); any text for a benchmark.
    pub license: Option<String>,
    /// Where it can be fetched: the first that works.
    pub sources: Vec<DatasetSource>,
    /// The script that makes the file.
    pub prepare_script: Option<String>,
    /// The prompt file to apply to its rows.
    pub prompt_config: Option<String>,
    /// The task set its rows belong to; sent to the environment server of `environment_server_routes`.
    pub taskset: Option<String>,
    /// The agent that its rows are for.
    pub agent: Option<ServerName>,
    /// Where the entry was written.
    pub origin: Origin,
}

/// Reads the `datasets` of one block.
pub(crate) fn read(block: &Node, path: &Path, roots: &Roots, errors: &mut Vec<ConfigError>) -> Vec<Dataset> {
    let Some(list) = block.child("datasets").filter(|node| !node.is_null()) else { return Vec::new() };
    let path = path.join("datasets");
    let Value::List(items) = &list.value else {
        let text = format!("expected a list of datasets, found {}", list.kind_in_words());
        errors.push(ConfigError::new(ErrorKind::AlmostServer, &path, &list.origin, text));
        return Vec::new();
    };
    items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| {
            let path = path.join(index.to_string());
            if node.as_map().is_none() {
                let text =
                    format!("expected a dataset with `name`, `type` and `jsonl_fpath`, found {}", node.kind_in_words());
                errors.push(ConfigError::new(ErrorKind::AlmostServer, &path, &node.origin, text));
                return None;
            }
            dataset(Fields { node, path, kind: ErrorKind::AlmostServer, errors }, roots)
        })
        .collect()
}

fn dataset(mut fields: Fields<'_>, roots: &Roots) -> Option<Dataset> {
    let before = fields.errors.len();
    let name = fields.required_text("name");
    const KINDS: [&str; 4] = ["train", "validation", "example", "benchmark"];
    if fields.get("type").is_none() {
        fields.missing("type", &format!("one of {}", one_of(&KINDS)));
    }
    let kind = fields.choice("type", &KINDS).and_then(|word| DatasetKind::from_word(&word));
    let jsonl_fpath = fields.required_text("jsonl_fpath");
    let num_repeats =
        fields.int("num_repeats", 1, u32::MAX.into()).and_then(|int| u32::try_from(int).ok()).unwrap_or(1);
    let [start_idx, end_idx] =
        ["start_idx", "end_idx"].map(|key| fields.int(key, 0, i64::MAX.into()).and_then(|int| u64::try_from(int).ok()));
    if let (Some(start), Some(end)) = (start_idx, end_idx)
        && start >= end
    {
        fields.problem("end_idx", format!("no row is from `start_idx` ({start}) on and before `end_idx` ({end})"));
    }
    // The licence of a benchmark is free text in NeMo Gym.
    let license = match kind {
        Some(DatasetKind::Benchmark) => fields.text("license"),
        _ => fields.choice("license", LICENSES),
    };
    if matches!(kind, Some(DatasetKind::Train | DatasetKind::Validation)) && fields.get("license").is_none() {
        fields.missing("license", &format!("one of {} (data to train or validate with needs one)", one_of(LICENSES)));
    }
    let sources = sources(&mut fields);
    let prepare_script = fields.text("prepare_script");
    let prompt_config = fields.text("prompt_config");
    let taskset = fields.text("taskset");
    let agent = fields.text("agent").and_then(ServerName::new);
    if taskset.is_some() && agent.is_some() {
        fields.problem("taskset", "`taskset` and `agent` exclude each other");
    }
    if fields.errors.len() > before {
        return None;
    }
    let jsonl_fpath = jsonl_fpath?;
    Some(Dataset {
        name: name?,
        kind: kind?,
        path: roots.find(&jsonl_fpath).filter(|path| path.exists()),
        jsonl_fpath,
        num_repeats,
        start_idx,
        end_idx,
        license,
        sources,
        prepare_script,
        prompt_config,
        taskset,
        agent,
        origin: fields.node.origin.clone(),
    })
}

fn sources(fields: &mut Fields<'_>) -> Vec<DatasetSource> {
    let old = ["gitlab_identifier", "huggingface_identifier"];
    if fields.get("source").is_some() {
        for key in old {
            if fields.get(key).is_some() {
                fields.problem(key, format!("`source` and `{key}` exclude each other"));
            }
        }
        let Some(mut source) = fields.below("source") else { return Vec::new() };
        if source.get("type").is_none() {
            source.missing("type", "`gitlab` or `huggingface`");
        }
        return match source.choice("type", &["gitlab", "huggingface"]).as_deref() {
            Some("gitlab") => gitlab(source).into_iter().collect(),
            Some(_) => hugging_face(source).into_iter().collect(),
            None => Vec::new(),
        };
    }
    let gitlab = fields.below("gitlab_identifier").and_then(gitlab);
    let hugging_face = fields.below("huggingface_identifier").and_then(hugging_face);
    gitlab.into_iter().chain(hugging_face).collect()
}

fn gitlab(mut fields: Fields<'_>) -> Option<DatasetSource> {
    let dataset_name = fields.required_text("dataset_name");
    let version = fields.required_text("version");
    let artifact_fpath = fields.required_text("artifact_fpath");
    Some(DatasetSource::GitLab { dataset_name: dataset_name?, version: version?, artifact_fpath: artifact_fpath? })
}

fn hugging_face(mut fields: Fields<'_>) -> Option<DatasetSource> {
    let repo_id = fields.required_text("repo_id");
    let artifact_fpath = fields.text("artifact_fpath");
    Some(DatasetSource::HuggingFace { repo_id: repo_id?, artifact_fpath })
}
