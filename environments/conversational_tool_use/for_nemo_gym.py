# SPDX-License-Identifier: Apache-2.0
"""Writes the rows as NeMo Gym's own agent takes them: with `policy` and `tools` beside the request, and its prompt around the
policy. Needs NeMo Gym to be importable, as it has that prompt.

    python3 for_nemo_gym.py [rows.jsonl] > rows_for_nemo_gym.jsonl
"""

import json
import sys
from pathlib import Path

from responses_api_agents.conversational_tool_use.simulation.prompt import agent_system_message, responses_api_tools

FOLDER = Path(__file__).parent


def converted(row, tools):
    params = row["responses_create_params"]
    (policy,) = [item["content"] for item in params["input"] if item["role"] == "system"]
    parallel = bool(params.get("parallel_tool_calls", True))
    prompt = {"role": "system", "content": agent_system_message(policy, parallel_tool_calls=parallel)}
    rest = [item for item in params["input"] if item["role"] != "system"]
    params = {**params, "input": [prompt, *rest], "tools": responses_api_tools(tools)}
    return {**row, "responses_create_params": params, "policy": policy, "tools": tools}


def main():
    tools = [{name: tool[name] for name in ("name", "description", "parameters", "strict")}
             for tool in json.loads((FOLDER / "data/tools.json").read_text())]
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "data/example.jsonl"
    for line in path.read_text().splitlines():
        print(json.dumps(converted(json.loads(line), tools), ensure_ascii=False))


if __name__ == "__main__":
    main()
