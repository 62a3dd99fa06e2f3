// SPDX-License-Identifier: Apache-2.0

use crate::{
    agents::write_input,
    child::{collected, command, counted},
};

/// A limit of the size of files is met like a full disk: in the middle of a row.
#[test]
fn a_full_disk_is_one_error_and_the_next_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_input(folder.path(), 100);
    // The materialized rows of 100 tasks with 4 repeats take some 70 kB, the rollouts 140 kB.
    let output = command(folder.path(), "trap '' XFSZ; ulimit -f 200;").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    let error = text.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains("failed to write") && error.contains("out.jsonl"), "{error}");
    assert!(text.contains("hint: every row that was counted is in the file"), "{text}");
    let content = std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    assert!(content.ends_with('\n'), "no half row is left");
    let counted_before = counted(&text);
    assert_eq!(counted_before, collected(folder.path()));
    let output = command(folder.path(), "").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let rest = counted(&String::from_utf8_lossy(&output.stderr));
    assert!(rest.is_disjoint(&counted_before));
    assert_eq!((rest.len() + counted_before.len(), collected(folder.path()).len()), (400, 400));
}

/// The rows to be run do not fit: nothing is left that looks whole.
#[test]
fn rows_that_cannot_be_written_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    write_input(folder.path(), 100);
    let output = command(folder.path(), "trap '' XFSZ; ulimit -f 20;").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("out_materialized_inputs.jsonl"), "{text}");
    let mut left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["in.jsonl"]);
}
