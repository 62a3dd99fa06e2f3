# SPDX-License-Identifier: Apache-2.0
"""Programs that nobody trusts, for `Context.run_code` and `Context.start_code`."""

import enum
from dataclasses import dataclass, field
from typing import Any, Protocol

from .failure import Fault
from .json_text import read_json, to_json


@dataclass
class Program:
    """A program to be run in an instance of its own, apart from the environment and from every other run.

    * `source`: its text
    * `stdin`: what it reads from standard input
    * `arguments`: of the command line, without the program's name
    * `files`: files that it finds, by path
    * `call`: a function to be called when the source was executed, and its arguments: `("area", [3, 4])`; where the source
      has a class `Solution`, a method of a new one. The result is in `Run.returned`
    * `cpu_ms`, `memory_mib`, `output_bytes`: what it may use, if that is less than what the configuration allows
    """

    source: str
    stdin: str = ""
    arguments: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    call: tuple[str, list[Any]] | None = None
    cpu_ms: int | None = None
    memory_mib: int | None = None
    output_bytes: int | None = None

    def call_as_json(self) -> tuple[str, list[str]] | None:
        """`call` with arguments as JSON texts."""
        return self.call and (self.call[0], [to_json(argument) for argument in self.call[1]])


class Ending(enum.Enum):
    """How a program ended."""

    #: By itself: `Run.status` is 0 at its end, 1 after an exception that nothing caught.
    EXITED = "exited"
    #: It used up its CPU time.
    OUT_OF_TIME = "out of time"
    #: It needed more memory than it may have.
    OUT_OF_MEMORY = "out of memory"
    #: The interpreter broke; `Run.reason` says how.
    CRASHED = "crashed"


@dataclass
class Run:
    """What came of a program, whatever it did."""

    ending: Ending
    status: int | None
    reason: str
    #: What it wrote until it ended; bytes that are no text are replaced.
    stdout: str
    stderr: str
    #: Whether more was written than is kept.
    output_cut: bool
    #: JSON text of what the called function returned; None if it did not, or if that has no JSON.
    returned: str | None
    cpu_seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether it came to its end without an error."""
        return self.status == 0

    def result(self) -> Any:
        """What the called function returned, as data."""
        return None if self.returned is None else read_json(self.returned)


class RunFailure(Fault):
    """A program was not run, which says nothing about the program. `kind` is `unknown-runner` or `unavailable`."""

    def __init__(self, kind: str, reason: str) -> None:
        texts = {
            "unknown-runner": f"the configuration has no code runner `{reason}`",
            "unavailable": f"the program was not run: {reason}",
        }
        super().__init__(texts[kind])
        self.kind = kind
        self.reason = reason


class Running(Protocol):
    """A host's side of a `Process`."""

    def call(self, name: str, arguments: list[str], cpu_ms: int | None, output_bytes: int | None) -> Run: ...

    def close(self) -> None: ...


class Process:
    """A program that stays after it was executed, so that its functions can be called one after the other. It takes the
    place of a run until it is closed: use it in a `with`."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def call(self, name: str, *arguments: Any, cpu_ms: int | None = None, output_bytes: int | None = None) -> Run:
        """Calls a function of the program. CPU time and output are bounded anew for each call. After any other ending than
        `EXITED`, and after a program that ended its process, there is nothing left to call: a `RunFailure`."""
        return self._running.call(name, [to_json(argument) for argument in arguments], cpu_ms, output_bytes)

    def close(self) -> None:
        """Ends the program."""
        self._running.close()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
