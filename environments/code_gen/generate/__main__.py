# SPDX-License-Identifier: Apache-2.0
"""Writes the example tasks, a right and a wrong attempt at each, and the attempts of `attempts.py`.

    python3 environments/code_gen/generate
"""

import json
import random
from pathlib import Path

import attempts
import functions
import programs

FOLDER = Path(__file__).parent.parent
PROGRAM = "Write a Python program. It reads standard input and prints the answer. Give it in one ```python block."
FUNCTION = "Write it in Python, by itself or as a method of a class `Solution`. Give it in one ```python block."
MORE = 3


def fenced(code):
    return f"```python\n{code}\n```"


def tests_of(task, chance):
    given = task.inputs + [task.more(chance) for _ in range(MORE)]
    if task.function is None:
        return {"inputs": given, "outputs": [task.judge(text) for text in given]}
    inputs = ["\n".join(map(json.dumps, arguments)) for arguments in given]
    outputs = [json.dumps(task.judge(*json.loads(json.dumps(arguments)))) for arguments in given]
    return {"inputs": inputs, "outputs": outputs, "fn_name": task.function}


def row_of(task, tests):
    prompt = f"{task.statement}\n\n{FUNCTION if task.function else PROGRAM}"
    message = {"role": "user", "content": prompt}
    metadata = {"unit_tests": tests, "difficulty": task.difficulty}
    return {"responses_create_params": {"input": [message]}, "verifier_metadata": metadata}


def write(path, rows):
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (FOLDER / path).write_text("".join(lines), encoding="utf-8")


def main():
    chance, rows, cases = random.Random(20260101), [], []
    for number, task in enumerate(programs.TASKS + functions.TASKS):
        tests = tests_of(task, chance)
        rows.append(row_of(task, tests))
        count = len(tests["inputs"])
        cases.append({
            "name": f"task {number}: right", "kind": "perfect", "task": number, "reward": 1.0,
            "turns": [{"reasoning": "Let me think.", "text": f"So:\n{fenced(task.right)}"}],
            "expect": {"result": [True] * count, "difficulty": task.difficulty, "extracted_model_code": task.right},
        })
        passed = task.passed
        cases.append({
            "name": f"task {number}: wrong", "kind": "wrong", "task": number, "reward": 0.0,
            "turns": [{"text": fenced(task.wrong)}], "expect": {"result": [True] * passed + [task.code]},
        })
    write("data/example.jsonl", rows)
    write("tests/cases.jsonl", cases + list(attempts.cases()))


main()
