# SPDX-License-Identifier: Apache-2.0
"""Writes the example tasks and their cases: python3 generate.py. The output follows from SEED."""

import json
import random
from pathlib import Path

SEED = 20260401
FOLDER = Path(__file__).parent
WHO = ["A fox", "The baker", "My neighbour", "An old clock", "The lighthouse keeper", "A red kite", "The librarian"]
DID = ["sings", "waits", "looks up", "smiles", "counts the boats", "walks home", "opens the window"]
WHEN = ["at dawn", "every Tuesday", "in the rain", "before the concert", "after lunch", "without a word"]
AGENT = {"type": "responses_api_agents", "name": "openenv_simple_agent"}


def tool(name, description, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "name": name, "description": description, "parameters": schema, "strict": True}


def row(system, user, tools):
    items = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return {"responses_create_params": {"input": items, "tools": tools}, "agent_ref": AGENT}


def echo_row(sentence):
    text = {"type": "string", "description": "What to say."}
    return row("You talk to a hall with an echo. Say something with the tool `step`.",
               f"Let the hall repeat this, once and to the letter: {sentence}", [tool("step", "Say something.", message=text)])


def step(**action):
    return {"calls": [{"name": "step", "arguments": action}]}


def call(name, **arguments):
    return {"calls": [{"name": name, "arguments": arguments}]}


def main():
    rng = random.Random(SEED)
    sentences = rng.sample([f"{who} {did} {when}." for who in WHO for did in DID for when in WHEN], 12)
    rows, cases = [], []
    for index, sentence in enumerate(sentences):
        rows.append(echo_row(sentence))
        observation = {"done": False, "reward": len(sentence) / 10, "metadata": {}, "echoed_message": sentence,
                       "message_length": len(sentence)}
        cases.append({"name": f"task {index}: said to the letter", "kind": "perfect", "task": index,
                      "turns": [step(message=sentence), {"text": "Done."}], "reward": len(sentence) / 10,
                      "outputs": [observation]})
        cases.append({"name": f"task {index}: nothing said", "kind": "wrong", "task": index,
                      "turns": [{"text": sentence}], "reward": 0.0})
    maze = row("You are in a maze.", "Find the way out.", [])
    config = {"env_class": "maze"}
    edge = [
        {"name": "rewards of all steps are added up", "task": echo_row("x"),
         "turns": [step(message="abcde"), step(message="üx"), {"text": "."}], "reward": 0.7},
        {"name": "an action that the environment does not take is told to the model", "task": echo_row("x"),
         "turns": [step(text="abc"), {"text": "."}], "reward": 0.0,
         "outputs": [{"error": "the action has no text `message`", "result": None}]},
        {"name": "there is no other tool than step", "task": echo_row("x"), "turns": [call("walk"), {"text": "."}],
         "reward": 0.0, "outputs": [{"detail": "Not Found"}]},
        {"name": "through the maze, and not on after its end", "config": config, "task": maze,
         "turns": [*[step(direction=d) for d in PATH], step(direction="up"), {"text": "Out."}], "reward": 1.0},
        {"name": "a wall costs a little", "config": config, "task": maze,
         "turns": [step(direction="left"), step(direction="sideways"), {"text": "."}], "reward": -0.05},
        {"name": "tools of the environment are called by their names", "config": {"env_class": "tools", "is_mcp": True}, "task": maze,
         "turns": [call("add", a=2, b=0.5), call("echo_message", message="hi"), call("add", a=1), call("fly"), {"text": "."}],
         "reward": 1.0,
         "outputs": [{"result": 2.5, "error": None}, {"result": "hi", "error": None},
                     {"result": None, "error": "an argument is missing"}, {"detail": "Not Found"}]},
    ]
    cases += [{"kind": "edge", **case} for case in edge]
    write(FOLDER / "data/example.jsonl", rows)
    write(FOLDER / "tests/cases.jsonl", cases)


def shortest_path():
    """Directions from the upper left to the lower right of the example's maze."""
    maze = ["..#..", "#..#.", "##..#", "..#..", ".##.."]
    moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
    seen, queue = {(0, 0)}, [((0, 0), [])]
    for (line, column), path in queue:
        if (line, column) == (4, 4):
            return path
        for name, (down, right) in moves.items():
            place = (line + down, column + right)
            inside = 0 <= place[0] < 5 and 0 <= place[1] < 5
            if inside and maze[place[0]][place[1]] == "." and place not in seen:
                seen.add(place)
                queue.append((place, [*path, name]))
    return None


PATH = shortest_path()


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


if __name__ == "__main__":
    main()
