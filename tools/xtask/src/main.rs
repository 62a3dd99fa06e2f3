// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask`: everything that the repository can do with itself. Each command installs what it needs.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

mod environments;
mod quickstart;
mod setup;
mod shell;
mod test;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set up, try, test and measure this repository.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building environments takes: the WebAssembly targets of the Rust toolchain, a C compiler, and what
    /// builds Python environments; and Chromium for the tests of the viewer, where apt can install it.
    Setup,
    /// Build everything, serve the example environments, let an agent work on their tasks against a scripted model, and
    /// print the rewards.
    Quickstart {
        /// How often each task is attempted.
        #[arg(long, default_value_t = 4)]
        repeats: u32,
    },
    /// Run all tests.
    Test(test::TestOptions),
    /// Build gym-host and the load generator with optimisations and print the benchmark table.
    Bench {
        /// Arguments for the load generator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Print a table of the environments: domain, language, size, and how long a host takes to serve them from a warm
    /// cache, each alone and all together.
    Environments {
        /// Measure with this binary and what is built, instead of building everything with optimisations first.
        #[arg(long, value_name = "FILE")]
        host: Option<std::path::PathBuf>,
    },
    /// Check formatting and lints.
    Lint,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Setup => {
            setup::for_environments()?;
            setup::chromium();
            Ok(())
        }
        Command::Quickstart { repeats } => quickstart::run(repeats),
        Command::Test(options) => test::run(&options),
        Command::Bench { arguments } => bench(&arguments),
        Command::Environments { host: None } => environments::run(),
        Command::Environments { host: Some(host) } => environments::measure(&host),
        Command::Lint => lint(),
    }
}

fn bench(arguments: &[String]) -> anyhow::Result<()> {
    setup::for_environments()?;
    shell::cargo(["build", "--release", "-p", "gym-host", "-p", "gym-bench"]).run()?;
    let host = shell::root().join("target/release/gym-host");
    shell::command(&host).args(["build", "--all"]).run()?;
    shell::command(shell::root().join("target/release/gym-bench")).arg("--host").arg(&host).args(arguments).run()
}

fn lint() -> anyhow::Result<()> {
    shell::cargo(["fmt", "--all", "--check"]).run()?;
    shell::cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}
