# SPDX-License-Identifier: Apache-2.0
"""Plays the cases of an environment's folder natively, without a host: pytest then proves that every example task is
solvable as graded.

    from gym_host_sdk import cases
    import app

    def test_every_case_has_the_outcome_it_states():
        cases.check(app.Weather, Path(__file__).parent.parent)

A case is one line of `tests/cases.jsonl`:

    {"name": "the letter in the box", "kind": "perfect", "task": 0, "turns": [{"text": "\\\\boxed{B}"}], "reward": 1.0}

`task` is the index of a row in `data/example.jsonl`, or a row. `turns` is what the model says: `reasoning`, `text`,
`calls` (`name`, `arguments`), or `output` with items as they are; `incomplete` is the reason of an early stop. `reward`
is absent where grading must fail; `status` is the HTTP status of a refusal. `expect` has fields of the reply, `outputs`
the outputs of all calls, `config` settings for this case, `models` the answers of model servers. `gym-host test` plays
the same file against the component.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .description import Description, Lifetime, Style
from .failure import Failure, ModelFailure, Refuse, Reject
from .json_text import to_json
from .response import Response
from .server import Instance, Server
from .testing import TestHost

_CASE = {"name", "kind", "task", "turns", "reward", "expect", "outputs", "status", "config", "models"}
_TURN = {"reasoning", "text", "calls", "output", "incomplete", "delay_ms", "status", "body"}


def check(environment: Any, folder: "str | os.PathLike[str]", seed: int = 0) -> None:
    """Plays all cases of the environment in this folder. Raises `AssertionError` with a list of all that is not as it
    should be: cases with another outcome, examples without a perfect or a wrong attempt, lines that cannot be read."""
    folder = Path(folder)
    rows = _read_lines(folder / "data/example.jsonl")
    cases = _read_lines(folder / "tests/cases.jsonl")
    mistakes = []
    for index in range(len(rows)):
        for kind in ("perfect", "wrong"):
            if not any(case.get("kind") == kind and case.get("task") == index for case in cases):
                mistakes.append(f"example {index} has no {kind} attempt")
    for case in cases:
        mistakes.extend(f"`{case.get('name')}`: {mistake}" for mistake in play(environment, folder, case, rows, seed))
    assert not mistakes, f"{len(mistakes)} mistakes:\n" + "\n".join(mistakes)


def check_generated(folder: "str | os.PathLike[str]", *scripts: str) -> None:
    """Runs scripts of an environment, one after the other, in a copy of its folder: what they write must be what the folder
    has, byte for byte."""
    folder = Path(folder)
    built = shutil.ignore_patterns("*.wasm", "__pycache__", ".*", "target")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / folder.name
        shutil.copytree(folder, copy, ignore=built)
        for script in scripts:
            command = [sys.executable, "-B", script]
            run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
            assert run.returncode == 0, f"`{script}` fails: {run.stderr}"
        made = [path.relative_to(copy) for path in copy.rglob("*") if path.is_file()]
        differing = [
            str(path)
            for path in sorted(made)
            if not (folder / path).is_file() or (folder / path).read_bytes() != (copy / path).read_bytes()
        ]
        assert not differing, f"{', '.join(scripts)} would write other files than these: {', '.join(differing)}"


def play(environment: Any, folder: Path, case: dict[str, Any], rows: list[Any], seed: int = 0) -> list[str]:
    """Plays one case; gives what is wrong with its outcome."""
    strange = [f"`{name}` is no member of a case" for name in case.keys() - _CASE]
    strange += [f"`{name}` is no member of a turn" for turn in case["turns"] for name in turn.keys() - _TURN]
    if strange:
        return sorted(strange)
    row = case["task"]
    if isinstance(row, int):
        if not 0 <= row < len(rows):
            return ["there is no such example"]
        row = rows[row]
    outputs: list[str] = []
    make = _Make(environment, folder, case, seed)
    instance = make()
    description = instance.describe()
    reward: float | None = None
    fields: dict[str, Any] = {}
    failure: Failure | None = None
    try:
        if description.style == Style.TOOLS:
            reward, fields = _play_tools(make, instance, description, case, row, outputs)
        else:
            reward, fields = _play_steps(instance, case, row)
    except Failure as raised:
        failure = raised
    return _compare(case, reward, fields, failure, outputs)


class _Make:
    """Makes instances that find the same."""

    def __init__(self, environment: Any, folder: Path, case: dict[str, Any], seed: int) -> None:
        self._server = Server.of(environment)
        self._folder, self._case, self._seed = folder, case, seed

    def __call__(self) -> Instance:
        models = {name: [_answer(turn) for turn in turns] for name, turns in self._case.get("models", {}).items()}
        host = TestHost(self._case.get("config"), seed=self._seed, models=models, folder=self._folder)
        return Instance(self._server, host)


def _play_tools(
    make: _Make, instance: Instance, description: Description, case: Any, row: Any, outputs: list[str]
) -> tuple[float, dict[str, Any]]:
    if description.tools_run_in == Lifetime.SESSION:
        instance.seed_session(row)
    transcript: list[Any] = []
    for turn in case["turns"]:
        items = _items(turn, len(transcript))
        calls = [item for item in items if isinstance(item, dict) and item.get("type") == "function_call"]
        transcript.extend(items)
        if turn.get("incomplete") is not None or not calls:
            break
        for call in calls:
            if description.tools_run_in == Lifetime.CALL:
                instance = make()
            output = _call_tool(instance, description, call)
            transcript.append({"type": "function_call_output", "call_id": call.get("call_id"), "output": output})
            outputs.append(output)
    if description.verify_runs_in == Lifetime.CALL:
        instance = make()
    verdict = instance.verify({**row, "response": {"output": transcript}})
    fields = {}
    for name in description.echo:
        fields[name] = row.get(name, description.verify_fields["properties"][name].get("default"))
    fields.update(json.loads(to_json(verdict.fields)))
    if verdict.components:
        fields["reward_components"] = dict(verdict.components)
    return verdict.reward, fields


def _call_tool(instance: Instance, description: Description, call: dict[str, Any]) -> str:
    """One call as an agent makes it: whatever goes wrong but a fault is the tool's output."""
    name, arguments = str(call.get("name") or ""), str(call.get("arguments") or "")
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return to_json({"error": "Invalid tool call arguments"})
    if not description.any_tool and name not in [tool.name for tool in description.tools]:
        return to_json({"detail": "Not Found"})
    try:
        return instance.call_tool(name, arguments)
    except Reject as reject:
        return to_json({"error": reject.text})
    except Refuse as refuse:
        return to_json({"detail": refuse.detail})


def _play_steps(instance: Instance, case: Any, row: Any) -> tuple[float, dict[str, Any]]:
    instance.reset(row)
    reward, fields = 0.0, {}
    for turn in case["turns"]:
        outcome = instance.step({**row, "response": {"output": _items(turn, 0)}})
        reward += outcome.reward
        fields = json.loads(to_json(outcome.observation.info))
        fields |= {"terminated": outcome.terminated, "truncated": outcome.truncated}
        if outcome.terminated or outcome.truncated:
            break
    return reward, fields


def _compare(case: Any, reward: float | None, fields: Any, failure: Failure | None, outputs: list[str]) -> list[str]:
    mistakes = []
    expected = case.get("reward")
    if expected is None and failure is None:
        mistakes.append(f"grading should fail and gave {reward}")
    elif expected is not None and failure is not None:
        mistakes.append(f"the reward should be {expected}, and there is none: {failure!r}")
    elif expected is not None:
        assert reward is not None
        if abs(expected - reward) > 1e-9:
            mistakes.append(f"the reward should be {expected} and is {reward}")
        for name, value in case.get("expect", {}).items():
            if name not in fields or fields[name] != value:
                mistakes.append(f"the field `{name}` should be {value!r} and is {fields.get(name, '(absent)')!r}")
    status = failure.status if isinstance(failure, Refuse) else None
    if failure is not None and case.get("status") is not None and case["status"] != status:
        mistakes.append(f"the failure's status should be {case['status']} and is {failure!r}")
    if case.get("outputs") is not None:
        found = [_readable(output) for output in outputs]
        if found != case["outputs"]:
            mistakes.append(f"the outputs should be {case['outputs']} and are {found}")
    if case.get("kind") == "wrong" and expected is not None and expected >= 1.0:
        mistakes.append(f"a wrong attempt should have less than the full reward, not {expected}")
    return mistakes


def _readable(output: str) -> Any:
    try:
        return json.loads(output)
    except ValueError:
        return output


def _items(turn: dict[str, Any], before: int) -> list[Any]:
    """The output items of a turn. `before` is how many items there are already, for ids."""
    if turn.get("output") is not None:
        return turn["output"]
    items: list[dict[str, Any]] = []
    if turn.get("reasoning") is not None:
        items.append({"type": "reasoning", "summary": [{"type": "summary_text", "text": turn["reasoning"]}]})
    if turn.get("text") is not None:
        part = {"type": "output_text", "text": turn["text"], "annotations": []}
        items.append({"type": "message", "role": "assistant", "status": "completed", "content": [part]})
    for call in turn.get("calls", []):
        arguments = call.get("arguments")
        written = arguments if isinstance(arguments, str) else to_json({} if arguments is None else arguments)
        call_id = f"call_{before + len(items)}"
        items.append({"type": "function_call", "call_id": call_id, "name": call["name"], "arguments": written})
    for index, item in enumerate(items):
        item["id"] = f"item_{before + index}"
    return items


def _answer(turn: dict[str, Any]) -> "Response | ModelFailure":
    """A turn as the answer of a model server."""
    if turn.get("status") is not None:
        return ModelFailure("status", status=turn["status"], body=to_json(turn.get("body")))
    reason = turn.get("incomplete")
    whole = Response.builder().value()
    return Response({**whole, "output": _items(turn, 0), "incomplete_details": reason and {"reason": reason}})


def _read_lines(path: Path) -> list[Any]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise AssertionError(f"failed to read `{path}`, line {number}: {error}") from None
    return rows
