# SPDX-License-Identifier: Apache-2.0
"""What a `/run` of many turns with token data costs: CPU time of the gym-host process, and the bytes that it moved.

    GYM_HOST=target/release/gym-host python tests/python/long_run_load.py [turns] [megabytes] [runs]

The engine is in this process and answers from memory. By default one attempt has 30 turns, and its transcript holds
10 MB of token ids and log probabilities at the end."""

import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
import time

import aiohttp
from aiohttp import web

CONFIG = """
head_server: {{host: 127.0.0.1, port: 0}}
gateway: {{host: 127.0.0.1, port: 0}}
weather:
  resources_servers:
    example_single_tool_call: {{entrypoint: app.py, domain: agent}}
policy_model:
  responses_api_models:
    vllm_model:
      {{entrypoint: app.py, base_url: "{url}/v1", api_key: k, model: m, return_token_id_information: true,
        uses_reasoning_parser: true}}
agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      resources_server: {{type: resources_servers, name: weather}}
      model_server: {{type: responses_api_models, name: policy_model}}
"""


def answers(turns, size):
    """The bodies of the engine's answers; each holds `size` bytes of token data."""
    numbers = random.Random(1)
    count = size // 34
    bodies = []
    for turn in range(turns):
        def ids(count):
            return ",".join(str(numbers.randrange(10_000, 150_000)) for _ in range(count))
        floats = ",".join(f"-{numbers.random() * 3:.15f}" for _ in range(count))
        call = '"tool_calls":[{"id":"c%d","type":"function","function":{"name":"get_weather","arguments":"{\\"city\\":\\"Oslo\\"}"}}]' % turn
        text = '"content":"It is cold."' if turn + 1 == turns else f'"content":null,{call}'
        bodies.append(
            f'{{"id":"x","created":1,"model":"m","choices":[{{"index":0,"finish_reason":"stop","message":{{'
            f'"role":"assistant",{text},"prompt_token_ids":[{ids(count)}],"generation_token_ids":[{ids(count)}],'
            f'"generation_log_probs":[{floats}]}}}}]}}'.encode()
        )
    return bodies


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024


async def main():
    turns, megabytes, runs = (int(text) for text in (sys.argv[1:] + ["30", "10", "5"][len(sys.argv) - 1:]))
    bodies = answers(turns, megabytes * 1_000_000 // turns)
    moved = 0

    async def engine(request):
        nonlocal moved
        body = await request.read()
        turn = body.count(b'"role":"assistant"')
        moved += len(body) + len(bodies[turn])
        return web.Response(body=bodies[turn], content_type="application/json")

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/v1/chat/completions", engine)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "config.yaml")
        with open(config, "w") as file:
            file.write(CONFIG.format(url=f"http://127.0.0.1:{port}"))
        host = subprocess.Popen([os.environ["GYM_HOST"], "serve", "--config", config], stdout=subprocess.PIPE, text=True)
        try:
            urls = {}
            for line in host.stdout:
                if line.startswith("listening on "):
                    url, name = line.split()[2:4]
                    urls[name] = url
                if line.startswith("ready"):
                    break
            row = {"responses_create_params": {"input": [{"role": "user", "content": "Weather in Oslo?"}]}}
            async with aiohttp.ClientSession() as session:
                for run in range(runs + 1):
                    if run == 1:
                        before, moved, begun = cpu(host.pid), 0, time.monotonic()
                    async with session.post(urls["agent"] + "/run", json=row) as response:
                        body = await response.read()
                    assert response.status == 200 and b'"reward":1.0' in body, body[:500]
            spent, took = (cpu(host.pid) - before) / runs, (time.monotonic() - begun) / runs
            print(f"{turns} turns, rollout of {len(body) / 1e6:.1f} MB, {moved / runs / 1e6:.0f} MB to and from the engine:")
            print(f"{spent * 1000:.0f} ms of CPU in gym-host, {took * 1000:.0f} ms in all, "
                  f"{peak(host.pid):.0f} MiB of memory at most")
        finally:
            host.terminate()
            host.wait()


asyncio.run(main())
