# SPDX-License-Identifier: Apache-2.0
"""The lock file: exact versions and hashes, in the format of pip's requirements."""

import hashlib
import re

from . import PYTHON, BuildError
from .project import Project
from .resolve import Pinned, resolve, version_of

_LINE = re.compile(r"^([a-z0-9][a-z0-9-]*)(?:==(\S+)| @ (\S+)) --hash=sha256:([0-9a-f]{64})$")


def inputs(project: Project) -> str:
    """What the lock was made from, as a short digest."""
    parts = ["python " + ".".join(map(str, PYTHON)), *sorted(project.requirements), "--", *sorted(project.without)]
    for title, more in (("constraints", project.constraints), ("hashes", _hashes(project))):
        more = sorted(more)
        parts += [f"-- {title}", *more] if more else []
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _hashes(project: Project) -> list[str]:
    return [f"{name} {digest}" for name, digests in project.hashes.items() for digest in sorted(digests) or [""]]


def locked(project: Project) -> list[Pinned]:
    """The packages of the lock file. It is written anew when the requirements have changed since."""
    if not project.requirements:
        return []
    stamp = f"# requirements: {inputs(project)}"
    if project.lock.is_file():
        lines = project.lock.read_text(encoding="utf-8").splitlines()
        if stamp in lines:
            return [_read(project, line) for line in lines if line.strip() and not line.startswith("#")]
    pins = resolve(project)
    text = "# SPDX-License-Identifier: Apache-2.0\n"
    text += "# Exact versions, written by `gym-host build`. Delete this file to take up newer ones.\n"
    text += stamp + "\n"
    text += "".join(pin.line() + "\n" for pin in pins)
    project.lock.write_text(text, encoding="utf-8")
    return pins


def _read(project: Project, line: str) -> Pinned:
    match = _LINE.match(line.strip())
    if match is None:
        raise BuildError(f"{project.lock} has a line that cannot be read: `{line}`", "delete the file to make it anew")
    name, version, url, sha256 = match.groups()
    return Pinned(name, version or version_of(url), sha256, url or "")
