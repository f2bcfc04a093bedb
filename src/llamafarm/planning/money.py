"""What a call could cost at most, and which output limit keeps it within `max_cost_per_request`.

Money is whole nanodollars. The bound of the input is its bytes: no byte-level vocabulary makes more tokens of a text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llamafarm import catalog
from llamafarm.errors import CostLimitError
from llamafarm.planning.timing import attempts_on
from llamafarm.tokens import upper_bound
from llamafarm.types import Operation, Price

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from llamafarm.spec.strategy import Constraints, Strategy
    from llamafarm.types import Call, Target

__all__ = [
    "FREE",
    "LEAST_OUTPUT",
    "asked_output",
    "check_budgets",
    "dollars",
    "input_at",
    "output_cap",
    "reasons",
    "worst_case",
    "worst_of",
]

LEAST_OUTPUT = 256
"""Tokens: where money buys less than this of an answer, the target is skipped."""

OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")
OTHER_OUTPUT_LIMITS = frozenset(("n_predict", "num_predict", "max_new_tokens", "max_output_tokens", "max_length"))
"""What some servers also take for it, and let win over the usual names."""

FREE = Price(input=0, output=0)
"""What an application of one's own costs, unless the file gives it a price."""

UNLIMITED = 1_000_000
"""Tokens: stands for no output limit where none is known and output costs nothing."""

IMAGE_TOKENS = 10_000
"""The most input tokens one image becomes: OpenAI's `original` detail, 10,000 patches (its vision guide, 2026-11)."""
IMAGE_TOKENS_OF = {"gpt-4o-mini": 48_169}
"""Models that count an image dearer: 2,833 tokens and 5,667 for each of up to 8 tiles (same guide)."""


def dollars(nano: int) -> str:
    """Write nanodollars as dollars, with the digits that matter."""
    return f"${nano / 1e9:.6f}".rstrip("0").rstrip(".")


def limit_of(constraints: Constraints) -> int | None:
    """Give `max_cost_per_request` in nanodollars (rounded down, so that it holds)."""
    given = constraints.max_cost_per_request
    return None if given is None else int(Decimal(str(given)) * catalog.NANO)


def asked_output(body: Mapping[str, Any], target: Target) -> int | None:
    """Give the output limit the caller asks for, else the target's default; None where neither says."""
    for name in OUTPUT_LIMITS:
        if (value := body.get(name)) is not None:
            return int(value)
    given = OTHER_OUTPUT_LIMITS.intersection(body)  # hardly ever any, and this is asked often
    limits = [value for name in given if isinstance(value := body[name], int) and value > 0] if given else []
    return min(limits) if limits else target.defaults.get("max_tokens")


def output_cap(call: Call, target: Target, constraints: Constraints) -> int | None:
    """Give the output limit that applies at a target, in tokens; None where nothing limits it."""
    if call.operation in (Operation.EMBEDDING, Operation.IMAGE):
        return None
    total = constraints.max_tokens
    limits = (
        asked_output(call.body, target),
        constraints.max_output_tokens,
        None if total is None else total - input_at(target, call),
    )
    return min((limit for limit in limits if limit is not None), default=None)


def input_at(target: Target, call: Call) -> int:
    """Give the input tokens of a call at a target: the caller's prompt, and the target's own where it is put in.

    Counted where that has been done (`planning.counting`), else estimated.
    """
    if call.counted and (counted := call.counted.get(target)) is not None:
        return counted
    return call.input_tokens + (target.system_tokens if call.takes_system else 0)


def input_bound(target: Target, call: Call) -> int:
    """Bound the input tokens of a call at a target from above."""
    system = target.defaults.get("system_prompt", "")
    return (
        call.input_bytes
        + call.given_bytes
        + upper_bound(system)
        + call.images * IMAGE_TOKENS_OF.get(target.model, IMAGE_TOKENS)
    )


def worst_case(target: Target, call: Call, cap: int | None) -> int | None:
    """Give the most one attempt could cost, in nanodollars; None where the target has no price or no bound."""
    if target.price is None:
        return None
    if call.operation is Operation.IMAGE:  # no row has a price for an image
        return 0 if target.price == FREE else None
    if call.operation is Operation.EMBEDDING:
        return catalog.worst_case(target.price, input_bound(target, call), 0, 1)
    bound = cap if cap is not None else target.max_output or target.context_window
    if bound is None:
        return 0 if target.price.output == 0 else None
    return catalog.worst_case(target.price, input_bound(target, call), bound, _choices(call))


def affordable_cap(target: Target, call: Call, cap: int | None, money: int) -> int:
    """Give the largest output limit that `money` buys at a target and `cap` allows; less than 1 where none is.

    Raises CostLimitError where the target has no price.
    """
    if target.price is None:
        raise CostLimitError(f"{target.name} has no price")
    bought = catalog.affordable_output(target.price, input_bound(target, call), money, _choices(call))
    limits = [limit for limit in (bought, cap, target.max_output) if limit is not None]
    return min(limits, default=target.context_window or UNLIMITED)


def _choices(call: Call) -> int:
    """Count the answers a vendor makes and bills: for each prompt of a list, and `best_of` makes more than it shows."""
    each: int = max(call.body.get("n") or 1, call.body.get("best_of") or 1)
    prompts = call.body.get("prompt")
    if not isinstance(prompts, list | tuple) or all(isinstance(token, int) for token in prompts):
        return each
    return each * len(prompts)


def reasons(target: Target, call: Call, constraints: Constraints) -> Iterator[str]:
    """Say why a target can't keep `max_cost_per_request`."""
    limit = limit_of(constraints)
    if limit is None:
        return
    if target.price is None:
        yield f"{target.model} has no known price, so max_cost_per_request cannot hold: give price"
        return
    if call.operation is Operation.IMAGE and target.price != FREE:
        yield f"no price for an image by {target.model} is known, so max_cost_per_request cannot hold"
        return
    if not target.bounded:
        yield f"{target.model} bills more than tokens on every call, so max_cost_per_request cannot hold"
    if call.extras and target.price != FREE:
        yield f"its price does not cover {', '.join(call.extras)}, so max_cost_per_request cannot hold"
    yield from _too_dear(target, call, constraints, limit)


def _too_dear(target: Target, call: Call, constraints: Constraints, limit: int) -> Iterator[str]:
    cap = output_cap(call, target, constraints)
    if call.operation is Operation.EMBEDDING or asked_output(call.body, target) is not None:
        worst = worst_case(target, call, cap)
        if worst is None or worst > limit:
            could = "without a bound" if worst is None else dollars(worst)
            yield f"it could cost {could} and max_cost_per_request is {dollars(limit)}"
        return
    bought = affordable_cap(target, call, cap, limit)
    if bought < min(LEAST_OUTPUT, cap or LEAST_OUTPUT):
        yield f"max_cost_per_request ({dollars(limit)}) buys only {max(bought, 0)} tokens of an answer"


def worst_of(order: Iterable[Target], call: Call, strategy: Strategy) -> int | None:
    """Give what a call could cost if every try at every target of its order were billed; None: nothing bounds it."""
    constraints = strategy.constraints
    limit = limit_of(constraints)
    total = 0
    for target in order:
        worst = worst_case(target, call, output_cap(call, target, constraints))
        if worst is None:
            return limit
        total += worst * attempts_on(target, strategy.optimization.retry_policy)
    return total if limit is None else min(total, limit)


def check_budgets(strategy: Strategy) -> None:
    """Refuse to send for a strategy with a budget: budgets are not kept yet, and a limit is never ignored."""
    constraints = strategy.constraints
    for name in ("daily_budget", "monthly_budget"):
        if getattr(constraints, name) is not None:
            raise CostLimitError(
                f"strategy {strategy.name!r} has a {name}, and this version does not keep budgets yet:"
                f" take {name} out to send without it"
            )
