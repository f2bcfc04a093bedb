"""Finds a text that a regular expression matches: a short one, for most of the syntax that conditions may use."""

from __future__ import annotations

import string

__all__ = ["example_of"]

_CLASSES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": " ", "S": "a", "h": " "}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_NAMED = {"digit": "0", "space": " ", "upper": "A", "punct": "!", "xdigit": "0"}
_LETTERS = string.ascii_letters + string.digits + " _-.,!?\n" + string.punctuation
_MOST_REPEATED = 1000


class _NotUnderstoodError(Exception):
    """The pattern has something this reader does not know."""


def example_of(pattern: str) -> str | None:
    """Give a text that the pattern should match; None where it has syntax that is not understood.

    It is a proposal: whoever asks tries it with the real engine.
    """
    reader = _Reader(pattern)
    try:
        text = reader.alternatives()
    except (_NotUnderstoodError, IndexError, ValueError):
        return None
    return text if reader.at_end else None


class _Reader:
    """Reads a pattern from left to right and makes the text on the way."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._pattern)

    def alternatives(self) -> str:
        """Take alternatives up to the end of their group; the first is as good as any."""
        first = self._sequence()
        while not self.at_end and self._pattern[self._at] == "|":
            self._at += 1
            self._sequence()
        return first

    def _sequence(self) -> str:
        made: list[str] = []
        while not self.at_end and self._pattern[self._at] not in "|)":
            piece = self._piece()
            made.append(piece * self._times())
        return "".join(made)

    def _piece(self) -> str:
        character = self._take()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._set()
            case "\\":
                return self._escape()
            case ".":
                return "a"
            case "^" | "$":
                return ""
            case _:
                return character

    def _take(self) -> str:
        character = self._pattern[self._at]
        self._at += 1
        return character

    def _times(self) -> int:
        """Take a quantifier and give the least that it allows."""
        if self.at_end or self._pattern[self._at] not in "*+?{":
            return 1
        sign = self._take()
        least = {"*": 0, "+": 1, "?": 0}.get(sign)
        if least is None:
            end = self._pattern.index("}", self._at)
            least = int(self._pattern[self._at : end].partition(",")[0] or "0")
            self._at = end + 1
        if not self.at_end and self._pattern[self._at] == "?":  # the lazy kind
            self._at += 1
        if least > _MOST_REPEATED:
            raise _NotUnderstoodError
        return least

    def _group(self) -> str:
        if self._pattern.startswith("?", self._at):
            end = min(place for mark in ":>)" if (place := self._pattern.find(mark, self._at)) >= 0)
            named, self._at = self._pattern[self._at : end + 1], end + 1
            if named.endswith(")"):  # flags from here on, like (?i)
                return ""
        inside = self.alternatives()
        if self._take() != ")":
            raise _NotUnderstoodError
        return inside

    def _set(self) -> str:
        """Take a set of characters and give one that is in it."""
        negated = self._pattern.startswith("^", self._at)
        self._at += negated
        members: set[str] = set()
        first = True
        while first or self._pattern[self._at] != "]":
            first = False
            low = self._member()
            if self._pattern.startswith("-", self._at) and not self._pattern.startswith("-]", self._at):
                self._at += 1
                high = self._member()
                members |= {chr(code) for code in range(ord(low), min(ord(high), ord(low) + 0x2000) + 1)}
            members.add(low)
        self._at += 1
        if not negated:
            return min(members, key=lambda one: (one not in _LETTERS, one))
        left = (one for one in _LETTERS if one not in members and one.lower() not in members)
        return next(left, "é")

    def _member(self) -> str:
        if self._pattern.startswith("[:", self._at):
            end = self._pattern.index(":]", self._at)
            name, self._at = self._pattern[self._at + 2 : end], end + 2
            return _NAMED.get(name, "a")
        character = self._take()
        return self._escape() if character == "\\" else character

    def _escape(self) -> str:
        character = self._take()
        if character in "bBAzZ":
            return ""
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character == "x":
            digits = self._pattern[self._at : self._at + 2]
            self._at += 2
            return chr(int(digits, 16))
        if character.isalnum():
            raise _NotUnderstoodError
        return character
