# SPDX-License-Identifier: Apache-2.0
"""Running componentize-py."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import BuildError

_STANDARD_LIBRARY = "/python"
#: What needs a screen, a terminal, an installer or another system.
_LEFT_OUT = {
    "LICENSE.txt",
    "curses",
    "ensurepip",
    "idlelib",
    "lib-dynload",
    "pydoc_data",
    "site-packages",
    "test",
    "tkinter",
    "turtle.py",
    "turtledemo",
    "venv",
}


class Componentizer:
    """componentize-py with the environment contract."""

    def __init__(self, wit: Path, preload: Path | None, world: str = "environment") -> None:
        self._wit = wit
        self._world = world
        self._preload = preload
        self._program = Path(sys.executable).parent / "componentize-py"
        if not self._program.is_file():
            raise BuildError("componentize-py is not installed", "run `cargo xtask setup`")

    def scratch(self) -> "tempfile.TemporaryDirectory[str]":
        """A temporary folder; in memory where that is possible, because the order in which a file system lists its
        files is part of the image."""
        memory = Path("/dev/shm")
        usable = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
        return tempfile.TemporaryDirectory(prefix="gym-host-", dir=memory if usable else None)

    def run(self, module: str, folders: list[Path], output: Path, scratch: Path) -> "subprocess.CompletedProcess[str]":
        """Makes a component of a module. The folders are `/0`, `/1`, … in it while it is made."""
        nothing = scratch / "no-packages"
        nothing.mkdir(exist_ok=True)
        temporary = scratch / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        # Without a virtual environment of its own, componentize-py takes in the packages of this Python.
        environment |= {"VIRTUAL_ENV": str(nothing), "TMPDIR": str(temporary), "RUST_BACKTRACE": "0"}
        if self._preload is not None:
            environment["LD_PRELOAD"] = str(self._preload)
        command = [str(self._program), "--quiet", "--wit-path", str(self._wit), "--world", self._world, "componentize"]
        for folder in folders:
            command += ["--python-path", str(folder)]
        command += ["--output", str(output), module]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=scratch)

    def compile(self, root: Path | None, archive: Path) -> None:
        """Compiles the modules below a folder, or the standard library, to an archive."""
        archive.parent.mkdir(parents=True, exist_ok=True)
        with self.scratch() as name:
            scratch = Path(name)
            program, result, empty = scratch / "program", scratch / "result", scratch / "empty"
            for folder in (program, result, empty):
                folder.mkdir()
            task = {
                "root": _STANDARD_LIBRARY if root is None else "/0",
                "leave_out": sorted(_LEFT_OUT) if root is None else [],
                "output": "/1/archive.bin",
                "keep_files": root is not None,
            }
            text = Path(__file__).with_name("guest_compile.py").read_text(encoding="utf-8")
            (program / "gym_compile.py").write_text(text.replace("TASK: dict = {}", f"TASK: dict = {task!r}"))
            done = self.run("gym_compile", [root or empty, result, program], scratch / "unused.wasm", scratch)
            made = result / "archive.bin"
            if not made.is_file():
                raise BuildError("componentize-py failed to compile modules: " + told(done.stderr))
            partial = archive.with_suffix(".partial")
            shutil.copyfile(made, partial)
            partial.rename(archive)


def told(errors: str) -> str:
    """What is worth reading of componentize-py's errors: the guest's traceback, not that of the program."""
    lines = errors.splitlines()
    for index, line in enumerate(lines):
        if line.startswith("Caused by:") or line.startswith("Stack backtrace:"):
            lines = lines[:index]
            break
    kept = [line for line in lines if "no-packages" not in line and "componentize-py\", line" not in line]
    return "\n".join(kept).strip()[-4000:]
