// SPDX-License-Identifier: Apache-2.0
//! All tests, and one line at the end that says how many passed.

use std::path::PathBuf;

use anyhow::bail;

use crate::{setup, shell, shell::Step};

#[derive(clap::Args)]
pub(crate) struct TestOptions {
    /// Leave out the second way to build an environment (`cargo component build`), which needs cargo-component.
    #[arg(long)]
    skip_cargo_component: bool,
    /// Leave out the tests with Python clients.
    #[arg(long)]
    skip_python: bool,
}

/// How often tests are run that do not pass, where the runner itself does not run them again.
const TRIES: u32 = 2;

/// How many tests passed and failed.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: u32,
}

impl Tally {
    /// Runs tests, and all of them again when some fail: a machine that others use may starve a process past every
    /// patience. nextest does so test by test.
    fn add(&mut self, tries: u32, step: impl Fn() -> Step) -> anyhow::Result<()> {
        let mut left = tries;
        loop {
            left -= 1;
            let (success, output) = step().run_and_read()?;
            let (passed, failed) = count(&output);
            if success || left == 0 {
                self.passed += passed;
                // A runner that fails without naming a failed test (it did not compile, say) is a failure too.
                self.failed += if success { failed } else { failed.max(1) };
                return Ok(());
            }
            eprintln!("tests failed; trying them again");
        }
    }

    fn check(&mut self, result: anyhow::Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("error: {error:#}");
                self.failed += 1;
            }
        }
    }
}

/// Runs everything, and fails if anything failed.
pub(crate) fn run(options: &TestOptions) -> anyhow::Result<()> {
    let python_tools = setup::for_environments()?;
    setup::chromium();

    // What the tests need: the binary, the environments, and the guests that misbehave.
    for folder in ["", "environments", "tests/guests"] {
        shell::run_patiently(|| shell::cargo(["fetch", "--quiet"]).folder(folder))?;
    }
    shell::cargo(["build", "--workspace", "--bins"]).run()?;
    let host = shell::root().join("target/debug/gym-host");
    shell::run_patiently(|| shell::command(&host).args(["build", "--all"]))?;
    shell::cargo(["build", "--release", "--target", "wasm32-wasip2"]).folder("tests/guests").run()?;
    shell::run_patiently(|| shell::command(&host).args(["build", "tests/guests/environments/python_probe"]))?;

    // First what has no deadlines but those of the environments: it leaves their compiled code for the others.
    let mut tally = Tally::default();
    tally.add(TRIES, || shell::command(&host).args(["test", "--all"]))?;

    // Files with the end-to-end tests' rollouts must not survive from an earlier run.
    let python = if options.skip_python { None } else { Some(setup::python_clients()?) };
    let has_nextest = setup::has_nextest();
    let tests = |arguments: &[&str]| tests(has_nextest, arguments);
    let again = if has_nextest { 1 } else { TRIES };
    tally.add(again, || {
        let workspace = tests(&["--workspace"]).env("GYM_HOST_BINARY", &host);
        match &python {
            Some(python) => workspace.env("GYM_TEST_PYTHON", python),
            None => workspace,
        }
    })?;
    tally.add(again, || tests(&[]).folder("environments"))?;

    for folder in python_folders()? {
        let own = folder.join("requirements.lock").is_file();
        match if own { setup::python_environment(&folder) } else { Ok(python_tools.clone()) } {
            Ok(python) => {
                let pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider"];
                tally.add(TRIES, || shell::command(&python).args(pytest).folder(&folder))?;
            }
            Err(error) => tally.check(Err(error)),
        }
    }

    if !options.skip_cargo_component {
        tally.check(setup::cargo_component().and_then(|component| {
            let built = || shell::command(&component).args(["component", "build", "--release"]);
            shell::run_patiently(|| built().folder("environments/mcqa"))
        }));
    }

    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

/// The Python guest SDK and the environments written in Python.
fn python_folders() -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = vec![PathBuf::from("guest-sdk/python")];
    for entry in std::fs::read_dir(shell::root().join("environments"))? {
        let folder = entry?.path();
        if folder.join("pyproject.toml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

fn tests(has_nextest: bool, arguments: &[&str]) -> Step {
    if has_nextest {
        shell::cargo(["nextest", "run", "--no-fail-fast"]).args(arguments)
    } else {
        // In one process, tests that measure its memory would measure each other's.
        shell::cargo(["test", "--no-fail-fast", "--quiet"]).args(arguments).env("RUST_TEST_THREADS", "1")
    }
}

/// Passed and failed tests in the output of nextest (`Summary […] 5 tests run: 4 passed, 1 failed`), of cargo test
/// (`test result: ok. 4 passed; 1 failed; …`), of pytest (`1 failed, 4 passed in 0.1s`) and of our own commands (`4 passed, 1 failed`).
fn count(output: &str) -> (u32, u32) {
    let mut passed = 0;
    let mut failed = 0;
    let lines: Vec<String> = output.lines().map(|line| strip_colour(line).trim().to_owned()).collect();
    // nextest shows what a failed test printed, its own `test result:` among it, also when the second try passed.
    let is_nextest = lines.iter().any(|line| line.starts_with("Summary ["));
    for line in &lines {
        if is_nextest && !line.starts_with("Summary [") {
            continue;
        }
        let is_total = line.starts_with("Summary")
            || line.starts_with("test result:")
            || line.split_whitespace().nth(1) == Some("passed,")
            || line.contains(" passed in ")
            || line.contains(" failed in ");
        if !is_total {
            continue;
        }
        let words: Vec<&str> = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let number = pair[0].parse::<u32>().unwrap_or(0);
            match pair[1] {
                "passed" => passed += number,
                "failed" | "timed" => failed += number,
                _ => {}
            }
        }
    }
    (passed, failed)
}

fn strip_colour(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            for next in characters.by_ref() {
                if next.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_all_runners_are_read() {
        assert_eq!(count("     Summary [   1.2s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped"), (4, 1));
        assert_eq!(count("test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured"), (7, 2));
        assert_eq!(count("12 passed, 0 failed"), (12, 0));
        assert_eq!(count("..F\n1 failed, 2 passed in 0.10s"), (2, 1));
        assert_eq!(count("7 passed in 3.10s"), (7, 0));
        assert_eq!(count("\u{1b}[32m     Summary\u{1b}[0m [0.1s] 3 tests run: 3 passed, 0 skipped"), (3, 0));
        let flaky = "test result: FAILED. 0 passed; 1 failed; 0 ignored\n  Summary [ 1.0s] 3 tests run: 3 passed (1 flaky), 0 skipped";
        assert_eq!(count(flaky), (3, 0));
        assert_eq!(count("a sentence with 3 passed tests"), (0, 0));
    }
}
