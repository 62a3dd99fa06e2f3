# SPDX-License-Identifier: Apache-2.0
"""Questions about the words of a text that only the tools can see. See the README for the reward rule."""

import random
import re
from dataclasses import dataclass

from gym_host_sdk import Attempt, Context, Reject, Verdict, resources_server, seed_session, text, tool, verify

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


@dataclass
class Config:
    """Settings in the server's configuration.

    Attributes:
        format_reward: What the reward is for an answer in a box, right or wrong; the rest is for a right one.
    """

    format_reward: float = 0.2


@dataclass
class Page:
    """What a session begins with.

    Attributes:
        page: The text, lines separated by line breaks.
    """

    page: str


@dataclass
class Task:
    """What grading needs.

    Attributes:
        expected_answer: The right answer: a number or a word.
    """

    expected_answer: str


@resources_server(echo=True, config=Config, scores={"accuracy": "right"}, answer_field="extracted_answer")
class WordCount:
    """One session: the lines of its page."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    @seed_session
    @classmethod
    def seed(cls, page: Page) -> "tuple[WordCount, dict]":
        session = cls(page.page.splitlines())
        return session, {"lines": len(session.lines)}

    def words(self) -> list[str]:
        """All words in lower case, in order."""
        return _WORD.findall("\n".join(self.lines).lower())

    @tool
    def count_words(self) -> dict:
        """Count all words of the page, and how many different ones there are."""
        words = self.words()
        return {"words": len(words), "different": len(set(words))}

    @tool
    def find_word(self, word: str, first: int = 1) -> dict:
        """Find a word on the page, whatever its case.

        Args:
            word: One word, for example `harbour`.
            first: The line to begin at, 1 if null.
        """
        wanted = word.strip().lower()
        if not _WORD.fullmatch(wanted):
            raise Reject(f"`{word}` is not one word")
        if not 1 <= first <= len(self.lines):
            raise Reject(f"there is no line {first}, only 1 to {len(self.lines)}")
        counts = {}
        for number, line in enumerate(self.lines[first - 1 :], first):
            count = _WORD.findall(line.lower()).count(wanted)
            if count:
                counts[number] = count
        return {"count": sum(counts.values()), "lines": list(counts)}

    @tool
    def word_lengths(self) -> dict:
        """The shortest, the median and the longest length of the page's words, and the first word of the longest ones."""
        # Imported where it is needed: modules of the standard library are there at any time.
        import statistics

        words = self.words()
        if not words:
            raise Reject("the page has no words")
        lengths = [len(word) for word in words]
        longest = max(words, key=len)
        return {
            "shortest": min(lengths),
            "median": statistics.median(lengths),
            "longest": len(longest),
            "longest_word": longest,
        }

    @tool
    def read_line(self, number: int | None, cx: Context) -> dict:
        """Read one line of the page.

        Args:
            number: Which one, from 1; any one if null.
        """
        if not self.lines:
            raise Reject("the page is empty")
        if number is None:
            number = random.randint(1, len(self.lines))
            cx.debug(f"line {number} was drawn")
        if not 1 <= number <= len(self.lines):
            raise Reject(f"there is no line {number}, only 1 to {len(self.lines)}")
        return {"number": number, "line": self.lines[number - 1]}

    @verify
    def verify(self, attempt: Attempt[Task], cx: Context) -> Verdict:
        answer = text.last_boxed(attempt.last_assistant_text())
        right = answer is not None and text.normalize(answer) == text.normalize(attempt.task.expected_answer)
        part = cx.config(Config).format_reward
        parts = {"format": part if answer is not None else 0.0, "answer": 1.0 - part if right else 0.0}
        return Verdict.of_components(parts, extracted_answer=answer, right=right)
