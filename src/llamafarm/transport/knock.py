"""Finds out whether anything listens at an address of this machine, before an HTTP library is loaded to ask it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from llamafarm.errors import ConnectError
from llamafarm.transport.guard import is_localhost, loopback_source

if TYPE_CHECKING:
    from llamafarm.transport.endpoint import Endpoint
    from llamafarm.transport.guard import Guard

__all__ = ["knock"]


async def knock(endpoint: Endpoint, guard: Guard | None) -> None:
    """Raise ConnectError where nothing listens at a loopback address, BlockedError where the guard forbids it.

    Anything else is left to the library.

    Takes a fraction of a millisecond; loading the library takes 200 on every command of a machine that does not run
    the application its strategy begins with.
    """
    if endpoint.socket is not None:
        return
    for address in ("127.0.0.1", "::1") if is_localhost(endpoint.host) else (endpoint.host,):
        source = loopback_source(address)
        if source is None:
            return
        if guard is not None:
            guard.check(endpoint.host, (address,), encrypted=endpoint.scheme == "https")
        if not await _refuses(address, source, endpoint.port):
            return
    raise ConnectError(f"cannot connect to {endpoint.place}: nothing listens there; start the server or check base_url")


async def _refuses(address: str, source: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.bind((source, 0))  # so that it cannot leave the machine, even without a loopback interface
            await asyncio.get_running_loop().sock_connect(probe, (address, port))
    except ConnectionRefusedError:
        return True
    except OSError:  # no IPv6 here, for one: as good as nobody there
        return family == socket.AF_INET6
    return False
