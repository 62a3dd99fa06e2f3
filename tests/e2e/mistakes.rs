// SPDX-License-Identifier: Apache-2.0
//! Files that are not right, and disks that are full: one error that says what to do, and no file that looks whole.

use std::{
    collections::BTreeSet,
    fs::Permissions,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use gym_tests::{Ended, gym_host, run};
use serde_json::json;

const CONFIG: &str = "\
head_server: {host: 127.0.0.1, port: 0}
weather:
  resources_servers:
    example_single_tool_call: {entrypoint: app.py, domain: agent}
policy_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      script: [{attempts: [[{text: It is cold.}]]}]
weather_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: weather}
      model_server: {type: responses_api_models, name: policy_model}
      datasets:
      - {name: one, type: example, jsonl_fpath: bad.jsonl}
";

/// The commands that read `bad.jsonl` and would write files whose names begin with `new`.
const COMMANDS: [(&str, &[&str]); 8] = [
    ("collect", &["collect", "--config", "config.yaml", "-i", "bad.jsonl", "-o", "new.jsonl"]),
    ("prepare", &["data", "prepare", "--config", "config.yaml", "--mode", "example_validation", "-o", "new"]),
    ("merge", &["merge", "bad.jsonl", "good.jsonl", "-o", "new.jsonl"]),
    ("aggregate", &["aggregate", "-i", "bad.jsonl,good.jsonl", "-o", "new.jsonl"]),
    ("profile", &["profile", "bad.jsonl", "--html", "new.html", "--csv", "new.csv", "--subset", "new.jsonl"]),
    ("reverify", &["reverify", "--config", "config.yaml", "-r", "bad.jsonl", "-i", "good.jsonl", "-o", "new.jsonl"]),
    ("show", &["show", "bad.jsonl"]),
    ("view", &["view", "bad.jsonl", "--port", "0"]),
];

/// A row that can be run, and a rollout as well.
fn row(task: usize) -> String {
    let row = json!({
        "responses_create_params": {"input": [{"role": "user", "content": format!("Weather, please ({task}).")}]},
        "agent_ref": {"type": "responses_api_agents", "name": "weather_agent"},
        "_ng_task_index": task, "_ng_rollout_index": 0, "reward": 1.0, "response": {"output": []}});
    format!("{row}\n")
}

fn folder(bad: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("config.yaml", CONFIG);
    write("good.jsonl", &row(1_000_000));
    match bad {
        Some(text) => write("bad.jsonl", text),
        None => std::fs::create_dir(folder.path().join("bad.jsonl")).unwrap(),
    }
    folder
}

/// What is there beside the inputs.
fn left(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let known = ["config.yaml", "good.jsonl", "bad.jsonl", "big.jsonl"];
    names.filter(|name| !known.contains(&name.as_str())).collect()
}

fn has_one_error(name: &str, ended: &Ended, says: &str) {
    assert!(!ended.status.success(), "{name}: {}", ended.stderr);
    let errors = ended.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{name}: {}", ended.stderr);
    assert!(ended.stderr.contains(says), "{name} does not say `{says}`: {}", ended.stderr);
    assert!(ended.stderr.contains("hint: "), "{name} does not say what to do: {}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{name}: {}", ended.stderr);
}

#[test]
fn a_line_that_is_not_json_is_named_by_every_command() {
    let mut text: String = (0..70_000).map(row).collect();
    text.push_str("{\"responses_create_params\": \n");
    text.push_str(&row(70_001));
    let folder = folder(Some(&text));
    for (name, arguments) in COMMANDS {
        let ended = if name == "view" {
            run_until_hint(gym_host(folder.path()).args(arguments))
        } else {
            run(gym_host(folder.path()).args(arguments))
        };
        has_one_error(name, &ended, "bad.jsonl:70001");
        assert_eq!(left(folder.path()), BTreeSet::new(), "{name}");
    }
}

/// The viewer shows all other lines, so it goes on after it has said what is wrong.
fn run_until_hint(command: &mut Command) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    while !stderr.lines().last().is_some_and(|line| line.starts_with("hint: ")) {
        assert_ne!(lines.read_line(&mut stderr).unwrap(), 0, "the viewer ended: {stderr}");
    }
    child.kill().unwrap();
    Ended { status: child.wait().unwrap(), stdout: String::new(), stderr }
}

#[test]
fn rows_of_wrong_types_empty_files_folders_and_missing_files_are_errors() {
    for (case, bad, says) in [
        ("wrong type", Some("[1, 2]\n"), "bad.jsonl:1"),
        ("empty", Some(""), "bad.jsonl has no ro"),
        ("folder", None, "irectory"),
    ] {
        let folder = folder(bad);
        for (name, arguments) in COMMANDS {
            // Shards may be empty.
            let may_be_empty = bad == Some("") && matches!(name, "merge" | "aggregate" | "reverify");
            if !may_be_empty {
                let ended = run(gym_host(folder.path()).args(arguments));
                has_one_error(&format!("{name}, {case}"), &ended, says);
                assert_eq!(left(folder.path()), BTreeSet::new(), "{name}, {case}");
            }
        }
    }
    let folder = folder(Some(""));
    std::fs::remove_file(folder.path().join("bad.jsonl")).unwrap();
    for (name, arguments) in COMMANDS {
        let ended = run(gym_host(folder.path()).args(arguments));
        has_one_error(name, &ended, "bad.jsonl");
        assert_eq!(left(folder.path()), BTreeSet::new(), "{name}");
    }
}

/// Root may read everything, so root's tests run the commands as somebody else.
#[test]
fn a_file_that_may_not_be_read_is_an_error() {
    const NOBODY: u32 = 65534;
    let folder = folder(Some(&row(0)));
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(folder.path().join(name), Permissions::from_mode(mode)).unwrap();
    };
    mode("bad.jsonl", 0o000);
    mode("", 0o777);
    let is_root = std::fs::File::open(folder.path().join("bad.jsonl")).is_ok();
    // Root without what makes it root still finds the binary in a folder of its own.
    let setpriv = |program: &std::ffi::OsStr| {
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]).arg(program);
        command
    };
    let cat = || setpriv("cat".as_ref()).arg(folder.path().join("bad.jsonl")).output();
    let can_drop =
        is_root && cat().is_ok_and(|read| String::from_utf8_lossy(&read.stderr).contains("ermission denied"));
    for (name, arguments) in COMMANDS {
        let mut command = gym_host(folder.path());
        if can_drop {
            let mut dropped = setpriv(command.get_program());
            dropped.current_dir(folder.path());
            dropped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command = dropped;
        } else if is_root {
            command.uid(NOBODY).gid(NOBODY).env("HOME", folder.path());
        }
        let ended = run(command.args(arguments));
        has_one_error(name, &ended, "ermission denied");
        assert!(ended.stderr.contains("bad.jsonl") && ended.stderr.contains("permissions"), "{name}: {}", ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{name}");
    }
}

/// A limit of the size of files is met like a full disk: in the middle of a row.
#[test]
fn a_full_disk_leaves_no_file_that_looks_whole() {
    let text: String = (0..2000).map(row).collect();
    let folder = folder(Some(&text));
    std::fs::write(folder.path().join("big.jsonl"), &text).unwrap();
    let copies: [(&str, &[&str]); 2] = [
        ("pull", &["data", "pull", "big.jsonl", "-o", "new.jsonl"]),
        ("push", &["data", "push", "big.jsonl", "new.jsonl"]),
    ];
    let writes = |name: &str| !matches!(name, "collect" | "reverify" | "show" | "view");
    let commands = COMMANDS.iter().copied().filter(|(name, _)| writes(name));
    for (name, arguments) in commands.chain(copies) {
        let host = gym_host(folder.path());
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 20; exec \"$@\"", "sh"]).arg(host.get_program()).args(arguments);
        limited.current_dir(folder.path()).envs(host.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = run(&mut limited);
        has_one_error(name, &ended, "File too large");
        assert!(ended.stderr.contains("make room on the disk"), "{name}: {}", ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{name}");
        assert_eq!(left(folder.path()), BTreeSet::new(), "{name}");
    }
}

#[test]
fn output_that_nobody_takes_ends_a_command_without_a_panic() {
    let text: String = (0..2000).map(row).collect();
    let folder = folder(Some(&text));
    for (name, arguments) in [
        ("show", "show bad.jsonl"),
        ("profile", "profile bad.jsonl --json -"),
        ("config", "config dump --config config.yaml"),
        ("collect", "collect --config config.yaml -i bad.jsonl -o new.jsonl --limit 3 --fresh --json"),
    ] {
        let host = gym_host(folder.path());
        let shell = |redirection: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("\"$0\" {arguments} {redirection}")]).arg(host.get_program());
            shell.current_dir(folder.path()).envs(host.get_envs().filter_map(|(name, value)| Some((name, value?))));
            run(&mut shell)
        };
        let ended = shell("> /dev/full");
        assert_eq!(ended.status.code(), Some(3), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("error: ") && !ended.stderr.contains("panicked"), "{name}: {}", ended.stderr);
        let ended = shell("| true");
        assert!(!ended.stderr.contains("panicked"), "{name}: {}", ended.stderr);
    }
}
