# SPDX-License-Identifier: Apache-2.0
"""Writes the example tasks, an attempt at each that is right and one that is wrong, and what a judge says of them.

    python3 generate.py
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
EQUAL, DIFFERENT = "[[A=B]]", "[[A!=B]]"
BOX = r"\\boxed\{(.*?)\}"

# Question, expected answer, a right answer in other words, a wrong one, the pattern of the row.
TASKS = [
    ("Which metal has the chemical symbol W?", "tungsten", "It is wolfram, better known in English as tungsten.", "It is titanium.", None),
    ("At which temperature in degrees Celsius does water boil at sea level?", "100 °C", "One hundred degrees Celsius.", "At about 90 °C.", None),
    ("Who wrote the play \"Mother Courage and Her Children\"?", "Bertolt Brecht", "B. Brecht", "Friedrich Dürrenmatt", None),
    ("What is the derivative of x^2 * e^x?", "(x^2 + 2x) e^x", "x (x + 2) e^x, by the product rule", "2x e^x", None),
    ("Which two gases make up most of the air?", "nitrogen and oxygen", "Oxygen and nitrogen, the latter far ahead.", "Oxygen and carbon dioxide.", None),
    ("In which year did the Berlin Wall fall?", "1989", "In November 1989.", "It fell in 1991, I think, or in 1989.", None),
    ("What is the name of the process in which a solid turns into a gas without melting?", "sublimation", "It sublimates, so: sublimation.", "evaporation", None),
    ("How many moons does Mars have, and what are they called?", "two: Phobos and Deimos", "2, Deimos and Phobos", "One, Phobos.", None),
    ("What is three quarters as a decimal number? Put it in \\boxed{}.", "0.75", "\\boxed{.750}", "\\boxed{0.34}", BOX),
    ("Which river flows through Cairo? Put it in \\boxed{}.", "the Nile", "Cairo lies on it: \\boxed{Nile}", "\\boxed{Jordan}", BOX),
    ("What is the sum of the angles of a triangle? Put it in \\boxed{}.", "180 degrees", "\\boxed{\\pi rad}", "\\boxed{360°}", BOX),
    ("Which gas do plants take in for photosynthesis? Put it in \\boxed{}.", "carbon dioxide", "\\boxed{CO2}", "\\boxed{O2}", BOX),
]


def extracted(text, pattern):
    """What the judge reads of an answer."""
    import re

    found = re.findall(pattern, text, re.MULTILINE | re.DOTALL) if pattern else []
    return found[-1].strip() if found else text


def answer(equal):
    reason = "Both say the same." if equal else "The candidate says something else than the reference."
    return {"text": f"{reason}\n{EQUAL if equal else DIFFERENT}"}


def write(path, rows):
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (FOLDER / path).write_text("".join(lines), encoding="utf-8")


def main():
    rows, cases, script = [], [], []
    for number, (question, expected, right, wrong, pattern) in enumerate(TASKS):
        row = {
            "responses_create_params": {"input": [{"role": "user", "content": question}]},
            "uuid": f"equivalence-{number:02d}",
            "question": question,
            "expected_answer": expected,
        }
        if pattern:
            row["template_metadata"] = {"output_regex": pattern}
        rows.append(row)
        for kind, text in (("perfect", right), ("wrong", wrong)):
            equal = kind == "perfect"
            cases.append({
                "name": f"question {number}: {'the same in other words' if equal else 'another answer'}",
                "kind": kind, "task": number, "turns": [{"text": text}],
                "models": {"judge_model": [answer(equal)]},
                "reward": 1.0 if equal else 0.0,
                "expect": {"expected_answer": expected, "uuid": row["uuid"]},
            })
            needle = f"<candidate>\n{extracted(text, pattern)}\n</candidate>"
            script.append({"contains": needle, "attempts": [[answer(equal)]]})
    write("data/example.jsonl", rows)
    edges = (FOLDER / "tests/edge_cases.jsonl").read_text(encoding="utf-8")
    write("tests/cases.jsonl", cases + [json.loads(line) for line in edges.splitlines()])
    write("tests/judge.jsonl", script)


if __name__ == "__main__":
    main()
