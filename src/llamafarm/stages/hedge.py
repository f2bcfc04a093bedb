"""Starts a second attempt when the first is slow, and takes whichever answers first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llamafarm.reply import Reply

__all__ = ["race"]


async def race(
    first: Callable[[], Awaitable[Reply | None]],
    second: Callable[[], Awaitable[Reply | None]],
    delay: float,
    *,
    over: Callable[[], bool],
    outrun: Callable[[], None],
) -> Reply | None:
    """Give the reply that is there first; None where both failed, or the first did before `delay` seconds.

    `first` and `second` give None where they fail. `over` says whether the failure of the first was one after which
    nobody is to be heard; what the second refuses does not keep the first from answering. `outrun` is told where the
    second was faster. The loser is cancelled, and has ended when this returns.
    """
    leading = asyncio.ensure_future(first())
    running: set[asyncio.Task[Reply | None]] = {leading}
    try:
        done, running = await asyncio.wait(running, timeout=delay)
        if done:
            return leading.result()
        running.add(asyncio.ensure_future(second()))
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            replies = [reply for task in done if (reply := task.result()) is not None]
            for late in replies[1:]:
                await late.aclose()
            if replies:
                if leading in running:
                    outrun()
                return replies[0]
            if leading in done and over():
                return None
        return None
    finally:
        await _stop(running)


async def _stop(running: set[asyncio.Task[Reply | None]]) -> None:
    for task in running:
        task.cancel()
    for outcome in await asyncio.gather(*running, return_exceptions=True):
        if outcome is not None and not isinstance(outcome, BaseException):
            await outcome.aclose()  # it came while it was being cancelled
