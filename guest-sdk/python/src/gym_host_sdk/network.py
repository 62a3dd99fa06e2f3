# SPDX-License-Identifier: Apache-2.0
"""Connections to endpoints that the server's configuration grants, for `Context.exchange` and `Context.channel`."""

from dataclasses import dataclass, field
from typing import Any, Iterator, Protocol

from .failure import Fault
from .json_text import read_json, to_json


@dataclass
class HttpRequest:
    """An HTTP request to an endpoint.

    * `method`: for example `POST`
    * `path`: what follows the endpoint's URL, for example `/reset`, with the query
    * `headers`: names and values
    """

    method: str
    path: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def get(cls, path: str) -> "HttpRequest":
        """A GET request."""
        return cls("GET", path)

    @classmethod
    def post_json(cls, path: str, body: Any) -> "HttpRequest":
        """A POST request with a JSON body."""
        return cls("POST", path, [("content-type", "application/json")], to_json(body).encode())


@dataclass
class HttpReply:
    """The answer to an HTTP request, whatever its status."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def text(self) -> str:
        """The body as text. A `Fault` when it is not UTF-8."""
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError:
            raise Fault("the body of the endpoint's answer is not UTF-8") from None

    def json(self) -> Any:
        """The body as a value. A `Fault` when it is no JSON."""
        try:
            return read_json(self.text())
        except ValueError as error:
            raise Fault(f"the body of the endpoint's answer is no JSON: {error}") from None


class NetworkFailure(Fault):
    """An endpoint gave no answer. Not caught, it is a fault that the host counts as one of the network.

    `kind` is `unknown-endpoint` (the configuration grants none of that name), `unavailable` (unreachable, broken off, too
    slow), `too-large` (a message in either direction; the channel is closed) or `used-up` (the session has exchanged as
    many messages, or holds as many channels, as it may).
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class ChannelEnd(Protocol):
    """One end of a WebSocket: what a `Channel` is made of. The host has one kind, tests another."""

    def send(self, text: str) -> None: ...

    def receive(self) -> str | None: ...

    def close(self) -> None: ...


class Channel:
    """A WebSocket connection to an endpoint. It is closed with the session, and at the end of a `with`."""

    def __init__(self, end: ChannelEnd) -> None:
        self._end = end

    def send(self, text: str) -> None:
        """Sends a text message."""
        self._end.send(text)

    def send_json(self, value: Any) -> None:
        """Sends a value as JSON."""
        self._end.send(to_json(value))

    def receive(self) -> str | None:
        """Waits for the next text message; None if the other side has closed the connection."""
        return self._end.receive()

    def __iter__(self) -> Iterator[str]:
        """The messages until the other side closes the connection."""
        while (text := self.receive()) is not None:
            yield text

    def close(self) -> None:
        """Closes the connection."""
        self._end.close()

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def unknown_endpoint(name: str) -> NetworkFailure:
    """The failure of a name that nothing grants."""
    return NetworkFailure("unknown-endpoint", f"the configuration grants no endpoint `{name}`")
