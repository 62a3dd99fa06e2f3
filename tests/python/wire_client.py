# SPDX-License-Identifier: Apache-2.0
"""Every route of resources servers, agents and the head server, seen by a client that behaves as NeMo Gym's: addresses
from the head's configuration, cookies by hand, no redirects hidden, answers compared as bytes where clients see them."""

import asyncio
import json
import os

import aiohttp
import yaml

MESSAGE = {"id": "m", "type": "message", "role": "assistant", "status": "completed",
           "content": [{"type": "output_text", "text": "done", "annotations": []}]}
RESPONSE = {"id": "r", "created_at": 1.0, "model": "m", "object": "response", "output": [MESSAGE],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
EPISODE = {"rollout_id": "0-0", "attempt": 0}
TASK = {"taskset": "t", "task_id": "0"}


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.bytes = response.status, response.headers, body
        self.cookies = {name: morsel.value for name, morsel in response.cookies.items()}
        self.set_cookie = response.headers.getall("Set-Cookie", [])

    @property
    def json(self):
        return json.loads(self.bytes)

    def __repr__(self):
        return f"{self.status} {self.bytes[:600]!r}"


class Client:
    """One client without a cookie jar."""

    def __init__(self, session, base, cookies=None):
        self.session, self.base, self.cookies = session, base, cookies or {}

    async def send(self, method, path, data=None, kind="application/json", cookies=None, headers=None):
        headers = {**({"Content-Type": kind} if kind else {}), **(headers or {})}
        cookies = self.cookies if cookies is None else cookies
        async with self.session.request(method, self.base + path, data=data, headers=headers, cookies=cookies,
                                        allow_redirects=False, skip_auto_headers=["Content-Type"]) as response:
            return Answer(response, await response.read())

    async def post(self, path, body, **more):
        return await self.send("POST", path, json.dumps(body), **more)

    async def get(self, path, **more):
        return await self.send("GET", path, kind=None, **more)

    async def keep(self, path, body):
        """Posts and replaces the cookies by those of the answer, as `simple_agent` does with its resources server."""
        answer = await self.post(path, body)
        self.cookies = answer.cookies
        return answer


def address(config, name):
    implementation = next(iter(next(iter(config[name].values())).values()))
    return f"http://{implementation['host']}:{implementation['port']}"


def types(answer):
    return [(one["type"], one["loc"]) for one in answer.json["detail"]]


async def common(client):
    """What all servers have: liveness, 404, 405, slashes, content types, JSON as clients know it."""
    for path in ("/", "/ng-rollout/7-1/"):
        root = await client.get(path)
        assert (root.status, root.bytes) == (200, b'{"status":"ok"}'), (path, root)
        assert root.headers["content-type"] == "application/json", root.headers
    nowhere = await client.get("/no/where")
    assert (nowhere.status, nowhere.bytes) == (404, b'{"detail":"Not Found"}'), nowhere
    slash = await client.post("/verify/", {})
    assert (slash.status, slash.headers["location"].endswith("/verify")) == (307, True), slash.headers
    for body, expected in [
        (None, [("missing", ["body"])]), ("null", [("missing", ["body"])]),
        ("[1]", [("model_attributes_type", ["body"])]), ("{}", [("missing", ["body", "responses_create_params"]),
                                                                ("missing", ["body", "response"])]),
    ]:
        answer = await client.send("POST", "/verify", body)
        assert answer.status == 422 and types(answer)[:len(expected)] == expected, (body, answer)
    broken = await client.send("POST", "/verify", '{"a": }')
    assert types(broken) == [("json_invalid", ["body", 6])], broken
    plus = await client.send("POST", "/seed_session", '{"initial_count": 1}', kind="application/vnd.x+json; charset=utf-8")
    assert plus.status == 200, plus
    untyped = await client.send("POST", "/seed_session", '{"initial_count": 1}', kind="text/plain")
    assert untyped.status >= 400, untyped


async def cookies(client, name):
    """The session cookie: its name, its attributes, and on which answers it comes; what is inside is the server's own."""
    seeded = await client.post("/seed_session", {"initial_count": 41}, cookies={})
    (cookie, value), = seeded.cookies.items()
    assert cookie.endswith("___" + name), cookie
    attributes = {part.strip().lower() for part in seeded.set_cookie[0].split(";")[1:]}
    assert {"path=/", "max-age=1209600", "httponly", "samesite=lax"} <= attributes, seeded.set_cookie
    assert not any(part.startswith(("secure", "domain")) for part in attributes), attributes

    async def count(cookies):
        return (await client.post("/get_counter_value", {}, cookies=cookies)).json["count"]

    mine = {cookie: value, "SimpleAgent___other": "x"}
    for answer in [
        await client.get("/", cookies=mine), await client.get("/no/where", cookies=mine),
        await client.get("/verify", cookies=mine), await client.post("/verify", {}, cookies=mine),
        await client.post("/increment_counter", {"count": []}, cookies=mine),
        await client.get("/", cookies={}, headers={"Cookie": f'{cookie}="{value}"'}),
    ]:
        assert await count(answer.cookies) == 41, (answer, answer.set_cookie)
        assert "cookie" in answer.headers.get("vary", "").lower(), answer.headers
    for forged in (value[:-3] + "AAA", "nonsense", value.replace(".", "", 1), "", value.swapcase()):
        assert await count({cookie: forged}) == 0, forged
    assert (await client.get("/", cookies={})).cookies, "any route makes a session"


async def resources(session, base):
    """A session of the counter, in both generations' ways."""
    client = Client(session, base)
    row = {"responses_create_params": {"input": [{"role": "user", "content": "x é \u2028"}]}, "initial_count": 3,
           "expected_count": 5, "extra": 1, "_ng_rollout_id": "0-0"}
    seeded = await client.keep("/seed_session", row)
    assert (seeded.status, seeded.bytes) == (200, b"{}"), seeded
    assert (await client.keep("/increment_counter", {"count": 2})).json == {"success": True}
    wrong = await client.keep("/increment_counter", {"count": "many"})
    assert (wrong.status, types(wrong)) == (422, [("int_parsing", ["body", "count"])]), wrong
    for lax, sum_of in (("1", 6), (1.0, 7), (True, 8)):
        assert (await client.keep("/increment_counter", {"count": lax})).json == {"success": True}, lax
        assert (await client.keep("/get_counter_value", {})).json == {"count": sum_of}, lax
    fraction = await client.keep("/increment_counter", {"count": 3.5})
    assert types(fraction) == [("int_from_float", ["body", "count"])], fraction
    verified = await client.post("/verify", {**row, "expected_count": 8, "response": RESPONSE})
    reply = verified.json
    assert reply["reward"] == 1.0 and b'"reward":1.0' in verified.bytes, verified
    assert reply["responses_create_params"]["input"][0]["content"] == "x é \u2028", verified
    assert "extra" not in reply and "_ng_rollout_id" not in reply, reply
    params = reply["responses_create_params"]
    assert len(params) >= 20 and params["temperature"] is None and params["tools"] == [], params
    assert params["input"][0]["type"] == "message", params
    assert reply["mask_sample"] is False and reply["failure_kind"] is None and reply["failure_reason"] is None, reply

    mode = await client.get("/reverify_mode")
    assert (mode.status, mode.json in ("stateless", "unsupported", "unknown")) == (200, True), mode
    rows = [{"_ng_task_index": task, "_ng_rollout_index": index, "reward": float(index)}
            for task in range(2) for index in range(2)]
    metrics = (await client.post("/aggregate_metrics", {"verify_responses": rows})).json
    assert metrics["agent_metrics"]["mean/reward"] == 0.5, metrics
    assert {"group_level_metrics", "agent_metrics", "key_metrics", "repeat_level_metrics", "perf_summary"} <= set(metrics)
    assert len(metrics["group_level_metrics"]) == 2, metrics
    empty = (await client.post("/aggregate_metrics", {"verify_responses": []})).json
    assert (empty["group_level_metrics"], empty["agent_metrics"], empty["key_metrics"]) == ([], {}, {}), empty
    assert (await client.post("/aggregate_metrics", {})).status == 422


async def typed_sessions(session, base):
    """Release 0.7.0: sessions with an id, bound to an episode, closed by name."""
    client = Client(session, base, {})
    typed = {"resources_session_id": "rs-1", "episode_id": EPISODE, "task_id": TASK, "task_data": {"initial_count": 2}}
    seeded = await client.post("/seed_session", typed, cookies={})
    assert seeded.json == {"resources_session_id": "rs-1", "resources_tools": None, "sandbox_access": None}, seeded
    assert seeded.cookies, "a typed seed establishes a cookie"
    again = await client.post("/seed_session", typed, cookies={})
    assert (again.status, again.json["resources_session_id"]) == (200, "rs-1"), again
    other = {**typed, "episode_id": {"rollout_id": "0-1", "attempt": 0}}
    assert (await client.post("/seed_session", other, cookies={})).status >= 400
    for wrong in ({**typed, "more": 1}, {**typed, "episode_id": {"rollout_id": "a b", "attempt": 0}},
                  {**typed, "resources_session_id": "", }, {**typed, "episode_id": {"rollout_id": "0-0-a2", "attempt": 0}}):
        answer = await client.post("/seed_session", wrong, cookies={})
        assert answer.status == 422, (wrong, answer)
    close = {"resources_session_id": "rs-1", "episode_id": EPISODE}
    for _ in range(2):
        closed = await client.post("/close_session", close, cookies=seeded.cookies)
        assert (closed.status, closed.json) == (200, {"resources_session_id": "rs-1"}), closed
    assert (await client.post("/seed_session", typed, cookies={})).status >= 400, "closed sessions stay closed"
    never = {"resources_session_id": "rs-never", "episode_id": EPISODE}
    assert (await client.post("/close_session", never, cookies={})).status == 200
    late = {**typed, "resources_session_id": "rs-never"}
    assert (await client.post("/seed_session", late, cookies={})).status >= 400, "a close may overtake its seed"
    assert (await client.post("/close_session", {"resources_session_id": "x"}, cookies={})).status == 422


async def gymnasium(session, base):
    client = Client(session, base)
    row = {"responses_create_params": {"input": [{"role": "user", "content": "go"}]}, "extra": 1}
    reset = await client.keep("/reset", row)
    assert reset.status == 200 and set(reset.json) == {"observation", "info"}, reset
    step = await client.keep("/step", {**row, "response": RESPONSE, "_ng_step_request_id": "0" * 32})
    assert step.status == 200, step
    assert set(step.json) == {"observation", "reward", "terminated", "truncated", "info"}, step
    assert isinstance(step.json["reward"], float) and isinstance(step.json["terminated"], bool), step
    for path in ("/seed_session", "/verify"):
        assert (await client.post(path, row)).status == 404, path
    assert (await client.post("/step", row)).status == 422
    assert (await client.post("/aggregate_metrics", {"verify_responses": []})).status == 200


async def agents(session, config):
    base = address(config, "weather_agent")
    client = Client(session, base)
    row = {"responses_create_params": {"input": "Weather in Oslo?"}, "_ng_task_index": 4, "_ng_rollout_index": 2}
    for prefix in ("", "/ng-rollout/4-2", "/ng-rollout/4-2/training-token-capture"):
        answer = await client.post(prefix + "/run", row)
        assert (answer.status, answer.json["reward"]) == (200, 1.0), (prefix, answer)
    kinds = ["function_call", "function_call_output", "message"]
    for prefix in ("", "/ng-rollout/4-2", "/ng-rollout/4-2/training-token-capture"):
        answer = await client.post(prefix + "/v1/responses", {"input": "Weather in Oslo?"})
        assert [item["type"] for item in answer.json["output"]] == kinds, (prefix, answer)
        names = " ".join(answer.cookies)
        assert all(name in names for name in ("weather_agent", "weather", "policy_model")), names
    assert (await client.post("/v1/responses", {"input": "x", "bogus": 1})).status == 422
    assert (await client.post("/v1/responses", {})).status == 422
    assert (await client.post("/run", {})).status == 422
    metrics = await client.post("/aggregate_metrics", {"verify_responses": [{"reward": 1.0}]})
    assert metrics.json["agent_metrics"]["mean/reward"] == 1.0, metrics

    # An agent that grades nothing sums up its rewards itself.
    lazy = Client(session, address(config, "lazy_agent"))
    answer = (await lazy.post("/run", row)).json
    assert (answer["reward"], answer["verification_skipped"]) == (0.25, True), answer
    metrics = await lazy.post("/aggregate_metrics", {"verify_responses": [{"reward": 0.25}]})
    assert (metrics.status, metrics.json["agent_metrics"]["mean/reward"]) == (200, 0.25), metrics

    # `max_steps` counts model calls; the tools of the last one are still executed.
    short = (await Client(session, address(config, "short_agent")).post("/run", row)).json
    assert [item["type"] for item in short["response"]["output"]] == kinds[:2], short

    # A failed attempt is a row, never an HTTP error.
    failed = await Client(session, address(config, "broken_agent")).post("/run", row)
    assert failed.status == 200 and failed.json["_ng_failure_class"] and failed.json["mask_sample"], failed


async def agent_sessions(session, base):
    """Release 0.7.0: agents with sessions of their own."""
    client = Client(session, base)
    seed = {"agent_session_id": "as-1", "episode_id": EPISODE, "task_id": TASK, "tool_accesses": [], "sandbox_access": None}
    seeded = await client.post("/v1/agent_sessions", seed)
    assert (seeded.status, seeded.json) == (200, {"agent_session_id": "as-1"}), seeded
    assert (await client.post("/v1/agent_sessions", seed)).status == 200
    other = await client.post("/v1/agent_sessions", {**seed, "task_id": {"taskset": "t", "task_id": "1"}})
    assert other.status == 409, other
    assert (await client.post("/v1/agent_sessions", {**seed, "x": 1})).status == 422
    close = {"agent_session_id": "as-1", "episode_id": EPISODE}
    wrong = await client.post("/v1/agent_sessions/close", {**close, "episode_id": {"rollout_id": "9-9", "attempt": 0}})
    assert wrong.status == 409, wrong
    closed = [await client.post("/v1/agent_sessions/close", close, cookies=seeded.cookies) for _ in range(2)]
    assert closed[0].status == 200 and closed[0].json == closed[1].json, closed
    assert set(closed[0].json) == {"agent_session_id", "agent_observations", "resources_cookies"}, closed
    assert (await client.post("/v1/agent_sessions", seed)).status == 409


async def episodes(session, base):
    """Release 0.7.0: `/run` with an episode, answered in kind."""
    client = Client(session, base)
    task = {"task_id": TASK, "task_input": {"responses_create_params": {"input": "Weather in Oslo?"}}}
    answer = await client.post("/run", {"episode_id": EPISODE, "task": task})
    assert (answer.status, set(answer.json)) == (200, {"episode_id", "task_id", "result", "failure"}), answer
    reply = answer.json
    assert (reply["episode_id"], reply["task_id"], reply["failure"]) == (EPISODE, TASK, None), reply
    assert reply["result"]["reward"] == 1.0, reply
    assert not [key for key in reply["result"] if key.startswith("_ng_")], reply


async def head(session, base):
    client = Client(session, base)
    text = (await client.get("/global_config_dict_yaml")).json
    assert isinstance(text, str)
    config = yaml.safe_load(text)
    instances = (await client.get("/server_instances")).json
    keys = {"config_path", "dir_path", "entrypoint", "host", "name", "pid", "port", "process_name", "server_type",
            "start_time", "status", "uptime_seconds", "url"}
    assert all(keys <= set(instance) for instance in instances), instances
    names = {instance["process_name"] for instance in instances}
    assert {"counter", "weather", "policy_model", "weather_agent"} <= names, names
    assert (await client.get("/")).cookies == {}, "the head server has no sessions"
    for key in ("head_server", "port_range_low", "port_range_high", "disallowed_ports", "use_absolute_ip",
                "head_server_deps", "python_version"):
        assert key in config, key
    return config


async def main():
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        config = await head(session, os.environ["URL_HEAD"])
        counter = address(config, "counter")
        await common(Client(session, counter))
        await cookies(Client(session, counter), "counter")
        await resources(session, counter)
        await typed_sessions(session, counter)
        await gymnasium(session, address(config, "game"))
        await agents(session, config)
        await agent_sessions(session, address(config, "weather_agent"))
        await episodes(session, address(config, "weather_agent"))


asyncio.run(main())
