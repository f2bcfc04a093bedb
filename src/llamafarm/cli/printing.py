"""How results look: the answer on stdout, everything about it on stderr."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Any, Self, TextIO

import click

from llamafarm.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llamafarm.cli.settings import Settings
    from llamafarm.types import Answer, AttemptRecord, Usage

__all__ = [
    "LineByLine",
    "Pieces",
    "answer_document",
    "attempt_documents",
    "counted",
    "discard",
    "document",
    "dollars",
    "encoded",
    "note",
    "notes_of",
    "printable",
    "rate",
    "say",
    "summary",
    "table",
    "usage_document",
    "write",
]


_CONTROL = re.compile(r"(\r(?=\n))|[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_stdout_line = threading.Lock()
"""Held while a line of stdout is under way, so that what another thread says does not land in it."""


def printable(text: str) -> str:
    """Make control characters but newline and tab visible, as JSON's escapes: a terminal would obey them.

    Each by itself, so that a sequence is harmless also where it comes in pieces. A newline's carriage return goes.
    """
    return _CONTROL.sub(lambda found: "" if found[1] else f"\\u{ord(found[0]):04x}", text)


def write(text: str, *, styled: bool = False) -> None:
    """Write to stdout at once: to a terminal nothing that it would obey, unless the text is `styled` by this program.

    Where its reader has left, the program ends. Raises ResourceError for a full disk.
    """
    try:
        sys.stdout.write(text if styled or not sys.stdout.isatty() else printable(text))
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        discard(sys.stdout)
        raise ResourceError(f"standard output: {error.strerror or error}") from error


class Pieces:
    """Writes a text to stdout piece by piece, and at its end the newline that it lacks."""

    def __init__(self) -> None:
        self._under_way = False

    def write(self, piece: str) -> None:
        """Write the next piece, which is not empty; raises as `write` does."""
        if not self._under_way:
            _stdout_line.acquire()
            self._under_way = True
        write(piece)
        if piece.endswith("\n"):
            self._let_go()

    def _let_go(self) -> None:
        self._under_way = False
        _stdout_line.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._under_way:
            try:
                write("\n")
            finally:
                self._let_go()


def discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, so that the interpreter does not try to write it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def document(content: Any) -> None:
    """Write one JSON document and a newline to stdout."""
    write(encoded(content).decode() + "\n")


def encoded(content: Any) -> bytes:
    """Give the JSON of something; bytes of the command line that are no text, as in a file's name, become ``?``."""
    import msgspec

    try:
        return msgspec.json.encode(content)
    except UnicodeEncodeError:
        import json

        text = json.dumps(msgspec.to_builtins(content), ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace")


def say(text: str) -> None:
    """Write a line to stderr. Where even that fails there is nobody to tell, and the exit code has to do."""
    try:
        click.echo(printable(text), err=True)
    except OSError:
        discard(sys.stderr)


def note(settings: Settings, text: str) -> None:
    """Say something on stderr, on one line, unless the user wants quiet."""
    if not settings.quiet:
        say(f"llamafarm: {' '.join(text.split())}")


class LineByLine:
    """Takes what another thread writes to stderr, and writes it where no line of stdout is under way."""

    def write(self, text: str) -> None:
        """Write it, as `printable`."""
        with _stdout_line:
            sys.stderr.write(printable(text))

    def flush(self) -> None:
        """Have the system write it."""
        sys.stderr.flush()


def counted(count: int, name: str) -> str:
    """Write a number of things, like ``1 answer`` or ``2 answers``."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def usage_document(usage: Usage | None) -> dict[str, Any]:
    """Give the tokens of an answer as scripts see them; null where the target did not say, `estimated` where we do."""
    shown: dict[str, Any] = {
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
    }
    if usage is not None and usage.estimated:
        shown["estimated"] = True
    return shown


def attempt_documents(attempts: Iterable[AttemptRecord]) -> list[dict[str, Any]]:
    """Give attempts as scripts see them, in order; `notes` only where there are any."""
    return [
        {
            "target": a.target,
            "model": a.model,
            "outcome": a.outcome,
            "error": a.error,
            "ms": round(a.ms, 1),
            **({"notes": list(a.notes)} if a.notes else {}),
        }
        for a in attempts
    ]


def notes_of(attempts: Sequence[AttemptRecord]) -> list[str]:
    """Give what of the request was translated or left out on its way to the target that answered."""
    return list(attempts[-1].notes) if attempts else []


def answer_document(answer: Answer) -> dict[str, Any]:
    """Give an answer as scripts see it; what is not in every answer only where there is any."""
    shown: dict[str, Any] = {
        "text": answer.text,
        "strategy": answer.strategy,
        "target": answer.target,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "usage": usage_document(answer.usage),
        "cost_usd": answer.cost_usd,
        "attempts": attempt_documents(answer.attempts),
        "notes": notes_of(answer.attempts),
    }
    if answer.reasoning:
        shown["reasoning"] = answer.reasoning
    if answer.tool_calls:
        shown["tool_calls"] = [
            {"id": t.id, "name": t.name, "arguments": t.arguments, "kind": t.kind} for t in answer.tool_calls
        ]
    if answer.skipped:
        shown["skipped"] = answer.skipped
    if answer.resumed_by:
        shown["resumed_by"] = list(answer.resumed_by)
    return shown


def rate(answer: Answer) -> float | None:
    """Give tokens a second while the model was writing; None where that is not known."""
    if answer.usage is None or not answer.usage.output_tokens:
        return None
    written, ms = answer.usage.output_tokens, answer.ms
    if answer.first_token_ms is not None and written > 1:
        written, ms = written - 1, answer.ms - answer.first_token_ms
    return written / ms * 1e3 if ms > 0 else None


def dollars(cost: float | None) -> str:
    """Write a cost with the digits that matter."""
    if cost is None:
        return "no price"
    return "$" + (f"{cost:.6f}".rstrip("0").rstrip(".") or "0")


def summary(answer: Answer) -> str:
    """Give what --verbose says about an answer: one line, one for each attempt before the last, and their notes."""
    usage, speed = answer.usage, rate(answer)
    parts = [f"strategy {answer.strategy}", f"target {answer.target}", f"model {answer.model}"]
    if answer.resumed_by:
        parts[1] += " (the last of those that wrote it)"
    if usage is not None:
        mark = "~" if usage.estimated else ""
        parts.append(f"{mark}{usage.input_tokens} + {mark}{usage.output_tokens} tokens")
    if speed is not None:
        parts.append(f"{speed:.1f} tokens/s")
    if answer.first_token_ms is not None:
        parts.append(f"first token {answer.first_token_ms:.0f} ms")
    parts += [f"total {answer.ms:.0f} ms", dollars(answer.cost_usd)]
    parts.append(counted(len(answer.attempts), "attempt"))
    lines = [" | ".join(parts)]
    for a in answer.attempts[:-1]:
        lines.append(f"  {a.target} ({a.model}): {a.outcome} after {a.ms:.0f} ms: {' '.join((a.error or '').split())}")
        lines += [f"    {note}" for note in a.notes]
    return "\n".join([*lines, *(f"  {note}" for note in notes_of(answer.attempts))])


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Align columns with spaces; cells may have several lines. The columns `right` are aligned to the right."""
    cells = [[cell.split("\n") for cell in row] for row in (head, *rows)]
    widths = [max(len(line) for row in cells for line in row[column]) for column in range(len(head))]
    to_right = frozenset(right)
    lines = []
    for row in cells:
        for at in range(max(map(len, row))):
            texts = (cell[at] if at < len(cell) else "" for cell in row)
            shown = (
                f"{text:>{width}}" if column in to_right else f"{text:<{width}}"
                for column, (text, width) in enumerate(zip(texts, widths, strict=True))
            )
            lines.append("  ".join(shown).rstrip())
    return "\n".join(lines) + "\n"
