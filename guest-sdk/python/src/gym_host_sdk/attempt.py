# SPDX-License-Identifier: Apache-2.0
"""A finished attempt at a task."""

from typing import Any, Generic, TypeVar

from .convert import Misfit, convert
from .failure import unfit
from .json_text import read_json
from .response import Item, Response

T = TypeVar("T")


class Attempt(Generic[T]):
    """A finished attempt: the task, what the model was asked, and what it answered.

    `T` has the fields that grading needs from the dataset row: a dataclass, a `TypedDict`, or `dict` for all fields as
    they are. An attempt reads like the response it holds; which text is graded matters, and there are five rules:
    `output_text()`, `message_text()`, `last_item_text()`, `assistant_text()`, `last_assistant_text()`.
    """

    def __init__(self, task: T, response: Response, params: Any = None) -> None:
        #: The fields of the dataset row.
        self.task = task
        #: What the model answered: the whole transcript.
        self.response = response
        #: `responses_create_params`: what the model was asked; None if it is not there.
        self.params = params

    @classmethod
    def parse(cls, request: str, task: Any) -> "Attempt[Any]":
        """Reads the request of `/verify` or `/step`: a JSON object with `responses_create_params`, `response` and the
        fields of the type `task`. Refused with status 422 when the fields do not fit."""
        fields = read_object(request)
        params = fields.pop("responses_create_params", None)
        response = Response(fields.pop("response", None))
        return cls(read_fields(task, fields), response, params)

    def param(self, name: str) -> Any:
        """One member of `responses_create_params`, for example `input` or `metadata`."""
        return self.params.get(name) if isinstance(self.params, dict) else None

    @property
    def output(self) -> list[Item]:
        """The items of the response's `output`, in order."""
        return self.response.output

    def function_calls(self) -> list[Item]:
        """See `Response.function_calls`."""
        return self.response.function_calls()

    def last_call(self, name: str) -> Item | None:
        """See `Response.last_call`."""
        return self.response.last_call(name)

    def assistant_messages(self) -> list[Item]:
        """See `Response.assistant_messages`."""
        return self.response.assistant_messages()

    def incomplete_reason(self) -> str | None:
        """See `Response.incomplete_reason`."""
        return self.response.incomplete_reason()

    def output_text(self) -> str:
        """See `Response.output_text`."""
        return self.response.output_text()

    def message_text(self) -> str:
        """See `Response.message_text`."""
        return self.response.message_text()

    def last_item_text(self) -> str | None:
        """See `Response.last_item_text`."""
        return self.response.last_item_text()

    def assistant_text(self) -> str:
        """See `Response.assistant_text`."""
        return self.response.assistant_text()

    def last_assistant_text(self) -> str:
        """See `Response.last_assistant_text`."""
        return self.response.last_assistant_text()


def read_object(request: str) -> dict[str, Any]:
    """A request's JSON object; refused with status 422 when it is none."""
    try:
        value = read_json(request)
    except ValueError as error:
        raise unfit(str(error)) from None
    if not isinstance(value, dict):
        raise unfit("the body is not an object")
    return value


def read_fields(kind: Any, fields: dict[str, Any]) -> Any:
    """Fields as a value of a type; refused with status 422 when they do not fit."""
    try:
        return convert(kind, fields)
    except Misfit as error:
        raise unfit(str(error)) from None
