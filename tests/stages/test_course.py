"""Which target is asked next: the planned order, health, and what a failure says about the others."""

import asyncio
import itertools
import time

import pytest

from llamafarm import errors
from llamafarm.farm import Farm
from llamafarm.health import Health
from llamafarm.types import Chunk
from tests.making import NO_GPU, Scripted, call, strategy

TEXT = """
name: chained
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma}}
  b: {type: openai_compatible, config: {provider: custom, base_url: 'https://b.example/v1', default_model: mb}}
  c: {type: openai_compatible, config: {provider: custom, base_url: 'https://c.example/v1', default_model: mc}}
fallback_chain: [a, b, c]
optimization: {retry_policy: {max_attempts: 1}%s}
"""
DOWN = errors.TransientError("down")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def farm(scripts, clock, optimization=""):
    upstream = Scripted(scripts)
    made = strategy(TEXT % optimization)
    return Farm(made, environment={}, upstreams={"openai": upstream}, hardware=NO_GPU, health=Health(clock)), upstream


async def asked(opened, upstream):
    """Ask once and give who was asked and how it ended."""
    del upstream.sent[:]
    try:
        ended = (await opened.generate("Hi")).target
    except errors.AllFailedError as error:
        ended = error.cause
    return "".join(attempt.target.name for attempt in upstream.sent), ended


async def test_one_that_keeps_failing_is_left_out_and_comes_back(clock):
    made, upstream = farm({"a": [*[DOWN] * 6, "back"], "b": ["ok"]}, clock)
    async with made as opened:
        for _ in range(5):
            assert await asked(opened, upstream) == ("ab", "b")
        assert await asked(opened, upstream) == ("b", "b")
        clock.now += 10
        assert await asked(opened, upstream) == ("ab", "b"), "the probe fails"
        clock.now += 9
        assert await asked(opened, upstream) == ("b", "b")
        clock.now += 1
        assert await asked(opened, upstream) == ("a", "a"), "the probe succeeds"
        assert await asked(opened, upstream) == ("a", "a")


async def test_the_last_eligible_target_is_asked_all_the_same(clock):
    made, upstream = farm({"a": [DOWN], "b": [DOWN], "c": [DOWN]}, clock)
    async with made as opened:
        for _ in range(8):
            who, cause = await asked(opened, upstream)
            assert sorted(who) == ["a", "b", "c"]
            assert cause is DOWN


async def test_one_that_was_left_out_is_asked_when_all_others_have_failed(clock):
    made, upstream = farm({"a": [*[DOWN] * 5, "saved"], "b": [*["ok"] * 5, DOWN], "c": [DOWN]}, clock)
    async with made as opened:
        for _ in range(5):
            await asked(opened, upstream)
        assert await asked(opened, upstream) == ("bca", "a")


async def test_one_that_cools_down_is_passed_over_until_its_time(clock):
    limited = errors.RateLimitError("slow down", retry_after=20)
    made, upstream = farm({"a": [limited, "back"], "b": ["ok"]}, clock)
    async with made as opened:
        assert await asked(opened, upstream) == ("ab", "b")
        assert await asked(opened, upstream) == ("b", "b")
        clock.now += 20
        assert await asked(opened, upstream) == ("a", "a")


async def test_the_last_one_is_waited_for_when_its_pause_fits_the_time(clock, monkeypatch):
    slept = []
    real = asyncio.sleep

    async def sleep(seconds, *rest):
        slept.append(seconds)
        await real(0)

    limited = errors.RateLimitError("slow down", retry_after=40)
    made, upstream = farm({"a": [limited, "back"], "b": [DOWN], "c": [DOWN]}, clock, ", timeout_seconds: 50")
    async with made as opened:
        await asked(opened, upstream)
        monkeypatch.setattr("llamafarm.stages.fall_back.asyncio.sleep", sleep)
        assert await asked(opened, upstream) == ("bca", "a")
    assert slept == [40]


async def test_of_several_that_cool_down_the_one_that_is_free_first_is_asked(clock, monkeypatch):
    slept = []
    real = asyncio.sleep

    async def sleep(seconds, *rest):
        slept.append(seconds)
        await real(0)

    def limited(seconds):
        return errors.RateLimitError("slow down", retry_after=seconds)

    made, upstream = farm({"a": [limited(8), "a"], "b": [limited(3), "b"], "c": [limited(5), "c"]}, clock)
    async with made as opened:
        await asked(opened, upstream)
        monkeypatch.setattr("llamafarm.stages.fall_back.asyncio.sleep", sleep)
        assert await asked(opened, upstream) == ("b", "b")
    assert slept == [3]


async def test_one_that_is_only_left_out_is_asked_before_one_that_has_to_be_waited_for(clock):
    limited = errors.RateLimitError("slow down", retry_after=30)
    made, upstream = farm({"a": ["a"], "b": ["well"], "c": ["c"]}, clock)
    for name, error, times in (("a", limited, 1), ("b", DOWN, 5), ("c", limited, 1)):
        for _ in range(times):
            made.health.begin(made.routing.named[name]).failed(error)
    async with made as opened:
        assert await asked(opened, upstream) == ("b", "b")


async def test_who_is_too_small_for_the_prompt_is_nobody_to_leave_time_to(clock):
    text = TEXT
    for name, window in (("a", 8000), ("b", 16000), ("c", 4000)):
        text = text.replace(f"default_model: m{name}", f"default_model: m{name}, context_window: {window}")
    upstream = Scripted({"a": [errors.ContextExceededError("too long")], "b": ["ok"]})
    async with Farm(strategy(text % ""), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        await opened.generate("Hi")
    assert [(attempt.target.name, attempt.last) for attempt in upstream.sent] == [("a", False), ("b", True)]


async def test_a_long_pause_does_not_shut_the_last_one_for_good(clock):
    limited = errors.RateLimitError("slow down", retry_after=1e300)
    made, upstream = farm({"a": [limited, limited, "back"], "b": [DOWN], "c": [DOWN]}, clock)
    made = Farm(
        strategy(TEXT.replace("[a, b, c]", "[a]") % ""),
        environment={},
        upstreams={"openai": upstream},
        hardware=NO_GPU,
        health=Health(clock),
    )
    async with made as opened:
        assert (await asked(opened, upstream))[0] == "a"
        assert (await asked(opened, upstream))[0] == ""
        clock.now += 61
        assert (await asked(opened, upstream))[0] == "a"
        assert (await asked(opened, upstream))[0] == ""
        clock.now += 61
        assert await asked(opened, upstream) == ("a", "a")


REFUSED = [Chunk(finish_reason="content_filter")]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_without_a_word_may_be_a_refusal(clock, stream):
    for given, expected in (("", "a"), (", failover_on: [content_policy]", "b")):
        made, _upstream = farm({"a": [REFUSED], "b": ["ok"]}, clock, given)
        async with made as opened:
            reply = await opened.send(call_of(stream))
            async for _ in reply:
                pass
            assert reply.target.name == expected


def call_of(stream):
    made = call()
    made.stream = stream
    return made


async def test_a_second_try_that_money_forbids_is_listed():
    text = TEXT.replace(
        "default_model: ma", "default_model: ma, price: {input: 1, output: 100}, max_retries: 1, retry_delay: 0"
    )
    text += "constraints: {max_cost_per_request: 0.03}"
    upstream = Scripted({"a": [errors.TransientError("bad gateway", upstream_status=502)]})
    async with Farm(strategy(text % ""), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        with pytest.raises(errors.AllFailedError) as caught:
            await opened.generate("Hi", max_tokens=200)
    assert [attempt.outcome for attempt in caught.value.attempts] == ["transient", "cost_limit"]


async def test_a_pause_that_does_not_fit_is_an_error_at_once(clock):
    limited = errors.RateLimitError("slow down", retry_after=400)
    made, upstream = farm({"a": [limited], "b": [limited], "c": [limited]}, clock)
    async with made as opened:
        await asked(opened, upstream)
        started = time.monotonic()
        who, cause = await asked(opened, upstream)
    assert who == ""
    assert isinstance(cause, errors.RateLimitError)
    assert cause.retry_after == 400
    assert time.monotonic() - started < 30


@pytest.mark.key("strategies[].optimization.failover_on")
@pytest.mark.parametrize(
    ("error", "word"),
    [(errors.ContentPolicyError("no"), "content_policy"), (errors.BadRequestError("no"), "bad_request")],
)
async def test_what_is_failed_over_on_besides(clock, error, word):
    made, upstream = farm({"a": [error], "b": ["ok"]}, clock)
    async with made as opened:
        assert await asked(opened, upstream) == ("a", error)
    made, upstream = farm({"a": [error], "b": ["ok"]}, clock, f", failover_on: [{word}]")
    async with made as opened:
        assert await asked(opened, upstream) == ("ab", "b")
    other = {"content_policy": "bad_request", "bad_request": "content_policy"}[word]
    made, upstream = farm({"a": [error], "b": ["ok"]}, clock, f", failover_on: [{other}]")
    async with made as opened:
        assert await asked(opened, upstream) == ("a", error)


async def test_only_one_of_many_calls_finds_out_whether_it_is_back(clock):
    made, upstream = farm({"a": [*[DOWN] * 5, "back"], "b": ["ok"]}, clock)
    async with made as opened:
        for _ in range(5):
            await asked(opened, upstream)
        clock.now += 10
        del upstream.sent[:]
        await asyncio.gather(*(opened.generate("Hi") for _ in range(20)))
        first = [attempt.target.name for attempt in upstream.sent]
    assert first[0] == "a"
    assert made.health.is_available(made.routing.order[0])
    assert made.health.figures(made.routing.order[0]).in_flight == 0


async def test_when_the_time_is_over_nobody_else_is_asked(clock):
    made, upstream = farm({"a": [DOWN], "b": ["ok"]}, clock, ", timeout_seconds: 5")
    async with made as opened:
        asked_late = call()
        asked_late.started -= 100
        with pytest.raises(errors.AllFailedError):
            await opened.send(asked_late)
    assert [attempt.target.name for attempt in upstream.sent] == ["a"]


async def test_the_most_useful_error_leads(clock):
    order = [errors.BadRequestError, errors.ContentPolicyError, errors.ContextExceededError, errors.RateLimitError]
    order += [errors.QuotaError, errors.CredentialsError, errors.ModelMissingError]
    for first, second in itertools.pairwise(order):
        made, _ = farm(
            {"a": [second("2")], "b": [first("1")], "c": [DOWN]}, clock, ", failover_on: [content_policy, bad_request]"
        )
        async with made as opened:
            with pytest.raises(errors.AllFailedError) as caught:
                await opened.generate("Hi")
        assert type(caught.value.cause) is first
