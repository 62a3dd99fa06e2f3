# SPDX-License-Identifier: Apache-2.0
"""The module `logging` in a component: records go to the host's log, with their levels."""

import logging
from typing import Any, Callable

from ..context import Level

Write = Callable[[Level, str], None]


class HostHandler(logging.Handler):
    """Passes records on to the host."""

    def __init__(self, write: Write, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._write = write
        # `basicConfig` gives a handler its format only while it has none.
        self._plain = logging.Formatter("%(name)s: %(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record. What cannot be formatted is said there too, and ends nothing."""
        try:
            text = (self.formatter or self._plain).format(record)
        except Exception as error:
            text = f"{record.name}: a record that cannot be formatted ({type(error).__name__}): {record.msg!r:.200}"
        self._write(_level(record.levelno), text)


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return Level.ERROR
    if number >= logging.WARNING:
        return Level.WARN
    return Level.INFO if number >= logging.INFO else Level.DEBUG


def install(write: Write) -> None:
    """Records for which there is no handler go to the host, and so do those that `basicConfig` would write to standard
    error. Handlers that an environment names itself are as they are."""
    logging.lastResort = HostHandler(write, logging.WARNING)
    basic = logging.basicConfig

    def basic_config(**settings: Any) -> None:
        if not {"handlers", "stream", "filename"} & settings.keys():
            settings["handlers"] = [HostHandler(write)]
            settings.setdefault("format", "%(name)s: %(message)s")
        basic(**settings)

    basic_config.__doc__ = basic.__doc__
    logging.basicConfig = basic_config
