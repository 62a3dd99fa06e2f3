// SPDX-License-Identifier: Apache-2.0
//! Files named by paths, patterns and lists with commas.

use std::path::{Path, PathBuf};

use gym_rollouts::Files;

use crate::failure::Failure;

/// The files, in the order of the names, each once. What a pattern matches is sorted; files that stand beside rollouts,
/// and the output, are not taken for rollouts unless they are named themselves.
pub(crate) fn files(names: &[String], output: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let mut files: Vec<PathBuf> = Vec::new();
    for name in names.iter().flat_map(|names| parts(names)) {
        let wrong = |reason: String| Failure::user(format!("`{name}` is no pattern: {reason}"));
        let found: Vec<PathBuf> = if Path::new(name).exists() || !name.contains(['*', '?', '[']) {
            vec![PathBuf::from(name)]
        } else {
            let paths = glob::glob(name).map_err(|error| wrong(error.to_string()))?;
            let paths = paths.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(error.to_string()))?;
            paths.into_iter().filter(|path| !Files::is_sidecar(path) && Some(path.as_path()) != output).collect()
        };
        if found.is_empty() {
            return Err(Failure::user(format!("no file matches `{name}`")));
        }
        for path in found {
            if !files.contains(&path) {
                files.push(path);
            }
        }
    }
    if files.is_empty() {
        return Err(Failure::user("no files are given").with_hint("add --input FILE"));
    }
    Ok(files)
}

/// A path with commas in its name stays one path.
fn parts(names: &str) -> Vec<&str> {
    if Path::new(names).exists() {
        return vec![names];
    }
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_rollouts_and_not_what_stands_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a_2.jsonl", "a_1.jsonl", "a_1_failures.jsonl", "a_1_materialized_inputs.jsonl", "b,c.jsonl"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let found = |names: &[String]| -> Vec<String> {
            let files = files(names, Some(&folder.path().join("a_3.jsonl"))).unwrap();
            files.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(found(&[at("a_*.jsonl")]), ["a_1.jsonl", "a_2.jsonl"]);
        assert_eq!(
            found(&[format!("{},{}", at("a_2.jsonl"), at("a_1.jsonl")), at("a_2.jsonl")]),
            ["a_2.jsonl", "a_1.jsonl"]
        );
        assert_eq!(found(&[at("b,c.jsonl")]), ["b,c.jsonl"]);
        assert_eq!(found(&[at("a_1_failures.jsonl")]), ["a_1_failures.jsonl"]);
        assert!(files(&[at("x*.jsonl")], None).is_err());
    }
}
