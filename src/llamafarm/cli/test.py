"""``test``: whether every target answers, somebody takes over when one fails, and each rule sends where it should."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from llamafarm.cli.printing import LineByLine, counted, document, dollars, note, printable, table, usage_document, write
from llamafarm.cli.prompts import valid
from llamafarm.cli.settings import common_options, settings_of
from llamafarm.errors import CostLimitError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from llamafarm.cli.settings import Settings
    from llamafarm.testing.drill import Drill, FaultRow, Report, RuleRow, TargetRow

__all__ = ["test"]

_NOT_OK = 1
_COST = 0.5
"""Dollars that a test may cost where nothing is said."""
_SHOWN = 3
"""Targets that a row names of those that could take over."""
_WORDS = {True: "ok", False: "FAILED", None: "-"}
_Section = tuple[tuple[str, ...], list[list[str]], tuple[int, ...]]
"""The heading, the rows, and which columns hold figures; the first column of all of them is the verdict."""


@click.command
@click.option("--dry-run", is_flag=True, help="Put a fake in the place of every target: no key, network or model.")
@click.option("--junit", metavar="FILE", help="Write the result as JUnit XML, too.")
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="A prompt to show rules; may be repeated.")
@click.option("--allow-missing-keys", is_flag=True, help="Do not count a target whose key is not set as failed.")
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    default=_COST,
    metavar="DOLLARS",
    help="Refuse to start where it could cost more; 0.50 by default.",
)
@common_options
@click.pass_context
def test(
    context: click.Context,
    /,
    *,
    dry_run: bool,
    junit: str | None,
    prompts: tuple[str, ...],
    allow_missing_keys: bool,
    max_cost: float,
) -> int:
    """Call every target, play every fault on each, and show every rule a prompt that it holds for.

    Exit code 0 where the strategy holds, 1 where it does not, 3 where it would send nothing or could cost too much.
    """
    settings = settings_of(context)
    given = [valid(prompt, "--prompt") for prompt in prompts]
    if junit is not None and not Path(junit).absolute().parent.is_dir():
        raise click.UsageError(f"--junit {junit}: its folder does not exist")
    report = _drill(settings, given, dry_run=dry_run, allow_missing_keys=allow_missing_keys, max_cost=max_cost)
    if junit is not None:
        _write_junit(report, junit)
    if settings.json:
        document(_document(report))
    else:
        _show(report)
    return 0 if report.ok else _NOT_OK


def _drill(
    settings: Settings, prompts: Sequence[str], *, dry_run: bool, allow_missing_keys: bool, max_cost: float
) -> Report:
    from llamafarm.cli.opening import load
    from llamafarm.cli.progress import Downloads
    from llamafarm.telemetry import logging_to
    from llamafarm.testing.drill import Drill, Promises

    read, strategy = load(settings)
    place = read.file.strategies.index(strategy)
    continues = strategy.optimization.stream_recovery == "continue" and bool(
        read.places.key("strategies", place, "optimization", "stream_recovery")
    )
    with (
        logging_to(cast("TextIO", LineByLine()), level="DEBUG" if settings.tells_more else "CRITICAL"),
        Downloads(settings) as downloads,
    ):
        drill = Drill(
            strategy,
            dry_run=dry_run,
            promises=Promises(allow_missing_keys, continues),
            prompts=prompts,
            progress=downloads,
        )
        if not dry_run:
            _agree(drill, strategy.name, settings, max_cost)
        return asyncio.run(drill.run(lambda what: note(settings, what) if settings.tells_more else None))


def _agree(drill: Drill, strategy: str, settings: Settings, max_cost: float) -> None:
    """Say what will be sent, and what it can cost; raises CostLimitError where that is more than was agreed to."""
    extent = drill.extent()
    cost = extent.worst / 1e9
    if cost > max_cost:
        raise CostLimitError(
            f"testing {strategy} sends {counted(extent.requests, 'request')} that could cost {dollars(cost)} together,"
            f" and --max-cost is {dollars(max_cost)}: allow more with --max-cost {cost:.2f}, or test with --dry-run"
        )
    unknown = f"; nothing is known of what {', '.join(extent.unpriced)} may cost: give price" if extent.unpriced else ""
    note(settings, f"testing {strategy}: {counted(extent.requests, 'request')}, at most {dollars(cost)}{unknown}")


def _write_junit(report: Report, file: str) -> None:
    from llamafarm.testing.drill.junit import junit_xml

    try:
        Path(file).write_bytes(junit_xml(report))
    except OSError as error:
        raise ResourceError(f"--junit {file}: {error.strerror or error}") from error


# JSON


def _document(report: Report) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "strategy": report.strategy,
        "dry_run": report.dry_run,
        "targets": [_target_document(row) for row in report.targets],
        "faults": [_fault_document(row) for row in report.faults],
        "rules": [_rule_document(row) for row in report.rules],
        "notes": list(report.notes),
        "ok": report.ok,
    }
    if report.refused is not None:
        shown["refused"] = report.refused
    return shown


def _target_document(row: TargetRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "provider": row.provider,
        "model": row.model,
        "ok": row.ok,
        "outcome": row.outcome,
        "detail": row.detail,
        "ms": _rounded(row.ms),
        "first_token_ms": _rounded(row.first_token_ms),
        "usage": usage_document(row.usage),
        "cost_usd": row.cost_usd,
    }


def _fault_document(row: FaultRow) -> dict[str, Any]:
    return {
        "target": row.target,
        "fault": str(row.fault),
        "answered_by": row.answered_by,
        "ms": _rounded(row.ms),
        "streamed": row.streamed,
        "order": list(row.order),
        "cost_usd": row.cost_usd,
        "ok": row.ok,
        "note": row.note,
    }


def _rule_document(row: RuleRow) -> dict[str, Any]:
    return {
        "condition": row.condition,
        "target": row.target,
        "prompt": row.prompt,
        "answered_by": row.answered_by,
        "ms": _rounded(row.ms),
        "cost_usd": row.cost_usd,
        "ok": row.ok,
        "note": row.note,
    }


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)


# Text


def _show(report: Report) -> None:
    sections = {"targets": _targets(report), "faults": _faults(report), "rules": _rules(report)}
    filled = {title: section for title, section in sections.items() if section[1]}
    if sys.stdout.isatty():
        _draw(filled)
    else:
        write("\n".join(f"{title}\n{table(head, rows, right=right)}" for title, (head, rows, right) in filled.items()))
    notes = [f"note: {text}" for text in report.notes]
    what = f"{report.strategy} {'holds' if report.ok else 'does not hold'}"
    why = f": {report.refused}" if report.refused else ""
    dry = " (dry run: a fake answered)" if report.dry_run else ""
    write("\n".join(["", *notes, f"{what}{why}{dry}"]) + "\n")


def _targets(report: Report) -> _Section:
    head = ("", "target", "model", "first token", "total", "in", "out", "cost", "")
    return head, [_target_cells(row) for row in report.targets], (3, 4, 5, 6, 7)


def _target_cells(row: TargetRow) -> list[str]:
    usage = row.usage
    figures = [str(usage.input_tokens), str(usage.output_tokens)] if usage else ["-", "-"]
    cost = dollars(row.cost_usd) if row.outcome == "answered" else "-"
    said = row.detail if row.outcome in ("answered", "failed") else f"{row.outcome}: {row.detail}"
    return _line(_WORDS[row.ok], row.name, row.model, _ms(row.first_token_ms), _ms(row.ms), *figures, cost, said)


def _faults(report: Report) -> _Section:
    head = ("", "target", "fault", "behind it", "answered by", "after", "cost", "")
    rows: list[list[str]] = []
    shown: set[tuple[object, ...]] = set()
    for row in report.faults:
        if row.ms is None:  # nobody is left: one line says so for all faults
            key = (row.target, row.order, row.note)
            if key not in shown:
                shown.add(key)
                rows.append(_line(_WORDS[row.ok], row.target, "any", "-", "-", "-", "-", row.note))
            continue
        fault = f"{row.fault}, streamed" if row.streamed else str(row.fault)
        rows.append(
            _line(
                _WORDS[row.ok],
                row.target,
                fault,
                _behind(row),
                row.answered_by or "-",
                _ms(row.ms),
                dollars(row.cost_usd),
                row.note,
            )
        )
    return head, rows, (5, 6)


def _behind(row: FaultRow) -> str:
    behind = row.order[row.order.index(row.target) + 1 :]
    return " > ".join(behind if len(behind) <= _SHOWN else (*behind[:_SHOWN], "…"))


def _rules(report: Report) -> _Section:
    head = ("", "rule", "target", "prompt", "answered by", "")
    rows = [
        _line(_WORDS[row.ok], row.condition, row.target, row.prompt or "-", row.answered_by or "-", row.note)
        for row in report.rules
    ]
    return head, rows, ()


def _line(*cells: str) -> list[str]:
    return [printable(" ".join(cell.split())) for cell in cells]


def _ms(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.0f} ms"


def _draw(sections: dict[str, _Section]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles = {_WORDS[True]: "green", _WORDS[False]: "red"}
    console = Console()
    for title, (head, rows, right) in sections.items():
        drawn = Table(title=title, title_justify="left")
        for place, name in enumerate(head):
            drawn.add_column(name, justify="right" if place in right else "left", no_wrap=place in right)
        for row in rows:
            drawn.add_row(Text(row[0], style=styles.get(row[0], "")), *map(Text, row[1:]))
        console.print(drawn)
