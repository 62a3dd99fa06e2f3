# SPDX-License-Identifier: Apache-2.0
import pytest

from gym_host_sdk import Attempt, Fault, Response, text


def message(*parts, role="assistant"):
    return {"type": "message", "role": role, "content": list(parts)}


def said(words):
    return {"type": "output_text", "text": words}


def test_each_rule_reads_its_text():
    response = Response.of(
        '{"output": ['
        '{"type": "reasoning", "summary": [{"text": "hm"}]},'
        '{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": " a"},'
        ' {"type": "refusal", "text": "r"}]},'
        '{"type": "message", "role": "user", "content": [{"type": "output_text", "text": "u"}]},'
        '{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b "},'
        ' {"type": "output_text", "text": "c "}]}]}'
    )
    assert response.output_text() == " aub c "
    assert response.last_item_text() == "b "
    assert response.assistant_text() == "a\nr\nb \nc"
    assert response.last_assistant_text() == "b \nc"
    assert response.output[0].summary() == ["hm"]


REFUSAL = {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}
CALL = {"type": "function_call", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], None),
        ([message(said("a"), said("b"))], "a"),
        ([message(said("a")), CALL], None),
        ([message()], None),
        ([message(said(""))], ""),
        ([{"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}], "hm"),
        ([REFUSAL], Fault),
        ([message(None)], Fault),
        ([message(said(3))], Fault),
        ([message(REFUSAL["content"][0], said("a"))], Fault),
        ([REFUSAL, message(said("a"))], "a"),
        ([{"type": "message", "role": "user", "content": "go on"}], Fault),
        ([{"type": "message", "role": "user", "content": ""}], None),
        ([{"type": "message", "content": {"a": 1}}], None),
        ([None], None),
    ],
)
def test_the_last_item_gives_its_first_part_or_nothing_or_a_fault(items, words):
    response = Response({"output": items})
    if words is Fault:
        with pytest.raises(Fault):
            response.last_item_text()
    else:
        assert response.last_item_text() == words


def test_a_string_as_content_is_a_fault_for_the_openai_rule():
    response = Response({"output": [{"type": "message", "role": "assistant", "content": "plain"}, message(said("b"))]})
    with pytest.raises(Fault):
        response.output_text()
    assert (response.message_text(), response.assistant_text()) == ("plainb", "plain\nb")


def test_an_empty_string_as_content_says_nothing():
    response = Response({"output": [message(said("a")), {"type": "message", "role": "user", "content": ""}]})
    assert response.output_text() == response.message_text() == "a"


def test_parts_of_an_input_are_nobodys_answer():
    response = Response({"output": [message(said("a"), {"type": "input_text", "text": "b"}, {"type": "x", "text": "c"})]})
    for rule in (response.output_text, response.message_text):
        with pytest.raises(Fault):
            rule()
    assert response.assistant_text() == response.last_assistant_text() == "a\nc"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        3,
        [],
        {},
        {"output": None},
        {"output": {"type": "message"}},
        {"output": [None, 3, "x", [], {}, {"type": 3}, {"type": "message", "content": {"a": 1}}]},
        {"output": [message(None, 3, {"type": None, "text": 3}, {"text": None}), {"type": "function_call", "name": 3}]},
        {"output": [dict(CALL, name="g"), {"type": "message", "content": 3}]},
        {"output": [], "incomplete_details": "no"},
    ],
)
def test_nothing_in_a_response_breaks_reading(raw):
    attempt = Attempt(None, Response(raw))
    assert attempt.output_text() == attempt.message_text() == ""
    assert attempt.last_item_text() is None
    assert attempt.assistant_text() == attempt.last_assistant_text() == ""
    assert attempt.last_call("f") is None
    assert attempt.incomplete_reason() is None


def test_calls_are_found():
    response = Response.builder().call("f", {"a": 1}).call_output("x").call("f", "not json").message("m").build()
    call = response.last_call("f")
    assert (call.arguments, call.call_id) == ("not json", "call_2")
    assert response.function_calls()[0].read_arguments() == {"a": 1}
    with pytest.raises(ValueError):
        call.read_arguments()


@pytest.mark.parametrize(
    ("words", "content"),
    [
        (r"\boxed{A} and \boxed{B}", "B"),
        (r"\boxed{\frac{1}{2}} then", r"\frac{1}{2}"),
        (r"\boxed{}", ""),
        (r"\boxed{A} \boxed{B", None),
        ("boxed{A}", None),
    ],
)
def test_the_last_box_counts(words, content):
    assert text.last_boxed(words) == content


def test_wrappers_are_removed_and_words_levelled():
    assert text.unwrap_text(r" \text{\text{ B}} ") == "B"
    assert text.normalize("  New\u00a0\tYork \n") == "new york"
