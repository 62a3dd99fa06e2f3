# SPDX-License-Identifier: Apache-2.0
"""Writes `data/example.jsonl` and `tests/cases.jsonl`: `python data/generate.py` in the folder of the environment."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent.parent
# Question, expected answer, the same written otherwise, and another answer.
TASKS = [
    ("What is the sum of the first twelve odd numbers?", "144", "12^2", "132"),
    ("Which fraction in lowest terms equals 84/126?", r"\frac{2}{3}", "2/3", r"\frac{3}{2}"),
    ("Solve $3x - 7 = 11$ for $x$.", "x = 6", "6", "x = 4"),
    ("Factor $x^2 + x - 12$.", "(x-3)(x+4)", "(x+4)(x-3)", "(x+3)(x-4)"),
    ("How long is the diagonal of a square with sides of length 3?", r"$3\sqrt{2}$", r"\sqrt{18}", r"2\sqrt{3}"),
    ("What is the probability of two heads in three tosses of a fair coin?", r"\(\frac{3}{8}\)", "0.375", r"\frac{1}{4}"),
    ("For which $x$ is $2x - 1 > 5$?", "x > 3", r"(3, \infty)", "x < 3"),
    ("Give all solutions of $x^2 = 9$ as a set.", r"\{-3, 3\}", r"\{3, -3\}", r"\{3\}"),
    ("What is the area of a circle of radius 5?", r"25\pi", r"5^2 \pi", r"10\pi"),
    ("What is the derivative of $x^3 + 2x$?", "3x^2 + 2", "2 + 3x^2", "3x^2"),
    ("What is $\\sin(\\pi/3)$?", r"\frac{\sqrt{3}}{2}", r"\sqrt{\frac{3}{4}}", r"\frac{1}{2}"),
    (
        "What is the inverse of the matrix with the rows 1, 1 and 0, 1?",
        r"\begin{pmatrix} 1 & -1 \\ 0 & 1 \end{pmatrix}",
        r"\begin{bmatrix}1&-1\\0&1\end{bmatrix}",
        r"\begin{pmatrix}1&1\\0&1\end{pmatrix}",
    ),
]
JUDGED = {"should_use_judge": True}
AUGUST = {"reward_rules": "august_2026"}
ROW = {"responses_create_params": {"input": "x"}, "question": "Which colour?", "expected_answer": r"\text{dark blue}"}
EQUAL, DIFFERENT = {"text": "They are the same. [[A=B]]"}, {"text": "[[A!=B]]"}


def rows() -> list[dict]:
    form = "Solve the following problem. Put the answer, and nothing else, into \\boxed{}.\n\n"
    return [
        {
            "responses_create_params": {"input": [{"role": "user", "content": form + question}]},
            "question": question,
            "expected_answer": expected,
        }
        for question, expected, _, _ in TASKS
    ]


def case(name: str, text: str, reward: float | None, task=0, kind=None, config=None, models=None, **more) -> dict:
    made = {"name": name, "kind": kind or "edge", "task": task, "turns": [{"text": text}], **more}
    if config is not None:
        made["config"] = config
    if reward is not None:
        made["reward"] = reward
    if models is not None:
        made["models"] = {"math_judge_model": models}
    return made


def cases():
    for index, (_, expected, same, other) in enumerate(TASKS):
        told = {"library_reward": 1.0, "judge_evaluations": None, "expected_answer": expected}
        yield case(f"task {index}: right", f"So it is $\\boxed{{{same}}}$.", 1.0, index, "perfect", expect=told)
        told = {"library_reward": 0.0, "judge_evaluations": None}
        yield case(f"task {index}: wrong", f"So it is $\\boxed{{{other}}}$.", 0.0, index, "wrong", expect=told)
    nothing = {"extracted_answer": None, "library_reward": 0.0, "judge_evaluations": None}
    yield case("an answer without a box", "It is $144$.", 0.0, expect=nothing)
    yield case("an answer without a box, by the rules of August", "It is $144$.", 1.0, config=AUGUST)
    yield case("an empty box after a right answer", "It is $\\boxed{144}$, $\\boxed{ }$.", 0.0, expect=nothing)
    yield case("an open box", "It is \\boxed{144", 0.0, expect=nothing)
    yield case("nothing at all", "", 0.0, expect=nothing)
    yield case("what is extracted", "It is $\\boxed{12^2}$.", 1.0, expect={"extracted_answer": "12**2"})
    yield case("judge: not asked when the library agrees", "It is \\boxed{144}.", 1.0, config=JUDGED, models=[])
    yield case("judge: not asked without a box", "Dark blue.", 0.0, ROW, config=JUDGED, models=[], expect=nothing)
    said = "It is \\boxed{\\text{the blue of the night}}."
    yield case("judge: equal both ways", said, 1.0, ROW, config=JUDGED, models=[EQUAL, EQUAL])
    yield case("judge: equal one way only", said, 0.0, ROW, config=JUDGED, models=[EQUAL, DIFFERENT])
    yield case("judge: different is asked once", said, 0.0, ROW, config=JUDGED, models=[DIFFERENT])
    both = {"text": "Not [[A!=B]] but [[A=B]]"}
    yield case("judge: the first label counts", said, 0.0, ROW, config=JUDGED, models=[both])
    yield case("judge: no label is not equal", said, 0.0, ROW, config=JUDGED, models=[{"text": "Perhaps."}])
    yield case("judge: ends in reasoning", said, 0.0, ROW, config=JUDGED, models=[{"reasoning": "Hm. [[A=B]]"}])
    yield case("judge: fails", said, None, ROW, config=JUDGED, models=[{"status": 503, "body": {"detail": "busy"}}])
    yield case("judge: gives no output", said, None, ROW, config=JUDGED, models=[{"output": []}])
    august = {**JUDGED, "reward_rules": "august_2026"}
    yield case("judge: asked without a box in August", "Dark blue.", 1.0, ROW, config=august, models=[EQUAL, EQUAL])
    plain = {"type": "message", "role": "assistant", "content": "\\boxed{144}"}
    made = case("a message with a string as content", "", None)
    yield {**made, "turns": [{"output": [plain]}]}


def write(path: str, lines) -> None:
    (FOLDER / path).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


write("data/example.jsonl", rows())
write("tests/cases.jsonl", cases())
