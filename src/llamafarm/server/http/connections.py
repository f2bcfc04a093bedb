"""All connections of a server together: how many there are, which have waited too long, and which goes first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llamafarm.server.http.limits import Limits

__all__ = ["Connections", "Member"]

_SHORTEST_TICK = 0.01
_LONGEST_TICK = 1.0
_EVICTABLE_AFTER = 1.0
"""Seconds: a younger one may be a healthy client that is about to ask."""
_TURNED_AWAY_AT_ONCE = 64
"""How many connections beyond the limit may be told so at the same time; more are cut without a word."""


class Member(Protocol):
    """A connection as the whole of them sees it. Times are the event loop's."""

    deadline: float
    since: float

    def expire(self, now: float) -> None:
        """Act on the deadline, which has passed."""

    def drain(self) -> None:
        """Close, if nothing is under way; else after the next answer."""

    def evict(self) -> None:
        """Make room for another."""

    def abort(self) -> None:
        """Close without waiting for anything."""


class Connections:
    """The open connections and the running requests of one server in one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.members: set[Member] = set()
        self.turned_away: set[Member] = set()
        """Those beyond the limit, while they are told so."""
        self.waiting: OrderedDict[Member, None] = OrderedDict()
        """Those that have not sent a whole head, the longest waiting first."""
        self.requests: set[asyncio.Task[None]] = set()
        self.buffered = 0
        """Bytes of bodies being received."""
        self.draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        shortest = min(
            limits.header_timeout,
            limits.body_timeout,
            limits.idle_timeout,
            limits.write_timeout,
            limits.linger_timeout,
        )
        self._tick = min(max(shortest / 4, _SHORTEST_TICK), _LONGEST_TICK)

    def enter(self, member: Member) -> bool:
        """Take one in, in the place of one that has long said nothing where there is no other. False: there is none."""
        if self._timer is None:
            self._timer = self.loop.call_later(self._tick, self._sweep)
        if len(self.members) >= self.limits.max_connections:
            oldest = next(iter(self.waiting), None)
            if oldest is None or oldest.since + _EVICTABLE_AFTER > self.loop.time():
                return False
            oldest.evict()
            self.leave(oldest)
        self.members.add(member)
        return True

    def turn_away(self, member: Member) -> bool:
        """Keep one that found no room until it has been told so. False: there are too many of those, too."""
        if len(self.turned_away) >= _TURNED_AWAY_AT_ONCE:
            return False
        self.turned_away.add(member)
        return True

    def leave(self, member: Member) -> None:
        """Forget one that is closed."""
        self.members.discard(member)
        self.turned_away.discard(member)
        self.waiting.pop(member, None)
        if self.draining:
            self._changed.set()

    def ended(self, request: asyncio.Task[None]) -> None:
        """Forget a request whose handler is done."""
        self.requests.discard(request)
        if self.draining:
            self._changed.set()

    def cancel(self, request: asyncio.Task[None]) -> None:
        """Cancel a request; one whose handler has not begun yet will never say itself that it is over."""
        request.add_done_callback(self.ended)
        request.cancel()

    async def drain(self, grace: float) -> bool:
        """Let what is under way finish, for `grace` seconds; give whether all of it has."""
        self.draining = True
        for member in tuple(self.waiting):
            member.drain()
        return await self._emptied(grace)

    async def close(self, patience: float) -> bool:
        """Cut all, and wait until their handlers have let go; give whether they have in `patience` seconds."""
        self.draining = True
        for member in (*self.members, *self.turned_away):
            member.abort()
        for request in tuple(self.requests):
            self.cancel(request)
        emptied = await self._emptied(patience)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return emptied

    async def _emptied(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while self.members or self.turned_away or self.requests:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _sweep(self) -> None:
        now = self.loop.time()
        for member in [*self.members, *self.turned_away]:
            if member.deadline <= now:
                member.expire(now)
        if self.members or self.turned_away:
            self._timer = self.loop.call_later(self._tick, self._sweep)
        else:
            self._timer = None
