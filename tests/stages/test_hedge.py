"""A second target is asked when the first is slow; whoever answers first is heard, the other is stopped."""

import asyncio

import pytest

from llamafarm import errors
from llamafarm.farm import Farm
from llamafarm.health import Health
from llamafarm.types import Chunk, Usage
from tests.making import NO_GPU, strategy

TEXT = """
name: hedged
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma%s}}
  b: {type: openai_compatible, config: {provider: custom, base_url: 'https://b.example/v1', default_model: mb, price: {input: 1, output: 1000}}}
  c: {type: openai_compatible, config: {provider: custom, base_url: 'https://c.example/v1', default_model: mc}}
fallback_chain: [a, b, c]
optimization: {retry_policy: {max_attempts: 1}%s}
%s
"""
SOON = ", hedge_after: 0.02"


class Gated:
    """Each target answers, or fails, once its gate is open."""

    def __init__(self, **failures):
        self.gates = {name: asyncio.Event() for name in "abc"}
        self.asked = {name: asyncio.Event() for name in "abc"}
        self.failures = failures
        self.cancelled = []

    async def send(self, attempt):
        name = attempt.target.name
        self.asked[name].set()
        try:
            await self.gates[name].wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        if name in self.failures:
            raise self.failures[name]
        return self._events(name)

    async def _events(self, name):
        yield Chunk(text=f"from {name}")
        yield Chunk(finish_reason="stop", usage=Usage(3, 2))

    async def aclose(self):
        pass


def farm(upstream, own="", optimization=SOON, more="", health=None):
    text = TEXT % (own, optimization, more)
    return Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU, health=health)


def tried(answer):
    return [(attempt.target, attempt.outcome) for attempt in answer.attempts]


@pytest.mark.key("strategies[].optimization.hedge_after")
async def test_the_second_answers_when_the_first_is_slow():
    upstream = Gated()
    upstream.gates["b"].set()
    async with farm(upstream) as opened:
        answer = await opened.generate("Hi")
    assert answer.text == "from b"
    assert tried(answer) == [("a", "abandoned"), ("b", "ok")]
    assert upstream.cancelled == ["a"]
    assert not upstream.asked["c"].is_set()


async def test_without_it_the_first_has_its_time():
    upstream = Gated()
    async with farm(upstream, optimization="") as opened:
        asking = asyncio.ensure_future(opened.generate("Hi"))
        await upstream.asked["a"].wait()
        await asyncio.sleep(0.1)
        assert not upstream.asked["b"].is_set()
        upstream.gates["a"].set()
        assert (await asking).text == "from a"


@pytest.mark.key("strategies[].components{}.config<cloud>.hedge_after")
async def test_a_target_has_its_own():
    upstream = Gated()
    upstream.gates["b"].set()
    async with farm(upstream, own=", hedge_after: 0.02", optimization="") as opened:
        assert (await opened.generate("Hi")).text == "from b"


@pytest.mark.key("strategies[].components{}.config<app>.hedge_after")
async def test_an_application_has_its_own():
    cloud = "a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma%s}}"
    text = TEXT.replace(cloud, "a: {type: vllm, config: {default_model: ma%s}}") % (", hedge_after: 0.02", "", "")
    upstream = Gated()
    upstream.gates["b"].set()
    async with Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        assert (await opened.generate("Hi")).text == "from b"


async def test_a_target_may_leave_it_out():
    upstream = Gated()
    async with farm(upstream, own=", hedge_after: off") as opened:
        asking = asyncio.ensure_future(opened.generate("Hi"))
        await upstream.asked["a"].wait()
        await asyncio.sleep(0.1)
        assert not upstream.asked["b"].is_set()
        upstream.gates["a"].set()
        assert (await asking).text == "from a"


async def test_the_first_may_still_win_and_is_listed_last():
    upstream = Gated()
    async with farm(upstream) as opened:
        asking = asyncio.ensure_future(opened.generate("Hi"))
        await upstream.asked["b"].wait()
        upstream.gates["a"].set()
        answer = await asking
    assert answer.text == "from a"
    assert tried(answer) == [("b", "abandoned"), ("a", "ok")]
    assert upstream.cancelled == ["b"]


async def test_when_one_fails_the_other_is_waited_for():
    for failing, other in (("a", "b"), ("b", "a")):
        upstream = Gated(**{failing: errors.TransientError("down")})
        async with farm(upstream) as opened:
            asking = asyncio.ensure_future(opened.generate("Hi"))
            await upstream.asked["b"].wait()
            upstream.gates[failing].set()
            await asyncio.sleep(0.05)
            upstream.gates[other].set()
            assert (await asking).text == f"from {other}"
        assert not upstream.asked["c"].is_set()


async def test_when_both_fail_the_chain_goes_on():
    upstream = Gated(a=errors.TransientError("down"), b=errors.TransientError("down"))
    async with farm(upstream) as opened:
        asking = asyncio.ensure_future(opened.generate("Hi"))
        await upstream.asked["b"].wait()
        for gate in upstream.gates.values():
            gate.set()
        answer = await asking
    assert answer.text == "from c"
    assert sorted(tried(answer)[:2]) == [("a", "transient"), ("b", "transient")]


async def test_a_failure_in_time_is_no_reason_to_hedge():
    upstream = Gated(a=errors.TransientError("down"))
    upstream.gates["a"].set()
    upstream.gates["b"].set()
    async with farm(upstream, optimization=", hedge_after: 30") as opened:
        assert tried(await opened.generate("Hi")) == [("a", "transient"), ("b", "ok")]


async def test_a_refusal_to_the_caller_ends_both():
    upstream = Gated(a=errors.BadRequestError("no"))
    async with farm(upstream) as opened:
        asking = asyncio.ensure_future(opened.generate("Hi"))
        await upstream.asked["b"].wait()
        upstream.gates["a"].set()
        with pytest.raises(errors.AllFailedError, match="no"):
            await asking
    assert upstream.cancelled == ["b"]


async def test_what_the_second_refuses_does_not_take_the_firsts_answer_away():
    for refusal in (errors.BadRequestError("no"), errors.ContentPolicyError("no")):
        upstream = Gated(b=refusal)
        upstream.gates["b"].set()
        async with farm(upstream) as opened:
            asking = asyncio.ensure_future(opened.generate("Hi"))
            await upstream.asked["b"].wait()
            await asyncio.sleep(0.05)
            upstream.gates["a"].set()
            assert (await asking).text == "from a"
        assert upstream.cancelled == []


async def test_a_hedge_without_money_is_not_sent():
    upstream = Gated()
    more = "constraints: {max_cost_per_request: 0.3}"
    async with farm(upstream, own=", price: {input: 1, output: 1000}", more=more) as opened:
        asking = asyncio.ensure_future(opened.generate("Hi"))
        await upstream.asked["a"].wait()
        await asyncio.sleep(0.1)
        upstream.gates["a"].set()
        answer = await asking
    assert answer.text == "from a"
    assert not upstream.asked["b"].is_set()


async def test_leaving_stops_both():
    upstream = Gated()
    async with farm(upstream) as opened:
        asking = asyncio.ensure_future(opened.generate("Hi"))
        await upstream.asked["b"].wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert sorted(upstream.cancelled) == ["a", "b"]


async def test_p95_is_the_targets_own():
    health = Health()
    upstream = Gated()
    upstream.gates["a"].set()
    upstream.gates["b"].set()
    async with farm(upstream, optimization=", hedge_after: p95", health=health) as opened:
        for _ in range(25):
            assert (await opened.generate("Hi")).text == "from a"
        upstream.gates["a"].clear()
        assert health.p95(opened.routing.order[0], streamed=False) < 1
        assert (await opened.generate("Hi")).text == "from b"


async def test_a_target_that_is_always_outrun_is_left_out():
    upstream = Gated()
    upstream.gates["b"].set()
    async with farm(upstream) as opened:
        for _ in range(5):
            assert tried(await opened.generate("Hi")) == [("a", "abandoned"), ("b", "ok")]
        assert tried(await opened.generate("Hi")) == [("b", "ok")]
        assert opened.health.figures(opened.routing.order[0]).latency > 0.01


class Pieces(Gated):
    """As gated, but what a target says is cut behind its first piece."""

    async def _events(self, name):
        yield Chunk(text=f"from {name} ")
        if name == "a":
            raise errors.StreamCutError("cut")
        yield Chunk(finish_reason="stop", usage=Usage(3, 2))


async def test_the_loser_of_a_race_can_still_go_on():
    upstream = Pieces()
    text = TEXT.replace("default_model: mb,", "default_model: mb, supports: [prefill],") % ("", SOON, "")
    async with Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        stream = opened.stream("Hi")
        reading = asyncio.ensure_future(anext(stream))
        await upstream.asked["b"].wait()
        upstream.gates["a"].set()
        assert (await reading).text == "from a "
        upstream.gates["b"].set()
        assert "".join([chunk.text async for chunk in stream]) == "from b "
    assert sorted(tried(stream.answer)) == [("a", "stream_cut"), ("b", "abandoned"), ("b", "ok")]


async def test_what_the_second_refuses_does_not_keep_others_from_going_on():
    upstream = Pieces(b=errors.BadRequestError("no"))
    text = TEXT.replace("default_model: mc}", "default_model: mc, supports: [prefill]}") % ("", SOON, "")
    async with Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        stream = opened.stream("Hi")
        reading = asyncio.ensure_future(anext(stream))
        upstream.gates["b"].set()
        await upstream.asked["b"].wait()
        await asyncio.sleep(0.05)
        upstream.gates["a"].set()
        upstream.gates["c"].set()
        assert (await reading).text == "from a "
        assert "".join([chunk.text async for chunk in stream]) == "from c "
    assert tried(stream.answer) == [("b", "bad_request"), ("a", "stream_cut"), ("c", "ok")]


async def test_one_that_is_left_out_is_no_hedge():
    upstream = Gated()
    upstream.gates["c"].set()
    async with farm(upstream) as opened:
        asking = asyncio.ensure_future(opened.generate("Hi"))
        await upstream.asked["a"].wait()
        trial = opened.health.begin(opened.routing.named["b"])
        trial.failed(errors.RateLimitError("slow", retry_after=30))
        assert (await asking).text == "from c"
    assert not upstream.asked["b"].is_set()


async def test_hedging_sends_one_probe_too():
    upstream = Gated()
    upstream.gates["b"].set()
    now = [1000.0]
    health = Health(lambda: now[0])
    async with farm(upstream, optimization=", hedge_after: 5", health=health) as opened:
        for _ in range(5):
            health.begin(opened.routing.order[0]).failed(errors.TransientError("down"))
        now[0] += 11
        asking = [asyncio.ensure_future(opened.generate("Hi")) for _ in range(10)]
        _done, waiting = await asyncio.wait(asking, timeout=1)
        assert len(waiting) == 1
        upstream.gates["a"].set()
        assert (await waiting.pop()).text == "from a"
