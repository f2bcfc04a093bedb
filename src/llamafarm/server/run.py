"""The gateway's process: what is opened in which order, what each signal means, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llamafarm.errors import ConfigError, LlamaFarmError, MissingExtraError
from llamafarm.server.gateway import Gateway
from llamafarm.server.keys import Gate, KeyFile, keys_file
from llamafarm.server.reload import Reloader
from llamafarm.server.serving import Serving, Shared, find_served
from llamafarm.spec.formats import is_loopback
from llamafarm.spec.sizes import parse_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from socket import socket

    from llamafarm.models import Progress
    from llamafarm.server.http.limits import Limits
    from llamafarm.server.http.listener import Listener
    from llamafarm.server.http.tls import Certificate
    from llamafarm.server.serving import Served
    from llamafarm.server.workers.crew import Crew
    from llamafarm.spec.strategy import ServerSettings

__all__ = ["Order", "Process", "check_start", "loop_factory", "opened", "run"]

_log = logging.getLogger(__name__)
_TICK = 1.0
"""Seconds between two looks at the files that may change."""
_OTHER_FILES = 256
"""Model files, logs, libraries."""
_LAST_WORDS = 2.0
"""Seconds that streams have for their error event once the grace is over."""


@dataclass(frozen=True, slots=True)
class Order:
    """What `serve` is asked for."""

    strategy_file: str | None = None
    strategy: str | None = None
    host: str | None = None
    """None: the file's."""
    port: int | None = None
    """None: the file's."""

    def load(self, environment: Mapping[str, str]) -> Served:
        """Read what is to be served. Raises ConfigError."""
        return find_served(self.strategy_file, self.strategy, environment)

    def place(self, settings: ServerSettings) -> tuple[str, int]:
        """Give host and port: those of the command line come before those of the file."""
        return self.host or settings.host, settings.port if self.port is None else self.port


def run(
    order: Order,
    served: Served,
    *,
    told: Callable[[Process], None],
    sockets: Sequence[socket] = (),
    progress: Callable[[Progress], None] | None = None,
) -> int:
    """Serve until a signal ends it; give the exit code, 1 where requests were cut for it.

    `served` is what `order` has loaded; `told` is called once it listens.

    `sockets` are listened on instead of the host and port. Raises ConfigError for what is wrong at the start, and
    MissingExtraError where the server's packages are not installed.
    """

    async def serve() -> int:
        async with opened(order, served, sockets, progress) as process:
            return await _until_stopped(process, told)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve())


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give the fastest event loop there is; None: asyncio's. Raises MissingExtraError where the parser is missing."""
    try:
        import httptools  # noqa: F401 - so that it is missed here, with a word on what to do
    except ImportError as error:
        raise MissingExtraError(
            f"the gateway needs optional packages ({error}): run pip install 'llamafarm[server]'"
        ) from error
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:  # slower, and nothing else
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _allow_files(connections: int) -> None:
    """Raise the limit on open files to what so many connections, and theirs to targets, need, as far as one may."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _OTHER_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        _log.warning("this process may open %s files, and max_connections is %s: raise ulimit -n", most, connections)


@contextlib.asynccontextmanager
async def opened(
    order: Order,
    served: Served,
    sockets: Sequence[socket] = (),
    progress: Callable[[Progress], None] | None = None,
    *,
    crew: Crew | None = None,
) -> AsyncIterator[Process]:
    """Open everything a process that serves needs, and close it: the farms, the keys, the listener.

    `sockets` are listened on instead of the host and port; with a `crew` this is one of several processes. Raises
    ConfigError or ResourceError.
    """
    from llamafarm.server.http.listener import Listener

    settings = served.settings
    _allow_files(settings.max_connections)
    host, port = order.place(settings)
    keys, here, certificate = check_start(order, served, sockets)
    shared = Shared(os.environ, progress=progress, places=crew.places if crew is not None else None)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(shared.aclose)
        serving = Serving(served, shared)
        if crew is None:
            reloader = Reloader(serving, shared, lambda: order.load(os.environ))
        else:
            reloader = crew.reloader(serving, shared)
        stack.push_async_callback(reloader.aclose)
        gateway = Gateway(reloader, Gate.of(keys.keys, loopback=here, hosts=settings.hosts), shared.health)
        await serving.open()
        listener = Listener(
            gateway, limits_of(settings), host=host, port=port, sockets=sockets, certificate=certificate
        )
        stack.push_async_callback(listener.close)
        if crew is None:
            reloader.renew = listener.reload_certificate
        else:
            crew.join(gateway, listener)
        await listener.open()
        process = Process(gateway, listener, keys)
        stack.push_async_callback(process.aclose)
        yield process


def check_start(
    order: Order, served: Served, sockets: Sequence[socket] = ()
) -> tuple[KeyFile, bool, Certificate | None]:
    """Give the keys, whether only this machine can reach the gateway, and its certificate. Raises ConfigError."""
    settings = served.settings
    host, _ = order.place(settings)
    keys = KeyFile(keys_file(settings))
    here = _is_here(host, sockets)
    if not here and not keys.keys.required:
        raise ConfigError(
            f"{host} can be reached from other machines, and there are no gateway keys: make one with"
            " `llamafarm keys create NAME`, or listen on 127.0.0.1"
        )
    return keys, here, _certificate(settings)


class Process:
    """A process that serves: looks for changes while it does, and drains before it ends."""

    def __init__(self, gateway: Gateway, listener: Listener, keys: KeyFile) -> None:
        self.gateway = gateway
        self.listener = listener
        self._keys = keys
        self._tasks = {asyncio.create_task(self._watch())}

    @property
    def urls(self) -> list[str]:
        """Where it can be asked."""
        scheme = "https" if self.gateway.serving.served.settings.tls_certificate else "http"
        return [f"{scheme}://{address}" for address in self.listener.addresses]

    @property
    def names(self) -> list[str]:
        """The strategies that are served."""
        return list(self.gateway.serving.farms)

    @property
    def is_open(self) -> bool:
        """Whether no key is needed."""
        return not self._keys.keys.required

    def reload(self) -> asyncio.Task[None]:
        """Begin to load the strategy file and the certificate anew; the log tells what comes of it."""

        async def load() -> None:
            with contextlib.suppress(LlamaFarmError):  # which the log has told
                await self.gateway.reloader.reload()

        task = asyncio.create_task(load())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self) -> None:
        """Take no new requests, let those in flight end, and tell those that do not that this is the end."""
        gateway, settings = self.gateway, self.gateway.serving.served.settings
        gateway.ready = False
        _log.info("stopping: %s requests in flight", gateway.in_flight)
        await asyncio.sleep(settings.drain_delay)
        if not await self.listener.drain(settings.shutdown_grace):
            grace = settings.shutdown_grace
            _log.warning("%s requests had not ended after %g s (shutdown_grace)", gateway.in_flight, grace)
            await gateway.reloader.aclose()
            await self.listener.drain(_LAST_WORDS)

    async def _watch(self) -> None:
        """Look every second whether the strategy file or the keys have changed."""
        gateway, generation = self.gateway, 1
        while True:
            await asyncio.sleep(_TICK)
            changed = self._keys.reload_if_changed()
            await gateway.reloader.reload_if_changed()
            if changed or generation != gateway.reloader.generation:
                generation = gateway.reloader.generation
                settings = gateway.serving.served.settings
                gateway.gate = Gate.of(self._keys.keys, loopback=gateway.gate.loopback, hosts=settings.hosts)
                self.listener.limits = limits_of(settings)

    async def aclose(self) -> None:
        """Stop looking for changes."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_stopped(process: Process, told: Callable[[Process], None]) -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads. A second signal to stop ends it at once, and gives 1.

    `told` is called when signals are heeded: whoever reads it may send one.
    """
    loop, stopping, hurrying = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def stop() -> None:
        if hurrying.is_set():
            os._exit(1)
        (hurrying if stopping.is_set() else stopping).set()

    handlers: dict[int, Callable[[], object]] = {signal.SIGTERM: stop, signal.SIGINT: stop}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = process.reload
    try:
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
    except NotImplementedError:  # Windows: Ctrl-C cancels this task
        handlers = {}
    try:
        told(process)
        await stopping.wait()
        draining, waiting = asyncio.ensure_future(process.drain()), asyncio.ensure_future(hurrying.wait())
        await asyncio.wait((draining, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if draining.done():
            draining.result()
            return 0
        _log.warning("ended at once by a second signal: %s requests are cut", process.gateway.in_flight)
        draining.cancel()
        return 1
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


def _is_here(host: str, sockets: Sequence[socket]) -> bool:
    """Tell whether only this machine can reach where the gateway listens."""
    if not sockets:
        return is_loopback(host)
    return all(isinstance(each.getsockname(), str) or is_loopback(each.getsockname()[0]) for each in sockets)


def limits_of(settings: ServerSettings) -> Limits:
    """Give the limits of connections as the strategy file has them."""
    from llamafarm.server.http.limits import Limits

    return Limits(
        header_bytes=parse_bytes(settings.header_limit),
        body_bytes=parse_bytes(settings.body_limit),
        buffered_bytes=parse_bytes(settings.bodies_limit),
        header_timeout=settings.header_timeout,
        body_timeout=settings.body_timeout,
        idle_timeout=settings.idle_timeout,
        write_timeout=settings.write_timeout,
        max_connections=settings.max_connections,
    )


def _certificate(settings: ServerSettings) -> Certificate | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    from llamafarm.server.http.tls import Certificate

    return Certificate(Path(settings.tls_certificate), Path(settings.tls_key))
