// SPDX-License-Identifier: Apache-2.0
//! Preparing datasets: every row is checked, statistics are computed and compared with those that were computed before,
//! and the rows of all datasets of a type are put into one file.
//!
//! The files are NeMo Gym's: `<stem>_metrics.json` and `<stem>_prepare.jsonl` beside the data, `<type>.jsonl` and
//! `<type>_metrics.json` in the output folder. Rows that are not right are named, all of them, and nothing is written
//! then.

mod accumulate;
mod conflict;
mod dataset;
mod facts;
mod outputs;
mod pipeline;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

pub use dataset::{Dataset, DatasetKind, RowCheck, RowError, Slice};

use accumulate::Accumulated;
use outputs::{Metrics, Outputs};

use crate::tokens::TokenCounter;

/// Which datasets are prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Data to train and to evaluate with.
    TrainPreparation,
    /// Examples.
    ExampleValidation,
}

impl Mode {
    /// The types in scope, in the order in which their files are written.
    pub fn kinds(self) -> &'static [DatasetKind] {
        match self {
            Self::TrainPreparation => &[DatasetKind::Train, DatasetKind::Validation, DatasetKind::Benchmark],
            Self::ExampleValidation => &[DatasetKind::Example],
        }
    }
}

/// What to prepare.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// Which datasets.
    pub mode: Mode,
    /// All datasets, in the order of the configuration; those of other types are passed over.
    pub datasets: Vec<Dataset>,
    /// Where the files of the types go.
    pub output: PathBuf,
    /// Files of statistics that say something else are written anew, instead of that being an error.
    pub overwrite_metrics_conflicts: bool,
    /// Files are written although rows are not right: as they are, and without being counted.
    pub keep_invalid_rows: bool,
    /// Threads that check rows; at least 1.
    pub threads: usize,
    /// Counts the tokens of prompts, into `<stem>_token_metrics.json` beside each file of statistics.
    pub tokens: Option<TokenCounter>,
}

/// Something that happened.
#[derive(Debug)]
pub enum PrepareEvent<'a> {
    /// A dataset is being read.
    Dataset(&'a Dataset),
    /// So many bytes of it are done.
    Progress {
        /// Bytes of the file.
        bytes: u64,
        /// Rows so far.
        rows: u64,
    },
    /// A row is not right.
    Problem(&'a Problem),
}

/// One thing that is wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// The field, for example `responses_create_params.input.0.role`; empty if it is the whole row.
    pub field: String,
    /// What is wrong.
    pub reason: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: ", self.path.display(), self.line)?;
        if !self.field.is_empty() {
            write!(f, "`{}`: ", self.field)?;
        }
        f.write_str(&self.reason)
    }
}

/// What came of a preparation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that are not right.
    pub invalid_rows: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The file of each type.
    pub files: BTreeMap<DatasetKind, PathBuf>,
    /// Files of statistics that said something else and were written anew.
    pub overwritten: Vec<PathBuf>,
}

/// Nothing was prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No dataset is in scope.
    #[error("no dataset is of the type {}", kinds.join(", "))]
    Nothing {
        /// The types in scope.
        kinds: Vec<&'static str>,
    },
    /// Files are not there.
    #[error("{} of the datasets are not there: {}", missing.len(), missing.join(", "))]
    Missing {
        /// `instance: dataset (file)` of each.
        missing: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error("failed to {action} {path}")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of rows cannot be read.
    #[error(transparent)]
    Rows(#[from] crate::jsonl::JsonlError),
    /// A file has no rows.
    #[error("{path} has no rows")]
    Empty {
        /// The file.
        path: String,
    },
    /// Rows are not right. Each was reported.
    #[error("{rows} rows are not right")]
    Invalid {
        /// How many.
        rows: u64,
    },
    /// Statistics differ from those that were computed before.
    #[error("the statistics differ from those in {}", files.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    Conflicts {
        /// Each file, with how it differs. Beside it is `<stem>_conflict.json` with what was computed.
        files: Vec<(PathBuf, Vec<String>)>,
    },
}

impl PrepareError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid { .. } => Some("mend them; nothing was written".to_owned()),
            Self::Conflicts { .. } => Some(
                "if the data changed on purpose, remove these files or prepare with `overwrite_metrics_conflicts`"
                    .to_owned(),
            ),
            Self::Missing { .. } => {
                Some("put the files there; those with a `source` can be fetched with --download".to_owned())
            }
            Self::Empty { .. } => Some("give it rows, or take the dataset out of the configuration".to_owned()),
            _ => None,
        }
    }
}

/// Prepares datasets. Reading, checking and writing go on side by side, and memory does not grow with the files but for
/// the number of different texts in fields that are not parameters.
pub fn prepare(
    preparation: &Preparation,
    observer: &mut dyn FnMut(PrepareEvent<'_>),
) -> Result<Prepared, PrepareError> {
    let kinds = preparation.mode.kinds();
    let datasets: Vec<&Dataset> = preparation.datasets.iter().filter(|dataset| kinds.contains(&dataset.kind)).collect();
    if datasets.is_empty() {
        return Err(PrepareError::Nothing { kinds: kinds.iter().map(|kind| kind.as_str()).collect() });
    }
    let missing: Vec<String> = datasets
        .iter()
        .filter(|dataset| !dataset.path.exists())
        .map(|dataset| format!("{}: {} ({})", dataset.instance, dataset.name, dataset.jsonl_fpath))
        .collect();
    if !missing.is_empty() {
        return Err(PrepareError::Missing { missing });
    }
    let mut prepared = Prepared::default();
    let mut outputs = Outputs::new(&preparation.output);
    for kind in kinds {
        let mut of_kind = datasets.iter().filter(|dataset| dataset.kind == *kind).peekable();
        let Some(first) = of_kind.peek().copied() else { continue };
        let mut all = Accumulated::default();
        outputs.begin_kind(*kind)?;
        let before = prepared.rows;
        for dataset in of_kind {
            observer(PrepareEvent::Dataset(dataset));
            outputs.begin_dataset(dataset)?;
            let first = prepared.rows - before;
            let one = pipeline::run(dataset, preparation, &mut outputs, &mut prepared, first, observer)?;
            if one.examples() == 0 && prepared.invalid_rows == 0 {
                return Err(PrepareError::Empty { path: dataset.path.display().to_string() });
            }
            all.merge(&one);
            if let Some(counter) = &preparation.tokens {
                let path = dataset.beside("_token_metrics.json");
                outputs.metrics(Metrics { path, content: dataset.token_metrics(&one, counter), keep: true });
            }
            outputs.end_dataset(Metrics {
                path: dataset.beside("_metrics.json"),
                content: dataset.metrics(&one, false),
                keep: true,
            })?;
        }
        if let Some(counter) = &preparation.tokens {
            let path = preparation.output.join(format!("{}_token_metrics.json", kind.as_str()));
            outputs.metrics(Metrics { path, content: first.token_metrics(&all, counter), keep: false });
        }
        let path = preparation.output.join(format!("{}_metrics.json", kind.as_str()));
        let file = outputs.end_kind(Metrics { path, content: first.metrics(&all, true), keep: false })?;
        prepared.files.insert(*kind, file);
    }
    if prepared.invalid_rows > 0 && !preparation.keep_invalid_rows {
        return Err(PrepareError::Invalid { rows: prepared.invalid_rows });
    }
    let conflicts = outputs.conflicts()?;
    if !conflicts.is_empty() && !preparation.overwrite_metrics_conflicts {
        return Err(PrepareError::Conflicts { files: conflicts });
    }
    prepared.overwritten = conflicts.into_iter().map(|(path, _)| path).collect();
    outputs.finish()?;
    Ok(prepared)
}

impl Dataset {
    /// The content of a file of statistics. The one of a type says how the first dataset is made; the one beside the data
    /// does not, because that is no property of the rows.
    fn metrics(&self, rows: &Accumulated, of_kind: bool) -> Map<String, Value> {
        let mut content = self.header(of_kind);
        content.extend(rows.to_json());
        content
    }

    /// The content of a file of token counts. It is a file of its own, because NeMo Gym compares its own statistics with
    /// the whole file that it finds.
    fn token_metrics(&self, rows: &Accumulated, counter: &TokenCounter) -> Map<String, Value> {
        let mut content = Map::new();
        content.insert("name".to_owned(), self.name.as_str().into());
        content.insert("type".to_owned(), self.kind.as_str().into());
        content.insert("jsonl_fpath".to_owned(), self.jsonl_fpath.as_str().into());
        content.insert("num_repeats".to_owned(), self.num_repeats.into());
        let tokenizer = counter.path().file_name().map(|name| name.to_string_lossy().into_owned());
        content.insert("tokenizer".to_owned(), tokenizer.into());
        content.insert(TOKENIZER_DIGEST.to_owned(), counter.sha256().into());
        content.extend(rows.tokens_to_json());
        content
    }
}

/// The digest of the tokenizer in a file of token counts: counts of different tokenizers are not compared.
const TOKENIZER_DIGEST: &str = "tokenizer_sha256";

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrepareError + use<> {
    let path = path.display().to_string();
    move |source| PrepareError::File { action, path, source }
}

#[cfg(test)]
mod tests;
