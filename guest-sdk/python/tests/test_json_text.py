# SPDX-License-Identifier: Apache-2.0
import dataclasses
import enum
import json
import math

import pytest

from gym_host_sdk.json_text import TooDeep, _read_shallow, read_json, to_json


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    colour: Colour


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, None, True]}, '{"a":[1,2.5,null,true]}'),
        ([math.nan, math.inf, {"x": -math.inf}], '[null,null,{"x":null}]'),
        (Point(1, Colour.RED), '{"x":1,"colour":"red"}'),
        ({3, 1, 2}, "[1,2,3]"),
        ("é\ud800", '"é\ufffd"'),
    ],
)
def test_values_are_written_compactly(value, text):
    assert to_json(value) == text


def test_what_has_no_json_is_an_error():
    with pytest.raises(TypeError):
        to_json({"a": object()})


def test_lone_surrogates_become_replacement_characters():
    assert read_json('{"\\ud800a": ["\\uDC00", "\\ud83d\\ude00"]}') == {"\ufffda": ["\ufffd", "😀"]}


def test_values_nested_too_deeply_stand_aside():
    deep = "[" * 100_000 + "]" * 100_000
    value = read_json('{"a": 1, "deep": ' + deep + ', "b": {"c": [2]}}')
    assert (value["a"], value["b"]) == (1, {"c": [2]})
    inner = value["deep"]
    while isinstance(inner, list):
        inner = inner[0]
    assert isinstance(inner, TooDeep)


@pytest.mark.parametrize("text", ["", "{", "[1", '{"a"}', '{"a":1]', "1]", ":", '{"a" "b"}', "[1,,]x"])
def test_text_that_is_not_json_is_an_error(text):
    with pytest.raises(ValueError):
        read_json(text)


@pytest.mark.parametrize(
    "text",
    ['{"a": {"b": [1, "x\\"y", {}], "c": []}, "d": null}', "[]", '"x"', "3", '[{"a": [[], [1]]}, 2.5, true]'],
)
def test_the_reader_without_recursion_reads_the_same(text):
    assert _read_shallow(text) == json.loads(text)
