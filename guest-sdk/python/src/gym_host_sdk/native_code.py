# SPDX-License-Identifier: Apache-2.0
"""Programs in native tests: a process of this interpreter for each. Limits are those of the operating system, so they are
met roughly, and what a program finds is what this machine has: only the component runs programs that nobody trusts."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .code import Ending, Program, Run, RunFailure

_CPU_MS, _MEMORY_MIB, _OUTPUT_BYTES = 60_000, 1024, 1 << 20
#: Address space that the interpreter takes without using it.
_OVERHEAD_MIB = 512

_DRIVER = r"""
import contextlib, json, resource, socket, sys, traceback
talk = socket.socket(fileno=int(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
stream, names = talk.makefile("rw"), {"__name__": "__main__"}

def result(source, function, arguments):
    owner = names["Solution"]() if "class Solution" in source else None
    value = (getattr(owner, function) if owner else names[function])(*map(json.loads, arguments))
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None

def status(error):
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)
    return 1

source = ""
for line in stream:
    given = json.loads(line)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + given["cpu"], -1))
    ended = [0, None]
    try:
        if "source" in given:
            source, sys.argv = given["source"], ["main.py", *given["arguments"]]
            exec(compile(source, "main.py", "exec", dont_inherit=True), names)
        if given["call"]:
            ended[1] = result(source, *given["call"])
    except SystemExit as error:
        ended[0] = status(error)
    except BaseException:
        traceback.print_exc()
        ended[0] = 1
    for output in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            output.flush()
    stream.write(json.dumps(ended) + "\n")
    stream.flush()
"""


class NativeProcess:
    """A program in a process of its own."""

    def __init__(self, program: Program) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gym-host-")
        folder = Path(self._folder.name)
        for path, content in {**program.files, ".stdin": program.stdin.encode("utf-8", "replace")}.items():
            file = folder / os.path.normpath("/" + path).lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        memory = ((program.memory_mib or _MEMORY_MIB) + _OVERHEAD_MIB) << 20
        ours, theirs = socket.socketpair()
        with (folder / ".stdin").open("rb") as stdin, theirs:
            self._outputs = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-c", _DRIVER, str(theirs.fileno()), str(memory)],
                stdin=stdin, stdout=self._outputs[0], stderr=self._outputs[1], pass_fds=[theirs.fileno()],
                cwd=folder, env={"PYTHONIOENCODING": "utf-8"},
            )
        self._talk = ours
        self._stream = ours.makefile("rw")
        self._seen = [0, 0]
        self._is_over = False

    def start(self, program: Program) -> Run:
        """Executes the program."""
        given = {"source": program.source, "arguments": program.arguments, "call": program.call_as_json()}
        return self._ask(given, program.cpu_ms, program.output_bytes)

    def call(self, name: str, arguments: list[str], cpu_ms: int | None, output_bytes: int | None) -> Run:
        return self._ask({"call": [name, arguments]}, cpu_ms, output_bytes)

    def close(self) -> None:
        self._is_over = True
        self._child.kill()
        self._child.wait()
        with contextlib.suppress(OSError):
            self._stream.close()
        self._talk.close()
        for file in self._outputs:
            file.close()
        self._folder.cleanup()

    def _ask(self, given: dict[str, Any], cpu_ms: int | None, output_bytes: int | None) -> Run:
        if self._is_over:
            raise RunFailure("unavailable", "the program has ended")
        cpu_ms = _CPU_MS if cpu_ms is None else cpu_ms
        began = time.monotonic()
        # For programs that wait for something; a busy machine takes several times the CPU time.
        self._talk.settimeout(cpu_ms / 250 + 30)
        try:
            self._stream.write(json.dumps({**given, "cpu": -(-cpu_ms // 1000)}) + "\n")
            self._stream.flush()
            status, returned = json.loads(self._stream.readline())
            ending, reason = Ending.EXITED, ""
        except (OSError, ValueError):
            (ending, status, reason), returned = self._end(), None
        (stdout, cut_out), (stderr, cut_err) = self._written(output_bytes)
        if status and "MemoryError" in stderr:
            ending, status = Ending.OUT_OF_MEMORY, None
        return Run(ending, status, reason, stdout, stderr, cut_out or cut_err, returned, time.monotonic() - began)

    def _end(self) -> tuple[Ending, int | None, str]:
        """How a process ended that did not answer."""
        self._is_over = True
        try:
            code = self._child.wait(1)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            return Ending.OUT_OF_TIME, None, ""
        if code >= 0:
            return Ending.EXITED, code, ""
        late = -code in (signal.SIGXCPU, signal.SIGKILL)
        return (Ending.OUT_OF_TIME, None, "") if late else (Ending.CRASHED, None, signal.Signals(-code).name)

    def _written(self, most: int | None) -> list[tuple[str, bool]]:
        most = _OUTPUT_BYTES if most is None else most
        found = []
        for index, file in enumerate(self._outputs):
            size = os.fstat(file.fileno()).st_size
            content = os.pread(file.fileno(), min(most, size - self._seen[index]), self._seen[index])
            found.append((content.decode("utf-8", "replace"), size - self._seen[index] > most))
            self._seen[index] = size
        return found


def start(runner: str, program: Program) -> tuple[NativeProcess, Run]:
    """Executes a program in a process that stays."""
    if runner != "python":
        raise RunFailure("unknown-runner", runner)
    process = NativeProcess(program)
    return process, process.start(program)
