# SPDX-License-Identifier: Apache-2.0
import enum
import sys
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import pytest

from gym_host_sdk.convert import Misfit, Reading, convert
from gym_host_sdk.schema import ROW, STRICT, fields_schema, not_strict, schema_of


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Inner:
    x: int


@dataclass
class Row:
    """A row.

    Attributes:
        gold: The right letter.
        weights: How much each part
            counts.
    """

    gold: str
    weights: list[float] = field(default_factory=list)
    size: Size | None = None
    note: Annotated[str | None, "Anything."] = None
    inner: Inner | None = None
    either: int | str = 3


class Loose(TypedDict):
    a: int
    b: NotRequired[str]


UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("kind", "style", "schema"),
    [
        (int, ROW, {"type": "integer"}),
        (UserId, ROW, {"type": "integer"}),
        (list[float], ROW, {"type": "array", "items": {"type": "number"}}),
        (str | None, STRICT, {"type": ["string", "null"]}),
        (Any, ROW, {}),
        (Any | None, ROW, {}),
        (dict[str, int | None], ROW, {"type": "object", "additionalProperties": {"type": ["integer", "null"]}}),
        (dict, ROW, {"type": "object"}),
        (Literal["a", "b"] | None, STRICT, {"type": ["string", "null"], "enum": ["a", "b", None]}),
        (Size, ROW, {"type": "string", "enum": ["small", "large"]}),
        (int | str | None, ROW, {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}),
        (
            Inner,
            STRICT,
            {
                "type": "object",
                "properties": {"x": {"type": "integer"}},
                "required": ["x"],
                "additionalProperties": False,
            },
        ),
        (
            Loose,
            ROW,
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "string", "default": None}},
                "required": ["a"],
            },
        ),
    ],
)
def test_types_have_the_schemas_that_the_host_knows(kind, style, schema):
    assert schema_of(kind, style) == schema


def test_rows_have_defaults_and_descriptions():
    assert fields_schema(Row, ROW) == {
        "type": "object",
        "properties": {
            "gold": {"type": "string", "description": "The right letter."},
            "weights": {
                "type": "array",
                "items": {"type": "number"},
                "default": [],
                "description": "How much each part counts.",
            },
            "size": {"type": ["string", "null"], "enum": ["small", "large", None], "default": None},
            "note": {"type": ["string", "null"], "default": None, "description": "Anything."},
            "inner": {
                "type": ["object", "null"],
                "properties": {"x": {"type": "integer"}},
                "required": ["x"],
                "default": None,
            },
            "either": {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 3},
        },
        "required": ["gold"],
    }


def test_a_dict_takes_all_fields():
    assert fields_schema(dict, ROW) == {"type": "object", "properties": {}, "additionalProperties": True}


def test_a_map_among_arguments_is_not_strict():
    inner = {"type": "object", "properties": {"m": schema_of(dict[str, int], STRICT)}, "additionalProperties": False}
    assert not_strict(inner).startswith("`m` of the arguments takes members of any name; declare them with")
    assert not_strict(schema_of(Inner, STRICT)) is None


@pytest.mark.parametrize("kind", [object.__class__, complex, tuple[int, str]])
def test_types_without_json_are_errors(kind):
    with pytest.raises(TypeError):
        schema_of(kind, ROW)


@dataclass
class Node:
    name: str
    children: "list[Node]"


def test_a_type_that_holds_itself_is_an_error_that_names_the_way_there():
    with pytest.raises(TypeError, match="^`children`: `Node` holds itself"):
        schema_of(Node, STRICT)
    with pytest.raises(TypeError, match="^`children`: `Node` holds itself"):
        schema_of(Node, ROW)


def test_values_are_read_as_their_types():
    row = convert(Row, {"gold": "B", "weights": [1, 2.5], "size": "large", "inner": {"x": 2.0}, "unknown": 1})
    assert row == Row("B", [1.0, 2.5], Size.LARGE, None, Inner(2), 3)
    assert convert(Loose, {"a": 1, "c": 2}) == {"a": 1}
    assert convert(dict[str, list[int]], {"a": [1]}) == {"a": [1]}
    assert convert(set[int], [1, 1]) == {1}


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Row, {}, "`gold` is missing"),
        (Row, {"gold": 3}, "`gold` should be a string and is int"),
        (Row, {"gold": "x", "inner": {"x": "y"}}, "`inner.x` should be a whole number and is str"),
        (Row, {"gold": "x", "weights": [1, None]}, "`weights.1` should be a number and is null"),
        (int, True, "`the body` should be a whole number and is bool"),
        (int, 1.5, "`the body` should be a whole number and is float"),
        (int, float("nan"), "`the body` should be a whole number and is float"),
        (float, 10**400, "`the body` should be a number of this size and is int"),
        (Literal[1], True, "`the body` should be one of 1 and is bool"),
        (Size, "huge", "`the body` should be one of 'small', 'large' and is str"),
    ],
)
def test_what_does_not_fit_is_named(kind, value, said):
    with pytest.raises(Misfit) as misfit:
        convert(kind, value)
    assert str(misfit.value) == said


@dataclass
class Point:
    x: int
    unit: str = "cm"
    tags: list[str] = field(default_factory=list)
    note: Any = "none"


class Named(TypedDict):
    name: str
    colour: NotRequired[str]


def test_fields_of_arguments_with_a_default_take_null_and_get_it_then():
    def strict(kind):
        return schema_of(kind, STRICT)["properties"]

    assert strict(Point)["unit"] == {"type": ["string", "null"]}
    assert strict(Point)["tags"] == {"type": ["array", "null"], "items": {"type": "string"}}
    assert strict(Point)["note"] == {}
    assert schema_of(Point, STRICT)["required"] == ["x", "unit", "tags", "note"]
    assert strict(Named)["colour"] == {"type": ["string", "null"]}
    given = {"x": 1, "unit": None, "tags": None, "note": None}
    assert convert(list[Point], [given], Reading.ARGUMENTS) == [Point(1, "cm", [], None)]
    assert convert(Named, {"name": "a", "colour": None}, Reading.ARGUMENTS) == {"name": "a"}
    with pytest.raises(Misfit):
        convert(Point, {**given, "x": None}, Reading.ARGUMENTS)
    # In a row null is null.
    with pytest.raises(Misfit):
        convert(Point, given)


@pytest.mark.parametrize(
    ("kind", "schema", "given", "read"),
    [
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}, [1, 2], [1, 2]),
        (typing.Sequence[str], {"type": "array", "items": {"type": "string"}}, ["a"], ["a"]),
        (Iterable, {"type": "array", "items": {}}, [1, "a"], [1, "a"]),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": 1}),
    ],
)
def test_abstract_collections_are_lists_and_dictionaries(kind, schema, given, read):
    assert schema_of(kind, ROW) == schema
    assert convert(kind, given) == read
    with pytest.raises(Misfit):
        convert(kind, 3)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement `type` is newer")
def test_an_alias_is_what_it_stands_for():
    scope: dict[str, Any] = {}
    exec("type Numbers = list[int]", scope)
    assert schema_of(scope["Numbers"] | None, ROW) == {"type": ["array", "null"], "items": {"type": "integer"}}
    assert convert(scope["Numbers"], [1]) == [1]
