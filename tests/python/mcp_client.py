# SPDX-License-Identifier: Apache-2.0
"""The `mcp` package, unchanged, in the session of a seed."""

import asyncio
import os

import aiohttp
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def seed(session, base, count):
    async with session.post(base + "/seed_session", json={"initial_count": count}) as response:
        reply = await response.json()
        assert response.status == 200, reply
        return reply["mcp"], {key: value.value for key, value in response.cookies.items()}


async def value(session, base, cookies):
    async with session.post(base + "/get_counter_value", json={}, cookies=cookies) as response:
        return (await response.json())["count"]


def text(result):
    return result.content[0].text


async def main():
    base = os.environ["URL_COUNTER"]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        access, cookies = await seed(session, base, 3)
        _, others = await seed(session, base, 100)
        assert (access["server_name"], access["url_path"], access["transport"]) == ("counter", "/mcp", "http"), access
        url = base + access["url_path"]
        async with streamablehttp_client(url, headers=access["headers"]) as (reads, writes, _):
            async with ClientSession(reads, writes) as mcp:
                hello = await mcp.initialize()
                assert hello.serverInfo.name == "counter", hello
                tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
                assert sorted(tools) == ["get_counter_value", "increment_counter"], tools
                assert tools["increment_counter"].inputSchema["required"] == ["count"], tools
                added = await mcp.call_tool("increment_counter", {"count": 4})
                assert (added.isError, added.structuredContent) == (False, {"success": True}), added
                wrong = await mcp.call_tool("increment_counter", {"count": "many"})
                assert wrong.isError and text(wrong).startswith("HTTP 422 from POST /increment_counter: ["), wrong
                unknown = await mcp.call_tool("verify", {})
                assert unknown.isError and text(unknown).startswith("Unknown tool: 'verify'."), unknown
        assert await value(session, base, cookies) == 7, "tools over HTTP and MCP share the session"
        assert await value(session, base, others) == 100, "other sessions are not touched"

        async with streamablehttp_client(url) as (reads, writes, _):
            async with ClientSession(reads, writes) as mcp:
                await mcp.initialize()
                assert len((await mcp.list_tools()).tools) == 2, "without a token the tools are listed"
                refused = await mcp.call_tool("get_counter_value", {})
                expected = "Missing X-NeMo-Gym-Session-Token for Gym MCP tool call."
                assert refused.isError and text(refused) == expected, refused

        # A verify from an agent that prefixed the names of its tools.
        call = {"type": "function_call", "call_id": "c", "name": "mcp__counter__increment_counter", "arguments": "{}"}
        response = {
            "id": "r", "created_at": 1.0, "model": "m", "object": "response", "output": [call],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        }
        body = {"responses_create_params": {"input": "count"}, "expected_count": 7, "response": response}
        async with session.post(base + "/verify", json=body, cookies=cookies) as verified:
            reply = await verified.json()
        assert reply["reward"] == 1.0, reply
        assert reply["response"]["output"][0]["name"] == call["name"], "the echo keeps the name"


asyncio.run(main())
