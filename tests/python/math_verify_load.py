# SPDX-License-Identifier: Apache-2.0
"""Verifies pairs of the corpus of math_with_judge through HTTP, with many clients at once, some pairs never ending, and
tells whether verdicts are right and how long calls take.

    python math_verify_load.py URL CORPUS [--calls 10000] [--clients 64] [--hanging 0.01]

URL is that of the resources server, CORPUS the file `corpus.txt`. Exits with 1 if a verdict is not the stated one, or if
what hangs is answered with anything but a fault.
"""

import argparse
import http.client
import json
import random
import sys
import threading
import time
from urllib.parse import urlsplit

HANGING = [
    ("9^{9^{9^{9}}}", "\\boxed{9^{9^{9^{9}}}+1}"),
    ("1000000000!", "\\boxed{999999999!}"),
    ("\\binom{10^9}{5 \\cdot 10^8}", "\\boxed{1}"),
    ("(x+y+z+1)^{200}", "\\boxed{(x+y+z+2)^{200}}"),
]


def pairs(path: str) -> list[tuple[str, str, bool | None]]:
    read = []
    for line in open(path, encoding="utf-8").read().splitlines():
        if line.strip() and not line.startswith("#"):
            verdicts, expected, answer = line.split(" ;; ")
            said = answer if "\\boxed" in answer else f"The answer is $\\boxed{{{answer}}}$."
            read.append((expected, said, verdicts.split()[0] == "="))
    return read


def body(expected: str, said: str) -> bytes:
    part = {"type": "output_text", "text": said, "annotations": []}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": [message]}
    response |= {"parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
    row = {"responses_create_params": {"input": "x"}, "question": "Q", "expected_answer": expected, "response": response}
    return json.dumps(row).encode()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("corpus")
    parser.add_argument("--calls", type=int, default=10000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--hanging", type=float, default=0.01)
    arguments = parser.parse_args()
    chance = random.Random(1)
    corpus = pairs(arguments.corpus)
    hanging = set(chance.sample(range(arguments.calls), int(arguments.calls * arguments.hanging)))
    work = [(*chance.choice(HANGING), None) if n in hanging else chance.choice(corpus) for n in range(arguments.calls)]
    taken = iter(work)
    lock = threading.Lock()
    good, hung, wrong = [], [], []
    host = urlsplit(arguments.url).netloc

    def client() -> None:
        connection = http.client.HTTPConnection(host, timeout=600)
        while True:
            with lock:
                pair = next(taken, None)
            if pair is None:
                return
            expected, said, equal = pair
            request = body(expected, said)
            begun = time.perf_counter()
            connection.request("POST", "/verify", request, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            reply = json.loads(answer.read())
            took = (time.perf_counter() - begun) * 1000
            with lock:
                (hung if equal is None else good).append(took)
                if equal is None:
                    right = reply.get("mask_sample") is True
                else:
                    right = not reply.get("mask_sample") and reply.get("reward") == float(equal)
                if not right:
                    wrong.append((expected, said, answer.status, str(reply)[-300:]))

    begun = time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(arguments.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    print(f"{len(work)} calls, {arguments.clients} clients, {seconds:.1f} s, {len(work) / seconds:.0f}/s, wrong: {len(wrong)}")
    for name, times in (("others", sorted(good)), ("hanging", sorted(hung))):
        if times:
            p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
            print(f"{name}: {len(times)}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {times[-1]:.1f} ms")
    for one in wrong[:10]:
        print("wrong:", one)
    return 1 if wrong else 0


sys.exit(main())
