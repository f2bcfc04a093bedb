"""What the parts of the pipeline are to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from llamafarm.types.call import Attempt, Call

if TYPE_CHECKING:
    from llamafarm.types.chunk import Chunk
    from llamafarm.types.outcome import Event, Status
    from llamafarm.types.target import Target

__all__ = ["AttemptStage", "NextAttempt", "NextStage", "Sink", "Stage", "Upstream"]


class Sink(Protocol):
    """Takes every call's event: a log, a counter, a trace."""

    def emit(self, event: Event) -> None:
        """Record it, without blocking and without raising."""


class Upstream(Protocol):
    """Speaks one dialect to targets. What it raises is an `AttemptError` or a `ResourceError`, nothing else."""

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Send a request and return once the target has accepted it; its events follow.

        The iterator ends normally only after a finish reason (embeddings: after the vectors), else it raises
        `StreamCutError`. Closing it (``aclose``) cancels the request at the target at once. `attempt.deadline`
        bounds everything up to the first token.
        """

    async def check(self, target: Target) -> Status:
        """Ask whether the target could serve now, at no cost. Never raises for a target's failure."""

    async def aclose(self) -> None:
        """Let go of connections and loaded models. Safe to call twice."""


if TYPE_CHECKING:
    from llamafarm.reply import Reply

NextStage = Callable[[Call], Awaitable["Reply"]]
Stage = Callable[[Call, NextStage], Awaitable["Reply"]]
"""A step every request passes: sees the call, may answer itself, usually asks the next and watches the reply."""
NextAttempt = Callable[[Attempt], Awaitable["Reply"]]
AttemptStage = Callable[[Attempt, NextAttempt], Awaitable["Reply"]]
"""A step every attempt at one target passes."""
