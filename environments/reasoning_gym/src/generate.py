# SPDX-License-Identifier: Apache-2.0
"""New rows from a seed."""

import difflib
from typing import Any

import absent
import reasoning_gym
import settings
from gym_host_sdk import Failure, Refuse
from reasoning_gym.composite import DatasetSpec
from reasoning_gym.factory import DATASETS

#: The name under which `gym-host data generate` calls for rows.
TOOL = "generate_rows"
#: Rows of one call.
_MOST = 1000
#: The datasets whose tasks can be made here, once it was tried: when the component is built.
_known: list[str] = []


def rows(arguments: Any) -> dict[str, Any]:
    """`{"rows": […]}` for `{"task", "size", "seed", "start", "count", "config"}`: rows `start` to `start + count` of the
    dataset with this seed and size. Several names with commas between them are mixed."""
    if not isinstance(arguments, dict):
        raise Refuse(422, "the arguments are not an object")
    names = [name.strip() for name in str(arguments.get("task") or "").split(",") if name.strip()]
    unknown = [name for name in names if name not in DATASETS or name == "composite"]
    if unknown or not names:
        known = _known or sorted(DATASETS.keys() - {"composite"})
        reason = f"there is no task `{unknown[0]}`" if unknown else "no task is named"
        close = difflib.get_close_matches(unknown[0], known, 1) if unknown else []
        meant = f", did you mean `{close[0]}`?" if close else ";"
        raise Refuse(422, f"{reason}{meant} There are {', '.join(known)}")
    size, seed, start, count = (_number(arguments, name) for name in ("size", "seed", "start", "count"))
    if count > _MOST or start + count > size:
        raise Refuse(422, f"`count` is at most {_MOST}, and `start` and `count` stay within `size`")
    config = arguments.get("config", {})
    if not isinstance(config, dict):
        raise Refuse(422, "`config` is not an object")
    if len(names) == 1:
        settings.check(names[0], config)
    for name in names if len(names) > 1 else []:
        settings.check(name, config.get(name, {}))
    try:
        if len(names) == 1:
            dataset = reasoning_gym.create_dataset(names[0], size=size, seed=seed, **config)
        else:
            strange = [name for name in config if name not in names]
            if strange:
                raise Refuse(422, f"`{strange[0]}` is none of the tasks; settings go by their names where they are mixed")
            specs = [DatasetSpec(name=name, weight=1.0, config=config.get(name, {})) for name in names]
            dataset = reasoning_gym.create_dataset("composite", size=size, seed=seed, datasets=specs)
        return {"rows": [row(dataset[index]) for index in range(start, start + count)]}
    except absent.Absent as error:
        raise Refuse(422, f"the task cannot be generated here: {error}") from None
    except (Failure, MemoryError, RecursionError):
        raise
    except Exception as error:
        # What is wrong with the settings shows in the library, in one way or another.
        if not config and not isinstance(error, (TypeError, AttributeError, ValueError, AssertionError)):
            raise
        raise settings.refusal(names, error) from None


def _number(arguments: dict[str, Any], name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refuse(422, f"`{name}` is not a whole number")
    return value


def row(entry: dict[str, Any]) -> dict[str, Any]:
    """A row of a dataset."""
    return {
        "responses_create_params": {"input": [{"role": "user", "content": entry["question"]}]},
        "question": entry["question"],
        "answer": entry["answer"],
        "metadata": entry["metadata"],
    }


def working() -> list[str]:
    """The datasets whose tasks can be generated and scored here."""
    names = []
    for name in sorted(DATASETS.keys() - {"composite"}):
        try:
            dataset = reasoning_gym.create_dataset(name, size=1, seed=1)
            entry = dataset[0]
            dataset.score_answer(entry["answer"], entry)
        except absent.Absent:
            continue
        names.append(name)
    return names


def warm_up() -> None:
    """Loads what datasets load when they are first used, and notes which can be made."""
    _known.extend(working())
