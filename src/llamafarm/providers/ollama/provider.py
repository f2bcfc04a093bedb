"""Speaks Ollama's own API, for its OpenAI-format one cannot say how long a context is, and cuts long prompts silently.

What of a request Ollama has no word for is left out, and `Attempt.notes` says so; a prompt that does not fit is an
error. Under ``local_only`` a model is asked for only once Ollama has said that it runs it itself.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from llamafarm.continuing import Continued
from llamafarm.errors import AttemptError, BadRequestError, UntranslatableError
from llamafarm.providers.failures import Peer
from llamafarm.providers.ollama.check import read_models, read_version
from llamafarm.providers.ollama.reply import read_answer
from llamafarm.providers.ollama.request import request_of
from llamafarm.providers.ollama.show import Shown
from llamafarm.providers.requesting import ELSEWHERE, check, encode, endpoint_of, exchange
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from llamafarm.providers import Provider
    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Endpoint, Response, Transport
    from llamafarm.types import Attempt, Chunk, Status, Target

__all__ = ["Ollama"]

_THINK_REFUSED = re.compile(r"(?i)\bthink\b.{0,20}value|invalid think")
_OTHER_PATHS = ("/v1", "/api")
"""What people write behind the address for other programs; this one needs the address alone."""


class Ollama:
    """An upstream for every target whose dialect is ``ollama``. Holds its transport, and for a minute what it asked."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._shown = Shown(transport)

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Send a request; a stream's chunks follow as they come, a plain answer is one chunk and already there."""
        operation = attempt.call.operation
        streamed = attempt.call.stream and operation is not Operation.EMBEDDING
        home = endpoint_of(_without_path(attempt.target))
        peer = Peer.of(attempt.target, home)
        try:
            path, body = request_of(attempt, peer, streamed=streamed)
        except UntranslatableError as error:
            raise UntranslatableError(f"{error}; {ELSEWHERE}") from None
        if attempt.target.privacy == "local_only":
            await self._shown.require_local(attempt, home, peer)
        if body.get("think"):
            await self._adapt_thinking(body, attempt, home, peer)

        async def read(response: Response, peer: Peer, limits: Limits) -> AsyncIterator[Chunk]:
            return await read_answer(response, peer, limits, operation, streamed=streamed)

        async def ask() -> AsyncIterator[Chunk]:
            data = encode(body, peer)
            return await exchange(self._transport, home.join(path), data, attempt, streamed=streamed, read=read)

        try:
            events = await ask()
        except BadRequestError as error:
            if not isinstance(body.get("think"), str) or not _THINK_REFUSED.search(str(error)):
                raise
            # Up to 0.13 or so only few models may be told how hard to think; the others think or do not.
            attempt.notes.append(f"think {body['think']} sent as true: {attempt.target.model} takes no other")
            body["think"] = True
            events = await ask()
        if not attempt.beginning:
            return events
        # Whether a model goes on or begins anew is for its template to say.
        return Continued(events, body["messages"][-1]["content"] if "messages" in body else attempt.beginning)

    async def _adapt_thinking(self, body: dict[str, Any], attempt: Attempt, home: Endpoint, peer: Peer) -> None:
        """Leave `think` out for a model that would refuse the request for it."""
        try:
            facts = await self._shown.of(attempt, home, peer)
        except AttemptError:
            return  # the request itself will meet the same failure, and say so better
        if facts.abilities is not None and "thinking" not in facts.abilities:
            del body["think"]
            attempt.notes.append(f"{attempt.target.model} does not reason: reasoning_effort was left out")

    async def check(self, target: Target) -> Status:
        """Ask for Ollama's version, then for the models it has, which costs nothing."""
        here = _without_path(target)
        status = await check(self._transport, here, "api/version", read_version)
        return await check(self._transport, here, "api/tags", read_models) if status.ok else status

    async def aclose(self) -> None:
        """Let go of nothing: the transport belongs to whoever made it."""


def _without_path(target: Target) -> Target:
    """Give the target without what its address has behind it for other programs."""
    url = (target.base_url or "").rstrip("/")
    if not url.endswith(_OTHER_PATHS) or (url.startswith("unix:") and url.count(":") == 1):
        return target
    for path in _OTHER_PATHS:
        url = url.removesuffix(path)
    return dataclasses.replace(target, base_url=url)


if TYPE_CHECKING:
    _: Provider = Ollama
