// SPDX-License-Identifier: Apache-2.0
//! What a fresh machine lacks.

use std::path::{Path, PathBuf};

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
    shell::command("rustup").args(["target", "add"]).args(&missing).run().with_context(|| {
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
        shell::cargo(["install", "--locked", "--quiet", "cargo-component", "--version", CARGO_COMPONENT, "--root"])
            .arg(&tools)
            .run()
            .context("failed to install cargo-component")?;
    }
    Ok(program)
}

/// A Python virtual environment with the client packages that the conformance tests drive, at pinned versions. Returns
/// its interpreter.
pub(crate) fn python_clients() -> anyhow::Result<PathBuf> {
    let venv = shell::root().join("target/python-clients");
    let python = venv.join("bin/python");
    let requirements = shell::root().join("tests/python/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).context("failed to read tests/python/requirements.txt")?;
    let stamp = venv.join("installed-requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if !python.exists() {
        shell::command("python3").args(["-m", "venv"]).arg(&venv).run().context("Python 3.11 or newer is needed")?;
    }
    shell::command(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements).run()?;
    std::fs::write(&stamp, wanted).context("failed to note the installed requirements")?;
    Ok(python)
}

const PYTEST: &str = "pytest==8.4.2";

/// The version that `gym-host build` asks for; it says so when this one is another.
const COMPONENTIZE_PY: &str = "0.25.1";

/// What builds Python environments, where `gym-host build` looks for it, with what their tests need. Returns the
/// interpreter.
fn python_tools() -> anyhow::Result<PathBuf> {
    let venv = shell::root().join("target/python-tools");
    let python = venv.join("bin/python");
    let stamp = venv.join("componentize-py-version.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|version| version.trim() == COMPONENTIZE_PY) {
        return Ok(python);
    }
    if !python.exists() {
        shell::command("python3").args(["-m", "venv"]).arg(&venv).run().context("Python 3.11 or newer is needed")?;
    }
    shell::command(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYTEST])
        .arg(format!("componentize-py=={COMPONENTIZE_PY}"))
        .run()?;
    std::fs::write(&stamp, COMPONENTIZE_PY).context("failed to note the version of componentize-py")?;
    Ok(python)
}

/// Where the tests of an environment written in Python run natively: a virtual environment with the packages of its
/// lock file, the ones that its component has. Returns the interpreter.
pub(crate) fn python_environment(folder: &Path) -> anyhow::Result<PathBuf> {
    let name = folder.file_name().context("the folder of an environment has a name")?;
    let venv = shell::root().join("target/python-environments").join(name);
    let python = venv.join("bin/python");
    let lock = folder.join("requirements.lock");
    let wanted = std::fs::read_to_string(&lock).with_context(|| format!("failed to read {}", lock.display()))?;
    let stamp = venv.join("installed.lock");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if !python.exists() {
        shell::command("python3").args(["-m", "venv"]).arg(&venv).run().context("Python 3.11 or newer is needed")?;
    }
    let pip = || shell::command(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip().arg(PYTEST).run()?;
    pip().args(["--no-deps", "--require-hashes", "--requirement"]).arg(&lock).run()?;
    std::fs::write(&stamp, wanted).context("failed to note the installed packages")?;
    Ok(python)
}

/// Chromium, in which the viewer is tested. Installed through apt by root; without it those tests are left out.
pub(crate) fn chromium() {
    let is_there = || shell::command("chromium").arg("--version").read_quietly().is_some();
    if is_there() {
        return;
    }
    let is_root = shell::command("id").arg("-u").read_quietly().is_some_and(|id| id.trim() == "0");
    if is_root && shell::command("apt-get").arg("--version").read_quietly().is_some() {
        let apt = |arguments: &[&str]| {
            shell::command("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments).run()
        };
        let installed = apt(&["update", "-qq"]).and_then(|()| apt(&["install", "-y", "-qq", "chromium"]));
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
    let venv = shell::root().join("target/tools/zig");
    let python = venv.join("bin/python");
    let stamp = venv.join("installed-version.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == ZIG) {
        return Ok(());
    }
    let requirement = format!("ziglang=={ZIG}");
    let install = || {
        if !python.exists() {
            shell::command("python3").args(["-m", "venv"]).arg(&venv).run()?;
        }
        shell::command(&python).args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", &requirement]).run()
    };
    install().with_context(|| {
        format!(
            "the C compiler for WebAssembly could not be installed; the environment `sql` needs it: install the Python \
             package `{requirement}` into `target/tools/zig`, or set CC_wasm32_wasip2 to another compiler"
        )
    })?;
    std::fs::write(&stamp, ZIG).context("failed to note the installed version of Zig")
}
