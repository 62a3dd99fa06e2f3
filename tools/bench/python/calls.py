# SPDX-License-Identifier: Apache-2.0
"""What one grading costs in a Python environment: natively and warm, natively in a forked process for every call with its
result polled every 50 ms, and over HTTP in a component.

    python calls.py --app FOLDER --rows rows.jsonl [--url http://127.0.0.1:PORT --pid PID] [--clients 64] [--seconds 5] [--config JSON]

FOLDER has the environment's `app.py`; its packages must be installed for this interpreter. Each row is a body of
`/verify`. With `--url` the environment is measured as it is served there, and with the process id also its CPU time.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import threading
import time
import urllib.request
from pathlib import Path

SDK = Path(__file__).parent.parent.parent.parent / "guest-sdk/python/src"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--url")
    parser.add_argument("--config", type=json.loads, default={}, help="the server's configuration as JSON, for the native calls")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    rows = [line for line in options.rows.read_text(encoding="utf-8").splitlines() if line.strip()]
    print(f"{'way':<28} {'calls/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'CPU ms/call':>12}")
    if options.url:
        for clients in (1, options.clients):
            served(options, rows, clients)
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(SDK), str(options.app)]
    begun = time.process_time()
    from gym_host_sdk import Instance, Server, TestHost

    import app

    assert app
    instance = Instance(Server.declared[-1], TestHost(options.config))
    instance.verify(rows[0])
    shown("native, first call", [time.process_time() - begun], time.process_time() - begun, time.process_time() - begun)
    native(instance, rows, options.seconds)
    forked(instance, rows, options)


def shown(way: str, times: list[float], elapsed: float, cpu: float | None) -> None:
    times = sorted(times)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    per_call = "" if cpu is None else f"{cpu / len(times) * 1000:12.2f}"
    rate = len(times) / max(elapsed, 1e-9)
    print(f"{way:<28} {rate:9.1f} {statistics.median(times) * 1000:9.2f} {p99 * 1000:9.2f} {per_call:>12}", flush=True)


def native(instance, rows: list[str], seconds: float) -> None:
    for row in rows:
        instance.verify(row)
    times, begun, cpu = [], time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        for row in rows:
            start = time.perf_counter()
            instance.verify(row)
            times.append(time.perf_counter() - start)
    shown("native, warm", times, time.perf_counter() - begun, time.process_time() - cpu)


def in_child(instance, row: str, pipe) -> None:
    pipe.send(instance.verify(row).reward)
    pipe.close()


def forked(instance, rows: list[str], options) -> None:
    """A process for each call, as many at a time as there are clients."""
    context = multiprocessing.get_context("fork")
    waiting, running, times = list(range(10**6)), [], []
    begun, before = time.perf_counter(), os.times()
    while time.perf_counter() - begun < options.seconds or running:
        over = time.perf_counter() - begun >= options.seconds
        while not over and len(running) < options.clients:
            receive, send = context.Pipe(duplex=False)
            row = rows[waiting.pop(0) % len(rows)]
            child = context.Process(target=in_child, args=(instance, row, send))
            child.start()
            send.close()
            running.append((time.perf_counter(), child, receive))
        time.sleep(0.05)
        for start, child, receive in list(running):
            if not child.is_alive():
                receive.close()
                child.join()
                running.remove((start, child, receive))
                times.append(time.perf_counter() - start)
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    shown(f"forked, {options.clients} clients", times, time.perf_counter() - begun, cpu)


def cpu_of(pid: int | None) -> float | None:
    if pid is None:
        return None
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def post(url: str, body: str) -> dict:
    request = urllib.request.Request(url, body.encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def served(options, rows: list[str], clients: int) -> None:
    url = options.url.rstrip("/") + "/verify"
    for row in rows:
        post(url, row)
    times: list[float] = []
    end = time.perf_counter() + options.seconds

    def client(offset: int) -> None:
        index = offset
        while time.perf_counter() < end:
            start = time.perf_counter()
            post(url, rows[index % len(rows)])
            times.append(time.perf_counter() - start)
            index += 1

    begun, cpu = time.perf_counter(), cpu_of(options.pid)
    threads = [threading.Thread(target=client, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = None if cpu is None else cpu_of(options.pid) - cpu
    shown(f"component, {clients} clients", times, time.perf_counter() - begun, used)


if __name__ == "__main__":
    main()
