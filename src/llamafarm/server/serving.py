"""One generation of what is served: a strategy file, a farm for each of its strategies, and what `model` means."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from llamafarm import strategies
from llamafarm.errors import ConfigError, UnknownModelError
from llamafarm.farm import Farm
from llamafarm.farm.locate import find_file, find_strategy, load_shipped
from llamafarm.farm.upstreams import Upstreams
from llamafarm.health import Health
from llamafarm.spec import load_file, load_text
from llamafarm.spec.sizes import parse_bytes
from llamafarm.spec.strategy import ServerSettings
from llamafarm.telemetry import LogSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from llamafarm.models import Progress
    from llamafarm.spec import Document
    from llamafarm.spec.strategy import Strategy
    from llamafarm.types import PlacesOf, Sink, Target

__all__ = ["Served", "Serving", "Shared", "find_served", "served_again"]


@dataclass(frozen=True, slots=True)
class Served:
    """What is to be served: strategies and the gateway's settings, as loaded."""

    name: str
    """The file's, for messages."""
    path: Path | None
    """None: the shipped strategies."""
    strategies: tuple[Strategy, ...]
    settings: ServerSettings
    version: str | None = None
    text: str = field(default="", repr=False)
    """The file's own, in which keys may stand: to tell whether it has changed."""
    log_format: Literal["json", "text"] | None = None
    """What the first strategy that names one wants; the program has one log."""


def find_served(given: str | None, name: str | None, environment: Mapping[str, str]) -> Served:
    """Load what `serve` is asked for: a strategy, all of the file's, or the shipped ones that can run.

    Raises ConfigError.
    """
    path = find_file(given, environment)
    if name is not None:
        document, strategy = find_strategy(path, name, environment)
        return _served(document, path if path is not None and document.name == str(path) else None, (strategy,))
    if path is not None:
        document = load_file(path, env=environment)
        return _served(document, path, document.file.strategies)
    shipped = [load_shipped(each, environment).file.strategies[0] for each in strategies.names()]
    usable = tuple(strategy for strategy in shipped if _can_run(strategy, environment))
    return Served("the shipped strategies", None, usable, ServerSettings())


def served_again(path: Path | None, text: str, names: Sequence[str], environment: Mapping[str, str]) -> Served:
    """Give what another process has loaded: these strategies of a file that held `text` then, or shipped ones.

    Raises ConfigError.
    """
    if path is None:
        shipped = [load_shipped(name, environment).file.strategies[0] for name in names]
        return Served("the shipped strategies", None, tuple(shipped), ServerSettings())
    document = load_text(text, str(path), env=environment, folder=path.absolute().parent)
    chosen = (strategy for strategy in document.file.strategies if strategy.name in names)
    return _served(document, path, tuple(chosen))


def _served(document: Document, path: Path | None, chosen: tuple[Strategy, ...]) -> Served:
    file = document.file
    formats = (
        strategy.monitoring.log_format
        for index, strategy in enumerate(file.strategies)
        if strategy in chosen and document.places.key("strategies", index, "monitoring", "log_format")
    )
    return Served(document.name, path, chosen, file.server, file.version, document.text, next(formats, None))


def _can_run(strategy: Strategy, environment: Mapping[str, str]) -> bool:
    """Tell whether a strategy has a first choice that nothing bars for good: its key is there, its GPU, its budget."""
    farm = Farm(strategy, environment=environment)
    limits = strategy.constraints
    if limits.daily_budget is not None or limits.monthly_budget is not None:
        return False
    return any(not target.barred for target in farm.routing.order)


@dataclass(slots=True)
class Shared:
    """What outlives a generation: connections, loaded models, and what is known of the targets' health."""

    environment: Mapping[str, str]
    sinks: tuple[Sink, ...] = ()
    progress: Callable[[Progress], None] | None = None
    health: Health = field(default_factory=Health)
    places: PlacesOf | None = None
    """Counts the places of a strategy where other processes serve it, too."""
    _upstreams: dict[str, Upstreams] = field(default_factory=dict)

    def farm(self, strategy: Strategy, version: str | None) -> Farm:
        """Build a farm over what is shared: strategies of one privacy mode have their connections in common."""
        mode = strategy.constraints.privacy_mode
        if mode not in self._upstreams:
            self._upstreams[mode] = Upstreams(mode, self.progress)
        log = LogSink(version, strategy.monitoring.log_level)
        return Farm(
            strategy,
            environment=self.environment,
            upstreams=self._upstreams[mode],
            sinks=(log, *self.sinks),
            health=self.health,
            places=self.places(strategy) if self.places is not None else None,
        )

    async def aclose(self) -> None:
        """Close every connection and let go of models."""
        upstreams, self._upstreams = list(self._upstreams.values()), {}
        for each in upstreams:
            await each.aclose()


class Serving:
    """A generation: entered by each request it answers, and closed when it is retired and the last has left."""

    def __init__(self, served: Served, shared: Shared) -> None:
        self.served = served
        self.since = int(time.time())
        """Unix seconds at which it was loaded."""
        self.body_limit = parse_bytes(served.settings.body_limit)
        """Bytes of one request."""
        self.bodies_limit = parse_bytes(served.settings.bodies_limit)
        """Bytes of all requests in flight."""
        self.farms = {strategy.name: shared.farm(strategy, served.version) for strategy in served.strategies}
        if not self.farms:
            raise ConfigError(f"{served.name}: no strategy can run here")
        self._named = self._names()
        self._busy = 0
        self._retired = False
        self.closed = False
        """Whether what is still being answered is left."""
        self._idle = asyncio.Event()

    def _names(self) -> dict[str, list[tuple[Farm, str | None]]]:
        """Collect what each name may mean, what is meant first first: strategies, then their targets and models."""
        names: dict[str, list[tuple[Farm, str | None]]] = {}
        for name, farm in self.farms.items():
            names.setdefault(name, []).append((farm, None))
        for farm in self.farms.values():
            for name in farm.routing.named:
                names.setdefault(name, []).append((farm, name))
        for strategy, farm in self.farms.items():
            for name in farm.routing.named:
                names.setdefault(f"{strategy}/{name}", []).append((farm, f"{strategy}/{name}"))
        return names

    async def open(self) -> None:
        """Make it ready to answer; nothing is connected to yet."""
        for farm in self.farms.values():
            await farm.__aenter__()

    async def aclose(self) -> None:
        """Leave what is still being answered, and close its farms."""
        self.closed = True
        for farm in self.farms.values():
            await farm.aclose()

    def find(self, model: str | None, may_use: Callable[[str], bool]) -> tuple[Farm, str | None]:
        """Give the farm a request's `model` means, and what to ask it for: None is its rules and its order.

        `may_use` says which strategies the caller may use. Raises UnknownModelError, which lists what there is.
        """
        for farm, name in self._meant(model):
            if may_use(farm.strategy.name):
                return farm, name
        known = ", ".join(self.names(may_use)) or "none"
        if model is None:
            raise UnknownModelError(f"this key may use none of the strategies that are served; it has: {known}")
        raise UnknownModelError(
            f"there is no strategy, target, alias or model called {model[:200]!r}; there is: {known}"
        )

    def _meant(self, model: str | None) -> Iterator[tuple[Farm, str | None]]:
        if model is None:
            return ((farm, None) for farm in self.farms.values())
        return iter(self._named.get(model, ()))

    def names(self, may_use: Callable[[str], bool]) -> list[str]:
        """List every name that `model` can be, strategies first; those with the strategy in front are left out."""
        mine = [farm for name, farm in self.farms.items() if may_use(name)]
        strategies_first = [farm.strategy.name for farm in mine]
        return list(dict.fromkeys([*strategies_first, *(name for farm in mine for name in farm.routing.named)]))

    def target_of(self, name: str) -> Target | None:
        """Give what is behind a name; None: a strategy, whose rules decide."""
        farm, target = self._named[name][0]
        return None if target is None else farm.routing.named[target]

    def owner_of(self, name: str) -> str:
        """Say who is behind a name: the vendor or application; of a strategy, this program."""
        target = self.target_of(name)
        return "llamafarm" if target is None else target.provider

    # Generations

    def enter(self) -> None:
        """Count a request in."""
        self._busy += 1

    def leave(self) -> None:
        """Count a request out."""
        self._busy -= 1
        if not self._busy and self._retired:
            self._idle.set()

    async def retire(self) -> None:
        """Wait for the last request of this generation, then close its farms."""
        self._retired = True
        if self._busy:
            await self._idle.wait()
        await self.aclose()
