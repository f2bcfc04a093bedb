"""Keeps a strategy to its `parallel_requests`: beyond them calls wait, and beyond `queue_size` they are refused."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING

from llamafarm.errors import AttemptTimeoutError, QueueFullError
from llamafarm.planning.timing import deadline_of
from llamafarm.stages.places import OwnPlaces

if TYPE_CHECKING:
    from llamafarm.reply import Reply
    from llamafarm.spec.strategy import Optimization
    from llamafarm.types import Call, NextStage, Places

__all__ = ["Queue"]

_LONGEST_PAUSE = 60.0
"""The most seconds a refused caller is told to wait."""
_WEIGHT = 0.1
"""How much the newest call counts in the mean of how long calls take."""


class Queue:
    """Holds a place from before the first attempt until the reply has ended.

    Who waits is served first come, first served, but tenants take turns: one with a thousand waiting calls delays
    another's only call by one. Where several processes share the `places`, that holds within each of them, and they
    take turns.
    """

    def __init__(self, optimization: Optimization, places: Places | None = None) -> None:
        self._optimization = optimization
        self.places = places or OwnPlaces(optimization.parallel_requests, optimization.queue_size)
        self.places.bind(self._hand_on)
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By tenant, the one whose turn it is first; a tenant nobody waits for is not in it."""
        self._length = 0
        self._mean = 0.0

    async def __call__(self, call: Call, proceed: NextStage) -> Reply:
        """Wait for a place.

        Raises QueueFullError where too many wait already, AttemptTimeoutError when the call's time is over before
        there is a place.
        """
        entry = self.places.ask()
        if entry == "full":
            raise self._full(call)
        if entry == "line":
            await self._wait(call)
        began = time.monotonic()
        try:
            reply = await proceed(call)
        except BaseException:
            self._leave(began)
            raise
        reply.on_end(lambda _: self._leave(began))
        return reply

    def _full(self, call: Call) -> QueueFullError:
        waiting = self.places.waiting
        return QueueFullError(
            f"strategy {call.strategy!r} has {self._optimization.parallel_requests} requests at work"
            f" (parallel_requests) and {waiting} waiting (queue_size)",
            retry_after=self._pause(waiting),
        )

    async def _wait(self, call: Call) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(call.tenant, deque()).append(place)
        self._length += 1
        try:
            async with asyncio.timeout_at(deadline_of(call, self._optimization)):
                await place
        except TimeoutError:
            self._give_up(call.tenant, place)
            raise AttemptTimeoutError(
                f"waited {self._optimization.timeout_seconds:g} s (timeout_seconds) behind"
                f" {self._optimization.parallel_requests} other requests (parallel_requests)"
            ) from None
        except BaseException:
            self._give_up(call.tenant, place)
            raise

    def _give_up(self, tenant: str, place: asyncio.Future[None]) -> None:
        """Leave the queue, or hand on the place that came at the last moment."""
        if place.done() and not place.cancelled():
            self.places.give_back()
            return
        waiting = self._waiting.get(tenant)
        if waiting is not None and place in waiting:
            waiting.remove(place)
            self._length -= 1
            if not waiting:
                del self._waiting[tenant]
            self.places.leave_line()

    def _leave(self, began: float) -> None:
        took = time.monotonic() - began
        self._mean += (took - self._mean) * (_WEIGHT if self._mean else 1.0)
        self.places.give_back()

    def _hand_on(self) -> None:
        """Give a place that came free to who is next; the next tenant's turn comes after that."""
        while self._waiting:
            tenant, waiting = next(iter(self._waiting.items()))
            place = waiting.popleft()
            self._length -= 1
            del self._waiting[tenant]
            if waiting:
                self._waiting[tenant] = waiting
            if not place.done():
                place.set_result(None)
                return
            if self._length:  # who has just left, and not said so yet, stood in the line; the last had this very place
                self.places.leave_line()
        self.places.give_back()

    def _pause(self, waiting: int) -> float:
        """Estimate the whole seconds until the queue has moved on."""
        expected = (waiting + 1) * self._mean / self._optimization.parallel_requests
        return min(_LONGEST_PAUSE, max(1.0, math.ceil(expected)))
