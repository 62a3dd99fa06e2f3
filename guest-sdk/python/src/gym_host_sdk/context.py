# SPDX-License-Identifier: Apache-2.0
"""What an environment may ask of its host. There are no files and no environment variables."""

import enum
import random as _random
from typing import Any, Protocol

from .code import Process, Program, Run, Running
from .convert import Misfit, Reading, convert, unknown_members
from .failure import Fault, ModelFailure
from .json_text import read_json, to_json
from .network import Channel, ChannelEnd, HttpReply, HttpRequest
from .response import Response


class Level(enum.IntEnum):
    """How important a log line is."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3


# What every server's block may have: it is for the host.
_OF_THE_HOST = frozenset(
    "allowed_agents datasets description domain entrypoint expose_tools_over_mcp host judge_endpoint_max_concurrency "
    "judge_request_timeout_s name num_workers port value verified".split()
)


class Host(Protocol):
    """The host's functions as they cross the border: `wit/host.wit`. Implemented by the component's bindings and by
    `TestHost`."""

    def config(self) -> str: ...

    def log(self, level: Level, message: str) -> None: ...

    def respond(self, server: str, request: str) -> str: ...

    def respond_all(self, server: str, requests: list[str], pause_ms: int) -> list[str | ModelFailure]: ...

    def run_code(self, runner: str, program: Program) -> Run: ...

    def start_code(self, runner: str, program: Program) -> tuple[Running, Run]: ...

    def exchange(self, endpoint: str, request: HttpRequest) -> HttpReply: ...

    def channel(self, endpoint: str, path: str) -> ChannelEnd: ...

    def read_file(self, path: str) -> bytes: ...

    def now(self) -> int: ...

    def random(self) -> int: ...


class Context:
    """Configuration, model servers, files, log, clock and chance. A function of an environment that has a parameter of
    this type gets it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._config: Any = None
        self._typed: dict[Any, Any] = {}

    def config(self, kind: Any = dict) -> Any:
        """The configuration of this server: a dict, or a value of a dataclass. Texts of flags and numbers are flags and
        numbers where the dataclass asks for them, as values of a command line are. Keys that the dataclass does not have are
        passed over (the block also has keys for the host); `check_config` tells of them. A fault when it does not fit."""
        if kind in self._typed:
            return self._typed[kind]
        if self._config is None:
            self._config = read_json(self._host.config())
        try:
            self._typed[kind] = convert(kind, self._config, Reading.SETTINGS)
        except Misfit as error:
            raise Fault(f"failed to read the configuration: {error}") from None
        return self._typed[kind]

    def check_config(self, kind: Any) -> None:
        """Whether the configuration fits a dataclass; warns of each key that neither it nor the host has. Done when the
        environment is loaded. None stands for an environment that declares no settings: it may read any."""
        if kind is None:
            return
        self.config(kind)
        for name in unknown_members(kind, self.config()):
            if not name.startswith(("_", "verified_")) and name not in _OF_THE_HOST:
                text = f"the configuration has `{name}`, which is no setting that the environment declares"
                self.log(Level.WARN, text)

    def respond(self, server: str, request: dict[str, Any]) -> Response:
        """Asks a model server for a response. `server` is the name in a reference `{type: responses_api_models, name: …}`
        of this server's configuration; no other can be reached. `request` is as for `POST /v1/responses`. Raises
        `ModelFailure`."""
        return _readable(self._host.respond(server, to_json(request)))

    def respond_all(
        self, server: str, requests: list[dict[str, Any]], *, pause: float = 0.0
    ) -> list[Response | ModelFailure]:
        """Asks a model server several things at once, which takes as long as the slowest of them. What comes of each is in
        the order of the requests: a response, or why there is none. Before anything is asked, `pause` seconds of real time
        pass, for those who ask again."""
        replies = self._host.respond_all(server, [to_json(request) for request in requests], max(int(pause * 1000), 0))
        found: list[Response | ModelFailure] = []
        for reply in replies:
            try:
                found.append(reply if isinstance(reply, ModelFailure) else _readable(reply))
            except ModelFailure as failure:
                found.append(failure)
        return found

    def run_code(self, program: Program | str, *, runner: str = "python") -> Run:
        """Runs a program that nobody trusts in an instance of its own: it shares no memory with the environment and none
        with another run. `runner` is a name of the configuration's `run_code` block; `python` is there without one. There
        is a `Run` whatever the program did; `RunFailure` says that nothing was run."""
        return self._host.run_code(runner, Program(program) if isinstance(program, str) else program)

    def start_code(self, program: Program | str, *, runner: str = "python") -> tuple[Process, Run]:
        """Executes a program that stays, so that its functions can be called one after the other. Expected results should
        never be among the arguments: compare what comes back here."""
        running, run = self._host.start_code(runner, Program(program) if isinstance(program, str) else program)
        return Process(running), run

    def exchange(self, endpoint: str, request: HttpRequest) -> HttpReply:
        """Sends one HTTP request to an endpoint and waits for the answer, whatever its status. Endpoints are granted by the
        configuration, under `gym_host: {endpoints: {name: url}}` of the server; nothing else can be reached. Raises
        `NetworkFailure`."""
        return self._host.exchange(endpoint, request)

    def channel(self, endpoint: str, path: str = "") -> Channel:
        """Opens a WebSocket to an endpoint; `path` follows its URL, for example `/ws`. Raises `NetworkFailure`."""
        return Channel(self._host.channel(endpoint, path))

    def read_file(self, path: str) -> bytes:
        """Reads a file of the environment's folder, for example `data/tables.csv`. The path is relative, without `..`."""
        return self._host.read_file(path)

    def read_text(self, path: str) -> str:
        """Reads a file as text."""
        try:
            return self.read_file(path).decode("utf-8")
        except UnicodeDecodeError:
            raise Fault(f"the file `{path}` is not UTF-8") from None

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 on the session's clock."""
        return self._host.now()

    def now(self) -> float:
        """Seconds since 1970-01-01 on the session's clock."""
        return self._host.now() / 1e9

    def random(self) -> int:
        """The next random number of the session, from 0 to 2**64 - 1."""
        return self._host.random()

    def rng(self) -> _random.Random:
        """A random number generator that follows from the session's seed. Each call gives another one."""
        return _random.Random(self._host.random())

    def log(self, level: Level, message: str) -> None:
        """Writes a line for whoever works on the environment."""
        self._host.log(level, message)

    def debug(self, message: str) -> None:
        """Writes a line for whoever works on the environment."""
        self._host.log(Level.DEBUG, message)

    def info(self, message: str) -> None:
        """Writes a line worth knowing."""
        self._host.log(Level.INFO, message)

    def warn(self, message: str) -> None:
        """Writes a warning."""
        self._host.log(Level.WARN, message)

    def error(self, message: str) -> None:
        """Writes an error. It has no other effect: raise a `Fault` to end the call."""
        self._host.log(Level.ERROR, message)


def _readable(reply: str) -> Response:
    try:
        value = read_json(reply)
    except ValueError as error:
        raise ModelFailure("unreadable", str(error)) from None
    if not isinstance(value, dict) or not isinstance(value.get("output"), list):
        raise ModelFailure("unreadable", "it has no list `output`")
    response = Response(value)
    # NeMo Gym does not take such an answer for a Response either.
    if not all(isinstance(item.member("type"), str) for item in response.output):
        raise ModelFailure("unreadable", "an item of `output` has no type")
    return response
