"""``embed``: a vector for each text."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli.ask import note_detours
from llamafarm.cli.numbers import WholeNumber
from llamafarm.cli.parameters import request_options
from llamafarm.cli.printing import attempt_documents, counted, document, say, write
from llamafarm.cli.prompts import read_stdin, valid
from llamafarm.cli.settings import asking_options, settings_of
from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llamafarm.cli.settings import Settings
    from llamafarm.farm import Embeddings, Farm

__all__ = ["embed"]

_AT_ONCE = 96
"""Texts in one request: the fewest that a well-known vendor takes (Cohere's embed endpoint)."""


@click.command
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--file", metavar="FILE", help="Take the lines of FILE, instead of TEXTs.")
@click.option("--dimensions", type=WholeNumber(min=1), help="Length of the vectors, where the model can choose.")
@click.option("--at-once", type=WholeNumber(min=1), default=_AT_ONCE, show_default=True, help="Texts in a request.")
@asking_options
@click.pass_context
def embed(
    context: click.Context, /, texts: tuple[str, ...], file: str | None, dimensions: int | None, at_once: int
) -> None:
    """Turn each TEXT into a vector; without TEXT the lines of --file or of standard input.

    Prints a JSON array a line, in the order of the texts.
    """
    settings = settings_of(context)
    options = request_options(context)
    if dimensions is not None:
        options["dimensions"] = dimensions
    asyncio.run(_embed(settings, _texts(texts, file), options, at_once))


def _texts(given: tuple[str, ...], file: str | None) -> list[str]:
    if given and file is not None:
        raise click.UsageError("there are TEXTs and a --file: give one of the two")
    if given and given != ("-",):
        for number, text in enumerate(given, 1):
            if not valid(text, f"text {number}").strip():
                raise BadCallError(f"text {number} is empty")
        return list(given)
    if not given and file is None and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("there is no TEXT: give one in quotes, pipe lines in, or name a --file")
    where = file if file is not None and file != "-" else "standard input"
    lines = (_read(file) if file is not None and file != "-" else read_stdin()).splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise BadCallError(f"{where}:{number}: the line is empty: there is nothing to embed")
    if not lines:
        raise BadCallError(f"{where} is empty: there is nothing to embed")
    return lines


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not UTF-8 text (byte {error.start})") from error


async def _embed(settings: Settings, texts: list[str], options: Mapping[str, Any], at_once: int) -> None:
    from llamafarm.cli.opening import opened

    done: list[Embeddings] = []
    async with opened(settings) as farm:
        async for part in _parts(settings, farm, texts, options, at_once):
            done.append(part)
            if not settings.json:
                import msgspec

                write("".join(msgspec.json.encode(vector).decode() + "\n" for vector in part.vectors))
    if settings.json:
        document(_document(done))
    if settings.tells_more:
        last = done[-1]
        said = f"strategy {last.strategy} | target {last.target} | model {last.model} | {counted(len(texts), 'text')}"
        say(f"{said} | {len(last.vectors[0])} dimensions")


async def _parts(
    settings: Settings, farm: Farm, texts: list[str], options: Mapping[str, Any], at_once: int
) -> AsyncIterator[Embeddings]:
    """Embed some texts at a time, all at the target that took the first: vectors of two models don't compare."""
    asked = dict(options)
    for start in range(0, len(texts), at_once):
        part = await farm.embed(texts[start : start + at_once], **asked)
        if start == 0:
            note_detours(settings, farm, part)
            asked["model"] = f"{part.strategy}/{part.target}"
        yield part


def _document(parts: list[Embeddings]) -> dict[str, Any]:
    costs = [part.cost_usd for part in parts]
    usages = [part.usage for part in parts]
    last = parts[-1]
    return {
        "vectors": [vector for part in parts for vector in part.vectors],
        "strategy": last.strategy,
        "target": last.target,
        "model": last.model,
        "usage": {"input_tokens": None if None in usages else sum(u.input_tokens for u in usages if u is not None)},
        "cost_usd": None if None in costs else sum(cost for cost in costs if cost is not None),
        "attempts": [shown for part in parts for shown in attempt_documents(part.attempts)],
    }
