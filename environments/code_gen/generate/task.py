# SPDX-License-Identifier: Apache-2.0
"""What a task is made of."""

import dataclasses
import typing


@dataclasses.dataclass
class Task:
    statement: str
    # Gives the expected output of an input: slow and plain, so that it can be trusted.
    judge: typing.Callable
    # Inputs: texts for programs, lists of arguments for functions. `random.Random` makes more.
    inputs: list
    more: typing.Callable
    right: str
    wrong: str
    # How many tests the wrong attempt passes, and what it gets for the next one.
    passed: int
    code: int | bool
    function: str | None = None
    difficulty: str = "easy"
