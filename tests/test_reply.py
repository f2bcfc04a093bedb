"""The two hooks of a reply, however it ends."""

import asyncio
import gc
import threading

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


ONE_OF_TWO = Chunk(finish_reason="stop", usage=Usage(9, 1))
OTHER = Chunk(text="b", index=1)


async def of_two(*steps):
    source = Source(Chunk(text="a"), ONE_OF_TWO, *steps)
    reply = Reply(source, TARGET, choices=2)
    ends = []
    reply.on_end(ends.append)
    return reply, ends


@pytest.mark.parametrize("steps", [(), (OTHER,), (OTHER, Chunk(finish_reason="stop", index=1))])
@pytest.mark.parametrize("fails", [True, False])
async def test_the_usage_of_one_choice_is_not_that_of_all(steps, fails):
    reply, ends = await of_two(*steps, *([StreamCutError("x")] if fails else ["hang"]))
    for _ in range(2 + len(steps)):
        await anext(reply)
    assert reply.usage is None
    if fails:
        with pytest.raises(StreamCutError):
            await anext(reply)
    await reply.aclose()
    assert (ends[0].ended, ends[0].usage) == ("cut" if fails else "abandoned", None)


async def test_the_usage_of_all_choices_is_that_of_the_whole():
    reply, ends = await of_two(OTHER, Chunk(finish_reason="stop", index=1), Chunk(usage=Usage(9, 2)))
    assert [chunk async for chunk in reply]
    assert ends[0].usage == reply.usage == Usage(9, 2)


async def test_fewer_choices_than_asked_for_are_the_whole_where_the_source_ends():
    reply, ends = await of_two()
    assert [chunk async for chunk in reply]
    assert ends[0].usage == Usage(9, 1)


@pytest.mark.parametrize("usage", [Usage(0, 0), Usage(9, 0), Usage(0, 9), Usage(-1, 5), Usage(5, -1)])
async def test_a_usage_that_does_not_count_what_came_is_none(usage):
    for steps in (
        (TEXT, Chunk(finish_reason="stop", usage=usage)),
        (Chunk(text="a", finish_reason="stop", usage=usage),),
        (TEXT, Chunk(finish_reason="stop"), Chunk(usage=usage)),
    ):
        _, reply, _, ends = watched(*steps)
        assert [chunk.usage async for chunk in reply if chunk.usage] == []
        assert ends[0].usage is reply.usage is None


async def test_an_answer_without_a_token_may_have_cost_only_its_prompt():
    _, reply, _, ends = watched(Chunk(finish_reason="content_filter", usage=Usage(9, 0)))
    assert [chunk async for chunk in reply]
    assert ends[0].usage == Usage(9, 0)


async def test_reading_ahead_loses_nothing_and_ends_nothing():
    source, reply, seen, ends = watched(TEXT, END)
    await reply.read_ahead()
    assert (source.steps, seen, ends) == ([], [], [])
    assert reply.usage == Usage(1, 2)
    assert [chunk async for chunk in reply] == [TEXT, END]
    assert ends[0].ended == "complete"


async def test_an_error_behind_a_whole_answer_does_not_make_its_usage_unknown():
    _, reply, _, ends = watched(TEXT, END)
    await reply.read_ahead()
    reply.break_off(TransientError("x"))
    assert (ends[0].ended, ends[0].usage) == ("cut", Usage(1, 2))


async def test_a_read_that_is_cancelled_closes_the_source():
    source, reply, _, ends = watched(TEXT, "hang")
    await anext(reply)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(reply), 0.05)
    assert source.closed
    assert [outcome.ended for outcome in ends] == ["abandoned"]


async def test_a_reply_that_another_thread_drops_ends_in_its_loops_thread():
    ended = asyncio.Event()
    threads = []
    replies = [Reply(Source(TEXT), TARGET)]

    def end(_):
        threads.append(threading.get_ident())
        ended.set()

    replies[0].on_end(end)
    await asyncio.to_thread(replies.clear)
    await asyncio.wait_for(ended.wait(), 5)
    assert threads == [threading.get_ident()]


async def test_a_usage_before_the_last_text_is_that_of_a_part():
    _, reply, _, ends = watched(TEXT, END, Chunk(text="more"))
    assert [chunk async for chunk in reply]
    assert (ends[0].ended, ends[0].usage) == ("complete", None)


@pytest.mark.parametrize(
    "steps",
    [
        (TEXT, Chunk(usage=Usage(9, 4)), Chunk(finish_reason="stop")),
        (Chunk(text="a", usage=Usage(9, 1)), Chunk(text="b", usage=Usage(9, 4)), Chunk(finish_reason="stop")),
    ],
)
async def test_a_usage_between_the_last_text_and_the_finish_reason_is_that_of_the_whole(steps):
    _, reply, _, ends = watched(*steps)
    assert [chunk async for chunk in reply]
    assert (ends[0].ended, ends[0].usage, reply.usage) == ("complete", Usage(9, 4), Usage(9, 4))
    _, reply, _, ends = watched(*steps[:2], StreamCutError("x"))
    with pytest.raises(StreamCutError):
        [chunk async for chunk in reply]
    assert (ends[0].ended, ends[0].usage) == ("cut", None)


async def test_a_usage_before_any_text_is_not_that_of_the_whole():
    _, reply, _, ends = watched(Chunk(usage=Usage(9, 1)), Chunk(finish_reason="length"))
    assert [chunk async for chunk in reply]
    assert (ends[0].ended, ends[0].usage) == ("complete", None), "it may have thought, which it does not show"


async def test_a_usage_before_the_end_of_one_choice_is_not_that_of_all():
    steps = Chunk(text="a"), OTHER, ONE_OF_TWO, Chunk(finish_reason="stop", index=1)
    reply = Reply(Source(*steps), TARGET, choices=2)
    assert [chunk async for chunk in reply]
    assert reply.usage is None


async def test_a_cut_answer_has_no_usage_whatever_finish_reasons_it_had():
    each = Chunk(text="a", finish_reason="stop", usage=Usage(9, 1))
    _, reply, _, ends = watched(each, StreamCutError("x"))
    with pytest.raises(StreamCutError):
        [chunk async for chunk in reply]
    assert (ends[0].ended, ends[0].usage) == ("cut", None)
