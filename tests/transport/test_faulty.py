"""A transport that fails on purpose, under the real providers and over real sockets."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from llamafarm import providers
from llamafarm.errors import AttemptTimeoutError, ConnectError, RateLimitError, StreamCutError, TransientError
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, raw
from llamafarm.transport import HttpTransport
from llamafarm.transport.faulty import RETRY_AFTER, FaultyTransport, InjectedFault
from llamafarm.types import Attempt, Call, Target

MESSAGES = [{"role": "user", "content": "Hi"}]


def attempt(base_url, *, stream=False, seconds=20.0, dialect="openai"):
    target = Target("a", "custom", dialect, "m", base_url=base_url)
    body = {"messages": MESSAGES, "model": "m", "max_tokens": 16}
    return Attempt(Call(body, stream=stream), target, dict(body), time.monotonic() + seconds, ttft=seconds)


@pytest.mark.parametrize(
    ("fault", "kind", "retry_after"),
    [
        (InjectedFault.REFUSED, ConnectError, None),
        (InjectedFault.RATE_LIMIT, RateLimitError, None),
        (InjectedFault.RATE_LIMIT_WITH_PAUSE, RateLimitError, RETRY_AFTER),
        (InjectedFault.SERVER_ERROR, TransientError, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_fault_is_seen_as_a_real_one_and_nothing_is_sent(fault, kind, retry_after, stream):
    async with FakeServer(answer()) as server:
        transport = HttpTransport()
        faulty = FaultyTransport(transport, fault)
        with pytest.raises(kind) as failed:
            await providers.load("openai")(faulty).send(attempt(server.base_url, stream=stream))
        await transport.aclose()
    assert failed.value.retry_after == retry_after
    assert (server.connections, faulty.played) == (0, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_no_answer_lasts_until_the_timer_of_whoever_asked(stream):
    faulty = FaultyTransport(HttpTransport(), InjectedFault.TIMEOUT)
    with pytest.raises(AttemptTimeoutError):
        await providers.load("openai")(faulty).send(attempt("http://127.0.0.1:9/v1", stream=stream, seconds=0.05))


async def test_endpoints_that_are_not_meant_are_really_asked():
    async with FakeServer(answer("Yes.", models=("m",))) as server:
        transport = HttpTransport()
        faulty = FaultyTransport(transport, InjectedFault.REFUSED, at=lambda endpoint: endpoint.host == "elsewhere")
        chunks = [chunk async for chunk in await providers.load("openai")(faulty).send(attempt(server.base_url))]
        assert (await providers.load("openai")(faulty).check(attempt(server.base_url).target)).ok
        await transport.aclose()
    assert [chunk.text for chunk in chunks] == ["Yes."]
    assert faulty.played == 0


def anthropic():
    events = [
        {"type": "message_start", "message": {"id": "x", "usage": {"input_tokens": 3, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
            for word in ("One", " two", " three")
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    body = b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in events)
    return raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + body)


def ollama():
    lines = [{"message": {"role": "assistant", "content": word}, "done": False} for word in ("One", " two", " three")]
    lines.append({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"})
    body = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    return raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("behaviour", "dialect"),
    [(lambda: answer("One two three"), "openai"), (anthropic, "anthropic"), (ollama, "ollama")],
)
async def test_a_stream_breaks_right_behind_the_event_that_was_read(behaviour, dialect):
    """Even though the whole answer has long arrived in one piece."""
    async with FakeServer(behaviour()) as server:
        transport = HttpTransport()
        faulty = FaultyTransport(transport, InjectedFault.CUT)
        events = await providers.load(dialect)(faulty).send(attempt(server.base_url, stream=True, dialect=dialect))
        first = await anext(events)
        while not first.text:
            first = await anext(events)
        faulty.break_off()
        with pytest.raises(StreamCutError):
            await anext(events)
        await transport.aclose()
    assert first.text == "One"


async def test_without_breaking_off_the_answer_is_whole():
    async with FakeServer(answer("One two three")) as server:
        transport = HttpTransport()
        faulty = FaultyTransport(transport, InjectedFault.CUT)
        events = await providers.load("openai")(faulty).send(attempt(server.base_url, stream=True))
        assert "".join([chunk.text async for chunk in events]) == "One two three"
        await transport.aclose()
        await asyncio.wait_for(faulty.aclose(), 5)
