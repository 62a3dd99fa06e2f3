# SPDX-License-Identifier: Apache-2.0
import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import pytest

from gym_host_sdk.convert import Misfit, convert
from gym_host_sdk.schema import ROW, STRICT, fields_schema, not_strict, schema_of, sections


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
    assert not_strict(inner) == "`m` of the arguments takes members of any name"
    assert not_strict(schema_of(Inner, STRICT)) is None


@pytest.mark.parametrize("kind", [object.__class__, complex, tuple[int, str]])
def test_types_without_json_are_errors(kind):
    with pytest.raises(TypeError):
        schema_of(kind, ROW)


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


def test_docstrings_are_split():
    text, arguments = sections(
        """First line.

        More.

        Args:
            city: The city,
                in English.
            size (int): How many.

        Returns:
            Nothing: really.
        """,
        "Args:",
    )
    assert text == "First line.\n\nMore."
    assert arguments == {"city": "The city, in English.", "size": "How many."}
