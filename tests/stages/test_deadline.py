"""A call's time is one: queueing, attempts and back-off together."""

import asyncio

import pytest

from llamafarm import errors
from llamafarm.farm import Farm
from tests.making import NO_GPU, Scripted, strategy

TEXT = """
name: timed
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: m}}
  b: {type: openai_compatible, config: {provider: custom, base_url: 'https://b.example/v1', default_model: m}}
fallback_chain: [a, b]
optimization: {timeout_seconds: 0.2, parallel_requests: 1, retry_policy: {max_attempts: 1}}
"""


class Slow(Scripted):
    """Takes until its deadline, as a provider would, and fails then."""

    async def send(self, attempt):
        self.sent.append(attempt)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0, attempt.deadline - loop.time()))
        raise errors.AttemptTimeoutError(f"{attempt.target.name} gave no answer")


def farm(upstream):
    return Farm(strategy(TEXT), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU)


async def test_the_first_target_leaves_time_for_the_second():
    upstream = Slow({})
    async with farm(upstream) as opened:
        with pytest.raises(errors.AllFailedError, match="every target failed: a gave no answer; b gave no answer"):
            await opened.generate("Hi")
    first, second = upstream.sent
    assert first.deadline - first.call.started == pytest.approx(0.2 * 2 / 3, abs=0.02)
    assert second.deadline - first.call.started <= 0.2 + 1e-6


async def test_waiting_for_a_place_counts():
    gate = asyncio.Event()

    class Held(Scripted):
        async def send(self, attempt):
            await gate.wait()
            return await super().send(attempt)

    async with farm(Held({"a": ["x"]})) as opened:
        first = asyncio.create_task(opened.generate("Hi"))
        await asyncio.sleep(0)
        with pytest.raises(
            errors.AttemptTimeoutError, match=r"waited 0.2 s \(timeout_seconds\) behind 1 other requests"
        ):
            await opened.generate("Hi")
        gate.set()
        assert (await first).text == "x"
