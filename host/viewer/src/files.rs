// SPDX-License-Identifier: Apache-2.0
//! A file of rollouts and those beside it.

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// A file of rollouts that can be read, with the files that a collection writes beside it.
#[derive(Clone, Debug)]
pub struct RolloutFile {
    /// The file.
    pub path: PathBuf,
    /// `<stem>_failures.jsonl`: attempts that failed.
    pub failures: PathBuf,
    /// `<stem>_materialized_inputs.jsonl`: the tasks, which rows of failures do not repeat.
    pub inputs: PathBuf,
}

/// A file cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[error("failed to open {path}")]
pub struct FileError {
    /// The file.
    pub path: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl RolloutFile {
    /// Checks that the file can be read. The files beside it need not be there.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        open(path).map_err(|source| FileError { path: path.display().to_string(), source })?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let beside = |end: &str| path.with_file_name(format!("{stem}{end}"));
        Ok(Self {
            path: path.to_owned(),
            failures: beside("_failures.jsonl"),
            inputs: beside("_materialized_inputs.jsonl"),
        })
    }

    /// The file's name without its folder.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }
}

/// Opens a file that is not a folder.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(ErrorKind::IsADirectory));
    }
    Ok(file)
}
