# SPDX-License-Identifier: Apache-2.0
"""Requests that are not as they should be: whatever comes in, an environment answers with a result or a clear failure.

    from gym_host_sdk import malformed
    import app

    def test_requests_that_are_not_as_they_should_be_fail_clearly():
        malformed.check(app.Weather, Path(__file__).parent.parent)
"""

import copy
import json
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .cases import _items, _read_lines
from .description import Description, Style
from .failure import Failure
from .server import Instance, Server
from .testing import TestHost

# What a value gets in its place, as JSON: other types, numbers out of range, lone surrogates, nesting too deep to follow.
_VALUES = [
    *("null", "true", "[]", "{}", '""', '"x"', "0", "-1", "-0.0", "0.5", "1e308", "1e999", "NaN", "9" * 400),
    *('"\\ud800"', '"\\u0000"', "[null,{}]", '[[[]],3,"\\udfff"]', '{"type":"function_call"}', '{"":null}'),
    *("[" * 20_000 + "]" * 20_000, '{"a":' * 20_000 + "1" + "}" * 20_000),
]
# What arguments are besides, none of them JSON.
_PIECES = ["", "[[[[[[", '{"a":', '"', "}", ",", "\\"]
# Stands for a value in a text.
_PLACE = "\x01odd"


def check(
    environment: Any,
    folder: "str | os.PathLike[str]",
    *,
    config: dict[str, Any] | None = None,
    requests: int = 200,
) -> None:
    """Sends the environment in this folder requests that are not as they should be: of the first example each field absent
    and with each odd value; every tool with each argument so, in a session that is alive; and so many `requests` made of
    examples and cases by a fixed seed. Anything but a result or a failure of the kinds that the SDK knows is an error of the
    test, and so is a reward that is not finite."""
    folder = Path(folder)
    rows = _read_lines(folder / "data/example.jsonl")
    cases = _read_lines(folder / "tests/cases.jsonl")
    server = Server.of(environment)
    results = 0

    def begun(row: str) -> tuple[Instance, Description]:
        nonlocal results
        instance = Instance(server, TestHost(config, folder=folder))
        description = instance.describe()
        try:
            instance.reset(row) if description.style == Style.GYMNASIUM else instance.seed_session(row)
            results += 1
        except Failure:
            pass
        return instance, description

    def grade(instance: Instance, description: Description, request: str) -> None:
        nonlocal results
        try:
            graded = instance.step(request) if description.style == Style.GYMNASIUM else instance.verify(request)
        except Failure:
            return
        results += 1
        assert math.isfinite(graded.reward), request[:1000]

    def call(instance: Instance, name: str, arguments: str) -> None:
        nonlocal results
        try:
            instance.call_tool(name, arguments)
            results += 1
        except Failure:
            pass

    row, request = rows[0], _request(rows[0], cases[0])
    for text in _odd_members(request):
        instance, description = begun(text)
        grade(instance, description, text)
    for tool in begun(json.dumps(row))[1].tools:
        instance, _ = begun(json.dumps(row))
        arguments = {name: "x" for name in tool.parameters["properties"]}
        for text in [*_odd_members(arguments), *_VALUES, *_PIECES]:
            call(instance, tool.name, text)
    chance = random.Random(requests)
    for _ in range(requests):
        case = chance.choice(cases)
        row = rows[case["task"]] if isinstance(case["task"], int) else case["task"]
        instance, description = begun(json.dumps(row) if chance.random() < 0.5 else _reshaped(chance, row))
        request = _request(row, case)
        for item in request["response"]["output"]:
            if isinstance(item, dict) and item.get("type") == "function_call":
                call(instance, str(item.get("name")), _rewritten(chance, str(item.get("arguments"))))
        changed = _reshaped(chance, request) if chance.random() < 0.5 else _rewritten(chance, json.dumps(request))
        grade(instance, description, changed)
    assert results > 0, "not one request had a result"


def _request(row: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """What is graded when the model says what the case says."""
    transcript: list[Any] = []
    for turn in case["turns"]:
        transcript.extend(_items(turn, len(transcript)))
    return {**row, "response": {"output": transcript}}


def _odd_members(value: dict[str, Any]) -> Iterator[str]:
    """The object without each member, and with each odd value in its place."""
    for name in value:
        yield json.dumps({other: value[other] for other in value if other != name})
        text = json.dumps({**value, name: _PLACE})
        for odd in _VALUES:
            yield text.replace(json.dumps(_PLACE), odd, 1)


def _reshaped(chance: random.Random, value: Any) -> str:
    """The value with one to three of those in it removed or replaced."""
    value = copy.deepcopy(value)
    for _ in range(chance.randrange(1, 4)):
        places = list(_places(value))
        if places:
            holder, key = chance.choice(places)
            if chance.random() < 0.25:
                del holder[key]
            else:
                holder[key] = _PLACE
    pieces = json.dumps(value).split(json.dumps(_PLACE))
    return pieces[0] + "".join(chance.choice(_VALUES) + piece for piece in pieces[1:])


def _places(value: Any) -> "Iterator[tuple[Any, Any]]":
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield value, key
        yield from _places(inner)


def _rewritten(chance: random.Random, text: str) -> str:
    """The text with a piece of it replaced."""
    start = chance.randrange(len(text) + 1)
    end = min(len(text), start + chance.randrange(12))
    return text[:start] + chance.choice([*_VALUES[:20], *_PIECES]) + text[end:]
