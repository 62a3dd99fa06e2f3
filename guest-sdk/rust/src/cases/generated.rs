// SPDX-License-Identifier: Apache-2.0
//! Files that scripts wrote: whether the scripts still write them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// Runs Python scripts of an environment, one after the other, in a copy of its folder, and compares: what they write must be
/// what the folder has, byte for byte. The folder itself stays as it is.
///
/// # Panics
/// With a list of the files that differ, or with what a script says when it fails. `python3` must be on the path.
pub fn check_generated(folder: impl AsRef<Path>, scripts: &[&str]) {
    let folder = folder.as_ref();
    let copy = Copy::of(folder).unwrap_or_else(|error| panic!("failed to copy `{}`: {error}", folder.display()));
    for script in scripts {
        let mut python = Command::new("python3");
        let python = python.arg("-B").arg(script).current_dir(&copy.0).env("PYTHONHASHSEED", "0");
        let run = python.output().unwrap_or_else(|error| panic!("failed to run `{script}`: {error}"));
        assert!(run.status.success(), "`{script}` fails: {}", String::from_utf8_lossy(&run.stderr));
    }
    let differing: Vec<String> = files(&copy.0)
        .expect("the copy can be read")
        .into_iter()
        .filter(|path| fs::read(folder.join(path)).ok() != fs::read(copy.0.join(path)).ok())
        .map(|path| path.display().to_string())
        .collect();
    assert!(differing.is_empty(), "{scripts:?} write other files than these: {}", differing.join(", "));
}

/// A copy of a folder that goes when it is dropped.
struct Copy(PathBuf);

impl Copy {
    fn of(folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let copy = Self(std::env::temp_dir().join(format!("gym-env-{}-{number}", std::process::id())));
        for path in files(folder)? {
            let target = copy.0.join(&path);
            fs::create_dir_all(target.parent().expect("a file is in a folder"))?;
            fs::copy(folder.join(path), target)?;
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // A folder that stays does no harm.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// All files below a folder but what is built there, relative to it, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fn walk(folder: &Path, below: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(folder.join(below))? {
            let path = below.join(entry?.file_name());
            let is_built = path.ends_with("target") || path.extension().is_some_and(|extension| extension == "wasm");
            if folder.join(&path).is_dir() && !is_built {
                walk(folder, &path, found)?;
            } else if !is_built {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, Path::new(""), &mut found)?;
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_a_script_would_write_otherwise_are_named() {
        let source = Copy(std::env::temp_dir().join(format!("gym-env-generated-{}", std::process::id())));
        let write = |path: &str, text: &str| {
            let path = source.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("generate.py", "open('data/a.txt', 'w').write('one')\n");
        write("fails.py", "raise SystemExit('no such thing')\n");
        write("data/a.txt", "one");
        write("x.wasm", "built");
        check_generated(&source.0, &["generate.py"]);
        write("data/a.txt", "two");
        let said = |scripts: &'static [&'static str]| {
            let folder = source.0.clone();
            let panic = std::panic::catch_unwind(|| check_generated(folder, scripts)).unwrap_err();
            *panic.downcast::<String>().unwrap()
        };
        assert_eq!(said(&["generate.py"]), "[\"generate.py\"] write other files than these: data/a.txt");
        assert_eq!(said(&["fails.py"]), "`fails.py` fails: no such thing\n");
        assert_eq!(fs::read_to_string(source.0.join("data/a.txt")).unwrap(), "two");
    }
}
