"""Tells the sinks about every call, once, however it ends."""

from __future__ import annotations

import asyncio
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import LlamaFarmError
from llamafarm.types import Event, Outcome

if TYPE_CHECKING:
    from llamafarm.reply import Reply
    from llamafarm.types import Call, NextStage, Sink

__all__ = ["Observe"]


@dataclass(frozen=True, slots=True)
class Observe:
    """Outermost: it sees refusals and failures, too."""

    sinks: tuple[Sink, ...]
    strategy: str

    async def __call__(self, call: Call, proceed: NextStage) -> Reply:
        """Name the strategy on the call and have its end reported."""
        call.strategy = self.strategy
        try:
            reply = await proceed(call)
        except LlamaFarmError as error:
            self._report(call, Outcome("failed", error=error))
            raise
        except asyncio.CancelledError:
            self._report(call, Outcome("abandoned"))
            raise
        answering = weakref.ref(reply)  # its own hook must not keep it alive: dropped, it has to end at once
        reply.on_end(lambda outcome: self._report(call, outcome, answering()))
        return reply

    def _report(self, call: Call, outcome: Outcome, reply: Reply | None = None) -> None:
        answered = reply.record if reply is not None else None
        answered = answered or (call.attempts[-1] if call.attempts else None)
        first = outcome.first_token
        event = Event(
            id=call.id,
            strategy=call.strategy,
            operation=call.operation,
            target=answered.target if answered else None,
            model=answered.model if answered else None,
            ended=outcome.ended,
            error=outcome.error.kind if outcome.error else None,
            detail=str(outcome.error) if outcome.error else None,
            usage=outcome.usage,
            cost=None if call.unpriced else call.spent,
            ms=(time.monotonic() - call.started) * 1e3,
            first_token_ms=None if first is None else (first - call.started) * 1e3,
            attempts=tuple(call.attempts),
        )
        for sink in self.sinks:
            sink.emit(event)
