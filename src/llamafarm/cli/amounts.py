"""How prices and sizes are written in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["per_million", "size", "tokens"]

_UNKNOWN = "-"


def per_million(price: Mapping[str, float] | None, *, ceiling: bool = False) -> tuple[str, str]:
    """Write what a million tokens of prompt and of answer cost, in dollars; `ceiling`: at most."""
    if price is None:
        return _UNKNOWN, _UNKNOWN
    mark = "≤" if ceiling else ""
    return f"{mark}{price['input']:.4g}", f"{mark}{price['output']:.4g}"


def tokens(count: int | None) -> str:
    """Write a number of tokens, like 128k."""
    if count is None:
        return _UNKNOWN
    if count >= 1_000_000:  # noqa: PLR2004 - a million
        return f"{count / 1e6:.3g}M"
    return f"{count // 1000}k" if count >= 10_000 else str(count)  # noqa: PLR2004 - from five digits on, thousands


def size(count: int) -> str:
    """Write a number of bytes in steps of 1000."""
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB"
