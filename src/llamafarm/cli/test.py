"""``test``: whether every target answers, somebody takes over when one fails, and each rule sends where it should."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from click.core import ParameterSource

from llamafarm.cli.drilled import show
from llamafarm.cli.numbers import Number
from llamafarm.cli.printing import LineByLine, counted, dollars, note
from llamafarm.cli.prompts import valid
from llamafarm.cli.settings import asking_options_but, settings_of
from llamafarm.errors import CostLimitError, LlamaFarmError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from llamafarm.cli.settings import Settings
    from llamafarm.testing.drill import Drill, Report

__all__ = ["test"]

_NOT_OK = 1
_COST = 0.5
"""Dollars that a test may cost where nothing is said."""
_CENT = 10_000_000
"""Nanodollars."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the options of the command say."""

    dry_run: bool
    prompts: Sequence[str]
    allow_missing_keys: bool
    max_cost: float
    is_limited: bool
    """Whether the user gave `max_cost`, so that it has to hold."""


@click.command
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Put a fake in the place of every target: no key, network or model.")
@click.option("--junit", metavar="FILE", help="Write the result as JUnit XML, too.")
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="A prompt to show rules; may be repeated.")
@click.option("--allow-missing-keys", is_flag=True, help="Do not count a target whose key is not set as failed.")
@click.option(
    "--max-cost",
    type=Number(min=0),
    default=_COST,
    metavar="DOLLARS",
    help="Refuse to start where it could cost more; 0.50 by default.",
)
@asking_options_but("--tag")
@click.pass_context
def test(
    context: click.Context,
    /,
    *,
    name: str | None,
    dry_run: bool,
    junit: str | None,
    prompts: tuple[str, ...],
    allow_missing_keys: bool,
    max_cost: float,
) -> int:
    """Call every target, play every fault on each, and show every rule a prompt that it holds for.

    NAME is the strategy; else the one the other commands would use. Exit code 0 where it holds, 1 where it does not or
    no target could be called, 3 where the test does not begin: a budget, or it could cost too much.
    """
    settings = settings_of(context)
    settings.strategy = settings.named(name)
    given = [valid(prompt, "--prompt") for prompt in prompts]
    is_limited = context.get_parameter_source("max_cost") is not ParameterSource.DEFAULT
    wanted = _Wanted(dry_run, given, allow_missing_keys, max_cost, is_limited)
    if junit is not None:
        _clear(junit)
    try:
        report = _drill(settings, wanted)
    except LlamaFarmError as error:
        if junit is not None:
            _write_junit(_not_begun(settings, error, dry_run=dry_run), junit)
        raise
    show(report, as_json=settings.json)
    if junit is not None:
        _write_junit(report, junit)
    return 0 if report.ok else _NOT_OK


def _drill(settings: Settings, wanted: _Wanted) -> Report:
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
            dry_run=wanted.dry_run,
            promises=Promises(wanted.allow_missing_keys, continues),
            prompts=wanted.prompts,
            model=None if settings.model is None else valid(settings.model, "--model"),
            progress=downloads,
        )
        if not wanted.dry_run:
            _agree(drill, strategy.name, settings, wanted)
        return asyncio.run(drill.run(lambda what: note(settings, what) if settings.tells_more else None))


def _agree(drill: Drill, strategy: str, settings: Settings, wanted: _Wanted) -> None:
    """Say what will be sent, and what it can cost; raises CostLimitError where that is more than was agreed to."""
    extent = drill.extent()
    cost, unpriced = extent.worst / 1e9, ", ".join(extent.unpriced)
    requests = counted(extent.requests, "request")
    if cost > wanted.max_cost:
        enough = -(-extent.worst // _CENT) / 100
        raise CostLimitError(
            f"testing {strategy} sends {requests} that could cost {dollars(cost)} together,"
            f" and --max-cost is {dollars(wanted.max_cost)}: allow more with --max-cost {enough:.2f},"
            " or test with --dry-run"
        )
    if unpriced and wanted.is_limited:
        raise CostLimitError(
            f"testing {strategy} sends {requests}, and nothing is known of what {unpriced} may cost, so that --max-cost"
            " cannot hold: give price, leave --max-cost out, or test with --dry-run"
        )
    most = f"at most {dollars(cost)}"
    if unpriced:
        known = f"{most} but for" if cost else "nothing is known of"
        most = f"{known} what {unpriced} may cost: give price"
    note(settings, f"testing {strategy}: {requests}, {most}")


# JUnit


def _clear(file: str) -> None:
    """Empty the file before anything is sent: it can be written to, and no earlier result is taken for this one."""
    try:
        Path(file).write_bytes(b"")
    except OSError as error:
        raise click.UsageError(f"--junit {file}: {error.strerror or error}") from error


def _not_begun(settings: Settings, error: LlamaFarmError, *, dry_run: bool) -> Report:
    from llamafarm.testing.drill import Report

    return Report(settings.strategy or "strategies", dry_run, refused=str(error))


def _write_junit(report: Report, file: str) -> None:
    from llamafarm.testing.drill.junit import junit_xml

    try:
        Path(file).write_bytes(junit_xml(report))
    except OSError as error:
        raise ResourceError(f"--junit {file}: {error.strerror or error}") from error
