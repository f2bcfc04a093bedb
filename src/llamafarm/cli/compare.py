"""``compare``: several targets asked the same at once, and their answers side by side."""

from __future__ import annotations

import asyncio
import shutil
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli.caveats import note_left_out, note_skipped, writers
from llamafarm.cli.parameters import parameter_options, request_options
from llamafarm.cli.printing import answer_document, document, dollars, printable, rate, say, summary, table, write
from llamafarm.cli.prompts import read_prompt, valid
from llamafarm.cli.settings import asking_options, settings_of
from llamafarm.errors import LlamaFarmError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.cli.settings import Settings
    from llamafarm.farm import Farm
    from llamafarm.planning import Explanation, RuleVerdict
    from llamafarm.types import Answer, Target

__all__ = ["compare"]

_HEAD = ("target", "model", "first token", "total", "tokens/s", "in", "out", "cost", "answer")
_FIGURES = (2, 3, 4, 5, 6, 7)
_NARROWEST = 24
"""Characters the answer's column has at least."""
_PLAIN_WIDTH = 160
"""Characters of a line where there is no terminal to ask."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What one target made of the prompt."""

    target: Target
    ms: float
    answer: Answer | None = None
    error: LlamaFarmError | None = None


@click.command
@click.argument("prompt", nargs=-1, metavar="[PROMPT] [-]")
@click.option("--target", "targets", multiple=True, metavar="NAME", help="A target to ask; may be repeated.")
@click.option("--image", multiple=True, metavar="PATH|URL", help="A picture for the prompt; may be repeated.")
@click.option("--system", metavar="TEXT", help="What the models are told before the prompt.")
@parameter_options
@asking_options
@click.pass_context
def compare(
    context: click.Context,
    /,
    prompt: tuple[str, ...],
    targets: tuple[str, ...],
    image: tuple[str, ...],
    system: str | None,
    **parameters: Any,
) -> int:
    """Ask several targets PROMPT at the same time and show answer, times, tokens and cost of each.

    Without --target: every target of the strategy that is eligible. Exits with 0 where at least one answered.
    """
    settings = settings_of(context)
    if settings.model is not None:
        targets = (*targets, settings.model)
        settings.model = None
    options = request_options(context, **parameters)
    text = read_prompt(prompt, settings)

    from llamafarm.farm.messages import messages_of

    system = None if system is None else valid(system, "--system")
    content = {"messages": messages_of(text, system=system, images=image)}
    return asyncio.run(_compare(settings, targets, content, options))


async def _compare(
    settings: Settings, names: Sequence[str], content: Mapping[str, Any], options: Mapping[str, Any]
) -> int:
    from llamafarm.cli.opening import opened

    async with opened(settings) as farm:
        targets = _targets(farm, names, content, options)
        rows = await asyncio.gather(*(_ask(farm, target, content, options) for target in targets))
    if settings.json:
        document([_document(row) for row in rows])
    elif sys.stdout.isatty():
        _draw(rows)
    else:
        write(table(_HEAD, [_cells(row, _answer_width(rows)) for row in rows], right=_FIGURES))
    _note(settings, [row.answer for row in rows if row.answer is not None], content, options)
    return 0 if any(row.answer for row in rows) else 1


def _note(
    settings: Settings, answers: Sequence[Answer], content: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    from llamafarm.farm import make_call

    given = make_call(content, options).body
    for answer in answers:
        note_skipped(settings, answer)
        note_left_out(settings, writers(answer), given)
        if settings.tells_more:
            say(summary(answer))


def _named(farm: Farm, names: Sequence[str]) -> list[Target]:
    from llamafarm.errors import UnknownModelError

    for name in names:
        if name not in farm.routing.named:
            known = ", ".join(sorted(farm.routing.named))
            raise UnknownModelError(f"strategy {farm.strategy.name!r} has no target {name!r}; it has: {known}")
    return [farm.routing.named[name] for name in dict.fromkeys(names)]


def _targets(farm: Farm, names: Sequence[str], content: Mapping[str, Any], options: Mapping[str, Any]) -> list[Target]:
    """Give the targets named, else the eligible ones; of both only those that a rule to a local target leaves.

    Raises NoTargetError where one that is named is not among them.
    """
    from llamafarm.errors import NoTargetError
    from llamafarm.farm import make_call

    named = _named(farm, names)
    explanation = farm.explain(make_call(content, options))
    rule = _local_rule(farm, explanation)
    if explanation.refusal is not None and (rule is not None or not named):
        raise explanation.refusal
    if rule is None:
        return named or [verdict.target for verdict in explanation.verdicts if verdict.eligible]
    left = {target.identity for target in explanation.order}
    for target in named:
        if target.identity not in left:
            order = ", ".join(target.name for target in explanation.order)
            raise NoTargetError(
                f"the rule {rule.condition!r} sends this prompt to {rule.target}: it can be asked of {order},"
                f" not of {target.name}"
            )
    return named or list(explanation.order)


def _local_rule(farm: Farm, explanation: Explanation) -> RuleVerdict | None:
    """Give the rule that decides, where it sends the prompt to a local target; None where no such rule does."""
    for rule in explanation.rules:
        local = farm.routing.named[rule.target].local
        if rule.matched and (local or not rule.note):
            return rule if local else None
    return None


async def _ask(farm: Farm, target: Target, content: Mapping[str, Any], options: Mapping[str, Any]) -> _Row:
    from llamafarm.farm import AnswerStream, make_call

    call = make_call(content, {**options, "model": f"{farm.strategy.name}/{target.name}"}, stream=True)
    started = time.monotonic()
    try:
        async with AnswerStream(call, farm.send) as stream:
            async for _ in stream:
                pass
            return _Row(target, (time.monotonic() - started) * 1e3, stream.answer)
    except LlamaFarmError as error:
        return _Row(target, (time.monotonic() - started) * 1e3, error=error)


def _document(row: _Row) -> dict[str, Any]:
    if row.answer is None:
        error = None if row.error is None else {"kind": row.error.kind, "message": str(row.error)}
        return {"target": row.target.name, "model": row.target.model, "error": error, "ms": round(row.ms, 1)}
    first, speed = row.answer.first_token_ms, rate(row.answer)
    return {
        **answer_document(row.answer),
        "first_token_ms": None if first is None else round(first, 1),
        "ms": round(row.ms, 1),
        "tokens_per_second": None if speed is None else round(speed, 1),
    }


def _cells(row: _Row, width: int) -> list[str]:
    """Lay out one row, without what a terminal would obey; figures that are not known are a dash."""
    if row.answer is None:
        text = f"failed: {row.error}"
        figures = ["-", f"{row.ms:.0f} ms", "-", "-", "-", "-"]
    else:
        usage, speed, first = row.answer.usage, rate(row.answer), row.answer.first_token_ms
        text = row.answer.text.strip()
        figures = [
            "-" if first is None else f"{first:.0f} ms",
            f"{row.ms:.0f} ms",
            "-" if speed is None else f"{speed:.1f}",
            str(usage.input_tokens) if usage else "-",
            str(usage.output_tokens) if usage else "-",
            dollars(row.answer.cost_usd),
        ]
    text = printable(text)
    lines = [part for line in text.splitlines() for part in (textwrap.wrap(line, width) or [""])] if width else [text]
    return [printable(row.target.name), printable(row.target.model), *figures, "\n".join(lines)]


def _answer_width(rows: Sequence[_Row]) -> int:
    """Give the characters that are left for the answers."""
    total = shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns
    heads = table(_HEAD[:-1], [_cells(row, 0)[:-1] for row in rows])
    return max(_NARROWEST, total - max(map(len, heads.splitlines())) - 2)


def _draw(rows: Sequence[_Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*_HEAD[:2], show_lines=True)
    for name in _HEAD[2:-1]:
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column(_HEAD[-1], ratio=1, min_width=_NARROWEST)
    for row in rows:
        drawn.add_row(*(Text(cell, style="red" if row.answer is None else "") for cell in _cells(row, 0)))
    Console().print(drawn)
