"""One worker: a process that serves beside others, for as long as its parent lives and wants it to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from llamafarm.errors import LlamaFarmError
from llamafarm.server.run import Order, loop_factory, opened
from llamafarm.server.workers.board import Board
from llamafarm.server.workers.crew import Crew, served_of
from llamafarm.server.workers.messages import Hire, Link, Ready
from llamafarm.telemetry import logging_to

if TYPE_CHECKING:
    from llamafarm.models import Progress

__all__ = ["main"]

_log = logging.getLogger(__name__)
_CONTROL = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def main(descriptor: int) -> int:
    """Serve until the parent at the other end of the socket says stop, or is gone; give the exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all: the parent says what they mean
    sock = _inherited(descriptor)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_work(sock))


def _inherited(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)


async def _work(sock: socket.socket) -> int:
    link = await Link.open(sock)
    hire = await link.receive()
    if not isinstance(hire, Hire):
        return 1
    with logging_to(_Stderr(), level=hire.level, log_format=hire.log_format):  # type: ignore[arg-type]
        try:
            await _serve(hire, link)
        except LlamaFarmError as error:
            _log.error("a worker cannot start: %s", error)
            return error.exit_code
    return 0


async def _serve(hire: Hire, link: Link) -> None:
    for descriptor in (hire.board, hire.bell, *hire.bells):
        os.set_inheritable(descriptor, False)
    sockets = [_inherited(descriptor) for descriptor in hire.sockets]
    crew = Crew(hire, link, Board(hire.board, hire.rows, hire.row))
    order = Order(host=hire.host, port=hire.port)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, crew.stopping.set)
    listening = asyncio.create_task(crew.listen())
    try:
        async with opened(order, served_of(hire.load), sockets, _log_progress(), crew=crew) as process:
            link.send(Ready())
            await crew.stopping.wait()
            await process.drain()
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
        await link.aclose()


class _Stderr:
    """Standard error, on which nothing is written that a terminal would obey."""

    def write(self, text: str) -> None:
        sys.stderr.write(text.translate(_CONTROL))

    def flush(self) -> None:
        sys.stderr.flush()


class _log_progress:  # noqa: N801 - a function with a memory
    """Logs each step of fetching a model once."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str]] = set()

    def __call__(self, progress: Progress) -> None:
        step = (progress.model, progress.phase, progress.source)
        if step not in self._said:
            self._said.add(step)
            _log.info("%s %s from %s", progress.phase, progress.model, progress.source)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
