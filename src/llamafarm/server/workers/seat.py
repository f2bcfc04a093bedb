"""One row of workers: the process that sits there now, how it is started, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import llamafarm
from llamafarm.errors import ConfigError, ResourceError
from llamafarm.server.workers.messages import Hire, Link

if TYPE_CHECKING:
    from typing import Literal

    from llamafarm.server.run import Order
    from llamafarm.server.workers.messages import Heard, Load, Message

__all__ = ["Equipment", "Seat"]

_MODULE = "llamafarm.server.workers.worker"
_SIGNALLED = 128
"""What a shell adds to a signal's number to make an exit code of it."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What every worker inherits."""

    sockets: tuple[socket.socket, ...]
    board: int
    bells: tuple[tuple[int, int], ...]
    """The two ends of each row's pipe."""
    secret: bytes
    level: str
    log_format: Literal["json", "text"]


class Seat:
    """A row, with a worker in it or without."""

    def __init__(self, row: int, equipment: Equipment) -> None:
        self.row = row
        self.pid = 0
        self.ready = False
        """Whether the worker accepts, or did until it ended."""
        self.code = 0
        """The exit code of the last one, as a shell has it."""
        self._equipment = equipment
        self._process: asyncio.subprocess.Process | None = None
        self._link: Link | None = None
        self._loading: dict[int, asyncio.Future[None]] = {}

    @property
    def serves(self) -> bool:
        """Whether a worker that accepts sits here now."""
        return self.ready and self._link is not None

    async def start(self) -> Link:
        """Start a worker, to which the first message is its `hire`. Raises OSError."""
        self.ready, self.code, self.pid = False, 0, 0
        equipment, (bell, _) = self._equipment, self._equipment.bells[self.row]
        bells = (write for _, write in equipment.bells)
        sockets = (sock.fileno() for sock in equipment.sockets)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *_command(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *sockets, equipment.board, bell, *bells),
            )
        self.pid = self._process.pid
        ours.setblocking(False)
        self._link = await Link.open(ours)
        return self._link

    def hire(self, load: Load, failure: str | None, order: Order, heard: tuple[Heard, ...]) -> Hire:
        """Say what a worker in this row has to know."""
        equipment = self._equipment
        return Hire(
            load=load,
            failure=failure,
            host=order.host,
            port=order.port,
            row=self.row,
            rows=len(equipment.bells),
            sockets=tuple(sock.fileno() for sock in equipment.sockets),
            board=equipment.board,
            bell=equipment.bells[self.row][0],
            bells=tuple(write for _, write in equipment.bells),
            secret=equipment.secret,
            level=equipment.level,
            log_format=equipment.log_format,
            heard=heard,
        )

    def send(self, message: Message) -> None:
        """Tell the worker, if there is one."""
        if self._link is not None:
            self._link.send(message)

    def loads(self, load: Load) -> asyncio.Future[None]:
        """Have the worker load; what is given is done when it has, or has ended."""
        done = self._loading[load.generation] = asyncio.get_running_loop().create_future()
        self.send(load)
        return done

    def has_loaded(self, generation: int) -> None:
        """Note that it has."""
        done = self._loading.pop(generation, None)
        if done is not None and not done.done():
            done.set_result(None)

    async def ended(self) -> None:
        """Wait until the process is no more, which is when nothing that it had open is open any longer."""
        if self._process is not None:
            code = await self._process.wait()
            self.code = _SIGNALLED - code if code < 0 else code
            self._process = None
        if self._link is not None:
            link, self._link = self._link, None
            await link.aclose()
        for generation in list(self._loading):
            self.has_loaded(generation)

    def kill(self) -> None:
        """End the worker at once, if there is one."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    @property
    def end(self) -> str:
        """How the last one ended, in words."""
        if self.code > _SIGNALLED:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(self.code - _SIGNALLED).name}"
        return f"has ended with exit code {self.code}"

    @property
    def refuses(self) -> bool:
        """Whether the last one has said what is wrong, which another try will not mend."""
        return self.code in {ConfigError.exit_code, ResourceError.exit_code}


def _command(descriptor: int) -> tuple[str, ...]:
    """Give the command of a worker: a module in the working folder must not stand in for one of ours."""
    ours_is_here = Path(llamafarm.__file__).parents[1] == Path.cwd()
    safe = () if ours_is_here else ("-P",)
    return (sys.executable, *safe, "-m", _MODULE, str(descriptor))
