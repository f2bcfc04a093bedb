"""When a target is left out, and which one request finds out whether it is back."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["OPEN_SECONDS", "Gate"]

OPEN_SECONDS = 10.0
"""How long a target that fails is left out; with the probe's own time that keeps the way back under 15 s."""
_CLAIM_SECONDS = 1.0
"""From choosing a target to sending the request: hardly anything, unless money or a queue came between."""
_ELSEWHERE_SECONDS = 3.0
"""How long another process's probe is waited for: it may have been left, which nobody tells."""


@dataclass(slots=True)
class Gate:
    """Shut for a time, after which one request, the probe, decides whether it opens. Times are monotonic seconds."""

    until: float = -math.inf
    """It is shut until then."""
    on_trial: bool = False
    """Whether it takes a good answer before everybody may pass again."""
    back_since: float = -math.inf
    """When the request was sent that opened it the last time: what was sent before tells of another time."""
    _probes: int = 0
    """Those that were sent, one after the other, to a target that has been silent since."""
    _probe: object = None
    _probe_sent: float = -math.inf
    _claimed_until: float = -math.inf
    """Until then a request is about to be sent as the probe."""
    _opened_by: object = None
    """The probe that opened it, while no other request has ended well since."""

    def is_open(self, now: float) -> bool:
        """Whether a request may pass: any, or the one that is to find out."""
        if now < self.until:
            return False
        # A probe that hangs does not keep the next one from being sent.
        probing = self._probe is not None and now < self._probe_sent + OPEN_SECONDS
        return not (self.on_trial and (probing or now < self._claimed_until))

    def claim(self, now: float) -> None:
        """Keep the probe's place for whoever is about to send it."""
        if self.on_trial:
            self._claimed_until = now + _CLAIM_SECONDS

    def send(self, request: object, now: float) -> bool:
        """Note that a request is sent, and say whether it is a probe."""
        self._claimed_until = -math.inf
        if self.on_trial:
            self._probe, self._probe_sent = request, now
            self._probes += 1
        return self.on_trial

    @property
    def reach(self) -> int:
        """How many times as long as the first one the next probe is to be waited for: 1, 2, 1, 4, 1, 2, 1, 8.

        A target may have become slower than it ever was, so some probe has to wait for longer; were it each, one that
        is silent for good would hold up whoever asks for most of the time.
        """
        number = self._probes + 1
        return number & -number

    def leave(self, request: object) -> bool:
        """Note that a request is no longer waited for, and say whether it was the newest probe."""
        if self._probe is not request:
            return False
        self._probe = None
        return True

    def shut(self, until: float) -> None:
        """Shut it, or leave it shut, until a time."""
        self.on_trial = True
        self.until = max(self.until, until)

    def open(self, request: object, sent: float) -> bool:
        """Have a probe that was answered open it; False where another did before."""
        if not self.on_trial:
            return False
        self.on_trial, self._probe, self._opened_by = False, None, request
        self.back_since, self.until, self._probes = sent, -math.inf, 0
        return True

    def end_well(self, sent: float) -> None:
        """Note that a request came to a good end: who opened the gate no longer speaks for it."""
        if sent >= self.back_since:
            self._opened_by = None

    def end_badly(self, request: object, now: float) -> None:
        """Note that a request broke off behind its first token: where it has opened the gate, it was too soon."""
        if self._opened_by is request:
            self._opened_by = None
            self.shut(now + OPEN_SECONDS)

    def hear(self, until: float | None, now: float, *, probing: bool) -> None:
        """Take over what another process found: shut until a time, asked already by a probe of its own, or open."""
        if until is None:
            if self.on_trial:
                self.on_trial, self._probe, self._opened_by = False, None, None
                self.back_since, self.until, self._probes = now, -math.inf, 0
            return
        self.on_trial, self.until = True, until
        if probing:
            self._claimed_until = now + _ELSEWHERE_SECONDS

    def fail(self, sent: float, now: float, *, silent: bool) -> None:
        """Note that the newest probe failed: the next one is sent as if it had failed quickly, but not at once."""
        if not silent:
            self._probes = 0  # it says itself that it is not well
        self.shut(max(sent + OPEN_SECONDS, now + OPEN_SECONDS / 2))
