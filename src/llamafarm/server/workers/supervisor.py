"""The parent of several workers: opens the sockets, starts the workers, replaces those that die, ends them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING, Any, Literal

from llamafarm.errors import ConfigError, LlamaFarmError, Severity
from llamafarm.server.keys import keys_file, load_keys
from llamafarm.server.reload import signature, tell_loaded, tell_refused
from llamafarm.server.run import check_start, loop_factory
from llamafarm.server.serving import Serving, Shared
from llamafarm.server.workers.board import Board, board_file
from llamafarm.server.workers.messages import Answer, Ask, Heard, Load, Loaded, Ready, Refused, Renew, Stop
from llamafarm.server.workers.places import ring
from llamafarm.server.workers.seat import Equipment, Seat

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from socket import socket

    from llamafarm.server.run import Order
    from llamafarm.server.serving import Served
    from llamafarm.server.workers.messages import Message

__all__ = ["Supervisor", "supervise"]

_log = logging.getLogger(__name__)
_TICK = 1.0
"""Seconds between two looks at the strategy file."""
_YOUNG = 10.0
"""Seconds: who dies before was not of use, and the next one waits."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_TRIES = 3
"""How many workers may die one after the other before the first is ready."""
_LOAD_SECONDS = 30.0
"""How long a reload waits for a worker."""
_MORE_SECONDS = 10.0
"""What a worker may need beyond `drain_delay` and `shutdown_grace` to close what it has open."""


def supervise(
    order: Order,
    served: Served,
    count: int,
    *,
    told: Callable[[Supervisor], None],
    sockets: Sequence[socket] = (),
    level: str = "INFO",
    log_format: Literal["json", "text"] = "text",
) -> int:
    """Serve with `count` processes until a signal ends it, and give the exit code.

    `served` is what `order` has loaded; `told` is called once all listen. Raises ConfigError and others as
    `server.run.run` does.
    """
    if sys.platform == "win32":
        raise ConfigError("--workers is not available on Windows: run one gateway a port, without it")
    from llamafarm.server.http.sockets import open_sockets

    loop_factory()
    check_start(order, served, sockets)
    _check(served)
    opened = list(sockets) or open_sockets(*order.place(served.settings))

    async def run() -> int:
        supervisor = Supervisor(order, served, opened, count, level=level, log_format=log_format)
        try:
            return await supervisor.run(told)
        finally:
            await supervisor.aclose()

    return asyncio.run(run())


def _check(served: Served) -> Served:
    """Find out, connecting to nothing, whether a worker could serve this. Raises ConfigError."""
    Serving(served, Shared(os.environ))
    return served


class Supervisor:
    """Keeps the workers going, and has them know what one of them, or a signal, says."""

    def __init__(
        self,
        order: Order,
        served: Served,
        sockets: Sequence[socket],
        count: int,
        *,
        level: str,
        log_format: Literal["json", "text"],
    ) -> None:
        self.served = served
        self._order = order
        self._sockets = sockets
        bells = [os.pipe() for _ in range(count)]
        for descriptor in (end for bell in bells for end in bell):
            os.set_blocking(descriptor, False)
        self._bells = [write for _, write in bells]
        file = board_file(count)
        self._board = Board(file, count)
        equipment = Equipment(tuple(sockets), file, tuple(bells), secrets.token_bytes(32), level, log_format)
        self._seats = [Seat(row, equipment) for row in range(count)]
        self._generation = 1
        self._failure: str | None = None
        self._heard: dict[str, Heard] = {}
        self._seen = signature(served.path)
        self._one_by_one = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._killing = False
        self._code = 0
        self._ready = asyncio.Event()
        self._failed_starts = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def urls(self) -> list[str]:
        """Where the workers can be asked."""
        from llamafarm.server.http.sockets import address

        scheme = "https" if self.served.settings.tls_certificate else "http"
        return [f"{scheme}://{address(sock)}" for sock in self._sockets]

    @property
    def is_open(self) -> bool:
        """Whether no key is needed."""
        return not load_keys(keys_file(self.served.settings)).required

    @property
    def names(self) -> list[str]:
        """The strategies that are served."""
        return [strategy.name for strategy in self.served.strategies]

    async def run(self, told: Callable[[Supervisor], None]) -> int:
        """Serve until a signal, or workers that cannot start, end it; give the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: self._do(self._hang_up()))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        keeping = [asyncio.create_task(self._keep(seat)) for seat in self._seats]
        stopping = asyncio.create_task(self._stopping.wait())
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait([stopping, ready, *keeping], return_when=asyncio.FIRST_COMPLETED)
            if self._ready.is_set():
                told(self)
                self._do(self._watch())
                await asyncio.wait([stopping, *keeping], return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            await self._drain(keeping)
            for kept in keeping:
                kept.result()
        finally:
            for task in (stopping, ready, *keeping):
                task.cancel()
            await asyncio.gather(stopping, ready, *keeping, return_exceptions=True)
        return self._code

    def _stop(self) -> None:
        if self._stopping.is_set():  # whoever sends it twice does not want to wait
            self._code, self._killing = 1, True
            self._kill()
        self._stopping.set()

    def _kill(self) -> None:
        for seat in self._seats:
            seat.kill()

    async def _drain(self, keeping: list[asyncio.Task[None]]) -> None:
        """Have the workers end, and kill those that do not."""
        for sock in self._sockets:
            sock.close()
        self._broadcast(Stop())
        settings = self.served.settings
        patience = settings.drain_delay + settings.shutdown_grace + _MORE_SECONDS
        _, left = await asyncio.wait(keeping, timeout=patience)
        if left:
            _log.warning("%d workers had not ended after %g s, and are killed", len(left), patience)
            self._kill()
            await asyncio.wait(left)

    async def aclose(self) -> None:
        """Leave no worker behind, whatever happened."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._kill()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Workers

    async def _keep(self, seat: Seat) -> None:
        """Have a worker in this row until the end."""
        loop, early, again = asyncio.get_running_loop(), 0, False
        while not self._stopping.is_set():
            began = loop.time()
            try:
                await self._work(seat, again=again)
            except OSError as error:  # no process to be had, for now
                _log.error("no worker can be started: %s", error.strerror or error)
            again = True
            if self._stopping.is_set() or self._cannot_start(seat):
                return
            early = early + 1 if loop.time() < began + _YOUNG or not seat.ready else 0
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (early - 1)) if early else 0.0
            after = f" in {pause:g} s" if pause else ""
            _log.warning("worker %d %s; another takes its place%s", seat.pid, seat.end, after)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _work(self, seat: Seat, *, again: bool) -> None:
        """Have one worker from its start to its end. Raises OSError where there is none to be had."""
        link = await seat.start()
        link.send(seat.hire(self._load(), self._failure, self._order, tuple(self._heard.values())))
        self._board.seat(seat.row, seat.pid, again=again)
        if self._stopping.is_set():  # meanwhile
            link.send(Stop())
        if self._killing:
            seat.kill()
        try:
            while (message := await link.receive()) is not None:
                self._heed(seat, message)
        finally:
            await seat.ended()
            self._board.clear(seat.row)
            ring(self._bells, range(len(self._bells)))

    def _cannot_start(self, seat: Seat) -> bool:
        """Give up where no worker has ever been ready and this is not the first to die."""
        if seat.ready or self._ready.is_set():
            return False
        self._failed_starts += 1
        if self._failed_starts < _TRIES and not seat.refuses:
            return False
        _log.error("worker %d %s before it was ready: the gateway cannot start", seat.pid, seat.end)
        self._code = self._code or seat.code or 1
        self._stopping.set()
        return True

    def _heed(self, seat: Seat, message: Message) -> None:
        match message:
            case Ready():
                seat.ready = True
                if all(each.ready for each in self._seats):
                    self._ready.set()
            case Loaded():
                seat.has_loaded(message.generation)
            case Ask():
                self._do(self._answer(seat, message.number))
            case Heard():
                self._pass_on(seat, message)

    def _pass_on(self, seat: Seat, heard: Heard) -> None:
        """Tell all workers, in one order, so that all end up knowing the same; also who has said it."""
        self._heard[heard.target] = heard
        for each in self._seats:
            if each is not seat or not heard.probing:
                each.send(heard)

    def _broadcast(self, message: Message) -> None:
        for seat in self._seats:
            seat.send(message)

    # Reloads

    def _load(self) -> Load:
        served = self.served
        path = os.fsencode(served.path) if served.path is not None else None
        return Load(self._generation, path, served.text if path is not None else "", tuple(self.names))

    async def _reload(self) -> dict[str, Any]:
        """Load the file, and have all workers serve it; returns when they do. Raises LlamaFarmError, told before."""
        async with self._one_by_one:
            before = self.served
            self._seen = signature(before.path)
            try:
                served = await asyncio.to_thread(lambda: _check(self._order.load(os.environ)))
            except LlamaFarmError as error:
                self._failure = tell_refused(error)
                self._broadcast(Refused(self._failure))
                raise
            self.served, self._failure = served, None
            self._generation += 1
            load = self._load()
            serving = [seat.loads(load) for seat in self._seats if seat.serves]
            for seat in self._seats:
                if not seat.serves:  # it is starting, and not waited for
                    seat.send(load)
            if serving:
                await asyncio.wait(serving, timeout=_LOAD_SECONDS)
            return tell_loaded(before, served, self._generation)

    async def _answer(self, seat: Seat, number: int) -> None:
        try:
            said = await self._reload()
        except LlamaFarmError as error:
            seat.send(Answer(number, None, _worded(error)))
        else:
            seat.send(Answer(number, said, ""))

    async def _hang_up(self) -> None:
        with contextlib.suppress(LlamaFarmError):  # which the log has told
            await self._reload()
        self._broadcast(Renew())

    async def _watch(self) -> None:
        """Look every second whether the strategy file has changed."""
        while True:
            await asyncio.sleep(_TICK)
            seen = signature(self.served.path)
            if seen == self._seen or not self.served.settings.watch:
                continue
            await asyncio.sleep(_TICK / 10)  # an editor may still be writing
            with contextlib.suppress(LlamaFarmError):  # which the log has told
                await self._reload()


def _worded(error: LlamaFarmError) -> str:
    findings = error.findings if isinstance(error, ConfigError) else ()
    wrong = [str(finding) for finding in findings if finding.severity is Severity.ERROR]
    return "\n".join(wrong) or str(error)
