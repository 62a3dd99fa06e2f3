# SPDX-License-Identifier: Apache-2.0
"""Reading requirements.txt: requirements with markers and hashes, files that include others, constraints."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from . import BuildError

#: Options that ask for what is done anyway.
_DONE_ANYWAY = {"--only-binary", "--prefer-binary", "--no-cache-dir", "--disable-pip-version-check"}
_INDEX = {"-i", "--index-url", "--pypi-url", "--extra-index-url", "--no-index", "--trusted-host"}
_FROM_SOURCE = re.compile(r"^(?:(?:git|hg|svn|bzr)\+|https?://|file:|\.{0,2}/)")


@dataclass
class Requirements:
    """What the files say."""

    #: Requirements, one each, with their markers.
    lines: list[str] = field(default_factory=list)
    #: Bounds for packages that others require.
    constraints: list[str] = field(default_factory=list)
    #: The SHA-256 that a package may have, by its name as indexes compare it; empty when there are none.
    hashes: dict[str, set[str]] = field(default_factory=dict)
    #: Folders with wheels.
    find_links: list[Path] = field(default_factory=list)


def read(path: Path) -> Requirements:
    """Reads a file and those that it includes."""
    found = Requirements()
    _read(path, found, found.lines, [])
    return found


def _read(path: Path, found: Requirements, into: list[str], outer: list[Path]) -> None:
    if path.resolve() in outer:
        raise BuildError(f"{path} includes itself")
    outer = [*outer, path.resolve()]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"failed to read {path}: {error}") from None
    for number, line in _logical_lines(text):
        where = f"{path}:{number}"
        if line.startswith("-"):
            _option(line, where, path.parent, found, into, outer)
        else:
            into.append(_requirement(line, where, found))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines without comments, those that end with a backslash joined with the next, with their numbers."""
    lines, begun, held = [], 0, ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        line = re.sub(r"(^|\s)#.*$", "", line)
        begun = begun if held else number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        whole = (held + line).strip()
        held = ""
        if whole:
            lines.append((begun, whole))
    return lines


def _option(line: str, where: str, folder: Path, found: Requirements, into: list[str], outer: list[Path]) -> None:
    match = re.match(r"(--[a-z-]+|-[a-z])(?:\s*=\s*|\s*)(.*)$", line)
    name, value = match.groups() if match else (line, "")
    value = value.strip().strip("'\"")
    if name in ("-r", "--requirement"):
        _read(folder / value, found, into, outer)
    elif name in ("-c", "--constraint"):
        _read(folder / value, found, found.constraints, outer)
    elif name in ("-f", "--find-links"):
        if not (folder / value).is_dir():
            raise BuildError(f"{where}: `{value}` is no folder with wheels")
        found.find_links.append(folder / value)
    elif name == "--require-hashes":
        found.hashes.setdefault("", set())
    elif name in ("-e", "--editable"):
        raise BuildError(
            f"{where}: a component cannot hold an editable package: `{line}`",
            "the environment's own modules are taken in anyway; of other packages make wheels, and name their folder with "
            "`--find-links`",
        )
    elif name in _INDEX:
        raise BuildError(
            f"{where}: which index is asked is no matter of the environment: `{line}`",
            "set PIP_INDEX_URL or PIP_EXTRA_INDEX_URL, or write it to pip's configuration",
        )
    elif name not in _DONE_ANYWAY:
        raise BuildError(
            f"{where}: this option of pip is not supported: `{line}`",
            "requirements, `-r`, `-c`, `--find-links`, `--hash` and `--require-hashes` are",
        )


def _requirement(line: str, where: str, found: Requirements) -> str:
    text, *options = re.split(r"\s(?=--[a-z])", line)
    text = text.strip()
    if _FROM_SOURCE.match(text):
        raise BuildError(
            f"{where}: `{text}` is no requirement of a package by its name",
            "write `name @ https://…/name-1.0-py3-none-any.whl` for a wheel at an address; of a repository or a folder make a "
            "wheel, and name the folder of the wheel with `--find-links`",
        )
    for option in options:
        match = re.match(r"--hash[=\s]\s*(\w+):([0-9a-fA-F]+)$", option.strip())
        if match is None:
            raise BuildError(f"{where}: this option of a requirement is not supported: `{option.strip()}`")
        if match.group(1) != "sha256":
            raise BuildError(f"{where}: only SHA-256 is compared, and this is `{match.group(1)}`")
        name = re.match(r"[\w.-]*", text)
        found.hashes.setdefault(normal(name.group() if name else ""), set()).add(match.group(2).lower())
    return text


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)
