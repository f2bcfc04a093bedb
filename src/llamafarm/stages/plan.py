"""Decides where a call may go; refuses it where it may go nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import planning

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.reply import Reply
    from llamafarm.types import Call, NextStage

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Puts the planned order on the call."""

    routing: planning.Routing
    snapshot: Callable[[], planning.Snapshot]

    async def __call__(self, call: Call, proceed: NextStage) -> Reply:
        """Plan, then go on; raises what `planning.plan` raises."""
        call.order = planning.plan(self.routing, call, self.snapshot())
        return await proceed(call)
