# SPDX-License-Identifier: Apache-2.0
"""An event loop without sockets: it has timers and tasks, and nothing from outside ever comes."""

import asyncio
import time


class _Nothing:
    """A selector of no files. Waiting moves the session's clock."""

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("every task waits for something that cannot come")
        if timeout > 0:
            time.sleep(timeout)
        return []

    def close(self):
        """There is nothing to close."""


class EventLoop(asyncio.BaseEventLoop):
    """The loop of `asyncio.run`."""

    def __init__(self):
        super().__init__()
        self._selector = _Nothing()

    def run_in_executor(self, executor, function, *arguments):
        """Calls the function at once: there is no other thread."""
        future = self.create_future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def _process_events(self, event_list):
        """There are none."""

    def _write_to_self(self):
        """Nobody else is there to wake the loop for."""


def install() -> None:
    """Makes it the loop that asyncio takes."""
    from asyncio import unix_events

    unix_events._UnixDefaultEventLoopPolicy._loop_factory = EventLoop
    unix_events.SelectorEventLoop = unix_events.EventLoop = EventLoop
    asyncio.SelectorEventLoop = asyncio.EventLoop = EventLoop
