"""Keeps the record of every target, and tells from it whether to ask one now.

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
from llamafarm.health.gate import OPEN_SECONDS, Gate
from llamafarm.health.pace import Pace
from llamafarm.health.standing import WELL, Standing, standing_of
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.types import Call, Outcome, Target

__all__ = ["BAD_SECONDS", "LEAST", "UNKNOWN", "WINDOW", "Figures", "Health", "Trial", "way_of"]

_log = logging.getLogger(__name__)

WINDOW = 30.0
"""Seconds an answer counts."""
LEAST = 5
"""Answers below which nothing is concluded: where the window has fewer, the last ones count though they are older."""
LONGEST_WINDOW = 600.0
"""Seconds after which none counts, however few there are."""
FAILURE_RATE = 0.5
BAD_SECONDS = 60.0
"""How long one is left out whose key, account or model is at fault: that takes a person to mend."""
LONGEST_COOLING = 3600.0
"""The longest Retry-After that is believed."""
LEAST_PATIENCE = 5.0
"""Seconds that a probe is waited for at least."""
_SAMPLES = 100

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


def way_of(call: Call, target: Target, *, going_on: bool = False) -> str:
    """Name what a target is asked for, as far as it has an address of its own: that one is missing says no more."""
    if call.operation is Operation.COMPLETION and call.body.get("suffix"):
        return "fim"
    return "prefill" if going_on and target.prefill_url is not None else call.operation


@dataclass(slots=True)
class _Seen:
    """One answer: when it began, and whether it failed."""

    at: float
    failed: bool


@dataclass(slots=True)
class _Record:
    outcomes: deque[_Seen] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    gate: Gate = field(default_factory=Gate)
    """Shut while it keeps failing."""
    ways: dict[str, Gate] = field(default_factory=dict)
    """Shut for what it cannot be asked for until a person mends it: a key, an account, a model, an address."""
    cooling_until: float = -math.inf
    """It has asked not to be asked until then."""
    last_asked: float = -math.inf
    in_flight: int = 0
    pace: Pace = field(default_factory=Pace)
    told: Standing = WELL
    """What other processes know."""

    def is_available(self, way: str, now: float) -> bool:
        return now >= self.cooling_until and all(gate.is_open(now) for gate in self.gates(way))

    def gates(self, way: str) -> tuple[Gate, ...]:
        own = self.ways.get(way)
        return (self.gate,) if own is None else (self.gate, own)

    def hear(self, standing: Standing, now: float) -> None:
        if self.gate.on_trial and standing.until is None:
            self.outcomes.clear()
        self.gate.hear(standing.until, now, probing=standing.probing)
        shut = dict(standing.ways)
        for way in {*self.ways, *shut}:
            self.ways.setdefault(way, Gate()).hear(shut.get(way), now, probing=standing.probing)
        if standing.cooling_until is not None:
            self.cooling_until = max(self.cooling_until, standing.cooling_until)
        self.told = standing_of(self.gate, self.ways, self.cooling_until, probing=False)


class Health:
    """Keeps the record of every target; targets with one endpoint, key and model have one record.

    A `way` is what the target is asked for (`way_of`).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[tuple[object, ...], _Record] = {}
        self.listener: Callable[[Target, Standing], None] | None = None
        """Told when a target is left out, or no longer: for other processes to `hear`."""

    def hear(self, target: Target, standing: Standing) -> None:
        """Take over what another process has found out."""
        self._records.setdefault(target.identity, _Record()).hear(standing, self._clock())

    def _tell(self, target: Target, record: _Record, *, probing: bool = False) -> None:
        if self.listener is None:
            return
        standing = standing_of(record.gate, record.ways, record.cooling_until, probing=probing)
        if standing != record.told:
            record.told = standing_of(record.gate, record.ways, record.cooling_until, probing=False)
            self.listener(target, standing)

    def figures(self, target: Target, way: str = Operation.CHAT) -> Figures:
        """Give what is known of a target now."""
        record = self._records.get(target.identity)
        if record is None:
            return UNKNOWN
        now = self._clock()
        tried = now < record.last_asked + WINDOW
        return Figures(record.is_available(way, now), record.in_flight, record.pace.mean, tried)

    def is_available(self, target: Target, way: str = Operation.CHAT) -> bool:
        """Whether a target may be asked while another could be: it is not left out, or its one probe is free."""
        record = self._records.get(target.identity)
        return record is None or record.is_available(way, self._clock())

    def claim(self, target: Target, way: str = Operation.CHAT) -> bool:
        """Take a target that is available: where one request is to find out whether it is back, it is this one."""
        record = self._records.get(target.identity)
        if record is None:
            return True
        now = self._clock()
        if not record.is_available(way, now):
            return False
        for gate in record.gates(way):
            gate.claim(now)
        return True

    def unasked_for(self, target: Target) -> float:
        """Give the seconds since a request last went there."""
        record = self._records.get(target.identity)
        return math.inf if record is None else self._clock() - record.last_asked

    def cooling(self, target: Target) -> float:
        """Give the seconds for which a target asked not to be asked; 0 where it did not."""
        record = self._records.get(target.identity)
        return 0.0 if record is None else max(0.0, record.cooling_until - self._clock())

    def p95(self, target: Target, *, streamed: bool) -> float | None:
        """Give the seconds within which 95 of 100 of its last answers began; None where there were too few."""
        record = self._records.get(target.identity)
        return None if record is None else record.pace.p95(streamed=streamed)

    def patience(self, target: Target, *, streamed: bool) -> float | None:
        """Give the seconds that the next probe of a target is worth waiting for: it is to be as quick as that was.

        Where those before were waited for in vain, some get longer, as it may have become slower (`Gate.reach`).
        None where it is asked freely, or too little is known of it.
        """
        record = self._records.get(target.identity)
        if record is None or not record.gate.on_trial:
            return None
        longest = record.pace.longest(streamed=streamed)
        return None if longest is None else max(LEAST_PATIENCE, 2 * longest) * record.gate.reach

    def begin(self, target: Target, way: str = Operation.CHAT) -> Trial:
        """Note that a request goes out; how it went is told to the trial."""
        record = self._records.get(target.identity)
        if record is None:
            record = self._records[target.identity] = _Record()
        return Trial(record, target, way, self._clock, self._tell)


class Trial:
    """One request at one target, as far as the target's record is concerned."""

    __slots__ = ("_clock", "_probed", "_record", "_seen", "_started", "_target", "_tell", "_way")

    def __init__(
        self, record: _Record, target: Target, way: str, clock: Callable[[], float], tell: Callable[..., None]
    ) -> None:
        self._record = record
        self._target = target
        self._way = way
        self._clock = clock
        self._tell = tell
        self._started = clock()
        self._seen: _Seen | None = None
        self._probed = [gate for gate in record.gates(way) if gate.send(self, self._started)]
        record.in_flight += 1
        record.last_asked = self._started
        if self._probed:
            tell(target, record, probing=True)

    def answered(self, *, streamed: bool) -> None:
        """Its first token, or its whole plain answer, is in: a target on trial has passed."""
        record = self._record
        now = self._clock()
        record.pace.add(now - self._started, now, streamed=streamed)
        self._pass()
        self._seen = _Seen(now, failed=False)
        record.outcomes.append(self._seen)
        self._tell(self._target, record)

    def ended(self, outcome: Outcome) -> None:
        """Take the end of a reply whose beginning was `answered`."""
        self._leave()
        gates = self._record.gates(self._way)
        if outcome.error is None:
            for gate in gates:
                gate.end_well(self._started)
            return
        self._judge(outcome.error, [])
        if isinstance(outcome.error, _COUNTS):
            for gate in gates:
                gate.end_badly(self, self._clock())
        self._tell(self._target, self._record)

    def failed(self, error: errors.LlamaFarmError) -> None:
        """Take a failure before any answer."""
        self._judge(error, self._leave())
        self._tell(self._target, self._record)

    def outrun(self, *, streamed: bool) -> None:
        """Take that another target, asked later, answered first: it was too slow, and how slow is not known."""
        newest = self._leave()
        now = self._clock()
        self._record.pace.add(now - self._started, now, streamed=streamed)
        self._count_failure(errors.AttemptTimeoutError("another target answered first"), now, newest)
        self._tell(self._target, self._record)

    def abandoned(self) -> None:
        """Take that nobody waited for it: that says nothing about the target."""
        self._leave()

    def _leave(self) -> list[Gate]:
        """Note that it is over, and give the gates that it was the newest probe of."""
        self._record.in_flight -= 1
        return [gate for gate in self._probed if gate.leave(self)]

    def _judge(self, error: errors.LlamaFarmError, newest: list[Gate]) -> None:
        now = self._clock()
        if isinstance(error, _SAYS_NOTHING):
            return
        pause = error.retry_after if isinstance(error, errors.AttemptError) else None
        if pause:
            self._record.cooling_until = max(self._record.cooling_until, now + min(pause, LONGEST_COOLING))
        if isinstance(error, errors.RateLimitError):
            return
        if isinstance(error, _COUNTS):
            self._count_failure(error, now, newest)
            return
        # It refused this one request, so it is there.
        self._pass(but=self._mark_bad(error, now) if isinstance(error, _MARKS_BAD) else None)

    def _mark_bad(self, error: errors.LlamaFarmError, now: float) -> Gate:
        gate = self._record.ways.setdefault(self._way, Gate())
        if not gate.on_trial:
            _log.warning("%s is left out of %s for %g s: %s", self._target.name, self._way, BAD_SECONDS, _kind(error))
        gate.shut(now + BAD_SECONDS)
        return gate

    def _count_failure(self, error: errors.LlamaFarmError, now: float, newest: list[Gate]) -> None:
        record = self._record
        for gate in newest:  # a probe that another one has followed says nothing about now
            gate.fail(self._started, now, silent=isinstance(error, errors.AttemptTimeoutError))
        if self._started < record.gate.back_since:
            return
        if self._seen is not None:  # what began well has become a failure
            self._seen.failed = True
        else:
            record.outcomes.append(_Seen(now, failed=True))
        recent = self._recent(now)
        if not record.gate.on_trial and len(recent) >= LEAST and sum(recent) >= FAILURE_RATE * len(recent):
            _log.warning(
                "%s is left out for %g s: %d of its last %d answers failed, this one with %s",
                self._target.name,
                OPEN_SECONDS,
                sum(recent),
                len(recent),
                _kind(error),
            )
            record.gate.shut(now + OPEN_SECONDS)

    def _recent(self, now: float) -> list[bool]:
        """Tell of each answer that counts whether it failed.

        Who asks one thing after the other, and waits for each in vain, has fewer than `LEAST` in the window.
        """
        outcomes = [seen for seen in self._record.outcomes if seen.at > now - LONGEST_WINDOW]
        recent = [seen for seen in outcomes if seen.at > now - WINDOW]
        return [seen.failed for seen in (recent if len(recent) >= LEAST else outcomes[-LEAST:])]

    def _pass(self, *, but: Gate | None = None) -> None:
        """Open the gates that it was to decide about."""
        probed, self._probed = self._probed, []
        for gate in probed:
            if gate is not but and gate.open(self, self._started) and gate is self._record.gate:
                self._record.outcomes.clear()
                _log.info("%s answers again", self._target.name)


def _kind(error: errors.LlamaFarmError) -> str:
    """Name an error for the log: never by its message, in which an upstream may quote the prompt."""
    status = getattr(error, "upstream_status", None)
    return error.kind if status is None else f"{error.kind} ({status})"
