# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
import os
import random
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest

from gym_host_sdk import (
    Attempt,
    Context,
    Description,
    Fault,
    Instance,
    JudgeFailed,
    Level,
    Lifetime,
    Metrics,
    MetricsRequest,
    ModelFailure,
    Observation,
    PlainText,
    Refuse,
    Reject,
    Response,
    Server,
    StepOutcome,
    Style,
    TestHost,
    Verdict,
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


@dataclass
class Task:
    city: str
    bonus: float = 0.0


@resources_server(echo=True, scores={"accuracy": "reward"})
class Weather:
    """One session."""

    def __init__(self):
        self.seen = []

    @seed_session
    def seed(self, task: Task):
        self.seen.append(f"seed {task.city}")

    @tool
    def look(self, city: str, days: int = 2, cx: Context = None) -> dict:
        """Look.

        Args:
            city: Where.
        """
        if not city:
            raise Reject("`city` is empty")
        if city == "bug":
            raise KeyError("bug")
        if city == "refuse":
            raise Refuse(418, {"tea": True})
        self.seen.append(city)
        return {"days": days}

    @tool(name="say-it")
    def say(self) -> Any:
        """Say."""
        return PlainText("plain")

    @any_tool
    def other(self, name: str, arguments: Any):
        return [name, arguments]

    @verify
    def grade(self, attempt: Attempt[Task], cx: Context) -> Verdict:
        if attempt.task.city == "judge":
            reply = cx.respond("judge", {"input": "?"})
            return Verdict.of(reply.output_text() == "yes")
        if attempt.task.city == "reject":
            raise Reject("no")
        parts = [("seen", float(attempt.task.city in self.seen)), ("bonus", attempt.task.bonus)]
        return Verdict.of_components(parts, seen=self.seen)

    @close
    def end(self):
        self.seen.append("closed")

    @aggregate_metrics
    @staticmethod
    def metrics(request: MetricsRequest) -> Metrics:
        return Metrics({"own": sum(reply["reward"] for reply in request.replies())})

    @describe
    @staticmethod
    def say_more(description: Description, cx: Context):
        description.token_ids = bool(cx.config().get("tokens"))


def request(city="Paris", **fields):
    return {"city": city, "response": Response.builder().message("x").value(), **fields}


def test_a_class_describes_itself():
    description = Instance(Weather, TestHost({"tokens": 1})).describe()
    assert (description.name, description.style, description.token_ids) == ("weather", Style.TOOLS, True)
    assert (description.any_tool, description.own_metrics, description.echo) == (True, True, ["city", "bonus"])
    assert description.seed_fields == description.verify_fields
    look, say = description.tools
    assert (look.name, look.description, say.name) == ("look", "Look.", "say-it")
    assert look.parameters == {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Where."}, "days": {"type": ["integer", "null"]}},
        "required": ["city", "days"],
        "additionalProperties": False,
    }


def test_a_session_goes_through_its_calls():
    instance = Instance(Weather)
    assert instance.seed_session({"city": "Rome"}) == "{}"
    assert instance.call_tool("look", {"city": "Paris", "days": None}) == '{"days":2}'
    assert instance.call_tool("say-it", "ignored") == "plain"
    assert instance.call_tool("shout", "[1]") == '["shout",[1]]'
    verdict = instance.verify(request(bonus=0.5))
    assert (verdict.reward, verdict.components) == (1.5, [("seen", 1.0), ("bonus", 0.5)])
    assert verdict.fields == {"seen": ["seed Rome", "Paris"]}
    instance.close()
    assert instance.session.seen[-1] == "closed"
    assert instance.aggregate_metrics({"tasks": [[{"reward": 1.0}], [{"reward": 0.5}]]}) == '{"agent_metrics":{"own":1.5}}'


def test_everybody_who_must_act_is_told():
    host = TestHost(models={"judge": [ModelFailure("status", status=503), "yes"]})
    instance = Instance(Weather, host)
    with pytest.raises(Reject):
        instance.call_tool("look", {"city": "", "days": 1})
    with pytest.raises(Refuse) as refused:
        instance.call_tool("look", {"city": "refuse", "days": 1})
    assert (refused.value.status, refused.value.detail) == (418, {"tea": True})
    with pytest.raises(Fault, match="KeyError: 'bug'"):
        instance.call_tool("look", {"city": "bug", "days": 1})
    assert "KeyError" in host.lines[-1][1]
    with pytest.raises(Refuse) as refused:
        instance.call_tool("look", {"city": 3, "days": 1})
    assert refused.value.status == 422
    with pytest.raises(JudgeFailed, match="HTTP status 503"):
        instance.verify(request("judge"))
    assert instance.verify(request("judge")).reward == 1.0
    with pytest.raises(Fault, match="unknown|no more answers"):
        instance.verify(request("judge"))
    with pytest.raises(Fault, match="rejected outside of a tool"):
        instance.verify(request("reject"))
    assert host.requests["judge"][0] == {"input": "?"}


def test_a_status_that_is_no_error_becomes_500():
    assert Refuse(200, "x").status == 500


@resources_server(reusable=True, reverify="stateless")
class Pooled:
    calls = 0

    def __init__(self):
        self.mine = 0

    @verify
    def grade(self, attempt: Attempt[dict]) -> dict:
        Pooled.calls += 1
        self.mine += 1
        return Verdict(float(self.mine), drawn=random.random(), calls=Pooled.calls)


def test_pooled_calls_find_what_a_first_one_would():
    instance = Instance(Pooled, TestHost(seed=5))
    assert instance.describe().verify_runs_in == Lifetime.POOLED
    first, second = instance.verify(request()), instance.verify(request())
    assert (first.reward, second.reward, second.fields["calls"]) == (1.0, 1.0, 2)
    assert first.fields["drawn"] == second.fields["drawn"]


@resources_server
class Made:
    def __init__(self, city):
        self.city = city

    @seed_session
    @classmethod
    def seed(cls, task: Task):
        return cls(task.city), {"hello": task.city}

    @tool
    def chance(self) -> list:
        """Chance."""
        return [random.random(), str(uuid.uuid4()), time.time(), os.urandom(3).hex()]

    @tool
    def wait(self, seconds: float) -> float:
        """Wait."""
        begun = time.monotonic()
        time.sleep(seconds)
        return time.monotonic() - begun

    @verify
    def grade(self, attempt: Attempt) -> bool:
        return True


def test_a_session_that_a_seed_makes_is_refused_before_it():
    instance = Instance(Made)
    with pytest.raises(Refuse) as refused:
        instance.call_tool("chance", {})
    assert refused.value.status == 400
    assert instance.seed_session({"city": "Oslo"}) == '{"hello":"Oslo"}'
    assert instance.session.city == "Oslo"
    instance.seed_session({"city": "Bonn"})
    assert instance.session.city == "Bonn"


def test_chance_and_time_follow_from_the_seed():
    def run(seed):
        instance = Instance(Made, TestHost(seed=seed))
        instance.seed_session({"city": "x"})
        return [instance.call_tool("chance", {}) for _ in range(3)]

    outside, urandom = random.getstate(), os.urandom
    assert run(1) == run(1)
    assert run(1) != run(2)
    assert len(set(run(1))) == 3
    assert random.getstate() == outside and os.urandom is urandom


def test_sleeping_takes_no_time():
    instance = Instance(Made)
    instance.seed_session({"city": "x"})
    begun = time.monotonic()
    assert float(instance.call_tool("wait", {"seconds": 3600})) >= 3600
    assert time.monotonic() - begun < 10


@resources_server
class Guess:
    def __init__(self):
        self.left = 2

    @reset
    def begin(self, task: dict) -> str:
        return f"guess, {task['name']}"

    @step
    def next(self, attempt: Attempt[dict]) -> StepOutcome:
        self.left -= 1
        if attempt.output_text() == "7":
            return StepOutcome(Observation("right", tries=2 - self.left), 1.0, terminated=True)
        return StepOutcome("no", truncated=self.left == 0)


def test_gymnasium_style():
    instance = Instance(Guess)
    assert instance.describe().style == Style.GYMNASIUM
    assert instance.reset({"name": "Ada"}).text == "guess, Ada"
    wrong = instance.step({"response": Response.builder().message("6").value()})
    assert (wrong.observation.text, wrong.reward, wrong.terminated, wrong.truncated) == ("no", 0.0, False, False)
    right = instance.step({"response": Response.builder().message("7").value()})
    assert (right.reward, right.terminated, right.observation.info) == (1.0, True, {"tries": 2})
    with pytest.raises(Refuse):
        instance.verify(request())


@dataclass
class Settings:
    limit: int


def test_a_configuration_that_does_not_fit_shows_when_it_is_loaded():
    @resources_server(config=Settings)
    class Configured:
        @verify
        def grade(self, attempt: Attempt, cx: Context) -> float:
            return cx.config(Settings).limit

    assert Instance(Configured, TestHost({"limit": 3, "entrypoint": "app.py"})).verify({}).reward == 3.0
    with pytest.raises(Fault, match="`limit` is missing"):
        Instance(Configured, TestHost()).describe()


@dataclass
class Options:
    judge: bool = False
    tries: int = 0
    seconds: float | None = None
    name: str = ""
    sizes: list[int] = field(default_factory=list)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"judge": "true"}, Options(judge=True)),
        ({"judge": "YES"}, Options(judge=True)),
        ({"judge": 1}, Options(judge=True)),
        ({"judge": "off"}, Options()),
        ({"tries": "5"}, Options(tries=5)),
        ({"tries": " 5.0 "}, Options(tries=5)),
        ({"tries": 5.0}, Options(tries=5)),
        ({"tries": True}, Options(tries=1)),
        ({"seconds": "0.5"}, Options(seconds=0.5)),
        ({"seconds": None}, Options()),
        ({"name": "5"}, Options(name="5")),
        ({"sizes": ["1", 2]}, Options(sizes=[1, 2])),
        ({"judge": "maybe"}, None),
        ({"judge": 2}, None),
        ({"tries": "5.5"}, None),
        ({"tries": "five"}, None),
        ({"tries": ""}, None),
        ({"seconds": "much"}, None),
        ({"name": 5}, None),
    ],
)
def test_texts_of_flags_and_numbers_are_flags_and_numbers_in_settings(given, read):
    cx = Context(TestHost(given))
    if read is None:
        with pytest.raises(Fault, match=f"`{next(iter(given))}"):
            cx.config(Options)
    else:
        assert cx.config(Options) == read


def test_settings_that_nobody_knows_are_warned_of():
    host = TestHost({"limit": 3, "limt": 4, "entrypoint": "app.py", "verified_url": None, "_copy": "x"})
    Context(host).check_config(Settings)
    assert [line for level, line in host.lines if level == Level.WARN] == [
        "the configuration has `limt`, which is no setting that the environment declares"
    ]


def test_an_environment_that_declares_no_settings_may_read_any():
    host = TestHost({"limit": 3})
    cx = Context(host)
    cx.check_config(None)
    assert cx.config() == {"limit": 3}
    assert host.lines == []


def test_files_come_from_the_folder_and_nowhere_else(tmp_path):
    (tmp_path / "a.txt").write_text("é")
    cx = Context(TestHost(files={"b/c.txt": "in memory"}, folder=tmp_path))
    assert (cx.read_text("a.txt"), cx.read_text("b/c.txt")) == ("é", "in memory")
    for path in ("../a.txt", "/etc/passwd", "./a.txt", "x.txt", ""):
        with pytest.raises(Fault):
            cx.read_file(path)


def test_mistakes_in_a_class_are_named():
    def made(body, **options):
        return resources_server(type("Wrong", (), body), **options)

    @verify
    def grade(self, attempt: Attempt):
        return True

    @seed_session
    def seed(self, task: Task):
        pass

    @at_build
    def warm(self):
        pass

    @tool
    def untyped(self, city):
        """Look."""

    with pytest.raises(TypeError, match="nothing grades"):
        made({"seed": seed})
    with pytest.raises(TypeError, match="is not seeded"):
        made({"seed": seed, "grade": grade}, reusable=True)
    with pytest.raises(TypeError, match="staticmethod"):
        made({"warm": warm, "grade": grade})
    with pytest.raises(TypeError, match="two functions marked"):
        made({"grade": grade, "again": grade})
    with pytest.raises(Fault, match="needs a type hint"):
        Instance(made({"grade": grade, "untyped": untyped})).describe()


def test_the_hosts_random_numbers_are_the_hosts():
    # The stream called SplitMix64, by hand for the seed 0 and stream 1 of the host.
    from gym_host_sdk.testing import SplitMix64

    mask = (1 << 64) - 1

    def mixed(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    golden, start = 0x9E3779B97F4A7C15, 0xA0761D6478BD642F
    first, second = mixed((start + golden) & mask), mixed((start + 2 * golden) & mask)
    state = first ^ ((second << 32 | second >> 32) & mask)
    assert SplitMix64(0, 1).next() == mixed((state + golden) & mask)
    assert SplitMix64(9, 2).bytes(11) == SplitMix64(9, 2).bytes(16)[:11]


def test_several_things_are_asked_at_once():
    untyped = Response({"output": [{"role": "assistant", "content": "x"}]})
    host = TestHost(models={"judge": ["a", ModelFailure("status", status=503), untyped, "b"]})
    replies = Context(host).respond_all("judge", [{"input": str(number)} for number in range(5)], pause=1)
    said = [reply.output_text() if isinstance(reply, Response) else reply.kind for reply in replies]
    assert said == ["a", "status", "unreadable", "b", "unavailable"]
    assert [request["input"] for request in host.requests["judge"]] == ["0", "1", "2", "3", "4"]
    assert [reply.kind for reply in Context(host).respond_all("other", [{}])] == ["unknown-server"]


@resources_server(default_session=True)
class Raising:
    @tool
    def stop(self, how: str) -> str:
        """Raises."""
        raise {"exit": SystemExit(3), "base": GeneratorExit(), "keys": KeyboardInterrupt(), "text": Untold()}[how]

    @tool
    async def wait(self, seconds: float, cx: Context) -> list:
        """Waits twice at once."""
        begun = cx.now()
        given = await asyncio.gather(asyncio.sleep(seconds, "a"), asyncio.to_thread(len, "four"))
        return [*given, round(cx.now() - begun)]

    @verify
    async def verify(self, attempt: Attempt[dict]) -> float:
        await asyncio.sleep(60)
        return 0.5


class Untold(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_whatever_is_raised_is_a_fault_but_the_end_of_the_tests():
    instance = Instance(Raising)
    for how, said in (("exit", "SystemExit: 3"), ("base", "GeneratorExit"), ("text", "Untold: its text cannot be made")):
        with pytest.raises(Fault) as fault:
            instance.call_tool("stop", {"how": how})
        assert fault.value.message == said
    with pytest.raises(KeyboardInterrupt):
        instance.call_tool("stop", {"how": "keys"})


def test_functions_may_be_coroutines_and_waiting_takes_no_time():
    instance = Instance(Raising)
    assert json.loads(instance.call_tool("wait", {"seconds": 3600})) == ["a", 4, 3600]
    assert instance.verify({"response": Response.builder().message("x").value()}).reward == 0.5


def test_what_keeps_a_tool_from_having_a_schema_is_named():
    @resources_server(default_session=True)
    class Odd:
        @tool
        def pair(self, both: tuple[int, str]) -> None:
            """Takes a pair."""

        @verify
        def verify(self, attempt: Attempt[dict]) -> float:
            return 0.0

    with pytest.raises(TypeError, match="^the tool `pair`: `both`: `tuple"):
        Server.of(Odd).outline()
