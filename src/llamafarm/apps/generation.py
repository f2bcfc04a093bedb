"""One request inside the engine: a thread that waits on native code, and its events on their way to the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Event", "Generation", "Work"]

Event = dict[str, Any]
Work = Callable[[Callable[[Event], bool]], Event | None]
"""Calls the engine with a callback that says True to stop it; gives the whole answer where the callback saw none."""

_ENGINE_FAILURES = (ValueError, RuntimeError, TypeError, LookupError, OverflowError, MemoryError)
"""What the library's C++ exceptions become in Python."""


class Generation:
    """Runs `work` in a thread of its own and hands its events to the loop.

    The thread is a daemon because a thread in native code cannot be interrupted: whoever ends the process calls
    `cancel` and `join` first, or native code is torn down while it runs. Events wait in an unbounded queue: no more
    can come than the model's context has tokens.
    """

    def __init__(self, work: Work, ended: Callable[[Generation], None]) -> None:
        self._work = work
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._cancelled = threading.Event()
        self.failure: Exception | None = None
        """What the engine raised; looked at after the last event."""
        self._thread = threading.Thread(target=self._run, name="llamafarm-generation", daemon=True)

    def start(self) -> None:
        """Begin; `ended` is called on the loop once the engine is free again."""
        self._thread.start()

    def _run(self) -> None:
        try:
            whole = self._work(self._on_event)
            if whole is not None:
                self._post(self._events.put_nowait, whole)
        except _ENGINE_FAILURES as error:
            self.failure = error
        finally:
            self._post(self._events.put_nowait, None)
            self._post(self._ended, self)

    def _on_event(self, event: Event) -> bool:
        if not self._cancelled.is_set():
            self._post(self._events.put_nowait, event)
        return self._cancelled.is_set()

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._cancelled.set()

    async def next(self, seconds: float) -> Event | None:
        """Give the next event, None after the last. Raises TimeoutError after so many seconds without one."""
        if not self._events.empty():
            return self._events.get_nowait()
        async with asyncio.timeout(seconds):
            return await self._events.get()

    def cancel(self) -> None:
        """Have the engine stop: at the next token, or while it reads a prompt at the end of the batch it is at."""
        self._cancelled.set()

    def join(self, seconds: float | None = None) -> None:
        """Wait until the engine has let go of it."""
        self._thread.join(seconds)
