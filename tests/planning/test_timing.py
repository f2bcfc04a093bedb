"""How time is shared out, and when the same target is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm import errors
from llamafarm.planning.timing import attempts_on, limits_of, pause_before
from llamafarm.spec.strategy import Optimization, RetryPolicy
from llamafarm.types import Attempt, Target
from tests.making import call


def target(**given):
    return Target("t", "custom", "openai", "m", **given)


def limits(of=None, *, last, timeout_seconds=120.0, elapsed=0.0, **optimization):
    made = call()
    made.started = 1000.0
    return limits_of(
        made,
        of or target(timeout=1000.0),
        Optimization(timeout_seconds=timeout_seconds, **optimization),
        now=1000.0 + elapsed,
        last=last,
    )


@pytest.mark.key("strategies[].optimization.timeout_seconds")
def test_the_last_target_may_use_all_the_time_and_others_leave_a_third():
    assert limits(last=True, timeout_seconds=60).deadline == 1060
    assert limits(last=False, timeout_seconds=60).deadline == 1040
    assert limits(last=False, timeout_seconds=60, elapsed=30).deadline == pytest.approx(1050)


@pytest.mark.key("strategies[].components{}.config<cloud>.timeout")
def test_a_targets_own_timeout_bounds_one_attempt():
    assert limits(target(timeout=5.0), last=True).deadline == 1005


@pytest.mark.key("strategies[].optimization.ttft_timeout")
@pytest.mark.key("strategies[].components{}.config<cloud>.ttft_timeout")
def test_the_first_token_limit_acts_while_another_target_remains():
    assert limits(last=True).ttft is None
    assert limits(last=False).ttft == 13
    assert limits(last=False, ttft_timeout=4.0).ttft == 4
    assert limits(target(ttft_timeout=2.0), last=False, ttft_timeout=4.0).ttft == 2
    assert limits(target(supports=frozenset({"reasoning"})), last=False).ttft == 120
    assert limits(target(timeout=45.0, settings=object()), last=False).ttft == 45, "it may have to load its model"
    assert limits(Target("t", "embedded", "embedded", "m", settings=object()), last=False).ttft == 13


@pytest.mark.key("strategies[].optimization.stream_idle_timeout")
@pytest.mark.key("strategies[].components{}.config<cloud>.stream_idle_timeout")
def test_the_idle_limit():
    assert limits(last=True).idle == 15
    assert limits(last=True, stream_idle_timeout=4.0).idle == 4
    assert limits(target(stream_idle_timeout=2.0), last=True, stream_idle_timeout=4.0).idle == 2


@given(timeout=st.floats(0.1, 1000), own=st.floats(0.1, 1000), elapsed=st.floats(0, 2000), last=st.booleans())
def test_no_attempt_outlives_the_call(timeout, own, elapsed, last):
    found = limits(target(timeout=own), last=last, timeout_seconds=timeout, elapsed=elapsed)
    assert found.deadline <= max(1000 + timeout, 1000 + elapsed) + 1e-6


@pytest.mark.parametrize(
    ("of", "last", "patience", "seconds", "named"),
    [
        (target(timeout=60.0), False, 5.0, 5, ""),
        (target(timeout=60.0), True, 5.0, 60, "timeout"),
        (target(timeout=3.0), False, 5.0, 3, "timeout"),
        (target(timeout=60.0), False, None, 60, "timeout"),
        (target(timeout=60.0, settings=object()), False, 5.0, 60, "timeout"),
    ],
)
def test_one_that_may_not_be_back_gets_less_while_another_is_left(of, last, patience, seconds, named):
    asked = call()
    found = limits_of(asked, of, Optimization(), now=asked.started, last=last, patience=patience)
    assert (found.deadline - asked.started, found.bound_by) == (pytest.approx(seconds), named)


@pytest.mark.key("strategies[].optimization.retry_policy.max_attempts")
@pytest.mark.key("strategies[].components{}.config<cloud>.max_retries")
def test_how_often_one_target_is_tried():
    assert attempts_on(target(), RetryPolicy(max_attempts=4)) == 4
    assert attempts_on(target(max_retries=0), RetryPolicy(max_attempts=4)) == 1
    assert attempts_on(target(max_retries=2), RetryPolicy(max_attempts=4)) == 3


def pause(retry, error, *, of=None, last=True, left=1000.0, **policy):
    attempt = Attempt(call(), of or target(), {}, 0.0, last=last)
    return pause_before(retry, error, attempt, RetryPolicy(**policy), now=0.0, deadline=left)


BROKEN = errors.TransientError("x")


@pytest.mark.key("strategies[].optimization.retry_policy.initial_backoff")
@pytest.mark.key("strategies[].optimization.retry_policy.backoff_multiplier")
@pytest.mark.key("strategies[].optimization.retry_policy.max_backoff")
def test_back_off_grows_to_its_limit():
    found = [pause(n, BROKEN, initial_backoff=1.0, backoff_multiplier=3.0, max_backoff=20.0) for n in (1, 2, 3, 4)]
    assert found == [1, 3, 9, 20]


@pytest.mark.key("strategies[].components{}.config<cloud>.retry_delay")
def test_a_targets_own_delay_wins_over_the_policys():
    assert pause(1, BROKEN, of=target(max_retries=3, retry_delay=0.25)) == 0.25
    assert pause(2, BROKEN, of=target(retry_delay=0.25)) == 0.5
    assert pause(1, BROKEN, of=target(max_retries=3)) == 1
    assert pause(1, BROKEN) == 0.5


@pytest.mark.parametrize(
    ("asked", "last", "left", "expected"),
    [
        (1.5, False, 100.0, 1.5),
        (2.0, False, 100.0, 2.0),
        (2.1, False, 100.0, None),
        (50.0, True, 100.0, 50.0),
        (50.0, True, 40.0, None),
        (None, False, 100.0, None),
        (None, True, 100.0, 0.5),
    ],
)
def test_retry_after_is_waited_for_exactly_or_not_at_all(asked, last, left, expected):
    assert pause(1, errors.RateLimitError("x", retry_after=asked), last=last, left=left) == expected


def test_a_pause_leaves_the_time_that_what_follows_needs():
    slow = target(max_retries=3, retry_delay=6)
    assert pause(1, BROKEN, of=slow, left=5.0) is None
    assert pause(1, BROKEN, of=slow, left=7.0) == 6
    assert pause(1, BROKEN, of=slow, left=7.0, last=False) is None
    assert pause(1, BROKEN, of=slow, left=10.0, last=False) == 6
    assert pause(1, errors.RateLimitError("x", retry_after=2.0), left=2.5, last=False) is None


def test_a_back_off_too_large_to_count_is_its_limit():
    assert pause(1100, BROKEN, of=target(max_retries=1200, retry_delay=1), max_backoff=3.0) == 3
    assert pause(2, BROKEN, backoff_multiplier=1e308, initial_backoff=100.0, max_backoff=3.0) == 3


@pytest.mark.parametrize(("timeout", "whole", "named"), [(60, 3, "timeout_seconds"), (2, 30, "timeout")])
def test_limits_know_which_key_set_them(timeout, whole, named):
    asked = call()
    limits = limits_of(
        asked, target(timeout=timeout), Optimization(timeout_seconds=whole), now=asked.started, last=True
    )
    assert limits.bound_by == named
