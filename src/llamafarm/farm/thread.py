"""An event loop in a thread of its own, for code that has none."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

__all__ = ["LoopThread"]

T = TypeVar("T")
_CLOSED = "the farm was closed: use it inside its `with` block"


class LoopThread:
    """Runs coroutines one loop, from any thread but its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="llamafarm", daemon=True)
        self._turn = threading.Lock()
        self._stopped = False
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and give its result. Ctrl-C cancels it, and waits until it has cleaned up.

        Raises BadCallError where the loop has been stopped, or is while it runs.
        """
        ended = threading.Event()
        future = self._submit(coroutine, ended)
        try:
            return future.result()
        except KeyboardInterrupt:
            if future.cancel():
                ended.wait()
            raise
        except concurrent.futures.CancelledError:
            if self._stopped:
                raise BadCallError(_CLOSED) from None
            raise

    def _submit(self, coroutine: Coroutine[Any, Any, T], ended: threading.Event) -> concurrent.futures.Future[T]:
        with self._turn:
            if self._stopped or threading.current_thread() is self._thread:
                coroutine.close()
                raise BadCallError(_CLOSED if self._stopped else "farm.run cannot wait for itself: await it instead")
            return asyncio.run_coroutine_threadsafe(_signalling(coroutine, ended), self._loop)

    def iterate(self, source: AsyncIterator[T]) -> Iterator[T]:
        """Iterate over an async iterator; leaving early closes it. Raises BadCallError once the loop is stopped."""
        try:
            while True:
                try:
                    item = self.run(_next(source))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            close = getattr(source, "aclose", None)
            if close is not None and not self._stopped:  # what is open is closed with the farm
                self.run(close())

    def stop(self) -> None:
        """Cancel what still runs, and end the loop and its thread."""
        with self._turn:
            self._stopped = True
            cancelled = asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop)
        cancelled.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)


async def _signalling(coroutine: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    try:
        return await coroutine
    finally:
        ended.set()
