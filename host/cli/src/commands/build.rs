// SPDX-License-Identifier: Apache-2.0
//! `gym-host build`: from an environment's source to its component.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::SystemTime,
};

use crate::{
    args::BuildArgs,
    failure::{CommandResult, Failure},
    places::{EnvironmentFolder, Places},
};

mod python;

const TARGET: &str = "wasm32-wasip2";

pub(crate) fn run(arguments: &BuildArgs, places: &Places) -> CommandResult {
    let folders = if arguments.all {
        places.environments()
    } else {
        arguments.environments.iter().map(|name| places.environment(name)).collect::<Result<_, _>>()?
    };
    if folders.is_empty() {
        return Err(Failure::user("there are no environments here").with_hint("`gym-host init NAME` makes one"));
    }
    for (folder, change) in build(&folders, places)? {
        let component = folder.component();
        let size = std::fs::metadata(&component).map(|data| data.len()).unwrap_or_default();
        let note = match change {
            Change::Built => "built",
            Change::Unchanged => {
                // It is as new as its source, although the bytes are those of before.
                let touched = std::fs::File::open(&component).and_then(|file| file.set_modified(SystemTime::now()));
                if let Err(error) = touched {
                    tracing::debug!(%error, component = %component.display(), "the time of the build is not kept");
                }
                "unchanged"
            }
        };
        eprintln!("{note:>9}  {:<36} {:>7} kB  {}", folder.name, size.div_ceil(1000), component.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What a build did to the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Built,
    Unchanged,
}

/// Builds environments. Those of one Cargo workspace are built by one run of cargo.
pub(crate) fn build(
    folders: &[EnvironmentFolder],
    places: &Places,
) -> Result<Vec<(EnvironmentFolder, Change)>, Failure> {
    let mut python_ones = Vec::new();
    let mut workspaces: BTreeMap<PathBuf, Vec<EnvironmentFolder>> = BTreeMap::new();
    for folder in folders {
        if !folder.path.join("Cargo.toml").is_file() {
            if python::is_python(folder) {
                python_ones.push(folder);
                continue;
            }
            return Err(Failure::user(format!(
                "the environment `{}` has neither Cargo.toml nor pyproject.toml, so there is nothing to build at {}",
                folder.name,
                folder.path.display()
            )));
        }
        workspaces.entry(workspace_of(folder)?).or_default().push(folder.clone());
    }
    let mut done = Vec::new();
    for (workspace, folders) in workspaces {
        done.extend(build_workspace(&workspace, &folders)?);
    }
    for folder in folders {
        if python::build_runner(folder, places)? == Some(Change::Built)
            && let Some(entry) = done.iter_mut().find(|(built, _)| built == folder)
        {
            entry.1 = Change::Built;
        }
    }
    for folder in python_ones {
        done.push((folder.clone(), python::build(folder, places)?));
    }
    Ok(done)
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The manifest of the workspace that an environment belongs to.
fn workspace_of(folder: &EnvironmentFolder) -> Result<PathBuf, Failure> {
    let output = cargo()
        .args(["locate-project", "--workspace", "--message-format", "plain", "--manifest-path"])
        .arg(folder.path.join("Cargo.toml"))
        .output()
        .map_err(|error| {
            Failure::user(format!("failed to start cargo: {error}"))
                .with_hint("building a Rust environment needs a Rust toolchain")
        })?;
    if !output.status.success() {
        return Err(Failure::environment(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn build_workspace(
    workspace: &Path,
    folders: &[EnvironmentFolder],
) -> Result<Vec<(EnvironmentFolder, Change)>, Failure> {
    require_target()?;
    let mut command = cargo();
    command
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(workspace);
    if let Some(folder) = workspace.parent() {
        // Cargo looks for its configuration from here upwards: it may name a C compiler.
        command.current_dir(folder);
    }
    for folder in folders {
        let manifest = manifest(folder)?;
        if manifest.needs_c_compiler {
            require_c_compiler(folder, workspace)?;
        }
        command.args(["--package", &manifest.package]);
    }
    // Coverage and similar flags of an outer cargo are not meant for guests.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::infrastructure(format!("failed to start cargo: {error}")))?;
    if !output.status.success() {
        let names: Vec<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
        return Err(Failure::environment(format!(
            "failed to build `{}`; cargo's errors are above",
            names.join("`, `")
        )));
    }
    let artifacts = artifacts(&String::from_utf8_lossy(&output.stdout));
    let mut done = Vec::new();
    for folder in folders {
        let artifact = artifacts.get(&folder.path.join("Cargo.toml")).ok_or_else(|| {
            Failure::environment(format!("building `{}` made no WebAssembly component", folder.name))
                .with_hint("its Cargo.toml needs `[lib] crate-type = [\"cdylib\", \"rlib\"]`")
        })?;
        done.push((folder.clone(), install(artifact, &folder.component())?));
    }
    Ok(done)
}

/// Fails with one clear line when the toolchain cannot build for WebAssembly.
fn require_target() -> Result<(), Failure> {
    let sysroot = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let installed = sysroot.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir());
    if installed {
        return Ok(());
    }
    Err(Failure::user(format!("the Rust target `{TARGET}` is not installed, and environments compile to it"))
        .with_hint(format!("run `rustup target add {TARGET}`")))
}

/// Fails with one clear line when an environment has parts in C and nothing here compiles them. Whatever
/// `CC_wasm32_wasip2` names is believed; the checkout's own compiler is there once it was set up.
fn require_c_compiler(folder: &EnvironmentFolder, workspace: &Path) -> Result<(), Failure> {
    let is_named = std::env::var_os("CC_wasm32_wasip2").is_some();
    let own = workspace.parent().and_then(Path::parent).map(|root| root.join("target/tools/zig/bin/python"));
    if is_named || own.is_some_and(|program| program.is_file()) {
        return Ok(());
    }
    let reason =
        format!("the environment `{}` has parts in C, and there is no C compiler for WebAssembly", folder.name);
    Err(Failure::user(reason).with_hint("run `cargo xtask setup`, or set CC_wasm32_wasip2 to a compiler"))
}

/// What a build needs to know of an environment's Cargo.toml.
struct Manifest {
    package: String,
    /// `package.metadata.gym-host.c-compiler`.
    needs_c_compiler: bool,
}

fn manifest(folder: &EnvironmentFolder) -> Result<Manifest, Failure> {
    let path = folder.path.join("Cargo.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::user(format!("failed to read {}: {error}", path.display())))?;
    let manifest: toml::Table =
        text.parse().map_err(|error| Failure::user(format!("{} is not valid TOML: {error}", path.display())))?;
    let package = manifest.get("package");
    let name = package.and_then(|package| package.get("name")).and_then(|name| name.as_str());
    let settings = package.and_then(|package| package.get("metadata")?.get("gym-host"));
    Ok(Manifest {
        package: name
            .map(str::to_owned)
            .ok_or_else(|| Failure::user(format!("{} has no `package.name`", path.display())))?,
        needs_c_compiler: settings.and_then(|settings| settings.get("c-compiler")?.as_bool()).unwrap_or(false),
    })
}

/// The `.wasm` files that cargo reports, by the manifest of their package.
fn artifacts(messages: &str) -> BTreeMap<PathBuf, PathBuf> {
    let mut found = BTreeMap::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let manifest = message["manifest_path"].as_str().unwrap_or_default();
        let files = message["filenames"].as_array().into_iter().flatten().filter_map(|file| file.as_str());
        for file in files.filter(|file| file.ends_with(".wasm")) {
            found.insert(PathBuf::from(manifest), PathBuf::from(file));
        }
    }
    found
}

/// Puts a component into its place, whole or not at all: a server may be loading the old one.
fn install(artifact: &Path, component: &Path) -> Result<Change, Failure> {
    let problem =
        |error: std::io::Error| Failure::infrastructure(format!("failed to write {}: {error}", component.display()));
    let bytes = std::fs::read(artifact)
        .map_err(|error| Failure::infrastructure(format!("failed to read {}: {error}", artifact.display())))?;
    if std::fs::read(component).is_ok_and(|present| present == bytes) {
        return Ok(Change::Unchanged);
    }
    let partial = component.with_extension("wasm.partial");
    let written = std::fs::write(&partial, &bytes).and_then(|()| std::fs::rename(&partial, component));
    if let Err(error) = written {
        // What is left of the file is of no use; the error that matters is the first one.
        std::fs::remove_file(&partial).ok();
        return Err(problem(error));
    }
    Ok(Change::Built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_found_by_the_manifest_of_their_package() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/e/a/Cargo.toml","filenames":["/t/a.wasm","/t/liba.rlib"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/sdk/Cargo.toml","filenames":["/t/libsdk.rlib"]}"#,
            "\nnot json\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = artifacts(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found[Path::new("/e/a/Cargo.toml")], Path::new("/t/a.wasm"));
    }

    #[test]
    fn a_component_is_replaced_only_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (artifact, component) = (folder.path().join("a.wasm"), folder.path().join("c.wasm"));
        std::fs::write(&artifact, b"one").unwrap();
        assert_eq!(install(&artifact, &component).unwrap(), Change::Built);
        assert_eq!(install(&artifact, &component).unwrap(), Change::Unchanged);
        std::fs::write(&artifact, b"two").unwrap();
        assert_eq!(install(&artifact, &component).unwrap(), Change::Built);
        assert_eq!(std::fs::read(&component).unwrap(), b"two");
    }
}
