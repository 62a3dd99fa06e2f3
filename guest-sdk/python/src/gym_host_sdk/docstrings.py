# SPDX-License-Identifier: Apache-2.0
"""What docstrings say of parameters and attributes, in the styles of Google, NumPy and Sphinx (reStructuredText)."""

import inspect
import re
from dataclasses import dataclass, field

_ENTRIES = {
    "args",
    "arguments",
    "attributes",
    "keyword args",
    "keyword arguments",
    "other parameters",
    "parameters",
    "params",
}
_OTHERS = {"example", "examples", "note", "raises", "returns", "yields"}
#: Headings that are sections only with a line below them, or are sections of NumPy's style alone.
_UNDERLINED = _OTHERS | {"methods", "notes", "references", "see also", "warnings", "warns", "receives"}
_FIELD = re.compile(r":(\w+)(?:\s+([^:]*))?:(?:\s+(.*))?$")
_FIELDS = {"param", "parameter", "arg", "argument", "key", "keyword", "ivar", "var", "cvar", "attribute"}
_OTHER_FIELDS = {"type", "vartype", "return", "returns", "rtype", "raise", "raises", "except", "exception", "yield", "yields"}


@dataclass
class Docstring:
    """A docstring, taken apart.

    Attributes:
        text: What stands outside of sections.
        entries: What is said of parameters and attributes, by name.
    """

    text: str
    entries: dict[str, str] = field(default_factory=dict)


def read(doc: str) -> Docstring:
    """Takes a docstring apart."""
    lines = inspect.cleandoc(doc).splitlines()
    text: list[str] = []
    entries: dict[str, str] = {}
    index = 0
    while index < len(lines):
        heading = lines[index].strip().lower()
        is_outer = not lines[index].startswith(" ")
        below = lines[index + 1].strip() if index + 1 < len(lines) else ""
        if is_outer and heading in _ENTRIES | _UNDERLINED and len(below) > 2 and not below.strip("-="):
            index = _numpy(lines, index + 2, entries if heading in _ENTRIES else None)
        elif is_outer and heading.endswith(":") and heading[:-1] in _ENTRIES | _OTHERS:
            index = _google(lines, index + 1, entries if heading[:-1] in _ENTRIES else None)
        elif is_outer and _is_field(lines[index]):
            index = _sphinx(lines, index, entries)
        else:
            text.append(lines[index])
            index += 1
    return Docstring("\n".join(text).strip(), entries)


def _google(lines: list[str], index: int, entries: dict[str, str] | None) -> int:
    """`name (type): text` with what follows further in. The section ends where a line begins at the margin."""
    name: str | None = None
    indent = 0
    while index < len(lines) and (not lines[index].strip() or lines[index].startswith(" ")):
        line = lines[index]
        index += 1
        if entries is None or not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        indent = indent or depth
        head, colon, rest = line.strip().partition(":")
        named = head.split("(")[0].strip()
        if depth <= indent and colon and named.isidentifier():
            name = named
            entries[name] = rest.strip()
        elif name is not None:
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return index


def _numpy(lines: list[str], index: int, entries: dict[str, str] | None) -> int:
    """`name : type` at the margin, the text below it and further in. The section ends where the next one begins."""
    names: list[str] = []
    while index < len(lines):
        line = lines[index]
        below = lines[index + 1].strip() if index + 1 < len(lines) else ""
        if not line.startswith(" ") and line.strip() and len(below) > 2 and not below.strip("-="):
            break
        index += 1
        if entries is None or not line.strip():
            continue
        if line.startswith(" "):
            for name in names:
                entries[name] = f"{entries[name]} {line.strip()}".strip()
            continue
        names = [name.strip().lstrip("*") for name in line.partition(":")[0].split(",")]
        names = [name for name in names if name.isidentifier()]
        entries.update(dict.fromkeys(names, ""))
    return index


def _is_field(line: str) -> bool:
    match = _FIELD.match(line)
    return match is not None and match.group(1) in _FIELDS | _OTHER_FIELDS


def _sphinx(lines: list[str], index: int, entries: dict[str, str]) -> int:
    """`:param type name: text`, with what follows further in."""
    match = _FIELD.match(lines[index])
    assert match is not None
    kind, argument, text = match.groups()
    words = [text.strip()] if text else []
    index += 1
    while index < len(lines) and lines[index].startswith(" "):
        words.append(lines[index].strip())
        index += 1
    if kind in _FIELDS and argument and argument.split()[-1].lstrip("*").isidentifier():
        entries[argument.split()[-1].lstrip("*")] = " ".join(words)
    return index
