// SPDX-License-Identifier: Apache-2.0
//! The files of one collection. Their names are NeMo Gym's.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufWriter, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::error::CollectError;

/// Paths beside the output file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `<out>.jsonl`: rollouts, in order of completion.
    pub rollouts: PathBuf,
    /// `<out>_failures.jsonl`: attempts that failed.
    pub failures: PathBuf,
    /// `<out>_materialized_inputs.jsonl`: every row to be run, with its indices.
    pub inputs: PathBuf,
    /// `<out>_aggregate_metrics.json`.
    pub metrics: PathBuf,
    /// `<out>_collection.json`: what the files were made from; a run with other input does not add to them.
    pub state: PathBuf,
    /// `<out>.lock`: there and held while a process writes.
    pub lock: PathBuf,
}

/// The lock of one collection.
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It is still held, so the file is this one. One that cannot be removed does no harm.
        std::fs::remove_file(&self.path).ok();
    }
}

impl Files {
    /// The files of an output file.
    pub fn of(output: &Path) -> Self {
        let stem = output.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let beside = |end: &str| output.with_file_name(format!("{stem}{end}"));
        Self {
            rollouts: output.to_owned(),
            failures: beside("_failures.jsonl"),
            inputs: beside("_materialized_inputs.jsonl"),
            metrics: beside("_aggregate_metrics.json"),
            state: beside("_collection.json"),
            lock: beside(".lock"),
        }
    }

    /// Whether a file is one that is written beside rollouts, by its name.
    pub fn is_sidecar(path: &Path) -> bool {
        const ENDS: [&str; 4] =
            ["_failures.jsonl", "_materialized_inputs.jsonl", "_reward_profiling.jsonl", "_changed.jsonl"];
        path.to_str().is_some_and(|path| ENDS.iter().any(|end| path.ends_with(end)))
    }

    /// Takes the lock; it is released, and its file removed, when what is returned is dropped.
    pub(crate) fn lock(&self) -> Result<Lock, CollectError> {
        let problem = |source| CollectError::File { path: self.lock.display().to_string(), source };
        if let Some(parent) = self.lock.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(problem)?;
        }
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.lock).map_err(problem)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(CollectError::Locked { path: self.rollouts.display().to_string() });
                }
                Err(TryLockError::Error(source)) => return Err(problem(source)),
            }
            // Who held the lock until now may have removed the file after it was opened here. A lock of a file that has
            // no name, or whose name another file has, keeps nobody away: another round begins. Each round has a
            // process that came to its end, so there are not many.
            let own = file.metadata().map_err(problem)?;
            let named = std::fs::metadata(&self.lock);
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino())) {
                return Ok(Lock { path: self.lock.clone(), _file: file });
            }
        }
    }

    /// Removes what an earlier run left.
    pub(crate) fn clear(&self) -> Result<(), CollectError> {
        for path in [&self.rollouts, &self.failures, &self.inputs, &self.metrics, &self.state] {
            match std::fs::remove_file(path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CollectError::File { path: path.display().to_string(), source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes a whole file or nothing.
    pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), CollectError> {
        Self::replace_with(path, |file| file.write_all(content))
    }

    /// Writes a whole file or nothing, piece by piece.
    pub(crate) fn replace_with(
        path: &Path,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), CollectError> {
        let partial = path.with_extension("partial");
        let written = File::create(&partial).and_then(|file| {
            let mut file = BufWriter::with_capacity(256 << 10, file);
            write(&mut file)?;
            file.flush()?;
            // A full disk may only be noticed now, and then the file that was there before stays.
            file.get_ref().sync_data()?;
            std::fs::rename(&partial, path)
        });
        written.map_err(|source| {
            // The part that was written is of no use; the error that matters is the first one.
            std::fs::remove_file(&partial).ok();
            CollectError::File { path: path.display().to_string(), source }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_the_output() {
        let files = Files::of(Path::new("runs/a.b.jsonl"));
        assert_eq!(files.failures, Path::new("runs/a.b_failures.jsonl"));
        assert_eq!(files.inputs, Path::new("runs/a.b_materialized_inputs.jsonl"));
        assert_eq!(files.metrics, Path::new("runs/a.b_aggregate_metrics.json"));
    }

    #[test]
    fn one_process_at_a_time_has_the_lock_and_its_file_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(&folder.path().join("new/a.jsonl"));
        let lock = files.lock().unwrap();
        assert!(matches!(files.lock(), Err(CollectError::Locked { .. })));
        assert!(files.lock.exists());
        drop(lock);
        assert!(!files.lock.exists());
        // What a killed process left is taken over.
        std::fs::write(&files.lock, "").unwrap();
        drop(files.lock().unwrap());
        assert!(!files.lock.exists());
    }

    #[test]
    fn whoever_removes_the_lock_two_never_have_it() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(&folder.path().join("a.jsonl"));
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut taken = 0;
                    while taken < 200 {
                        let Ok(lock) = files.lock() else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                        taken += 1;
                    }
                });
            }
        });
    }
}
