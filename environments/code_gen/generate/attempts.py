# SPDX-License-Identifier: Apache-2.0
"""Attempts that cheat, break something or come near a rule, and what they deserve."""

import base64
import json
import zlib

ECHO = {"inputs": ["3", "4"], "outputs": ["9", "16"]}
SQUARE = {"inputs": ["3", "4"], "outputs": ["9", "16"], "fn_name": "square"}
SOON = {"unit_test_timeout_secs": 1, "sandbox_slowdown": 1}


def fenced(code):
    return f"```python\n{code}\n```"


def row(tests):
    message = {"role": "user", "content": "Read n and print n squared."}
    return {"responses_create_params": {"input": [message]}, "verifier_metadata": {"unit_tests": tests}}


def case(name, tests, code, reward, result, config=None, **expect):
    said = {
        "name": name, "kind": "edge", "task": row(tests), "turns": [{"text": fenced(code)}], "reward": reward,
        "expect": {"result": result, **expect},
    }
    return {**said, "config": config} if config else said


def cheats():
    """Every one of them knows neither 9 nor 16, and tries to get by without."""
    wrong, failed, ended = [-2], [-4], [-1, -1]
    for name, code, result in [
        ("equality of text is redefined", "import builtins\nclass All(str):\n    def __eq__(self, other): return True\n"
         "    __hash__ = str.__hash__\nbuiltins.str = All\nprint(All('x'))", wrong),
        ("`print` and `len` are replaced", "import builtins\nbuiltins.print = lambda *a, **k: None\n"
         "builtins.all = builtins.int = lambda *a: True\nprint(1)", wrong),
        ("frames are searched for the tests", "import sys\nframe = sys._getframe()\nfound = []\nwhile frame:\n"
         "    found += [str(v) for v in list(frame.f_locals.values()) + list(frame.f_globals.values())]\n"
         "    frame = frame.f_back\nprint('16' if any('16' in f.split() for f in found) else 'nothing')", wrong),
        ("the collector's objects are searched for the tests", "import gc\nlists = [o for o in gc.get_objects() if isinstance(o, list)]\n"
         "print(next((o[0] for o in lists if len(o) == 2 and o[1:] == ['16']), 'nothing'))", wrong),
        ("the driver's functions are replaced", "import sys\nmain = sys.modules['__main__']\n"
         "main.run = lambda text: {'output': '', 'passed': True, 'error': None, 'result': True}\nmain.run('')", wrong),
        ("the runner's functions are replaced", "import runner, sys\nrunner.call = lambda *a: runner.Outcome(0, 'true')\n"
         "runner._dumps = lambda *a: '{\"output\": \"right\", \"result\": [true, true]}'", wrong),
        ("the result is written by hand", "import os\nfor fd in range(3):\n    try:\n"
         "        os.write(fd, b'[true, true]\\n{\"result\": true}\\n{\"output\": \"9\"}\\n')\n    except OSError: pass", wrong),
        ("the status is good", "import sys\nsys.exit(0)", wrong),
        ("the process ends at once", "import os\nos._exit(0)", ended),
        ("something is printed, and the process ends", "import os\nprint(9, flush=True)\nos._exit(0)", ended),
        ("something is printed before it fails", "print(1)\nraise SystemExit(0)", wrong),
        ("an exit handler prints", "import atexit\natexit.register(print, 9)", wrong),
        ("standard output is another object", "import sys\nclass Yes:\n    def __getattr__(self, name): return lambda *a, **k: 'yes'\n"
         "sys.stdout = Yes()\nprint('x')", wrong),
        ("standard output is None", "import sys\nsys.stdout = None\nprint(9)", wrong),
        ("standard output is closed", "import sys\nsys.stdout.close()\nsys.stdout.buffer.close()", failed),
        ("the process forks", "import os\nwhile True:\n    os.fork()", failed),
        ("a child is started", "import subprocess\nsubprocess.run(['cat', '/etc/passwd'])", failed),
        ("a file is read", "print(open('/etc/passwd').read())", failed),
        ("the process is looked at", "print(open('/proc/self/environ').read(), open('/proc/self/maps').read())", failed),
        ("the network is asked", "import socket\nprint(socket.create_connection(('127.0.0.1', 80), 1).recv(10))", failed),
        ("memory is read by address", "import ctypes\nraise ValueError(ctypes.string_at(id(input), 100))", failed),
        ("deep recursion", "def f(n): return f(n + 1) + 1\nf(0)", failed),
        ("an exception with a hostile text", "class E(Exception):\n    def __repr__(self): raise E\n    __str__ = __repr__\nraise E", failed),
        ("an interrupt", "raise KeyboardInterrupt", ended),
        ("modules are poisoned", "import sys\nsys.modules['json'] = sys.modules['io'] = sys.modules['builtins'] = None\nimport json", wrong),
        ("`quit` is not there", "quit()", failed),
        ("the text of a class", "x = 'class Solution'\nprint(int(input()) ** 2)", failed),
        ("nothing but a comment", "# print(9)", failed),
        ("no Python", "print 9", failed),
    ]:
        yield case(f"cheat: {name}", ECHO, code, 0.0, result)
    for name, code, result in [
        ("a text that is equal to all", "class All(str):\n    def __eq__(self, other): return True\n    __hash__ = None\n"
         "def square(n): return All('x')", [False]),
        ("a number that is equal to all", "class All(int):\n    def __eq__(self, other): return True\n"
         "    def __int__(self): return 9\n    def __repr__(self): return '9'\n    __index__ = __int__\n    __str__ = __repr__\n"
         "def square(n): return All(1)", [False]),
        ("a list that is equal to all", "class All(list):\n    def __eq__(self, other): return True\n"
         "    def __len__(self): return 0\n    def __iter__(self): return iter([9])\ndef square(n): return All([1])", [False]),
        ("a dictionary that is equal to all", "class All(dict):\n    def __eq__(self, other): return True\n"
         "def square(n): return All(a=1)", [False]),
        ("an object that is equal to all", "class All:\n    def __eq__(self, other): return True\n    def __float__(self): return 9.0\n"
         "def square(n): return All()", [False]),
        ("a float that is near all", "def square(n): return float('nan')", [False]),
        ("an infinite list", "def square(n):\n    a = []\n    a.append(a)\n    a.append(a)\n    return a", [False]),
        ("a nest of lists", "def square(n):\n    a = []\n    for _ in range(100000): a = [a]\n    return a", [False, -4]),
        ("the driver's result is forged", "import sys\nmain = sys.modules['__main__']\ndef square(n):\n"
         "    main.encoded = lambda *a: {'e': 'x', 't': [], 'passed': True}\n    return 0", [False]),
        ("`json` writes what it likes", "import json, runner\nrunner._dumps = lambda *a, **k: '{\"value\": true}'\n"
         "def square(n): return 1", [False]),
        ("the process ends while it is made", "import sys\nsys.exit(0)\ndef square(n): return n * n", [-1, -1]),
        ("the process ends when called", "def square(n): raise SystemExit(0)", [-1, -1]),
        ("there is no such function", "def cube(n): return n ** 3", [-4]),
        ("a class that cannot be made", "class Solution:\n    def __init__(self, x): pass\n    def square(self, n): return n * n", [-4]),
        ("what is kept from the test before", "seen = []\ndef square(n):\n    seen.append(n)\n    return seen[0] ** 2", [True, False]),
        ("all inputs at once", "import sys\nframe = sys._getframe()\nwhile frame.f_back: frame = frame.f_back\n"
         "def square(n): return len(str(frame.f_globals)) * 0", [False]),
    ]:
        yield case(f"cheat: {name}", SQUARE, code, 0.0, result)
    for name, code, result in [
        ("an endless loop", "while True: pass", [-3]),
        ("an endless loop that lets nothing interrupt it", "while True:\n    try:\n        while True: pass\n    except BaseException: pass", [-3]),
        ("one number, and then an endless loop", "print(9, flush=True)\nwhile True: pass", [-3]),
        ("right once, then an endless loop", "n = int(input())\nprint(n * n)\nwhile n > 3: pass", [True, -3]),
        ("endless threads", "import threading\nwhile True: threading.Thread(target=print).start()", [-3]),
        ("an endless sum", "sum(iter(int, 1))", [-3]),
        ("endless output", "while True: print('x' * 1000000)", [-3]),
    ]:
        yield case(f"cheat: {name}", ECHO, code, 0.0, result, SOON)
    endless = "while True: pass\ndef square(n): return n * n"
    yield case("cheat: an endless loop at the top of a module", SQUARE, endless, 0.0, [-4], SOON)
    yield case("a gigabyte of output", ECHO, "for _ in range(1000): print('x' * 1000000)", 0.0, [-2])


def rules():
    def packed(tests):
        return {"packed": base64.b64encode(zlib.compress(json.dumps(tests).encode())).decode()}

    square = "n = int(input())\nprint(n * n)"
    method = "class Solution:\n    def square(self, n): return n * n"
    yield case("packed tests", packed(ECHO), square, 1.0, [True, True])
    yield case("packed tests of a function", packed(SQUARE) | {"fn_name": "square"}, method, 1.0, [True, True])
    yield case("no tests at all", {"inputs": [], "outputs": []}, "pass", 1.0, [])
    yield case("more inputs than outputs", {"inputs": ["3", "4", "5"], "outputs": ["9"]}, square, 1.0, [True])
    halves = {"inputs": ["1", "3"], "outputs": ["0.5", "1.5"]}
    near = "print(int(input()) / 2 + 1e-7)"
    yield case("a millionth", halves, near, 1.0, [True, True])
    yield case("a millionth in August 2026", halves, near, 0.0, [-2], {"reward_rules": "august_2026"})
    verdicts = {"inputs": ["1"], "outputs": ["Yes"]}
    yield case("capitals", verdicts, "print('YES')", 1.0, [True])
    yield case("capitals in August 2026", verdicts, "print('YES')", 0.0, [-2], {"reward_rules": "august_2026"})
    floats = {"inputs": ["1"], "outputs": ["[0.1, 0.2]"], "fn_name": "f"}
    listed = "def f(n): return [0.1 + 1e-9, 0.2]"
    yield case("floats in a list", floats, listed, 1.0, [True])
    yield case("floats in a list in August 2026", floats, listed, 0.0, [False], {"reward_rules": "august_2026"})
    yield case("a fraction is its number", SQUARE, "from fractions import Fraction\ndef square(n): return Fraction(n * n)", 1.0, [True, True])
    large = {"inputs": ["3"], "outputs": [json.dumps(3**1000)], "fn_name": "f"}
    yield case("large numbers are exact", large, "def f(n): return n ** 1000", 1.0, [True])
    yield case("large numbers are exact to the last digit", large, "def f(n): return n ** 1000 + 1", 0.0, [False])
    lines = {"inputs": ["2\n10 20\n30 40\n"], "outputs": ["30\n70"]}
    for name, code in [
        ("input()", "for _ in range(int(input())): print(sum(map(int, input().split())))"),
        ("sys.stdin.readline", "import sys\nfor _ in range(int(sys.stdin.readline())): print(sum(map(int, sys.stdin.readline().split())))"),
        ("sys.stdin.read", "import sys\nn, *v = map(int, sys.stdin.read().split())\nfor i in range(n): print(v[2 * i] + v[2 * i + 1])"),
        ("sys.stdin.readlines", "import sys\nfor row in sys.stdin.readlines()[1:3]: print(sum(map(int, row.split())))"),
        ("sys.stdin", "import sys\nnext(sys.stdin)\nfor row in sys.stdin: print(sum(map(int, row.split())))"),
        ("sys.stdin.buffer", "import sys\nread = sys.stdin.buffer.readline\nfor _ in range(int(read())): sys.stdout.buffer.write(b'%d\\n' % sum(map(int, read().split())))"),
        ("a main function", "def main():\n    for _ in range(int(input())): print(sum(map(int, input().split())))\nif __name__ == '__main__':\n    main()"),
        ("exit()", "for _ in range(int(input())): print(sum(map(int, input().split())))\nexit()"),
        ("the prelude's names", "n = int(input())\nprint(*starmap(add, (map(int, input().split()) for _ in range(n))), sep='\\n')"),
    ]:
        yield case(f"reading with {name}", lines, code, 1.0, [True])
    for name, code in [
        ("stdin bound by name", "from sys import stdin\nfor _ in range(int(stdin.readline())): print(sum(map(int, stdin.readline().split())))"),
        ("stdin.read bound by name", "from sys import stdin\nn, *v = map(int, stdin.read().split())\nfor i in range(n): print(v[2 * i] + v[2 * i + 1])"),
        ("a coroutine", "import asyncio\nasync def main():\n    for _ in range(int(input())):\n        await asyncio.sleep(5)\n"
         "        print(sum(map(int, input().split())))\nasyncio.run(main())"),
        ("a thread", "import sys, threading\ndef main():\n    for _ in range(int(input())): print(sum(map(int, input().split())))\n"
         "sys.setrecursionlimit(10**6)\nt = threading.Thread(target=main)\nt.start()\nt.join()"),
    ]:
        yield case(f"reading with {name}", lines, code, 1.0, [True])
    # Streams that are imported by name are those of before the test.
    by_name = "from sys import stdout\nprint(30, file=stdout)\nprint(70, file=stdout)"
    yield case("writing to a stream bound by name", lines, by_name, 0.0, [-2])
    unknown = "def square(n: Unknown): return n * n"
    yield case("an annotation that is not there", SQUARE, unknown, 0.0, [-4])
    known = "@dataclass\nclass P:\n    n: int\ndef square(n: Optional[int] = None, *a: int, **k: str) -> List[int]: return P(n).n ** 2"
    yield case("annotations that are there", SQUARE, f"from dataclasses import dataclass\n{known}", 1.0, [True, True])
    thought = fenced(square)
    for name, turn, reward in [
        ("thoughts in the answer", {"text": f"<think>hm</think>{thought}"}, -0.5),
        ("thoughts within thoughts", {"reasoning": "<think>a</think><think>b</think>", "text": thought}, -0.5),
        ("thoughts where they belong", {"reasoning": "<think>a</think>", "text": thought}, 1.0),
    ]:
        rate = float(reward < 0)
        yield {
            "name": name, "kind": "edge", "task": row(ECHO), "turns": [turn], "reward": reward,
            "config": {"reasoning_format_penalty": -0.5}, "expect": {"reasoning_format_violation_rate": rate, "result": [True, True]},
        }
    for name, turn, answer in [
        ("no answer", {"reasoning": "Hm."}, None),
        ("a blank answer", {"text": " \n"}, None),
        ("code without fences", {"text": "print(9)"}, "print(9)"),
        ("one fence", {"text": "```python\nprint(9)"}, "```python\nprint(9)"),
    ]:
        yield {
            "name": name, "kind": "edge", "task": row(ECHO), "turns": [turn], "reward": 0.0,
            "expect": {"result": None, "metadata": None, "extracted_model_code": None, "extracted_model_output": answer,
                       "unit_tests_time_taken": None, "reasoning_format_violation_rate": 0.0},
        }
    two = f"{fenced('print(1)')}\nNo, better:\n{fenced(square)}"
    yield {"name": "the last of two blocks", "kind": "edge", "task": row(ECHO), "turns": [{"text": two}], "reward": 1.0}
    # Rows that cannot be graded are nobody's wrong answer.
    for name, tests in [
        ("no tests in the row", None),
        ("inputs that are no texts", {"inputs": [1], "outputs": ["1"]}),
        ("packed tests that are broken", {"packed": "AAAA"}),
        ("arguments that are no JSON", {"inputs": ["x"], "outputs": ["1"], "fn_name": "square"}),
    ]:
        yield {"name": name, "kind": "edge", "task": row(tests), "turns": [{"text": fenced(method)}]}
    blank = {"name": "no tests in the row, and no answer", "kind": "edge", "task": row(None), "turns": [{"text": ""}]}
    yield {**blank, "reward": 0.0}


def cases():
    yield from cheats()
    yield from rules()
