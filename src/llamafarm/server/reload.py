"""Decides when the strategy file is loaded anew, and puts what it says now in the place of what was served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamafarm.errors import ConfigError, LlamaFarmError, Severity
from llamafarm.server.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.server.serving import Served, Shared

__all__ = ["Reloader", "signature", "tell_loaded", "tell_refused"]

_log = logging.getLogger(__name__)


class Reloader:
    """Holds the generation that is served now. The one before is closed when its last request has ended."""

    def __init__(self, serving: Serving, shared: Shared, load: Callable[[], Served]) -> None:
        """`load` reads what is to be served; it raises ConfigError."""
        self.serving = serving
        self.generation = 1
        """Counts the loads that were taken."""
        self.failure: str | None = None
        """Why the last load was not taken; None: it was."""
        self.renew: Callable[[], None] = lambda: None
        """Reads what else is to be read again: the certificate. Raises ConfigError."""
        self._shared = shared
        self._load = load
        self._seen = _signatures(serving.served)
        self._one_by_one = asyncio.Lock()
        self._retiring: dict[asyncio.Task[None], Serving] = {}

    async def reload(self) -> dict[str, Any]:
        """Load, validate and swap; give what came of it. Raises ConfigError, and then nothing has changed."""
        async with self._one_by_one:
            before = self.serving.served
            self._seen = _signatures(before)
            try:
                served = await asyncio.to_thread(self._load)
                await self._replace(served)
            except LlamaFarmError as error:
                self.failure = tell_refused(error)
                raise
            self.generation += 1
        return tell_loaded(before, served, self.generation)

    async def _replace(self, served: Served) -> None:
        """Swap; raises ConfigError, and then nothing has changed."""
        before, serving = self.serving, Serving(served, self._shared)
        self.renew()
        await serving.open()
        self.serving, self.failure = serving, None
        self._retire(before)

    async def reload_if_changed(self) -> None:
        """Load again where the file or the certificate is another by its `stat`. Raises nothing: the log tells."""
        served = self.serving.served
        if not served.settings.watch or _signatures(served) == self._seen:
            return
        await asyncio.sleep(_SETTLING)  # an editor may still be writing
        with contextlib.suppress(LlamaFarmError):  # which the log has told
            await self.reload()

    async def aclose(self) -> None:
        """Close all generations, whatever they are at."""
        retiring = dict(self._retiring)
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        for serving in (*retiring.values(), self.serving):
            await serving.aclose()

    def _retire(self, serving: Serving) -> None:
        task = asyncio.create_task(serving.retire())
        self._retiring[task] = serving
        task.add_done_callback(lambda done: self._retiring.pop(done, None))


def tell_refused(error: LlamaFarmError) -> str:
    """Log everything that was wrong, and give it in short."""
    findings = error.findings if isinstance(error, ConfigError) else ()
    wrong = [str(finding) for finding in findings if finding.severity is Severity.ERROR]
    for line in wrong or [str(error)]:
        _log.error("not reloaded, what was served before is served on: %s", line)
    return str(error)


def tell_loaded(before: Served, now: Served, generation: int) -> dict[str, Any]:
    """Log what is served now and what a user may not expect of it, and give what came of the reload."""
    names, changed = [strategy.name for strategy in now.strategies], now.text != before.text
    _log.info("%s loaded: %s", now.name, ", ".join(names))
    if changed and now.version is not None and now.version == before.version:
        _log.warning("%s has changed, and its version is still %s: raise it", now.name, now.version)
    fixed = [
        name
        for name in ("host", "port", "keys", "tls_certificate", "tls_key")
        if getattr(now.settings, name) != getattr(before.settings, name)
    ]
    if fixed:
        _log.warning("%s: server.%s act only after a restart", now.name, ", server.".join(fixed))
    return {"generation": generation, "version": now.version, "changed": changed, "strategies": names}


_SETTLING = 0.1
"""Seconds between seeing that a file has changed and reading it."""


def _signatures(served: Served) -> tuple[object, ...]:
    settings = served.settings
    names = (settings.tls_certificate, settings.tls_key)
    return (signature(served.path), *(signature(Path(name)) for name in names if name is not None))


def signature(path: Path | None) -> tuple[int, ...] | None:
    """Give what changes when a file does; None: there is none to watch."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns)
