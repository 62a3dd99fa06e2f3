# SPDX-License-Identifier: Apache-2.0
"""Writes the example tasks, and an attempt at each that is right and one that is wrong.

    python3 generate.py
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
FORMS = {
    "final_answer": "End with a line \"Answer: ...\".",
    "boxed": "Put the answer in \\boxed{}.",
    "last_line": "Write nothing but the answer on the last line.",
    "full_response": "Write the answer and nothing else.",
}

# Question, expected answer, mode, whether the case matters, a right attempt, a wrong one.
TASKS = [
    ("Which planet is closest to the sun?", "Mercury", None, False, "It orbits in 88 days.\nFinal answer: mercury.", "Answer: Venus"),
    ("How much is 15 % of 240?", "36", None, False, "240 * 0.15 = 36.\nAnswer: $36.00", "Answer: 3.6"),
    ("Which three seas border Turkey besides the Marmara?", "Mediterranean, Aegean and Black Sea", None, False, "Answer: Mediterranean; Aegean; Black Sea", "Answer: Mediterranean, Caspian and Black Sea"),
    ("In which US state is Albuquerque?", "New Mexico", None, False, "Answer: NM", "Answer: Arizona"),
    ("Simplify 6/8.", "\\frac{3}{4}", "boxed", False, "Divide by two: \\boxed{\\frac{3}{4}}", "\\boxed{\\frac{6}{8}}"),
    ("Which word means a shape with five sides?", "pentagon", "boxed", False, "\\boxed{\\text{Pentagon}}", "\\boxed{\\text{Hexagon}}"),
    ("How many degrees does a right angle have?", "90°", "boxed", False, "\\boxed{90°}", "\\boxed{180°}"),
    ("What is the capital of Iceland?", "Reykjavik", "last_line", False, "The capital is in the south-west.\n\n\"Reykjavik\"", "Reykjavik is not easy to spell.\nOslo"),
    ("What does the abbreviation of the unit of pressure look like?", "Pa", "last_line", True, "It is short for pascal.\nPa", "pa"),
    ("Which chemical formula does water have?", "H2O", "full_response", True, "H2O", "h2o"),
    ("How many seconds does a day have?", "86400", "full_response", False, "86,400", "3600"),
    ("Which ocean lies between Africa and Australia?", "Indian Ocean", "full_response", False, "Indian Ocean!", "The Indian Ocean, of course"),
]


def write(path, rows):
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (FOLDER / path).write_text("".join(lines), encoding="utf-8")


def main():
    rows, cases = [], []
    for number, (question, expected, mode, exact, right, wrong) in enumerate(TASKS):
        prompt = f"{question} {FORMS[mode or 'final_answer']}"
        row = {"responses_create_params": {"input": [{"role": "user", "content": prompt}]}, "expected_answer": expected}
        if mode:
            row["extraction_mode"] = mode
        if exact:
            row["case_sensitive"] = True
        rows.append(row)
        for kind, text, reward in (("perfect", right, 1.0), ("wrong", wrong, 0.0)):
            cases.append({
                "name": f"question {number}: {'the right answer' if reward else 'another answer'}",
                "kind": kind, "task": number, "turns": [{"text": text}], "reward": reward,
                "expect": {"expected_answer": expected},
            })
    write("data/example.jsonl", rows)
    edges = (FOLDER / "tests/edge_cases.jsonl").read_text(encoding="utf-8")
    write("tests/cases.jsonl", cases + [json.loads(line) for line in edges.splitlines()])


if __name__ == "__main__":
    main()
