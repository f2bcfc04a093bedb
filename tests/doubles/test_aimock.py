"""aimock plays fixtures back in OpenAI's format: text, reasoning, tools, errors, cuts, vectors, pictures."""

import pytest

from llamafarm.errors import AllFailedError, ContextExceededError, RateLimitError, StreamCutError
from tests.doubles.asking import farm, text_of

pytestmark = pytest.mark.doubles


@pytest.mark.parametrize("stream", [True, False])
async def test_text_arrives_as_it_is(aimock, stream):
    async with farm(aimock) as asked:
        if stream:
            events = asked.stream("greet")
            assert await text_of(events) == "Hello there, wörld — 日本."
            found = events.answer
        else:
            found = await asked.generate("greet")
    assert found.text == "Hello there, wörld — 日本."
    assert (found.finish_reason, found.usage is not None) == ("stop", True)


@pytest.mark.parametrize("stream", [True, False])
async def test_reasoning_is_apart_from_the_text(aimock, stream):
    async with farm(aimock, model="o3") as asked:
        if stream:
            events = asked.stream("think")
            await text_of(events)
            found = events.answer
        else:
            found = await asked.generate("think")
    assert (found.text, found.reasoning) == ("42", "Let me see.")


@pytest.mark.parametrize("stream", [True, False])
async def test_two_tools_are_called_at_once(aimock, stream):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    async with farm(aimock) as asked:
        if stream:
            events = asked.stream("weather in two cities", tools=tools)
            await text_of(events)
            found = events.answer
        else:
            found = await asked.generate("weather in two cities", tools=tools)
    assert [call.arguments.replace(" ", "") for call in found.tool_calls] == ['{"city":"Paris"}', '{"city":"Rome"}']
    assert len({call.id for call in found.tool_calls}) == 2
    assert found.finish_reason == "tool_calls"


@pytest.mark.parametrize(("prompt", "error"), [("too many", RateLimitError), ("too long", ContextExceededError)])
@pytest.mark.parametrize("stream", [True, False])
async def test_errors_are_told_apart(aimock, prompt, error, stream):
    async with farm(aimock) as asked:
        with pytest.raises(AllFailedError) as failed:
            await (text_of(asked.stream(prompt)) if stream else asked.generate(prompt))
    assert isinstance(failed.value.cause, error)


async def test_a_cut_is_no_answer(aimock):
    async with farm(aimock, more="optimization: {stream_recovery: error}") as asked:
        with pytest.raises(StreamCutError):
            await text_of(asked.stream("cut me"))


async def test_vectors(aimock):
    async with farm(aimock, model="text-embedding-3-small") as asked:
        found = await asked.embed(["embed me"])
    assert found.vectors == ((0.25, -0.5, 0.75),)


async def test_pictures(aimock):
    async with farm(aimock, model="gpt-image-1") as asked:
        found = await asked.image("a red cat")
    assert found.data[0].decoded() == b"\x89PNG\r\n\x1a\n"
