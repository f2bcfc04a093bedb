"""What is known of each target from its last answers: whether to ask it now, how busy and how fast it is.

A target is asked freely until half of its last answers failed; then it is left out for some seconds, after which one
request finds out whether it is back. The figures live as long as the program; nothing here knows an order of targets,
so nothing here can block the last one.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llamafarm import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.types import Outcome, Target

__all__ = ["UNKNOWN", "Figures", "Health", "Trial"]

_log = logging.getLogger(__name__)

WINDOW = 30.0
"""Seconds an answer counts."""
LEAST = 5
"""Answers in the window below which nothing is concluded."""
FAILURE_RATE = 0.5
OPEN_SECONDS = 10.0
"""How long a target that fails is left out; with the probe's own time that keeps the way back under 15 s."""
BAD_SECONDS = 60.0
"""How long one is left out whose key, account or model is at fault: that takes a person to mend."""
LONGEST_COOLING = 3600.0
"""The longest Retry-After that is believed."""
_CLAIM_SECONDS = 1.0
"""From choosing a target to sending the request: hardly anything, unless money or a queue came between."""
_SAMPLES = 100
_ENOUGH_SAMPLES = 20
_WEIGHT = 0.2
"""Of the newest answer in the running mean of the latency."""

_COUNTS = (
    errors.ConnectError,
    errors.AttemptTimeoutError,
    errors.TransientError,
    errors.BadReplyError,
    errors.StreamCutError,
    errors.ResourceError,
)
_MARKS_BAD = (errors.QuotaError, errors.CredentialsError, errors.ModelMissingError)
_SAYS_NOTHING = (errors.RefusedError, errors.BlockedError, errors.UntranslatableError)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one target at one moment."""

    available: bool = True
    """Whether a request may go there without need: its last answers do not speak against it."""
    in_flight: int = 0
    """Requests it is at work on."""
    latency: float | None = None
    """Seconds to a stream's first token or a whole plain answer, a running mean; None: it has not answered yet."""
    tried: bool = False
    """Whether it has been asked lately."""


UNKNOWN = Figures()


@dataclass(slots=True)
class _Seen:
    """One answer: when it began, and whether it failed."""

    at: float
    failed: bool


@dataclass(slots=True)
class _Record:
    outcomes: deque[_Seen] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    out_until: float = -math.inf
    """It is left out until then."""
    cooling: bool = False
    """Whether that is because it asked to be."""
    on_trial: bool = False
    """Whether it takes a good answer before it is asked freely again."""
    probe: Trial | None = None
    """The request that is finding that out."""
    claimed_until: float = -math.inf
    """Until then a request is about to be sent to find it out."""
    last_asked: float = -math.inf
    back_since: float = -math.inf
    """When the request was sent that found it back the last time: what was sent before tells of another time."""
    in_flight: int = 0
    latency: float | None = None
    first: dict[bool, deque[float]] = field(
        default_factory=lambda: {streamed: deque(maxlen=_SAMPLES) for streamed in (False, True)}
    )
    """Seconds as for `latency`, streams apart from plain answers."""


class Health:
    """Keeps the record of every target; targets with one endpoint, key and model have one record."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[tuple[object, ...], _Record] = {}

    def figures(self, target: Target) -> Figures:
        """Give what is known of a target now."""
        record = self._records.get(target.identity)
        if record is None:
            return UNKNOWN
        now = self._clock()
        return Figures(_is_available(record, now), record.in_flight, record.latency, now < record.last_asked + WINDOW)

    def is_available(self, target: Target) -> bool:
        """Whether a target may be asked while another could be: it is not left out, or its one probe is free."""
        record = self._records.get(target.identity)
        return record is None or _is_available(record, self._clock())

    def claim(self, target: Target) -> bool:
        """Take a target that is available: where one request is to find out whether it is back, it is this one."""
        record = self._records.get(target.identity)
        if record is None:
            return True
        now = self._clock()
        if not _is_available(record, now):
            return False
        if record.on_trial:
            record.claimed_until = now + _CLAIM_SECONDS
        return True

    def unasked_for(self, target: Target) -> float:
        """Give the seconds since a request last went there."""
        record = self._records.get(target.identity)
        return math.inf if record is None else self._clock() - record.last_asked

    def cooling(self, target: Target) -> float:
        """Give the seconds for which a target asked not to be asked; 0 where it did not."""
        record = self._records.get(target.identity)
        if record is None or not record.cooling:
            return 0.0
        return max(0.0, record.out_until - self._clock())

    def p95(self, target: Target, *, streamed: bool) -> float | None:
        """Give the seconds within which 95 of 100 of its last answers began; None where there were too few."""
        record = self._records.get(target.identity)
        samples = sorted(record.first[streamed]) if record is not None else []
        if len(samples) < _ENOUGH_SAMPLES:
            return None
        return samples[math.ceil(0.95 * len(samples)) - 1]

    def begin(self, target: Target) -> Trial:
        """Note that a request goes out; how it went is told to the trial."""
        record = self._records.get(target.identity)
        if record is None:
            record = self._records[target.identity] = _Record()
        return Trial(record, target, self._clock)


class Trial:
    """One request at one target, as far as the target's record is concerned."""

    __slots__ = ("_clock", "_is_probe", "_record", "_seen", "_started", "_target")

    def __init__(self, record: _Record, target: Target, clock: Callable[[], float]) -> None:
        self._record = record
        self._target = target
        self._clock = clock
        self._started = clock()
        self._seen: _Seen | None = None
        self._is_probe = record.on_trial
        record.in_flight += 1
        record.last_asked = self._started
        record.claimed_until = -math.inf
        if self._is_probe:
            record.probe = self

    @property
    def started(self) -> float:
        """When the request was sent, by the clock of `Health`."""
        return self._started

    def answered(self, *, streamed: bool) -> None:
        """Its first token, or its whole plain answer, is in: a target on trial has passed."""
        record = self._record
        now = self._clock()
        record.first[streamed].append(now - self._started)
        self._measure(now)
        if self._is_probe:
            self._pass()
        self._seen = _Seen(now, failed=False)
        record.outcomes.append(self._seen)

    def _measure(self, now: float) -> None:
        record, seconds = self._record, now - self._started
        record.latency = seconds if record.latency is None else record.latency + _WEIGHT * (seconds - record.latency)

    def ended(self, outcome: Outcome) -> None:
        """Take the end of a reply whose beginning was `answered`."""
        self._leave()
        if outcome.error is None:
            return
        self._judge(outcome.error)
        if self._is_probe and isinstance(outcome.error, _COUNTS):  # it has not passed after all
            self._record.on_trial = True
            self._leave_out(self._clock() + OPEN_SECONDS)

    def failed(self, error: errors.LlamaFarmError) -> None:
        """Take a failure before any answer."""
        self._leave()
        self._judge(error)

    def outrun(self) -> None:
        """Take that another target, asked later, answered first: it was too slow, and how slow is not known."""
        self._leave()
        now = self._clock()
        self._measure(now)
        self._count_failure(errors.AttemptTimeoutError("another target answered first"), now)

    def abandoned(self) -> None:
        """Take that nobody waited for it: that says nothing about the target."""
        self._leave()

    def _leave(self) -> None:
        self._record.in_flight -= 1
        if self._record.probe is self:
            self._record.probe = None

    def _judge(self, error: errors.LlamaFarmError) -> None:
        now = self._clock()
        if isinstance(error, _SAYS_NOTHING):
            return
        pause = error.retry_after if isinstance(error, errors.AttemptError) else None
        if pause:
            self._leave_out(now + min(pause, LONGEST_COOLING), cooling=True)
        if isinstance(error, errors.RateLimitError):
            return
        if isinstance(error, _MARKS_BAD):
            if not self._record.on_trial:
                _log.warning("%s is left out for %g s: %s", self._target.name, BAD_SECONDS, _kind(error))
            self._record.on_trial = True
            self._leave_out(now + BAD_SECONDS)
        elif isinstance(error, _COUNTS):
            self._count_failure(error, now)
        elif self._is_probe:  # it refused this one request, so it is there
            self._pass()

    def _count_failure(self, error: errors.LlamaFarmError, now: float) -> None:
        record = self._record
        if self._started < record.back_since:
            return
        if self._seen is not None:  # what began well has become a failure
            self._seen.failed = True
        else:
            record.outcomes.append(_Seen(now, failed=True))
        if record.on_trial:
            if self._is_probe:  # one that was sent before says nothing about now
                self._leave_out(self._started + OPEN_SECONDS)
            return
        recent = [seen.failed for seen in record.outcomes if seen.at > now - WINDOW]
        if len(recent) >= LEAST and sum(recent) >= FAILURE_RATE * len(recent):
            _log.warning(
                "%s is left out for %g s: %d of its last %d answers failed, this one with %s",
                self._target.name,
                OPEN_SECONDS,
                sum(recent),
                len(recent),
                _kind(error),
            )
            record.on_trial = True
            self._leave_out(now + OPEN_SECONDS)

    def _leave_out(self, until: float, *, cooling: bool = False) -> None:
        record = self._record
        if until > record.out_until:
            record.out_until, record.cooling = until, cooling

    def _pass(self) -> None:
        record = self._record
        if record.on_trial:
            record.on_trial, record.probe = False, None
            record.back_since = self._started
            record.outcomes.clear()
            record.out_until = -math.inf
            _log.info("%s answers again", self._target.name)


def _kind(error: errors.LlamaFarmError) -> str:
    """Name an error for the log: never by its message, in which an upstream may quote the prompt."""
    status = getattr(error, "upstream_status", None)
    return error.kind if status is None else f"{error.kind} ({status})"


def _is_available(record: _Record, now: float) -> bool:
    if now < record.out_until:
        return False
    # A probe that hangs does not keep the next one from being sent.
    probing = record.probe is not None and now < record.probe.started + OPEN_SECONDS
    return not (record.on_trial and (probing or now < record.claimed_until))
