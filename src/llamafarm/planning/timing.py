"""How long one attempt may take, and whether and when the same target is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import RateLimitError

if TYPE_CHECKING:
    from llamafarm.errors import LlamaFarmError
    from llamafarm.spec.strategy import Optimization, RetryPolicy
    from llamafarm.types import Attempt, Call, Recovery, Target

__all__ = ["Limits", "attempts_on", "deadline_of", "hedge_delay", "limits_of", "pause_before", "recovery_of"]

_SHARE_LEFT = 1 / 3
"""While another target remains, an attempt leaves this share of the remaining time to it."""
_WORTH_WAITING = 2.0
"""Seconds a target may ask to wait for while another could be asked at once."""
_RETRY_DELAY = 1.0
"""Seconds before the first retry of a target that says how often but not after how long."""
_FIRST_TOKEN, _IDLE, _REASONING = 13.0, 15.0, 120.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The times of one attempt."""

    deadline: float
    """Monotonic seconds."""
    ttft: float | None
    """Seconds; None where only the deadline counts."""
    idle: float
    """Seconds."""
    bound_by: str
    """The key that sets `deadline`; empty: none does, it is a target that may not be back."""


def deadline_of(call: Call, optimization: Optimization) -> float:
    """Give the monotonic time by which a call's whole reply, or its stream's first token, must be in."""
    return call.started + call.waited + optimization.timeout_seconds


def limits_of(
    call: Call, target: Target, optimization: Optimization, *, now: float, last: bool, patience: float | None = None
) -> Limits:
    """Share out what is left of a call's time to an attempt at `target`.

    `patience` is how many seconds it is worth waiting for while another target remains, of one that may not be back.
    """
    left = max(0.0, deadline_of(call, optimization) - now)
    share = left if last else left * (1 - _SHARE_LEFT)
    reasoning = target.supports is not None and "reasoning" in target.supports
    ttft = target.ttft_timeout or optimization.ttft_timeout or _first_token(target, reasoning=reasoning)
    idle = target.stream_idle_timeout or optimization.stream_idle_timeout or (_REASONING if reasoning else _IDLE)
    due, bound_by = min((target.timeout, "timeout"), (share, "timeout_seconds"), key=lambda limit: limit[0])
    if patience is not None and patience < due and not last and target.settings is None:
        due, bound_by = patience, ""  # an application may have to load the model anew
    return Limits(now + due, None if last else ttft, idle, bound_by)


def _first_token(target: Target, *, reasoning: bool) -> float:
    """Give the seconds a first token may take where the file does not say.

    An application may have to load the model first, and does not tell when it has: it has all its time.
    """
    if target.settings is not None and target.dialect != "embedded":
        return target.timeout
    return _REASONING if reasoning else _FIRST_TOKEN


def recovery_of(target: Target, optimization: Optimization) -> Recovery:
    """Give what becomes of a stream of a target that is cut."""
    return target.stream_recovery or optimization.stream_recovery


def hedge_delay(target: Target, optimization: Optimization, p95: float | None) -> float | None:
    """Give the seconds after which the next target is asked too; None: it is not.

    `p95` is the target's own, None where too little is known of it.
    """
    after = target.hedge_after if target.hedge_after is not None else optimization.hedge_after
    if after == "off":
        return None
    return p95 if after == "p95" else after


def attempts_on(target: Target, policy: RetryPolicy) -> int:
    """Give how often one target may be tried for one call."""
    return policy.max_attempts if target.max_retries is None else target.max_retries + 1


def pause_before(
    retry: int, error: LlamaFarmError, attempt: Attempt, policy: RetryPolicy, *, now: float, deadline: float
) -> float | None:
    """Give the seconds to wait before try number `retry` (1 is the first again); None: this target is done.

    A pause never takes the time that the next target, or the try behind it, needs.

    Exponential; the caller draws the actual pause between 0 and this (full jitter, as in AWS's "Exponential Backoff
    And Jitter"), except that a target's own Retry-After is waited for exactly.
    """
    left = (deadline - now) * (1 if attempt.last else 1 - _SHARE_LEFT)
    asked = getattr(error, "retry_after", None)
    if asked is not None:
        worth = asked <= _WORTH_WAITING or attempt.last
        return asked if worth and asked < left else None
    if isinstance(error, RateLimitError) and not attempt.last:
        return None
    try:
        grown = _first_pause(attempt.target, policy) * policy.backoff_multiplier ** (retry - 1)
    except OverflowError:
        grown = policy.max_backoff
    pause = min(grown, policy.max_backoff)
    return pause if pause < left else None


def _first_pause(target: Target, policy: RetryPolicy) -> float:
    if target.retry_delay is not None:
        return target.retry_delay
    return policy.initial_backoff if target.max_retries is None else _RETRY_DELAY
