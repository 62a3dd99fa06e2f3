# SPDX-License-Identifier: Apache-2.0
"""What a judge's answer must be to be read at all."""

from collections.abc import Mapping
from typing import Any


def flaw(response: Any) -> str | None:
    """Why an answer is no Response object, if it is none: a member that is missing or of another type, in the answer or in
    an item of its output. What only a model provider reads is not looked at."""
    if not isinstance(response, Mapping):
        return "it is no object"
    for name, fits in _MEMBERS.items():
        if not fits(response.get(name)):
            return f"`{name}` is missing or of the wrong type"
    for index, item in enumerate(response["output"]):
        reason = _item_flaw(item)
        if reason:
            return f"`output[{index}]`: {reason}"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_number(value: Any) -> bool:
    """Whether it is a number, or a text that Python reads as one."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


_MEMBERS = {
    "id": _is_text,
    "created_at": _is_number,
    "model": _is_text,
    "object": lambda value: value == "response",
    "output": _is_list,
    "parallel_tool_calls": lambda value: isinstance(value, bool),
    "tool_choice": lambda value: isinstance(value, (str, Mapping)),
    "tools": _is_list,
}

#: Members that are texts, by the kind of an item.
_TEXTS = {"function_call": ("arguments", "call_id", "name"), "reasoning": ("id",)}


def _item_flaw(item: Any) -> str | None:
    kind = item.get("type") if isinstance(item, Mapping) else None
    if not _is_text(kind):
        return "it has no `type`"
    if kind == "message":
        return _message_flaw(item)
    for name in _TEXTS.get(kind, ()):
        if not _is_text(item.get(name)):
            return f"`{name}` is no text"
    if kind == "reasoning" and not _is_list(item.get("summary")):
        return "`summary` is no list"
    return None


def _message_flaw(item: Mapping[str, Any]) -> str | None:
    role, content = item.get("role", "assistant"), item.get("content")
    if not (_is_text(content) or _is_list(content)):
        return "`content` is neither text nor a list"
    parts = [part if isinstance(part, Mapping) else {} for part in content] if _is_list(content) else []
    inputs = [str(part.get("type", "")).startswith("input_") for part in parts]
    if _is_text(content) or role != "assistant" or any(inputs):
        known = item.get("role") in ("assistant", "user", "system", "developer")
        return None if known and all(inputs) else "it is no message"
    if not _is_text(item.get("id")):
        return "`id` is no text"
    if item.get("status", "completed") not in ("in_progress", "completed", "incomplete"):
        return "`status` is none that a message has"
    for part in parts:
        is_text = part.get("type") == "output_text" and _is_text(part.get("text")) and _is_list(part.get("annotations"))
        if not (is_text or part.get("type") == "refusal" and _is_text(part.get("refusal"))):
            return "a part of `content` is neither text with annotations nor a refusal"
    return None
