# SPDX-License-Identifier: Apache-2.0
"""Writes the example tasks, a good and a bad attempt at each, and what a judge says of them.

    python3 generate.py
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent

# Prompt, reference, a better response, a worse one.
TASKS = [
    ("Explain in one sentence why the sky is blue.", "Because of the air.", "Air scatters the short blue waves of sunlight more than the long red ones, so blue comes from everywhere.", "It reflects the sea."),
    ("Write a friendly reminder that the rent is due on Friday.", "Rent is due on Friday.", "Hi! Just a small reminder that the rent is due this Friday. Thank you!", "Pay."),
    ("How do I get a red wine stain out of a cotton shirt?", "Wash it.", "Dab it, do not rub; then salt or sparkling water, and wash it cold before the stain dries.", "Buy a new one."),
    ("Suggest a name for a bakery by the sea.", "The Bakery", "Salt & Crumb", "Bakery 2"),
    ("What should I consider before I adopt a dog?", "Whether you like dogs.", "Time for walks every day, costs of food and vet, space, who cares for it when you travel, and allergies.", "Nothing, dogs are easy."),
    ("Summarise: 'The meeting moved to Tuesday because the room was double-booked.'", "A meeting moved.", "The meeting is on Tuesday now, as the room was taken twice.", "The room moved to Tuesday."),
    ("Give me a rule of thumb for tipping in the USA.", "Tip something.", "Fifteen to twenty per cent of the bill before tax in restaurants; a dollar or two per drink at a bar.", "Tipping is illegal there."),
    ("Turn this into a question: You have been to Rome.", "Rome?", "Have you been to Rome?", "You have been to Rome."),
    ("Tell me what recursion is, for a child.", "A function that calls itself.", "It is like two mirrors facing each other: in each picture is a smaller picture of the same.", "See recursion."),
    ("Which two-word phrase could end a polite letter?", "Bye bye", "Kind regards", "Get lost"),
]


def judge(one, other):
    """What the judge says of two responses with these scores."""
    ranking = 2 if one > other else 5
    return {"text": "```json\n" + json.dumps({"score_1": one, "score_2": other, "ranking": ranking}) + "\n```"}


def write(path, rows):
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (FOLDER / path).write_text("".join(lines), encoding="utf-8")


def main():
    rows, cases, script = [], [], []
    for number, (prompt, reference, good, bad) in enumerate(TASKS):
        rows.append({
            "responses_create_params": {"input": [{"role": "user", "content": prompt}]},
            "prompt_id": f"prompt-{number:02d}", "reference_responses": [reference],
        })
        script.append({"contains": prompt, "attempts": [[judge(5, 3)], [judge(3, 5)]]})
        for kind, text, score in (("perfect", good, 5), ("wrong", bad, 1)):
            cases.append({
                "name": f"prompt {number}: {'better' if score == 5 else 'worse'} than the reference",
                "kind": kind, "task": number, "turns": [{"text": text}],
                "models": {"genrm_model": [judge(score, 3), judge(3, score)]},
                "reward": 1.0 if score == 5 else 0.0, "expect": {"score": float(score)},
            })
    write("data/example.jsonl", rows)
    write("tests/judge.jsonl", script)
    edges = (FOLDER / "tests/edge_cases.jsonl").read_text(encoding="utf-8")
    write("tests/cases.jsonl", cases + [json.loads(line) for line in edges.splitlines()])


if __name__ == "__main__":
    main()
