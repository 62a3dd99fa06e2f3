# SPDX-License-Identifier: Apache-2.0
"""From requirements to exact versions: pip is asked round by round, without dependencies of its own finding, so that
packages can be left out, and a package without a pure-Python wheel is named together with who needs it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

from pip._vendor.packaging.markers import default_environment
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement

from . import PYTHON, BuildError
from .project import Project, normal

#: Rounds of asking. Each one goes one step further from the environment.
_ROUNDS = 20


@dataclass(frozen=True)
class Pinned:
    """One wheel at an exact version."""

    name: str
    version: str
    sha256: str
    #: Where it was found; not part of the lock.
    url: str = ""


def target_environment() -> dict[str, str]:
    """What markers in requirements are compared with: Python in a component."""
    dotted = ".".join(map(str, PYTHON))
    return {
        **default_environment(),
        "implementation_name": "cpython",
        "implementation_version": f"{dotted}.0",
        "os_name": "posix",
        "platform_machine": "wasm32",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "WASI",
        "platform_version": "",
        "python_full_version": f"{dotted}.0",
        "python_version": dotted,
        "sys_platform": "wasi",
        "extra": "",
    }


def target_options() -> list[str]:
    """pip's options for pure-Python wheels of the component's Python."""
    version = "".join(map(str, PYTHON))
    return [
        "--only-binary=:all:",
        "--platform=any",
        "--implementation=cp",
        "--abi=none",
        f"--python-version={version}",
        "--disable-pip-version-check",
        "--no-input",
    ]


def _parse(text: str, who: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise BuildError(f"`{text}`, needed by {who}, is no requirement: {error}") from None


def resolve(project: Project) -> list[Pinned]:
    """The packages that a component needs, at exact versions, sorted by name."""
    environment = target_environment()
    # Requirement text to who needs it.
    wanted: dict[str, str] = {}
    for text in project.requirements:
        requirement = _parse(text, f"`{project.name}`")
        if _applies(requirement, environment, set()) and normal(requirement.name) not in project.without:
            wanted.setdefault(text, f"`{project.name}`")
    for _ in range(_ROUNDS):
        if not wanted:
            return []
        found = _ask(project, wanted)
        extras: dict[str, set[str]] = {}
        for text in wanted:
            requirement = _parse(text, wanted[text])
            extras.setdefault(normal(requirement.name), set()).update(requirement.extras)
        more = dict(wanted)
        for item in found:
            metadata = item["metadata"]
            who = f"`{metadata['name']}` {metadata['version']}"
            for text in metadata.get("requires_dist", []):
                requirement = _parse(text, who)
                if normal(requirement.name) in project.without:
                    continue
                if _applies(requirement, environment, extras.get(normal(metadata["name"]), set())):
                    requirement.marker = None
                    more.setdefault(str(requirement), who)
        if more == wanted:
            return sorted((_pinned(item) for item in found), key=lambda pin: pin.name)
        wanted = more
    raise BuildError(f"the requirements of `{project.name}` do not come to an end")


def _applies(requirement: Requirement, environment: dict[str, str], extras: set[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))


def _command(project: Project) -> list[str]:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps"]
    command += ["--target=unused", *target_options()]
    return command + [f"--find-links={link}" for link in project.find_links]


def _ask(project: Project, wanted: dict[str, str]) -> list[dict]:
    command = [*_command(project), "--quiet", "--report=-", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, env=pip_environment())
    if done.returncode == 0:
        return json.loads(done.stdout)["install"]
    raise _explained(project, wanted, done.stderr)


def pip_environment() -> dict[str, str]:
    """The environment of pip: the caller's, with its index settings."""
    return {**os.environ, "PYTHONWARNINGS": "ignore"}


def _explained(project: Project, wanted: dict[str, str], errors: str) -> BuildError:
    match = re.search(r"No matching distribution found for (\S+)", errors)
    if match:
        culprit = match.group(1)
        name = normal(re.split(r"[\[<>=!~;@ ]", culprit)[0])
        needs = [who for text, who in wanted.items() if normal(_parse(text, who).name) == name]
        by = f", needed by {needs[0]}," if needs else ""
        leave_out = (
            f"leave it out with `without = [\"{name}\"]` under `[tool.gym-host]` in pyproject.toml if what you use does "
            "not need it"
        )
        kinds = _passed_over(project, culprit)
        if "native" in kinds:
            return BuildError(
                f"the package `{culprit}`{by} has no pure-Python wheel, and native code does not run in a component",
                f"use a version without native code, or {leave_out}",
            )
        if "source" in kinds:
            return BuildError(
                f"the package `{culprit}`{by} is published as source only, and building it could run anything",
                f"make a wheel of it and name its folder in `find-links` under `[tool.gym-host]`, or {leave_out}",
            )
        return BuildError(f"there is no package `{culprit}`{by} that fits Python {PYTHON[0]}.{PYTHON[1]}")
    lines = [line for line in errors.splitlines() if line.startswith("ERROR:")] or errors.splitlines()[-3:]
    return BuildError("pip failed: " + " ".join(line.removeprefix("ERROR: ") for line in lines))


def _passed_over(project: Project, requirement: str) -> set[str]:
    """What there is of a package although nothing of it fits: `native` wheels, or `source`."""
    done = subprocess.run(
        [*_command(project), "-vv", requirement], capture_output=True, text=True, env=pip_environment()
    )
    said = done.stdout + done.stderr
    kinds = {"none of the wheel's tags": "native", "No sources permitted": "source"}
    return {kind for words, kind in kinds.items() if words in said}


def _pinned(item: dict) -> Pinned:
    download = item["download_info"]
    hashes = download.get("archive_info", {}).get("hashes", {})
    name, version = item["metadata"]["name"], item["metadata"]["version"]
    if "sha256" not in hashes:
        raise BuildError(f"`{name}` {version} has no SHA-256, so that it cannot be locked")
    return Pinned(normal(name), version, hashes["sha256"], download.get("url", ""))
