# SPDX-License-Identifier: Apache-2.0
"""Writes `example.jsonl` and `../tests/cases.jsonl`. Answers are found here by splitting at spaces, not by the
environment's own way."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent.parent / "guest-sdk/python/src")]

import app  # noqa: E402
from gym_host_sdk import Instance  # noqa: E402

PAGES = {
    "harbour": """The harbour wakes before the town.
Gulls argue over the roofs and the first boats come in,
low in the water, and the men on the wall count the boats.
Nobody speaks of the storm, but everybody looks at the sky.
By noon the harbour sleeps again and only the gulls are left.""",
    "bakery": """Flour hangs in the air like slow snow.
The baker folds the dough, turns the dough, and folds it again.
Bread needs time, says the baker, and bread needs warmth.
Outside people wait for bread in a patient row.""",
    "railway": """The night train carries letters, apples and one violin.
At each small station a lamp swings once and the train moves on.
The guard reads the letters' addresses aloud to stay awake.
Somewhere after midnight the violin begins to play by itself,
and the guard, who is a careful man, writes that down.""",
    "garden": """Grandmother plants beans beside corn and squash beside beans.
Nothing grows alone, she says, not even a cactus.
In autumn she saves the seeds in envelopes made of newspaper,
writes the year on each, and hides the envelopes from the mice.""",
}
QUESTIONED = {"harbour": "gulls", "bakery": "bread", "railway": "violin", "garden": "beans"}
SYSTEM = "You answer questions about the words of a page. You cannot see it: use the tools. Answer in \\boxed{}."


def words_of(page: str) -> list[str]:
    cleaned = "".join(c if c.isalpha() or c == "'" else " " for c in page.lower())
    return [word.strip("'") for word in cleaned.split()]


def questions(page: str, word: str):
    words = words_of(page)
    lengths = sorted(map(len, words))
    middle = len(lengths) // 2
    median = lengths[middle] if len(lengths) % 2 else (lengths[middle - 1] + lengths[middle]) / 2
    yield "How many words does the page have?", [("count_words", {})], str(len(words))
    yield (
        f"How often does the word `{word}` occur?",
        [("find_word", {"word": word, "first": None})],
        str(words.count(word)),
    )
    yield "What is the longest word? Of several, the first.", [("word_lengths", {})], max(words, key=len)
    yield "What is the median length of the words?", [("word_lengths", {})], f"{median:g}"
    last = len(page.splitlines())
    in_last = words_of(page.splitlines()[-1])
    calls = [("read_line", {"number": last}), ("find_word", {"word": "the", "first": last})]
    yield f"How often does the word `the` occur in line {last}?", calls, str(in_last.count("the"))


def main() -> None:
    description = Instance(app.WordCount).describe()
    tools = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "strict": True,
        }
        for tool in description.tools
    ]
    rows, cases = [], []
    for name, page in PAGES.items():
        for question, calls, answer in questions(page, QUESTIONED[name]):
            asked = f"This is about the page `{name}`. {question}"
            messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]
            params = {"input": messages, "tools": tools, "parallel_tool_calls": False}
            index = len(rows)
            rows.append({"responses_create_params": params, "page": page, "expected_answer": answer})
            turns = [{"calls": [{"name": tool, "arguments": arguments}]} for tool, arguments in calls]
            cases.append(
                {
                    "name": f"{name}: {question}",
                    "kind": "perfect",
                    "task": index,
                    "turns": [*turns, {"text": f"It is \\boxed{{{answer}}}."}],
                    "reward": 1.0,
                    "expect": {"right": True, "extracted_answer": answer},
                }
            )
            cases.append(
                {
                    "name": f"{name}: {question} A guess.",
                    "kind": "wrong",
                    "task": index,
                    "turns": [{"text": "It is \\boxed{none}."}],
                    "reward": 0.2,
                    "expect": {"right": False, "reward_components": {"format": 0.2, "answer": 0.0}},
                }
            )
    cases += edges(rows)
    for path, lines in ((HERE / "example.jsonl", rows), (HERE.parent / "tests/cases.jsonl", cases)):
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def edges(rows: list) -> list:
    answer = rows[0]["expected_answer"]

    def edge(name: str, turns: list, reward: float, **more) -> dict:
        return {"name": name, "kind": "edge", "task": 0, "turns": turns, "reward": reward, **more}

    message = {"type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": f"\\boxed{{{answer}}}", "annotations": []}
    other = {"type": "output_text", "text": "no box", "annotations": []}
    return [
        edge("an answer without a box", [{"text": f"It is {answer}."}], 0.0, expect={"extracted_answer": None}),
        edge("the last box counts", [{"text": f"\\boxed{{1}} no, \\boxed{{ {answer} }}"}], 1.0),
        edge("a box that is not closed is none", [{"text": f"\\boxed{{{answer}}} \\boxed{{{answer}"}], 0.0),
        edge("no answer at all", [{"output": []}], 0.0),
        edge(
            "only the last message counts",
            [{"output": [{**message, "id": "a", "content": [part]}, {**message, "id": "b", "content": [other]}]}],
            0.0,
        ),
        edge("the worth of a box is set", [{"text": "\\boxed{none}"}], 0.5, config={"format_reward": 0.5}),
        edge(
            "what is not one word is rejected",
            [{"calls": [{"name": "find_word", "arguments": {"word": "a b", "first": None}}]}, {"text": "\\boxed{none}"}],
            0.2,
            outputs=[{"error": "`a b` is not one word"}],
        ),
        edge(
            "a tool that does not exist",
            [{"calls": [{"name": "shout", "arguments": {}}]}, {"text": f"\\boxed{{{answer}}}"}],
            1.0,
            outputs=[{"detail": "Not Found"}],
        ),
    ]


if __name__ == "__main__":
    main()
