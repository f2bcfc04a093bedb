"""aimock plays the same fixtures back in Anthropic's format: our translation there and back meets another reading."""

import json

import pytest

from llamafarm.errors import (
    AllFailedError,
    ContextExceededError,
    RateLimitError,
    StreamCutError,
    TransientError,
)
from tests.doubles.asking import answer_of, farm, text_of

pytestmark = pytest.mark.doubles

NEW, OLD, OLDEST = "claude-opus-4-8", "claude-sonnet-4-5", "claude-3-5-haiku-latest"
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ASKED = {"role": "user", "content": "weather in two cities"}
FRUIT = {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def claude(double, model=NEW, **options):
    return farm(double, provider="anthropic", model=model, **options)


async def ask(double, prompt, *, stream, model=NEW, **more):
    async with claude(double, model) as asked:
        return await answer_of(asked, prompt, stream=stream, **more)


@pytest.fixture(params=[True, False], ids=["stream", "plain"])
def stream(request):
    return request.param


async def test_text_arrives_as_it_is(aimock, stream):
    found = await ask(aimock, "greet", stream=stream)
    assert (found.text, found.finish_reason) == ("Hello there, wörld — 日本.", "stop")


async def test_usage_and_what_ended_the_answer(aimock, stream):
    found = await ask(aimock, "count", stream=stream)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (12, 3)
    assert (found.text, found.finish_reason) == ("One two three", "length")


async def test_thinking_is_apart_and_comes_with_its_signature(aimock, stream):
    found = await ask(aimock, "think", stream=stream, reasoning_effort="low")
    assert (found.text, found.reasoning) == ("42", "Let me see.")
    (block,) = found.thinking_blocks
    assert block["thinking"] == "Let me see."
    assert block["signature"]


async def test_hidden_thinking_is_kept(aimock, stream):
    found = await ask(aimock, "hidden", stream=stream, reasoning_effort="low")
    assert (found.text, found.reasoning) == ("43", "Hm.")
    assert found.thinking_blocks[0] == {"type": "redacted_thinking", "data": "c2VjcmV0"}


async def test_two_tools_are_called_at_once_and_answered(aimock, stream):
    found = await ask(aimock, "weather in two cities", stream=stream, tools=[WEATHER])
    first, second = found.tool_calls
    assert [json.loads(call.arguments) for call in found.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert (found.finish_reason, first.id != second.id) == ("tool_calls", True)
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in found.tool_calls
    ]
    results = [
        {"role": "tool", "tool_call_id": first.id, "content": "18 degrees"},
        {"role": "tool", "tool_call_id": second.id, "content": "7 degrees"},
    ]
    said = [ASKED, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    assert (await ask(aimock, said, stream=stream, tools=[WEATHER])).text == "Rome is colder."


@pytest.mark.parametrize("kept", [True, False])
async def test_a_turn_with_tools_keeps_its_thinking_or_goes_on_without(aimock, kept):
    """It refuses, as the vendor does, a thinking model's tool results whose call has no thinking before it."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    thought = [{"type": "thinking", "thinking": "Both.", "signature": "c2ln"}] if kept else None
    said = [
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call], "thinking_blocks": thought},
        {"role": "tool", "tool_call_id": "call_1", "content": "7 degrees"},
    ]
    found = await ask(aimock, said, stream=False, model=OLD, tools=[WEATHER], reasoning_effort="low")
    assert found.text == "Rome is colder."


async def test_pictures_go_with_their_text(aimock, stream):
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    found = await ask(aimock, [{"role": "user", "content": parts}], stream=stream)
    assert found.text == "A cat."


@pytest.mark.parametrize("model", [NEW, OLDEST])
async def test_an_answer_by_a_schema(aimock, model, stream):
    """The oldest models give it as a tool's arguments."""
    form = {"type": "json_schema", "json_schema": {"name": "fruit", "schema": FRUIT}}
    found = await ask(aimock, "a fruit", stream=stream, model=model, response_format=form)
    assert json.loads(found.text) == {"kind": "plum"}
    assert (found.tool_calls, found.finish_reason) == ((), "stop")


@pytest.mark.parametrize(
    ("prompt", "error"),
    [("too many", RateLimitError), ("too long", ContextExceededError), ("overloaded", TransientError)],
)
async def test_errors_are_told_apart(aimock, prompt, error, stream):
    with pytest.raises(AllFailedError) as failed:
        await ask(aimock, prompt, stream=stream)
    assert isinstance(failed.value.cause, error)


async def test_a_cut_is_no_answer(aimock):
    async with claude(aimock, more="optimization: {stream_recovery: error}") as asked:
        with pytest.raises(StreamCutError):
            await text_of(asked.stream("cut me"))
