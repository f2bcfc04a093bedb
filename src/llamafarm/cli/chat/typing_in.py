"""Reads turns: lines that a person types and can edit, or lines that a script pipes in."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from llamafarm.cli.printing import say
from llamafarm.cli.prompts import stdin, valid
from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Typing"]

_BLOCK = '"""'
_MOST_REMEMBERED = 1000
"""Lines of history kept in the file."""


class Typing:
    """Gives one turn after the other. A trailing backslash, or ``\"\"\"`` around, makes one of several lines."""

    def __init__(self, history: Path | None) -> None:
        """Begin; `history` is where lines are remembered for later sessions, None: nowhere.

        Raises BadCallError where standard input is closed.
        """
        self.is_person = stdin().isatty()
        """Whether somebody types, and wants prompts."""
        self.history = history
        self._edits = self.is_person and sys.stdout.isatty() and _has_editor()
        if self._edits and history is not None:
            _recall(history)

    def read(self) -> str | None:
        """Give the next turn; None at the end. Raises KeyboardInterrupt for Ctrl-C, which drops what was typed."""
        line = self._line("> ")
        if line is None:
            return None
        turn = self._whole(line)
        self._remember(turn)
        return turn

    def _whole(self, line: str) -> str:
        if line.lstrip().startswith(_BLOCK):
            return self._block(line.lstrip().removeprefix(_BLOCK))
        lines = [line]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            more = self._line(". ")
            if more is None:
                break
            lines.append(more)
        return "\n".join(lines)

    def _block(self, first: str) -> str:
        lines = [first]
        while not lines[-1].rstrip().endswith(_BLOCK):
            more = self._line(". ")
            if more is None:
                return "\n".join(lines).strip("\n")
            lines.append(more)
        lines[-1] = lines[-1].rstrip().removesuffix(_BLOCK)
        return "\n".join(lines).strip("\n")

    def _line(self, prompt: str) -> str | None:
        if self.is_person and not self._edits:
            print(prompt, end="", file=sys.stderr, flush=True)  # noqa: T201 - a prompt, not a message
        try:
            line = input(prompt) + "\n" if self._edits else stdin().readline()
        except EOFError:
            return None
        except UnicodeDecodeError as error:
            raise BadCallError(f"standard input is not UTF-8 text (byte {error.start})") from error
        return valid(line, "standard input").removesuffix("\n") if line else None

    def _remember(self, turn: str) -> None:
        """Put a turn in the history; of several lines each by itself, as they were typed."""
        if not self._edits or self.history is None or not turn.strip():
            return
        try:
            self.history.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
                file.write(turn + "\n")
        except OSError as error:
            say(f"llamafarm: no history is kept: {self.history}: {error.strerror}")  # once
            self.history = None


def _has_editor() -> bool:
    """Load line editing, where Python was built with it."""
    try:
        import readline  # noqa: F401 - importing it is what makes `input` edit lines
    except ImportError:
        return False
    return True


def _recall(history: Path) -> None:
    import readline

    try:
        lines = history.read_text(encoding="utf-8", errors="replace").splitlines()
        if len(lines) > 2 * _MOST_REMEMBERED:
            lines = lines[-_MOST_REMEMBERED:]
            history.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError:
        return  # none yet; one that can't be written is told of when a line is to be added
    for line in lines[-_MOST_REMEMBERED:]:
        readline.add_history(line)
