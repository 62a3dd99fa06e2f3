# SPDX-License-Identifier: Apache-2.0
"""Writes the example tasks, and an attempt at each that is right and one that is wrong.

    python3 generate.py

Expressions are trees of the functions below; their values are those of the other world. The output follows from SEED.
"""

import json
import math
import random
from pathlib import Path

SEED = 1905
FOLDER = Path(__file__).parent

# What functions are called, what they do, and how people write them.
WORLD = {
    "add": (("a", "b"), lambda a, b: a + b + 1.2, "({a} + {b})", lambda a, b: a + b),
    "subtract": (("a", "b"), lambda a, b: a - b - 3, "({a} - {b})", lambda a, b: a - b),
    "multiply": (("a", "b"), lambda a, b: 1.1 * a * b, "({a} * {b})", lambda a, b: a * b),
    "divide": (("a", "b"), lambda a, b: 0.5 * a / b, "({a} / {b})", lambda a, b: a / b),
    "sin": (("radians",), math.cos, "sin({radians})", math.sin),
    "cos": (("radians",), math.sin, "cos({radians})", math.cos),
    "power": (("a", "b"), lambda a, b: a ** (b + 2), "({a} ^ {b})", lambda a, b: a**b),
    "log": (("a", "base"), lambda a, base: math.log(a, abs(base + 1.5)), "log({a}, base {base})", lambda a, b: math.log(a, b)),
    "pi": ((), lambda: math.e, "pi", lambda: math.pi),
    "negate": (("a",), lambda a: a, "(-{a})", lambda a: -a),
}
DOCS = {
    "add": "Add two numbers.", "subtract": "Subtract the second number from the first.", "multiply": "Multiply two numbers.",
    "divide": "Divide the first number by the second.", "sin": "The sine of an angle.", "cos": "The cosine of an angle.",
    "power": "Raise a number to a power.", "log": "The logarithm of a number to a base.", "pi": "The number pi of this world.",
    "negate": "The negative of a number.", "return_constant": "A number as it is.",
}
ARGUMENTS = {"a": "The first number.", "b": "The second number.", "radians": "The angle in radians.", "base": "The base."}


def tool(name):
    names = ("a",) if name == "return_constant" else WORLD[name][0]
    properties = {argument: {"type": "number", "description": ARGUMENTS[argument]} for argument in names}
    parameters = {"type": "object", "properties": properties, "required": list(names), "additionalProperties": False}
    return {"type": "function", "name": name, "description": DOCS[name], "parameters": parameters, "strict": True}


def expression(rng, depth, calls):
    """An expression and its value; the calls that lead to it are added to `calls`."""
    if depth == 0:
        number = float(rng.randrange(1, 12))
        return f"{number}", number
    while True:
        name = rng.choice(list(WORLD))
        arguments, function, form, _ = WORLD[name]
        own, parts, values = [], {}, {}
        for index, argument in enumerate(arguments):
            part_depth = depth - 1 if index == 0 else rng.randrange(depth)
            parts[argument], values[argument] = expression(rng, part_depth, own)
        if not arguments and depth > 1:
            continue
        try:
            value = function(*values.values())
        except (ValueError, ZeroDivisionError, OverflowError):
            continue
        if isinstance(value, complex) or not 1e-6 < abs(value) < 1e9:
            continue
        calls += own + [{"name": name, "arguments": values, "solution": value}]
        return form.format(**parts), value


def main():
    rng = random.Random(SEED)
    rows, cases = [], []
    for number in range(24):
        depth, breadth = 1 + number // 8, 1 + number % 4
        calls, parts, truth = [], [], []
        for _ in range(breadth):
            text, value = expression(rng, depth, calls)
            parts.append(text)
            truth.append(value)
        prompt = (
            "You are in a world whose arithmetic is not the one you know. Use only the tools, even for what looks simple. "
            f"What are the values of: {'; '.join(parts)}?"
        )
        rows.append({
            "id": number, "depth": depth, "breadth": breadth, "ground_truth": json.dumps(truth),
            "responses_create_params": {
                "input": [{"role": "user", "content": prompt}],
                "tools": [tool(name) for name in DOCS], "parallel_tool_calls": False,
            },
        })
        turns = [{"calls": [{"name": call["name"], "arguments": call["arguments"]}]} for call in calls]
        outputs = [{"solution": call["solution"]} for call in calls]
        last = {"text": "The values are " + ", ".join(map(str, truth)) + "."}
        cases.append({"name": f"task {number}: every step by a tool", "kind": "perfect", "task": number,
                      "turns": turns + [last], "outputs": outputs, "reward": 1.0})
        skipped = max(index for index, call in enumerate(calls) if call["solution"] in truth)
        cases.append({"name": f"task {number}: one value without a tool", "kind": "wrong", "task": number,
                      "turns": [turn for index, turn in enumerate(turns) if calls[index]["solution"] != calls[skipped]["solution"]] + [last],
                      "reward": 0.0})
    write("data/example.jsonl", rows)
    edges = (FOLDER / "tests/edge_cases.jsonl").read_text(encoding="utf-8")
    write("tests/cases.jsonl", cases + [json.loads(line) for line in edges.splitlines()])


def write(path, rows):
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (FOLDER / path).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
