# SPDX-License-Identifier: Apache-2.0
"""What a model answered: a Response object of the OpenAI Responses API.

Nothing in it can make reading fail: what is missing, null or of another type is not there.
"""

from typing import Any, Iterator

from .failure import Fault
from .json_text import read_json, to_json


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


class Part:
    """One part of a message's content."""

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: str | None) -> None:
        #: Its type, for example `output_text` or `refusal`; empty when it has none.
        self.kind = kind
        #: Its text, if it has one.
        self.text = text

    @property
    def is_input(self) -> bool:
        """Whether it is a part of an input, such as `input_text`. A model does not write those; graders pass over their
        text."""
        return self.kind.startswith("input_")

    @property
    def output_text(self) -> str | None:
        """Its text, if it is one that a model wrote."""
        return None if self.is_input else self.text

    def __repr__(self) -> str:
        return f"Part({self.kind!r}, {self.text!r})"


class Item:
    """One item of `output`."""

    __slots__ = ("raw",)

    def __init__(self, raw: Any) -> None:
        #: The item as it is, normally a dict.
        self.raw = raw

    def member(self, name: str) -> Any:
        """A member, None if it is not there."""
        return self.raw.get(name) if isinstance(self.raw, dict) else None

    @property
    def kind(self) -> str:
        """`message`, `function_call`, `function_call_output`, `reasoning`; `other` for anything else."""
        kind = self.member("type")
        known = ("message", "function_call", "function_call_output", "reasoning")
        return kind if isinstance(kind, str) and kind in known else "other"

    @property
    def role(self) -> str | None:
        """Who speaks, in a message."""
        return _text(self.member("role"))

    @property
    def content(self) -> "str | list[Part] | None":
        """What is said, in a message: plain text, parts, or nothing."""
        content = self.member("content")
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return [
                Part(_text(part.get("type")) or "", _text(part.get("text"))) if isinstance(part, dict) else Part("", None)
                for part in content
            ]
        return None

    def texts(self) -> list[str]:
        """The texts of a message: of every part of an output that has one, or the plain string."""
        content = self.content
        if isinstance(content, str):
            return [content]
        return [part.output_text for part in content or [] if part.output_text is not None]

    @property
    def name(self) -> str | None:
        """The function's name, in a call."""
        return _text(self.member("name"))

    @property
    def arguments(self) -> str | None:
        """The arguments as the model wrote them, in a call: text that should be JSON."""
        return _text(self.member("arguments"))

    def read_arguments(self) -> Any:
        """The arguments of a call as a value. Raises `ValueError` when they are absent or no JSON."""
        return read_json(self.arguments or "")

    @property
    def call_id(self) -> str | None:
        """What connects a call with its output."""
        return _text(self.member("call_id"))

    @property
    def output(self) -> str | None:
        """What the tool answered, in a call's output. A list of content parts gives none."""
        return _text(self.member("output"))

    def summary(self) -> list[str]:
        """The texts of a reasoning item's summary."""
        parts = self.member("summary")
        found = (part.get("text") for part in parts if isinstance(part, dict)) if isinstance(parts, list) else ()
        return [text for text in found if isinstance(text, str)]

    def __repr__(self) -> str:
        return f"Item({self.raw!r})"


class Response:
    """A Response object. Its `output` holds the whole transcript of an attempt: messages, reasoning, function calls and
    their outputs."""

    def __init__(self, value: Any) -> None:
        #: The object as it is.
        self.raw = value
        items = value.get("output") if isinstance(value, dict) else None
        #: The items of `output`, in order.
        self.output = [Item(item) for item in items] if isinstance(items, list) else []

    @classmethod
    def of(cls, text: str) -> "Response":
        """The Response of a JSON text."""
        return cls(read_json(text))

    @staticmethod
    def builder() -> "ResponseBuilder":
        """Puts a Response together, for tests."""
        return ResponseBuilder()

    def member(self, name: str) -> Any:
        """A member, for example `usage`; None if it is not there."""
        return self.raw.get(name) if isinstance(self.raw, dict) else None

    def incomplete_reason(self) -> str | None:
        """Why the model stopped early (`incomplete_details.reason`), for example `max_output_tokens`."""
        details = self.member("incomplete_details")
        return _text(details.get("reason")) if isinstance(details, dict) else None

    def function_calls(self) -> list[Item]:
        """The function calls, in order."""
        return [item for item in self.output if item.kind == "function_call"]

    def last_call(self, name: str) -> Item | None:
        """The last call of this function."""
        return next((call for call in reversed(self.function_calls()) if call.name == name), None)

    def assistant_messages(self) -> list[Item]:
        """The assistant's messages, in order."""
        return [item for item in self.output if item.kind == "message" and item.role == "assistant"]

    def output_text(self) -> str:
        """All text of all messages, joined without a separator: the `output_text` of the OpenAI client.

        A message whose content is a plain string (other than an empty one), or has parts of an input, is a `Fault`,
        because the OpenAI client fails on it too.
        """
        found = []
        for content in filter(None, self._contents()):
            if isinstance(content, str):
                raise Fault("a message in `response.output` has a string as content")
            found += [part.text or "" for part in content if part.kind == "output_text"]
        return "".join(found)

    def message_text(self) -> str:
        """All text of all messages, joined without a separator, as gymnasium-style servers read it: like `output_text`,
        but plain strings are text too."""
        found = []
        for content in self._contents():
            found += [content] if isinstance(content, str) else [part.output_text or "" for part in content]
        return "".join(found)

    def _contents(self) -> "Iterator[str | list[Part]]":
        for item in self.output:
            content = item.content if item.kind == "message" else None
            if isinstance(content, list) and any(part.is_input for part in content):
                raise Fault("a message in `response.output` has parts of an input as content")
            if content is not None:
                yield content

    def last_item_text(self) -> str | None:
        """The text of the first content part of the last output item. None when that item has no content: the attempt then
        ended in a call or in reasoning.

        A plain string as content, and a first part without text (a refusal), are a `Fault`: graders that take this text
        fail on them in NeMo Gym, so there is no reward to be equal to.
        """
        content = self.output[-1].content if self.output else None
        if not content:
            return None
        if isinstance(content, str):
            raise Fault("the last item of `response.output` has a string as content")
        if content[0].text is None:
            raise Fault(f"the last item of `response.output` begins with a `{content[0].kind}` part, not with text")
        return content[0].text

    def assistant_text(self) -> str:
        """The texts of all assistant messages, joined with line breaks, without white space around it."""
        return "\n".join(text for message in self.assistant_messages() for text in message.texts()).strip()

    def last_assistant_text(self) -> str:
        """The text of the last assistant message, its parts joined with line breaks, without white space around it.
        Empty when there is no such message."""
        messages = self.assistant_messages()
        return "\n".join(messages[-1].texts()).strip() if messages else ""


class ResponseBuilder:
    """Puts a Response together, for tests."""

    def __init__(self) -> None:
        self._output: list[Any] = []
        self._incomplete: str | None = None

    def message(self, text: str) -> "ResponseBuilder":
        """Adds a message of the assistant."""
        part = {"type": "output_text", "text": text, "annotations": []}
        return self.item(
            {
                "id": f"msg_{len(self._output)}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )

    def reasoning(self, text: str) -> "ResponseBuilder":
        """Adds reasoning."""
        summary = [{"type": "summary_text", "text": text}]
        return self.item({"id": f"rs_{len(self._output)}", "type": "reasoning", "summary": summary})

    def call(self, name: str, arguments: Any) -> "ResponseBuilder":
        """Adds a function call. Arguments that are a string are used as they are."""
        written = arguments if isinstance(arguments, str) else to_json(arguments)
        call_id = f"call_{len(self._output)}"
        return self.item({"type": "function_call", "call_id": call_id, "name": name, "arguments": written})

    def call_output(self, output: Any) -> "ResponseBuilder":
        """Adds the output of the call before. An output that is a string is used as it is."""
        written = output if isinstance(output, str) else to_json(output)
        call_id = f"call_{max(len(self._output) - 1, 0)}"
        return self.item({"type": "function_call_output", "call_id": call_id, "output": written})

    def item(self, item: Any) -> "ResponseBuilder":
        """Adds any item."""
        self._output.append(item)
        return self

    def incomplete(self, reason: str) -> "ResponseBuilder":
        """The model stopped early."""
        self._incomplete = reason
        return self

    def value(self) -> dict[str, Any]:
        """The Response object as a dict."""
        return {
            "id": "resp_test",
            "created_at": 0.0,
            "model": "test",
            "object": "response",
            "output": self._output,
            "incomplete_details": None if self._incomplete is None else {"reason": self._incomplete},
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }

    def build(self) -> Response:
        """The Response."""
        return Response(self.value())
