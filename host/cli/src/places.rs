// SPDX-License-Identifier: Apache-2.0
//! Where things lie: environments, configurations, caches.

use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;

/// The folders that names are looked up in.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Search folders of the command line and of `NEMO_GYM_EXTRA_ROOTS`, then the current folder, then the folder that
    /// gym-host comes from.
    pub roots: Vec<PathBuf>,
    /// The folders that the command line names.
    pub search: Vec<PathBuf>,
    /// The current folder.
    pub current: PathBuf,
    /// The checkout that this binary was built from or lies in, if there is one.
    pub install: Option<PathBuf>,
}

/// The folder of one environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EnvironmentFolder {
    /// Name of the environment: that of its folder.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
}

impl EnvironmentFolder {
    /// The built component.
    pub(crate) fn component(&self) -> PathBuf {
        self.path.join(format!("{}.wasm", self.name))
    }

    /// The folder under which the environment is found by its name: the one that has `environments/`, or its parent.
    pub(crate) fn root(&self) -> PathBuf {
        let parent = self.path.parent().unwrap_or(&self.path);
        let is_usual = parent.file_name().is_some_and(|name| name == "environments");
        if is_usual { parent.parent().unwrap_or(parent).to_owned() } else { parent.to_owned() }
    }

    fn at(path: &Path) -> Option<Self> {
        let is_environment =
            ["Cargo.toml", "pyproject.toml", "requirements.txt"].iter().any(|name| path.join(name).is_file())
                || path.join("configs").is_dir();
        let name = path.file_name()?.to_str()?.to_owned();
        is_environment.then(|| Self { name, path: path.to_owned() })
    }
}

impl Places {
    /// Finds the folders for this process.
    pub(crate) fn find(search: &[PathBuf]) -> Result<Self, Failure> {
        let current = std::env::current_dir()
            .map_err(|error| Failure::infrastructure(format!("failed to find the current folder: {error}")))?;
        let search: Vec<PathBuf> = search.iter().map(|root| current.join(root)).collect();
        let mut roots = search.clone();
        if let Some(extra) = std::env::var_os("NEMO_GYM_EXTRA_ROOTS") {
            roots.extend(std::env::split_paths(&extra).filter(|root| !root.as_os_str().is_empty()));
        }
        roots.push(current.clone());
        let install = install_root(&current);
        roots.extend(install.clone());
        roots.dedup();
        Ok(Self { roots, search, current, install })
    }

    /// Where caches live: `$GYM_HOST_CACHE`, or `gym-host` in the user's cache folder.
    pub(crate) fn cache(&self) -> PathBuf {
        if let Some(path) = std::env::var_os("GYM_HOST_CACHE") {
            return self.current.join(path);
        }
        let base = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
        base.unwrap_or_else(std::env::temp_dir).join("gym-host")
    }

    /// All environments under the roots' `environments/`, sorted by name.
    pub(crate) fn environments(&self) -> Vec<EnvironmentFolder> {
        let mut found: Vec<EnvironmentFolder> = Vec::new();
        for root in &self.roots {
            for entry in std::fs::read_dir(root.join("environments")).into_iter().flatten().flatten() {
                if let Some(folder) = EnvironmentFolder::at(&entry.path())
                    && !found.iter().any(|known| known.name == folder.name)
                {
                    found.push(folder);
                }
            }
        }
        found.sort();
        found
    }

    /// The environment of a name, or at a path.
    pub(crate) fn environment(&self, name: &str) -> Result<EnvironmentFolder, Failure> {
        // `.` and `../x` are paths from here, whatever folders of other checkouts they would also lead to.
        let is_name =
            !Path::new(name).components().any(|part| matches!(part, Component::CurDir | Component::ParentDir));
        let named = self.roots.iter().filter(|_| is_name);
        let candidates = named
            .map(|root| root.join("environments").join(name))
            .chain(std::iter::once(self.current.join(name)))
            .chain(self.roots.iter().map(|root| root.join(name)));
        for path in candidates {
            if let Ok(path) = path.canonicalize()
                && let Some(folder) = EnvironmentFolder::at(&path)
            {
                return Ok(folder);
            }
        }
        let known: Vec<String> = self.environments().into_iter().map(|folder| folder.name).collect();
        let failure = Failure::user(format!("there is no environment `{name}`"));
        let nearest = known
            .iter()
            .map(|candidate| (strsim::jaro_winkler(candidate, name), candidate))
            .filter(|(similarity, _)| *similarity > 0.75)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Err(match nearest {
            Some((_, candidate)) => failure.with_hint(format!("did you mean `{candidate}`?")),
            None if known.is_empty() => failure.with_hint("give the path of its folder, or use --search-dir"),
            None => failure.with_hint(format!("known here: {}", known.join(", "))),
        })
    }
}

/// The checkout around the current folder, around this binary, or the one it was built from.
fn install_root(current: &Path) -> Option<PathBuf> {
    let is_checkout = |path: &Path| path.join("wit/environment.wit").is_file() && path.join("environments").is_dir();
    let given = std::env::var_os("GYM_HOST_ROOT").map(PathBuf::from);
    let binary = std::env::current_exe().ok();
    given
        .filter(|path| is_checkout(path))
        .or_else(|| current.ancestors().find(|path| is_checkout(path)).map(Path::to_owned))
        .or_else(|| binary?.ancestors().find(|path| is_checkout(path)).map(Path::to_owned))
        .or_else(|| {
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|path| is_checkout(path)).map(Path::to_owned)
        })
}
