"""Places are never more than allowed, never lost, and tenants take turns for them."""

import asyncio
import random

import pytest

from llamafarm.errors import AttemptTimeoutError, QueueFullError
from llamafarm.reply import Reply
from llamafarm.spec.strategy import Optimization
from llamafarm.stages import Queue
from llamafarm.types import Call, Target

TARGET = Target(name="t", component="t", provider="openai", dialect="openai", model="m")


async def no_chunks():
    return
    yield


class Work:
    """What is behind the queue: counts who is at work, and lets them go one by one."""

    def __init__(self):
        self.order = []
        self.running = 0
        self.most = 0
        self.gates = {}

    async def __call__(self, call):
        self.order.append(call.id)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gates.setdefault(call.id, asyncio.Event()).wait()
        finally:
            self.running -= 1
        return Reply(no_chunks(), TARGET)

    def let_go(self, call_id):
        self.gates.setdefault(call_id, asyncio.Event()).set()


def call_of(call_id, tenant=""):
    return Call(body={}, id=call_id, tenant=tenant, strategy="s")


async def through(queue, work, call):
    async with await queue(call, work) as reply:
        return [chunk async for chunk in reply]


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_tenants_take_turns():
    queue, work = Queue(Optimization(parallel_requests=1)), Work()
    names = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b")]
    tasks = []
    for name, tenant in names:
        tasks.append(asyncio.create_task(through(queue, work, call_of(name, tenant))))
        await settled()
    for name, _ in names:
        work.let_go(name)
    await asyncio.gather(*tasks)
    assert work.order == ["a1", "a2", "b1", "c1", "a3", "b2"]
    assert work.most == 1


@pytest.mark.key("strategies[].optimization.queue_size")
async def test_beyond_the_queue_a_call_is_refused_at_once():
    for size in (0, 2):
        queue, work = Queue(Optimization(parallel_requests=1, queue_size=size)), Work()
        tasks = [asyncio.create_task(through(queue, work, call_of(f"{n}"))) for n in range(1 + size)]
        await settled()
        with pytest.raises(
            QueueFullError, match=rf"1 requests at work \(parallel_requests\) and {size} waiting"
        ) as info:
            await queue(call_of("late"), work)
        assert info.value.status == 503
        assert info.value.retry_after >= 1
        for n in range(1 + size):
            work.let_go(f"{n}")
        await asyncio.gather(*tasks)


async def test_who_waits_too_long_or_leaves_gives_the_place_up():
    queue, work = Queue(Optimization(parallel_requests=1, timeout_seconds=0.05)), Work()
    first = asyncio.create_task(through(queue, work, call_of("first")))
    await settled()
    with pytest.raises(AttemptTimeoutError, match="timeout_seconds"):
        await queue(call_of("late"), work)
    leaver = asyncio.create_task(through(queue, work, call_of("leaver")))
    await settled()
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    work.let_go("first")
    await first
    work.let_go("next")
    await through(queue, work, call_of("next"))
    assert work.order == ["first", "next"]


@pytest.mark.parametrize("leavers", [["next"], ["next", "last"], ["last"]])
async def test_a_place_passes_by_who_has_left_in_the_same_moment(leavers):
    queue, work = Queue(Optimization(parallel_requests=1)), Work()
    tasks = {name: asyncio.create_task(through(queue, work, call_of(name))) for name in ("first", "next", "last")}
    await settled()
    work.let_go("first")
    for name in leavers:
        tasks[name].cancel()
    await settled()
    staying = [name for name in ("next", "last") if name not in leavers]
    assert work.order == ["first", *staying]
    assert queue.places.waiting == 0
    for name in staying:
        work.let_go(name)
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert queue.places.free == 1


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_lost_or_given_twice_whoever_leaves_when(seed):
    draw = random.Random(seed)
    queue, work = Queue(Optimization(parallel_requests=3, queue_size=100)), Work()
    tasks = {}
    for n in range(60):
        tasks[n] = asyncio.create_task(through(queue, work, call_of(f"{n}", draw.choice("abc"))))
        for _ in range(draw.randrange(3)):
            await asyncio.sleep(0)
        chosen = draw.randrange(n + 1)
        if draw.random() < 0.5:
            tasks[chosen].cancel()
            work.let_go(f"{draw.randrange(n + 1)}")  # a place comes free in the same moment
        else:
            work.let_go(f"{chosen}")
    for n in range(60):
        work.let_go(f"{n}")
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert work.most <= 3
    await asyncio.gather(*(through(queue, work, call_of(f"{n}")) for n in range(3)))
    assert queue.places.free == 3
    assert not queue._waiting
    assert queue._length == queue.places.waiting == 0
