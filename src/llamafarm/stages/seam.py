"""Joins two texts at white space: what the reader has already does not come twice, and what is new is kept."""

from __future__ import annotations

__all__ = ["Seam"]


class Seam:
    """The end of what was read, and the beginning of what another target goes on with, which comes in pieces.

    The other target was given the text without the white space at its end, so it may give that again, or another. Line
    breaks that the reader has are left out, then as many blanks as stand behind the last of them; blanks behind a
    line break are indentation and are kept.
    """

    __slots__ = ("_blanks", "_breaks", "_held", "_is_open", "_known", "_line_began")

    def __init__(self, space: str) -> None:
        """`space` is the white space that the reader has and the target was not given."""
        self._known = space
        """What is still to come of it, while the target gives just the same."""
        self._breaks = 0
        self._blanks = ""
        self._held = ""
        """A blank of which the next character says whether it is indentation or the gap that a line break fills."""
        self._line_began = False
        self._is_open = bool(space)

    def join(self, text: str) -> str:
        """Give what of the next piece the reader does not have."""
        if not self._is_open:
            return text
        kept = ""
        for place, character in enumerate(text):
            if not character.isspace():
                self._is_open = False
                return kept + text[place:]
            kept += self._space(character)
        return kept

    def _space(self, character: str) -> str:
        if self._known.startswith(character):
            self._line_began = self._line_began or character == "\n"
            self._known = self._known[1:]
            return ""
        if self._known:  # from here on it is another white space than the reader's
            self._breaks = self._known.count("\n")
            self._blanks = self._known[self._known.rfind("\n") + 1 :]
            self._known = ""
        return self._break() if character == "\n" else self._blank(character)

    def _break(self) -> str:
        self._held, self._line_began = "", True
        if not self._breaks:
            self._blanks = ""
            return "\n"
        self._breaks -= 1
        return ""

    def _blank(self, character: str) -> str:
        if self._blanks.startswith(character):
            self._blanks = self._blanks[1:]
            return ""
        self._blanks = ""
        if self._held:
            held, self._held, self._line_began = self._held, "", True
            return held + character
        if self._breaks and not self._line_began:
            self._held = character
            return ""
        return character
