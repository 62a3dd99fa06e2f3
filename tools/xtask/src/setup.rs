// SPDX-License-Identifier: Apache-2.0
//! What a fresh machine lacks.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::shell;

/// The targets that environments compile to: the second one is what `cargo component build` uses.
const TARGETS: [&str; 2] = ["wasm32-wasip2", "wasm32-wasip1"];

const CARGO_COMPONENT: &str = "0.21.1";

/// Zig's version; its Python package has the same.
const ZIG: &str = "0.13.0";

/// Everything that building the environments takes. Returns the Python interpreter among it.
pub(crate) fn for_environments() -> anyhow::Result<PathBuf> {
    wasm_targets()?;
    wasm_c_compiler()?;
    python_tools()
}

/// Adds the WebAssembly targets to the Rust toolchain.
fn wasm_targets() -> anyhow::Result<()> {
    let installed = shell::command("rustup").args(["target", "list", "--installed"]).read_quietly().unwrap_or_default();
    let missing: Vec<&str> =
        TARGETS.into_iter().filter(|target| !installed.lines().any(|line| line.trim() == *target)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let add = || shell::command("rustup").args(["target", "add"]).args(&missing);
    shell::run_patiently(add).with_context(|| {
        format!(
            "the Rust targets `{}` are needed to build environments and could not be added; \
             run `rustup target add {}` on a machine that reaches the Rust distribution server",
            missing.join("`, `"),
            missing.join(" ")
        )
    })
}

/// cargo-component, in a folder of this repository.
pub(crate) fn cargo_component() -> anyhow::Result<PathBuf> {
    let tools = shell::root().join("target/tools");
    let program = tools.join("bin/cargo-component");
    let version = shell::command(&program).arg("--version").read_quietly().unwrap_or_default();
    if !version.contains(CARGO_COMPONENT) {
        let install = || {
            shell::cargo(["install", "--locked", "--quiet", "cargo-component", "--version", CARGO_COMPONENT, "--root"])
                .arg(&tools)
        };
        shell::run_patiently(install).context("failed to install cargo-component")?;
    }
    Ok(program)
}

/// A Python virtual environment in a folder below `target`. A file in it, the stamp, says what is installed: when that is
/// something else, or the interpreter does not work, the packages are installed (each list with one call of pip). Returns
/// the interpreter.
fn python_venv(folder: &str, stamp: &str, installed: &str, packages: &[Vec<OsString>]) -> anyhow::Result<PathBuf> {
    let venv = shell::root().join("target").join(folder);
    let python = venv.join("bin/python");
    let stamp = venv.join(stamp);
    let has_pip = || shell::command(&python).args(["-m", "pip", "--version"]).read_quietly().is_some();
    if std::fs::read_to_string(&stamp).is_ok_and(|there| there.trim() == installed.trim()) && has_pip() {
        return Ok(python);
    }
    if !has_pip() {
        shell::command("python3").args(["-m", "venv", "--clear"]).arg(&venv).run().context(
            "Python 3.11 or newer is needed, with its module `venv` (on Debian and Ubuntu: `apt-get install python3-venv`)",
        )?;
    }
    for arguments in packages {
        let pip = || {
            shell::command(&python)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(arguments)
        };
        shell::run_patiently(pip)?;
    }
    std::fs::write(&stamp, installed).context("failed to note what is installed")?;
    Ok(python)
}

/// The client packages that the conformance tests drive, at pinned versions. Returns their interpreter.
pub(crate) fn python_clients() -> anyhow::Result<PathBuf> {
    let requirements = shell::root().join("tests/python/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).context("failed to read tests/python/requirements.txt")?;
    python_venv(
        "python-clients",
        "installed-requirements.txt",
        &wanted,
        &[vec!["--requirement".into(), requirements.into()]],
    )
}

const PYTEST: &str = "pytest==8.4.2";

/// The version that `gym-host build` asks for; it says so when this one is another.
const COMPONENTIZE_PY: &str = "0.25.1";
/// The file by which `gym-host build` sees that the tools are complete.
const STAMP: &str = "componentize-py-version.txt";

/// What builds Python environments, where `gym-host build` looks for it, with what their tests need. Returns the
/// interpreter.
fn python_tools() -> anyhow::Result<PathBuf> {
    let componentize = format!("componentize-py=={COMPONENTIZE_PY}");
    python_venv("python-tools", STAMP, COMPONENTIZE_PY, &[vec![PYTEST.into(), componentize.into()]])
}

/// Where the tests of an environment written in Python run natively: a virtual environment with the packages of its
/// lock file, the ones that its component has. Returns the interpreter.
pub(crate) fn python_environment(folder: &Path) -> anyhow::Result<PathBuf> {
    let name = folder.file_name().context("the folder of an environment has a name")?.to_string_lossy();
    let lock = folder.join("requirements.lock");
    let wanted = std::fs::read_to_string(&lock).with_context(|| format!("failed to read {}", lock.display()))?;
    let locked = ["--no-deps", "--require-hashes", "--requirement"].map(OsString::from);
    let locked = locked.into_iter().chain([lock.into()]).collect();
    python_venv(&format!("python-environments/{name}"), "installed.lock", &wanted, &[vec![PYTEST.into()], locked])
}

/// Chromium, in which the viewer is tested. Installed through apt by root; without it those tests are left out.
pub(crate) fn chromium() {
    let is_there = || shell::command("chromium").arg("--version").read_quietly().is_some();
    if is_there() {
        return;
    }
    let is_root = shell::command("id").arg("-u").read_quietly().is_some_and(|id| id.trim() == "0");
    if is_root && shell::command("apt-get").arg("--version").read_quietly().is_some() {
        // Another program that installs something may hold the lock for a while.
        const PATIENT: [&str; 6] =
            ["-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=60", "-o", "DPkg::Lock::Timeout=120"];
        let apt = |arguments: &[&str]| {
            shell::command("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(PATIENT).args(arguments).run()
        };
        // Old lists of packages may do when there are no new ones.
        if let Err(error) = apt(&["update", "-qq"]) {
            eprintln!("{error:#}");
        }
        let installed = apt(&["install", "-y", "-qq", "--no-install-recommends", "chromium"]);
        match installed {
            Ok(()) if is_there() => return,
            Ok(()) => {}
            Err(error) => eprintln!("{error:#}"),
        }
    }
    eprintln!(
        "chromium is not installed: the tests of the viewer in a browser are left out (`apt-get install chromium`)"
    );
}

/// nextest if it is there, plain `cargo test` otherwise.
pub(crate) fn has_nextest() -> bool {
    shell::cargo(["nextest", "--version"]).read_quietly().is_some()
}

/// A C compiler that makes WebAssembly, for environments with parts in C (SQLite): Zig's, from its Python package, in a
/// folder of this repository. `environments/.cargo/config.toml` tells build scripts of it. Not needed where
/// `CC_wasm32_wasip2` names another one.
fn wasm_c_compiler() -> anyhow::Result<()> {
    if std::env::var_os("CC_wasm32_wasip2").is_some() {
        return Ok(());
    }
    let requirement = format!("ziglang=={ZIG}");
    let only_binary = ["--only-binary", ":all:", &requirement].map(OsString::from);
    python_venv("tools/zig", "installed-version.txt", ZIG, &[only_binary.into()]).with_context(|| {
        format!(
            "the C compiler for WebAssembly could not be installed; the environment `sql` needs it: install the Python \
             package `{requirement}` into `target/tools/zig`, or set CC_wasm32_wasip2 to another compiler"
        )
    })?;
    Ok(())
}
