// SPDX-License-Identifier: Apache-2.0
//! Every folder under `environments/` is complete: documented, configured, with tasks that are proved solvable, and
//! listed where all environments are listed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use gym_tests::root;
use serde_json::Value;

/// What an environment may be about.
const DOMAINS: [&str; 12] = [
    "math",
    "coding",
    "agent",
    "knowledge",
    "instruction_following",
    "long_context",
    "safety",
    "games",
    "translation",
    "e2e",
    "rlhf",
    "other",
];
/// Tasks that an environment has at least.
const TASKS: usize = 10;
/// Rollouts that are shown at least.
const ROLLOUTS: usize = 5;

/// The folders of environments, by name.
fn environments() -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(root().join("environments")).expect("there are environments");
    let mut folders: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().expect("it has a name").to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name != "target" && !name.starts_with('.'))
        .collect();
    folders.sort();
    folders
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty())
}

/// The lines of a file as JSON; what is wrong is noted.
fn lines(path: &Path, problems: &mut Vec<String>) -> Vec<Value> {
    let Some(text) = text(path) else {
        problems.push(format!("{} is missing", path.display()));
        return Vec::new();
    };
    let read = |line: &str| serde_json::from_str(line).map_err(|error| format!("{}: {error}", path.display()));
    let (good, bad): (Vec<_>, Vec<_>) = text.lines().map(read).partition(Result::is_ok);
    problems.extend(bad.into_iter().filter_map(Result::err));
    good.into_iter().filter_map(Result::ok).collect()
}

fn check(name: &str, folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    match text(&folder.join("README.md")) {
        Some(readme) if readme.to_lowercase().contains("reward") => {}
        Some(_) => problems.push("README.md does not say what is rewarded".to_owned()),
        None => problems.push("README.md is missing".to_owned()),
    }
    if !folder.join("Cargo.toml").is_file() && !folder.join("pyproject.toml").is_file() {
        problems.push("neither Cargo.toml nor pyproject.toml is there".to_owned());
    }
    match text(&folder.join(format!("configs/{name}.yaml"))) {
        Some(config) => {
            let domain = config.lines().find_map(|line| line.trim().strip_prefix("domain:")).map(str::trim);
            if !domain.is_some_and(|domain| DOMAINS.contains(&domain)) {
                problems.push(format!("configs/{name}.yaml has the domain {domain:?}"));
            }
            for needed in ["resources_servers:", "responses_api_agents:", "data/example.jsonl"] {
                if !config.contains(needed) {
                    problems.push(format!("configs/{name}.yaml has no `{needed}`"));
                }
            }
        }
        None => problems.push(format!("configs/{name}.yaml is missing")),
    }
    let tasks = lines(&folder.join("data/example.jsonl"), &mut problems);
    if tasks.len() < TASKS {
        problems.push(format!("data/example.jsonl has {} tasks", tasks.len()));
    }
    let cases = lines(&folder.join("tests/cases.jsonl"), &mut problems);
    for kind in ["perfect", "wrong"] {
        let tried: BTreeSet<u64> =
            cases.iter().filter(|case| case["kind"] == kind).filter_map(|case| case["task"].as_u64()).collect();
        for task in (0..tasks.len() as u64).filter(|task| !tried.contains(task)) {
            problems.push(format!("task {task} has no {kind} attempt"));
        }
    }
    let rollouts = lines(&folder.join("data/example_rollouts.jsonl"), &mut problems);
    let graded = rollouts.iter().filter(|rollout| rollout["reward"].is_number() && rollout["response"].is_object());
    if graded.count() < ROLLOUTS {
        problems.push(format!("data/example_rollouts.jsonl has fewer than {ROLLOUTS} rollouts"));
    }
    match text(&folder.join("data/example_metrics.json")).and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
        Some(metrics) => {
            let counted = &metrics["Number of examples"];
            if *counted != tasks.len() {
                problems.push(format!("data/example_metrics.json counts {counted} tasks of {}", tasks.len()));
            }
        }
        None => problems.push("data/example_metrics.json is missing, or no JSON".to_owned()),
    }
    problems
}

#[test]
fn every_environment_is_complete() {
    let composed = text(&root().join("configs/all_environments.yaml")).expect("there is a composed configuration");
    let readme = text(&root().join("README.md")).expect("there is a README");
    let mut problems = Vec::new();
    for (name, folder) in environments() {
        let mut of_this = check(&name, &folder);
        for (place, whole, needed) in [
            ("configs/all_environments.yaml", &composed, format!("- resources_servers/{name}/configs/{name}.yaml\n")),
            ("configs/all_environments.yaml", &composed, format!("- environments/{name}/tests/cases.jsonl\n")),
            ("README.md", &readme, format!("| [{name}](environments/{name}) |")),
        ] {
            if !whole.contains(&needed) {
                of_this.push(format!("{place} lacks `{}`", needed.trim_end()));
            }
        }
        problems.extend(of_this.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn all_environments_can_be_served_at_once() {
    let mut command = gym_tests::gym_host(&root());
    let ended = gym_tests::run(command.args(["validate", "--quick", "--config", "configs/all_environments.yaml"]));
    assert!(ended.status.success(), "{}", ended.stderr);
    let names: BTreeSet<&str> = ended
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.get(1) == Some(&"resources_servers"))
        .filter_map(|words| words.get(2).copied())
        .collect();
    let folders = environments();
    let expected: BTreeSet<&str> = folders.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected);
}
