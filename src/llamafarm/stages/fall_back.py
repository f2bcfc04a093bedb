"""Goes through a call's targets in order until one answers, and returns once its first token is in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import errors
from llamafarm.planning import body_for
from llamafarm.planning.timing import deadline_of, limits_of
from llamafarm.types import Attempt, AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llamafarm.reply import Reply
    from llamafarm.spec.strategy import Strategy
    from llamafarm.types import Call, NextAttempt, Target

__all__ = ["FallBack"]

_USEFUL = (
    errors.BadRequestError,
    errors.ContentPolicyError,
    errors.ContextExceededError,
    errors.RateLimitError,
    errors.QuotaError,
    errors.CredentialsError,
    errors.ModelMissingError,
)
"""What tells a caller most, when several targets failed for different reasons; others rank behind, the last first."""


@dataclass(frozen=True, slots=True)
class FallBack:
    """The last of a call's stages: makes the attempts."""

    strategy: Strategy
    attempt: NextAttempt

    async def __call__(self, call: Call) -> Reply:
        """Try each target of `call.order`; raises AllFailedError with all attempts when none answers."""
        failures: list[tuple[Target, errors.LlamaFarmError]] = []
        for target, last in _with_last(call.order):
            if any(not _may_follow(error, failed, target) for failed, error in failures):
                continue
            now = time.monotonic()
            if failures and now >= deadline_of(call, self.strategy.optimization):
                break
            attempt = self._prepare(call, target, now, last=last)
            try:
                return await self.attempt(attempt)
            except errors.LlamaFarmError as error:
                failures.append((target, error))
                if attempt.record is None:  # refused before it was sent
                    call.attempts.append(AttemptRecord(target.name, target.model, error.kind, str(error), 0.0))
                if not error.try_next:
                    break
        raise _all_failed(call, failures)

    def _prepare(self, call: Call, target: Target, now: float, *, last: bool) -> Attempt:
        limits = limits_of(call, target, self.strategy.optimization, now=now, last=last)
        body = body_for(call, target, self.strategy.constraints)
        return Attempt(call, target, body, limits.deadline, limits.ttft, limits.idle, last)


def _with_last(order: Iterable[Target]) -> Iterator[tuple[Target, bool]]:
    """Say of each target whether it is the last; reads one ahead and no further."""
    targets = iter(order)
    target = next(targets)
    for following in targets:
        yield target, False
        target = following
    yield target, True


def _may_follow(error: errors.LlamaFarmError, failed: Target, target: Target) -> bool:
    """Whether it makes sense to ask `target` after `failed` failed so: a prompt too long needs a larger window."""
    if not isinstance(error, errors.ContextExceededError):
        return True
    if failed.context_window is None or target.context_window is None:
        return True
    return target.context_window > failed.context_window


def _all_failed(call: Call, failures: list[tuple[Target, errors.LlamaFarmError]]) -> errors.AllFailedError:
    causes = [error for _, error in failures]
    ranked = [error for kind in _USEFUL for error in causes if isinstance(error, kind)]
    cause = ranked[0] if ranked else causes[-1]
    if len(failures) == 1:
        message = str(cause)
    else:
        message = "every target failed: " + "; ".join(f"{target.name}: {error}" for target, error in failures)
    failed = errors.AllFailedError(message, call.attempts, cause)
    failed.__cause__ = cause
    return failed
