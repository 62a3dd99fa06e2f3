# SPDX-License-Identifier: Apache-2.0
"""The `openai` and `anthropic` packages, unchanged, against an agent and through the gateway."""

import os

from anthropic import Anthropic
from openai import OpenAI

QUESTION = [{"role": "user", "content": "What is the weather in Oslo?"}]


def text_and_kinds(response):
    return response.output_text, [item.type for item in response.output]


def main():
    expected = ("It is cold in Oslo.", ["function_call", "function_call_output", "message"])

    agent = OpenAI(base_url=os.environ["URL_WEATHER_AGENT"] + "/v1", api_key="unused", max_retries=0)
    response = agent.responses.create(model="any", input=QUESTION)
    assert text_and_kinds(response) == expected, response
    assert response.status in (None, "completed"), response.status

    gateway = OpenAI(base_url=os.environ["URL_GATEWAY"] + "/v1", api_key="unused", max_retries=0)
    assert "weather_agent" in [model.id for model in gateway.models.list()]
    response = gateway.responses.create(model="weather_agent", input="What is the weather in Oslo?")
    assert text_and_kinds(response) == expected, response

    events = list(gateway.responses.create(model="weather_agent", input=QUESTION, stream=True))
    assert events[0].type == "response.created", events[0]
    assert events[-1].type == "response.completed", events[-1]
    assert events[-1].response.output_text == "It is cold in Oslo."
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers)), numbers

    # Clients that speak another dialect get what the agent says in the end; its own tool calls are done.
    chat = gateway.chat.completions.create(model="weather_agent", messages=QUESTION)
    assert chat.choices[0].message.content == "It is cold in Oslo.", chat
    assert chat.choices[0].message.tool_calls is None and chat.choices[0].finish_reason == "stop", chat
    chunks = list(gateway.chat.completions.create(model="weather_agent", messages=QUESTION, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "It is cold in Oslo."
    claude = Anthropic(base_url=os.environ["URL_GATEWAY"], api_key="unused", max_retries=0)
    message = claude.messages.create(model="weather_agent", max_tokens=100, messages=QUESTION)
    assert [block.text for block in message.content] == ["It is cold in Oslo."], message
    assert (message.model, message.stop_reason) == ("weather_agent", "end_turn"), message

    model = OpenAI(base_url=os.environ["URL_POLICY_MODEL"] + "/v1", api_key="unused", max_retries=0)
    response = model.responses.create(model="any", input=QUESTION)
    assert response.output[0].name == "get_weather", response


main()
