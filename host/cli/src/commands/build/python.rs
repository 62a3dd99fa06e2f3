// SPDX-License-Identifier: Apache-2.0
//! Python environments: the builder of the guest SDK, run by an interpreter that has componentize-py.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Change;
use crate::{
    failure::Failure,
    places::{EnvironmentFolder, Places},
    sdk::Sdk,
};

/// The version that the builder is written for.
const COMPONENTIZE_PY: &str = "0.25.1";
/// Where `cargo xtask setup` puts the tools, below the checkout.
const SET_UP: &str = "target/python-tools";
/// In a folder of tools, the version that is installed there, written when it is complete.
const STAMP: &str = "componentize-py-version.txt";

/// Preloaded into componentize-py, so that the same inputs give the same component: see `still.c`. Empty where it could
/// not be compiled.
static STILL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/still.so"));

/// Whether the folder has a Python environment.
pub(super) fn is_python(folder: &EnvironmentFolder) -> bool {
    ["pyproject.toml", "requirements.txt"].iter().any(|name| folder.path.join(name).is_file())
}

/// The folder of an environment that has the source of a code runner.
const RUNNER: &str = "runner";

/// Builds the component that runs programs, where the environment has one beside its own.
pub(super) fn build_runner(folder: &EnvironmentFolder, places: &Places) -> Result<Option<Change>, Failure> {
    let source = folder.path.join(RUNNER);
    if !source.join("component.py").is_file() {
        return Ok(None);
    }
    let sdk = Sdk::find(places)?;
    let mut command = builder("gym_host_build.runner", places)?;
    command
        .arg("--folder")
        .arg(source)
        .arg("--wit")
        .arg(sdk.wit())
        .arg("--output")
        .arg(folder.path.join(format!("{RUNNER}.wasm")));
    run(command, folder, &sdk).map(Some)
}

/// Builds one environment.
pub(super) fn build(folder: &EnvironmentFolder, places: &Places) -> Result<Change, Failure> {
    let sdk = Sdk::find(places)?;
    let mut command = builder("gym_host_build", places)?;
    command
        .args(["--name", &folder.name])
        .arg("--folder")
        .arg(&folder.path)
        .arg("--sdk")
        .arg(sdk.python_sources())
        .arg("--wit")
        .arg(sdk.wit())
        .arg("--cache")
        .arg(places.cache().join("python"))
        .arg("--output")
        .arg(folder.component());
    run(command, folder, &sdk)
}

/// A module of the builder, with what makes its results the same every time.
fn builder(module: &str, places: &Places) -> Result<Command, Failure> {
    let mut command = Command::new(tools(places)?);
    command.args(["-B", "-m", module]);
    match still(places)? {
        Some(library) => {
            command.arg("--preload").arg(library);
        }
        None => {
            eprintln!("warning: this gym-host was built without a C compiler: building twice gives different bytes");
        }
    }
    Ok(command)
}

/// Runs the builder, which says whether there was anything to do.
fn run(mut command: Command, folder: &EnvironmentFolder, sdk: &Sdk) -> Result<Change, Failure> {
    let output = command
        .env("PYTHONPATH", sdk.python_sources())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::infrastructure(format!("failed to start the builder: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.trim() {
        "built" if output.status.success() => Ok(Change::Built),
        "unchanged" if output.status.success() => Ok(Change::Unchanged),
        _ => Err(explained(folder, &String::from_utf8_lossy(&output.stderr))),
    }
}

/// The library to preload, in the cache; none if there is none.
fn still(places: &Places) -> Result<Option<PathBuf>, Failure> {
    if STILL.is_empty() {
        return Ok(None);
    }
    let digest = blake3::hash(STILL).to_hex();
    let path = places.cache().join(format!("python/still-{}.so", &digest[..16]));
    if std::fs::read(&path).is_ok_and(|present| present == STILL) {
        return Ok(Some(path));
    }
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    std::fs::create_dir_all(places.cache().join("python"))
        .and_then(|()| std::fs::write(&partial, STILL))
        .and_then(|()| std::fs::rename(&partial, &path))
        .map_err(|error| Failure::infrastructure(format!("failed to write {}: {error}", path.display())))?;
    Ok(Some(path))
}

/// The builder's own words for what is wrong, or what it left when it broke.
fn explained(folder: &EnvironmentFolder, errors: &str) -> Failure {
    let last = errors.lines().last().unwrap_or_default();
    let told: Option<serde_json::Value> = serde_json::from_str(last).ok();
    let text = |name: &str| told.as_ref()?.get(name)?.as_str().map(str::to_owned);
    match (text("error"), text("hint")) {
        (Some(error), Some(hint)) if !hint.is_empty() => Failure::environment(error).with_hint(hint),
        (Some(error), _) => Failure::environment(error),
        (None, _) => {
            Failure::environment(format!("the builder broke while it built `{}`:\n{}", folder.name, errors.trim()))
        }
    }
}

/// An interpreter with componentize-py: that of the set-up, or one in the cache, made when it is needed first.
fn tools(places: &Places) -> Result<PathBuf, Failure> {
    let set_up = places.install.as_ref().map(|root| root.join(SET_UP));
    if let Some(folder) = set_up.filter(|folder| is_complete(folder)) {
        return Ok(interpreter(&folder));
    }
    let folder = places.cache().join(format!("python/tools-{COMPONENTIZE_PY}"));
    if !is_complete(&folder) {
        eprintln!("installing componentize-py {COMPONENTIZE_PY} into {}", folder.display());
        install(&folder)?;
    }
    Ok(interpreter(&folder))
}

fn interpreter(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

fn is_complete(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join(STAMP)).is_ok_and(|version| version.trim() == COMPONENTIZE_PY)
}

fn install(folder: &Path) -> Result<(), Failure> {
    let python = std::env::var_os("GYM_HOST_PYTHON").unwrap_or_else(|| "python3".into());
    let hint = "building a Python environment needs Python 3.11 or newer and access to a package index; `GYM_HOST_PYTHON` \
                names the interpreter";
    let run = |command: &mut Command| -> Result<(), Failure> {
        let output = command.stdin(Stdio::null()).output().map_err(|error| {
            Failure::infrastructure(format!("failed to start {}: {error}", command.get_program().display()))
                .with_hint(hint)
        })?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(Failure::infrastructure(format!("failed to install componentize-py: {}", errors.trim())).with_hint(hint))
    };
    run(Command::new(&python)
        .args(["-c", "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed'"]))?;
    run(Command::new(&python).args(["-m", "venv"]).arg(folder))?;
    run(Command::new(interpreter(folder))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .arg(format!("componentize-py=={COMPONENTIZE_PY}")))?;
    std::fs::write(folder.join(STAMP), COMPONENTIZE_PY)
        .map_err(|error| Failure::infrastructure(format!("failed to write to {}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builders_words_reach_the_author() {
        let folder = EnvironmentFolder { name: "x".into(), path: "/e/x".into() };
        let failure = explained(&folder, "noise\n{\"error\": \"no wheel\", \"hint\": \"leave it out\"}\n");
        assert_eq!((failure.message.as_str(), failure.hint.as_deref()), ("no wheel", Some("leave it out")));
        let failure = explained(&folder, "{\"error\": \"no wheel\", \"hint\": \"\"}");
        assert_eq!((failure.message.as_str(), failure.hint), ("no wheel", None));
        let failure = explained(&folder, "Traceback\nKeyError: 'x'\n");
        assert_eq!(failure.message, "the builder broke while it built `x`:\nTraceback\nKeyError: 'x'");
    }

    #[test]
    fn tools_are_complete_with_their_stamp() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_complete(folder.path()));
        std::fs::write(folder.path().join(STAMP), "0.1.0").unwrap();
        assert!(!is_complete(folder.path()));
        std::fs::write(folder.path().join(STAMP), COMPONENTIZE_PY).unwrap();
        assert!(is_complete(folder.path()));
    }
}
