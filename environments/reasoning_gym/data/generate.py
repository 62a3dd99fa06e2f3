# SPDX-License-Identifier: Apache-2.0
"""Writes `data/example.jsonl` and `tests/cases.jsonl`: `PYTHONHASHSEED=0 python data/generate.py` in the folder of the
environment, with reasoning-gym installed."""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent
sys.path[:0] = [str(FOLDER / "src"), str(FOLDER / "../../guest-sdk/python/src")]

import app  # noqa: E402

TASKS = ["basic_arithmetic", "gcd", "chain_sum", "leg_counting", "spell_backward", "number_sorting", "caesar_cipher",
         "simple_equations", "base_conversion", "count_primes", "letter_counting", "time_intervals"]
EXAMPLE = {"question": "Q", "answer": "12", "metadata": {"source_dataset": "gcd"}, "responses_create_params": {"input": "Q"}}
COUNTDOWN = {
    **EXAMPLE,
    "answer": "2 + 3*4",
    "metadata": {"source_dataset": "countdown", "numbers": [2, 3, 4], "target": 14},
}


def case(name, said, reward, task, kind="edge", **expect):
    made = {"name": name, "kind": kind, "task": task, "turns": [{"text": said}]}
    if reward is not None:
        made["reward"] = reward
    return {**made, "expect": expect} if expect else made


def cases(rows):
    for index, row in enumerate(rows):
        name = row["metadata"]["source_dataset"]
        right = f"Let me see. <answer>{row['answer']}</answer>"
        told = {"task_name": name, "score": 1.0, "extracted_answer": row["answer"]}
        yield case(f"{name}: right", right, 1.0, index, "perfect", **told)
        yield case(f"{name}: wrong", "<answer>-</answer>", 0.0, index, "wrong", task_name=name, score=0.0)
    yield case("the last answer counts", "<answer>12</answer> no, <answer> 7 </answer>", 0.0, EXAMPLE, extracted_answer="7")
    yield case("a box where there are no tags", "\\boxed{ 12 } or \\boxed{3}", 1.0, EXAMPLE, extracted_answer="12")
    yield case("tags win over a box", "<answer>12</answer> \\boxed{3}", 1.0, EXAMPLE, extracted_answer="12")
    yield case("all of the text where there is neither", " 12\n", 1.0, EXAMPLE, extracted_answer="12")
    # The library's rule without a scorer of its own: the part of the answer that is the right one.
    yield case("the right answer within other text", "it is 12", 0.25, EXAMPLE, extracted_answer="it is 12")
    yield case("another solution", "<answer>4*3 + 2</answer>", 1.0, COUNTDOWN)
    yield case("a solution with other numbers", "<answer>7*2</answer>", 0.05, COUNTDOWN)
    yield case("a dataset that is not known", "12", 0.0, {**EXAMPLE, "metadata": {"source_dataset": "no_such"}})
    yield {**case("a row without a dataset", "12", None, {**EXAMPLE, "metadata": {}}), "status": 500}


def write(path, lines):
    (FOLDER / path).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


made = [app.generate.rows({"task": task, "size": 1, "seed": 11, "start": 0, "count": 1})["rows"][0] for task in TASKS]
write("data/example.jsonl", made)
write("tests/cases.jsonl", cases(made))
