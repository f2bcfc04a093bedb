"""What a caller is told when nobody answered: who failed and why, who was not asked and why."""

import asyncio
import gc
import logging

import pytest

from llamafarm import errors
from llamafarm.farm import Farm
from llamafarm.health import Health
from llamafarm.stages.pauses import LOGGER
from llamafarm.types import Chunk
from tests.making import NO_GPU, Scripted, strategy

TEXT = """
name: told
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma}}
  b: {type: openai_compatible, config: {provider: custom, base_url: 'https://b.example/v1', default_model: mb}}
  c: {type: openai_compatible, config: {provider: custom, base_url: 'https://c.example/v1', default_model: mc%s}}
fallback_chain: [a, b, c]
optimization: {retry_policy: {max_attempts: %d, initial_backoff: 0.001}%s}
"""
DOWN = errors.TransientError("custom (x) answered 503")
CUT = errors.StreamCutError("custom (x) broke off")


def farm(scripts, *, can="", tries=1, optimization="", health=None, only=""):
    text = TEXT % (can, tries, optimization)
    text = text.replace("[a, b, c]", f"[{only}]") if only else text
    upstream = Scripted(scripts)
    made = Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU, health=health)
    return made, upstream


async def failed(scripts, **how):
    made, upstream = farm(scripts, **how)
    async with made as opened:
        with pytest.raises(errors.AllFailedError) as caught:
            await opened.generate("Hi")
    return caught.value, "".join(attempt.target.name for attempt in upstream.sent)


async def test_each_that_failed_is_named():
    error, asked = await failed({"a": [DOWN], "b": [errors.QuotaError("b: no money")], "c": [DOWN]})
    assert asked == "abc"
    assert str(error) == ("every target failed: a: custom (x) answered 503; b: no money; c: custom (x) answered 503")
    assert error.kind == "all_failed"
    assert [failure.target for failure in (DOWN, error.cause)] == ["c", "b"]


async def test_so_is_one_alone_with_the_number_of_its_tries():
    error, _ = await failed({"a": [DOWN]}, tries=3, only="a")
    assert str(error) == "a: custom (x) answered 503 (3 tries)"
    assert (error.kind, error.exit_code) == ("all_failed", 1)


@pytest.mark.parametrize("refusal", [errors.BadRequestError("no"), errors.ContentPolicyError("no")])
async def test_a_refusal_that_nobody_is_asked_after_is_what_it_is_called(refusal):
    error, asked = await failed({"a": [DOWN], "b": [refusal], "c": ["ok"]})
    assert asked == "ab"
    assert (error.kind, error.cause) == (refusal.kind, refusal)
    assert str(error) == (
        "a: custom (x) answered 503; b: no; nobody else was asked, since others would refuse it, too"
        f" (failover_on: [{refusal.kind}] has them asked)"
    )


async def test_where_nobody_else_is_there_everybody_failed():
    error, _ = await failed({"a": [errors.BadRequestError("no")]}, only="a")
    assert (str(error), error.kind) == ("a: no", "all_failed")


async def test_that_the_time_was_over_is_said():
    class Slow(Scripted):
        async def send(self, attempt):
            attempt.call.started -= 100
            return await super().send(attempt)

    made, _ = farm({}, optimization=", timeout_seconds: 5")
    made._upstreams = {"openai": Slow({"a": [DOWN]})}
    async with made as opened:
        with pytest.raises(errors.AllFailedError) as caught:
            await opened.generate("Hi")
    assert str(caught.value) == "a: custom (x) answered 503; timeout_seconds is over, so nobody else was asked"


@pytest.mark.parametrize(("others", "code"), [({}, 3), ({"c": [DOWN]}, 1)])
async def test_what_was_never_sent_is_a_refusal(others, code):
    blocked = errors.BlockedError("privacy_mode is local_only")
    error, _ = await failed({"a": [blocked], "b": [blocked], "c": [blocked], **others})
    assert error.exit_code == code


async def read(opened):
    stream = opened.stream("Hi")
    with pytest.raises(errors.StreamCutError) as caught:
        async for _ in stream:
            pass
    return caught.value


async def test_why_nobody_went_on_is_said():
    refused = errors.CredentialsError("custom (x) answered 401")
    made, _ = farm({"a": [["One ", CUT]], "c": [refused]}, can=", supports: [prefill]")
    async with made as opened:
        error = await read(opened)
    assert str(error) == (
        "a: custom (x) broke off, and no other target could go on with it: c: custom (x) answered 401"
    )
    assert error.target == "a"


async def test_where_nobody_can_go_on_there_is_no_reason_to_give():
    made, _ = farm({"a": [["One ", CUT]]})
    async with made as opened:
        assert str(await read(opened)) == "a: custom (x) broke off, and no other target could go on with it"


async def test_a_cut_answer_that_cannot_be_gone_on_with_bears_its_targets_name():
    for more in ("", ", stream_recovery: error"):
        made, _ = farm({"a": [[Chunk(reasoning="hm"), "One ", CUT]]}, optimization=more)
        async with made as opened:
            error = await read(opened)
        assert errors.said_by(error.target, error) == "a: custom (x) broke off"


@pytest.mark.parametrize("again", [True, False])
async def test_a_pause_is_told(again, monkeypatch, caplog):
    """At once, where the same call waits for it; at the next call, where the target is asked last."""
    slept = []
    real = asyncio.sleep

    async def sleep(seconds, *rest):
        slept.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    limited = errors.RateLimitError("slow", retry_after=20)
    made, upstream = farm({"a": [limited, "ok"]}, tries=2 if again else 1, only="a", health=Health(lambda: 0.0))
    with caplog.at_level(logging.INFO, LOGGER):
        async with made as opened:
            if not again:
                with pytest.raises(errors.AllFailedError):
                    await opened.generate("Hi")
                assert caplog.messages == []
            await opened.generate("Hi")
    assert caplog.messages == ["a asked for a pause of 20 s, and nobody else is left to ask: waiting"]
    assert slept == [20]
    assert len(upstream.sent) == 2


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


async def test_who_has_no_completions_still_chats():
    """Also where it is the balanced one: what one operation lacks says nothing of another."""
    missing = errors.ModelMissingError("no such address", upstream_status=404)
    made, upstream = farm({"a": [missing, "chat"], "b": ["ok"]})
    async with made as opened:
        assert (await opened.complete("once")).target == "b"
        assert (await opened.complete("once")).target == "b"
        assert (await opened.generate("Hi")).target == "a"
    assert [attempt.target.name for attempt in upstream.sent] == ["a", "b", "b", "a"]


async def test_a_probe_gets_less_time_while_another_could_answer():
    health, clock = None, Clock()
    health = Health(clock)
    made, upstream = farm({"a": [*["well"] * 5, *[DOWN] * 5, DOWN, "back"], "b": ["ok"]}, health=health)
    async with made as opened:
        for _ in range(10):
            await opened.generate("Hi")
        clock.now += 10
        sent = len(upstream.sent)
        await opened.generate("Hi")
        probe, other = upstream.sent[sent:]
        assert (probe.target.name, probe.patience, probe.bound_by) == ("a", 5.0, "")
        assert probe.deadline - probe.call.started < 6
        assert (other.target.name, other.patience, other.bound_by) == ("b", None, "timeout")
        clock.now += 10
        assert (await opened.generate("Hi")).target == "a"


async def test_a_stream_that_came_after_a_failure_and_is_dropped_ends_at_once():
    made, upstream = farm({"a": [DOWN], "b": [["One ", "two"]]}, can=", supports: [prefill]")
    gc.disable()
    try:
        async with made as opened:
            async for _ in opened.stream("Hi"):
                break
            await asyncio.sleep(0.05)  # an iterator that is dropped is closed by the loop
            assert upstream.closed == 1
    finally:
        gc.enable()


async def test_a_short_pause_while_another_is_left_is_not_told(monkeypatch, caplog):
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda *_: real(0))
    made, upstream = farm({"a": [errors.RateLimitError("slow", retry_after=1.5), "ok"]}, tries=2)
    with caplog.at_level(logging.INFO, LOGGER):
        async with made as opened:
            await opened.generate("Hi")
    assert (len(upstream.sent), caplog.messages) == (2, [])


async def test_an_address_for_going_on_that_is_not_there_is_not_the_chats():
    missing = errors.ModelMissingError("no such address", upstream_status=404)
    scripts = {"a": [["One ", CUT]], "b": [["two"]], "c": [missing]}
    made, upstream = farm(scripts, can=", supports: [prefill]", only="a, c, b")
    b, c = (made.routing.named[name] for name in "bc")
    object.__setattr__(b, "prefill", "last_message")
    object.__setattr__(c, "prefill_url", "https://c.example/beta")
    async with made as opened:
        for _ in range(2):
            assert "".join([chunk.text async for chunk in opened.stream("Hi")]) == "One two"
    assert [attempt.target.name for attempt in upstream.sent] == ["a", "c", "b", "a", "b"]
    assert made.health.is_available(c)
