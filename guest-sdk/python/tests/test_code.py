# SPDX-License-Identifier: Apache-2.0
"""Programs that nobody trusts, natively."""

import pytest

from gym_host_sdk import Context, Ending, Program, RunFailure, TestHost


@pytest.fixture
def cx() -> Context:
    return Context(TestHost())


def test_a_program_reads_and_writes(cx: Context) -> None:
    program = Program("import sys\nprint(input()[::-1], sys.argv[1:], open('a/b').read())", "abc", ["x"], {"a/b": b"hi"})
    run = cx.run_code(program)
    assert (run.succeeded, run.stdout, run.stderr, run.returned) == (True, "cba ['x'] hi\n", "", None)


@pytest.mark.parametrize(
    ("source", "ending", "status"),
    [
        ("pass", Ending.EXITED, 0),
        ("import sys; sys.exit(3)", Ending.EXITED, 3),
        ("import os; os._exit(4)", Ending.EXITED, 4),
        ("1 / 0", Ending.EXITED, 1),
        ("print(", Ending.EXITED, 1),
        ("while True: pass", Ending.OUT_OF_TIME, None),
        ("x = [0] * 10**9", Ending.OUT_OF_MEMORY, None),
    ],
)
def test_every_end_is_told(cx: Context, source: str, ending: Ending, status: int | None) -> None:
    run = cx.run_code(Program(source, cpu_ms=1000))
    assert (run.ending, run.status) == (ending, status)


def test_a_function_is_called_with_data(cx: Context) -> None:
    program = Program("class Solution:\n    def area(self, a, b): return [a * b]", call=("area", [3, 4]))
    assert cx.run_code(program).result() == [12]
    assert cx.run_code(Program("def f(): return object()", call=("f", []))).returned is None


def test_output_is_kept_up_to_the_limit(cx: Context) -> None:
    run = cx.run_code(Program("print('x' * 100)", output_bytes=10))
    assert (run.stdout, run.output_cut) == ("x" * 10, True)


def test_a_process_keeps_what_it_knows_until_it_ends(cx: Context) -> None:
    process, run = cx.start_code("seen = []\ndef see(x):\n    seen.append(x)\n    print(x)\n    return seen\ndef end(): raise SystemExit(2)\nimport os")
    with process:
        assert run.succeeded
        assert process.call("see", 1).result() == [1]
        second = process.call("see", "b")
        assert (second.result(), second.stdout) == ([1, "b"], "b\n")
        assert process.call("end").status == 2
        assert process.call("see", 3).result() == [1, "b", 3]
        assert process.call("os._exit") .status == 1
    with pytest.raises(RunFailure, match="has ended"):
        process.call("see", 4)


def test_a_process_that_never_answers_is_over(cx: Context) -> None:
    process, _ = cx.start_code("def loop():\n    while True: pass")
    with process:
        assert process.call("loop", cpu_ms=1000).ending is Ending.OUT_OF_TIME
        with pytest.raises(RunFailure, match="has ended"):
            process.call("loop")


def test_an_unknown_runner_is_a_failure(cx: Context) -> None:
    with pytest.raises(RunFailure, match="no code runner `ruby`"):
        cx.run_code("1", runner="ruby")
