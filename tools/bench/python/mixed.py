# SPDX-License-Identifier: Apache-2.0
"""Grades pairs of answers in math_with_judge through HTTP, with many clients at once, some pairs never ending, on an idle
machine and on a busy one. Tells whether every verdict is right, whether what hangs ends at its deadline, what the others
notice of it, and whether the memory comes back.

    python mixed.py URL [--native FOLDER] [--head URL --cpu-ms 1000] [--pid PID] [--calls 10000] [--clients 64] [--busy 2]

URL is that of the resources server. With `--native`, the folder of the environment's `app.py`, the pairs are variations of
the corpus, and the right verdict is that of this interpreter's math-verify; otherwise they are the corpus itself with the
verdicts that it states. With `--busy` everything is done once more while so many processes compute. Exits with 1 if
anything is otherwise than it should be.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT / "environments/math_with_judge/src/corpus.txt"
HANGING = [
    ("9^{9^{9^{9}}}", "\\boxed{9^{9^{9^{9}}}+1}"),
    ("1000000000!", "\\boxed{999999999!}"),
    ("\\binom{10^9}{5 \\cdot 10^8}", "\\boxed{1}"),
    ("(x+y+z+1)^{200}", "\\boxed{(x+y+z+2)^{200}}"),
]
SENTENCES = ["The answer is ${}$.", "So we get\n\n$${}$$", "Hence {}.", "After all steps: \\[ {} \\]", "**Answer:** ${}$"]
#: CPU seconds after which a variation is not taken: it would be neither quick nor hanging.
QUICK = 0.25


def corpus() -> list[tuple[str, str, bool]]:
    read = []
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            verdicts, expected, answer = line.split(" ;; ")
            read.append((expected, answer, verdicts.split()[0] == "="))
    return read


def said(answer: str, sentence: str = SENTENCES[0]) -> str:
    return answer if "\\boxed" in answer else sentence.replace("{}", f"\\boxed{{{answer}}}")


def variation(chance: random.Random, expected: str, answer: str) -> tuple[str, str]:
    """Another pair of the same kind: one small number is another one on both sides or on one, or the sides change."""
    digits = sorted(set(re.findall(r"(?<![\d.])\d(?![\d.])", expected + answer)))
    if digits and chance.random() < 0.7:
        old, new = chance.choice(digits), str(chance.randrange(2, 10))
        change = lambda text: re.sub(rf"(?<![\d.]){old}(?![\d.])", new, text)
        expected, answer = change(expected), change(answer) if chance.random() < 0.8 else answer
    if chance.random() < 0.2 and "\\boxed" not in answer:
        expected, answer = answer, expected
    return expected, said(answer, chance.choice(SENTENCES))


def native_verdict(pair: tuple[str, str]) -> float | None:
    import library

    def late(number, frame):
        raise KeyboardInterrupt

    # The library's own limits are on the clock, and would make wrong answers of right ones on a busy machine.
    signal.alarm = lambda seconds: 0
    signal.signal(signal.SIGVTALRM, late)
    begun = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, 4 * QUICK)
    try:
        verdict = library.compare(*pair)[0]
    except KeyboardInterrupt:
        return None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return verdict if time.process_time() - begun < QUICK else None


def varied(count: int, folder: Path) -> list[tuple[str, str, bool]]:
    """So many different pairs with the verdicts of native CPython."""
    sys.path[:0] = [str(ROOT / "guest-sdk/python/src"), str(folder)]
    sys.setrecursionlimit(5000)
    chance, found = random.Random(20), {}
    known = corpus()
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        while len(found) < count:
            pairs = {variation(chance, *chance.choice(known)[:2]) for _ in range(1000)} - found.keys()
            for pair, verdict in zip(sorted(pairs), pool.map(native_verdict, sorted(pairs), chunksize=20)):
                if verdict is not None:
                    found[pair] = verdict > 0.5
            print(f"{len(found)} pairs with native verdicts", file=sys.stderr)
    return [(*pair, verdict) for pair, verdict in list(found.items())[:count]]


def body(expected: str, answer: str) -> bytes:
    part = {"type": "output_text", "text": answer, "annotations": []}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": [message]}
    response |= {"parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
    row = {"responses_create_params": {"input": "x"}, "question": "Q", "expected_answer": expected, "response": response}
    return json.dumps(row).encode()


class Run:
    """All pairs once. Pairs without a verdict hang."""

    def __init__(self, url: str, pairs: list[tuple[str, str, bool | None]], clients: int) -> None:
        self.host, self.taken, self.lock = urlsplit(url).netloc, iter(pairs), threading.Lock()
        self.good: list[float] = []
        self.hung: list[float] = []
        self.wrong: list[tuple] = []
        begun = time.perf_counter()
        threads = [threading.Thread(target=self.client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds = time.perf_counter() - begun
        self.good.sort()
        self.hung.sort()

    def client(self) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=900)
        while True:
            with self.lock:
                pair = next(self.taken, None)
            if pair is None:
                return
            expected, answer, equal = pair
            request = body(expected, answer)
            begun = time.perf_counter()
            connection.request("POST", "/verify", request, {"Content-Type": "application/json"})
            reply = json.loads(connection.getresponse().read())
            took = (time.perf_counter() - begun) * 1000
            masked = reply.get("mask_sample") is True
            right = masked if equal is None else not masked and reply.get("reward") == float(equal)
            with self.lock:
                (self.hung if equal is None else self.good).append(took)
                if not right:
                    self.wrong.append((expected, answer, equal, str(reply)[-300:]))

    def p99(self) -> float:
        return self.good[min(len(self.good) - 1, len(self.good) * 99 // 100)]

    def show(self, name: str) -> None:
        count = len(self.good) + len(self.hung)
        print(
            f"{name:<28} {count / self.seconds:8.1f}/s  p50 {self.good[len(self.good) // 2]:8.1f}  p99 {self.p99():8.1f} ms"
            f"  hanging {len(self.hung)}  wrong {len(self.wrong)}",
            flush=True,
        )
        if self.hung:
            print(f"{'':<28} the hanging ones: p50 {self.hung[len(self.hung) // 2]:.0f}  longest {self.hung[-1]:.0f} ms")
        for one in self.wrong[:10]:
            print("wrong:", one)


def spin() -> None:
    while True:
        pass


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def longest(head: str) -> list[int]:
    with urllib.request.urlopen(head.rstrip("/") + "/gym-host/status") as reply:
        return [server["longest_cpu_ms"] for server in json.load(reply)["runtime"]["environments"]["servers"]]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--native", type=Path)
    parser.add_argument("--head", help="URL of the head server, which knows how much CPU time calls have used")
    parser.add_argument("--cpu-ms", type=int, default=1000, help="the server's `limits.cpu_ms`")
    parser.add_argument("--pid", type=int, help="the server's process, to look at its memory")
    parser.add_argument("--calls", type=int, default=10000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--hanging", type=float, default=0.01)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it")
    parser.add_argument("--p99-factor", type=float, default=2.0)
    arguments = parser.parse_args()
    chance = random.Random(1)
    if arguments.native:
        pairs = varied(arguments.calls, arguments.native)
    else:
        known = [(expected, said(answer), equal) for expected, answer, equal in corpus()]
        pairs = [chance.choice(known) for _ in range(arguments.calls)]
    chance.shuffle(pairs)
    mixed = list(pairs)
    for place in chance.sample(range(len(pairs)), int(len(pairs) * arguments.hanging)):
        mixed[place] = (*chance.choice(HANGING), None)

    problems = []
    memory = []
    for spinners in [0, arguments.busy] if arguments.busy else [0]:
        name = f"{spinners} busy processes" if spinners else "idle"
        others = [multiprocessing.get_context("fork").Process(target=spin, daemon=True) for _ in range(spinners)]
        for other in others:
            other.start()
        try:
            # The first calls of the instances are no measure.
            Run(arguments.url, pairs[:500], arguments.clients)
            memory += [resident(arguments.pid)] if arguments.pid else []
            plain = Run(arguments.url, pairs, arguments.clients)
            plain.show(name)
            with_hanging = Run(arguments.url, mixed, arguments.clients)
            with_hanging.show(f"{name}, some hanging")
            memory += [resident(arguments.pid)] if arguments.pid else []
        finally:
            for other in others:
                other.kill()
                other.join()
        factor = with_hanging.p99() / plain.p99()
        print(f"{name}: p99 of the others is {factor:.2f} times that without hanging ones")
        if factor > arguments.p99_factor:
            problems.append(f"{name}: p99 is {factor:.2f} times as long")
        if plain.wrong or with_hanging.wrong:
            problems.append(f"{name}: wrong answers")
    if memory:
        print("resident MiB after warming up, and at the end of each part:", *memory)
        if memory[-1] > memory[0] * 1.25 + 64:
            problems.append(f"the memory grew from {memory[0]} to {memory[-1]} MiB")
    if arguments.head:
        try:
            most = max(longest(arguments.head))
        except KeyError:
            print("not as it should be: this host does not say how much CPU time its calls have used")
            return 1
        print(f"the longest call had {most} ms of CPU time of {arguments.cpu_ms}")
        if most > arguments.cpu_ms + 50:
            problems.append(f"a call had {most} ms of CPU time")
    for problem in problems:
        print("not as it should be:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
