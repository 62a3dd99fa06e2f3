# SPDX-License-Identifier: Apache-2.0
"""The decorators, and one instance of an environment."""

import random
import re
import traceback
from typing import Any, Callable, TypeVar

from . import docstrings
from .attempt import Attempt, read_fields, read_object
from .context import Context, Host, Level
from .description import Description, Lifetime, PassMetrics, Reverify, Score, Style, Tool
from .failure import Failure, Fault, JudgeFailed, Refuse, outside_of_tools, unfit
from .handlers import KINDS, Handler, collect, mark
from .json_text import read_json, to_json
from .metrics import Metrics, MetricsRequest
from .schema import ROW, STRICT, fields_schema, not_strict, object_schema
from .testing import STATELESS_SEED, TestHost
from .verdict import Observation, PlainText, StepOutcome, Verdict

C = TypeVar("C", bound=type)
F = TypeVar("F")

seed_session = mark("seed_session")
verify = mark("verify")
reset = mark("reset")
step = mark("step")
close = mark("close")
aggregate_metrics = mark("aggregate_metrics")
describe = mark("describe")
any_tool = mark("any_tool")
at_build = mark("at_build")
_tool = mark("tool")


def tool(function: Any = None, *, name: str | None = None) -> Any:
    """The model calls this function: `@tool`, or `@tool(name="get-weather")`. Its docstring and its parameters are what
    the model reads; every parameter needs a type hint."""
    if function is None:
        return lambda function: tool(function, name=name)
    _tool(function)
    if name is not None:
        getattr(function, "__func__", function).__gym_tool_name__ = name
    return function


for _marker, _text in KINDS.items():
    if _marker in globals():
        globals()[_marker].__doc__ = _text


def resources_server(
    cls: Any = None,
    *,
    name: str | None = None,
    version: str | None = None,
    stateless: bool = False,
    reusable: bool = False,
    tools: str | None = None,
    verify: str | None = None,
    reverify: str = "unknown",
    default_session: bool = False,
    echo: bool = False,
    token_ids: bool = False,
    config: Any = None,
    scores: "dict[str, str] | list[Score] | None" = None,
    answer_field: str | None = None,
    subset_field: str | None = None,
) -> Any:
    """Makes a resources server of a class.

    * `name`, `version`: of the environment; those of its project if nothing is said
    * `stateless`: every call runs in a fresh instance
    * `reusable`: every call runs in an instance that may have served others. The object is new for each call; what a
      library keeps for itself stays
    * `tools`, `verify`: `"session"`, `"call"` or `"pooled"`: the same, one by one
    * `reverify`: `"stateless"`, `"unsupported"` or `"unknown"`: whether stored responses may be graded again
    * `default_session`: a session that was not seeded is made without arguments
    * `echo`: the fields of `@verify`'s task are repeated in the reply
    * `token_ids`: requests keep token ids
    * `config`: the configuration is read as this dataclass when the environment is loaded, so that mistakes show then
    * `scores`: pass metrics that the host computes, `{"accuracy": "reward"}`; with `answer_field`, `subset_field`
    """
    options = dict(locals())
    del options["cls"]
    if cls is None:
        return lambda cls: resources_server(cls, **options)
    server = Server(cls, options)
    cls.__gym_server__ = server
    Server.declared.append(server)
    return cls


class Server:
    """An environment as it was declared: the class, its options and its functions."""

    #: All that were declared in this process, in order.
    declared: "list[Server]" = []

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        self.cls = cls
        self.options = options
        handlers = collect(cls)
        self.handlers: dict[str, Handler] = {h.kind: h for h in handlers if h.kind not in ("tool", "at_build")}
        self.tools: dict[str, Handler] = {h.tool_name: h for h in handlers if h.kind == "tool"}
        self.build_steps = [h for h in handlers if h.kind == "at_build"]
        base = "pooled" if options["reusable"] else "call" if options["stateless"] else "session"
        self.tools_run_in = Lifetime(options["tools"] or base)
        self.verify_runs_in = Lifetime(options["verify"] or base)
        Reverify(options["reverify"])
        self._check()

    def _check(self) -> None:
        mistake = f"`{self.cls.__name__}`: "
        if not ({"verify", "step"} & self.handlers.keys()):
            raise TypeError(mistake + "nothing grades: mark a function with `@verify`, or with `@reset` and `@step`")
        if ("step" in self.handlers) != ("reset" in self.handlers):
            raise TypeError(mistake + "`@reset` and `@step` go together")
        if "step" in self.handlers and (self.tools or {"verify", "seed_session", "any_tool"} & self.handlers.keys()):
            raise TypeError(mistake + "the gymnasium style has `@reset` and `@step` only, neither tools nor `@verify`")
        if "seed_session" in self.handlers and self.tools_run_in != Lifetime.SESSION:
            raise TypeError(mistake + "an environment whose tools run outside of a session is not seeded")
        if self.style == Style.GYMNASIUM and self.tools_run_in != Lifetime.SESSION:
            raise TypeError(mistake + "the gymnasium style needs a session")

    @staticmethod
    def of(environment: Any) -> "Server":
        """The server of a decorated class."""
        server = environment.__dict__.get("__gym_server__") if isinstance(environment, type) else environment
        if not isinstance(server, Server):
            raise TypeError(f"`{environment!r}` is no environment: decorate its class with `@resources_server`")
        return server

    @property
    def style(self) -> Style:
        """How attempts are driven."""
        return Style.GYMNASIUM if "step" in self.handlers else Style.TOOLS

    def outline(self) -> Description:
        """What the class says of the environment, whatever its configuration."""
        options = self.options
        description = Description(
            name=options["name"] or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.cls.__name__).lower(),
            version=options["version"] or "0.1.0",
            style=self.style,
            tools_run_in=self.tools_run_in,
            verify_runs_in=self.verify_runs_in,
            reverify=Reverify(options["reverify"]),
            token_ids=options["token_ids"],
            own_metrics="aggregate_metrics" in self.handlers,
            any_tool="any_tool" in self.handlers,
        )
        begin = self.handlers.get("seed_session") or self.handlers.get("reset")
        if begin is not None and begin.task is not None:
            description.seed_fields = fields_schema(begin.task, ROW)
        grade = self.handlers.get("verify") or self.handlers["step"]
        if grade.task is not None:
            description.verify_fields = fields_schema(grade.task, ROW)
        if options["echo"]:
            description.echo = list(description.verify_fields["properties"])
        for name, handler in self.tools.items():
            description.tools.append(self._tool(name, handler))
        if options["scores"] or options["answer_field"]:
            scores = options["scores"] or {"accuracy": "reward"}
            if isinstance(scores, dict):
                scores = [Score(score, field) for score, field in scores.items()]
            description.metrics = PassMetrics(scores, options["answer_field"], options["subset_field"])
        return description

    def describe(self, cx: Context) -> Description:
        """What the environment says of itself."""
        description = self.outline()
        cx.check_config(self.options["config"])
        if "describe" in self.handlers:
            self.handlers["describe"].call(self.cls, None, cx, description)
        return description

    @staticmethod
    def _tool(name: str, handler: Handler) -> Tool:
        doc = docstrings.read(handler.doc)
        fields = [(p.name, p.strict_hint(), p.default, doc.entries.get(p.name, "")) for p in handler.values]
        try:
            parameters = object_schema(fields, STRICT)
        except TypeError as error:
            raise TypeError(f"the tool `{name}`: {error}") from None
        reason = not_strict(parameters)
        if reason is not None:
            raise Fault(f"the schema of tool `{name}` is not strict: {reason}")
        return Tool(name, doc.text, parameters)


class Instance:
    """One instance of an environment, as the host has it: for the component, and for tests that call by name and with
    JSON.

        instance = Instance(Weather, TestHost(seed=1))
        instance.seed_session({"city": "Paris"})
        instance.call_tool("get_weather", {"city": "Paris"})
        instance.verify({"city": "Paris", "response": Response.builder().message("Yes.").value()})

    Requests are JSON text, or values that have JSON. Natively, `time`, `os.urandom` and `random` follow the session's
    clock and seed during calls, as they do in a component.
    """

    def __init__(self, environment: Any, host: "Host | None" = None) -> None:
        self.server = Server.of(environment)
        self._host = host if host is not None else TestHost()
        self._cx = Context(self._host)
        self._session: Any = None
        self._random: Any = None

    @property
    def session(self) -> Any:
        """The environment's object, None if there is none yet."""
        return self._session

    def describe(self) -> Description:
        """What the environment says of itself."""
        return self._guarded(lambda: self.server.describe(self._cx))

    def seed_session(self, request: Any) -> str:
        """Begins the session. The reply is JSON text of an object."""
        return self._run(Lifetime.SESSION, lambda: self._seed(_text(request)))

    def call_tool(self, name: str, arguments: Any) -> str:
        """Calls a tool. The reply is what the model reads."""
        text = _text(arguments)
        return self._run(self.server.tools_run_in, lambda: self._call(name, text), is_tool=True)

    def verify(self, request: Any) -> Verdict:
        """Grades a finished response."""
        return self._run(self.server.verify_runs_in, lambda: self._verify(_text(request)))

    def reset(self, request: Any) -> Observation:
        """Begins an attempt in a gymnasium-style environment."""
        return self._run(Lifetime.SESSION, lambda: self._reset(_text(request)))

    def step(self, request: Any) -> StepOutcome:
        """Advances a gymnasium-style environment by one model response."""
        return self._run(Lifetime.SESSION, lambda: self._step(_text(request)))

    def close(self) -> None:
        """The session ends in good order."""
        handler = self.server.handlers.get("close")
        if handler is not None and self._session is not None:
            self._run(Lifetime.SESSION, lambda: handler.call(self.server.cls, self._session, self._cx))

    def aggregate_metrics(self, request: Any) -> str:
        """Metrics of the environment's own, as JSON text of an object."""
        return self._run(Lifetime.CALL, lambda: self._metrics(_text(request)))

    # What the calls do.

    def _seed(self, request: str) -> str:
        handler = self.server.handlers.get("seed_session")
        if handler is None:
            return "{}"
        values = [] if handler.task is None else [read_fields(handler.task, read_object(request))]
        reply = None
        if handler.makes_session:
            made = handler.call(self.server.cls, None, self._cx, *values)
            session, reply = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
            self._session = self._checked(session, handler)
        else:
            reply = handler.call(self.server.cls, self._begun(), self._cx, *values)
        text = "{}" if reply is None else to_json(reply)
        if not text.startswith("{"):
            raise Fault("the reply of `seed_session` is not an object")
        return text

    def _call(self, name: str, text: str) -> str:
        handler = self.server.tools.get(name)
        if handler is not None:
            try:
                arguments = read_json(text) if handler.values else {}
            except ValueError as error:
                raise unfit(str(error)) from None
            if not isinstance(arguments, dict):
                raise unfit("the arguments are not an object")
            values = handler.read_arguments(arguments)
            reply = handler.call(self.server.cls, self._of(handler), self._cx, **values)
        else:
            handler = self.server.handlers.get("any_tool")
            if handler is None:
                raise Refuse.not_found()
            try:
                arguments = read_json(text)
            except ValueError as error:
                raise unfit(str(error)) from None
            reply = handler.call(self.server.cls, self._of(handler), self._cx, name, arguments)
        return str(reply) if isinstance(reply, PlainText) else to_json(reply)

    def _verify(self, request: str) -> Verdict:
        handler = self.server.handlers.get("verify")
        if handler is None:
            raise Refuse.not_found()
        attempt = Attempt.parse(request, dict if handler.task is None else handler.task)
        verdict = handler.call(self.server.cls, self._of(handler), self._cx, attempt)
        if not isinstance(verdict, (Verdict, bool, int, float)):
            raise Fault(f"`{handler.name}` gave no verdict, but a value of type `{type(verdict).__name__}`")
        return Verdict.of(verdict)

    def _reset(self, request: str) -> Observation:
        handler = self.server.handlers.get("reset")
        if handler is None:
            raise Refuse.not_found()
        values = [] if handler.task is None else [read_fields(handler.task, read_object(request))]
        if handler.makes_session:
            made = handler.call(self.server.cls, None, self._cx, *values)
            session, seen = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
            self._session = self._checked(session, handler)
        else:
            seen = handler.call(self.server.cls, self._begun(), self._cx, *values)
        return Observation.of(seen)

    def _step(self, request: str) -> StepOutcome:
        handler = self.server.handlers.get("step")
        if handler is None:
            raise Refuse.not_found()
        attempt = Attempt.parse(request, dict if handler.task is None else handler.task)
        outcome = handler.call(self.server.cls, self._of(handler), self._cx, attempt)
        if not isinstance(outcome, StepOutcome):
            raise Fault(f"`{handler.name}` gave no `StepOutcome`, but a value of type `{type(outcome).__name__}`")
        return outcome

    def _metrics(self, request: str) -> str:
        handler = self.server.handlers.get("aggregate_metrics")
        if handler is None:
            raise Refuse.not_found()
        metrics = handler.call(self.server.cls, None, self._cx, read_fields(MetricsRequest, read_object(request)))
        text = to_json(metrics.as_reply() if isinstance(metrics, Metrics) else metrics)
        if not text.startswith("{"):
            raise Fault("the metrics are not an object")
        return text

    # The session.

    def _begun(self) -> Any:
        if self._session is None:
            self._session = self.server.cls()
        return self._session

    def _of(self, handler: Handler) -> Any:
        """The object that a function belongs to."""
        if not handler.takes_self:
            return None
        begin = self.server.handlers.get("seed_session") or self.server.handlers.get("reset")
        is_made_by_seed = begin is not None and begin.makes_session
        if self._session is None and is_made_by_seed and not self.server.options["default_session"]:
            raise Refuse(400, "Session not initialized. Please call seed_session first.")
        return self._begun()

    def _checked(self, session: Any, handler: Handler) -> Any:
        if not isinstance(session, self.server.cls):
            raise Fault(f"`{handler.name}` gave no `{self.server.cls.__name__}`")
        return session

    def _run(self, lifetime: Lifetime, call: Callable[[], Any], is_tool: bool = False) -> Any:
        """One call, within its session's randomness."""
        if lifetime != Lifetime.SESSION:
            # Whatever this instance has served before, the call finds what a first one would.
            self._session = self._random = None
        native = self._host if isinstance(self._host, TestHost) else None
        if native is None:
            if self._random is None:
                self._random = True
                random.seed(self._host.random())
            return self._guarded(call, is_tool)
        with native.reproducible():
            if self._random is None:
                if lifetime != Lifetime.SESSION:
                    native.restart(STATELESS_SEED)
                random.seed(native.random())
            else:
                random.setstate(self._random)
            try:
                return self._guarded(call, is_tool)
            finally:
                self._random = random.getstate()

    def _guarded(self, call: Callable[[], Any], is_tool: bool = False) -> Any:
        """Makes a fault of every exception that is no failure."""
        try:
            return call()
        except JudgeFailed:
            raise
        except Failure as failure:
            raise failure if is_tool else outside_of_tools(failure) from None
        except KeyboardInterrupt as error:
            if isinstance(self._host, TestHost):
                raise  # Somebody ends the tests.
            raise self._broken(error) from error
        except BaseException as error:
            raise self._broken(error) from error

    def _broken(self, error: BaseException) -> Fault:
        """The fault for an exception that is no failure; the log has where it was raised."""
        self._host.log(Level.ERROR, "".join(traceback.format_exception(error)).rstrip())
        try:
            text = str(error)
        except Exception:
            text = "its text cannot be made"
        return Fault(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _text(request: Any) -> str:
    return request if isinstance(request, str) else to_json(request)
