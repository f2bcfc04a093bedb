"""Finish reasons in other words than OpenAI's: an interruption is never passed off as an end, in whatever format."""

import msgspec
import pytest

from llamafarm.errors import BadReplyError, StreamCutError
from llamafarm.providers.anthropic.provider import Anthropic
from llamafarm.providers.finishing import finish_of, is_interruption
from llamafarm.providers.ollama.provider import Ollama
from llamafarm.testing.fake_server import FakeServer, events, raw, reply
from llamafarm.types import Operation
from tests.providers.anthropic_server import end, start, stream, text

INTERRUPTIONS = [
    "error",
    "abort",
    "insufficient_system_resource",
    "network_error",
    "function_call_filter: MALFORMED_FUNCTION_CALL",
]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n"


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("eos_token", "stop"),
        ("model_length", "length"),
        ("model_context_window_exceeded", "length"),
        ("sensitive", "content_filter"),
        ("content_filter: SAFETY", "content_filter"),
        ("stop", "stop"),
        ("something_new", "something_new"),
    ],
)
def test_words_that_mean_an_end(word, known):
    assert finish_of(word) == known
    assert not is_interruption(word)


def piece(text="", finish=None):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


@pytest.mark.parametrize("word", INTERRUPTIONS)
@pytest.mark.parametrize("together", [True, False])
async def test_openai_streamed(rig, word, together):
    last = [piece(" half", word)] if together else [piece(" half"), piece("", word)]
    async with FakeServer(events(piece("A"), *last)) as server:
        error = await rig.fails(server, StreamCutError)
    assert error.seen == "A half"
    assert word in str(error)


@pytest.mark.parametrize("word", INTERRUPTIONS)
async def test_openai_plain(rig, word):
    whole = {"choices": [{"index": 0, "message": {"content": "A half"}, "finish_reason": word}]}
    async with FakeServer(reply(200, whole)) as server:
        error = await rig.fails(server, BadReplyError, stream=False)
    assert word in str(error)


async def test_what_came_with_it_is_passed_on_without_it(rig):
    async with FakeServer(events(piece("A"), piece(" half", "abort"))) as server:
        reply = await rig.upstream.send(rig.attempt(rig.target(server)))
        given = [await anext(reply) for _ in range(2)]
        with pytest.raises(StreamCutError):
            await anext(reply)
    assert [msgspec.json.decode(chunk.raw) for chunk in given] == [piece("A"), piece(" half")]


async def test_openai_completions(rig):
    def event(said, finish=None):
        return {"choices": [{"index": 0, "text": said, "finish_reason": finish}]}

    async with FakeServer(events(event("A"), event("", "abort"))) as server:
        body = {"model": "m", "prompt": "x"}
        assert (await rig.fails(server, StreamCutError, body=body, operation=Operation.COMPLETION)).seen == "A"


async def test_behind_the_end_of_its_choice_it_changes_nothing(rig):
    async with FakeServer(events(piece("A", "stop"), piece("", "abort"))) as server:
        assert [chunk.finish_reason for chunk in await rig.send(server)] == ["stop"]


@pytest.mark.parametrize("word", ["error", "abort", "insufficient_system_resource"])
async def test_anthropics_format(rig, word):
    """Others than Anthropic speak it too."""
    rig.upstream = Anthropic(rig.upstream._transport)
    message = {"type": "message", "content": [{"type": "text", "text": "A half"}], "stop_reason": word}
    async with FakeServer(stream(start(), *text("A half"), *end(word)), reply(200, message)) as server:
        assert (await rig.fails(server, StreamCutError)).seen == "A half"
        await rig.fails(server, BadReplyError, stream=False)


async def test_ollamas_format(rig):
    rig.upstream = Ollama(rig.upstream._transport)
    line = {"message": {"role": "assistant", "content": "A half"}, "done": False}
    last = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "error"}
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in (line, last))
    async with FakeServer(raw(HEAD + lines), reply(200, {**line, **last, "message": line["message"]})) as server:
        assert (await rig.fails(server, StreamCutError)).seen == "A half"
        await rig.fails(server, BadReplyError, stream=False)
