"""How results look: the answer on stdout, everything about it on stderr."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

from llamafarm.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llamafarm.cli.settings import Settings
    from llamafarm.types import Answer, AttemptRecord, Usage

__all__ = [
    "answer_document",
    "attempt_documents",
    "discard",
    "document",
    "dollars",
    "encoded",
    "note",
    "rate",
    "say",
    "summary",
    "table",
    "usage_document",
    "write",
]


def write(text: str) -> None:
    """Write to stdout at once; where its reader has left, the program ends. Raises ResourceError for a full disk."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        discard(sys.stdout)
        raise ResourceError(f"standard output: {error.strerror or error}") from error


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
        click.echo(text, err=True)
    except OSError:
        discard(sys.stderr)


def note(settings: Settings, text: str) -> None:
    """Say something on stderr, on one line, unless the user wants quiet."""
    if not settings.quiet:
        say(f"llamafarm: {' '.join(text.split())}")


def usage_document(usage: Usage | None) -> dict[str, int | None]:
    """Give the tokens of an answer as scripts see them; null where the target did not say."""
    return {
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
    }


def attempt_documents(attempts: Iterable[AttemptRecord]) -> list[dict[str, Any]]:
    """Give attempts as scripts see them, in order."""
    return [
        {"target": a.target, "model": a.model, "outcome": a.outcome, "error": a.error, "ms": round(a.ms, 1)}
        for a in attempts
    ]


def answer_document(answer: Answer) -> dict[str, Any]:
    """Give an answer as scripts see it; `reasoning` and `tool_calls` only where there are any."""
    shown: dict[str, Any] = {
        "text": answer.text,
        "strategy": answer.strategy,
        "target": answer.target,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "usage": usage_document(answer.usage),
        "cost_usd": answer.cost_usd,
        "attempts": attempt_documents(answer.attempts),
    }
    if answer.reasoning:
        shown["reasoning"] = answer.reasoning
    if answer.tool_calls:
        shown["tool_calls"] = [{"id": t.id, "name": t.name, "arguments": t.arguments} for t in answer.tool_calls]
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
    """Give what --verbose says about an answer: one line, and one for each attempt before the last."""
    usage, speed = answer.usage, rate(answer)
    parts = [f"strategy {answer.strategy}", f"target {answer.target}", f"model {answer.model}"]
    if usage is not None:
        mark = "~" if usage.estimated else ""
        parts.append(f"{mark}{usage.input_tokens} + {mark}{usage.output_tokens} tokens")
    if speed is not None:
        parts.append(f"{speed:.1f} tokens/s")
    if answer.first_token_ms is not None:
        parts.append(f"first token {answer.first_token_ms:.0f} ms")
    parts += [f"total {answer.ms:.0f} ms", dollars(answer.cost_usd)]
    parts.append(f"{len(answer.attempts)} attempt{'s' if len(answer.attempts) != 1 else ''}")
    failed = [
        f"  {a.target} ({a.model}): {a.outcome} after {a.ms:.0f} ms: {' '.join((a.error or '').split())}"
        for a in answer.attempts[:-1]
    ]
    return "\n".join([" | ".join(parts), *failed])


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
