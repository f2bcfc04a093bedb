"""A value that is never shown."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret:
    """A value that is never shown. It may be unset, and then knows what would have set it."""

    __slots__ = ("_value", "origin", "why_unset")

    def __init__(self, value: str | None, origin: str, why_unset: str = "") -> None:
        self._value = value
        self.origin = origin
        """The variable or file it comes from, like ``OPENAI_API_KEY``; ``the strategy file`` for a literal."""
        self.why_unset = why_unset or f"{origin} is not set"
        """What is wrong where there is no value, in words for a message."""

    @property
    def is_set(self) -> bool:
        """Whether there is a value (an empty one counts as none)."""
        return bool(self._value)

    def reveal(self) -> str:
        """Give the value itself, for the one place that sends it. Raises ValueError where it is unset."""
        if not self._value:
            raise ValueError(self.why_unset)
        return self._value

    def __eq__(self, other: object) -> bool:
        """Whether it is the same value, wherever it comes from; an unset one is equal to that of its own origin."""
        return isinstance(other, Secret) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str | None, str]:
        return (self._value, "") if self._value else (None, self.origin)

    def __repr__(self) -> str:
        return f"Secret({self.origin}{'' if self.is_set else ', unset'})"

    __str__ = __repr__
