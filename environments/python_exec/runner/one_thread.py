# SPDX-License-Identifier: Apache-2.0
"""Threads and event loops where there is one thread and nothing to wait for.

A thread runs to its end when it is started, and so does a call that is submitted to a pool of threads. An event loop has
timers, but no sockets, pipes, signals or processes; while it waits, the clock moves on by itself.
"""

import asyncio
import concurrent.futures
import sys
import threading
import time


def install():
    """Put these in the place of what the operating system would do."""
    Thread = threading.Thread
    Thread.start, Thread.join, Thread.is_alive = _start, _join, lambda self: False
    concurrent.futures.ThreadPoolExecutor.submit = _submit
    policy = getattr(asyncio.events, "_get_event_loop_policy", None) or asyncio.get_event_loop_policy
    type(policy())._loop_factory = Loop


def _start(self):
    if self._started.is_set():
        raise RuntimeError("threads can only be started once")
    self._started.set()
    try:
        self.run()
    except SystemExit:
        pass
    except BaseException:
        threading.excepthook(threading.ExceptHookArgs([*sys.exc_info(), self]))


def _join(self, timeout=None):
    if not self._started.is_set():
        raise RuntimeError("cannot join thread before it is started")


def _submit(self, function, /, *arguments, **named):
    if self._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    future = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    try:
        future.set_result(function(*arguments, **named))
    except BaseException as error:
        future.set_exception(error)
    return future


class Loop(asyncio.BaseEventLoop):
    """An event loop in which only time passes."""

    def __init__(self):
        super().__init__()
        self._selector = self

    def select(self, timeout):
        if timeout is None:
            raise RuntimeError("everything waits, and nothing can happen any more")
        if timeout > 0:
            time.sleep(timeout)
        return []

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass
