# SPDX-License-Identifier: Apache-2.0
"""The settings of a task: looked at before the library does, so that what is wrong is said by its name."""

import dataclasses
import difflib
import linecache
import traceback
import typing
from typing import Any

from gym_host_sdk import Refuse, to_json
from gym_host_sdk.convert import Misfit, convert
from reasoning_gym.factory import DATASETS

#: What `gym-host data generate` says itself.
_ELSEWHERE = {"size": "--size", "seed": "--seed"}


def check(task: str, config: Any) -> None:
    """Refuses settings that the task does not have, or that have another type."""
    if not isinstance(config, dict):
        raise Refuse(422, f"the settings of `{task}` are not an object. {_known(task)}")
    fields = {field.name: field for field in _fields(task)}
    for name, value in config.items():
        if name in _ELSEWHERE:
            raise Refuse(422, f"`{name}` is no setting here: give it as `{_ELSEWHERE[name]}`")
        if name not in fields:
            close = difflib.get_close_matches(name, fields, 1)
            meant = f", did you mean `{close[0]}`?" if close else "."
            raise Refuse(422, f"the task `{task}` has no setting `{name}`{meant} {_known(task)}")
        reason = _misfit(task, fields[name], value)
        if reason is not None:
            raise Refuse(422, f"the setting `{name}` of `{task}` {reason}. {_known(task)}")


def refusal(tasks: list[str], error: Exception) -> Refuse:
    """What the library does not take, in its words or, where it has none, as the condition that does not hold."""
    said = str(error)
    if not said:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        said = linecache.getline(frame.filename, frame.lineno or 0).strip() or "for a reason that it does not give"
    elif not isinstance(error, (AssertionError, ValueError)):
        said = f"{type(error).__name__}: {said}"
    known = " ".join(_known(task) for task in tasks) if len(tasks) <= 3 else ""
    return Refuse(422, f"the task cannot be generated with these settings: {said}. {known}".rstrip())


def _fields(task: str) -> list[Any]:
    kind = DATASETS[task][1]
    return [field for field in dataclasses.fields(kind) if field.init] if dataclasses.is_dataclass(kind) else []


def _misfit(task: str, field: Any, value: Any) -> str | None:
    if value == field.default:
        return None
    try:
        convert(typing.get_type_hints(DATASETS[task][1]).get(field.name, Any), value)
    except Misfit as error:
        return str(error).replace("`the body` ", "").replace("`the body`", "the value")
    except Exception:
        # A type that says nothing of JSON: the library looks at the value.
        return None
    return None


def _known(task: str) -> str:
    names = [f"`{field.name}`{_default(field)}" for field in _fields(task) if field.name not in _ELSEWHERE]
    return f"The settings of `{task}` are {', '.join(names)}" if names else f"`{task}` has no settings"


def _default(field: Any) -> str:
    try:
        default = field.default_factory() if field.default is dataclasses.MISSING else field.default
        text = to_json(default)
    except Exception:
        return ""
    return f" ({text})" if len(text) <= 40 else ""
