"""Streams that never end and never bring an answer: the clock still rings, others still run, memory stays bounded."""

import asyncio
import gzip
import resource

import msgspec

from llamafarm.errors import AttemptTimeoutError, StreamCutError
from llamafarm.providers import stream
from llamafarm.testing.fake_server import FakeServer

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def flood(block, head=HEAD):
    async def send(request, writer):
        writer.write(head + b"\r\n")
        while not request.gone.is_set():
            writer.write(block)
            await writer.drain()

    return send


async def longest_pause(until):
    """Give the longest time for which nothing else could run."""
    worst, loop = 0.0, asyncio.get_running_loop()
    while not until.done():
        before = loop.time()
        await asyncio.sleep(0)
        worst = max(worst, loop.time() - before)
    return worst


async def test_compressed_comments_without_end(rig):
    comments = gzip.compress(b":\n" * 5_000_000, compresslevel=9)
    async with FakeServer(flood(comments, HEAD + b"content-encoding: gzip\r\n")) as server:
        failing = asyncio.ensure_future(rig.fails(server, AttemptTimeoutError, ttft=0.5))
        pause = await longest_pause(failing)
        await failing
    assert pause < 4, "the whole program stood still"


async def test_comments_without_end(rig):
    async with FakeServer(flood(b": x\n\n" * 1000)) as server:
        for _ in range(3):
            await rig.fails(server, AttemptTimeoutError, ttft=0.3)
        await server.until_disconnected()


async def test_an_answer_longer_than_any_is_cut(rig, monkeypatch):
    monkeypatch.setattr(stream, "LONGEST_ANSWER", 3_000_000)
    choice = {"index": 0, "delta": {"content": "x" * 1_000_000}, "finish_reason": None}
    event = b"data: %b\n\n" % msgspec.json.encode({"choices": [choice]})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with FakeServer(flood(event)) as server:
        error = await rig.fails(server, StreamCutError)
        assert "more than 3 million characters" in str(error)
        assert len(error.seen) == 3_000_000
        await server.until_disconnected()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kB"
