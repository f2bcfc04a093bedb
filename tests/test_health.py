"""When a target is left out, and how it comes back."""

import dataclasses
import logging
import math
import random

import pytest

from llamafarm import errors
from llamafarm.health import BAD_SECONDS, LEAST, OPEN_SECONDS, UNKNOWN, WINDOW, Health, way_of
from llamafarm.types import Call, Operation, Outcome, Target

TARGET = Target("t", "custom", "openai", "m", base_url="https://a.example/v1")
DOWN = errors.TransientError("down", upstream_status=503)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(clock)


def fail(health, error=DOWN, times=1):
    for _ in range(times):
        health.begin(TARGET).failed(error)


def succeed(health, times=1):
    for _ in range(times):
        trial = health.begin(TARGET)
        trial.answered(streamed=True)
        trial.ended(Outcome("complete"))


def test_nothing_is_known_of_a_target_that_was_never_asked(health):
    assert health.figures(TARGET) is UNKNOWN
    assert health.is_available(TARGET)
    assert health.cooling(TARGET) == 0
    assert health.p95(TARGET, streamed=True) is None


@pytest.mark.parametrize(
    ("good", "bad", "left_out"),
    [(0, LEAST - 1, False), (0, LEAST, True), (5, 5, True), (6, 5, False), (1, 4, True)],
)
def test_half_of_enough_answers_failing_opens_the_breaker(health, good, bad, left_out):
    succeed(health, good)
    fail(health, times=bad)
    assert health.is_available(TARGET) is not left_out
    assert health.figures(TARGET).available is not left_out


def test_old_failures_do_not_count(health, clock):
    fail(health, times=LEAST - 1)
    clock.now += WINDOW + 1
    succeed(health, LEAST - 1)
    fail(health)
    assert health.is_available(TARGET), "1 of 5 in the window"
    fail(health, times=2)
    assert health.is_available(TARGET), "3 of 7"


def test_where_the_window_has_too_few_the_last_ones_count(health, clock):
    fail(health, times=LEAST - 1)
    clock.now += WINDOW + 1
    fail(health)
    assert not health.is_available(TARGET)


def test_what_was_long_ago_never_counts(health, clock):
    fail(health, times=LEAST - 1)
    clock.now += 600
    fail(health)
    assert health.is_available(TARGET)


def test_one_who_waits_for_each_answer_in_vain_is_heard_too(health, clock):
    for _ in range(LEAST):
        assert health.is_available(TARGET)
        trial = health.begin(TARGET)
        clock.now += 60
        trial.failed(errors.AttemptTimeoutError("late"))
    assert not health.is_available(TARGET)


def test_one_request_at_a_time_finds_out_whether_it_is_back(health, clock):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS - 0.01
    assert not health.is_available(TARGET)
    clock.now += 0.02
    assert health.is_available(TARGET)
    probe = health.begin(TARGET)
    assert not health.is_available(TARGET), "one is on its way"
    probe.failed(DOWN)
    assert not health.is_available(TARGET), "it failed"
    clock.now += OPEN_SECONDS
    probe = health.begin(TARGET)
    probe.answered(streamed=True)
    assert health.is_available(TARGET), "its first token is in: nobody waits for the end of a long stream"
    assert OPEN_SECONDS < 15


def test_one_that_was_asked_for_want_of_another_and_answers_is_back_before_its_time(health):
    fail(health, times=LEAST)
    assert not health.is_available(TARGET)
    succeed(health)
    assert health.is_available(TARGET)


def test_a_probe_that_nobody_waits_for_leaves_the_place_to_another(health, clock):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    probe = health.begin(TARGET)
    probe.abandoned()
    assert health.is_available(TARGET)


def test_a_probe_that_hangs_does_not_keep_the_next_from_being_sent(health, clock):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    hanging = health.begin(TARGET)
    clock.now += OPEN_SECONDS - 0.01
    assert not health.is_available(TARGET)
    clock.now += 0.01
    assert health.is_available(TARGET)
    next_one = health.begin(TARGET)
    hanging.failed(DOWN)
    assert not health.is_available(TARGET), "the next is on its way"
    next_one.answered(streamed=True)
    assert health.is_available(TARGET)


def test_what_was_sent_before_it_came_back_does_not_open_it_again(health, clock):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS - 1
    late = [health.begin(TARGET) for _ in range(20)]  # forced: nobody else was left
    clock.now += 1
    succeed(health)
    for trial in late:
        trial.failed(DOWN)
    assert health.is_available(TARGET)


def test_a_straggler_from_before_does_not_keep_it_out(health, clock):
    straggler = health.begin(TARGET)
    fail(health, times=LEAST)
    clock.now += 1
    forced = health.begin(TARGET)  # nobody else was left: it is a probe
    other = health.begin(TARGET)
    clock.now += OPEN_SECONDS - 1
    straggler.failed(DOWN)
    forced.failed(DOWN)
    other.abandoned()
    assert health.is_available(TARGET)


@pytest.mark.parametrize("seconds", [0.1, 6.0, 60.0])
def test_a_probe_that_took_long_to_fail_leaves_it_out_as_well(health, clock, seconds):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    sent = clock.now
    probe = health.begin(TARGET)
    clock.now += seconds
    probe.failed(errors.AttemptTimeoutError("late"))
    back = max(sent + OPEN_SECONDS, clock.now + OPEN_SECONDS / 2)
    clock.now = back - 0.01
    assert not health.is_available(TARGET)
    clock.now = back
    assert health.is_available(TARGET)


def test_a_probe_is_to_be_as_quick_as_the_target_was(health, clock):
    assert health.patience(TARGET, streamed=True) is None

    def answer(seconds):
        trial = health.begin(TARGET)
        clock.now += seconds
        trial.answered(streamed=True)
        trial.ended(Outcome("complete"))

    for seconds in (0.1, 0.2, 1, 0.1):
        answer(seconds)
    assert health.patience(TARGET, streamed=True) is None, "it is asked freely"
    fail(health, times=LEAST)
    assert health.patience(TARGET, streamed=True) is None, "too little is known"
    clock.now += OPEN_SECONDS
    answer(0.1)
    fail(health, times=LEAST)
    assert health.patience(TARGET, streamed=True) == 5
    assert health.patience(TARGET, streamed=False) is None
    clock.now += OPEN_SECONDS
    answer(7)
    fail(health, times=LEAST)
    assert math.isclose(health.patience(TARGET, streamed=True), 14)


LATE = errors.AttemptTimeoutError("no answer in time")


def left_out_while_quick(health):
    for _ in range(LEAST + 1):
        succeed(health)
    fail(health, times=LEAST + 1)
    assert not health.is_available(TARGET)


@pytest.mark.parametrize(("takes", "probes"), [(1, 1), (6, 2), (12, 4), (30, 8)])
def test_a_target_that_came_back_slower_than_it_was_is_waited_for(health, clock, takes, probes):
    left_out_while_quick(health)
    sent = 0
    while sent == 0 or (sent < 10 and health.patience(TARGET, streamed=True) is not None):
        clock.now += OPEN_SECONDS
        assert health.claim(TARGET)
        patience = health.patience(TARGET, streamed=True)
        trial = health.begin(TARGET)
        sent += 1
        clock.now += min(takes, patience)
        if patience < takes:
            trial.failed(LATE)
        else:
            trial.answered(streamed=True)
            trial.ended(Outcome("complete"))
    assert sent == probes
    assert health.patience(TARGET, streamed=True) is None, "it is asked freely"
    fail(health, times=2 * LEAST)
    assert health.patience(TARGET, streamed=True) == max(5, 2 * takes), "it starts from how slow it is now"


def test_one_that_is_silent_for_good_is_waited_for_briefly_every_other_time(health, clock):
    left_out_while_quick(health)
    waited = []
    for _ in range(8):
        clock.now += OPEN_SECONDS
        waited.append(health.patience(TARGET, streamed=True))
        health.begin(TARGET).failed(LATE)
    assert waited == [5, 10, 5, 20, 5, 10, 5, 40]


def test_one_that_says_that_it_is_down_is_waited_for_briefly(health, clock):
    left_out_while_quick(health)
    for error in (LATE, DOWN, DOWN, DOWN):
        clock.now += OPEN_SECONDS
        health.begin(TARGET).failed(error)
    assert health.patience(TARGET, streamed=True) == 5


def test_after_its_return_it_starts_with_a_clean_record(health, clock):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    succeed(health)
    fail(health, times=LEAST - 2)
    assert health.is_available(TARGET)


@pytest.mark.parametrize("error", [errors.QuotaError("q"), errors.CredentialsError("c"), errors.ModelMissingError("m")])
def test_what_a_person_has_to_mend_marks_it_bad(health, clock, caplog, error):
    with caplog.at_level(logging.WARNING, "llamafarm"):
        fail(health, error)
    assert "t is left out of chat for 60 s" in caplog.text
    clock.now += BAD_SECONDS - 1
    assert not health.is_available(TARGET)
    clock.now += 1
    assert health.is_available(TARGET)
    probe = health.begin(TARGET)
    assert not health.is_available(TARGET)
    probe.failed(error)
    clock.now += BAD_SECONDS - 1
    assert not health.is_available(TARGET)


def test_a_rate_limit_cools_it_down_for_as_long_as_it_asked(health, clock):
    fail(health, errors.RateLimitError("slow", retry_after=20))
    assert not health.is_available(TARGET)
    assert health.cooling(TARGET) == 20
    clock.now += 20
    assert health.is_available(TARGET)
    assert health.cooling(TARGET) == 0
    first = health.begin(TARGET)
    assert health.is_available(TARGET), "no probe is needed: it said when"
    first.abandoned()


def test_a_shorter_pause_does_not_take_back_a_longer_one(health):
    fail(health, errors.RateLimitError("slow", retry_after=50))
    fail(health, errors.RateLimitError("slow", retry_after=5))
    assert health.cooling(TARGET) == 50


def test_what_this_program_could_not_ask_says_nothing(health, clock):
    fail(health, errors.CredentialsError("c"))
    clock.now += BAD_SECONDS
    fail(health, errors.UntranslatableError("n"))
    health.begin(TARGET)
    assert not health.is_available(TARGET), "it is still on trial"


def test_what_is_missing_for_one_kind_of_request_is_not_missing_for_another(health, clock, caplog):
    with caplog.at_level(logging.WARNING, "llamafarm"):
        health.begin(TARGET, "embedding").failed(errors.ModelMissingError("m", upstream_status=404))
    assert "t is left out of embedding for 60 s" in caplog.text
    assert health.is_available(TARGET)
    assert health.figures(TARGET).available
    assert not health.is_available(TARGET, "embedding")
    assert not health.figures(TARGET, "embedding").available
    succeed(health)
    assert not health.is_available(TARGET, "embedding")
    clock.now += BAD_SECONDS
    assert health.claim(TARGET, "embedding")
    assert not health.claim(TARGET, "embedding"), "one finds out"
    assert health.claim(TARGET)
    trial = health.begin(TARGET, "embedding")
    trial.answered(streamed=False)
    assert health.is_available(TARGET, "embedding")


def test_a_probe_that_is_refused_shows_that_it_is_there(health, clock):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    health.begin(TARGET, "embedding").failed(errors.ModelMissingError("m"))
    assert health.is_available(TARGET)
    assert not health.is_available(TARGET, "embedding")


def test_what_is_asked_for(health):
    beta = dataclasses.replace(TARGET, prefill_url="https://a.example/beta")
    fim = Call({"prompt": "a", "suffix": "b"}, operation=Operation.COMPLETION)
    assert way_of(fim, TARGET) == "fim"
    assert way_of(Call({"prompt": "a"}, operation=Operation.COMPLETION), TARGET) == "completion"
    assert way_of(Call({}), beta) == way_of(Call({}), TARGET, going_on=True) == "chat"
    assert way_of(Call({}), beta, going_on=True) == "prefill"


def test_any_failure_that_asks_for_a_pause_gets_it(health, clock):
    fail(health, errors.TransientError("busy", upstream_status=503, retry_after=30))
    assert health.cooling(TARGET) == 30
    clock.now += 30
    assert health.is_available(TARGET)


def test_a_pause_it_asks_for_counts_also_while_it_is_left_out(health, clock):
    fail(health, times=LEAST)
    fail(health, errors.RateLimitError("slow", retry_after=3))
    assert health.cooling(TARGET) == 3
    clock.now += 3
    assert health.cooling(TARGET) == 0
    assert not health.is_available(TARGET), "it is still left out"


def test_a_probe_that_passes_does_not_take_back_a_pause(health, clock):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    probe = health.begin(TARGET)
    fail(health, errors.RateLimitError("slow", retry_after=20))
    probe.answered(streamed=True)
    assert health.cooling(TARGET) == 20
    assert not health.is_available(TARGET)


def test_a_rate_limit_without_a_time_changes_nothing(health):
    fail(health, errors.RateLimitError("slow"), times=20)
    assert health.is_available(TARGET)


def test_an_absurd_pause_is_not_believed(health):
    fail(health, errors.RateLimitError("slow", retry_after=1e12))
    assert health.cooling(TARGET) == 3600


@pytest.mark.parametrize(
    "error", [errors.BadRequestError("b"), errors.ContextExceededError("c"), errors.ContentPolicyError("p")]
)
def test_refusing_one_request_is_a_sign_of_life(health, clock, error):
    fail(health, error, times=20)
    assert health.is_available(TARGET)
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    fail(health, error)
    other = health.begin(TARGET)
    assert health.is_available(TARGET)
    other.abandoned()


@pytest.mark.parametrize("error", [errors.CostLimitError("c"), errors.BlockedError("b")])
def test_what_was_never_sent_says_nothing(health, clock, error):
    fail(health, error, times=20)
    assert health.is_available(TARGET)
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    fail(health, error)
    health.begin(TARGET)
    assert not health.is_available(TARGET), "it is still on trial"


def test_a_cut_after_the_first_token_counts(health):
    for _ in range(LEAST):
        trial = health.begin(TARGET)
        trial.answered(streamed=True)
        trial.ended(Outcome("cut", error=errors.StreamCutError("cut")))
    assert not health.is_available(TARGET)


def test_what_began_well_counts_at_once_and_turns_bad_where_it_is_cut(health):
    for _ in range(6):
        health.begin(TARGET).answered(streamed=True)  # still at it, or left by its reader
    fail(health, times=5)
    assert health.is_available(TARGET), "5 of 11"
    for _ in range(3):
        trial = health.begin(TARGET)
        trial.answered(streamed=True)
        trial.ended(Outcome("cut", error=errors.StreamCutError("cut")))
    assert not health.is_available(TARGET), "8 of 14"


def test_a_probe_that_is_cut_has_not_passed(health, clock):
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    probe = health.begin(TARGET)
    probe.answered(streamed=True)
    assert health.is_available(TARGET)
    probe.ended(Outcome("cut", error=errors.StreamCutError("cut")))
    assert not health.is_available(TARGET)


def test_a_probe_that_is_cut_after_others_have_ended_well_is_one_failure(health, clock):
    early = health.begin(TARGET)
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    probe = health.begin(TARGET)
    probe.answered(streamed=True)
    clock.now += 100
    early.answered(streamed=True)
    early.ended(Outcome("complete"))
    succeed(health)
    probe.ended(Outcome("cut", error=errors.StreamCutError("cut")))
    assert health.is_available(TARGET)


def test_who_was_asked_before_does_not_speak_for_it(health, clock):
    early = health.begin(TARGET)
    fail(health, times=LEAST)
    clock.now += OPEN_SECONDS
    probe = health.begin(TARGET)
    probe.answered(streamed=True)
    early.answered(streamed=True)
    early.ended(Outcome("complete"))
    probe.ended(Outcome("cut", error=errors.StreamCutError("cut")))
    assert not health.is_available(TARGET)


def test_what_was_sent_before_it_failed_does_not_bring_it_back(health, clock):
    early = health.begin(TARGET)
    fail(health, times=LEAST)
    early.answered(streamed=True)
    assert not health.is_available(TARGET)


def test_whoever_is_to_find_out_is_one(health, clock):
    assert health.claim(TARGET)
    fail(health, times=LEAST)
    assert not health.claim(TARGET)
    clock.now += OPEN_SECONDS
    assert health.claim(TARGET)
    assert not health.claim(TARGET)
    assert not health.is_available(TARGET)
    clock.now += 1.1
    assert health.claim(TARGET), "whoever claimed it never asked"
    health.begin(TARGET).answered(streamed=True)
    assert health.claim(TARGET)
    assert health.claim(TARGET)


def test_since_when_nobody_asked(health, clock):
    assert health.unasked_for(TARGET) == math.inf
    health.begin(TARGET)
    clock.now += 7
    assert health.unasked_for(TARGET) == 7


def test_targets_that_are_the_same_one_share_their_record(health):
    fail(health, times=LEAST)
    twin = Target("other name", "custom", "openai", "m", base_url="https://a.example/v1")
    other = Target("t", "custom", "openai", "m2", base_url="https://a.example/v1")
    assert not health.is_available(twin)
    assert health.is_available(other)


def test_in_flight_counts_until_the_end_of_the_reply(health):
    trial, second = health.begin(TARGET), health.begin(TARGET)
    assert health.figures(TARGET).in_flight == 2
    trial.answered(streamed=True)
    assert health.figures(TARGET).in_flight == 2
    trial.ended(Outcome("complete"))
    second.abandoned()
    assert health.figures(TARGET).in_flight == 0


def test_latency_and_its_95th_percentile(health, clock):
    for tenths in range(1, 21):
        trial = health.begin(TARGET)
        clock.now += tenths / 10
        trial.answered(streamed=True)
        trial.ended(Outcome("complete"))
    assert math.isclose(health.p95(TARGET, streamed=True), 1.9, abs_tol=1e-6)
    assert health.p95(TARGET, streamed=False) is None
    assert 1.0 < health.figures(TARGET).latency < 2.0
    clock.now += WINDOW + 1
    trial = health.begin(TARGET)
    clock.now += 0.25
    trial.answered(streamed=True)
    assert health.figures(TARGET).latency == 0.25, "what was so long ago says nothing of now"


@pytest.mark.parametrize(("quickest", "slowest", "other"), [(0.5, 5, 0.1), (0.5, 5, 0.5), (0.02, 0.2, 0.002)])
def test_hedging_at_the_95th_percentile_does_not_feed_on_itself(health, clock, quickest, slowest, other):
    draw = random.Random(1)
    hedged = left_out = 0
    for number in range(3000):
        if not health.is_available(TARGET):
            left_out += 1
            clock.now += other
            continue
        health.claim(TARGET)
        delay = health.p95(TARGET, streamed=False)
        takes, trial = draw.uniform(quickest, slowest), health.begin(TARGET)
        hedged += number >= 1000 and delay is not None and takes > delay
        if delay is not None and takes > delay + other:
            clock.now += delay + other
            trial.outrun(streamed=False)
        else:
            clock.now += takes
            trial.answered(streamed=False)
            trial.ended(Outcome("complete"))
    assert hedged < 0.1 * 2000
    assert left_out == 0
