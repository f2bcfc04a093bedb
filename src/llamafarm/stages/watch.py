"""Tells the record of a target's health how each try there went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import LlamaFarmError
from llamafarm.health import way_of

if TYPE_CHECKING:
    from llamafarm.health import Health
    from llamafarm.reply import Reply
    from llamafarm.types import Attempt, NextAttempt

__all__ = ["Watch"]


@dataclass(frozen=True, slots=True)
class Watch:
    """Behind `reserve`, so that it sees only what was sent."""

    health: Health

    async def __call__(self, attempt: Attempt, proceed: NextAttempt) -> Reply:
        """Watch one try from its sending to the end of its reply."""
        way = way_of(attempt.call, attempt.target, going_on=bool(attempt.beginning))
        trial = self.health.begin(attempt.target, way)
        try:
            reply = await proceed(attempt)
        except LlamaFarmError as error:
            trial.failed(error)
            raise
        except BaseException:
            if attempt.outrun:
                trial.outrun(streamed=attempt.call.stream)
            else:
                trial.abandoned()
            raise
        trial.answered(streamed=attempt.call.stream)
        reply.on_end(trial.ended)
        return reply
