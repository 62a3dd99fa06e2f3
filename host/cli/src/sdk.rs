// SPDX-License-Identifier: Apache-2.0
//! Where the guest SDKs lie: in the checkout, or carried by this binary and unpacked into the user's cache.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::{failure::Failure, places::Places};

static RUST: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/rust");
static RUST_MACROS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/rust-macros");
static PYTHON: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/python/src");
static PYTHON_PROJECT: &str = include_str!("../../../guest-sdk/python/pyproject.toml");
static WIT: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../wit");

/// The SDKs and the contract.
pub(crate) struct Sdk {
    base: PathBuf,
    /// Whether they are part of a checkout.
    pub in_checkout: bool,
}

impl Sdk {
    /// The SDKs of the checkout, or those that this binary carries.
    pub(crate) fn find(places: &Places) -> Result<Self, Failure> {
        if let Some(root) = &places.install
            && root.join("guest-sdk/rust/Cargo.toml").is_file()
        {
            return Ok(Self { base: root.clone(), in_checkout: true });
        }
        let base = places.cache().join(concat!("sdk-", env!("CARGO_PKG_VERSION")));
        unpack(&base).map_err(|error| {
            Failure::infrastructure(format!("failed to unpack the guest SDK into {}: {error}", base.display()))
        })?;
        Ok(Self { base, in_checkout: false })
    }

    /// The folder that the paths below are relative to.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// The Python packages.
    pub(crate) fn python_sources(&self) -> PathBuf {
        self.base.join("guest-sdk/python/src")
    }

    /// The contract.
    pub(crate) fn wit(&self) -> PathBuf {
        self.base.join("wit")
    }
}

/// Writes the SDKs with a workspace manifest that stands for the repository's own.
fn unpack(base: &Path) -> std::io::Result<()> {
    let parts = [
        (&RUST, "guest-sdk/rust"),
        (&RUST_MACROS, "guest-sdk/rust-macros"),
        (&PYTHON, "guest-sdk/python/src"),
        (&WIT, "wit"),
    ];
    for (part, target) in parts {
        let target = base.join(target);
        std::fs::create_dir_all(&target)?;
        part.extract(&target)?;
    }
    std::fs::write(base.join("guest-sdk/python/pyproject.toml"), PYTHON_PROJECT)?;
    let workspace = include_str!("../../../Cargo.toml");
    let manifest: toml::Table = workspace.parse().map_err(std::io::Error::other)?;
    let mut own = toml::Table::new();
    if let Some(toml::Value::Table(section)) = manifest.get("workspace") {
        let mut section = section.clone();
        section.remove("default-members");
        section.remove("exclude");
        let members = ["guest-sdk/rust", "guest-sdk/rust-macros"].map(|member| toml::Value::String(member.to_owned()));
        section.insert("members".to_owned(), toml::Value::Array(members.to_vec()));
        own.insert("workspace".to_owned(), toml::Value::Table(section));
    }
    std::fs::write(base.join("Cargo.toml"), toml::to_string(&own).map_err(std::io::Error::other)?)
}
