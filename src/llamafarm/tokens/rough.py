"""What can be said of a text's tokens without a tokenizer: an estimate for planning, and a bound for money."""

from __future__ import annotations

__all__ = ["estimate", "upper_bound"]

_CHARACTERS_PER_TOKEN = 4
"""English prose and code average about four characters a token in the vocabularies of today's vendors
(OpenAI's tokenizer guide gives the same rule)."""


def estimate(text: str) -> int:
    """Estimate the tokens of a text: a quarter of its ASCII characters, and one for each other character."""
    ascii_only = len(text.encode("ascii", "ignore"))
    return -(-ascii_only // _CHARACTERS_PER_TOKEN) + len(text) - ascii_only


def upper_bound(text: str) -> int:
    """Bound the tokens of a text from above: byte-level vocabularies never make more tokens than UTF-8 bytes."""
    return len(text.encode("utf-8", "surrogatepass"))
