# SPDX-License-Identifier: Apache-2.0
"""What math-verify says of an answer."""

import contextlib
import io
import logging
import sys
from functools import lru_cache

from antlr4 import CommonTokenStream
from antlr4.atn.PredictionMode import PredictionMode
from gym_host_sdk import Fault
from latex2sympy2_extended import latex2sympy2
from math_verify import grader, parser
from math_verify.metric import math_metric
from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig
from sympy.core.cache import clear_cache

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)

_metric = math_metric(
    gold_extraction_target=(LatexExtractionConfig(),),
    pred_extraction_target=(ExprExtractionConfig(), LatexExtractionConfig()),
)


class _Parser(latex2sympy2.PSParser):
    """The library's parser, in two stages, as ANTLR's documentation proposes. The simple prediction either finds the same
    tree as the full one, at a fraction of the time, or ends with a syntax error; then the full one has the last word."""

    def math(self):
        simulator = self._interp
        simulator.predictionMode = PredictionMode.SLL
        try:
            return super().math()
        except Exception:
            # From the first character: a lexer that has met an error would go on behind it.
            lexer = self.getTokenStream().tokenSource
            lexer.reset()
            self.setTokenStream(CommonTokenStream(lexer))
            simulator.predictionMode = PredictionMode.LL
            return super().math()


latex2sympy2.PSParser = _Parser
# The library keeps what it read last, 20 expressions. Many attempts at one task have the same expected answer, and often the
# same answer.
parser.parse_latex_cached = lru_cache(maxsize=500)(parser.parse_latex_cached.__wrapped__)


def compare(expected: str, said: str) -> tuple[float, str | None]:
    """1 if the text has an answer that equals the expected one, otherwise 0; and the answer that was found in the text:
    the one that equals, or else the first one.

    What the library cannot read is not equal. It has no time limit here: the host's deadline ends the call, and then
    there is no reward. Nor is there one when memory ran out.
    """
    _memory_errors.clear()
    gold = "\\boxed{" + strip_delimiters(expected) + "}"
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            reward, strings = _metric([gold], [said])
            result = float(reward), _extracted(strings)
    except Exception:
        result = 0.0, None
    if _memory_errors:
        raise Fault("the comparison needs more memory than there is")
    return result


def _extracted(strings: tuple[list[str], list[str]] | None) -> str | None:
    if strings is None:
        return None
    golds, found = strings
    for answer in found:
        if any(grader.verify(gold, answer) for gold in golds):
            return answer
    return found[0] if found else None


def strip_delimiters(text: str) -> str:
    """Text without the `\\(…\\)` and then without the `$…$` that encloses all of it."""
    text = text.strip()
    if text.startswith("\\(") and text.endswith("\\)"):
        text = text[2:-2].strip()
    if text.startswith("$") and text.endswith("$") and len(text) > 1:
        text = text[1:-1].strip()
    return text


#: One for each time that memory ran out during a comparison.
_memory_errors: list[None] = []


def _watch() -> None:
    """The library takes every exception for "not equal". Where Python can tell, memory that ran out is noticed."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return

    def raised(code: object, offset: int, exception: BaseException) -> None:
        if isinstance(exception, MemoryError):
            _memory_errors.append(None)

    monitoring.use_tool_id(monitoring.OPTIMIZER_ID, "math_with_judge")
    monitoring.register_callback(monitoring.OPTIMIZER_ID, monitoring.events.RAISE, raised)
    monitoring.set_events(monitoring.OPTIMIZER_ID, monitoring.events.RAISE)


_watch()


def forget() -> None:
    """Empties SymPy's cache, which only makes things faster that were computed before."""
    clear_cache()
