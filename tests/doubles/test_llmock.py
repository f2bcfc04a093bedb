"""llmock breaks answers on demand and grades how its client took it: no finding."""

import pytest

from llamafarm.errors import AllFailedError, BadRequestError, StreamCutError
from tests.doubles.asking import answer_of, farm, text_of

pytestmark = pytest.mark.doubles

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def queue(llmock, *behaviors):
    llmock.call("POST", "/_llmock/scenario", {"behaviors": list(behaviors)})


def requests(llmock):
    return llmock.call("GET", "/_llmock/requests")["requests"]


@pytest.fixture
def graded(llmock):
    """The server; after the test its verdict on us has to be without any finding."""
    yield llmock
    verdict = llmock.call("GET", "/_llmock/verdict")
    assert verdict["calls"] >= 1
    assert verdict["findings"] == [], verdict


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("custom", "/v1"),
        ("openai", "/v1"),
        ("mistral", "/mistral/v1"),
        ("groq", "/groq/openai/v1"),
        ("together", "/together/v1"),
        ("xai", "/xai/v1"),
        ("perplexity", "/perplexity/v1"),
        ("anthropic", "/anthropic/v1"),
    ],
)
async def test_plain_and_streamed_answers_are_one(graded, provider, path):
    async with farm(graded, provider=provider, path=path) as asked:
        whole = await asked.generate("Hello there, which way is it?", max_tokens=20, temperature=0.2)
        stream = asked.stream("Hello there, which way is it?", max_tokens=20, temperature=0.2)
        assert await text_of(stream) == whole.text != ""
        assert stream.answer.finish_reason == whole.finish_reason == "stop"
        if provider != "mistral":  # the real one gives a stream's usage unasked, which this one does not know
            assert stream.answer.usage == whole.usage
        assert whole.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [True, False])
async def test_tools_are_called_in_parallel(graded, stream):
    calls = [{"name": "weather", "arguments": {"city": city}} for city in ("Paris", "Rome")]
    queue(graded, {"type": "reply", "tool_calls": calls})
    async with farm(graded) as asked:
        if stream:
            events = asked.stream("Weather?", tools=[WEATHER])
            await text_of(events)
            found = events.answer
        else:
            found = await asked.generate("Weather?", tools=[WEATHER])
    assert [call.name for call in found.tool_calls] == ["weather", "weather"]
    assert [call.arguments.replace(" ", "") for call in found.tool_calls] == ['{"city":"Paris"}', '{"city":"Rome"}']
    assert found.finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"status": 429, "retry_after": 1}])
async def test_what_passes_is_tried_again_as_late_as_asked(graded, fault, stream):
    queue(graded, {"type": "fail", "times": 1, **fault})
    async with farm(graded) as asked:
        text = await text_of(asked.stream("Hi")) if stream else (await asked.generate("Hi")).text
    assert text
    assert [request["status"] for request in requests(graded)] == [fault["status"], 200]


async def test_back_off_grows(graded):
    queue(graded, {"type": "fail", "times": 2, "status": 503})
    async with farm(graded) as asked:
        assert (await asked.generate("Hi")).text
    assert [request["status"] for request in requests(graded)] == [503, 503, 200]


@pytest.mark.parametrize("status", [400, 422])
async def test_what_never_passes_is_asked_once(graded, status):
    queue(graded, {"type": "fail", "times": 5, "status": status})
    async with farm(graded) as asked:
        with pytest.raises(AllFailedError) as failed:
            await asked.generate("Hi")
    assert isinstance(failed.value.cause, BadRequestError)
    assert len(requests(graded)) == 1


@pytest.mark.parametrize("kind", ["truncate", "disconnect"])
async def test_half_an_answer_is_an_error_and_can_be_asked_again(graded, kind):
    queue(graded, {"type": "stream_fault", "kind": kind, "after_chunks": 2, "times": 1})
    more = "optimization: {stream_recovery: error}"
    async with farm(graded, more=more) as asked:
        with pytest.raises(StreamCutError):
            await text_of(asked.stream("Hi"))
        assert await text_of(asked.stream("Hi"))


async def test_a_stalled_stream_is_left(graded):
    queue(graded, {"type": "stream_fault", "kind": "stall", "after_chunks": 2, "stall_seconds": 30, "times": 1})
    more = "optimization: {stream_recovery: error, stream_idle_timeout: 0.5}"
    async with farm(graded, more=more) as asked:
        with pytest.raises(StreamCutError, match="silent"):
            await text_of(asked.stream("Hi"))
        assert await text_of(asked.stream("Hi"))


async def test_a_malformed_event_is_left_out_and_counted(llmock):
    queue(llmock, {"type": "stream_fault", "kind": "malformed", "after_chunks": 1, "times": 1})
    more = "optimization: {stream_recovery: error}"
    async with farm(llmock, more=more) as asked:
        skipped = 0
        try:
            async for chunk in asked.stream("Hi"):
                skipped += chunk.skipped
        except StreamCutError as error:
            assert "malformed" in str(error)  # noqa: PT017 - either way it is told
        else:
            assert skipped == 1


def claude(llmock, more=""):
    return farm(llmock, provider="anthropic", path="/anthropic/v1", model="claude-opus-4-6", more=more)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", [{"status": 529}, {"status": 500}, {"status": 429, "retry_after": 1}])
async def test_in_anthropics_format_what_passes_is_tried_again(graded, fault, stream):
    queue(graded, {"type": "fail", "times": 1, **fault})
    async with claude(graded) as asked:
        assert (await answer_of(asked, "Hi", stream=stream)).text
    assert [request["status"] for request in requests(graded)] == [fault["status"], 200]


@pytest.mark.parametrize("kind", ["truncate", "disconnect"])
async def test_in_anthropics_format_half_an_answer_is_an_error(graded, kind):
    queue(graded, {"type": "stream_fault", "kind": kind, "after_chunks": 4, "times": 1})
    async with claude(graded, more="optimization: {stream_recovery: error}") as asked:
        with pytest.raises(StreamCutError):
            await text_of(asked.stream("Hi"))
        assert await text_of(asked.stream("Hi"))
