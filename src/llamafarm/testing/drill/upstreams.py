"""Upstreams of which some targets fail on purpose: in the transport where there is one, else in place of the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING

from llamafarm import apps, providers, registry
from llamafarm.errors import (
    AttemptError,
    AttemptTimeoutError,
    ConnectError,
    RateLimitError,
    StreamCutError,
    TransientError,
)
from llamafarm.transport.faulty import RETRY_AFTER, FaultyTransport, InjectedFault
from llamafarm.types import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.transport import Transport
    from llamafarm.types import Attempt, Chunk, Status, Target

__all__ = ["FaultyUpstreams"]

Faults = Mapping[tuple[object, ...], InjectedFault]
"""By the identity of the target that has it."""


class FaultyUpstreams(Mapping[str, Upstream]):
    """The upstreams of others, by dialect, with faults for some targets.

    With a `transport` the faults of whatever speaks HTTP happen there, and everything above it is real. Without one,
    and for applications in this process, they stand in the place of the answer. Closes nothing: it owns nothing.
    """

    def __init__(self, healthy: Mapping[str, Upstream], faults: Faults, transport: Transport | None = None) -> None:
        self._healthy = healthy
        self._faults = faults
        self._transport = transport
        self._made: dict[str, Upstream] = {}

    def __getitem__(self, dialect: str) -> Upstream:
        if dialect not in self._made:
            speaks_http = self._transport is not None and dialect not in registry.names(apps.GROUP)
            transport = self._transport if speaks_http else None
            self._made[dialect] = _Faulty(dialect, self._healthy, self._faults, transport)
        return self._made[dialect]

    def __iter__(self) -> Iterator[str]:
        return iter(self._healthy)

    def __len__(self) -> int:
        return len(self._healthy)


class _Faulty:
    """One dialect's upstream, with faults."""

    def __init__(
        self, dialect: str, healthy: Mapping[str, Upstream], faults: Faults, transport: Transport | None
    ) -> None:
        self._dialect = dialect
        self._healthy = healthy
        self._faults = faults
        self._transport = transport

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        fault = self._faults.get(attempt.target.identity)
        if fault is None:
            return await self._healthy[self._dialect].send(attempt)
        if self._transport is not None:
            transport = FaultyTransport(self._transport, fault)
            events = await providers.load(self._dialect)(transport).send(attempt)
            return _BrokenOff(events, transport.break_off)
        if fault is InjectedFault.CUT:
            return _BrokenOff(await self._healthy[self._dialect].send(attempt), None)
        raise await _failure(fault, attempt)

    async def check(self, target: Target) -> Status:
        return await self._healthy[self._dialect].check(target)

    async def aclose(self) -> None:
        pass


async def _failure(fault: InjectedFault, attempt: Attempt) -> AttemptError:
    """Give what an upstream raises for a fault; a timeout takes the time that the attempt has."""
    who = f"{attempt.target.name} ({attempt.target.model})"
    match fault:
        case InjectedFault.REFUSED:
            return ConnectError(f"{who}: cannot connect: refused (injected)")
        case InjectedFault.RATE_LIMIT:
            return RateLimitError(f"{who}: too many requests (429, injected)", upstream_status=429)
        case InjectedFault.RATE_LIMIT_WITH_PAUSE:
            return RateLimitError(
                f"{who}: too many requests (429, injected)", upstream_status=429, retry_after=float(RETRY_AFTER)
            )
        case InjectedFault.TIMEOUT:
            left = attempt.deadline - time.monotonic()
            limit = left if attempt.ttft is None or not attempt.call.stream else min(left, attempt.ttft)
            await asyncio.sleep(max(0.0, limit))
            return AttemptTimeoutError(f"{who}: no answer in time (injected)")
        case _:
            return TransientError(f"{who}: internal server error (500, injected)", upstream_status=500)


class _BrokenOff:
    """The events of an answer up to its first text. Then `break_off` breaks the connection; None: it ends here."""

    def __init__(self, events: AsyncIterator[Chunk], break_off: Callable[[], None] | None) -> None:
        self._events = events
        self._break_off = break_off
        self._has_text = False

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        if self._has_text and self._break_off is None:
            raise StreamCutError("the answer broke off behind its first text (injected)")
        chunk = await anext(self._events)
        if chunk.text and not self._has_text:
            self._has_text = True
            if self._break_off is not None:
                self._break_off()
        return chunk

    async def aclose(self) -> None:
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()
