# SPDX-License-Identifier: Apache-2.0
"""JSON in and out, whatever it holds: values that are nested too deeply and lone surrogates never make a call fail."""

import dataclasses
import enum
import itertools
import json
import math
import re
from typing import Any

#: Values nested deeper than this are not read.
DEPTH = 200

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)


class TooDeep:
    """Stands for a JSON value that is nested too deeply to be read. It is neither text nor list nor object."""

    def __repr__(self) -> str:
        return "<nested too deeply>"


TOO_DEEP = TooDeep()


def read_json(text: str) -> Any:
    """The value of a JSON text. What is nested more than 200 deep becomes a `TooDeep`, lone surrogates become U+FFFD.
    Raises `ValueError` when it is not JSON."""
    if text.count("[") + text.count("{") > DEPTH and _depth(text) > DEPTH:
        value = _read_shallow(text)
    else:
        value = json.loads(text)
    # Only an escape can spell a lone surrogate.
    return _without_surrogates(value, 0) if "\\ud" in text or "\\uD" in text else value


def _depth(text: str) -> int:
    """How deeply a JSON text is nested. The parser itself recurses, and how far that goes is not the same everywhere."""
    brackets = _NO_BRACKET.sub("", _STRING.sub("", text))
    return max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _read_shallow(text: str) -> Any:
    """Reads token by token, without recursion."""
    stack: list[tuple[Any, str | None]] = []
    value: Any = None
    have = False
    key: str | None = None
    wants_key = False
    skipped = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if skipped:
            skipped += (token in "{[") - (token in "}]") if len(token) == 1 else 0
            if not skipped:
                value, have = TOO_DEEP, True
            continue
        if token in ("{", "["):
            if len(stack) >= DEPTH:
                skipped = 1
                continue
            stack.append(({} if token == "{" else [], key))
            wants_key = token == "{"
            have = False
        elif token == ":":
            if not (wants_key and isinstance(value, str)):
                raise ValueError("a colon in a strange place")
            key, have, wants_key = value, False, False
        elif token in (",", "}", "]"):
            if not stack:
                raise ValueError("a separator outside of a value")
            holder, outer = stack[-1]
            if have:
                if isinstance(holder, dict):
                    holder[key if key is not None else ""] = value
                else:
                    holder.append(value)
            have = False
            if token == ",":
                wants_key = isinstance(holder, dict)
                continue
            if (token == "}") != isinstance(holder, dict):
                raise ValueError("brackets that do not match")
            stack.pop()
            value, have, key, wants_key = holder, True, outer, False
        else:
            value, have = json.loads(token), True
    if stack or skipped or not have:
        raise ValueError("the text ends early")
    return value


def _without_surrogates(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if depth > DEPTH:
        return TOO_DEEP if isinstance(value, (list, dict)) else value
    if isinstance(value, list):
        return [_without_surrogates(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_clean(name): _without_surrogates(item, depth + 1) for name, item in value.items()}
    return value


def _clean(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text) if not text.isascii() else text


def to_json(value: Any) -> str:
    """Compact JSON text of a value. Dataclasses become objects, enums their values, sets sorted lists; NaN and the
    infinities become `null`. Raises `TypeError` for what has no JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), default=_plain)
    return text if text.isascii() else _clean(text)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a value of type `{type(value).__name__}` has no JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return _finite(_plain(value))
