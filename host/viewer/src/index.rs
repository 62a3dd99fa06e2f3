// SPDX-License-Identifier: Apache-2.0
//! Where every rollout lies, kept up to date with files that still grow.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gym_protocol::{
    Raw,
    scan::{member, string},
};
use parking_lot::{Mutex, RwLock};

use crate::{
    extract, files,
    files::{FileError, RolloutFile},
    order::Orders,
    scanner::{Scanner, in_parallel},
    table::{Place, Row, State, Table},
};

/// How often files are looked at for new rollouts.
const LOOK: Duration = Duration::from_secs(1);

/// An index over one file of rollouts, or two to be compared.
pub struct Index {
    files: Vec<RolloutFile>,
    pub(crate) table: RwLock<Table>,
    pub(crate) orders: Mutex<Orders>,
    reading: Mutex<Reading>,
    progress: Mutex<Vec<Progress>>,
    handles: RwLock<HashMap<(u8, Kind), Arc<File>>>,
    /// Where tasks lie in the materialized inputs: those of rows that do not hold their task.
    tasks: RwLock<HashMap<(u8, i64), (u64, u64)>>,
    revision: AtomicU64,
    complete: AtomicBool,
    stopped: AtomicBool,
}

/// What keeps an index from being made.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read to its end.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Lines that are not JSON objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file of the first one.
    pub path: PathBuf,
    /// The first one's number in it, from 1.
    pub line: u64,
    /// How many there are in all files.
    pub count: usize,
    /// How many lines there are in all files, readable or not.
    pub rows: usize,
}

/// Which of the files that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Rollouts,
    Failures,
    Inputs,
}

/// How far the reading of one file is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub rows: u64,
    pub bytes: u64,
    pub length: u64,
    pub error: Option<String>,
}

/// The files that are being read.
#[derive(Default)]
struct Reading {
    scanners: HashMap<(u8, Kind), (Scanner, u64)>,
    /// Length of the materialized inputs when tasks were last looked up, by side.
    inputs: HashMap<u8, u64>,
}

impl Index {
    /// An index that knows nothing yet. Fails if a file cannot be opened.
    pub fn open(paths: &[PathBuf]) -> Result<Self, IndexError> {
        let files = paths.iter().map(|path| RolloutFile::open(path)).collect::<Result<Vec<_>, _>>()?;
        let progress = Mutex::new(vec![Progress::default(); files.len()]);
        Ok(Self {
            files,
            table: RwLock::default(),
            orders: Mutex::default(),
            reading: Mutex::default(),
            progress,
            handles: RwLock::default(),
            tasks: RwLock::default(),
            revision: AtomicU64::new(0),
            complete: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    /// Reads everything that is there now. Returns the number of rows that are new.
    pub fn read(&self) -> Result<u64, IndexError> {
        let mut reading = self.reading.lock();
        let mut added = 0;
        for (side, file) in (0..).zip(&self.files) {
            for kind in [Kind::Rollouts, Kind::Failures] {
                let path = if kind == Kind::Rollouts { &file.path } else { &file.failures };
                added += self.read_file(&mut reading, side, kind, path).map_err(|source| {
                    let path = path.display().to_string();
                    self.progress.lock()[side as usize].error = Some(format!("failed to read {path}: {source}"));
                    IndexError::Read { path, source }
                })?;
            }
            self.find_tasks(&mut reading, side, file);
        }
        self.complete.store(true, Ordering::Release);
        Ok(added)
    }

    /// Reads, and goes on reading what is added, until [`stop`](Self::stop).
    pub fn follow(&self) {
        while !self.stopped.load(Ordering::Acquire) {
            // Whatever went wrong is in the progress, where the page shows it; the next look may succeed.
            if self.read().is_ok() {
                self.progress.lock().iter_mut().for_each(|progress| progress.error = None);
            }
            std::thread::park_timeout(LOOK);
        }
    }

    /// Ends [`follow`](Self::follow); its thread is to be unparked.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    fn read_file(&self, reading: &mut Reading, side: u8, kind: Kind, path: &Path) -> io::Result<u64> {
        let key = (side, kind);
        if let Some((scanner, inode)) = reading.scanners.get(&key) {
            // A file that was replaced or cut is another file.
            let replaced = std::fs::metadata(path).map_or(kind == Kind::Failures, |now| now.ino() != *inode);
            if replaced || scanner.length()? < scanner.position {
                self.forget(reading);
            }
        }
        if let Entry::Vacant(place) = reading.scanners.entry(key) {
            let file = match files::open(path) {
                Ok(file) => file,
                Err(error) if kind == Kind::Failures && error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            };
            let inode = file.metadata()?.ino();
            self.handles.write().insert(key, Arc::new(file.try_clone()?));
            place.insert((Scanner::new(file), inode));
        }
        let (scanner, _) = reading.scanners.get_mut(&key).expect("it was just put there");
        let mut added = 0;
        loop {
            if self.stopped.load(Ordering::Acquire) {
                return Ok(added);
            }
            let lines = scanner.next_lines(extract::is_whole)?;
            if lines.is_empty() {
                break;
            }
            let facts = in_parallel(&lines, extract::facts);
            added += lines.len() as u64;
            let mut table = self.table.write();
            for (line, facts) in lines.iter().zip(facts) {
                let bytes = line.text.len() as u64;
                let in_failures = kind == Kind::Failures;
                table.push(Place { side, in_failures, line: line.number, offset: line.offset, bytes }, facts);
            }
            drop(table);
            self.revision.fetch_add(1, Ordering::AcqRel);
            if kind == Kind::Rollouts {
                let mut progress = self.progress.lock();
                let progress = &mut progress[side as usize];
                progress.rows += lines.len() as u64;
                (progress.bytes, progress.length) = (scanner.position, scanner.length()?.max(scanner.position));
            }
        }
        Ok(added)
    }

    /// Begins anew.
    fn forget(&self, reading: &mut Reading) {
        *reading = Reading::default();
        self.handles.write().clear();
        self.tasks.write().clear();
        self.progress.lock().fill(Progress::default());
        self.table.write().clear();
        self.complete.store(false, Ordering::Release);
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// Looks up the tasks of rows that do not hold theirs, as those of failures.
    fn find_tasks(&self, reading: &mut Reading, side: u8, file: &RolloutFile) {
        let wanted: HashMap<i64, ()> = {
            let table = self.table.read();
            let tasks = self.tasks.read();
            let lacking = table.rows().iter().filter(|row| row.side == side && !row.has_task);
            lacking
                .filter_map(|row| row.task)
                .filter(|task| !tasks.contains_key(&(side, *task)))
                .map(|task| (task, ()))
                .collect()
        };
        if wanted.is_empty() {
            return;
        }
        // The inputs are a help, not what was asked for: without them rows have no prompt.
        let Ok(inputs) = files::open(&file.inputs) else { return };
        let Ok(length) = inputs.metadata().map(|data| data.len()) else { return };
        let Ok(handle) = inputs.try_clone() else { return };
        if reading.inputs.insert(side, length) == Some(length) {
            return;
        }
        let mut scanner = Scanner::new(inputs);
        let mut titles = HashMap::new();
        while let Ok(lines) = scanner.next_lines(extract::is_whole) {
            if lines.is_empty() || self.stopped.load(Ordering::Acquire) {
                break;
            }
            let read = |line: Bytes| -> Option<(i64, String)> {
                let raw = Raw::parse(line).ok()?;
                let task = std::str::from_utf8(member(raw.bytes(), "_ng_task_index")?).ok()?.parse().ok()?;
                wanted.contains_key(&task).then(|| {
                    let input = member(raw.bytes(), "responses_create_params").and_then(|it| member(it, "input"));
                    (task, input.map(extract::prompt).unwrap_or_default())
                })
            };
            for (line, found) in lines.iter().zip(in_parallel(&lines, read)) {
                if let Some((task, prompt)) = found {
                    self.tasks.write().entry((side, task)).or_insert((line.offset, line.text.len() as u64));
                    titles.entry(task).or_insert_with(|| extract::shorten(&prompt));
                }
            }
        }
        self.handles.write().insert((side, Kind::Inputs), Arc::new(handle));
        self.table.write().name_tasks(|of, task| titles.get(&task).filter(|_| of == side).cloned());
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// The lines that are not JSON objects.
    pub fn unreadable(&self) -> Option<Unreadable> {
        let table = self.table.read();
        let mut rows = table.rows().iter().filter(|row| row.state == State::Unreadable);
        let first = rows.next()?;
        let file = &self.files[usize::from(first.side)];
        let path = if first.in_failures { &file.failures } else { &file.path };
        Some(Unreadable { path: path.clone(), line: first.line, count: 1 + rows.count(), rows: table.rows().len() })
    }

    /// The files that were asked for.
    pub fn files(&self) -> &[RolloutFile] {
        &self.files
    }

    /// How often rows were added.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Whether everything that was there has been read.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(crate) fn progress(&self) -> Vec<Progress> {
        self.progress.lock().clone()
    }

    /// Gives the rows to `look`.
    pub fn with<T>(&self, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.table.read())
    }

    /// The line of a row as it stands in the file.
    pub fn text(&self, row: &Row) -> io::Result<Bytes> {
        let kind = if row.in_failures { Kind::Failures } else { Kind::Rollouts };
        self.slice((row.side, kind), row.offset, row.bytes)
    }

    /// The task of a row that does not hold it: its line of the materialized inputs, if that is there.
    pub fn task(&self, row: &Row) -> Option<Raw> {
        if row.has_task || row.state == State::Unreadable {
            return None;
        }
        let (offset, bytes) = *self.tasks.read().get(&(row.side, row.task?))?;
        let line = self.slice((row.side, Kind::Inputs), offset, bytes).ok()?;
        Raw::parse(line).ok()
    }

    fn slice(&self, key: (u8, Kind), offset: u64, bytes: u64) -> io::Result<Bytes> {
        let file = self.handles.read().get(&key).cloned();
        let file = file.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the file was replaced"))?;
        let mut text = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        file.read_exact_at(&mut text, offset)?;
        Ok(Bytes::from(text))
    }
}

/// The text of a member that is a string.
pub(crate) fn text_of(object: &[u8], name: &str) -> Option<String> {
    member(object, name).and_then(string).map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let path = folder.path().join("r.jsonl");
        (folder, path)
    }

    #[test]
    fn failures_beside_a_file_are_read_with_their_tasks() {
        let (_folder, path) = folder(&[
            ("r.jsonl", "{\"responses_create_params\":{\"input\":\"one\"},\"reward\":1,\"_ng_task_index\":0}\n"),
            ("r_failures.jsonl", "{\"_ng_failure_class\":\"x\",\"_ng_task_index\":1}\n"),
            (
                "r_materialized_inputs.jsonl",
                "{\"_ng_task_index\":0,\"responses_create_params\":{\"input\":\"one\"}}\n\
                 {\"_ng_task_index\":1,\"responses_create_params\":{\"input\":\"two\"}}\n",
            ),
        ]);
        let index = Index::open(&[path]).unwrap();
        assert_eq!(index.read().unwrap(), 2);
        let rows = index.with(|table| table.rows().to_vec());
        let seen: Vec<_> = rows.iter().map(|row| (row.state, &*row.title)).collect();
        assert_eq!(seen, [(State::Scored, "one"), (State::Failed, "two")]);
        assert!(index.text(&rows[1]).unwrap().starts_with(b"{\"_ng_failure_class\""));
        assert!(index.task(&rows[1]).unwrap().as_str().contains("two"));
        assert!(index.task(&rows[0]).is_none());
    }

    #[test]
    fn rows_that_are_added_are_found_and_a_new_file_is_read_anew() {
        let (_folder, path) = folder(&[("r.jsonl", "{\"reward\":1}\n{\"rew")]);
        let index = Index::open(std::slice::from_ref(&path)).unwrap();
        assert_eq!(index.read().unwrap(), 1);
        std::fs::File::options().append(true).open(&path).unwrap().write_all(b"ard\":0}\nx\n").unwrap();
        assert_eq!(index.read().unwrap(), 2);
        assert_eq!(index.read().unwrap(), 0);
        assert_eq!(index.with(|table| table.rows()[2].state), State::Unreadable);
        std::fs::write(&path, "{\"reward\":5}\n").unwrap();
        assert_eq!(index.read().unwrap(), 1);
        assert_eq!(index.with(|table| (table.rows().len(), table.rows()[0].reward)), (1, 5.0));
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let (folder, path) = folder(&[]);
        for path in [path, folder.path().to_owned()] {
            let error = Index::open(std::slice::from_ref(&path)).err().unwrap().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
