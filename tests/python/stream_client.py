# SPDX-License-Identifier: Apache-2.0
"""The items of an agent arrive while it works: its model takes two seconds for the last one."""

import os
import time

from openai import OpenAI


def main():
    gateway = OpenAI(base_url=os.environ["URL_GATEWAY"] + "/v1", api_key="unused", max_retries=0)
    seen = {}
    items = []
    events = gateway.responses.create(model="weather_agent", input="What is the weather in Oslo?", stream=True)
    for event in events:
        seen.setdefault(event.type, time.monotonic())
        if event.type == "response.output_item.done":
            items.append(event.item.type)
        last = event
    assert items == ["function_call", "function_call_output", "message"], items
    assert last.type == "response.completed", last
    assert [item.type for item in last.response.output] == items, last
    ahead = seen["response.completed"] - seen["response.output_item.done"]
    assert ahead > 1.5, f"the first item came only {ahead:.2f} s before the end"


main()
