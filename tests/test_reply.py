"""The two hooks of a reply, however it ends."""

import asyncio
import gc

import pytest

from llamafarm.errors import StreamCutError, TransientError
from llamafarm.reply import Reply
from llamafarm.types import Chunk, Target, Usage

TARGET = Target("t", "custom", "openai", "m")


class Source:
    def __init__(self, *steps):
        self.steps = list(steps)
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.steps:
            raise StopAsyncIteration
        step = self.steps.pop(0)
        if step == "hang":
            await asyncio.Event().wait()
        if isinstance(step, Exception):
            raise step
        return step

    async def aclose(self):
        self.closed = True


def watched(*steps):
    source = Source(*steps)
    reply = Reply(source, TARGET)
    seen, ends = [], []
    reply.tap(seen.append)
    reply.on_end(ends.append)
    return source, reply, seen, ends


TEXT, END = Chunk(text="a"), Chunk(finish_reason="stop", usage=Usage(1, 2))


async def test_a_reply_read_to_its_end_is_complete():
    _, reply, seen, ends = watched(TEXT, END)
    assert [chunk async for chunk in reply] == seen == [TEXT, END]
    (outcome,) = ends
    assert (outcome.ended, outcome.usage, outcome.finish_reason, outcome.error) == (
        "complete",
        Usage(1, 2),
        "stop",
        None,
    )
    assert outcome.first_token is not None


async def test_a_failure_before_the_first_token_is_failed_and_after_it_cut():
    error = TransientError("x")
    _, reply, _, ends = watched(Chunk(), error)
    with pytest.raises(TransientError):
        [chunk async for chunk in reply]
    assert (ends[0].ended, ends[0].error) == ("failed", error)
    _, reply, _, ends = watched(TEXT, StreamCutError("x"))
    with pytest.raises(StreamCutError):
        [chunk async for chunk in reply]
    assert ends[0].ended == "cut"
    assert [chunk async for chunk in reply] == [], "it stays ended"
    assert len(ends) == 1


async def test_leaving_early_closes_the_source_and_ends_once():
    source, reply, _, ends = watched(TEXT, END)
    async with reply:
        await anext(reply)
    assert source.closed
    await reply.aclose()
    assert [outcome.ended for outcome in ends] == ["abandoned"]


async def test_cancelling_the_reader_ends_it_as_abandoned():
    _, reply, _, ends = watched(TEXT, "hang")
    task = asyncio.create_task(_drain(reply))
    while not reply._first_token:  # noqa: ASYNC110 - the reply has no event for it
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [outcome.ended for outcome in ends] == ["abandoned"]


async def _drain(reply):
    async for _ in reply:
        pass


def test_a_reply_nobody_reads_ends_as_unread():
    _, reply, _, ends = watched(TEXT)
    del reply
    gc.collect()
    assert [outcome.ended for outcome in ends] == ["unread"]


async def test_priming_reads_up_to_the_first_token_and_nothing_is_lost():
    source, reply, seen, _ = watched(Chunk(), TEXT, END)
    await reply.prime()
    assert len(source.steps) == 1
    assert seen == [], "taps see chunks when the reader does"
    assert [chunk async for chunk in reply] == seen
    assert len(seen) == 3


async def test_priming_an_empty_answer_stops_at_its_finish_reason():
    source, reply, _, ends = watched(END)
    await reply.prime()
    assert source.steps == []
    assert [chunk async for chunk in reply] == [END]
    assert ends[0].ended == "complete"


async def test_priming_raises_what_the_source_raises():
    _, reply, _, ends = watched(Chunk(), TransientError("x"))
    with pytest.raises(TransientError):
        await reply.prime()
    assert ends[0].ended == "failed"


async def test_a_hook_added_after_the_end_runs_at_once():
    _, reply, _, _ = watched()
    assert [chunk async for chunk in reply] == []
    late = []
    reply.on_end(late.append)
    assert late[0].ended == "complete"
