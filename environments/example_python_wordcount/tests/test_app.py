# SPDX-License-Identifier: Apache-2.0
import json
import random
from pathlib import Path

import app
import pytest
from gym_host_sdk import Failure, Instance, Refuse, Reject, Response, TestHost, cases, malformed

FOLDER = Path(__file__).parent.parent
PAGE = {"page": "The cat sat.\nA cat's cat\n\nran"}


def begun(seed: int = 0) -> Instance:
    instance = Instance(app.WordCount, TestHost({"format_reward": 0.2}, seed=seed))
    assert instance.seed_session(PAGE) == '{"lines":4}'
    return instance


def test_every_case_has_the_outcome_it_states():
    cases.check(app.WordCount, FOLDER)


def test_words_are_counted_in_lower_case():
    instance = begun()
    assert instance.call_tool("count_words", {}) == '{"words":7,"different":6}'
    assert instance.call_tool("find_word", {"word": " CAT ", "first": None}) == '{"count":2,"lines":[1,2]}'
    assert instance.call_tool("find_word", {"word": "cat", "first": 2}) == '{"count":1,"lines":[2]}'
    lengths = {"shortest": 1, "median": 3, "longest": 5, "longest_word": "cat's"}
    assert json.loads(instance.call_tool("word_lengths", {})) == lengths


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("find_word", {"word": "two words", "first": None}),
        ("find_word", {"word": "", "first": None}),
        ("find_word", {"word": "cat", "first": 5}),
        ("read_line", {"number": 0}),
    ],
)
def test_what_cannot_be_is_rejected(tool, arguments):
    with pytest.raises(Reject):
        begun().call_tool(tool, arguments)


def test_a_page_without_words_has_no_lengths():
    instance = Instance(app.WordCount)
    instance.seed_session({"page": ""})
    for tool, arguments in (("word_lengths", {}), ("read_line", {"number": None})):
        with pytest.raises(Reject):
            instance.call_tool(tool, arguments)


def test_a_session_that_was_not_seeded_is_refused():
    with pytest.raises(Refuse) as refused:
        Instance(app.WordCount).call_tool("count_words", {})
    assert refused.value.status == 400


def test_lines_are_drawn_by_the_sessions_chance():
    def draws(seed: int) -> list[str]:
        instance = begun(seed)
        return [instance.call_tool("read_line", {"number": None}) for _ in range(8)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_requests_that_are_not_as_they_should_be_fail_clearly():
    malformed.check(app.WordCount, FOLDER, config={"format_reward": 0.2})


def test_no_response_however_strange_breaks_grading():
    generator = random.Random(7)
    values = [None, 3, -1e300, True, "", "\ud800", [], {}, [[]], {"a": None}, "message", "assistant", "output_text"]
    names = ["type", "role", "content", "text", "output", "arguments", "name"]

    def anything(depth: int):
        if depth == 0 or generator.random() < 0.4:
            return generator.choice(values)
        if generator.random() < 0.5:
            return [anything(depth - 1) for _ in range(generator.randrange(4))]
        return {generator.choice(names): anything(depth - 1) for _ in range(generator.randrange(5))}

    for _ in range(300):
        instance = begun()
        request = json.dumps({"expected_answer": "7", "response": anything(6)})
        try:
            assert 0.0 <= instance.verify(request).reward <= 1.0
        except Failure as failure:
            assert isinstance(failure, Refuse)
    deep = '{"expected_answer": "7", "response": {"output": ' + "[" * 50_000 + "]" * 50_000 + "}}"
    assert begun().verify(deep).reward == 0.0


def test_the_expected_answer_is_needed():
    with pytest.raises(Refuse) as refused:
        begun().verify({"response": Response.builder().message("x").value()})
    assert refused.value.status == 422


def test_the_generator_writes_what_is_there():
    cases.check_generated(FOLDER, "data/generate.py")
