"""A worker's part in what all workers do as one: places, targets' health, reloads, figures, the end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import ClosedError, ConfigError, LlamaFarmError
from llamafarm.health import Standing
from llamafarm.server.reload import Reloader
from llamafarm.server.serving import served_again
from llamafarm.server.workers.messages import Answer, Ask, Heard, Load, Loaded, Refused, Renew, Stop
from llamafarm.server.workers.places import WorkerPlaces

if TYPE_CHECKING:
    from llamafarm.server.gateway import Gateway
    from llamafarm.server.http.listener import Listener
    from llamafarm.server.serving import Served, Serving, Shared
    from llamafarm.server.workers.board import Board
    from llamafarm.server.workers.messages import Hire, Link, Message
    from llamafarm.types import Secret, Target

__all__ = ["Crew", "served_of"]

_log = logging.getLogger(__name__)
_ALL = 1 << 16
"""Bytes: more than a bell's pipe is ever read for at once."""


def served_of(load: Load) -> Served:
    """Load what the parent says is served. Raises ConfigError."""
    path = Path(os.fsdecode(load.path)) if load.path is not None else None
    return served_again(path, load.text, load.names, os.environ)


class Crew:
    """What one worker shares with the others. It belongs to its event loop."""

    def __init__(self, hire: Hire, link: Link, board: Board) -> None:
        self.stopping = asyncio.Event()
        """Set when this worker is to drain and end: the parent says so, or is gone."""
        self._hire = hire
        self._link = link
        self._board = board
        self._places = WorkerPlaces(board, hire.row, hire.bells)
        self.places = self._places.of
        self.tally = board.tally
        self._joined = asyncio.Event()
        self._gateway: Gateway
        self._listener: Listener
        self._reloader: _SharedReloader
        self._targets: dict[str, Target] = {}
        """The targets that are served, by their hashes."""
        self._heard = {heard.target: heard for heard in hire.heard}

    def reloader(self, serving: Serving, shared: Shared) -> Reloader:
        """Make the reloader of this worker: the parent decides what is loaded and when."""
        self._reloader = _SharedReloader(serving, shared, self._link)
        self._reloader.generation, self._reloader.failure = self._hire.load.generation, self._hire.failure
        return self._reloader

    def join(self, gateway: Gateway, listener: Listener) -> None:
        """Take part, from before the first request on."""
        self._gateway, self._listener = gateway, listener
        gateway.crew = self
        self._know_targets()
        gateway.health.listener = self._tell
        asyncio.get_running_loop().add_reader(self._hire.bell, self._rung)
        self._places.collect()  # what a bell said to the one before is not said again
        self._joined.set()

    def figures(self) -> dict[str, Any]:
        """Give what `/admin/status` says of all workers together."""
        totals = self._board.totals()
        return {
            "pids": totals.pids,
            "restarts": totals.restarts,
            "requests_in_flight": totals.in_flight,
            "requests_answered": totals.answered,
        }

    async def listen(self) -> None:
        """Heed the parent until it is gone, or says that it is time to end; go on listening after that."""
        try:
            while (message := await self._link.receive()) is not None:
                if isinstance(message, Stop):
                    self.stopping.set()
                else:
                    await self._joined.wait()
                    await self._heed(message)
        finally:
            self.stopping.set()
            if self._joined.is_set():
                self._reloader.give_up()

    async def _heed(self, message: Message) -> None:
        match message:
            case Heard():
                self._heard[message.target] = message
                self._hear(message)
            case Load():
                await self._reloader.load(message)
                self._know_targets()
            case Refused():
                self._reloader.failure = message.failure
            case Answer():
                self._reloader.take(message)
            case Renew():
                self._renew()

    def _renew(self) -> None:
        try:
            self._listener.reload_certificate()
        except LlamaFarmError as error:
            _log.error("%s; the certificate of before stays in use", error)

    # Places

    def _rung(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._hire.bell, _ALL)
        self._places.collect()

    # Health

    def _tell(self, target: Target, standing: Standing) -> None:
        self._link.send(
            Heard(
                _hashed(target, self._hire.secret),
                standing.until,
                standing.ways,
                standing.cooling_until,
                standing.probing,
            )
        )

    def _hear(self, heard: Heard) -> None:
        target = self._targets.get(heard.target)
        if target is not None:
            standing = Standing(heard.until, heard.ways, heard.cooling_until, heard.probing)
            self._gateway.health.hear(target, standing)

    def _know_targets(self) -> None:
        """Look at what is served now; of what is new in it, take over what was heard before."""
        before, self._targets = self._targets, {}
        for farm in self._gateway.serving.farms.values():
            for target in farm.routing.targets:
                self._targets[_hashed(target, self._hire.secret)] = target
        for name in self._targets.keys() - before.keys() & self._heard.keys():
            self._hear(self._heard[name])


class _SharedReloader(Reloader):
    """Loads what the parent has found good, in all workers the same; asked to reload, asks the parent."""

    def __init__(self, serving: Serving, shared: Shared, link: Link) -> None:
        super().__init__(serving, shared, lambda: serving.served)
        self._link = link
        self._numbers = itertools.count(os.getpid() << 20)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._alone = False

    async def reload(self) -> dict[str, Any]:
        """Have the parent reload everywhere, and wait until all workers have. Raises ConfigError where it refuses."""
        if self._alone:
            raise ClosedError("the gateway is stopping, and loads nothing any more")
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._link.send(Ask(number))
        try:
            said: dict[str, Any] = await answer
            return said
        finally:
            del self._asked[number]

    async def reload_if_changed(self) -> None:
        """Leave it to the parent, which looks for all."""

    async def load(self, load: Load) -> None:
        """Serve this from now on, and tell the parent when."""
        try:
            await self._replace(await asyncio.to_thread(served_of, load))
        except LlamaFarmError as error:
            self.failure = str(error)
            _log.error("worker %d does not serve what the others do: %s", os.getpid(), error)
        else:
            self.generation = load.generation
        self._link.send(Loaded(load.generation))

    def take(self, answer: Answer) -> None:
        """Pass on what came of a reload that was asked for here."""
        asked = self._asked.get(answer.number)
        if asked is None or asked.done():
            return
        if answer.said is None:
            asked.set_exception(ConfigError(answer.failure))
        else:
            asked.set_result(answer.said)

    def give_up(self) -> None:
        """Wait no longer: the parent is gone."""
        self._alone = True
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ClosedError("the gateway is stopping, and loads nothing any more"))


def _hashed(target: Target, secret: bytes) -> str:
    """Name a target so that all workers of a run, and nobody else, name it alike."""
    key: Secret | None = target.api_key
    whose = None if key is None else [key.reveal()] if key.is_set else key.origin
    identity = msgspec.json.encode([target.dialect, target.base_url, whose, target.model, target.sources])
    return hashlib.blake2b(identity, key=secret, digest_size=16).hexdigest()
