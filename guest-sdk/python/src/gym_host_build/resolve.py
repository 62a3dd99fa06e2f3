# SPDX-License-Identifier: Apache-2.0
"""From requirements to exact versions: pip is asked round by round, without dependencies of its own finding, so that
packages can be left out, and a package without a pure-Python wheel is named together with who needs it."""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pip._vendor.packaging.markers import default_environment
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from pip._vendor.packaging.version import InvalidVersion

from . import PYTHON, BuildError
from .project import Project
from .requirements import normal

#: Rounds of asking. Each one goes one step further from the environment.
_ROUNDS = 20


@dataclass(frozen=True)
class Pinned:
    """One wheel at an exact version."""

    name: str
    version: str
    sha256: str
    #: Where the wheel is, if the requirement says so; empty if the index does.
    url: str = ""

    def line(self) -> str:
        """As pip reads it."""
        where = f" @ {self.url}" if self.url else f"=={self.version}"
        return f"{self.name}{where} --hash=sha256:{self.sha256}"


def version_of(url: str) -> str:
    """The version of the wheel at an address."""
    return unquote(urlsplit(url).path.rpartition("/")[2]).split("-")[1]


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
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise BuildError(f"`{text}`, needed by {who}, is no requirement: {error}") from None
    if requirement.url and not urlsplit(requirement.url).path.endswith(".whl"):
        raise BuildError(
            f"`{text}`, needed by {who}, is no wheel, and building it could run anything",
            "make a wheel of it and name its folder in `find-links` under `[tool.gym-host]` in pyproject.toml",
        )
    return requirement


def resolve(project: Project) -> list[Pinned]:
    """The packages that a component needs, at exact versions, sorted by name."""
    environment = target_environment()
    # Requirement text to who needs it.
    wanted: dict[str, str] = {}
    for text in project.requirements:
        requirement = _parse(text, f"`{project.name}`")
        if _applies(requirement, environment, set()) and normal(requirement.name) not in project.without:
            # pip would compare markers with this machine.
            requirement.marker = None
            wanted.setdefault(str(requirement), f"`{project.name}`")
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
            pins = sorted((_pinned(item) for item in found), key=lambda pin: pin.name)
            _check_hashes(project, pins)
            return pins
        wanted = more
    raise BuildError(f"the requirements of `{project.name}` do not come to an end")


def _check_hashes(project: Project, pins: list[Pinned]) -> None:
    """Where one requirement has hashes, all that is taken in needs one of its own, as with pip."""
    for pin in pins:
        hashes = project.hashes.get(pin.name)
        if project.hashes and hashes is None:
            raise BuildError(f"the requirements have hashes, but none for `{pin.name}` {pin.version}, which is needed")
        if hashes and pin.sha256 not in hashes:
            raise BuildError(f"the wheel of `{pin.name}` {pin.version} has the SHA-256 {pin.sha256}, which is not in the requirements")


def _applies(requirement: Requirement, environment: dict[str, str], extras: set[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))


def _command(project: Project) -> list[str]:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps"]
    command += ["--target=unused", *target_options()]
    return command + [f"--find-links={link}" for link in project.find_links]


def _ask(project: Project, wanted: dict[str, str]) -> list[dict]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("".join(line + "\n" for line in project.constraints))
        constraints.flush()
        command = [*_command(project), "--quiet", "--report=-", f"--constraint={constraints.name}", *wanted]
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
        if "python" in kinds:
            return BuildError(f"the package `{culprit}`{by} is not for Python {PYTHON[0]}.{PYTHON[1]}")
        others = f"; the newest version is {kinds['other']}" if "other" in kinds else ""
        return BuildError(f"there is no package `{culprit}`{by}{others}")
    lines = [line for line in errors.splitlines() if line.startswith("ERROR:")] or errors.splitlines()[-3:]
    return BuildError("pip failed: " + " ".join(line.removeprefix("ERROR: ") for line in lines))


def _passed_over(project: Project, text: str) -> dict[str, str]:
    """Why nothing fits a requirement, with a version that shows it: `native` wheels only, `source` only, for another
    `python`; or there are `other` versions, here the newest."""
    requirement = _parse(text, f"`{project.name}`")
    done = subprocess.run([*_command(project), "-vv", text], capture_output=True, text=True, env=pip_environment())
    reasons = {"none of the wheel's tags": "native", "No sources permitted": "source", "requires a different Python": "python"}
    kinds: dict[str, str] = {}
    newest = None
    for line in (done.stdout + done.stderr).splitlines():
        link = re.search(r"/([^/\s#?]+(?:\.whl|\.tar\.gz|\.zip))[\s#?]", line + " ")
        try:
            if link is None:
                continue
            parse = parse_wheel_filename if link.group(1).endswith(".whl") else parse_sdist_filename
            version = parse(unquote(link.group(1)))[1]
        except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
            continue
        newest = version if newest is None or version > newest else newest
        kind = next((kind for words, kind in reasons.items() if words in line), None)
        if kind is not None and requirement.specifier.contains(version, prereleases=True):
            kinds[kind] = str(version)
    return kinds or ({} if newest is None else {"other": str(newest)})


def _pinned(item: dict) -> Pinned:
    download = item["download_info"]
    hashes = download.get("archive_info", {}).get("hashes", {})
    name, version = item["metadata"]["name"], item["metadata"]["version"]
    if "sha256" not in hashes:
        raise BuildError(f"`{name}` {version} has no SHA-256, so that it cannot be locked")
    return Pinned(normal(name), version, hashes["sha256"], download["url"] if item.get("is_direct") else "")
