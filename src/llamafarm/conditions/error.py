"""What a condition that cannot be read raises: where it is wrong, and what to write instead."""

from __future__ import annotations

__all__ = ["ConditionError"]


class ConditionError(ValueError):
    """A condition is not in the rule language; the message is one line that says what to write."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        # The message quotes the condition, and that may hold anything; a line for a terminal may not.
        super().__init__("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in message))
        self.offset = offset
        """Where in the condition's text, in characters from 0; None where it is about the text as a whole."""
