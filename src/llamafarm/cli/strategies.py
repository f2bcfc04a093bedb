"""`list-strategies`, `info` and `init`: which strategies there are, what one does here and now, and a start for one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli import printing
from llamafarm.cli.columns import columns
from llamafarm.cli.settings import common_options, common_options_but, settings_of
from llamafarm.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llamafarm.spec.strategy import Strategy

__all__ = ["info", "init", "list_strategies"]

_SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A strategy and where it is from."""

    source: str
    strategy: Strategy


@click.command("list-strategies")
@common_options_but("--strategy")
@click.pass_context
def list_strategies(context: click.Context) -> None:
    """List the strategies of the file, where there is one, and those that come with llamafarm."""
    settings = settings_of(context)
    listed = list(_every_strategy(settings.strategy_file))
    if settings.json:
        printing.document({"strategies": [_brief(entry) for entry in listed]})
        return
    rows = [
        (entry.strategy.name, entry.source, " > ".join(_order(entry.strategy)), entry.strategy.description)
        for entry in listed
    ]
    printing.write(columns(("name", "from", "order", "description"), rows))


def _every_strategy(given: str | None) -> Iterator[_Listed]:
    from llamafarm import spec, strategies
    from llamafarm.farm import find_file

    file = find_file(given, os.environ)
    if file is not None:
        yield from (_Listed(str(file), strategy) for strategy in spec.load_file(file).file.strategies)
    for name in strategies.names():
        yield _Listed(_SHIPPED, spec.load_text(strategies.text(name), name).file.strategies[0])


def _order(strategy: Strategy) -> list[str]:
    from llamafarm.farm import Farm

    return [target.name for target in Farm(strategy).routing.order]


def _brief(entry: _Listed) -> dict[str, Any]:
    strategy = entry.strategy
    return {
        "name": strategy.name,
        "source": entry.source,
        "description": strategy.description,
        "order": _order(strategy),
    }


@click.command()
@click.argument("name", required=False)
@common_options
@click.pass_context
def info(context: click.Context, /, name: str | None) -> None:
    """Describe a strategy: its parts, its targets and whether each could be asked now, its rules and limits.

    Without NAME: the one the other commands would use. Nothing is connected to.
    """
    from llamafarm.cli.description import describe, render
    from llamafarm.farm import find_file, find_strategy

    settings = settings_of(context)
    document, strategy = find_strategy(find_file(settings.strategy_file, os.environ), settings.named(name), os.environ)
    description = describe(document, strategy)
    if settings.json:
        printing.document(description)
    else:
        printing.write(render(description))


@click.command()
@click.argument("name")
@click.option("--out", metavar="FILE", help="Write to a new file instead of stdout.")
@click.option("--force", is_flag=True, help="With --out: overwrite the file.")
@common_options_but("--strategy")
def init(name: str, out: str | None, *, force: bool) -> None:
    """Print a shipped strategy, comments and all, as a start for your own file.

    llamafarm init local_development > strategies.yaml
    """
    from llamafarm import strategies

    if name not in strategies.names():
        raise ConfigError(f"no shipped strategy is called {name!r}: {_meant(name)}")
    text = strategies.text(name)
    if out is None:
        printing.write(text)
        return
    try:
        with Path(out).open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{out} exists: give --force to overwrite it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{out} cannot be written: {reason}") from None


def _meant(name: str) -> str:
    from llamafarm import strategies
    from llamafarm.spec.suggest import Suggestions

    names = strategies.names()
    near = Suggestions().nearest(name, names)
    return f"did you mean {near}?" if near else f"there are {', '.join(names)}"
