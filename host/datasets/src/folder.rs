// SPDX-License-Identifier: Apache-2.0
//! Datasets in folders.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    error::DatasetError,
    local::{Digests, Expected, Partial, digests, problem},
    store::{Entry, Pushed},
};

/// Deeper folders are not looked into.
const DEPTH: usize = 16;

/// The files below a folder, or one file, by path.
pub(crate) fn list(path: &Path) -> Result<Vec<Entry>, DatasetError> {
    let mut files = Vec::new();
    let data = std::fs::metadata(path).map_err(problem(path))?;
    if data.is_file() {
        files.push(path.to_owned());
    } else {
        walk(path, DEPTH, &mut files)?;
    }
    files.sort();
    let entries = files.into_iter().map(|file| {
        let size = std::fs::metadata(&file).map_err(problem(&file))?.len();
        let name = file.strip_prefix(path).ok().filter(|name| !name.as_os_str().is_empty()).unwrap_or(&file);
        let name = if data.is_file() { file.file_name().map(Path::new).unwrap_or(&file) } else { name };
        let name = name.to_string_lossy().into_owned();
        Ok(Entry { size: Some(size), file: Some(name), ..Entry::place(file.display()) })
    });
    entries.collect()
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), DatasetError> {
    for entry in std::fs::read_dir(folder).map_err(problem(folder))? {
        let entry = entry.map_err(problem(folder))?;
        let kind = entry.file_type().map_err(problem(folder))?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && depth > 0 && !hidden {
            walk(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() && !hidden {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Copies a file into a folder, or to a path.
pub(crate) fn push(file: &Path, to: &Path) -> Result<Pushed, DatasetError> {
    let found = digests(file).map_err(problem(file))?;
    let folder = to.is_dir() || to.to_string_lossy().ends_with('/');
    let target = if folder { to.join(file.file_name().unwrap_or_default()) } else { to.to_owned() };
    let there = target.exists() && digests(&target).map_err(problem(&target))? == found;
    if !there {
        let expected = Expected { size: Some(found.size), sha256: Some(found.sha256.clone()), git: None };
        copy(file, &target, &expected)?;
    }
    let address = target.display().to_string();
    Ok(Pushed { address, size: found.size, sha256: found.sha256, already_there: there, verified: true, page: None })
}

/// Copies a file from a folder.
pub(crate) fn pull(from: &Path, file: &str, target: &Path, expected: &Expected) -> Result<Digests, DatasetError> {
    let path = if from.is_dir() { from.join(file) } else { from.to_owned() };
    copy(&path, target, expected)
}

fn copy(from: &Path, to: &Path, expected: &Expected) -> Result<Digests, DatasetError> {
    let mut source = File::open(from).map_err(problem(from))?;
    let mut partial = Partial::open(to, None)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = source.read(&mut buffer).map_err(problem(from));
        let written = read.and_then(|read| partial.write(&buffer[..read]).map(|()| read));
        match written {
            Ok(0) => return partial.finish(expected),
            Ok(_) => {}
            Err(error) => {
                // A copy begins anew, so the part is of no use.
                partial.remove();
                return Err(error);
            }
        }
    }
}
