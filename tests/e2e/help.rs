// SPDX-License-Identifier: Apache-2.0
//! The help texts of all commands are as in `tests/e2e/help/`. `GYM_HOST_UPDATE_HELP=1` writes them anew.

use std::{collections::BTreeSet, path::PathBuf};

use gym_tests::{gym_host, root, run};

/// The help text of a command, as wide as a terminal of 100 columns.
fn help(command: &[String]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut process = gym_host(folder.path());
    process.env("COLUMNS", "100");
    for name in ["GYM_HOST_MODEL_API_KEY", "GYM_HOST_TOKENIZER"] {
        process.env_remove(name);
    }
    let ended = run(process.args(command).arg("--help"));
    assert!(ended.status.success(), "{command:?}: {}", ended.stderr);
    // Ends of lines may have spaces that an editor would take away.
    ended.stdout.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The commands that a help text lists.
fn commands(text: &str) -> Vec<String> {
    let Some((_, listed)) = text.split_once("\nCommands:\n") else { return Vec::new() };
    listed
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn help_texts_are_those_that_were_agreed_on() {
    let folder = root().join("tests/e2e/help");
    let update = std::env::var_os("GYM_HOST_UPDATE_HELP").is_some();
    let mut known = BTreeSet::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    let mut different = Vec::new();
    while let Some(command) = open.pop() {
        let text = help(&command);
        for name in commands(&text) {
            open.push([command.clone(), vec![name]].concat());
        }
        let file: PathBuf =
            folder.join(format!("{}.txt", [vec!["gym-host".to_owned()], command.clone()].concat().join("-")));
        known.insert(file.clone());
        if update {
            std::fs::write(&file, &text).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != text {
            different.push(format!("{}\n{text}", file.display()));
        }
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if !known.contains(&path) {
            different.push(format!("{} is of no command", path.display()));
        }
    }
    assert!(known.len() > 10, "all commands were found: {known:?}");
    assert!(different.is_empty(), "GYM_HOST_UPDATE_HELP=1 writes these anew:\n{}", different.join("\n"));
}
