"""Answers that would fill the memory, or never end: a bounded part of them is taken, and the loop goes on meanwhile."""

import asyncio
import time
from pathlib import Path

import pytest

from llamafarm.testing import FakeServer
from tests.faults import far_ends as far
from tests.faults.rig import Times, ask, farm_of, nothing_left, text_of

MOST = 400 * 2**20
"""Bytes the process may grow by: a plain answer may have 64 MiB, which are joined and decoded. The bombs have 2 GiB."""
PAGE = 4096
LONGEST_PAUSE = 1.0
"""Seconds for which nobody else gets a turn; a noisy machine takes some of them."""
EVENT = b"data: " + b"x" * 1018
BOMBS = {
    "one line of json": ("application/json", b" " * 1024),
    "one line of a stream": ("text/event-stream", b"data: " + b"x" * 2**16),
    "blank lines": ("text/event-stream", b"\n" * 1024),
    "comments": ("text/event-stream", b": x\n\n" * 200),
    "malformed events": ("text/event-stream", b'data: {"x\n\n' * 100),
}


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


class Watcher:
    """Notes the most memory taken, and the longest time in which it got no turn."""

    def __init__(self):
        self.begin = self.most = resident()
        self.pause = 0.0

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.watch())
        return self

    async def watch(self):
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            self.pause, last = max(self.pause, now - last), now
            self.most = max(self.most, resident())

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("kind", BOMBS)
async def test_a_small_body_that_inflates(kind, stream):
    content_type, block = BOMBS[kind]
    if stream is (content_type == "application/json"):
        pytest.skip("refused by its content type alone")
    script = far.bomb(content_type, block, 2048)
    async with nothing_left(), FakeServer(script) as server:
        times = Times(whole=0.7, ttft=0.7)
        async with farm_of(text_of(server.base_url, None, times=times)) as farm, Watcher() as watcher:
            seen = await ask(farm, stream=stream, seconds=20)
    assert seen.error is not None
    assert seen.attempts[0][1] in ("bad_reply", "timeout", "stream_cut")
    assert watcher.most - watcher.begin < MOST
    assert watcher.pause < LONGEST_PAUSE


@pytest.mark.parametrize(
    "head", [b"content-type: text/event-stream\r\n", b"content-type: application/json\r\n"], ids=["events", "json"]
)
@pytest.mark.parametrize("block", [b"x" * 2**16, b": x\n\n" * 2**12, b"\n" * 2**16, EVENT * 64], ids=len)
async def test_a_body_without_end(head, block):
    stream = b"event" in head
    async with nothing_left(), FakeServer(far.endless(head, block)) as server:
        times = Times(whole=0.5, ttft=0.5, idle=0.5)
        async with farm_of(text_of(server.base_url, None, times=times)) as farm, Watcher() as watcher:
            seen = await ask(farm, stream=stream, seconds=20)
            await server.until_disconnected()
    assert seen.error is not None
    assert seen.attempts[0][1] in ("bad_reply", "timeout", "stream_cut")
    assert watcher.most - watcher.begin < MOST
    assert watcher.pause < LONGEST_PAUSE


async def test_an_answer_without_end_can_be_left():
    """One that talks on and on is alive; its reader may leave it all the same."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"word " * 13_000)
    head = b"content-type: text/event-stream\r\n"
    async with (
        nothing_left(),
        FakeServer(far.endless(head, event)) as server,
        farm_of(text_of(server.base_url, None, "error")) as farm,
        farm.stream("Which way?") as stream,
    ):
        chars = 0
        async for chunk in stream:
            chars += len(chunk.text)
            if chars > 10**6:
                break
        await stream.aclose()
        await server.until_disconnected()
