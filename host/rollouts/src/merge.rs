// SPDX-License-Identifier: Apache-2.0
//! Putting the rollouts of several files (shards) into one.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write},
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

/// Writes the rollouts of all `inputs` to `output`, by task and repeat, and counts them. The output is whole or not
/// there. A file that is named twice is read once; the same rollout in two files is an error, in one file the first one
/// counts. Memory is taken for the places of the rollouts only.
pub fn merge(inputs: &[PathBuf], output: &Path) -> Result<u64, CollectError> {
    let problem = |path: &Path| {
        let path = path.display().to_string();
        move |source| CollectError::File { path, source }
    };
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
    let mut readers = files.iter().map(|file| Reader::open(file)).collect::<Result<Vec<_>, _>>()?;
    let partial = output.with_extension("partial");
    let mut write = || -> Result<(), CollectError> {
        let mut target = BufWriter::with_capacity(1 << 20, File::create(&partial).map_err(problem(output))?);
        for place in &places {
            let reader = &mut readers[place.file];
            reader.seek(place.line, place.offset)?;
            let Some((_, text)) = reader.next_line()? else { continue };
            target.write_all(&text).and_then(|()| target.write_all(b"\n")).map_err(problem(output))?;
        }
        target.flush().and_then(|()| target.get_ref().sync_data()).map_err(problem(output))?;
        std::fs::rename(&partial, output).map_err(problem(output))
    };
    let result = write();
    if result.is_err() {
        // What was written so far is of no use; the error that matters is the one returned.
        std::fs::remove_file(&partial).ok();
    }
    result.map(|()| places.len() as u64)
}

/// Merges what stands beside the rollouts of several files as well: failures one after the other, and the rows that were
/// to be run, if every file has them. Returns the number of rollouts.
pub fn merge_all(inputs: &[PathBuf], output: &Path) -> Result<u64, CollectError> {
    let merged = Files::of(output);
    let files: Vec<Files> = inputs.iter().map(|input| Files::of(input)).collect();
    // The rollouts come last: when they are there, all is.
    if files.iter().all(|files| files.inputs.is_file()) {
        let inputs: Vec<PathBuf> = files.iter().map(|files| files.inputs.clone()).collect();
        merge(&inputs, &merged.inputs)?;
    }
    let mut known = BTreeSet::new();
    let failures: Vec<&PathBuf> = files
        .iter()
        .map(|files| &files.failures)
        .filter(|path| path.canonicalize().is_ok_and(|path| known.insert(path)))
        .collect();
    let problem = |source| CollectError::File { path: merged.failures.display().to_string(), source };
    let partial = merged.failures.with_extension("partial");
    let write = || -> Result<(), CollectError> {
        let mut target = BufWriter::new(File::create(&partial).map_err(problem)?);
        for path in failures {
            let mut reader = Reader::open(path)?.blank_lines(BlankLines::Skipped);
            while let Some(row) = reader.next_row()? {
                target.write_all(&row.text).and_then(|()| target.write_all(b"\n")).map_err(problem)?;
            }
        }
        target.flush().map_err(problem)?;
        std::fs::rename(&partial, &merged.failures).map_err(problem)
    };
    if let Err(error) = write() {
        // What was written so far is of no use; the error that matters is the one returned.
        std::fs::remove_file(&partial).ok();
        return Err(error);
    }
    merge(inputs, output)
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
