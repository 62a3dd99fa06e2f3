# SPDX-License-Identifier: Apache-2.0
import json
import random
import re
from pathlib import Path

import absent
import app
import generate
import pytest
import small_numpy
from gym_host_sdk import Fault, Instance, Refuse, Response, cases, malformed
from reasoning_gym.utils import extract_answer

FOLDER = Path(__file__).parent.parent
ROW = {"question": "Q", "answer": "12", "metadata": {"source_dataset": "gcd"}}


def test_every_case_has_the_outcome_it_states():
    cases.check(app.ReasoningGym, FOLDER)


def test_the_answer_is_what_the_patterns_of_the_library_find():
    boxed = re.compile(r"\\boxed\{([^}]+)\}")
    pieces = ["<answer>", "</answer>", "\\boxed{", "}", "{", " ", "\n", "\u00a0", "a", "12", "<answer", "answer>", "</", "\\"]
    rng = random.Random(7)
    for _ in range(20_000):
        text = "".join(rng.choices(pieces, k=rng.randrange(9)))
        expected = extract_answer(text, tag_name="answer")
        if expected is None:
            box = boxed.search(text)
            expected = box.group(1).strip() if box else text.strip()
        assert app.extracted(text) == expected, text


def test_openings_without_an_end_take_no_time_by_their_square():
    # With patterns each of these would take hours.
    for opening in ("<answer>", "\\boxed{"):
        assert app.extracted(opening * 1_000_000) == opening * 1_000_000
    assert app.extracted("<answer>" * 1_000_000 + "7</answer>").endswith("<answer>7")
    assert app.extracted("\\boxed{}" * 1_000_000 + "\\boxed{7}") == "7"


def test_rows_follow_from_the_seed_and_can_be_asked_for_in_parts():
    asked = {"task": "chain_sum,gcd", "size": 6, "seed": 5, "start": 0, "count": 6}
    instance = Instance(app.ReasoningGym)
    whole = json.loads(instance.call_tool(generate.TOOL, asked))["rows"]
    second = json.loads(instance.call_tool(generate.TOOL, {**asked, "start": 4, "count": 2}))["rows"]
    other = json.loads(instance.call_tool(generate.TOOL, {**asked, "seed": 6}))["rows"]
    assert whole[4:] == second
    assert whole != other
    assert {row["metadata"]["source_dataset"] for row in whole} <= {"chain_sum", "gcd"}
    for row in whole:
        said = Response.builder().message(f"<answer>{row['answer']}</answer>").value()
        assert instance.verify({**row, "response": said}).reward == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"task": "no_such"},
        {"task": ""},
        {"task": "gcd,no_such"},
        {"task": "gcd,lcm", "config": {"chain_sum": {}}},
        {"task": "gcd,lcm", "config": {"gcd": 3}},
        {"size": -1},
        {"count": 7},
        {"seed": "x"},
        {"config": {"no_such": 1}},
        {"config": {"min_numbers": 9}},
        {"config": {"min_numbers": "x"}},
        {"config": []},
        {"config": [1]},
    ],
)
def test_what_cannot_be_generated_is_refused(change):
    asked = {"task": "gcd", "size": 6, "seed": 5, "start": 0, "count": 6, **change}
    with pytest.raises(Refuse):
        Instance(app.ReasoningGym).call_tool(generate.TOOL, asked)
    with pytest.raises(Refuse):
        Instance(app.ReasoningGym).call_tool("another", asked)


@pytest.mark.parametrize(
    ("task", "config", "said"),
    [
        ("chain_sum", {"max_tems": 3}, "has no setting `max_tems`, did you mean `max_terms`?"),
        ("chain_sum", {"max_terms": "x"}, "the setting `max_terms` of `chain_sum` should be a whole number and is str"),
        ("chain_sum", {"max_terms": 1}, "max_terms must be >= min_terms"),
        ("chain_sum", {"size": 3}, "give it as `--size`"),
        ("chain_sum", {"min_terms": 0}, "`min_terms` (2), `max_terms` (6)"),
        ("gcd,lcm", {"gcd": {"nothing": 1}}, "the task `gcd` has no setting `nothing`"),
        ("gcd,lcm", {"gcd": 3}, "the settings of `gcd` are not an object"),
    ],
)
def test_what_is_wrong_with_settings_is_named_with_what_there_is(task, config, said):
    asked = {"task": task, "size": 6, "seed": 5, "start": 0, "count": 6, "config": config}
    with pytest.raises(Refuse) as refused:
        Instance(app.ReasoningGym).call_tool(generate.TOOL, asked)
    assert refused.value.status == 422 and said in refused.value.detail


@pytest.mark.parametrize("name", [None, "", 5, ["gcd"], {"gcd": 1}])
def test_a_row_without_the_name_of_a_dataset_is_refused(name):
    row = {**ROW, "metadata": {"source_dataset": name}, "response": Response.builder().message("12").value()}
    with pytest.raises(Refuse) as refused:
        Instance(app.ReasoningGym).verify(row)
    assert refused.value.status == 500


def test_a_row_must_have_an_answer_that_may_be_null():
    fields = Instance(app.ReasoningGym).describe().verify_fields
    assert sorted(fields["required"]) == ["answer", "metadata", "question"]
    assert fields["properties"]["answer"]["type"] == ["string", "null"]


def test_parts_of_an_input_are_no_answer():
    response = {"output": [{"type": "message", "content": [{"type": "input_text", "text": "12"}]}]}
    with pytest.raises(Fault):
        Instance(app.ReasoningGym).verify({**ROW, "response": response})


def test_a_task_that_is_misspelt_gets_a_proposal():
    asked = {"task": "chain_sums", "size": 1, "seed": 5, "start": 0, "count": 1}
    with pytest.raises(Refuse, match="did you mean `chain_sum`"):
        Instance(app.ReasoningGym).call_tool(generate.TOOL, asked)


def test_plain_text_as_the_content_of_a_message_is_read():
    response = {"output": [{"type": "message", "role": "assistant", "content": "12"}]}
    assert Instance(app.ReasoningGym).verify({**ROW, "response": response}).reward == 1.0


def test_a_scorer_that_needs_what_is_absent_is_a_fault(monkeypatch):
    def needs(name):
        raise absent.Absent("numpy")

    said = Response.builder().message("12").value()
    monkeypatch.setattr(app.absent, "is_absent", lambda package: True)
    with pytest.raises(Fault):
        Instance(app.ReasoningGym).verify({**ROW, "metadata": {"source_dataset": "sokoban"}, "response": said})
    monkeypatch.setattr(app.reasoning_gym, "get_score_answer_fn", needs)
    arc = {**ROW, "metadata": {"source_dataset": "arc_agi", "output": [[1, 2]]}}
    # Rows come as JSON, where a board is a list, and is not equal to the scorer's tuples.
    board = Response.builder().message("<answer>1 2</answer>").value()
    assert Instance(app.ReasoningGym).verify({**arc, "response": board}).reward == 0.05
    with pytest.raises(Fault):
        Instance(app.ReasoningGym).verify({**ROW, "response": said})


@pytest.mark.parametrize(
    ("value", "decimals", "rounded"),
    [(2.5, 0, 2.0), (3.5, 0, 4.0), (1.006, 2, 1.01), (2.674, 2, 2.67), (-0.125, 2, -0.12), (1234.0, -2, 1200.0)],
)
def test_numbers_are_rounded_as_numpy_does(value, decimals, rounded):
    assert small_numpy.round(value, decimals) == rounded


def test_no_malformed_request_does_more_than_fail_clearly():
    chance = random.Random(3)
    values = [None, 1, "", "\ud800", [], {}, [[[]]], True, 10**400, {"source_dataset": ["gcd"]}, {"source_dataset": 5}]
    for _ in range(200):
        row = {**ROW, "response": Response.builder().message("12").value()}
        row["metadata"] = {"source_dataset": chance.choice(["gcd", "sudoku", "bf"])}
        row[chance.choice(list(row))] = chance.choice(values)
        try:
            assert 0.0 <= Instance(app.ReasoningGym).verify(row).reward <= 1.0
        except (Refuse, Fault):
            pass


def test_requests_that_are_not_as_they_should_be_fail_clearly():
    malformed.check(app.ReasoningGym, FOLDER)


def test_the_generator_writes_what_is_there():
    cases.check_generated(FOLDER, "data/generate.py")
