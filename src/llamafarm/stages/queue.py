"""Keeps a strategy to its `parallel_requests`: beyond them a call waits its turn, first come first served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llamafarm.errors import AttemptTimeoutError
from llamafarm.planning.timing import deadline_of

if TYPE_CHECKING:
    from llamafarm.reply import Reply
    from llamafarm.spec.strategy import Optimization
    from llamafarm.types import Call, NextStage, Outcome

__all__ = ["Queue"]


class Queue:
    """Holds a place from before the first attempt until the reply has ended."""

    def __init__(self, optimization: Optimization) -> None:
        self._optimization = optimization
        self._places = asyncio.Semaphore(optimization.parallel_requests)

    async def __call__(self, call: Call, proceed: NextStage) -> Reply:
        """Wait for a place; raises AttemptTimeoutError when the call's time is over before there is one."""
        try:
            async with asyncio.timeout_at(deadline_of(call, self._optimization)):
                await self._places.acquire()
        except TimeoutError:
            raise AttemptTimeoutError(
                f"waited {self._optimization.timeout_seconds:g} s (timeout_seconds) behind"
                f" {self._optimization.parallel_requests} other requests (parallel_requests)"
            ) from None
        try:
            reply = await proceed(call)
        except BaseException:
            self._places.release()
            raise
        reply.on_end(self._leave)
        return reply

    def _leave(self, _: Outcome) -> None:
        self._places.release()
