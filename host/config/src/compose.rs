// SPDX-License-Identifier: Apache-2.0
//! From files, `env.yaml`, the caller and the command line to one tree.
//!
//! From the lowest precedence to the highest: the files of `config_paths` (an included file before the one that
//! includes it, earlier files before later ones), `env.yaml`, the caller's values, the command line.

use crate::{
    agents, aliases, directives,
    error::{ConfigError, ConfigErrors, ErrorKind, Origin, Source, Warning},
    interpolation::Resolver,
    merge::merge_roots,
    nearest,
    node::{Key, MAX_NODES, MAX_TEXT, Map, Node, Path, Size, Value},
    overrides::{self, Override},
    reader::{MAX_FILE, read_yaml},
    roots::Roots,
    secrets, writer,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::Read,
    path::{Path as FilePath, PathBuf},
};

/// The environment variable with the YAML text of a whole configuration, set by NeMo Gym's launcher.
pub const CONFIG_DICT_VARIABLE: &str = "NEMO_GYM_CONFIG_DICT";
/// The environment variable with the name of the one instance that this process shall serve.
pub const CONFIG_PATH_VARIABLE: &str = "NEMO_GYM_CONFIG_PATH";
/// The environment variable with further folders to search.
pub const EXTRA_ROOTS_VARIABLE: &str = "NEMO_GYM_EXTRA_ROOTS";

/// How many files one configuration may have.
const MAX_FILES: usize = 10_000;
/// How deep files may include each other.
const MAX_INCLUDES: usize = 50;

/// What the configuration is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To serve, or to check whether it could be served.
    #[default]
    Serve,
    /// To work with the data sets only. `policy_base_url`, `policy_api_key` and `policy_model_name` need no values then,
    /// and a model server `policy_model` is there even if none is configured.
    Data,
}

/// Everything that a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The working directory.
    pub cwd: PathBuf,
    /// Folders to search before the working directory.
    pub search_roots: Vec<PathBuf>,
    /// The folder in which gym-host is installed, with `environments/` and `configs/`.
    pub install_root: Option<PathBuf>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Files named by flags. They come before those that overrides name; if there are any of either,
    /// the `config_paths` of `env.yaml` does not count.
    pub config_paths: Vec<String>,
    /// Overrides in Hydra's syntax.
    pub overrides: Vec<String>,
    /// Values that the calling program gives.
    pub initial: Option<Node>,
    /// A whole configuration as YAML text, in place of files and `env.yaml`.
    pub text: Option<String>,
    /// The one instance that this process shall serve.
    pub only: Option<String>,
    /// What the configuration is wanted for.
    pub purpose: Purpose,
}

impl Sources {
    /// What the environment variables say: search roots from `NEMO_GYM_EXTRA_ROOTS`, and, when NeMo Gym's launcher
    /// started this process, the configuration from `NEMO_GYM_CONFIG_DICT` and the one instance to serve from
    /// `NEMO_GYM_CONFIG_PATH`.
    pub fn from_environment(
        cwd: PathBuf,
        install_root: Option<PathBuf>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        Self {
            search_roots: set(EXTRA_ROOTS_VARIABLE)
                .map(|roots| std::env::split_paths(&roots).filter(|root| !root.as_os_str().is_empty()).collect())
                .unwrap_or_default(),
            text: set(CONFIG_DICT_VARIABLE),
            only: set(CONFIG_PATH_VARIABLE),
            cwd,
            install_root,
            environment,
            ..Self::default()
        }
    }

    /// Where files are looked for.
    pub fn roots(&self) -> Roots {
        Roots::new(self.search_roots.clone(), self.cwd.clone(), self.install_root.clone())
    }
}

/// One tree made of everything, with the directives carried out. Interpolations and `???` are still in it.
#[derive(Clone, Debug)]
pub struct Composed {
    pub(crate) root: Node,
    pub(crate) roots: Roots,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) only: Option<String>,
    pub(crate) warnings: Vec<Warning>,
    /// The agents that were put together from two.
    pub(crate) composed_agents: BTreeSet<String>,
    files: Vec<PathBuf>,
}

impl Composed {
    /// Reads and merges everything.
    ///
    /// # Errors
    /// All malformed overrides, missing files, unreadable files and wrong directives that a pass finds.
    pub fn load(sources: Sources) -> Result<Self, ConfigErrors> {
        let roots = sources.roots();
        let (overrides, mut errors) = read_overrides(&sources.overrides);
        let mut loader = Loader::new(&roots);
        let mut root = match &sources.text {
            Some(text) => read_yaml(text, &Source::EnvironmentVariable(CONFIG_DICT_VARIABLE.into()))?,
            None => {
                let env = loader.env_file(&mut errors);
                let listed = config_paths(&sources, env.as_ref(), &overrides, &mut errors);
                ConfigErrors::check(std::mem::take(&mut errors))?;
                let mut root = Node::empty_map(Origin::default_value());
                loader.include(&listed, &mut root, 0, &mut errors);
                if let Some(env) = env {
                    merge_roots(&mut root, env);
                }
                let loaded = std::mem::take(&mut loader.loaded);
                if !loaded.is_empty() || root.child("config_paths").is_some() {
                    set(&mut root, "config_paths", Node::new(Value::List(loaded), Origin::default_value()));
                }
                root
            }
        };
        let flattened = root.child("config_paths").cloned();
        if let Some(initial) = sources.initial {
            merge_roots(&mut root, initial);
        }
        for change in &overrides {
            if let Err(error) = change.apply(&mut root) {
                errors.push(error);
            }
        }
        if let Some(flattened) = flattened.filter(|_| sources.text.is_none()) {
            set(&mut root, "config_paths", flattened);
        }
        if sources.purpose == Purpose::Data {
            add_placeholders(&mut root);
        }
        let applied = directives::apply(&mut root, &mut errors);
        let mut warnings = loader.warnings;
        ConfigErrors::check(std::mem::take(&mut errors))?;
        let composed_agents = agents::compose(&mut root, &applied.renamed, &mut errors, &mut warnings);
        ConfigErrors::check(errors)?;
        aliases::agents(&mut root, &mut warnings);
        let (environment, only, files) = (sources.environment, sources.only, loader.files);
        Ok(Self { root, roots: roots.clone(), environment, only, warnings, composed_agents, files })
    }

    /// The tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Where files are looked for.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The files that were read, in the order in which they were merged, `env.yaml` first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What was noticed on the way.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The whole configuration as YAML, interpolations as they were written and secrets in clear text: what a head
    /// server hands out.
    pub fn to_yaml(&self) -> String {
        writer::to_yaml(&self.root)
    }

    /// The configuration for people to read. Interpolations that cannot be resolved stay as they were written.
    pub fn dump(&self, options: DumpOptions) -> String {
        let mut root = if options.resolve { self.resolved() } else { self.root.clone() };
        if options.mask_secrets {
            secrets::mask(&mut root);
        }
        if options.origin {
            writer::write(&root, &|node| match node.value {
                Value::Map(ref entries) if !entries.is_empty() => None,
                _ => Some(node.origin.to_string()),
            })
        } else {
            writer::to_yaml(&root)
        }
    }

    /// The tree with the folders that blocks refer to as `${cache_dir}` and `${results_dir}`, if it does not name them.
    pub(crate) fn root_with_folders(&self) -> Node {
        let mut root = self.root.clone();
        for (key, folder) in self.folders() {
            if root.child(key).is_none() {
                set(&mut root, key, Node::text(folder, Origin::default_value()));
            }
        }
        root
    }

    /// `results_dir` and `cache_dir` where none are configured: folders of the working directory.
    pub(crate) fn folders(&self) -> [(&'static str, String); 2] {
        let folder = |name: &str| self.roots.cwd().join(name).to_string_lossy().into_owned();
        [("results_dir", folder("results")), ("cache_dir", folder("cache"))]
    }

    fn resolved(&self) -> Node {
        let variables = |name: &str| self.environment.get(name).cloned();
        let root = self.root_with_folders();
        let mut resolver = Resolver::new(&root, &variables).keeping();
        let mut resolved = resolver.resolve(&Path::default(), &mut Vec::new()).unwrap_or_else(|| self.root.clone());
        if let Some(entries) = resolved.as_map_mut() {
            entries.retain(|key, _| self.root.child(key.as_str()).is_some());
        }
        resolved
    }
}

/// How to dump a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpOptions {
    /// Write behind every value where it comes from.
    pub origin: bool,
    /// Write `****` in place of secrets.
    pub mask_secrets: bool,
    /// Write what interpolations stand for: what the servers see.
    pub resolve: bool,
}

impl Default for DumpOptions {
    /// Resolved, masked, without origins.
    fn default() -> Self {
        Self { origin: false, mask_secrets: true, resolve: true }
    }
}

pub(crate) fn set(root: &mut Node, key: &str, value: Node) {
    if let Some(entries) = root.as_map_mut() {
        entries.insert(Key::text(key), value);
    }
}

fn read_overrides(texts: &[String]) -> (Vec<Override>, Vec<ConfigError>) {
    let mut errors = Vec::new();
    let overrides = texts.iter().filter_map(|text| overrides::parse(text).map_err(|error| errors.push(error)).ok());
    (overrides.collect(), errors)
}

/// The files to begin with, each with the place that names it.
fn config_paths(
    sources: &Sources,
    env: Option<&Node>,
    overrides: &[Override],
    errors: &mut Vec<ConfigError>,
) -> Vec<(String, Origin)> {
    let mut given = Node::empty_map(Origin::caller());
    if let Some(initial) = &sources.initial {
        merge_roots(&mut given, initial.clone());
    }
    for change in overrides.iter().filter(|change| change.sets()) {
        // What fails here fails again, and is reported, when the overrides are applied to the whole.
        change.apply(&mut given).ok();
    }
    let flags: Vec<_> = sources.config_paths.iter().map(|path| (path.clone(), Origin::command_line())).collect();
    let named = given.child("config_paths").is_some_and(|node| !node.is_null());
    let from_env = !named && flags.is_empty();
    let mut seen = match env {
        Some(env) => env.clone(),
        None => Node::empty_map(Origin::caller()),
    };
    if !from_env && let Some(entries) = seen.as_map_mut() {
        entries.shift_remove("config_paths");
    }
    merge_roots(&mut seen, given);
    let mut all = flags;
    all.extend(paths_of(&seen, &sources.environment, errors));
    all
}

/// The `config_paths` of one tree, interpolations resolved.
fn paths_of(
    root: &Node,
    environment: &BTreeMap<String, String>,
    errors: &mut Vec<ConfigError>,
) -> Vec<(String, Origin)> {
    let Some(written) = root.child("config_paths") else { return Vec::new() };
    let variables = |name: &str| environment.get(name).cloned();
    let before = errors.len();
    let node = Resolver::new(root, &variables).resolve(&Path::of(["config_paths"]), errors);
    let Some(node) = node.filter(|_| errors.len() == before) else { return Vec::new() };
    let malformed = |key: String, node: &Node, found: String| {
        ConfigError::new(
            ErrorKind::MalformedConfigPaths,
            key,
            &node.origin,
            format!("expected a list of paths, found {found}"),
        )
        .with_hint("write `config_paths: [a.yaml, b.yaml]`".to_owned())
    };
    match &node.value {
        Value::Null => Vec::new(),
        Value::List(items) => {
            let mut paths = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                match item.as_text() {
                    Some(path) => paths.push((path.to_owned(), item.origin.clone())),
                    None => {
                        let found = format!("{} in it", item.kind_in_words());
                        errors.push(malformed(format!("config_paths.{index}"), item, found));
                    }
                }
            }
            paths
        }
        _ => {
            errors.push(malformed("config_paths".to_owned(), written, node.kind_in_words().to_owned()));
            Vec::new()
        }
    }
}

struct Loader<'a> {
    roots: &'a Roots,
    seen: HashSet<PathBuf>,
    loaded: Vec<Node>,
    files: Vec<PathBuf>,
    warnings: Vec<Warning>,
    spent: Size,
}

impl<'a> Loader<'a> {
    fn new(roots: &'a Roots) -> Self {
        let (loaded, files, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { roots, seen: HashSet::new(), loaded, files, warnings, spent: Size::default() }
    }

    /// The first `env.yaml` under the roots.
    fn env_file(&mut self, errors: &mut Vec<ConfigError>) -> Option<Node> {
        let path = self.roots.in_order().into_iter().map(|root| root.join("env.yaml")).find(|path| path.is_file())?;
        self.read(&path, &Origin::default_value(), "", errors)
    }

    /// Loads these files, and before each the files that it includes, over `root`.
    fn include(&mut self, paths: &[(String, Origin)], root: &mut Node, level: usize, errors: &mut Vec<ConfigError>) {
        for (path, origin) in paths {
            let Some(found) = self.roots.find(path).filter(|found| found.is_file()) else {
                errors.push(self.not_found(path, origin));
                continue;
            };
            let canonical = found.canonicalize().unwrap_or_else(|_| found.clone());
            if !self.seen.insert(canonical) {
                self.warnings.push(Warning {
                    key: "config_paths".to_owned(),
                    origin: origin.clone(),
                    text: format!("`{path}` is named again; it is loaded once, at its first place"),
                });
                continue;
            }
            if level >= MAX_INCLUDES || self.seen.len() > MAX_FILES {
                let text = format!("files include each other deeper than {MAX_INCLUDES}, or are more than {MAX_FILES}");
                errors.push(ConfigError::new(ErrorKind::TooLarge, "config_paths", origin, text));
                return;
            }
            let Some(mut node) = self.read(&found, origin, "config_paths", errors) else { continue };
            let nested = paths_of(&node, &BTreeMap::new(), errors);
            self.include(&nested, root, level + 1, errors);
            if let Some(entries) = node.as_map_mut() {
                entries.shift_remove("config_paths");
            }
            self.loaded.push(Node::text(path.as_str(), origin.clone()));
            merge_roots(root, node);
        }
    }

    fn read(&mut self, path: &FilePath, origin: &Origin, key: &str, errors: &mut Vec<ConfigError>) -> Option<Node> {
        let mut text = String::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_string(&mut text))
            .map_err(|error| {
                let problem = format!("failed to read `{}`: {error}", path.display());
                ConfigError::new(ErrorKind::MalformedYaml, key, origin, problem)
            });
        if let Err(error) = read {
            errors.push(error);
            return None;
        }
        self.files.push(path.to_owned());
        match read_yaml(&text, &Source::File(path.into())) {
            Ok(node) => {
                self.spent.add(node.size());
                if self.spent.fits() {
                    return Some(node);
                }
                let text = format!("all files together have more than {MAX_NODES} values or {MAX_TEXT} bytes of text");
                errors.push(ConfigError::new(ErrorKind::TooLarge, key, &node.origin, text));
                None
            }
            Err(problems) => {
                errors.extend_from_slice(problems.errors());
                None
            }
        }
    }

    fn not_found(&self, path: &str, origin: &Origin) -> ConfigError {
        let looked = self.roots.candidates(path);
        let mut nearby: Vec<String> = looked
            .iter()
            .filter_map(|candidate| candidate.parent())
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten()
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let parts: Vec<&str> = path.split('/').collect();
        let mut hint = match parts.last() {
            Some(name) => nearest::did_you_mean(name, nearby.iter().map(String::as_str)),
            None => None,
        };
        if let (None, ["resources_servers" | "environments", name, ..]) = (&hint, parts.as_slice()) {
            nearby = self.roots.environments();
            hint = nearest::did_you_mean(name, nearby.iter().map(String::as_str).filter(|known| known != name));
        }
        let hint = hint.unwrap_or_else(|| {
            let roots: Vec<_> = self.roots.in_order().iter().map(|root| root.display().to_string()).collect();
            format!("looked under {}", roots.join(", "))
        });
        ConfigError::new(ErrorKind::ConfigPathNotFound, "config_paths", origin, format!("there is no file `{path}`"))
            .with_hint(hint)
    }
}

fn add_placeholders(root: &mut Node) {
    let origin = Origin::default_value();
    for key in ["policy_base_url", "policy_api_key", "policy_model_name"] {
        if root.child(key).is_none_or(|node| node.is_null() || node.is_missing()) {
            set(root, key, Node::text("", origin.clone()));
        }
    }
    if root.child("policy_model").is_none() {
        let block = serde_json::json!({"responses_api_models": {"dummy_model": {"entrypoint": "app.py"}}});
        set(root, "policy_model", Node::from_json(&block, &origin).expect("four levels are not too deep"));
    }
}

/// The entries of a map node; none for anything else.
pub(crate) fn entries(node: &Node) -> impl Iterator<Item = (&Key, &Node)> {
    node.as_map().into_iter().flat_map(Map::iter)
}
