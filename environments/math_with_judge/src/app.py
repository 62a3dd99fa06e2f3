# SPDX-License-Identifier: Apache-2.0
"""Answers to mathematical problems, compared with the expected ones by math-verify, and by a judge where it does not see
them as equal. See the README for the reward rule."""

from dataclasses import dataclass
from typing import Any, Literal

from gym_host_sdk import (
    Attempt,
    Context,
    Description,
    Fault,
    Score,
    Verdict,
    at_build,
    describe,
    resources_server,
    text,
    verify,
)

import corpus
import library
from judge import Judge


@dataclass
class ModelServer:
    """A reference to a model server.

    Attributes:
        name: Its name in the configuration.
    """

    name: str


@dataclass
class Config:
    """Settings in the server's configuration.

    Attributes:
        judge_model_server: Who is asked where the library does not see equality.
        judge_responses_create_params: The parameters of every request to the judge; its messages take the place of `input`.
        should_use_judge: Whether the judge is asked at all.
        library_verifier_timeout_seconds: Must be positive. The host takes it for `limits.cpu_ms` where that is not set.
        library_verifier_max_concurrency: Must be positive, and has no other effect: the host bounds how much runs at once.
        reward_rules: The release of NeMo Gym whose rule counts.
    """

    judge_model_server: ModelServer
    judge_responses_create_params: dict[str, Any]
    should_use_judge: bool = True
    library_verifier_timeout_seconds: float = 10.0
    library_verifier_max_concurrency: int = 32
    reward_rules: Literal["current", "august_2026"] = "current"


@dataclass
class Task:
    """What grading needs.

    Attributes:
        question: The problem, for the judge.
        expected_answer: The right answer in LaTeX, also between `\\(` and `\\)` or between dollar signs.
    """

    question: str
    expected_answer: str


@resources_server(
    reusable=True,
    reverify="stateless",
    config=Config,
    scores=[
        Score("symbolic_accuracy", "library_reward", "library_reward"),
        Score("judge_accuracy", "reward", "judge_evaluations"),
    ],
    answer_field="extracted_answer",
)
class MathWithJudge:
    """Keeps nothing between calls but what the libraries have in their caches."""

    @at_build
    @staticmethod
    def warm_up() -> None:
        """Compares all pairs of the corpus, which fills the caches of the libraries. Fails the build where a verdict is
        another than the stated one."""
        corpus.check()
        library.forget()

    @describe
    @staticmethod
    def describe(description: Description, cx: Context) -> None:
        """Checks what a type cannot say of the configuration."""
        config = cx.config(Config)
        for name in ("library_verifier_timeout_seconds", "library_verifier_max_concurrency"):
            if getattr(config, name) <= 0:
                raise Fault(f"`{name}` must be positive")
        if config.library_verifier_max_concurrency != Config.library_verifier_max_concurrency:
            cx.warn("`library_verifier_max_concurrency` has no effect: the host bounds how much runs at once")
        description.echo = ["expected_answer"]

    @verify
    def verify(self, attempt: Attempt[Task], cx: Context) -> Verdict:
        config = cx.config(Config)
        said = attempt.output_text()
        boxed = text.last_boxed(said)
        if config.reward_rules == "current" and (boxed is None or not boxed.strip()):
            return _verdict(0.0, None, 0.0, None)
        library_reward, extracted = library.compare(attempt.task.expected_answer, said)
        if not config.should_use_judge or library_reward > 0.5:
            return _verdict(library_reward, extracted, library_reward, None)
        shown = boxed
        if config.reward_rules == "august_2026":
            shown = extracted or said
        judge = Judge(cx, config.judge_model_server.name, config.judge_responses_create_params)
        equal = judge.both_ways(attempt.task.question, attempt.task.expected_answer, shown)
        return _verdict(1.0 if equal else 0.0, extracted, library_reward, judge.evaluations)


def _verdict(reward: float, extracted: str | None, library_reward: float, evaluations: list | None) -> Verdict:
    return Verdict(reward, extracted_answer=extracted, library_reward=library_reward, judge_evaluations=evaluations)
