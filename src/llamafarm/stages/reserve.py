"""Sets aside what an attempt could cost before it is sent, and settles it to what it did cost.

Within `retry`, so that every try is paid for at its own target's price.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import catalog
from llamafarm.errors import CostLimitError, LlamaFarmError
from llamafarm.planning import money
from llamafarm.planning.body import with_cap
from llamafarm.types import Operation, Outcome

if TYPE_CHECKING:
    from llamafarm.reply import Reply
    from llamafarm.spec.strategy import Constraints
    from llamafarm.types import Attempt, NextAttempt

__all__ = ["Reserve"]


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keeps `max_cost_per_request` over all attempts of a call together."""

    constraints: Constraints

    async def __call__(self, attempt: Attempt, proceed: NextAttempt) -> Reply:
        """Reserve, send, settle; raises CostLimitError where the money left buys no answer at this target."""
        worst = self._worst(attempt)
        held = worst or 0
        attempt.call.held += held
        try:
            reply = await proceed(attempt)
        except LlamaFarmError as error:
            _settle(attempt, held, worst if error.billed else 0)
            raise
        except asyncio.CancelledError:
            _settle(attempt, held, worst)
            raise
        reply.on_end(lambda outcome: _settle(attempt, held, _cost(attempt, worst, outcome)))
        return reply

    def _worst(self, attempt: Attempt) -> int | None:
        """Give what the attempt could cost; None where nothing bounds it, and no limit asks for a bound."""
        call, target = attempt.call, attempt.target
        limit = money.limit_of(self.constraints)
        cap = money.output_cap(call, target, self.constraints)
        if limit is not None:
            cap = self._affordable(attempt, cap, limit - call.spent - call.held)
        return money.worst_case(target, call, cap)

    def _affordable(self, attempt: Attempt, cap: int | None, left: int) -> int | None:
        """Give the output limit that the money left buys: the one asked for, else the largest there is."""
        call, target = attempt.call, attempt.target
        if call.operation is Operation.EMBEDDING or money.asked_output(call.body, target) is not None:
            worst = money.worst_case(target, call, cap)
            if worst is not None and worst <= left:
                return cap
        else:
            bought = money.affordable_cap(target, call, cap, left)
            if bought >= min(money.LEAST_OUTPUT, cap or money.LEAST_OUTPUT):
                if target.price != money.FREE:
                    attempt.body = with_cap(attempt.body, bought)
                return bought
        raise CostLimitError(
            f"{target.name}: {money.dollars(max(left, 0))} is left of max_cost_per_request"
            f" ({money.dollars(left + call.spent + call.held)}), too little for this request there"
        )


def _cost(attempt: Attempt, worst: int | None, outcome: Outcome) -> int | None:
    if outcome.usage is not None and attempt.target.price is not None:
        return catalog.cost(outcome.usage, attempt.target.price)
    if outcome.ended == "failed" and outcome.finish_reason is None and outcome.error and not outcome.error.billed:
        return 0
    return worst  # what came, be it only a finish reason, was worked for, whatever the error that cut it


def _settle(attempt: Attempt, held: int, cost: int | None) -> None:
    """Put what it cost in the place of what was held for it; None: nobody can tell what it cost."""
    call = attempt.call
    call.held -= held
    if cost is None:
        call.unpriced = True
    else:
        call.spent += cost
        if attempt.record is not None:
            attempt.record.cost = cost
