# SPDX-License-Identifier: Apache-2.0
import json
import random
from pathlib import Path

import app
import corpus
import library
import pytest
from gym_host_sdk import Fault, Instance, JudgeFailed, Refuse, Response, TestHost, cases, malformed
from answer import flaw
from judge import EQUAL, says_equal

FOLDER = Path(__file__).parent.parent
CONFIG = {"judge_model_server": {"name": "math_judge_model"}, "judge_responses_create_params": {"input": [], "temperature": 0.5}}


def verify(said: str, expected: str = "4", models=None, **config):
    host = TestHost({**CONFIG, "should_use_judge": False, **config}, models=models)
    row = {"question": "Q", "expected_answer": expected, "response": Response.builder().message(said).value()}
    return Instance(app.MathWithJudge, host).verify(row), host


def test_every_case_has_the_outcome_it_states():
    rows = [json.loads(line) for line in (FOLDER / "data/example.jsonl").read_text().splitlines()]
    shipped = {**CONFIG, "should_use_judge": False}
    for line in (FOLDER / "tests/cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        case["config"] = shipped | case.get("config", {})
        assert (case["name"], cases.play(app.MathWithJudge, FOLDER, case, rows)) == (case["name"], [])


def test_the_library_says_of_all_pairs_what_the_corpus_states():
    assert len(corpus.read()) >= 300
    assert corpus.mistakes() == []


@pytest.mark.parametrize(
    ("written", "stripped"),
    [(" $5$ ", "5"), (r"\(5\)", "5"), (r"\( $5$ \)", "5"), ("$", "$"), ("$$", ""), (r"$\(5\)$", r"\(5\)"), ("a $5$", "a $5$")],
)
def test_delimiters_around_the_expected_answer_are_taken_off(written, stripped):
    assert library.strip_delimiters(written) == stripped


def test_the_judge_sees_both_answers_in_both_orders():
    models = {"math_judge_model": [f"same {EQUAL}", f"same {EQUAL}"]}
    verdict, host = verify(r"\boxed{8} or \boxed{\text{four}}", models=models, should_use_judge=True)
    assert (verdict.reward, verdict.fields["library_reward"]) == (1.0, 0.0)
    first, second = host.requests["math_judge_model"]
    assert first["temperature"] == 0.5
    assert [message["role"] for message in first["input"]] == ["system", "user"]
    assert first["input"][1]["content"] == (
        "<|Problem|>\nQ\n\n<|Start of Assistant A's Answer|>\n4\n<|End of Assistant A's Answer|>\n\n"
        "<|Start of Assistant B's Answer|>\n\\text{four}\n<|End of Assistant B's Answer|>"
    )
    assert "A's Answer|>\n\\text{four}\n" in second["input"][1]["content"]
    evaluations = verdict.fields["judge_evaluations"]
    assert [evaluation["responses_create_params"] for evaluation in evaluations] == [first, second]
    assert evaluations[0]["response"]["output"][0]["content"][0]["text"] == f"same {EQUAL}"


def test_by_the_rules_of_august_the_judge_sees_what_was_extracted_or_all():
    for said, shown in [("It is 5.", "5"), ("No idea", "No idea")]:
        models = {"math_judge_model": ["[[A!=B]]"]}
        _, host = verify(said, models=models, should_use_judge=True, reward_rules="august_2026")
        assert f"B's Answer|>\n{shown}\n<|End" in host.requests["math_judge_model"][0]["input"][1]["content"]


def test_a_judges_answer_must_be_a_response():
    text = {"type": "output_text", "text": EQUAL, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    good = Response.builder().message(EQUAL).value()
    assert flaw(good) is None
    for item, is_good in [
        (message, True),
        ({**message, "content": []}, True),
        ({**message, "content": "text"}, True),
        ({**message, "id": None}, False),
        ({**message, "status": None}, False),
        ({**message, "role": "tool"}, False),
        ({**message, "content": [{**text, "annotations": None}]}, False),
        ({**message, "content": [{**text, "text": None}]}, False),
        ({**message, "content": [{"type": "refusal", "refusal": "no"}]}, True),
        ({**message, "content": [{"type": "input_text", "text": "t"}]}, True),
        ({**message, "content": ["t"]}, False),
        ({"role": "assistant", "content": "t"}, False),
        ({"type": "reasoning", "id": "r", "summary": []}, True),
        ({"type": "reasoning", "summary": []}, False),
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}, False),
        ({"type": "web_search_call"}, True),
        (None, False),
    ]:
        assert (item, flaw({**good, "output": [item]}) is None) == (item, is_good)
    for name in ("id", "created_at", "model", "object", "output", "parallel_tool_calls", "tool_choice", "tools"):
        assert flaw({**good, name: None}) == f"`{name}` is missing or of the wrong type"
    broken = Response({**good, "output": [{**message, "id": 3}]})
    with pytest.raises(JudgeFailed):
        verify(r"\boxed{5}", models={"math_judge_model": [broken]}, should_use_judge=True)


def test_a_judges_last_part_must_be_text():
    def response(*parts):
        return Response({"output": [{"type": "message", "role": "assistant", "content": list(parts)}]})

    said = {"type": "output_text", "text": EQUAL}
    assert says_equal(response(said))
    assert not says_equal(response(said, {"type": "refusal", "refusal": EQUAL}))
    assert not says_equal(response(said, {"type": "output_text", "text": "hm"}))
    for broken in [response(), response(said, {"type": "output_text", "text": None}), Response({"output": []})]:
        with pytest.raises(JudgeFailed):
            says_equal(broken)


@pytest.mark.parametrize(
    "config",
    [
        {"reward_rules": "july"},
        {"library_verifier_timeout_seconds": 0},
        {"library_verifier_max_concurrency": 0},
        {"judge_model_server": None},
    ],
)
def test_a_wrong_configuration_shows_when_it_is_loaded(config):
    with pytest.raises(Fault):
        Instance(app.MathWithJudge, TestHost({**CONFIG, **config})).describe()


def test_settings_without_an_effect_are_warned_of():
    host = TestHost({**CONFIG, "library_verifier_timeout_seconds": "20", "library_verifier_max_concurrency": 8})
    Instance(app.MathWithJudge, host).describe()
    assert [line for _, line in host.lines] == [
        "`library_verifier_max_concurrency` has no effect: the host bounds how much runs at once"
    ]


def test_no_malformed_request_does_more_than_fail_clearly():
    chance = random.Random(7)
    values = [None, 1, -1.5, True, "", "\\boxed{", "\\boxed{" * 300, "\ud800", [], {}, [[[]]], {"type": "message"}, 10**400]
    for _ in range(300):
        row = {"question": "Q", "expected_answer": "4", "response": Response.builder().message("\\boxed{4}").value()}
        place = row
        for _ in range(chance.randrange(4)):
            inner = chance.choice(list(place.values()) if isinstance(place, dict) else place) if place else None
            if not isinstance(inner, (dict, list)) or not inner:
                break
            place = inner
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place[key] = chance.choice(values)
        try:
            verdict = Instance(app.MathWithJudge, TestHost({**CONFIG, "should_use_judge": False})).verify(row)
            assert verdict.reward in (0.0, 1.0)
            json.dumps(verdict.fields)
        except (Refuse, Fault):
            pass


def test_requests_that_are_not_as_they_should_be_fail_clearly():
    malformed.check(app.MathWithJudge, FOLDER, config={**CONFIG, "should_use_judge": False}, requests=60)


def test_the_generator_writes_what_is_there():
    cases.check_generated(FOLDER, "data/generate.py")
