"""Decides what the prompt is: an argument, what is piped in, or both."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

import click

from llamafarm.cli.printing import note
from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from llamafarm.cli.settings import Settings

__all__ = ["read_prompt", "read_stdin", "stdin", "valid"]

_PATIENCE = 2.0
"""Seconds to wait for something on a pipe beside a prompt: programs that start others often leave an open one behind,
on which nothing will ever come."""


def read_prompt(words: tuple[str, ...], settings: Settings) -> str:
    """Give the prompt of a command line.

    ``-`` or nothing: what is piped in. A prompt: it, with what is piped in behind it. A prompt and ``-``: the same,
    however long the pipe takes to begin.
    """
    match words:
        case () if sys.stdin is None or sys.stdin.isatty():
            raise click.UsageError("there is no PROMPT: give one in quotes, or pipe one in")
        case () | ("-",):
            return read_stdin()
        case (prompt,):
            return _joined(valid(prompt, "the prompt"), read_stdin() if _is_piped(settings) else "")
        case (prompt, "-"):
            return _joined(valid(prompt, "the prompt"), read_stdin())
        case _:
            raise click.UsageError(f"there are {len(words)} prompts: put the PROMPT in quotes")


def stdin() -> TextIO:
    """Give standard input. Raises BadCallError where the program was started with it closed."""
    if sys.stdin is None:
        raise BadCallError("standard input is closed: there is nothing to read")
    return sys.stdin


def read_stdin() -> str:
    """Read all of stdin. Raises BadCallError where it is closed or not text."""
    try:
        return stdin().buffer.read().decode()
    except UnicodeDecodeError as error:
        raise BadCallError(f"standard input is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise BadCallError(f"standard input: {error.strerror or error}") from error


def valid(text: str, what: str) -> str:
    """Give a text of the command line back; raises BadCallError where its bytes are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadCallError(f"{what} is not UTF-8 text (character {error.start + 1})") from error
    return text


def _joined(prompt: str, piped: str) -> str:
    return f"{prompt}\n\n{piped}" if piped.strip() else prompt


def _is_piped(settings: Settings) -> bool:
    """Tell whether something is piped in beside the prompt."""
    if sys.stdin is None or sys.stdin.isatty():
        return False
    if os.name == "nt":  # there, select knows only sockets
        return True
    try:
        ready, _, _ = select.select([sys.stdin], [], [], _PATIENCE)
    except (OSError, ValueError):  # closed
        return False
    if not ready:
        note(
            settings, f"nothing came from the pipe on stdin in {_PATIENCE:g} s: going on without it (`PROMPT -` waits)"
        )
    return bool(ready)
