# SPDX-License-Identifier: Apache-2.0
"""Write gym-host environments in Python.

An environment hands out a task, offers tools, and grades the answer. It is one class with one decorator; docstrings are
what the model reads:

    from dataclasses import dataclass
    from gym_host_sdk import Attempt, Reject, Verdict, resources_server, seed_session, tool, verify

    @dataclass
    class Task:
        city: str

    @resources_server(name="weather")
    class Weather:
        def __init__(self) -> None:
            self.looked_up: list[str] = []

        @tool
        def get_weather(self, city: str) -> dict:
            '''Get the current weather in a city.

            Args:
                city: The city's English name, for example `Paris`.
            '''
            if not city:
                raise Reject("`city` is empty")
            self.looked_up.append(city)
            return {"sky": "clear"}

        @verify
        def verify(self, attempt: Attempt[Task]) -> Verdict:
            return Verdict.of(attempt.task.city in self.looked_up)

The same source runs natively under pytest, and as a WebAssembly component that `gym-host build` makes of it.
"""

from . import text
from .attempt import Attempt
from .code import Ending, Process, Program, Run, RunFailure
from .context import Context, Level
from .description import Description, Lifetime, PassMetrics, Reverify, Score, Style, Tool
from .failure import Failure, Fault, JudgeFailed, ModelFailure, Refuse, Reject
from .json_text import to_json
from .metrics import Metrics, MetricsRequest
from .network import Channel, ChannelEnd, HttpReply, HttpRequest, NetworkFailure
from .response import Item, Part, Response, ResponseBuilder
from .server import (
    Instance,
    Server,
    aggregate_metrics,
    any_tool,
    at_build,
    close,
    describe,
    reset,
    resources_server,
    seed_session,
    step,
    tool,
    verify,
)
from .stand_in import StandIn
from .testing import TestHost
from .verdict import Observation, PlainText, StepOutcome, Verdict

__all__ = [
    "Attempt",
    "Channel",
    "ChannelEnd",
    "Context",
    "Description",
    "Ending",
    "Failure",
    "Fault",
    "HttpReply",
    "HttpRequest",
    "Instance",
    "Item",
    "JudgeFailed",
    "Level",
    "Lifetime",
    "Metrics",
    "MetricsRequest",
    "ModelFailure",
    "NetworkFailure",
    "Observation",
    "Part",
    "PassMetrics",
    "PlainText",
    "Process",
    "Program",
    "Refuse",
    "Reject",
    "Response",
    "ResponseBuilder",
    "Run",
    "RunFailure",
    "Reverify",
    "Score",
    "Server",
    "StandIn",
    "StepOutcome",
    "Style",
    "TestHost",
    "Tool",
    "Verdict",
    "aggregate_metrics",
    "any_tool",
    "at_build",
    "close",
    "describe",
    "reset",
    "resources_server",
    "seed_session",
    "step",
    "text",
    "to_json",
    "tool",
    "verify",
]
