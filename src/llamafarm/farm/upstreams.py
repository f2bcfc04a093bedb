"""The modules that speak to targets, each made when a request first needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from llamafarm import apps, providers, registry
from llamafarm.models import ModelStore
from llamafarm.transport import EncryptedElsewhere, HttpTransport, LoopbackOnly

if TYPE_CHECKING:
    from llamafarm.models import Progress
    from llamafarm.transport import Guard, Transport
    from llamafarm.types import Upstream

__all__ = ["Upstreams", "dialects"]


def dialects() -> frozenset[str]:
    """Name every dialect that an installed module speaks."""
    return registry.names(providers.GROUP) | registry.names(apps.GROUP)


def _guard(mode: str) -> Guard | None:
    match mode:
        case "local_only":
            return LoopbackOnly()
        case "private":
            return EncryptedElsewhere()
        case _:
            return None


class Upstreams(Mapping[str, "Upstream"]):
    """Upstreams by dialect; making one imports its libraries, so it waits until it is asked for."""

    def __init__(self, mode: str, progress: Callable[[Progress], None] | None = None) -> None:
        """`mode` is a `privacy_mode`: strategies of the same one may share them."""
        self._transport = HttpTransport(_guard(mode))
        self._download = mode != "local_only"
        self._progress = progress
        self._made: dict[str, Upstream] = {}

    @property
    def transport(self) -> Transport:
        """What their requests go through; it is closed with them."""
        return self._transport

    def __getitem__(self, dialect: str) -> Upstream:
        if dialect not in self._made:
            self._made[dialect] = self._make(dialect)
        return self._made[dialect]

    def __iter__(self) -> Iterator[str]:
        return iter(dialects())

    def __len__(self) -> int:
        return len(dialects())

    def _make(self, dialect: str) -> Upstream:
        if dialect in registry.names(apps.GROUP):
            return apps.load(dialect)(ModelStore(), progress=self._progress, download=self._download)
        return providers.load(dialect)(self._transport)

    async def aclose(self) -> None:
        """Close what was made, and every connection."""
        made, self._made = list(self._made.values()), {}
        for upstream in made:
            await upstream.aclose()
        await self._transport.aclose()
