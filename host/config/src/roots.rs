// SPDX-License-Identifier: Apache-2.0
//! Where files named in a configuration are looked for.

use crate::{
    aliases,
    error::{ConfigError, ErrorKind, Origin},
    nearest,
};
use std::path::{Component, Path, PathBuf};

/// The folders in which relative paths are looked for: first the extra roots (`--search-dir`, `NEMO_GYM_EXTRA_ROOTS`),
/// then the working directory, then the folder in which gym-host is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    extra: Vec<PathBuf>,
    cwd: PathBuf,
    install: Option<PathBuf>,
}

impl Roots {
    /// The roots in that order.
    pub fn new(extra: Vec<PathBuf>, cwd: PathBuf, install: Option<PathBuf>) -> Self {
        Self { extra, cwd, install }
    }

    /// All roots in the order of search, each once.
    pub fn in_order(&self) -> Vec<&Path> {
        let mut roots: Vec<&Path> = Vec::new();
        for root in self.extra.iter().chain([&self.cwd]).chain(&self.install) {
            if !roots.contains(&root.as_path()) {
                roots.push(root);
            }
        }
        roots
    }

    /// The working directory.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// The file or folder that a path in a configuration means: absolute, or under the first root that has it.
    ///
    /// A NeMo Gym path that no root has is then looked for where gym-host keeps such things:
    /// `resources_servers/X/…` in `environments/X/…`, `responses_api_models/…`, `responses_api_agents/…` and
    /// `environment_servers/…` in `configs/…`, and `environments/X/config.yaml` in `environments/X/configs/X.yaml`. Then
    /// comes the name that a file has got since, and last the folder of an environment that lies directly under a root,
    /// as `gym-host init` makes it outside of a checkout.
    pub fn find(&self, path: &str) -> Option<PathBuf> {
        self.candidates(path).into_iter().find(|candidate| candidate.exists())
    }

    /// Every place where [`find`](Self::find) looks, in order.
    pub fn candidates(&self, path: &str) -> Vec<PathBuf> {
        if Path::new(path).is_absolute() {
            return vec![PathBuf::from(path)];
        }
        let mut names: Vec<PathBuf> = std::iter::once(PathBuf::from(path)).chain(alias(path)).collect();
        if let Some(new) = aliases::file(path) {
            names.extend(alias(&new));
            names.push(new.into());
        }
        names.extend(direct(path));
        names.iter().flat_map(|name| self.in_order().into_iter().map(move |root| root.join(name))).collect()
    }

    /// The folder of an environment: `environments/<implementation>` under the first root that has it.
    ///
    /// # Errors
    /// `EnvironmentNotFound`, with the names most like it.
    pub fn resolve_environment(&self, implementation: &str) -> Result<PathBuf, ConfigError> {
        let plain = matches!(Path::new(implementation).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        let found = if plain {
            self.in_order()
                .into_iter()
                .map(|root| root.join("environments").join(implementation))
                .find(|folder| folder.is_dir())
        } else {
            None
        };
        found.ok_or_else(|| {
            let known = self.environments();
            let hint = nearest::did_you_mean(implementation, known.iter().map(String::as_str)).unwrap_or_else(|| {
                format!("`gym-host init {implementation}` makes a new one; environments there are: {}", listed(&known))
            });
            ConfigError::new(
                ErrorKind::EnvironmentNotFound,
                "",
                &Origin::caller(),
                format!("there is no environment `{implementation}`"),
            )
            .with_hint(hint)
        })
    }

    /// The names of all environments under all roots, sorted.
    pub fn environments(&self) -> Vec<String> {
        self.folders_in("environments")
    }

    /// The names of the folders in `folder` under all roots, sorted.
    pub(crate) fn folders_in(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .in_order()
            .into_iter()
            .filter_map(|root| std::fs::read_dir(root.join(folder)).ok())
            .flatten()
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.') && name != "target")
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// `a, b, c`, or a word for none.
pub(crate) fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The same file of an environment whose folder has no folder `environments` around it.
fn direct(path: &str) -> Option<PathBuf> {
    let rest = path.strip_prefix("environments/").or_else(|| path.strip_prefix("resources_servers/"))?;
    rest.contains('/').then(|| PathBuf::from(rest))
}

/// The place where gym-host keeps what NeMo Gym has at `path`.
fn alias(path: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match parts.as_slice() {
        ["resources_servers", name, rest @ ..] => Some(["environments", name].iter().chain(rest).collect()),
        [kind @ ("responses_api_models" | "responses_api_agents" | "environment_servers"), rest @ ..] => {
            Some(["configs", kind].iter().chain(rest).collect())
        }
        ["environments", name, "config.yaml"] => {
            Some(Path::new("environments").join(name).join("configs").join(format!("{name}.yaml")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().expect("has a parent")).expect("folder");
        fs::write(path, "").expect("file");
    }

    #[test]
    fn files_are_found_in_the_order_of_the_roots_and_then_by_alias() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let [extra, cwd, install] = ["extra", "cwd", "install"].map(|name| folder.path().join(name));
        for path in [
            cwd.join("a.yaml"),
            extra.join("a.yaml"),
            install.join("b.yaml"),
            install.join("environments/mcqa/configs/mcqa.yaml"),
            install.join("configs/responses_api_models/vllm_model/configs/vllm_model.yaml"),
            cwd.join("resources_servers/own/configs/own.yaml"),
            cwd.join("made/data/example.jsonl"),
            cwd.join("mcqa/configs/mcqa.yaml"),
        ] {
            write(&path);
        }
        let roots = Roots::new(vec![extra.clone()], cwd.clone(), Some(install.clone()));
        for (path, expected) in [
            ("a.yaml", Some(extra.join("a.yaml"))),
            ("b.yaml", Some(install.join("b.yaml"))),
            ("c.yaml", None),
            ("resources_servers/mcqa/configs/mcqa.yaml", Some(install.join("environments/mcqa/configs/mcqa.yaml"))),
            ("environments/mcqa/config.yaml", Some(install.join("environments/mcqa/configs/mcqa.yaml"))),
            (
                "responses_api_models/vllm_model/configs/vllm_model.yaml",
                Some(install.join("configs/responses_api_models/vllm_model/configs/vllm_model.yaml")),
            ),
            ("resources_servers/own/configs/own.yaml", Some(cwd.join("resources_servers/own/configs/own.yaml"))),
            ("environments/made/data/example.jsonl", Some(cwd.join("made/data/example.jsonl"))),
            ("resources_servers/made/data/example.jsonl", Some(cwd.join("made/data/example.jsonl"))),
            ("environments/made", None),
        ] {
            assert_eq!(roots.find(path), expected, "{path}");
        }
        let absolute = install.join("b.yaml");
        assert_eq!(roots.find(absolute.to_str().expect("text")), Some(absolute));
        assert_eq!(roots.resolve_environment("mcqa"), Ok(install.join("environments/mcqa")));
        let error = roots.resolve_environment("mcqaa").expect_err("no such environment");
        assert_eq!(error.hint(), Some("did you mean `mcqa`?"));
        for name in ["..", "", "/", "../environments/mcqa", "mcqa/configs", "."] {
            assert!(roots.resolve_environment(name).is_err(), "{name}");
        }
    }
}
