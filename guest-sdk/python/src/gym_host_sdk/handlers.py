# SPDX-License-Identifier: Apache-2.0
"""The marked functions of an environment: what they take, and how they are called."""

import dataclasses
import inspect
import typing
from typing import Any, Callable

from .attempt import Attempt
from .context import Context
from .convert import Misfit, Reading, convert
from .failure import unfit

#: The markers and what they mean.
KINDS = {
    "seed_session": """Begins the session, with the dataset row: `def seed(self, task: Task)`. On a class method it makes the
    session: `def seed(cls, task: Task)` returns the object; tools before that are refused with 400.""",
    "tool": "The model calls it.",
    "any_tool": "Takes calls of all other names: `def call(self, name: str, arguments: Any)`.",
    "verify": "Grades a finished response: `def verify(self, attempt: Attempt[Task]) -> Verdict`.",
    "reset": """Gymnasium style: begins, with the dataset row. Gives an `Observation` or text; on a class method the object
    and that.""",
    "step": "Gymnasium style: one model response: `def step(self, attempt: Attempt[Task]) -> StepOutcome`.",
    "close": "The session ends in good order: `def close(self)`.",
    "aggregate_metrics": """Adds metrics: `def metrics(request: MetricsRequest) -> Metrics`, a static method.""",
    "describe": """Changes the description, for example by the configuration: `def describe(description: Description)`, a static
    method.""",
    "at_build": """Runs when the component is built, so that what it loads and computes is there from the beginning: a static
    method without arguments. Natively it does not run by itself.""",
}

_STATIC = {"aggregate_metrics", "describe", "at_build"}


def mark(kind: str) -> Callable[[Any], Any]:
    """A decorator that marks a function."""

    def marker(function: Any) -> Any:
        getattr(function, "__func__", function).__gym_kind__ = kind
        return function

    marker.__name__ = kind
    return marker


@dataclasses.dataclass
class Value:
    """A parameter that carries a value."""

    name: str
    hint: Any
    default: Any

    def strict_hint(self) -> Any:
        """The type for a strict schema: where there is a default, null asks for it."""
        if self.default in (dataclasses.MISSING, None):
            return self.hint
        if typing.get_origin(self.hint) is typing.Annotated:
            inner, *notes = typing.get_args(self.hint)
            return typing.Annotated[inner | None, *notes]
        return self.hint | None


class Handler:
    """One marked function."""

    def __init__(self, cls: type, name: str, member: Any, function: Any) -> None:
        self.name = name
        self.kind: str = function.__gym_kind__
        self.doc = inspect.getdoc(function) or ""
        self.tool_name: str = getattr(function, "__gym_tool_name__", name)
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)
        self._is_class_method = isinstance(member, classmethod)
        self.takes_self = not isinstance(member, (classmethod, staticmethod))
        self._plan: tuple[list[Value], str | None, Any] | None = None
        if self.kind in _STATIC and self.takes_self:
            raise TypeError(f"`{cls.__name__}.{name}` belongs to no session: make it a `@staticmethod`")

    @property
    def makes_session(self) -> bool:
        """Whether the function gives the session rather than changing it."""
        return not self.takes_self

    def _planned(self) -> tuple[list[Value], str | None, Any]:
        # When it is needed, not when the class is made: types may be declared further down.
        if self._plan is None:
            self._plan = self._make_plan()
        return self._plan

    def _make_plan(self) -> tuple[list[Value], str | None, Any]:
        hints = typing.get_type_hints(self._function, include_extras=True)
        parameters = list(inspect.signature(self._function).parameters.values())
        if self.takes_self or self._is_class_method:
            parameters = parameters[1:]
        values: list[Value] = []
        context = None
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(f"`{self.name}` has a parameter `*{parameter.name}`, which cannot be described")
            hint = hints.get(parameter.name)
            if hint is Context or (hint is None and parameter.name == "cx"):
                context = parameter.name
                continue
            if hint is None and self.kind in ("tool", "seed_session", "reset"):
                raise TypeError(f"the parameter `{parameter.name}` of `{self.name}` needs a type hint")
            default = dataclasses.MISSING if parameter.default is parameter.empty else parameter.default
            values.append(Value(parameter.name, hint, default))
        return values, context, self._task_of(values)

    def _task_of(self, values: list[Value]) -> Any:
        if self.kind in ("seed_session", "reset"):
            if len(values) > 1:
                raise TypeError(f"`{self.name}` takes one value: the fields of the dataset row")
            return values[0].hint if values else None
        if self.kind in ("verify", "step"):
            if len(values) != 1:
                raise TypeError(f"`{self.name}` takes one value: the attempt")
            hint = values[0].hint
            if hint is None or hint is Attempt:
                return None
            if typing.get_origin(hint) is Attempt:
                return typing.get_args(hint)[0]
            raise TypeError(f"`{self.name}` takes an `Attempt[…]`, not `{hint}`")
        expected = {"any_tool": 2, "close": 0, "aggregate_metrics": 1, "describe": 1, "at_build": 0}.get(self.kind)
        if expected is not None and len(values) != expected:
            raise TypeError(f"`{self.name}` should take {expected} values and takes {len(values)}")
        return None

    @property
    def values(self) -> list[Value]:
        """The parameters that carry values."""
        return self._planned()[0]

    @property
    def task(self) -> Any:
        """The type of the dataset row's fields; None if there are none."""
        return self._planned()[2]

    def read_arguments(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call, by parameter. Refused with status 422 when they do not fit."""
        read = {}
        for value in self.values:
            given = arguments.get(value.name)
            has_default = value.default is not dataclasses.MISSING
            if has_default and (value.name not in arguments or (given is None and value.default is not None)):
                read[value.name] = value.default
                continue
            try:
                read[value.name] = convert(value.hint, given, Reading.ARGUMENTS)
            except Misfit as error:
                reason = f"`{value.name}` is missing" if value.name not in arguments else str(error)
                raise unfit(reason.replace("`the body`", f"`{value.name}`")) from None
        return read

    def call(self, cls: type, session: Any, cx: Context, *values: Any, **named: Any) -> Any:
        """Calls the function."""
        context = self._planned()[1]
        if context is not None:
            named[context] = cx
        if self.takes_self:
            values = (session, *values)
        elif self._is_class_method:
            values = (cls, *values)
        reply = self._function(*values, **named)
        return _finished(reply) if self._is_async else reply


def _finished(coroutine: Any) -> Any:
    """What a coroutine gives. Here as in a component, waiting moves the session's clock and takes no time."""
    import asyncio

    from ._component.stand_ins.event_loop import EventLoop

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(coroutine)


def collect(cls: type) -> list[Handler]:
    """The marked functions of a class, in order; those of base classes first."""
    found: dict[str, Handler] = {}
    for base in reversed(cls.__mro__):
        for name, member in base.__dict__.items():
            function = getattr(member, "__func__", member)
            if getattr(function, "__gym_kind__", None) is not None:
                found[name] = Handler(cls, name, member, function)
            else:
                found.pop(name, None)
    handlers = list(found.values())
    seen: dict[str, str] = {}
    for handler in handlers:
        key = f"tool {handler.tool_name}" if handler.kind == "tool" else handler.kind
        if key in seen and handler.kind != "at_build":
            raise TypeError(f"`{cls.__name__}` has two functions marked for `{key}`: `{seen[key]}`, `{handler.name}`")
        seen[key] = handler.name
    return handlers


