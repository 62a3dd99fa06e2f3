// SPDX-License-Identifier: Apache-2.0
//! `gym-host show`.

use std::process::Stdio;

use gym_tests::{gym_host, run};

const ROWS: &str = concat!(
    r#"{"responses_create_params":{"input":"first question"},"reward":1.0,"_ng_task_index":0,"_ng_rollout_index":0}"#,
    "\n",
    r#"{"responses_create_params":{"input":"second question"},"response":{"output":[{"type":"message","role":"assistant","content":"\u001b[2Janswer"}]},"reward":0.0,"_ng_task_index":1,"_ng_rollout_index":0,"extra":{"kept":1.50}}"#,
    "\n",
);

#[test]
fn rollouts_are_listed_filtered_and_shown_in_full() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.jsonl"), ROWS).unwrap();
    let shown = |arguments: &[&str]| run(gym_host(folder.path()).args(["show", "r.jsonl"]).args(arguments));

    let all = shown(&["--sort", "-task"]);
    let lines: Vec<&str> = all.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", all.stdout);
    assert!(lines[1].ends_with("second question") && lines[2].ends_with("first question"), "{}", all.stdout);
    assert!(all.stderr.contains("2 of 2 rollouts; mean reward of 2: 0.5000"), "{}", all.stderr);

    let one = shown(&["--task", "1"]);
    assert!(one.stdout.contains("assistant\n  ␛[2Janswer") && !one.stdout.contains('\u{1b}'), "{}", one.stdout);
    assert!(shown(&["--task", "1", "--color", "always"]).stdout.contains("\u{1b}[31mreward 0"));

    let raw = shown(&["is:zero", "--json"]);
    assert_eq!(raw.stdout, format!("{}\n", ROWS.lines().nth(1).unwrap()));

    for (arguments, part) in [(["colour>1"], "no field `colour`"), (["--sort=colour"], "no field `colour`")] {
        let refused = shown(&arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    let missing = run(gym_host(folder.path()).args(["show", "nowhere.jsonl"]));
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stderr.contains("nowhere.jsonl"), "{}", missing.stderr);
}

#[test]
fn a_pager_that_ends_early_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.jsonl"), ROWS.repeat(20_000)).unwrap();
    let mut child = gym_host(folder.path())
        .args(["show", "r.jsonl", "--full"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
