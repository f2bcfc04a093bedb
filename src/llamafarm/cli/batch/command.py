"""The command: which lines are to be asked, how many at a time, and what is said at the end."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli.numbers import WholeNumber
from llamafarm.cli.parameters import parameter_options, request_options
from llamafarm.cli.printing import counted, document, note
from llamafarm.cli.prompts import valid
from llamafarm.cli.settings import asking_options, settings_of

if TYPE_CHECKING:
    from llamafarm.cli.batch.answers import AnswerFile
    from llamafarm.cli.batch.items import Items
    from llamafarm.cli.batch.lines import Form, Input
    from llamafarm.cli.batch.meter import Meter
    from llamafarm.cli.batch.run import Run
    from llamafarm.cli.settings import Settings
    from llamafarm.farm import Farm
    from llamafarm.spec import Document
    from llamafarm.spec.strategy import Strategy

__all__ = ["batch"]

_INTERRUPTED = 130
_MOST_AT_ONCE = 256
"""Lines in flight: each is a connection, and many systems give a process 1024 open files."""


@click.command
@click.argument("given", metavar="INPUT")
@click.option("--out", metavar="FILE", help="Write answers to FILE, and go on where an earlier run stopped.")
@click.option("--parallel", type=WholeNumber(1, _MOST_AT_ONCE), help="Lines asked at a time; else batch_size.")
@click.option("--format", "form", type=click.Choice(["txt", "jsonl"]), help="What INPUT holds; else seen by itself.")
@click.option("--system", metavar="TEXT", help="What the model is told before each prompt.")
@click.option("--retry-failed", is_flag=True, help="Ask again the lines that failed in an earlier run.")
@click.option("--redo-changed", is_flag=True, help="Ask again the lines that have changed since they were answered.")
@parameter_options
@asking_options
@click.pass_context
def batch(context: click.Context, /, given: str, **options: Any) -> int:
    """Answer every line of INPUT: prompts (.txt), or objects (.jsonl); ``-`` reads standard input.

    Prints one line of JSON for each, as it is answered. Exits with 0 where all are answered, 1 where some failed,
    130 where it was stopped.
    """
    from llamafarm.cli.batch.items import Items
    from llamafarm.cli.batch.lines import Input
    from llamafarm.cli.opening import load

    settings = settings_of(context)
    request = request_options(context, **options)
    system = None if options["system"] is None else valid(options["system"], "--system")
    with ExitStack() as stack:
        source = stack.enter_context(Input(given))
        form: Form = options["form"] or _form(given, source)
        strategy = load(settings)
        items = Items(source.name, form, request, system, asked=[part.name for part in strategy])
        file = _answer_file(options["out"], source, stack)
        return asyncio.run(_batch(settings, strategy, source, items, file=file, options=options))


def _form(given: str, source: Input) -> Form:
    """See what an input holds: by its name, else by how its first line begins."""
    suffix = Path(given).suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix == ".txt":
        return "txt"
    if not source.is_file:
        raise click.UsageError(f"{source.name}: say what it holds: --format txt or --format jsonl")
    first = next(source.read(), None)
    return "jsonl" if first is not None and first.content.startswith(b"{") else "txt"


def _answer_file(out: str | None, source: Input, stack: ExitStack) -> AnswerFile | None:
    if out is None:
        return None
    from llamafarm.cli.batch.answers import AnswerFile

    if source.is_same(Path(out)):
        raise click.UsageError(f"{out} is the INPUT: give --out a file of its own")
    return stack.enter_context(AnswerFile(out))


async def _batch(
    settings: Settings,
    strategy: tuple[Document, Strategy],
    source: Input,
    items: Items,
    *,
    file: AnswerFile | None,
    options: dict[str, Any],
) -> int:
    from llamafarm.cli.batch.answers import Printed
    from llamafarm.cli.batch.meter import Meter
    from llamafarm.cli.batch.run import Run
    from llamafarm.cli.opening import opened

    if file is not None and file.repaired:
        note(settings, f"{file.name}: its last line was half-written: that line is asked again")
    if file is not None and options["retry_failed"]:
        file.drop(file.is_failed)
    total = _go_through(source, items, file, redo_changed=options["redo_changed"]) if source.is_file else None
    earlier = file.counts if file is not None else (0, 0)
    async with opened(settings, strategy) as farm:
        parallel = _parallel(settings, farm, options["parallel"])
        draws = file is not None or not sys.stdout.isatty()
        with Meter(settings, total=total, earlier=earlier, draws=draws) as meter:
            run = Run(settings, farm, items, lines=aiter(source), name=source.name, file=file)
            await run.carry_out(file or Printed(), meter, parallel)
    if file is not None and settings.json:
        document(meter.document())
    meter.summarise()
    return _code(settings, run, meter, file)


def _go_through(source: Input, items: Items, file: AnswerFile | None, *, redo_changed: bool) -> int:
    """Count the lines; see to it that those answered earlier are still the same, before anything is sent."""
    from llamafarm.cli.batch.run import changed
    from llamafarm.errors import ConfigError

    total, stale = 0, set()
    for line in source.read():
        total += 1
        there = file.fingerprint(line.index) if file is not None else 0
        if file is None or not there or there == items.fingerprint(line):
            continue
        if not redo_changed:
            raise changed(file, source.name, line)
        stale.add(line.index)
    if file is not None and file.last >= total and not redo_changed:
        raise ConfigError(
            f"{file.name} has answers for more lines than the {total} of {source.name}: the input has changed;"
            " give another --out, or --redo-changed to drop those answers"
        )
    if file is not None and (stale or file.last >= total):
        file.drop(lambda index: index in stale or index >= total)
    return total


def _parallel(settings: Settings, farm: Farm, given: int | None) -> int:
    optimization = farm.strategy.optimization
    if given is not None and given > optimization.parallel_requests:
        note(
            settings,
            f"--parallel {given} is more than the strategy's parallel_requests: {optimization.parallel_requests}",
        )
    return min(given or optimization.batch_size, optimization.parallel_requests, _MOST_AT_ONCE)


def _code(settings: Settings, run: Run, meter: Meter, file: AnswerFile | None) -> int:
    if run.stopped and meter.left != 0:
        left = "the rest" if meter.left is None else counted(meter.left, "line")
        how = "run the same command again to go on" if file is not None else "with --out it could be gone on with"
        note(settings, f"stopped before {left} could be asked: {how}")
        return _INTERRUPTED
    if meter.failed or meter.earlier[1]:
        if file is not None:
            note(settings, "the same command with --retry-failed asks the failed lines again")
        return 1
    return 0
