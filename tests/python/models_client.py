# SPDX-License-Identifier: Apache-2.0
"""All three routes of every model server, streaming and not, through the `openai` and `anthropic` packages."""

import os

import anthropic
import openai

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "name": "get_weather", "description": "d", "parameters": SCHEMA, "strict": False}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": SCHEMA}}
CLAUDE_TOOL = {"name": "get_weather", "description": "d", "input_schema": SCHEMA}
QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}
IMAGE = "data:image/png;base64,iVBORw0KGgo="


def responses(client, native):
    first = client.responses.create(model="any", input=[QUESTION], tools=[TOOL], temperature=0.5, max_output_tokens=50)
    kinds = [item.type for item in first.output]
    assert kinds == ["reasoning", "function_call"], first
    assert first.output[0].summary[0].text == "hm", first
    assert (first.output[1].name, first.output[1].arguments) == ("get_weather", '{"city": "Oslo"}'), first
    assert first.status == "completed" and first.object == "response", first
    assert (first.usage.input_tokens, first.usage.output_tokens, first.usage.total_tokens) == (11, 7, 18), first.usage
    assert first.usage.input_tokens_details.cached_tokens == 3, first.usage
    assert first.usage.output_tokens_details.reasoning_tokens == 2, first.usage
    result = {"type": "function_call_output", "call_id": first.output[1].call_id, "output": "-3 degrees"}
    history = [QUESTION, *[item.model_dump(exclude_none=True) for item in first.output], result]
    second = client.responses.create(model="any", input=history, tools=[TOOL])
    assert second.output_text == "It is cold.", second
    picture = [{"role": "user", "content": [{"type": "input_text", "text": "cut"},
                                            {"type": "input_image", "image_url": IMAGE, "detail": "low"}]}]
    cut = client.responses.create(model="any", input=picture)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens"), cut

    events = list(client.responses.create(model="any", input=history, tools=[TOOL], stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed", events
    assert events[-1].response.output_text == "It is cold.", events[-1]
    done = [event.item.type for event in events if event.type == "response.output_item.done"]
    assert done == ["message"], events


def chat(client):
    first = client.chat.completions.create(model="any", messages=[QUESTION], tools=[CHAT_TOOL])
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls", first
    assert choice.message.tool_calls[0].function.name == "get_weather", first
    assert first.usage.total_tokens == 18, first.usage
    answered = [QUESTION, choice.message.model_dump(exclude_none=True),
                {"role": "tool", "tool_call_id": choice.message.tool_calls[0].id, "content": "-3 degrees"}]
    second = client.chat.completions.create(model="any", messages=answered, tools=[CHAT_TOOL])
    assert second.choices[0].message.content.endswith("It is cold."), second
    assert second.choices[0].finish_reason == "stop", second

    stream = client.chat.completions.create(model="any", messages=answered, tools=[CHAT_TOOL], stream=True,
                                            stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.endswith("It is cold."), chunks
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop", chunks
    assert chunks[-1].usage.total_tokens == 18, chunks[-1]
    calls = client.chat.completions.create(model="any", messages=[QUESTION], tools=[CHAT_TOOL], stream=True)
    deltas = [delta for chunk in calls if chunk.choices for delta in chunk.choices[0].delta.tool_calls or []]
    assert "".join(delta.function.name or "" for delta in deltas) == "get_weather", deltas
    assert "".join(delta.function.arguments or "" for delta in deltas) == '{"city": "Oslo"}', deltas


def messages(client):
    asked = {"model": "any", "max_tokens": 100, "tools": [CLAUDE_TOOL], "system": "be brief"}
    first = client.messages.create(messages=[QUESTION], **asked)
    assert first.stop_reason == "tool_use", first
    call = next(block for block in first.content if block.type == "tool_use")
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo"}), call
    assert (first.usage.output_tokens, first.role) == (7, "assistant"), first
    blocks = [block.model_dump(exclude_none=True) for block in first.content]
    history = [QUESTION, {"role": "assistant", "content": blocks},
               {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "-3 degrees"}]}]
    second = client.messages.create(messages=history, **asked)
    assert (second.stop_reason, second.content[-1].text) == ("end_turn", "It is cold."), second
    with client.messages.stream(messages=history, **asked) as stream:
        assert "".join(stream.text_stream) == "It is cold."
    with client.messages.stream(messages=[QUESTION], **asked) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use" and final.content[-1].input == {"city": "Oslo"}, final


def main():
    for name in os.environ["MODELS"].split():
        url = os.environ["URL_" + name.upper()]
        try:
            for prefix in ("", "/ng-rollout/3-1", "/ng-rollout/3-1/training-token-capture"):
                client = openai.OpenAI(base_url=f"{url}{prefix}/v1", api_key="unused", max_retries=0)
                responses(client, name == "m_openai")
                chat(client)
                messages(anthropic.Anthropic(base_url=url + prefix, api_key="unused", max_retries=0))
            assert name in [model.id for model in client.models.list()] or prefix, name
        except Exception as error:
            raise AssertionError(f"model server `{name}`: {error}") from error


main()
