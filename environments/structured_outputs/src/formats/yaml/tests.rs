// SPDX-License-Identifier: Apache-2.0
//! Documents, and what they are to Python.

use super::*;

fn repr(text: &str) -> Option<String> {
    parse(text).ok().map(|value| value.repr())
}

#[test]
fn documents_are_read() {
    for (text, expected) in [
        ("a: 1\nb: [x, 'y', \"z\\n\"]\n", "{'a': 1, 'b': ['x', 'y', 'z\\n']}"),
        ("- a\n- b: yes\n  c:\n", "['a', {'b': True, 'c': None}]"),
        ("{\"a\": 1, \"b\": null}", "{'a': 1, 'b': None}"),
        ("# nothing\n", "None"),
        ("just text", "'just text'"),
        ("---\na: 1\n...\n", "{'a': 1}"),
        ("text: |\n  one\n  two\nfolded: >-\n  one\n  two\n", "{'text': 'one\\ntwo\\n', 'folded': 'one two'}"),
        ("a: '1'\nb: !!str 1\nc: !!int '1'\nd: ! 2", "{'a': '1', 'b': '1', 'c': 1, 'd': '2'}"),
        ("a: &x [1]\nb: *x", "{'a': [1], 'b': [1]}"),
        ("a: 1\na: 2", "{'a': 2}"),
        ("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3", "{'base': {'x': 1, 'y': 2}, 'c': {'x': 1, 'y': 3}}"),
        ("a: |\n  x", "{'a': 'x'}"),
        ("a: \"x\ty\" # \t", "{'a': 'x\\ty'}"),
        ("1: a", "{'\\x00int 1': 'a'}"),
        ("true: a", "{'\\x00bool True': 'a'}"),
        ("day: 2024-05-10", "{'day': {'\\x00date ': None}}"),
        ("s: !!set {a, b}", "{'s': {'\\x00set ': None}}"),
    ] {
        assert_eq!(repr(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_python_does_not_load_is_an_error() {
    for text in [
        "```yaml\na: 1\n```",
        "a: 1\n---\nb: 2",
        "a: b: c",
        "a: [1, 2",
        "a: *x",
        "a: &x [*x]",
        "? [a]\n: b",
        "a: !foo 1",
        "a: !!python/object:os.system x",
        "a: =",
        "<<: 1",
        "a: @b",
        "a: 2024-02-30",
        "a: \u{1}",
        "a: 1\n b: 2",
        "\"open",
        "a:\t1",
        "a: x\ty",
        "...\na: 1",
    ] {
        assert_eq!(repr(text), None, "{text}");
    }
}

#[test]
fn aliases_and_depth_are_bounded() {
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        bomb += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    assert!(parse(&bomb).is_err());
    assert!(parse(&"[".repeat(50_000)).is_err());
    assert!(parse(&format!("{}{}", "[".repeat(500), "]".repeat(500))).is_err());
}
