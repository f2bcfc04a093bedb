"""Turns tokens into money: whole nanodollars, rounded up. Usage within a worst case's bounds never costs more."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamafarm.types import Price, PriceTier, Usage

__all__ = ["NANO", "affordable_output", "cost", "dollars_to_nano", "worst_case"]

NANO = 1_000_000_000
"""Nanodollars in a dollar."""
_MILLION = 1_000_000


def dollars_to_nano(amount: Decimal | float | str) -> int:
    """Convert dollars to nanodollars, up. A float counts as the decimal it is written as: 0.1 is a tenth.

    Raises ValueError where the amount is no number, not finite, or negative.
    """
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not an amount of dollars") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{amount!r} is not an amount of dollars: it has to be zero or more")
    return int((value * NANO).to_integral_value(ROUND_CEILING))


def cost(usage: Usage, price: Price) -> int:
    """Give what an answer costs. Usage that makes no sense counts for what of it does, and never for less than nothing.

    `input_tokens` holds the cached and the cache-writing ones, `output_tokens` the reasoning: they are billed once.
    """
    given = max(usage.input_tokens, 0)
    cached = min(max(usage.cached_tokens, 0), given)
    written = min(max(usage.cache_write_tokens, 0), given - cached)
    rate = _rate(price, given)
    total = (
        (given - cached - written) * rate.input
        + cached * _or_input(rate.cached_input, rate)
        + written * _or_input(rate.cache_write, rate)
        + max(usage.output_tokens, 0) * rate.output
    )
    return -(-total // _MILLION) + price.request


def worst_case(price: Price, input_tokens: int, output_tokens: int, n: int = 1) -> int:
    """Bound what a request can cost from at most `input_tokens` of prompt and `output_tokens` for each of `n` choices.

    Every prompt token counts as the dearest kind (plain, cached, written to the cache), at the dearest tier a prompt
    up to this length can reach. The prompt is billed once for all choices, as the vendors' usage reports it.
    """
    given, output = _dearest(price, input_tokens)
    total = max(input_tokens, 0) * given + max(output_tokens, 0) * max(n, 1) * output
    return -(-total // _MILLION) + price.request


def affordable_output(price: Price, input_tokens: int, money: int, n: int = 1) -> int | None:
    """Give the most output tokens for each of `n` choices whose `worst_case` is within `money` nanodollars.

    -1 where the prompt alone costs more; None where output costs nothing, so that money sets no limit.
    """
    given, output = _dearest(price, input_tokens)
    spare = (money - price.request) * _MILLION - max(input_tokens, 0) * given
    if spare < 0:
        return -1
    return spare // (output * max(n, 1)) if output else None


def _dearest(price: Price, input_tokens: int) -> tuple[int, int]:
    rates: list[Price | PriceTier] = [price, *(tier for tier in price.tiers if tier.above < input_tokens)]
    given = max(max(rate.input, rate.cached_input or 0, rate.cache_write or 0) for rate in rates)
    return given, max(rate.output for rate in rates)


def _rate(price: Price, input_tokens: int) -> Price | PriceTier:
    return next((tier for tier in reversed(price.tiers) if input_tokens > tier.above), price)


def _or_input(rate: int | None, of: Price | PriceTier) -> int:
    return of.input if rate is None else rate
