"""When a stream is late, silent or over."""

import asyncio

import msgspec
import pytest

from llamafarm.errors import AttemptTimeoutError, StreamCutError
from llamafarm.providers import stream as chunk_stream
from llamafarm.testing.fake_server import FakeServer, events, raw, silence
from llamafarm.types import Usage

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def piece(text="", finish=None, index=0, **delta):
    delta = {"content": text, **delta} if text else delta
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def sse(*payloads):
    return b"".join(b"data: %b\n\n" % (p if isinstance(p, bytes) else msgspec.json.encode(p)) for p in payloads)


def endless(*payloads, pause=0.01):
    """Send these events, and the last of them again and again."""

    async def drip(request, writer):
        writer.write(HEAD + sse(*payloads))
        while not request.gone.is_set():
            await asyncio.sleep(pause)
            writer.write(sse(payloads[-1]))
            await writer.drain()

    return drip


USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


async def test_silence_after_the_headers(rig):
    async with FakeServer(raw(HEAD, close=False)) as server:
        error = await rig.fails(server, AttemptTimeoutError, ttft=0.1)
        assert "no first token within 0.1 s" in str(error)
        await rig.fails(server, AttemptTimeoutError, seconds=0.1)
        await server.until_disconnected()


async def test_what_is_no_token_does_not_stop_the_clock(rig):
    async def drip(request, writer):
        writer.write(HEAD + sse(piece(role="assistant")))
        while not request.gone.is_set():
            writer.write(b": keep-alive\n\n" + sse(piece()))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with FakeServer(drip) as server:
        await rig.fails(server, AttemptTimeoutError, ttft=0.2)
        await server.until_disconnected()


async def test_silence_after_a_token_is_a_cut(rig):
    async def drip(request, writer):
        writer.write(HEAD + sse(piece("Hello")))
        while not request.gone.is_set():
            writer.write(b": keep-alive\n\ndata: {\n\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with FakeServer(drip) as server:
        error = await rig.fails(server, StreamCutError, idle=0.15)
        assert error.seen == "Hello"
        assert "silent for 0.15 s" in str(error)
        await server.until_disconnected()


@pytest.mark.parametrize(
    "empty",
    [
        piece(),
        piece(role="assistant"),
        {"choices": []},
        {},
        piece(tool_calls=[{"index": 0}]),
        piece(tool_calls=[{"index": 0, "function": {"arguments": ""}}]),
    ],
)
async def test_empty_events_after_a_token_are_silence(rig, empty):
    async with FakeServer(endless(piece("Hello"), empty)) as server:
        error = await rig.fails(server, StreamCutError, idle=0.2)
        assert error.seen == "Hello"
        assert "silent for 0.2 s" in str(error)
        await server.until_disconnected()


async def test_empty_events_are_silence_even_for_a_reader_that_is_slower(rig):
    async with FakeServer(endless(piece("Hello"), piece(), pause=0.03)) as server:
        stream = await rig.upstream.send(rig.attempt(rig.target(server), idle=0.15))

        async def read():
            async with asyncio.timeout(8):
                async for _ in stream:
                    await asyncio.sleep(0.01)

        with pytest.raises(StreamCutError):
            await read()


@pytest.mark.parametrize(
    "something",
    [
        piece("x"),
        piece(reasoning_content="x"),
        piece(tool_calls=[{"index": 0, "function": {"arguments": "1"}}]),
        piece(tool_calls=[{"index": 0, "id": "a"}]),
        {"choices": [], "usage": USAGE},
    ],
)
async def test_what_brings_something_is_no_silence(rig, something):
    async def drip(request, writer):
        writer.write(HEAD + sse(piece("x")))
        for number in range(8):
            await asyncio.sleep(0.05)
            grown = {"usage": {**USAGE, "prompt_tokens": number}} if "usage" in something else {}
            writer.write(sse({**something, **grown}))
            await writer.drain()
        writer.write(sse(piece(finish="stop"), b"[DONE]"))
        writer.close()

    async with FakeServer(drip) as server:
        chunks = await rig.send(server, idle=0.3)
        assert chunks[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    "tail", [{"choices": []}, {"choices": [], "usage": USAGE}, piece(finish="stop"), b"{", piece()]
)
@pytest.mark.parametrize("text", ["Hello", ""])
async def test_an_endless_tail_is_the_end(rig, monkeypatch, tail, text):
    monkeypatch.setattr(chunk_stream, "_TAIL_SECONDS", 0.2)
    async with FakeServer(endless(piece(text), piece(finish="stop"), tail)) as server:
        chunks = await rig.send(server, seconds=60)
        assert "".join(chunk.text for chunk in chunks).startswith(text)
        assert "stop" in [chunk.finish_reason for chunk in chunks]
        await server.until_disconnected()


async def test_an_endless_tail_without_a_pause_is_the_end(rig, monkeypatch):
    monkeypatch.setattr(chunk_stream, "_TAIL_SECONDS", 0.05)
    async with FakeServer(endless(piece("Hello"), piece(finish="stop"), {"choices": []}, pause=0)) as server:
        await rig.send(server)
        await server.until_disconnected()


async def test_usage_is_waited_for_by_a_slow_reader(rig, monkeypatch):
    """Its own slowness is not taken off the time that the source has for the rest."""
    monkeypatch.setattr(chunk_stream, "_TAIL_SECONDS", 0.3)
    reading = asyncio.Event()

    async def late(request, writer):
        writer.write(HEAD + sse(piece("Hello"), piece(finish="stop")))
        await reading.wait()
        writer.write(sse({"choices": [], "usage": USAGE}, b"[DONE]"))
        writer.close()

    async with FakeServer(late) as server:
        seen = []
        async for chunk in await rig.upstream.send(rig.attempt(rig.target(server))):
            seen.append(chunk)
            if chunk.finish_reason:
                await asyncio.sleep(0.5)
                reading.set()
        assert seen[-1].usage == Usage(9, 2)


async def test_a_slow_stream_that_keeps_coming_is_whole(rig):
    async def drip(request, writer):
        writer.write(HEAD)
        for _ in range(8):
            writer.write(sse(piece("x")))
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(sse(piece(finish="stop"), b"[DONE]"))
        writer.close()

    async with FakeServer(drip) as server:
        chunks = await rig.send(server, idle=0.3, ttft=0.3, seconds=0.3)
        assert "".join(chunk.text for chunk in chunks) == "x" * 8


async def test_a_slow_reader_is_no_silent_source(rig):
    async with FakeServer(events(*[piece("x")] * 4, piece(finish="stop"))) as server:
        attempt = rig.attempt(rig.target(server), idle=0.05)
        count = 0
        async for _ in await rig.upstream.send(attempt):
            count += 1
            await asyncio.sleep(0.1)
        assert count == 5


async def test_silence_after_the_finish_reason_is_the_end(rig):
    async with FakeServer(raw(HEAD + sse(piece("Hello"), piece(finish="stop")), close=False)) as server:
        assert len(await rig.send(server, idle=0.1)) == 2
        await server.until_disconnected()


@pytest.mark.parametrize(
    ("stream", "ttft", "key"), [(True, 0.1, "ttft_timeout"), (True, None, "timeout"), (False, 0.1, "timeout")]
)
async def test_what_to_raise_is_the_key_that_was_too_low(rig, stream, ttft, key):
    async with FakeServer(silence()) as server:
        error = await rig.fails(server, AttemptTimeoutError, stream=stream, ttft=ttft, seconds=0.3)
        assert str(error).endswith(f"or raise {key}")


def dripping(*payloads, pause=0.1):
    """Send these events with pauses, and nothing behind them."""

    async def drip(request, writer):
        writer.write(HEAD)
        for payload in payloads:
            writer.write(sse(payload))
            await writer.drain()
            await asyncio.sleep(pause)
        writer.close()

    return drip


@pytest.mark.parametrize("each", ["stop", None])
@pytest.mark.parametrize("done", [(b"[DONE]",), ()])
async def test_text_behind_a_finish_reason_is_read_on(rig, monkeypatch, each, done):
    """Some servers put one on every event: no word may be lost for it."""
    monkeypatch.setattr(chunk_stream, "_TAIL_SECONDS", 0.15)
    words = [piece("x", finish="stop"), *[piece("x", finish=each)] * 6]
    async with FakeServer(dripping(*words, *done)) as server:
        chunks = await rig.send(server)
    assert "".join(chunk.text for chunk in chunks) == "x" * 7


async def test_a_finish_reason_on_every_event_says_nothing_where_the_stream_breaks(rig):
    words = [piece("x", finish="stop")] * 3
    fails = {"error": {"message": "oops", "type": "server_error"}}
    async with FakeServer(events(*words, fails), raw(HEAD + sse(*words), close=False)) as server:
        assert (await rig.fails(server, StreamCutError)).seen == "xxx"
        assert (await rig.fails(server, StreamCutError, idle=0.2)).seen == "xxx"
