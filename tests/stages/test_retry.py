"""The same target again: how often, after which pause, with how much of the time left."""

import asyncio
import time

import pytest

from llamafarm import errors
from llamafarm.reply import Reply
from llamafarm.spec.strategy import Optimization, RetryPolicy
from llamafarm.stages import Retry
from llamafarm.types import Attempt, Target
from tests.making import call

TARGET = Target("t", "custom", "openai", "m", timeout=30.0)


@pytest.fixture
def pauses(monkeypatch):
    taken = []

    async def note(seconds):
        taken.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    monkeypatch.setattr("random.uniform", lambda _least, most: most)
    return taken


class Failing:
    def __init__(self, *errors):
        self.errors = list(errors)
        self.deadlines = []

    async def __call__(self, attempt):
        self.deadlines.append(attempt.deadline)
        if self.errors:
            raise self.errors.pop(0)
        return Reply(iter(()), TARGET)


async def retried(proceed, *, target=TARGET, last=True, **policy):
    optimization = Optimization(retry_policy=RetryPolicy(**policy))
    return await Retry(optimization)(Attempt(call(), target, {}, time.monotonic() + 5, last=last), proceed)


async def test_it_tries_up_to_its_number_and_raises_the_last_error(pauses):
    second = errors.TransientError("second")
    with pytest.raises(errors.TransientError) as caught:
        await retried(Failing(errors.TransientError("first"), second), max_attempts=2)
    assert caught.value is second
    assert pauses == [0.5]


async def test_back_off_between_tries(pauses):
    await retried(Failing(*[errors.ConnectError("x")] * 3), max_attempts=5, initial_backoff=1, backoff_multiplier=2)
    assert pauses == [1, 2, 4]


async def test_the_pause_is_drawn_from_nothing_to_the_back_off(monkeypatch):
    drawn = []
    monkeypatch.setattr("random.uniform", lambda least, most: drawn.append((least, most)) or 0.0)
    await retried(Failing(errors.TransientError("x")), initial_backoff=0.75)
    assert drawn == [(0, 0.75)]


async def test_retry_after_is_waited_for_to_the_letter(pauses):
    await retried(Failing(errors.RateLimitError("x", retry_after=1.25)), last=False)
    assert pauses == [1.25]


async def test_what_will_not_pass_is_not_tried_again(pauses):
    for error in (errors.AttemptTimeoutError("x"), errors.CredentialsError("x"), errors.BadRequestError("x")):
        proceed = Failing(error)
        with pytest.raises(type(error)):
            await retried(proceed, max_attempts=5)
        assert len(proceed.deadlines) == 1
    assert pauses == []


async def test_each_try_gets_its_share_of_the_time_anew(pauses):
    proceed = Failing(errors.TransientError("x"))
    await retried(proceed)
    first, second = proceed.deadlines
    assert second > first, "the first was five seconds; a try may take the target's thirty"
