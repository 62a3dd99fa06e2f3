// SPDX-License-Identifier: Apache-2.0
//! One dataset as the configuration declares it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use gym_protocol::Members;
use serde_json::{Map, Value, json};

use crate::prompt::Prompt;

/// What a dataset is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DatasetKind {
    /// To train on.
    Train,
    /// To validate during training.
    Validation,
    /// To evaluate with.
    Benchmark,
    /// A few rows to try an environment with.
    Example,
}

impl DatasetKind {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Benchmark => "benchmark",
            Self::Example => "example",
        }
    }

    /// The kind of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Train, Self::Validation, Self::Benchmark, Self::Example].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Rows from `start` on and before `end`, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The first row; none is the first of the file.
    pub start: Option<u64>,
    /// The first row that is not taken any more; none is the end of the file.
    pub end: Option<u64>,
}

impl Slice {
    pub(super) fn has(self, row: u64) -> bool {
        self.start.is_none_or(|start| row >= start) && !self.is_over(row)
    }

    /// Whether neither this row nor a later one is taken.
    pub(super) fn is_over(self, row: u64) -> bool {
        self.end.is_some_and(|end| row >= end)
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The field, for example `expected_answer`; empty if it is the whole row.
    pub field: String,
    /// What is wrong.
    pub reason: String,
}

/// What else a row must fulfil, for example the environment's schema of its fields.
pub type RowCheck = Arc<dyn Fn(&Members) -> Vec<RowError> + Send + Sync>;

/// One dataset.
#[derive(Clone)]
pub struct Dataset {
    /// The instance that declares it; written into each row as `task_source`.
    pub instance: String,
    /// The agent for its rows, written as `agent_ref`; without one, rows have no `agent_ref`.
    pub agent: Option<String>,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: DatasetKind,
    /// The file as configured.
    pub jsonl_fpath: String,
    /// The file.
    pub path: PathBuf,
    /// The set of tasks that its rows belong to: they are written as materialised tasks then.
    pub taskset: Option<String>,
    /// How often each row is used; at least 1.
    pub num_repeats: u32,
    /// Which rows.
    pub slice: Slice,
    /// Makes the prompts of its rows.
    pub prompt: Option<Prompt>,
    /// The file of the template as configured.
    pub prompt_config: Option<String>,
    /// The script that makes the file, as configured.
    pub prepare_script: Option<String>,
    /// `source` as configured: where the file can be fetched.
    pub source: Option<Value>,
    /// `gitlab_identifier` as configured.
    pub gitlab_identifier: Option<Value>,
    /// `huggingface_identifier` as configured.
    pub huggingface_identifier: Option<Value>,
    /// Its licence.
    pub license: Option<String>,
    /// What else its rows must fulfil.
    pub check: Option<RowCheck>,
}

impl Dataset {
    /// A dataset with a name, a type and a file, and defaults for everything else.
    pub fn new(instance: &str, name: &str, kind: DatasetKind, jsonl_fpath: &str, path: impl Into<PathBuf>) -> Self {
        Self {
            instance: instance.to_owned(),
            agent: None,
            name: name.to_owned(),
            kind,
            jsonl_fpath: jsonl_fpath.to_owned(),
            path: path.into(),
            taskset: None,
            num_repeats: 1,
            slice: Slice::default(),
            prompt: None,
            prompt_config: None,
            prepare_script: None,
            source: None,
            gitlab_identifier: None,
            huggingface_identifier: None,
            license: None,
            check: None,
        }
    }

    /// `<stem><end>` beside the file.
    pub(super) fn beside(&self, end: &str) -> PathBuf {
        beside(&self.path, end)
    }

    /// How a file of statistics begins. `with_script` tells whether it says how the data is made.
    pub(super) fn header(&self, with_script: bool) -> Map<String, Value> {
        let mut header = Map::new();
        header.insert("name".to_owned(), json!(self.name));
        header.insert("type".to_owned(), json!(self.kind.as_str()));
        header.insert("jsonl_fpath".to_owned(), json!(self.jsonl_fpath));
        if self.kind == DatasetKind::Benchmark {
            header.insert("prepare_script".to_owned(), json!(self.prepare_script));
            header.insert("prompt_config".to_owned(), json!(self.prompt_config));
            header.insert("num_repeats".to_owned(), json!(self.num_repeats));
            return header;
        }
        if let Some(script) = self.prepare_script.as_ref().filter(|_| with_script) {
            header.insert("prepare_script".to_owned(), json!(script));
        }
        header.insert("num_repeats".to_owned(), json!(self.num_repeats));
        for (name, value) in [
            ("source", &self.source),
            ("gitlab_identifier", &self.gitlab_identifier),
            ("huggingface_identifier", &self.huggingface_identifier),
        ] {
            header.insert(name.to_owned(), value.clone().unwrap_or(Value::Null));
        }
        header.insert("license".to_owned(), json!(self.license));
        header
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} dataset `{}` of `{}` in {}", self.kind.as_str(), self.name, self.instance, self.path.display())
    }
}

/// `<stem><end>` beside a file.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{stem}{end}"))
}
