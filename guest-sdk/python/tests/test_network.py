# SPDX-License-Identifier: Apache-2.0
import pytest

from gym_host_sdk import (
    Attempt,
    Context,
    Fault,
    HttpReply,
    HttpRequest,
    Instance,
    NetworkFailure,
    StandIn,
    TestHost,
    Verdict,
    resources_server,
    tool,
    verify,
)


@resources_server
class Remote:
    """A world elsewhere."""

    @tool
    def step(self, word: str, cx: Context) -> dict:
        """Go on."""
        reply = cx.exchange("maze", HttpRequest.post_json("/step", {"word": word}))
        return {"status": reply.status, "kind": reply.header("Content-Type"), **reply.json()}

    @tool
    def talk(self, words: list[str], cx: Context) -> list:
        """Talk."""
        with cx.channel("maze", "/ws") as channel:
            for word in words:
                channel.send_json({"word": word})
            return list(channel)

    @verify
    def verify(self, attempt: Attempt[dict], cx: Context) -> Verdict:
        cx.exchange("elsewhere", HttpRequest.get("/"))
        return Verdict(1.0)


def test_an_endpoint_answers_requests_in_order():
    maze = StandIn(http=[HttpReply(200, [("content-type", "a/b")], b'{"at": 1}'), HttpReply(404, [], b"{}")])
    instance = Instance(Remote, TestHost(endpoints={"maze": maze}))
    assert instance.call_tool("step", {"word": "é"}) == '{"status":200,"kind":"a/b","at":1}'
    assert instance.call_tool("step", {"word": "b"}) == '{"status":404,"kind":null}'
    first = maze.requests[0]
    assert (first.method, first.path, first.body) == ("POST", "/step", '{"word":"é"}'.encode())
    with pytest.raises(NetworkFailure, match="no more answers") as caught:
        instance.call_tool("step", {"word": "c"})
    assert caught.value.kind == "unavailable"


def test_an_answer_that_is_no_json_is_a_fault():
    maze = StandIn(http=lambda request: HttpReply(200, [], b"\xff" if b"bytes" in request.body else b"<html>"))
    instance = Instance(Remote, TestHost(endpoints={"maze": maze}))
    for word, reason in [("bytes", "not UTF-8"), ("text", "no JSON")]:
        with pytest.raises(Fault, match=reason):
            instance.call_tool("step", {"word": word})


def test_what_nothing_grants_cannot_be_reached():
    instance = Instance(Remote, TestHost(endpoints={"maze": StandIn()}))
    with pytest.raises(NetworkFailure, match="grants no endpoint `elsewhere`") as caught:
        instance.verify({"response": {"output": []}})
    assert caught.value.kind == "unknown-endpoint"
    assert not caught.value.is_judge_failure


def test_a_channel_says_what_its_script_says_and_notes_what_is_sent():
    maze = StandIn(messages=["a", "b", None, "never"])
    instance = Instance(Remote, TestHost(endpoints={"maze": maze}))
    assert instance.call_tool("talk", {"words": ["x", "y"]}) == '["a","b"]'
    assert instance.call_tool("talk", {"words": []}) == '["a","b"]'
    assert (maze.paths, maze.sent) == (["/ws", "/ws"], ['{"word":"x"}', '{"word":"y"}'])


def test_nothing_can_be_done_with_a_channel_after_a_failure_or_its_end():
    broken = NetworkFailure("too-large", "a message is larger than allowed")
    cx = Context(TestHost(endpoints={"maze": StandIn(messages=[broken, "x"])}))
    channel = cx.channel("maze")
    with pytest.raises(NetworkFailure, match="larger"):
        channel.receive()
    closed = cx.channel("maze")
    closed.close()
    closed.close()
    for use in (channel.receive, closed.receive, lambda: closed.send("x")):
        with pytest.raises(NetworkFailure, match="closed"):
            use()


def test_a_function_can_make_the_other_end():
    class Echo:
        def __init__(self, path):
            self.said = [path]

        def send(self, text):
            self.said.append(text.upper())

        def receive(self):
            return self.said.pop(0) if self.said else None

        def close(self):
            self.said = []

    channel = Context(TestHost(endpoints={"maze": StandIn(messages=Echo)})).channel("maze", "/p")
    channel.send("hi")
    assert list(channel) == ["/p", "HI"]
