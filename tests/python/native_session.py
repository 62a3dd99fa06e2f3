# SPDX-License-Identifier: Apache-2.0
"""Plays one session of an environment in Python natively: `native_session.py FOLDER CLASS SEED`, with
`{"row": …, "calls": [[name, arguments], …], "verify": …}` on standard input. Prints the reply of each call, a line each,
and the verdict."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "guest-sdk/python/src"), sys.argv[1]]

import app  # noqa: E402
from gym_host_sdk import Instance, Reject, TestHost, to_json  # noqa: E402

asked = json.load(sys.stdin)
instance = Instance(getattr(app, sys.argv[2]), TestHost(seed=int(sys.argv[3])))
print(instance.seed_session(asked["row"]))
for name, arguments in asked["calls"]:
    try:
        print(instance.call_tool(name, arguments))
    except Reject as rejected:
        print(to_json({"error": rejected.text}))
verdict = instance.verify(asked["verify"])
print(to_json({"reward": verdict.reward, **verdict.fields}))
