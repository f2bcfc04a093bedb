"""Finds values that must not be shown wherever they occur in a text, however many there are of them."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator

__all__ = ["Concealed"]

_SHORTEST = 4
"""Characters; what is shorter is no secret, and would be found everywhere."""


class Concealed:
    """Values, each with what is shown in its place."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._lengths: dict[str, list[int]] = {}
        """The lengths of the values that begin alike, the longest first, as negative numbers."""

    def add(self, value: str, shown: str) -> None:
        """Conceal a value as it is and on one line; one of fewer than four characters is left alone."""
        for form in (value, " ".join(value.split())):
            if len(form) < _SHORTEST:
                continue
            if form not in self._shown:
                lengths = self._lengths.setdefault(form[:_SHORTEST], [])
                if -len(form) not in lengths:
                    insort(lengths, -len(form))
            self._shown[form] = shown

    def spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Give start, end and replacement of every place where a value stands; they are in order and may overlap."""
        if not self._shown:
            return
        for start in range(len(text) - _SHORTEST + 1):
            for length in self._lengths.get(text[start : start + _SHORTEST], ()):
                shown = self._shown.get(text[start : start - length])
                if shown is not None:
                    yield start, start - length, shown
                    break

    def applied(self, text: str) -> str:
        """Give a text with what is to be shown instead of the values."""
        pieces, at = [], 0
        for start, end, shown in self.spans(text):
            if start >= at:
                pieces += [text[at:start], shown]
            at = max(at, end)
        return "".join([*pieces, text[at:]])
