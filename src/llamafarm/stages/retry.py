"""Tries the same target again where the failure may pass, with exponential back-off and full jitter."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import LlamaFarmError
from llamafarm.planning.timing import attempts_on, deadline_of, limits_of, pause_before
from llamafarm.stages.pauses import note_pause

if TYPE_CHECKING:
    from llamafarm.reply import Reply
    from llamafarm.spec.strategy import Optimization
    from llamafarm.types import Attempt, NextAttempt

__all__ = ["Retry"]


@dataclass(frozen=True, slots=True)
class Retry:
    """Around everything that is done per try."""

    optimization: Optimization

    async def __call__(self, attempt: Attempt, proceed: NextAttempt) -> Reply:
        """Try up to the target's number of attempts; raises the last try's error."""
        tries = attempts_on(attempt.target, self.optimization.retry_policy)
        for number in range(1, tries):
            try:
                return await proceed(attempt)
            except LlamaFarmError as error:
                pause = self._pause(number, error, attempt)
                if pause is None:
                    raise
                if attempt.last and getattr(error, "retry_after", None) is not None:
                    note_pause(attempt.target, pause)
            await asyncio.sleep(pause)
            self._refresh(attempt)
        return await proceed(attempt)

    def _pause(self, number: int, error: LlamaFarmError, attempt: Attempt) -> float | None:
        if not error.retry_same:
            return None
        pause = pause_before(
            number,
            error,
            attempt,
            self.optimization.retry_policy,
            now=time.monotonic(),
            deadline=deadline_of(attempt.call, self.optimization),
        )
        exact = getattr(error, "retry_after", None) is not None
        return pause if pause is None or exact else random.uniform(0, pause)  # noqa: S311 - jitter, not a secret

    def _refresh(self, attempt: Attempt) -> None:
        limits = limits_of(
            attempt.call,
            attempt.target,
            self.optimization,
            now=time.monotonic(),
            last=attempt.last,
            patience=attempt.patience,
        )
        attempt.deadline, attempt.ttft, attempt.idle = limits.deadline, limits.ttft, limits.idle
        attempt.bound_by = limits.bound_by
