# SPDX-License-Identifier: Apache-2.0
"""Asking a model whether two answers to a problem are equal."""

from typing import Any

from answer import flaw
from gym_host_sdk import Context, JudgeFailed, Response

EQUAL = "[[A=B]]"
NOT_EQUAL = "[[A!=B]]"

_SYSTEM = f"""You are an impartial judge of mathematical equivalence. You get a problem and the answers of two assistants, \
A and B. Decide whether the two answers are mathematically equal. Do not solve the problem, and do not judge which answer \
is right.

Only the mathematical value counts: differences in notation, in formatting and in wording do not matter, even where the \
problem asks for a certain format.

You must output exactly one of these labels as your verdict:

{EQUAL} when the answers are equal
{NOT_EQUAL} when the answers are different

For example: "The first answer is twice the second one. {NOT_EQUAL}\""""


class Judge:
    """A judge for one attempt."""

    def __init__(self, cx: Context, server: str, params: dict[str, Any]) -> None:
        self._cx, self._server, self._params = cx, server, params
        #: What it was asked and has answered: `responses_create_params` and `response` of each request.
        self.evaluations: list[dict[str, Any]] = []

    def both_ways(self, question: str, expected: str, answer: str) -> bool:
        """Whether the answers are equal in both orders: a judge may favour the place where an answer stands. The second
        order is asked for only when the first one was equal."""
        return self._equal(question, expected, answer) and self._equal(question, answer, expected)

    def _equal(self, question: str, first: str, second: str) -> bool:
        messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": prompt(question, first, second)}]
        params = {**self._params, "input": messages}
        response = self._cx.respond(self._server, params)
        wrong = flaw(response.raw)
        if wrong:
            raise JudgeFailed(f"the judge answered with something that is not a Response: {wrong}")
        self.evaluations.append({"responses_create_params": params, "response": response.raw})
        return says_equal(response)


def prompt(question: str, first: str, second: str) -> str:
    """The user message."""
    return (
        f"<|Problem|>\n{question}\n\n"
        f"<|Start of Assistant A's Answer|>\n{first}\n<|End of Assistant A's Answer|>\n\n"
        f"<|Start of Assistant B's Answer|>\n{second}\n<|End of Assistant B's Answer|>"
    )


def says_equal(response: Response) -> bool:
    """The verdict: the first label in the last part of the last output item. Without a label, and where that is no text (a
    call, a refusal), the answers are not equal. A response without any output, or with a text that is none, is a failure
    of the judge."""
    if not response.output:
        raise JudgeFailed("the judge's response has no output")
    last = response.output[-1]
    if last.kind != "message":
        return False
    parts = last.content
    if not isinstance(parts, list) or not parts:
        raise JudgeFailed("the judge's message has no content parts")
    if parts[-1].kind != "output_text":
        return False
    said = parts[-1].text
    if said is None:
        raise JudgeFailed("the judge's last text is none")
    equal, different = said.find(EQUAL), said.find(NOT_EQUAL)
    return equal >= 0 and (different < 0 or equal < different)
