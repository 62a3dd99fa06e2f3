# SPDX-License-Identifier: Apache-2.0
"""Why a call gave no result. The exceptions differ in who must act.

Any other exception that leaves an environment's function is a `Fault`: a mistake in an environment never reads as a bad
answer of the model.
"""

from typing import Any


class Failure(Exception):
    """A call gave no result, whoever must act."""


class Reject(Failure):
    """The model must act: it reads the text as the tool's output `{"error": text}`, and the session goes on.

    Only tools reject, and only on purpose: `raise Reject("no such city")`.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Refuse(Failure):
    """The caller must act: the request was not acceptable. It is answered with an HTTP status and `{"detail": …}`.

    `status` is from 400 to 599; anything else becomes 500. `detail` is text or any other JSON.
    """

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status if 400 <= status < 600 else 500
        self.detail = detail

    @classmethod
    def not_found(cls) -> "Refuse":
        """404 `Not Found`, as for a route that does not exist."""
        return cls(404, "Not Found")


class Fault(Failure):
    """The environment must be mended: something that should not happen did. There is no reward."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def is_judge_failure(self) -> bool:
        """Whether a model server is at fault, and not the environment."""
        return isinstance(self, JudgeFailed)


class JudgeFailed(Fault):
    """A model server that grading depends on is at fault. The attempt may be graded again."""


class ModelFailure(JudgeFailed):
    """A model server gave no response. Not caught, it blames the model server.

    `kind` is `unknown-server`, `status`, `unavailable` or `unreadable`; `status` and `body` are there for an HTTP error.
    """

    def __init__(self, kind: str, reason: str = "", *, status: int | None = None, body: str = "") -> None:
        texts = {
            "unknown-server": f"the configuration has no model server `{reason}`",
            "status": f"the model server answered with HTTP status {status}",
            "unavailable": f"the model server gave no answer: {reason}",
            "unreadable": f"the model server's answer is not a Response: {reason}",
        }
        super().__init__(texts[kind])
        self.kind = kind
        self.reason = reason
        self.status = status
        self.body = body


def unfit(reason: str) -> Refuse:
    """The refusal of a request that does not fit its type. The host has checked requests against the schemas before, so
    this is for what a schema cannot say."""
    return Refuse(422, [{"type": "value_error", "loc": ["body"], "msg": reason}])


def outside_of_tools(failure: Failure) -> Failure:
    """Only a tool speaks to the model: elsewhere a rejection is a mistake of the environment."""
    if isinstance(failure, Reject):
        return Fault(f"rejected outside of a tool: {failure.text}")
    return failure
