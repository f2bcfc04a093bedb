"""Does for a dialect of JSON over HTTP all that is not the dialect: sending, limits, statuses, cuts, cancelling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from llamafarm.errors import BadReplyError
from llamafarm.providers.decoding import MalformedError
from llamafarm.providers.failures import Peer
from llamafarm.providers.openai.check import read_models
from llamafarm.providers.plain import UNKNOWN, plain_body
from llamafarm.providers.requesting import Whole, check, encode, endpoint_of, exchange, require_success
from llamafarm.providers.stream import ChunkStream
from llamafarm.transport import SSEParser
from llamafarm.transport.protocol import PLAIN_BODY_LIMIT
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Event, Response, Transport
    from llamafarm.types import Attempt, Chunk, Status, Target

__all__ = ["JsonDialect"]

_STREAMED = (Operation.CHAT, Operation.COMPLETION)


class JsonDialect:
    """An upstream whose dialect is JSON over HTTP, and for streams one JSON document a server-sent event.

    A subclass says where (`path`), what is sent (`body`) and what an answer means (`chunk`). `base_url`,
    `key_variables` and `supports` stand for what a strategy file does not say.
    """

    path: ClassVar[str]
    """Where requests go, behind the target's `base_url`."""
    models_path: ClassVar[str] = "models"
    """What `check` asks for with a GET: a list of objects with `id` or `name` under `data` or `models`."""
    base_url: ClassVar[str | None] = None
    key_variables: ClassVar[tuple[str, ...]] = ()
    operations: ClassVar[tuple[str, ...]] = ("chat",)
    """What it can be asked for: ``chat``, ``completion``, ``embedding``, ``image``; nothing else reaches `body`."""
    supports: ClassVar[tuple[str, ...] | None] = None
    """Abilities of its models: ``vision``, ``tools``, ``json``, ``audio`` …; None: unknown, so all is tried."""
    takes: ClassVar[frozenset[str]] = UNKNOWN
    """What of other formats `body` can say, in the words of `providers.plain`. Anthropic's own blocks and fields of a
    client that wrote in that format do not reach it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def body(self, attempt: Attempt, *, streamed: bool) -> dict[str, Any]:
        """Give the request for an attempt, whose own `body` has OpenAI's format and stays as it is.

        What it leaves out, it notes on `attempt.notes`.
        """
        raise NotImplementedError

    def chunk(self, data: bytes) -> Chunk:
        """Read an event, or a whole plain answer; the last of a stream has a finish reason.

        Raises ValueError (msgspec's errors are such) where it is not one.
        """
        raise NotImplementedError

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Send a request; a stream's chunks follow as they come, a plain answer is one chunk and already there."""
        streamed = attempt.call.stream and attempt.call.operation in _STREAMED
        endpoint = endpoint_of(attempt.target).join(self.path)

        async def read(response: Response, peer: Peer, limits: Limits) -> AsyncIterator[Chunk]:
            await require_success(response, peer, limits=limits)
            if streamed:
                return _Stream(response, peer, limits, self.chunk)
            return Whole(self._whole(await response.read(PLAIN_BODY_LIMIT), peer))

        peer = Peer.of(attempt.target, endpoint)
        said = replace(attempt, body=plain_body(attempt, self.takes, peer))
        body = encode(self.body(said, streamed=streamed), peer)
        return await exchange(self._transport, endpoint, body, attempt, streamed=streamed, read=read)

    def _whole(self, data: bytes, peer: Peer) -> Chunk:
        try:
            chunk = self.chunk(data)
        except (ValueError, msgspec.MsgspecError) as error:
            raise BadReplyError(f"{peer} answered what is no answer ({error}); check base_url") from None
        if chunk.finish_reason is None:
            raise BadReplyError(f"{peer} gave an answer without a finish reason: it may be cut short")
        return chunk

    async def check(self, target: Target) -> Status:
        """Ask for the list of models, which costs nothing."""
        return await check(self._transport, target, self.models_path, read_models)

    async def aclose(self) -> None:
        """Let go of nothing: the transport belongs to whoever made it."""


class _Stream(ChunkStream):
    """A stream whose every event is read by the dialect's `chunk`; it ends with the body, or with ``[DONE]``."""

    __slots__ = ("_read",)

    def __init__(self, response: Response, peer: Peer, limits: Limits, read: Callable[[bytes], Chunk]) -> None:
        super().__init__(response, peer, limits, SSEParser())
        self._read = read

    def _take(self, event: Event) -> None:
        data = event.data.strip()
        if data == b"[DONE]":
            self._end()
        elif data:
            try:
                chunk = self._read(data)
            except (ValueError, msgspec.MsgspecError) as error:
                self._skip(MalformedError(str(error)))
            else:
                self._give(chunk)
