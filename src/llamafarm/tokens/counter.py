"""What counts a text's tokens exactly as its model will, and how one that is on disk fails."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Counter", "TokenizerError"]


class Counter(Protocol):
    """A model's own tokenizer, loaded from this machine's disk."""

    @property
    def name(self) -> str:
        """What it is called where the answer says how tokens were counted: ``o200k_base``, a model's name."""

    def count(self, text: str) -> int:
        """Count the tokens of a text; blocks about two seconds for a megabyte.

        Raises TokenizerError where its library cannot take this text.
        """


class TokenizerError(Exception):
    """A tokenizer on disk cannot be used, or not for one text; tokens are estimated then. Never leaves planning."""
