# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from gym_host_sdk import Attempt, Context, Reject, Verdict, cases, resources_server, tool, verify


@resources_server(echo=True)
class Sum:
    def __init__(self):
        self.total = 0

    @tool
    def add(self, number: int) -> int:
        """Add."""
        if number == 13:
            raise Reject("not 13")
        self.total += number
        return self.total

    @verify
    def grade(self, attempt: Attempt[dict], cx: Context) -> Verdict:
        if attempt.output_text() == "ask":
            return Verdict.of(cx.respond("judge", {"input": "?"}).output_text() == "yes")
        return Verdict(float(self.total == attempt.task["goal"]), total=self.total)


def written(folder, lines):
    (folder / "data").mkdir()
    (folder / "tests").mkdir()
    (folder / "data/example.jsonl").write_text('{"goal": 3}\n')
    (folder / "tests/cases.jsonl").write_text("\n".join(json.dumps(line) for line in lines))


def add(*numbers):
    return [{"calls": [{"name": "add", "arguments": {"number": number}}]} for number in numbers]


RIGHT = {"name": "r", "kind": "perfect", "task": 0, "turns": add(1, 2), "reward": 1.0, "outputs": [1, 3]}
WRONG = {"name": "w", "kind": "wrong", "task": 0, "turns": [{"text": "3"}], "reward": 0.0, "expect": {"total": 0}}


def test_cases_that_state_what_happens_pass(tmp_path):
    more = [
        {"name": "x", "kind": "edge", "task": {"goal": 0}, "turns": add(13), "reward": 1, "outputs": [{"error": "not 13"}]},
        {"name": "no tool", "kind": "edge", "task": {"goal": 0}, "turns": [{"calls": [{"name": "sub"}]}], "reward": 1},
        {
            "name": "judge",
            "kind": "edge",
            "task": 0,
            "turns": [{"text": "ask"}],
            "reward": 1.0,
            "models": {"judge": [{"text": "yes"}]},
        },
        {
            "name": "judge down",
            "kind": "edge",
            "task": 0,
            "turns": [{"text": "ask"}],
            "models": {"judge": [{"status": 500}]},
        },
    ]
    written(tmp_path, [RIGHT, WRONG, *more])
    cases.check(Sum, tmp_path)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([RIGHT], "example 0 has no wrong attempt"),
        ([RIGHT, WRONG | {"reward": 0.5}], "the reward should be 0.5 and is 0.0"),
        ([RIGHT, WRONG | {"expect": {"total": 1}}], "the field `total` should be 1 and is 0"),
        ([RIGHT | {"outputs": [1]}, WRONG], "the outputs should be"),
        ([RIGHT | {"task": 4}, WRONG], "there is no such example"),
        ([RIGHT | {"rewrad": 4}, WRONG], "`rewrad` is no member of a case"),
        ([{k: v for k, v in RIGHT.items() if k != "reward"}, WRONG], "grading should fail"),
    ],
)
def test_cases_that_state_something_else_fail(tmp_path, lines, said):
    written(tmp_path, lines)
    with pytest.raises(AssertionError) as failed:
        cases.check(Sum, tmp_path)
    assert said in str(failed.value)


def test_files_that_a_script_would_write_otherwise_are_named(tmp_path):
    (tmp_path / "generate.py").write_text("open('a.txt', 'w').write('one')")
    (tmp_path / "fails.py").write_text("raise SystemExit('no such thing')")
    (tmp_path / "a.txt").write_text("one")
    cases.check_generated(tmp_path, "generate.py")
    (tmp_path / "a.txt").write_text("two")
    with pytest.raises(AssertionError, match="would write other files than these: a.txt"):
        cases.check_generated(tmp_path, "generate.py")
    with pytest.raises(AssertionError, match="no such thing"):
        cases.check_generated(tmp_path, "fails.py")
    assert (tmp_path / "a.txt").read_text() == "two"
