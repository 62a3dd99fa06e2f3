# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas from type hints and docstrings.

The host checks requests against them as pydantic does in its lax mode, fills in defaults, and answers 422 when they do
not fit; what reaches the environment fits. Descriptions come from `Annotated[str, "…"]`, from the `Args:` section of a
function's docstring and the `Attributes:` section of a class's, or from what NumPy's and Sphinx's styles have instead.
"""

import dataclasses
import enum
import inspect
import typing
from typing import Any

from . import docstrings
from .convert import asks_with_null, bare, fields_of, is_union
from .json_text import to_json

#: Arguments of a tool, in the strict mode of function calling: every property required, optional ones nullable, no
#: additional properties.
STRICT = "strict"
#: Fields of a dataset row: fields that take None or have a default may be absent, others are required.
ROW = "row"

_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", type(None): "null"}


#: The types that are being described, from the outside in.
_under_way: list[Any] = []


def schema_of(kind: Any, style: str) -> dict[str, Any]:
    """The schema of a type. Raises `TypeError` for a type that has none."""
    kind = bare(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in (Any, object):
        return {}
    if kind is None or (isinstance(kind, type) and kind in _PLAIN):
        return {"type": _PLAIN[kind or type(None)]}
    if kind in (list, tuple, set, frozenset):
        return {"type": "array", "items": {}}
    if origin in (list, set, frozenset) or (origin is tuple and args[1:] == (...,)):
        return {"type": "array", "items": schema_of(args[0], style)}
    if origin is dict:
        if not args or bare(args[1]) in (Any, object):
            return {"type": "object"}
        return {"type": "object", "additionalProperties": schema_of(args[1], style)}
    if origin is typing.Literal:
        return _choices(list(args))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _choices([member.value for member in kind])
    if is_union(kind):
        return _union(args, style)
    if typing.is_typeddict(kind) or dataclasses.is_dataclass(kind):
        if kind in _under_way:
            raise TypeError(f"`{kind.__qualname__}` holds itself, and so has no schema that ends; use `Any` in its place")
        _under_way.append(kind)
        try:
            return fields_schema(kind, style)
        finally:
            _under_way.pop()
    raise TypeError(f"`{kind}` has no JSON Schema; use a dataclass, or `Any` for any value")


def fields_schema(kind: Any, style: str) -> dict[str, Any]:
    """The schema of an object with the fields of a dataclass or a `TypedDict`; of any object for `dict`."""
    kind = bare(kind)
    if kind is dict or typing.get_origin(kind) is dict:
        return {"type": "object", "properties": {}, "additionalProperties": True}
    described = docstrings.read(inspect.getdoc(kind) or "").entries if _has_own_doc(kind) else {}
    fields = []
    for name, hint, default in fields_of(kind):
        metadata = kind.__dataclass_fields__[name].metadata if dataclasses.is_dataclass(kind) else {}
        fields.append((name, hint, default, metadata.get("description") or described.get(name, "")))
    schema = object_schema(fields, style)
    if style == ROW and getattr(kind, "__keep_extras__", False):
        schema["additionalProperties"] = True
    return schema


def object_schema(fields: list[tuple[str, Any, Any, str]], style: str) -> dict[str, Any]:
    """The schema of an object: name, type, default (or `dataclasses.MISSING`) and description of its fields."""
    properties: dict[str, Any] = {}
    required = []
    for name, hint, default, description in fields:
        try:
            schema = schema_of(hint, style)
        except TypeError as error:
            # From the outside in, so that the whole way to the type is named.
            raise TypeError(f"`{name}`: {error}") from None
        if style == STRICT and asks_with_null(hint, default):
            schema = _nullable(schema)
        if default is dataclasses.MISSING and style == ROW and _takes_null(schema):
            default = None
        if default is dataclasses.MISSING or style == STRICT:
            required.append(name)
        if default is not dataclasses.MISSING and style == ROW:
            schema["default"] = _as_json(default)
        description = _annotation(hint) or description
        if description:
            schema["description"] = description
        properties[name] = schema
    words: dict[str, Any] = {"type": "object", "properties": properties}
    if required or style == STRICT:
        words["required"] = required
    if style == STRICT:
        words["additionalProperties"] = False
    return words


def _has_own_doc(kind: Any) -> bool:
    # A dataclass without a docstring gets its signature as one.
    doc = kind.__dict__.get("__doc__")
    return bool(doc) and not (dataclasses.is_dataclass(kind) and doc.startswith(f"{kind.__name__}("))


def _annotation(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Annotated:
        return next((note for note in typing.get_args(hint)[1:] if isinstance(note, str)), "")
    return ""


def _as_json(default: Any) -> Any:
    import json

    return json.loads(to_json(default))


def _choices(values: list[Any]) -> dict[str, Any]:
    kinds = list(dict.fromkeys(_PLAIN.get(type(value)) for value in values))
    if None in kinds:
        raise TypeError(f"the choices {values} are not all text, numbers or booleans")
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _union(options: tuple[Any, ...], style: str) -> dict[str, Any]:
    rest = [option for option in options if option is not type(None)]
    schemas = [schema_of(option, style) for option in rest]
    if len(schemas) == 1:
        schema = schemas[0]
    elif {} in schemas:
        return {}
    else:
        schema = {"anyOf": schemas}
    return _nullable(schema) if len(rest) < len(options) else schema


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        if {"type": "null"} not in schema["anyOf"]:
            schema["anyOf"].append({"type": "null"})
        return schema
    kinds = schema.get("type")
    if isinstance(kinds, str) and kinds != "null":
        schema["type"] = [kinds, "null"]
    elif isinstance(kinds, list) and "null" not in kinds:
        kinds.append("null")
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"].append(None)
    return schema


def _takes_null(schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return {"type": "null"} in schema["anyOf"]
    kinds = schema.get("type", ())
    return kinds == "null" or (isinstance(kinds, list) and "null" in kinds)


def not_strict(schema: dict[str, Any], at: str = "the arguments") -> str | None:
    """What keeps a tool's schema from being strict, as a sentence; None when it is."""
    if "anyOf" in schema:
        return next(filter(None, (not_strict(choice, at) for choice in schema["anyOf"])), None)
    if "items" in schema:
        return not_strict(schema["items"], at)
    kinds = schema.get("type")
    if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
        return None
    if schema.get("additionalProperties") is not False:
        return f"{at} takes members of any name; declare them with a dataclass or a `TypedDict`"
    inner = (not_strict(property, f"`{name}` of {at}") for name, property in schema["properties"].items())
    return next(filter(None, inner), None)
