// SPDX-License-Identifier: Apache-2.0
//! Putting the rollouts of several files (shards) into one.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use gym_data::jsonl::{BlankLines, Reader};

use crate::{
    error::CollectError,
    files::Files,
    plan::{Key, key},
};

/// Where a rollout stands.
struct Place {
    key: Key,
    file: usize,
    line: u64,
    offset: u64,
}

/// Files under names of their own until all are whole. Dropped before that, they are removed.
#[derive(Default)]
struct Partials(Vec<(PathBuf, PathBuf)>);

impl Partials {
    fn create(&mut self, path: &Path) -> Result<BufWriter<File>, CollectError> {
        let partial = path.with_extension("partial");
        let file = File::create(&partial).map_err(problem(path))?;
        self.0.push((partial, path.to_owned()));
        Ok(BufWriter::with_capacity(1 << 20, file))
    }

    /// Gives all files their names.
    fn finish(mut self) -> Result<(), CollectError> {
        for (partial, path) in std::mem::take(&mut self.0) {
            std::fs::rename(&partial, &path).map_err(problem(&path))?;
        }
        Ok(())
    }
}

impl Drop for Partials {
    fn drop(&mut self) {
        for (partial, _) in &self.0 {
            // What was written so far is of no use; the error that matters is another one.
            std::fs::remove_file(partial).ok();
        }
    }
}

fn problem(path: &Path) -> impl Fn(io::Error) -> CollectError {
    let path = path.display().to_string();
    move |source| CollectError::File { path: path.clone(), source }
}

/// Writes the rollouts of all `inputs` to `output`, by task and repeat, and counts them. The output is whole or not
/// there. A file that is named twice is read once; the same rollout in two files is an error, in one file the first one
/// counts. Memory is taken for the places of the rollouts only.
pub fn merge(inputs: &[PathBuf], output: &Path) -> Result<u64, CollectError> {
    let mut partials = Partials::default();
    let count = write(inputs, output, &mut partials)?;
    partials.finish()?;
    Ok(count)
}

fn write(inputs: &[PathBuf], output: &Path, partials: &mut Partials) -> Result<u64, CollectError> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut known = BTreeSet::new();
    for input in inputs {
        if known.insert(input.canonicalize().map_err(problem(input))?) {
            files.push(input.clone());
        }
    }
    let mut places = places(&files)?;
    if places.is_empty() {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        return Err(CollectError::Empty { path: names.join(", ") });
    }
    places.sort_by_key(|place| (place.key, place.file, place.line));
    for pair in places.windows(2) {
        if pair[0].key == pair[1].key && pair[0].file != pair[1].file {
            return Err(CollectError::Twice {
                path: files[pair[1].file].display().to_string(),
                line: pair[1].line,
                task: pair[1].key.0,
                rollout: pair[1].key.1,
                other: files[pair[0].file].display().to_string(),
            });
        }
    }
    places.dedup_by_key(|place| place.key);
    let mut readers = files.iter().map(|file| Reader::open_for_seeking(file)).collect::<Result<Vec<_>, _>>()?;
    let mut target = partials.create(output)?;
    for place in &places {
        let reader = &mut readers[place.file];
        reader.seek(place.line, place.offset)?;
        let Some((_, text)) = reader.next_line()? else { continue };
        target.write_all(&text).and_then(|()| target.write_all(b"\n")).map_err(problem(output))?;
    }
    target.flush().and_then(|()| target.get_ref().sync_data()).map_err(problem(output))?;
    Ok(places.len() as u64)
}

/// Merges what stands beside the rollouts of several files as well: failures one after the other, and the rows that were
/// to be run, if every file has them. Returns the number of rollouts.
pub fn merge_all(inputs: &[PathBuf], output: &Path) -> Result<u64, CollectError> {
    let merged = Files::of(output);
    let files: Vec<Files> = inputs.iter().map(|input| Files::of(input)).collect();
    let mut partials = Partials::default();
    if files.iter().all(|files| files.inputs.is_file()) {
        let inputs: Vec<PathBuf> = files.iter().map(|files| files.inputs.clone()).collect();
        write(&inputs, &merged.inputs, &mut partials)?;
    }
    let mut known = BTreeSet::new();
    let failures: Vec<&PathBuf> = files
        .iter()
        .map(|files| &files.failures)
        .filter(|path| path.canonicalize().is_ok_and(|path| known.insert(path)))
        .collect();
    let failed = problem(&merged.failures);
    let mut target = partials.create(&merged.failures)?;
    for path in failures {
        let mut reader = Reader::open(path)?.blank_lines(BlankLines::Skipped);
        while let Some(row) = reader.next_row()? {
            target.write_all(&row.text).and_then(|()| target.write_all(b"\n")).map_err(&failed)?;
        }
    }
    target.flush().and_then(|()| target.get_ref().sync_data()).map_err(&failed)?;
    // The rollouts come last: when they are there, all is.
    let count = write(inputs, output, &mut partials)?;
    partials.finish()?;
    Ok(count)
}

fn places(files: &[PathBuf]) -> Result<Vec<Place>, CollectError> {
    let mut places = Vec::new();
    for (file, path) in files.iter().enumerate() {
        let mut reader = Reader::open(path)?.blank_lines(BlankLines::Skipped);
        while let Some(row) = reader.next_row()? {
            let key = key(&row.members).ok_or_else(|| CollectError::Row {
                path: path.display().to_string(),
                line: row.line,
                reason: "it has no `_ng_task_index` or no `_ng_rollout_index`".to_owned(),
            })?;
            places.push(Place { key, file, line: row.line, offset: row.offset });
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(task: u64, repeat: u64) -> String {
        format!("{{\"_ng_task_index\":{task},\"_ng_rollout_index\":{repeat}}}\n")
    }

    #[test]
    fn what_stands_beside_the_rollouts_is_merged_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, task) in [("a", 1), ("b", 0)] {
            std::fs::write(path(&format!("{name}.jsonl")), row(task, 0)).unwrap();
            std::fs::write(path(&format!("{name}_materialized_inputs.jsonl")), row(task, 0) + &row(task, 1)).unwrap();
        }
        std::fs::write(path("b_failures.jsonl"), row(0, 1)).unwrap();
        assert_eq!(merge_all(&[path("a.jsonl"), path("b.jsonl")], &path("all.jsonl")).unwrap(), 2);
        let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        assert_eq!(text("all.jsonl"), row(0, 0) + &row(1, 0));
        assert_eq!(text("all_materialized_inputs.jsonl"), row(0, 0) + &row(0, 1) + &row(1, 0) + &row(1, 1));
        assert_eq!(text("all_failures.jsonl"), row(0, 1));
        // A mistake in one file leaves nothing of the others.
        std::fs::write(path("b.jsonl"), "{}\n").unwrap();
        assert!(merge_all(&[path("a.jsonl"), path("b.jsonl")], &path("new.jsonl")).is_err());
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with("new")));
    }

    #[test]
    fn rollouts_of_all_files_are_put_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two, all] = ["one", "two", "all"].map(|name| folder.path().join(name));
        std::fs::write(&one, format!("\u{feff}{}\n{}{}", row(2, 0), row(0, 1), row(2, 0))).unwrap();
        std::fs::write(&two, row(1, 0) + row(0, 0).trim_end()).unwrap();
        assert_eq!(merge(&[one.clone(), two.clone(), one.clone()], &all).unwrap(), 4);
        assert_eq!(std::fs::read_to_string(&all).unwrap(), row(0, 0) + &row(0, 1) + &row(1, 0) + &row(2, 0));
        std::fs::write(&two, row(0, 1)).unwrap();
        let error = merge(&[one, two.clone()], &all).unwrap_err();
        assert!(matches!(error, CollectError::Twice { line: 1, task: 0, rollout: 1, .. }), "{error}");
        std::fs::write(&two, "{}\n").unwrap();
        assert!(matches!(merge(&[two], &all), Err(CollectError::Row { line: 1, .. })));
        assert_eq!(std::fs::read_to_string(&all).unwrap().lines().count(), 4, "the earlier file is untouched");
        assert!(!folder.path().join("all.partial").exists());
    }
}
