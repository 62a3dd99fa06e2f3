# SPDX-License-Identifier: Apache-2.0
"""What stands in for an endpoint in native tests."""

from collections import deque
from typing import Callable, Iterable

from .network import ChannelEnd, HttpReply, HttpRequest, NetworkFailure

#: What a script says at one point: a message, the end of the connection (None), or a failure to raise.
Message = str | None | NetworkFailure


class StandIn:
    """An endpoint for tests, for `TestHost(endpoints={"maze": StandIn(…)})`.

    * `http`: the answers to HTTP requests, one for each, or a function that makes them; after the last one nobody answers
    * `messages`: what each channel receives, or a function that makes the other end of a channel for a path
    """

    def __init__(
        self,
        *,
        http: "Iterable[HttpReply | NetworkFailure] | Callable[[HttpRequest], HttpReply]" = (),
        messages: "Iterable[Message] | Callable[[str], ChannelEnd]" = (),
    ) -> None:
        self._http = http if callable(http) else deque(http)
        self._messages = messages if callable(messages) else list(messages)
        #: The HTTP requests that came.
        self.requests: list[HttpRequest] = []
        #: The paths of channels that were opened.
        self.paths: list[str] = []
        #: What was sent over all channels.
        self.sent: list[str] = []

    def exchange(self, request: HttpRequest) -> HttpReply:
        """Answers a request."""
        self.requests.append(request)
        if callable(self._http):
            return self._http(request)
        if not self._http:
            raise NetworkFailure("unavailable", "the script has no more answers")
        answer = self._http.popleft()
        if isinstance(answer, NetworkFailure):
            raise answer
        return answer

    def open(self, path: str) -> ChannelEnd:
        """The other end of a channel."""
        self.paths.append(path)
        end = self._messages(path) if callable(self._messages) else _Script(self._messages)
        return _Noted(end, self.sent)


class _Script:
    """The end of a channel that says what it is to say, whatever it is told."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = deque(messages)

    def send(self, text: str) -> None:
        pass

    def receive(self) -> str | None:
        message = self._messages.popleft() if self._messages else None
        if isinstance(message, NetworkFailure):
            raise message
        return message

    def close(self) -> None:
        self._messages.clear()


class _Noted:
    """An end that notes what is sent, and that nothing can be done with after a failure or its end, as in a component."""

    def __init__(self, end: ChannelEnd, sent: list[str]) -> None:
        self._end = end
        self._sent = sent
        self._is_open = True

    def send(self, text: str) -> None:
        self._check()
        self._sent.append(text)
        try:
            self._end.send(text)
        except NetworkFailure:
            self._is_open = False
            raise

    def receive(self) -> str | None:
        self._check()
        try:
            return self._end.receive()
        except NetworkFailure:
            self._is_open = False
            raise

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._end.close()

    def _check(self) -> None:
        if not self._is_open:
            raise NetworkFailure("unavailable", "the channel is closed")
