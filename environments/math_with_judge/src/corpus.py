# SPDX-License-Identifier: Apache-2.0
"""Pairs of expected and given answers with the verdicts that math-verify must give, in `corpus.txt`."""

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import library


@dataclass
class Pair:
    """One pair.

    Attributes:
        line: Where it stands.
        expected: The expected answer.
        said: What the model says.
        equal: The verdict.
        exceptions: The verdicts of other versions of math-verify.
    """

    line: int
    expected: str
    said: str
    equal: bool
    exceptions: dict[str, bool] = field(default_factory=dict)

    def verdict(self, release: str) -> bool:
        """What this version of math-verify says."""
        return self.exceptions.get(release, self.equal)


def read() -> list[Pair]:
    """All pairs. A line is a verdict (`=` or `!`), the expected answer and the given one, with ` ;; ` between them. The
    given one stands in a box, unless it has a box of its own. `= 0.7.0!` is `=`, but for version 0.7.0 of the library.
    """
    pairs = []
    for number, line in enumerate(Path(__file__).with_name("corpus.txt").read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        verdicts, expected, answer = line.split(" ;; ")
        common, *others = verdicts.split()
        said = answer if "\\boxed" in answer else f"The answer is $\\boxed{{{answer}}}$."
        exceptions = {other[:-1]: other[-1] == "=" for other in others}
        pairs.append(Pair(number, expected, said, common == "=", exceptions))
    return pairs


def mistakes() -> list[str]:
    """What the library says otherwise."""
    release = version("math-verify")
    found = []
    for pair in read():
        reward, extracted = library.compare(pair.expected, pair.said)
        if (reward > 0.5) != pair.verdict(release):
            found.append(f"line {pair.line}: `{pair.expected}` and `{pair.said}` give {reward} ({extracted})")
    return found


def check() -> None:
    """Raises an error with a list of all that is otherwise."""
    found = mistakes()
    if found:
        raise AssertionError(f"{len(found)} verdicts of the library are not the stated ones:\n" + "\n".join(found))
