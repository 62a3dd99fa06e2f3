# SPDX-License-Identifier: Apache-2.0
"""The `anthropic` package, unchanged, against a model server."""

import os

import anthropic

TOOLS = [{
    "name": "get_weather",
    "description": "Get the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}]
QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}


def main():
    client = anthropic.Anthropic(base_url=os.environ["URL_POLICY_MODEL"], api_key="unused", max_retries=0)
    asked = {"model": "any", "max_tokens": 100, "tools": TOOLS}
    message = client.messages.create(messages=[QUESTION], **asked)
    assert message.stop_reason == "tool_use", message
    call = next(block for block in message.content if block.type == "tool_use")
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo"}), call

    history = [
        QUESTION,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "-3 degrees"}]},
    ]
    message = client.messages.create(messages=history, **asked)
    assert message.stop_reason == "end_turn", message
    assert message.content[-1].text == "It is cold in Oslo.", message

    with client.messages.stream(messages=history, **asked) as stream:
        assert "".join(stream.text_stream) == "It is cold in Oslo."
        assert stream.get_final_message().stop_reason == "end_turn"

    try:
        client.messages.create(model="any", max_tokens=100, messages=[])
    except anthropic.APIStatusError as error:
        assert 400 <= error.status_code < 600, error
    else:
        raise AssertionError("no messages are an error")


main()
