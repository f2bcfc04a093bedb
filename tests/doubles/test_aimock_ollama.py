"""aimock plays the fixtures back as Ollama does: lines of JSON, whole tool calls, no server-sent events.

It has no word for reasoning (it gives OpenAI's), no `/api/version`, and vectors only in an older format.
"""

import json

import pytest

from llamafarm.errors import AllFailedError, ContextExceededError, RateLimitError, StreamCutError, TransientError
from tests.doubles.asking import answer_of, farm

pytestmark = pytest.mark.doubles

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ASKED = {"role": "user", "content": "weather in two cities"}
FRUIT = {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}


async def ask(double, prompt, *, stream, more="", **options):
    async with farm(double, provider="ollama", model="llama3.2", path="", more=more) as asked:
        return await answer_of(asked, prompt, stream=stream, **options)


@pytest.fixture(params=[True, False], ids=["stream", "plain"])
def stream(request):
    return request.param


async def test_text_arrives_as_it_is(aimock, stream):
    found = await ask(aimock, "greet", stream=stream, temperature=0.2, max_tokens=50)
    assert (found.text, found.finish_reason) == ("Hello there, wörld — 日本.", "stop")


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


async def test_pictures_go_with_their_text(aimock, stream):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    parts = [{"type": "text", "text": "look"}, picture]
    assert (await ask(aimock, [{"role": "user", "content": parts}], stream=stream)).text == "A cat."


async def test_an_answer_by_a_schema(aimock, stream):
    form = {"type": "json_schema", "json_schema": {"name": "fruit", "schema": FRUIT}}
    found = await ask(aimock, "a fruit", stream=stream, response_format=form)
    assert json.loads(found.text) == {"kind": "plum"}


@pytest.mark.parametrize(
    ("prompt", "error"),
    [("too many", RateLimitError), ("too long", ContextExceededError), ("overloaded", TransientError)],
)
async def test_errors_are_told_apart(aimock, prompt, error, stream):
    with pytest.raises(AllFailedError) as failed:
        await ask(aimock, prompt, stream=stream)
    assert isinstance(failed.value.cause, error)


async def test_a_cut_is_no_answer(aimock):
    with pytest.raises(StreamCutError):
        await ask(aimock, "cut me", stream=True, more="optimization: {stream_recovery: error}")


async def test_a_text_is_completed(aimock):
    async with farm(aimock, provider="ollama", model="codellama", path="") as asked:
        assert (await asked.complete("greet")).text == "Hello there, wörld — 日本."
