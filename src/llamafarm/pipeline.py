"""The steps of every request, in order: read this to know what happens to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.stages import FallBack, Observe, Plan, Queue, Reserve, Retry, Send, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llamafarm.health import Health
    from llamafarm.planning import Routing, Snapshot
    from llamafarm.types import AttemptStage, NextAttempt, NextStage, Places, Sink, Stage, Upstream

__all__ = ["compose"]


def compose(
    routing: Routing,
    upstreams: Mapping[str, Upstream],
    sinks: tuple[Sink, ...],
    snapshot: Callable[[], Snapshot],
    health: Health,
    *,
    places: Places | None = None,
) -> NextStage:
    """Put a strategy's pipeline together; the outermost stage comes first.

    `places` counts what is at work where other processes serve the strategy, too.
    """
    strategy = routing.strategy
    attempt = _per_attempt(
        Retry(strategy.optimization),
        Reserve(strategy.constraints),
        Watch(health),
        end=Send(upstreams),
    )
    return _per_call(
        Observe(sinks, strategy.name),
        Plan(routing, snapshot),
        Queue(strategy.optimization, places),
        end=FallBack(strategy, attempt, health),
    )


def _per_call(*stages: Stage, end: NextStage) -> NextStage:
    for stage in reversed(stages):
        end = _bind(stage, end)
    return end


def _bind(stage: Stage, proceed: NextStage) -> NextStage:
    return lambda call: stage(call, proceed)


def _per_attempt(*stages: AttemptStage, end: NextAttempt) -> NextAttempt:
    for stage in reversed(stages):
        end = _bind_attempt(stage, end)
    return end


def _bind_attempt(stage: AttemptStage, proceed: NextAttempt) -> NextAttempt:
    return lambda attempt: stage(attempt, proceed)
