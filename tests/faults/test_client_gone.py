"""The caller leaves before, during and after the first token: the target is told at once, and the money is settled."""

import asyncio

import pytest

from llamafarm.farm import AnswerStream, make_call
from llamafarm.testing import ChaosProxy, FakeServer
from llamafarm.testing.chaos import hang_after
from tests.faults import far_ends as far
from tests.faults.rig import RECOVERIES, Notes, check_money, farm_of, nothing_left, text_of

IN_MID_STREAM = hang_after(450, of="body")
BEFORE_ANY_TOKEN = {
    "before headers": hang_after(0),
    "behind headers": hang_after(0, of="body"),
    "inside the first event": hang_after(40, of="body"),
}


def asked(*, stream=True):
    return make_call({"messages": [{"role": "user", "content": "Which way?"}]}, {}, stream=stream)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing tells of bytes that have passed
            await asyncio.sleep(0.005)


class Rig:
    """A farm whose target `a` hangs somewhere; `b` would answer."""

    def __init__(self, fault, recovery="continue", more=""):
        self.fault, self.recovery, self.more = fault, recovery, more
        self.notes = Notes()

    async def __aenter__(self):
        self.left = nothing_left()
        await self.left.__aenter__()
        self.server = await FakeServer(far.model()).__aenter__()
        self.other = await FakeServer(far.model()).__aenter__()
        self.proxy = await ChaosProxy(self.server.base_url, self.fault).__aenter__()
        text = text_of(self.proxy.base_url, self.other.base_url, self.recovery, more=self.more)
        self.farm = await farm_of(text, sinks=[self.notes]).__aenter__()
        return self

    async def __aexit__(self, *exception):
        for part in (self.farm, self.proxy, self.other, self.server):
            await part.__aexit__(None, None, None)
        await self.left.__aexit__(*exception)

    async def check_left(self, call, ended="abandoned"):
        """The target's connection is given up while the farm is still open; nobody else was asked."""
        await self.proxy.until_idle()
        assert not self.other.requests
        assert [(record.target, record.outcome) for record in call.attempts] == [("a", ended)]
        check_money(self.farm, call)
        assert call.spent > 0, "the target may have worked for it"
        assert [(event.ended, event.cost) for event in self.notes.events] == [(ended, call.spent)]
        figures = self.farm.health.figures(self.farm.routing.targets[0])
        assert (figures.in_flight, figures.available) == (0, True)


@pytest.mark.parametrize("recovery", RECOVERIES)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("where", BEFORE_ANY_TOKEN)
async def test_before_the_first_token(where, stream, recovery):
    async with Rig(BEFORE_ANY_TOKEN[where], recovery) as rig:
        call = asked(stream=stream)
        task = asyncio.ensure_future(rig.farm.send(call))
        await until(lambda: rig.server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await rig.check_left(call)


@pytest.mark.parametrize("recovery", ["error", "continue"])
async def test_behind_the_first_token(recovery):
    async with Rig(IN_MID_STREAM, recovery) as rig:
        call = asked()
        stream = AnswerStream(call, rig.farm.send)
        assert (await anext(stream)).text
        await stream.aclose()
        await rig.check_left(call)


@pytest.mark.parametrize("recovery", RECOVERIES)
async def test_while_it_waits_for_more(recovery):
    async with Rig(IN_MID_STREAM, recovery) as rig:
        call = asked()
        seen = []

        async def read():
            async with AnswerStream(call, rig.farm.send) as stream:
                async for chunk in stream:
                    seen.append(chunk.text)  # noqa: PERF401 - one at a time: another task looks

        task = asyncio.ensure_future(read())
        await until(lambda: rig.proxy.passed > 450 if recovery == "buffer" else len(seen) > 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await rig.check_left(call)


@pytest.mark.parametrize("recovery", ["error", "continue"])
async def test_a_reply_that_is_dropped_without_a_word(recovery):
    async with Rig(IN_MID_STREAM, recovery) as rig:
        call = asked()
        reply = await rig.farm.send(call)
        del reply
        await rig.check_left(call)


@pytest.mark.parametrize("recovery", RECOVERIES)
async def test_behind_the_last_token(recovery):
    """All of it has come, but its reader does not read to the end."""
    async with Rig(hang_after(10**9), recovery) as rig:
        call = asked()
        async with AnswerStream(call, rig.farm.send) as stream:
            async for chunk in stream:
                if chunk.finish_reason:
                    break
        assert stream.answer.text == far.TEXT
        assert not rig.other.requests
        check_money(rig.farm, call)
        assert len(rig.notes.events) == 1


async def test_while_the_next_target_is_asked_to_go_on():
    async with (
        nothing_left(),
        FakeServer(far.no_finish_reason()) as server,
        FakeServer(far.model()) as other,
        ChaosProxy(other.base_url, hang_after(0)) as proxy,
        farm_of(text_of(server.base_url, proxy.base_url)) as farm,
    ):
        call = asked()

        async def read():
            async with AnswerStream(call, farm.send) as stream:
                async for _ in stream:
                    pass

        task = asyncio.ensure_future(read())
        await until(lambda: other.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await proxy.until_idle()
        check_money(farm, call)
        assert [(record.target, record.outcome) for record in call.attempts] == [
            ("a", "stream_cut"),
            ("b", "abandoned"),
        ]


async def test_while_two_targets_race():
    async with (
        nothing_left(),
        FakeServer(far.model()) as server,
        ChaosProxy(server.base_url, hang_after(0)) as first,
        ChaosProxy(server.base_url, hang_after(0)) as second,
        farm_of(text_of(first.base_url, second.base_url, more=", hedge_after: 0.02")) as farm,
    ):
        call = asked()
        task = asyncio.ensure_future(farm.send(call))
        await until(lambda: len(server.requests) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await first.until_idle()
        await second.until_idle()
        check_money(farm, call)
        assert sorted((record.target, record.outcome) for record in call.attempts) == [
            ("a", "abandoned"),
            ("b", "abandoned"),
        ]


async def test_the_slower_of_two_that_race_is_left_at_once():
    async with (
        nothing_left(),
        FakeServer(far.model()) as server,
        ChaosProxy(server.base_url, hang_after(0)) as slow,
        FakeServer(far.model()) as other,
        farm_of(text_of(slow.base_url, other.base_url, more=", hedge_after: 0.02")) as farm,
    ):
        call = asked(stream=False)
        answer = await farm.ask(call)
        await slow.until_idle()
        check_money(farm, call)
        assert (answer.text, answer.target) == (far.TEXT, "b")
        assert [(record.target, record.outcome) for record in call.attempts] == [("a", "abandoned"), ("b", "ok")]
