"""Asks Ollama what it knows of a model: whether it really runs on this machine, and whether it can reason."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import AttemptError, BlockedError, ConnectError, ModelMissingError
from llamafarm.providers.ollama.failures import classify
from llamafarm.providers.requesting import encode, headers_for, named, require_success
from llamafarm.transport.protocol import PLAIN_BODY_LIMIT

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer
    from llamafarm.transport import Endpoint, Transport
    from llamafarm.types import Attempt, Target

__all__ = ["Facts", "Shown", "is_cloud_name"]

_KEPT_SECONDS = 60.0
"""So long what a model can do is believed: it can be replaced by another of the same name."""
_SHOW_SECONDS = 5.0
_CLOUD_NAMES = ("-cloud", ":cloud")


def is_cloud_name(model: str) -> bool:
    """Whether a name says that Ollama has the model run in its cloud."""
    return model.lower().endswith(_CLOUD_NAMES)


@dataclass(frozen=True, slots=True)
class Facts:
    """What Ollama says of one model."""

    remote: str = ""
    """Where it runs, if not here."""
    abilities: frozenset[str] | None = None
    """Ollama's own words for what it can do (``thinking``, ``tools`` …); None: unknown."""
    asked: float = field(default_factory=time.monotonic)
    """Monotonic seconds."""


class Shown:
    """The facts of models, by target. That a model runs here is never believed: it is asked anew for each prompt."""

    __slots__ = ("_facts", "_transport")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._facts: dict[tuple[object, ...], Facts] = {}

    async def require_local(self, attempt: Attempt, home: Endpoint, peer: Peer) -> None:
        """Raise `BlockedError` unless the model is known to run on this machine; other `AttemptError` as it fails."""
        target = attempt.target
        what = f"{peer}: privacy_mode is local_only, and"
        if is_cloud_name(target.model):
            raise BlockedError(f"{what} {target.model} runs in Ollama's cloud; name a model that it runs here")
        try:
            facts = await self._asked(attempt, home, peer)
        except (BlockedError, ConnectError, ModelMissingError):
            raise
        except AttemptError as error:
            raise BlockedError(
                f"{what} Ollama does not say whether {target.model} runs here ({error}); "
                f"see its own log, or update it to a version whose /api/show answers"
            ) from error
        if facts.remote:
            raise BlockedError(
                f"{what} Ollama has {target.model} run at {facts.remote}; name a model that it runs here"
            )

    async def of(self, attempt: Attempt, home: Endpoint, peer: Peer) -> Facts:
        """Give a model's facts, asked for now or within the last minute. Raises `AttemptError`."""
        known = self._facts.get(attempt.target.identity)
        if known is not None and time.monotonic() - known.asked < _KEPT_SECONDS:
            return known
        return await self._asked(attempt, home, peer)

    async def _asked(self, attempt: Attempt, home: Endpoint, peer: Peer) -> Facts:
        seconds = max(0.0, min(_SHOW_SECONDS, attempt.deadline - time.monotonic()))
        try:
            async with asyncio.timeout(seconds):
                facts = await self._ask(attempt.target, home, peer)
        except TimeoutError:
            raise AttemptError(f"{peer} said nothing of the model within {seconds:.1f} s") from None
        self._facts[attempt.target.identity] = facts
        return facts

    async def _ask(self, target: Target, home: Endpoint, peer: Peer) -> Facts:
        body = encode({"model": target.model}, peer)
        response = await named(self._transport.post(home.join("api/show"), headers_for(target, peer), body), target)
        try:
            await require_success(response, peer, classify)
            return _read(await named(response.read(PLAIN_BODY_LIMIT), target), peer)
        finally:
            response.close()


def _read(body: bytes, peer: Peer) -> Facts:
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    if not isinstance(said, dict) or not ({"details", "model_info", "modelfile"} & said.keys()):
        raise AttemptError(f"{peer} answered something else than a model's description")
    abilities = said.get("capabilities")
    remote = said.get("remote_host") or said.get("remote_model") or ""
    return Facts(
        str(remote)[:200],
        frozenset(word for word in abilities if isinstance(word, str)) if isinstance(abilities, list) else None,
    )
