// SPDX-License-Identifier: Apache-2.0
//! The files that a preparation writes: all of them at its end, or none.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    PrepareError, TOKENIZER_DIGEST,
    conflict::differences,
    dataset::{Dataset, DatasetKind, beside},
    file_error,
};

/// One file of statistics.
pub(super) struct Metrics {
    pub(super) path: PathBuf,
    pub(super) content: Map<String, Value>,
    /// A file that agrees is left as it is. NeMo Gym does so beside the data only.
    pub(super) keep: bool,
}

/// Files under names of their own until all is done. Dropped before that, they are removed.
pub(super) struct Outputs {
    folder: PathBuf,
    /// Whether the folder was not there before.
    made_folder: bool,
    /// What is being written: the rows of a type, and of a dataset of it.
    kind: Option<(PathBuf, BufWriter<File>)>,
    dataset: Option<BufWriter<File>>,
    /// The partial file of each file.
    files: Vec<(PathBuf, PathBuf)>,
    taken: HashSet<PathBuf>,
    metrics: Vec<Metrics>,
}

impl Outputs {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            made_folder: false,
            kind: None,
            dataset: None,
            files: Vec::new(),
            taken: HashSet::new(),
            metrics: Vec::new(),
        }
    }

    fn create(&mut self, path: PathBuf) -> Result<BufWriter<File>, PrepareError> {
        let partial = beside(&path, ".partial");
        let file = File::create(&partial).map_err(file_error("write", &partial))?;
        self.files.push((partial, path));
        Ok(BufWriter::with_capacity(1 << 20, file))
    }

    pub(super) fn begin_kind(&mut self, kind: DatasetKind) -> Result<(), PrepareError> {
        self.made_folder |= !self.folder.exists();
        std::fs::create_dir_all(&self.folder).map_err(file_error("write", &self.folder))?;
        let path = self.folder.join(format!("{}.jsonl", kind.as_str()));
        let file = self.create(path.clone())?;
        self.kind = Some((path, file));
        Ok(())
    }

    /// A file of rows that several datasets use gets a prepared file for each of them.
    pub(super) fn begin_dataset(&mut self, dataset: &Dataset) -> Result<(), PrepareError> {
        let (instance, name) = (&dataset.instance, &dataset.name);
        let mut ends = vec!["_prepare.jsonl".to_owned(), format!("_prepare.{instance}.jsonl")];
        ends.push(format!("_prepare.{instance}.{name}.jsonl"));
        let numbered = (2..).map(|count| format!("_prepare.{instance}.{name}.{count}.jsonl"));
        let path =
            ends.into_iter().chain(numbered).map(|end| dataset.beside(&end)).find(|path| !self.taken.contains(path));
        if let Some(path) = path {
            self.taken.insert(path.clone());
            self.dataset = Some(self.create(path)?);
        }
        Ok(())
    }

    /// Writes a line of the dataset.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), PrepareError> {
        let folder = &self.folder;
        let of_kind = self.kind.as_mut().map(|(_, file)| file);
        for file in of_kind.into_iter().chain(&mut self.dataset) {
            file.write_all(line).map_err(file_error("write", folder))?;
        }
        Ok(())
    }

    pub(super) fn end_dataset(&mut self, metrics: Metrics) -> Result<(), PrepareError> {
        if let Some(file) = self.dataset.take() {
            self.close(file)?;
        }
        self.metrics(metrics);
        Ok(())
    }

    /// A file of statistics. Two datasets of one file have the same statistics, or the last one's are written.
    pub(super) fn metrics(&mut self, metrics: Metrics) {
        self.metrics.retain(|known| known.path != metrics.path);
        self.metrics.push(metrics);
    }

    pub(super) fn end_kind(&mut self, metrics: Metrics) -> Result<PathBuf, PrepareError> {
        self.metrics.push(metrics);
        match self.kind.take() {
            Some((path, file)) => {
                self.close(file)?;
                Ok(path)
            }
            None => Ok(self.folder.clone()),
        }
    }

    fn close(&self, file: BufWriter<File>) -> Result<(), PrepareError> {
        let problem = file_error("write", &self.folder);
        file.into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_data())
            .map_err(problem)
    }

    /// Files of statistics that say something else, and what. What was computed is written beside them.
    pub(super) fn conflicts(&self) -> Result<Vec<(PathBuf, Vec<String>)>, PrepareError> {
        let mut conflicts = Vec::new();
        for metrics in &self.metrics {
            let old = match std::fs::read(&metrics.path) {
                Ok(old) => old,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(file_error("read", &metrics.path)(error)),
            };
            let differences = match serde_json::from_slice::<Map<String, Value>>(&old) {
                Ok(old) if old.get(TOKENIZER_DIGEST) != metrics.content.get(TOKENIZER_DIGEST) => Vec::new(),
                Ok(old) => differences(&old, &metrics.content),
                Err(error) => vec![format!("it is not a JSON object: {error}")],
            };
            if !differences.is_empty() {
                write(&beside(&metrics.path, "_conflict.json"), &text(&metrics.content))?;
                conflicts.push((metrics.path.clone(), differences));
            }
        }
        Ok(conflicts)
    }

    /// Gives all files their names. Statistics that agree with those that are there are left alone.
    pub(super) fn finish(mut self) -> Result<(), PrepareError> {
        for metrics in std::mem::take(&mut self.metrics) {
            let conflict = beside(&metrics.path, "_conflict.json");
            if conflict.exists() {
                std::fs::remove_file(&conflict).map_err(file_error("write", &conflict))?;
            }
            let old = std::fs::read(&metrics.path).ok();
            let old = old.and_then(|old| serde_json::from_slice::<Map<String, Value>>(&old).ok());
            let agrees = |old: &Map<String, Value>| differences(old, &metrics.content).is_empty();
            if !(metrics.keep && old.as_ref().is_some_and(agrees)) {
                write(&metrics.path, &text(&metrics.content))?;
            }
        }
        for (partial, path) in std::mem::take(&mut self.files) {
            std::fs::rename(&partial, &path).map_err(file_error("write", &path))?;
        }
        Ok(())
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        for (partial, _) in &self.files {
            // What was written so far is of no use; the error that matters is another one.
            std::fs::remove_file(partial).ok();
        }
        if self.made_folder {
            // Only an empty folder can be removed, so after a success it stays.
            std::fs::remove_dir(&self.folder).ok();
        }
    }
}

/// Writes a whole file or nothing.
fn write(path: &Path, content: &[u8]) -> Result<(), PrepareError> {
    let partial = beside(path, ".json.partial");
    let written = std::fs::write(&partial, content).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        // The part that was written is of no use; the error that matters is the first one.
        std::fs::remove_file(&partial).ok();
        file_error("write", path)(error)
    })
}

/// As `json.dump(…, indent=4)` writes it.
fn text(content: &Map<String, Value>) -> Vec<u8> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    serde::Serialize::serialize(content, &mut serializer).expect("plain data serialises");
    // Everything beyond ASCII stands in strings, where an escape means the same.
    let text = String::from_utf8(text).expect("JSON text is UTF-8");
    let mut ascii = Vec::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            ascii.push(character as u8);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                ascii.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
    ascii
}
