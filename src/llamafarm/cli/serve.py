"""``serve``: puts a strategy file behind HTTP, for every client that speaks OpenAI's or Anthropic's API."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, cast

import click

from llamafarm.cli.printing import LineByLine, say
from llamafarm.cli.settings import common_options, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from llamafarm.cli.settings import Settings

__all__ = ["serve"]


@click.command
@click.option("--host", metavar="ADDRESS", help="Where to listen; else server.host of the file, else 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", help="Else server.port, else 8000; 0: any free one."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    metavar="N",
    help="Serve with N processes, which are started anew where one dies; else 1.",
)
@common_options
@click.pass_context
def serve(context: click.Context, /, host: str | None, port: int | None, workers: int) -> int:
    """Serve the file's strategies to OpenAI's and Anthropic's clients; without a file the shipped ones that can run.

    A request's `model` picks the strategy, or a target or model in one; with --strategy only that one is served.
    """
    settings = settings_of(context)

    from llamafarm.cli.progress import Downloads
    from llamafarm.server.http.sockets import handed_down
    from llamafarm.server.run import Order, run
    from llamafarm.telemetry import logging_to

    order = Order(settings.strategy_file, settings.strategy, host, port)
    served = order.load(os.environ)
    log_format = served.log_format or ("text" if sys.stderr.isatty() else "json")
    level = "DEBUG" if settings.verbose else "WARNING" if settings.quiet else "INFO"
    with logging_to(cast("TextIO", LineByLine()), level=level, log_format=log_format), Downloads(settings) as downloads:
        sockets = handed_down(os.environ)
        if workers > 1:
            from llamafarm.server.workers import supervise

            return supervise(
                order,
                served,
                workers,
                told=lambda parent: _tell(settings, parent.names, parent.urls, open_to_all=parent.is_open),
                sockets=sockets,
                level=level,
                log_format=log_format,
            )
        return run(
            order,
            served,
            told=lambda process: _tell(settings, process.names, process.urls, open_to_all=process.is_open),
            sockets=sockets,
            progress=downloads,
        )


def _tell(settings: Settings, strategies: Iterable[str], urls: Iterable[str], *, open_to_all: bool) -> None:
    """Say where it listens, what can be asked there, and by whom."""
    if settings.quiet:
        return
    names = ", ".join(strategies)
    for url in urls:
        say(f"llamafarm serves {names} at {url}/v1 (Anthropic's clients: {url}); press Ctrl-C to stop")
    if open_to_all:
        say("there are no gateway keys: whoever uses this machine may ask, nobody else (`llamafarm keys create NAME`)")
