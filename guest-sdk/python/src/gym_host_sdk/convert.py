# SPDX-License-Identifier: Apache-2.0
"""JSON values as values of the types that an environment declares."""

import collections.abc
import dataclasses
import enum
import functools
import types
import typing
from typing import Any


class Reading(enum.Enum):
    """How JSON is read."""

    #: Values have their types.
    EXACT = "exact"
    #: As pydantic reads settings: texts of flags and numbers are flags and numbers (values of a command line are texts),
    #: flags are numbers, and 0 and 1 are flags.
    SETTINGS = "settings"
    #: Arguments of a tool: where there is a default, null asks for it.
    ARGUMENTS = "arguments"


class Misfit(ValueError):
    """A value that does not fit its type."""


def convert(kind: Any, value: Any, reading: Reading = Reading.EXACT) -> Any:
    """`value`, read from JSON, as a `kind`. Raises `Misfit` with the place of what does not fit."""
    return _reader(kind, reading)(value, "")


def unknown_members(kind: Any, value: Any) -> list[str]:
    """The members of an object that a dataclass or a `TypedDict` does not have."""
    if not isinstance(value, dict) or not (typing.is_typeddict(kind) or dataclasses.is_dataclass(kind)):
        return []
    known = {name for name, _, _ in fields_of(kind)}
    return [name for name in value if name not in known]


def fields_of(kind: type) -> "list[tuple[str, Any, Any]]":
    """Name, type and default (or `dataclasses.MISSING`) of the fields of a dataclass or a `TypedDict`."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if typing.is_typeddict(kind):
        required = kind.__required_keys__
        return [(name, hints[name], dataclasses.MISSING if name in required else None) for name in hints]
    return [(field.name, hints[field.name], default_of(field)) for field in dataclasses.fields(kind) if field.init]


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """The default of a dataclass's field, or `dataclasses.MISSING`."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def is_union(kind: Any) -> bool:
    """Whether a type is `A | B`."""
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def bare(kind: Any) -> Any:
    """A type without `Annotated`, `Required`, `NotRequired` around it, the base of a `NewType`, what an alias stands for;
    abstract sequences are lists, and abstract mappings dictionaries."""
    while True:
        origin = typing.get_origin(kind)
        if origin in (typing.Annotated, typing.Required, typing.NotRequired):
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif isinstance(kind, getattr(typing, "TypeAliasType", ())):
            kind = kind.__value__
        elif origin in _ABSTRACT or isinstance(kind, type) and kind in _ABSTRACT:
            concrete = _ABSTRACT[origin or kind]
            kind = concrete[typing.get_args(kind)] if typing.get_args(kind) else concrete
        else:
            return kind


_ABSTRACT: dict[Any, Any] = {
    **dict.fromkeys((collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable), list),
    collections.abc.Mapping: dict,
}


def _fail(at: str, expected: str, value: Any) -> typing.NoReturn:
    found = "null" if value is None else type(value).__name__
    raise Misfit(f"`{at or 'the body'}` should be {expected} and is {found}")


def _reader(kind: Any, reading: Reading) -> Any:
    """The function that reads a type: `reader(value, place)`."""
    return _make_reader(bare(kind), reading)


@functools.lru_cache(maxsize=None)
def _make_reader(kind: Any, reading: Reading) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in (Any, object):
        return lambda value, at: value
    if kind in (None, type(None)):
        return _exact((type(None),), "null")
    if kind is bool:
        return _flag if reading is Reading.SETTINGS else _exact((bool,), "a boolean")
    if kind is int:
        return _lax_whole if reading is Reading.SETTINGS else _whole
    if kind is float:
        return _lax_number if reading is Reading.SETTINGS else _number
    if kind is str:
        return _exact((str,), "a string")
    if kind is dict or (origin is dict and not args):
        return _exact((dict,), "an object")
    if origin is dict:
        item = _reader(args[1], reading)
        return lambda value, at: {
            name: item(inner, f"{at}.{name}") for name, inner in _checked(value, dict, at, "an object").items()
        }
    if kind in (list, set, tuple, frozenset):
        return lambda value, at: kind(_checked(value, list, at, "a list"))
    if origin in (list, set, frozenset) or (origin is tuple and args[1:] == (...,)):
        item = _reader(args[0], reading)
        return lambda value, at: origin(
            item(inner, f"{at}.{index}") for index, inner in enumerate(_checked(value, list, at, "a list"))
        )
    if origin is typing.Literal:
        return functools.partial(_one_of, {value: value for value in args})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return functools.partial(_one_of, {member.value: member for member in kind})
    if is_union(kind):
        return functools.partial(_any_of, [_reader(option, reading) for option in args])
    if typing.is_typeddict(kind) or dataclasses.is_dataclass(kind):
        return _Fields(kind, reading)
    raise TypeError(f"`{kind}` cannot be read from JSON; use a dataclass, or `Any` for any value")


def _exact(kinds: tuple[type, ...], expected: str) -> Any:
    def read(value: Any, at: str) -> Any:
        if not isinstance(value, kinds):
            _fail(at, expected, value)
        return value

    return read


def _checked(value: Any, kind: type, at: str, expected: str) -> Any:
    if not isinstance(value, kind):
        _fail(at, expected, value)
    return value


def _whole(value: Any, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or value in (1e999, -1e999):
        _fail(at, "a whole number", value)
    if isinstance(value, float) and not value.is_integer():
        _fail(at, "a whole number", value)
    return int(value)


def _number(value: Any, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _fail(at, "a number", value)
    try:
        return float(value)
    except OverflowError:
        _fail(at, "a number of this size", value)


_FLAGS = {
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
}


def _flag(value: Any, at: str) -> bool:
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    flag = _FLAGS.get(value.lower()) if isinstance(value, str) else None
    if flag is None:
        _fail(at, "a boolean", value)
    return flag


def _lax_whole(value: Any, at: str) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.isascii():
        whole, _, zeros = value.strip().partition(".")
        try:
            # A point may stand before zeros.
            return int(whole if zeros and not zeros.strip("0") else value)
        except ValueError:
            _fail(at, "a whole number", value)
    return _whole(value, at)


def _lax_number(value: Any, at: str) -> float:
    try:
        is_other = isinstance(value, bool) or isinstance(value, str) and value.isascii()
        return float(value) if is_other else _number(value, at)
    except ValueError:
        _fail(at, "a number", value)


def _one_of(choices: dict[Any, Any], value: Any, at: str) -> Any:
    # `True == 1`, but a boolean is no choice among numbers.
    for name, choice in choices.items():
        if type(name) is type(value) and name == value:
            return choice
    _fail(at, "one of " + ", ".join(repr(name) for name in choices), value)


def _any_of(options: list[Any], value: Any, at: str) -> Any:
    reasons = []
    for option in options:
        try:
            return option(value, at)
        except Misfit as error:
            reasons.append(str(error))
    raise Misfit(reasons[0])


class _Fields:
    """Reads an object as a dataclass or a `TypedDict`. Members that are not declared are dropped."""

    def __init__(self, kind: Any, reading: Reading) -> None:
        self._kind = kind
        self._reading = reading
        self._fields: list[tuple[str, Any, bool]] | None = None
        self._asks: set[str] = set()

    def __call__(self, value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            _fail(at, "an object", value)
        if self._fields is None:
            # Here, not in the constructor: a type may hold itself.
            self._fields = [
                (name, _reader(kind, self._reading), default is not dataclasses.MISSING or _takes_none(kind))
                for name, kind, default in fields_of(self._kind)
            ]
            if self._reading is Reading.ARGUMENTS:
                self._asks = {n for n, kind, default in fields_of(self._kind) if asks_with_null(kind, default)}
        is_dict = typing.is_typeddict(self._kind)
        read = {}
        for name, reader, optional in self._fields:
            place = f"{at}.{name}" if at else name
            if name in self._asks and value.get(name) is None:
                continue
            if name in value:
                read[name] = reader(value[name], place)
            elif not optional:
                raise Misfit(f"`{place}` is missing")
            elif not is_dict and _has_no_default(self._kind, name):
                read[name] = None
        return read if is_dict else self._kind(**read)


def asks_with_null(kind: Any, default: Any) -> bool:
    """Whether null, as an argument, asks for this default, and is no value itself."""
    return default is not dataclasses.MISSING and not _takes_none(kind) and bare(kind) not in (Any, object, None, type(None))


def _takes_none(kind: Any) -> bool:
    kind = bare(kind)
    return is_union(kind) and type(None) in typing.get_args(kind)


def _has_no_default(kind: Any, name: str) -> bool:
    field = kind.__dataclass_fields__[name]
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
