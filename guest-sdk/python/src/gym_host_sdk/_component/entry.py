# SPDX-License-Identifier: Apache-2.0
"""The component's side of the contract: the way between the bindings' types and ours."""

import importlib
import sys
from typing import Any

from componentize_py_types import Err
from wit_world.imports import code, host, network, programs, types  # noqa: F401  what calls into the host needs, while there are files

from ..code import Ending, Program, Run, RunFailure
from ..context import Level
from ..description import Description
from ..failure import Failure, Fault, JudgeFailed, ModelFailure, Refuse, Reject
from ..json_text import to_json
from ..network import HttpReply, HttpRequest, NetworkFailure
from ..server import Instance, Server
from ..verdict import Observation
from . import log_records, stand_ins

_instance: Instance | None = None


class ComponentHost:
    """The host behind the component's imports."""

    def config(self) -> str:
        return host.config()

    def log(self, level: Level, message: str) -> None:
        host.log(types.Level(int(level)), _sound(message))

    def respond(self, server: str, request: str) -> str:
        try:
            return host.respond(_sound(server), request)
        except Err as error:
            raise _model_failure(error) from None

    def respond_all(self, server: str, requests: list[str], pause_ms: int) -> list[str | ModelFailure]:
        replies = host.respond_all(_sound(server), requests, pause_ms)
        return [_model_failure(reply) if isinstance(reply, Err) else reply.value for reply in replies]

    def run_code(self, runner: str, program: Program) -> Run:
        try:
            return _run(code.run_code(_sound(runner), _program(program), _bounds(program)))
        except Err as error:
            raise _run_failure(error) from None

    def start_code(self, runner: str, program: Program) -> "tuple[ComponentProcess, Run]":
        try:
            process, run = code.Process.start(_sound(runner), _program(program), _bounds(program))
        except Err as error:
            raise _run_failure(error) from None
        return ComponentProcess(process), _run(run)

    def exchange(self, endpoint: str, request: HttpRequest) -> HttpReply:
        asked = network.HttpRequest(
            method=_sound(request.method),
            path=_sound(request.path),
            headers=[(_sound(name), _sound(value)) for name, value in request.headers],
            body=bytes(request.body),
        )
        try:
            reply = network.exchange(_sound(endpoint), asked)
        except Err as error:
            raise _network_failure(error) from None
        return HttpReply(reply.status, list(reply.headers), reply.body)

    def channel(self, endpoint: str, path: str) -> "ComponentChannel":
        try:
            return ComponentChannel(network.Channel.open(_sound(endpoint), _sound(path)))
        except Err as error:
            raise _network_failure(error) from None

    def read_file(self, path: str) -> bytes:
        try:
            return host.read_file(_sound(path))
        except Err as error:
            raise Fault(f"failed to read the file `{path}`: {error.value}") from None

    def now(self) -> int:
        return host.now()

    def random(self) -> int:
        return host.random()


class ComponentProcess:
    """A program that stays."""

    def __init__(self, process: code.Process) -> None:
        self._process: code.Process | None = process

    def call(self, name: str, arguments: list[str], cpu_ms: int | None, output_bytes: int | None) -> Run:
        if self._process is None:
            raise RunFailure("unavailable", "the program has ended")
        function = programs.FunctionCall(_sound(name), arguments)
        try:
            return _run(self._process.call(function, code.Bounds(cpu_ms, None, output_bytes)))
        except Err as error:
            raise _run_failure(error) from None

    def close(self) -> None:
        if self._process is not None:
            self._process.__exit__(None, None, None)
            self._process = None


def _model_failure(error: Err) -> ModelFailure:
    reason = error.value
    if isinstance(reason, types.ModelFailure_UnknownServer):
        return ModelFailure("unknown-server", reason.value)
    if isinstance(reason, types.ModelFailure_Status):
        status, body = reason.value
        return ModelFailure("status", status=status, body=body)
    return ModelFailure("unavailable", reason.value)


class ComponentChannel:
    """One end of a WebSocket."""

    def __init__(self, channel: network.Channel) -> None:
        self._channel: network.Channel | None = channel

    def send(self, text: str) -> None:
        try:
            self._open().send(_sound(text))
        except Err as error:
            raise _network_failure(error) from None

    def receive(self) -> str | None:
        try:
            return self._open().receive()
        except Err as error:
            raise _network_failure(error) from None

    def close(self) -> None:
        if self._channel is not None:
            self._channel.__exit__(None, None, None)
            self._channel = None

    def _open(self) -> network.Channel:
        if self._channel is None:
            raise NetworkFailure("unavailable", "the channel is closed")
        return self._channel


def _network_failure(error: Err) -> NetworkFailure:
    kinds = {
        network.NetworkFailure_UnknownEndpoint: "unknown-endpoint",
        network.NetworkFailure_Unavailable: "unavailable",
        network.NetworkFailure_TooLarge: "too-large",
        network.NetworkFailure_UsedUp: "used-up",
    }
    return NetworkFailure(kinds[type(error.value)], error.value.value)


def _program(program: Program) -> programs.Program:
    call = program.call_as_json()
    return programs.Program(
        source=_sound(program.source),
        arguments=[_sound(argument) for argument in program.arguments],
        stdin=_sound(program.stdin),
        files=[programs.File(_sound(path), content) for path, content in program.files.items()],
        call=call and programs.FunctionCall(_sound(call[0]), call[1]),
    )


def _bounds(program: Program) -> code.Bounds:
    return code.Bounds(program.cpu_ms, program.memory_mib, program.output_bytes)


def _run(run: code.Run) -> Run:
    kinds = {
        code.Ending_Exited: Ending.EXITED,
        code.Ending_OutOfTime: Ending.OUT_OF_TIME,
        code.Ending_OutOfMemory: Ending.OUT_OF_MEMORY,
        code.Ending_Crashed: Ending.CRASHED,
    }
    ending = kinds[type(run.ending)]
    return Run(
        ending=ending,
        status=run.ending.value if ending is Ending.EXITED else None,
        reason=run.ending.value if ending is Ending.CRASHED else "",
        stdout=run.stdout.decode("utf-8", "replace"),
        stderr=run.stderr.decode("utf-8", "replace"),
        output_cut=run.output_cut,
        returned=run.returned,
        cpu_seconds=run.cpu_us / 1e6,
    )


def _run_failure(error: Err) -> RunFailure:
    failure = error.value
    kind = "unknown-runner" if isinstance(failure, code.RunFailure_UnknownRunner) else "unavailable"
    return RunFailure(kind, failure.value)


def _sound(text: str) -> str:
    """Text that UTF-8 can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def load(project: dict[str, Any]) -> type:
    """Imports the environment. Runs when the component is built."""
    global _instance
    stand_ins.install()
    log_records.install(lambda level, message: host.log(types.Level(int(level)), _sound(message)))
    importlib.import_module(project["module"])
    if len(Server.declared) != 1:
        names = ", ".join(f"`{server.cls.__qualname__}`" for server in Server.declared) or "none"
        raise TypeError(f"the module `{project['module']}` should have one `@resources_server`; it has {names}")
    environment = Server.declared[0]
    environment.options["name"] = environment.options["name"] or project["name"]
    environment.options["version"] = environment.options["version"] or project["version"]
    _instance = Instance(environment, ComponentHost())
    for name in ("_strptime", "unicodedata", "zlib", "decimal", "stringprep", "encodings.idna"):
        importlib.import_module(name)
    for handler in [*environment.handlers.values(), *environment.tools.values(), *environment.build_steps]:
        # Mistakes in signatures show now.
        _ = handler.values, handler.task
    environment.outline()
    for handler in environment.build_steps:
        handler.call(environment.cls, None, None)
    return ResourcesServer


def _raise(failure: Failure) -> Any:
    if isinstance(failure, Reject):
        reason: Any = types.Failure_Rejected(_sound(failure.text))
    elif isinstance(failure, Refuse):
        reason = types.Failure_Refused(types.Refusal(failure.status, to_json(failure.detail)))
    elif isinstance(failure, JudgeFailed):
        reason = types.Failure_JudgeFailed(_sound(failure.message))
    else:
        reason = types.Failure_Fault(_sound(str(failure)))
    raise Err(reason)


def _call(function: Any, *arguments: Any) -> Any:
    assert _instance is not None
    try:
        return function(_instance, *arguments)
    except Failure as failure:
        caught = failure
    except BaseException as error:
        # What is left here comes from the way into the call and out of it.
        caught = Fault(f"{type(error).__name__}: {error}")
    finally:
        _flush()
    return _raise(caught)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _described(description: Description) -> types.Description:
    metrics = description.metrics
    return types.Description(
        name=description.name,
        version=description.version,
        style=types.Style[description.style.name],
        tools_run_in=types.Lifetime[description.tools_run_in.name],
        verify_runs_in=types.Lifetime[description.verify_runs_in.name],
        reverify=types.ReverifyMode[description.reverify.name],
        seed_fields=None if description.seed_fields is None else to_json(description.seed_fields),
        verify_fields=to_json(description.verify_fields),
        echo=list(description.echo),
        tools=[types.Tool(tool.name, _sound(tool.description), to_json(tool.parameters)) for tool in description.tools],
        any_tool=description.any_tool,
        token_ids=description.token_ids,
        metrics=metrics
        and types.PassMetrics(
            [types.Score(score.name, score.field, score.only_if_present) for score in metrics.scores],
            metrics.answer_field,
            metrics.subset_field,
        ),
        own_metrics=description.own_metrics,
    )


def _seen(observation: Observation) -> types.Observation:
    text = None if observation.text is None else _sound(observation.text)
    return types.Observation(text, to_json(observation.info))


class ResourcesServer:
    """What the component exports: `wit/environment.wit`."""

    def describe(self) -> types.Description:
        return _call(lambda instance: _described(instance.describe()))

    def seed_session(self, request: str) -> str:
        return _call(Instance.seed_session, request)

    def call_tool(self, name: str, arguments: str) -> str:
        return _call(lambda instance: _sound(instance.call_tool(name, arguments)))

    def verify(self, request: str) -> types.Verdict:
        def graded(instance: Instance) -> types.Verdict:
            verdict = instance.verify(request)
            components = [(_sound(name), part) for name, part in verdict.components]
            return types.Verdict(verdict.reward, components, to_json(verdict.fields))

        return _call(graded)

    def reset(self, request: str) -> types.Observation:
        return _call(lambda instance: _seen(instance.reset(request)))

    def step(self, request: str) -> types.StepOutcome:
        def stepped(instance: Instance) -> types.StepOutcome:
            outcome = instance.step(request)
            seen = _seen(outcome.observation)
            return types.StepOutcome(seen, outcome.reward, outcome.terminated, outcome.truncated)

        return _call(stepped)

    def close(self) -> None:
        _call(Instance.close)

    def aggregate_metrics(self, request: str) -> str:
        return _call(Instance.aggregate_metrics, request)
