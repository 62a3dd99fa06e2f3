// SPDX-License-Identifier: Apache-2.0
//! Compiles what is preloaded into the program that makes components of Python environments.

use std::{path::Path, process::Command};

const SOURCE: &str = "src/commands/build/still.c";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-env-changed=CC");
    let folder = std::env::var_os("OUT_DIR").expect("cargo gives build scripts a folder");
    let library = Path::new(&folder).join("still.so");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let compiled = Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(SOURCE).status();
    if !compiled.is_ok_and(|status| status.success()) {
        println!("cargo::warning=no C compiler for Linux: components of Python environments will not be reproducible");
        std::fs::write(&library, b"").expect("cargo's folder can be written to");
    }
}
