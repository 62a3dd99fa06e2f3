# SPDX-License-Identifier: Apache-2.0
"""A host for tests: the environment runs natively, and finds what it would find in a component.

Random numbers and clock are those that gym-host gives a session of the same seed.
"""

import contextlib
import os
import random
import time
from collections import deque
from pathlib import Path, PurePosixPath
from typing import Any, Iterable, Iterator

from . import native_code
from .code import Program, Run, Running
from .context import Level
from .failure import Fault, ModelFailure
from .json_text import read_json, to_json
from .network import ChannelEnd, HttpReply, HttpRequest, unknown_endpoint
from .response import Response
from .stand_in import StandIn

_MASK = (1 << 64) - 1
#: What one reading of the clock takes, in nanoseconds.
_READING_NS = 10_000
#: 2026-01-01 in seconds since 1970. Session clocks start within the year after it.
_CLOCK_ORIGIN_S = 1_767_225_600
#: The seed of instances that no session owns.
STATELESS_SEED = 0x67796D


class SplitMix64:
    """The host's random numbers. `stream` separates those of the host's own function (1), of WASI (2) and of the clock
    (5)."""

    def __init__(self, seed: int, stream: int) -> None:
        self._state = (seed ^ (stream * 0xA0761D6478BD642F)) & _MASK
        first = self.next()
        second = self.next()
        self._state = first ^ ((second << 32 | second >> 32) & _MASK)

    def next(self) -> int:
        """The next number, 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def bytes(self, count: int) -> bytes:
        """Random bytes. What is left of the last number is thrown away."""
        words = (self.next().to_bytes(8, "little") for _ in range(-(-count // 8)))
        return b"".join(words)[:count]


class TestHost:
    """A host for tests, for `Instance(Environment, TestHost(seed=1))`.

    * `config`: the configuration of the server
    * `seed`: what random numbers and the clock follow from
    * `models`: the answers of model servers: responses, texts, or failures to raise; one for each request, and after
      the last one the server is unavailable
    * `endpoints`: what stands in for the endpoints that the configuration grants
    * `files`: files that the environment can read, by path
    * `folder`: a folder whose files the environment can read
    """

    __test__ = False  # pytest: this is no test, whatever its name.

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        *,
        seed: int = 0,
        models: "dict[str, Iterable[Response | str | ModelFailure]] | None" = None,
        endpoints: dict[str, StandIn] | None = None,
        files: "dict[str, bytes | str] | None" = None,
        folder: "str | os.PathLike[str] | None" = None,
    ) -> None:
        self._config = config or {}
        self._models = {name: deque(answers) for name, answers in (models or {}).items()}
        self._endpoints = endpoints or {}
        self._files = {name: text.encode() if isinstance(text, str) else text for name, text in (files or {}).items()}
        self._folder = None if folder is None else Path(folder)
        self.restart(seed)
        #: The lines that were logged, with their levels.
        self.lines: list[tuple[Level, str]] = []
        #: The requests that each model server got.
        self.requests: dict[str, list[Any]] = {}

    def restart(self, seed: int) -> None:
        """Begins random numbers and clock anew, as in a new instance."""
        self._host_random = SplitMix64(seed, 1)
        self._wasi_random = SplitMix64(seed, 2)
        self._start = (_CLOCK_ORIGIN_S + SplitMix64(seed, 5).next() % (365 * 24 * 3600)) * 1_000_000_000
        self._elapsed = 0

    # The host's functions.

    def config(self) -> str:
        return to_json(self._config)

    def log(self, level: Level, message: str) -> None:
        self.lines.append((level, message))

    def respond(self, server: str, request: str) -> str:
        answers = self._models.get(server)
        if answers is None:
            raise ModelFailure("unknown-server", server)
        self.requests.setdefault(server, []).append(read_json(request))
        if not answers:
            raise ModelFailure("unavailable", "the script has no more answers")
        answer = answers.popleft()
        if isinstance(answer, ModelFailure):
            raise answer
        if isinstance(answer, Response):
            return to_json(answer.raw)
        return to_json(Response.builder().message(answer).value())

    def respond_all(self, server: str, requests: list[str], pause_ms: int) -> list[str | ModelFailure]:
        """One after the other; tests do not wait."""
        replies: list[str | ModelFailure] = []
        for request in requests:
            try:
                replies.append(self.respond(server, request))
            except ModelFailure as failure:
                replies.append(failure)
        return replies

    def run_code(self, runner: str, program: Program) -> Run:
        process, run = native_code.start(runner, program)
        process.close()
        return run

    def start_code(self, runner: str, program: Program) -> tuple[Running, Run]:
        return native_code.start(runner, program)

    def exchange(self, endpoint: str, request: HttpRequest) -> HttpReply:
        return self._endpoint(endpoint).exchange(request)

    def channel(self, endpoint: str, path: str) -> ChannelEnd:
        return self._endpoint(endpoint).open(path)

    def _endpoint(self, name: str) -> StandIn:
        if name not in self._endpoints:
            raise unknown_endpoint(name)
        return self._endpoints[name]

    def read_file(self, path: str) -> bytes:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or any(part in ("..", "/") for part in parts) or "." in path.split("/"):
            raise Fault(f"failed to read the file `{path}`: the path leaves the folder")
        if path in self._files:
            return self._files[path]
        if self._folder is None:
            raise Fault(f"failed to read the file `{path}`: there is no such file")
        try:
            return (self._folder / path).read_bytes()
        except OSError as error:
            raise Fault(f"failed to read the file `{path}`: {error.strerror}") from None

    def now(self) -> int:
        return self._start + self.monotonic()

    def random(self) -> int:
        return self._host_random.next()

    # The rest of the outside world.

    def monotonic(self) -> int:
        """Nanoseconds since the instance began."""
        self._elapsed += _READING_NS
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Moves the clock; no real time passes."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self._elapsed += max(int(seconds * 1e9), _READING_NS)

    def random_bytes(self, count: int) -> bytes:
        """What `os.urandom` gives."""
        return self._wasi_random.bytes(count)

    @contextlib.contextmanager
    def reproducible(self) -> Iterator[None]:
        """While it lasts, `time`, `os.urandom` and what is built on them (`uuid`, `secrets`) follow the session's clock
        and seed, and the module `random` has a state of the session's own."""
        clock = {
            "time": lambda: self.now() / 1e9,
            "time_ns": self.now,
            "monotonic": lambda: self.monotonic() / 1e9,
            "monotonic_ns": self.monotonic,
            "perf_counter": lambda: self.monotonic() / 1e9,
            "perf_counter_ns": self.monotonic,
            "sleep": self.sleep,
        }
        kept = {name: getattr(time, name) for name in clock}
        urandom, state = os.urandom, random.getstate()
        try:
            for name, function in clock.items():
                setattr(time, name, function)
            os.urandom = self.random_bytes
            yield
        finally:
            for name, function in kept.items():
                setattr(time, name, function)
            os.urandom = urandom
            random.setstate(state)
