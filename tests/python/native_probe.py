# SPDX-License-Identifier: Apache-2.0
"""Runs code in the Python guest of the tests natively, in a session of a seed: `native_probe.py SEED CODE…`. Each code is
one tool call; their replies are printed, a line each."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "guest-sdk/python/src"), str(ROOT / "tests/guests/environments/python_probe")]

import app  # noqa: E402
from gym_host_sdk import Instance, TestHost  # noqa: E402

instance = Instance(app.Probe, TestHost(seed=int(sys.argv[1])))
instance.seed_session({})
for code in sys.argv[2:]:
    print(instance.call_tool("tell", {"code": code}))
