"""Speaks OpenAI's format: to OpenAI, groq, together, deepseek, mistral, vLLM, TGI, llama-server and the many like them.

Where a vendor deviates from it, `Target.quirks` says so by these words:

============================ ===========================================================================================
``no_stream_options``        `stream_options` is refused; usage comes without being asked for
``max_completion_tokens``    `max_tokens` is refused: it is sent as `max_completion_tokens`
``no_max_completion_tokens`` the other way round
``random_seed``              `seed` is called `random_seed`
``no_temperature``           sampling parameters are refused: `temperature` and `top_p` are left out
``no_penalties``             `frequency_penalty` and `presence_penalty` are left out
``no_stop``                  `stop` is left out
``no_seed``                  `seed` is left out
``no_logprobs``              `logprobs` and `top_logprobs` are left out
``no_parallel_tool_calls``   `parallel_tool_calls` is left out
``no_reasoning_effort``      `reasoning_effort` is left out
``no_store``                 `store` is left out
``no_user``                  `user` is left out
``no_developer_role``        messages of the role `developer` are sent as `system`
``stores``                   keeps requests unless told `store: false`; changes nothing here, planning reads it
============================ ===========================================================================================
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llamafarm.errors import AttemptError, AttemptTimeoutError
from llamafarm.providers.failures import Peer
from llamafarm.providers.openai_check import read_models
from llamafarm.providers.openai_reply import named, read_whole, require_answer
from llamafarm.providers.openai_request import body_of, endpoint_of, headers_for
from llamafarm.providers.openai_stream import ChunkStream, Limits
from llamafarm.transport.protocol import PLAIN_BODY_LIMIT
from llamafarm.types import Chunk, Operation, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llamafarm.providers import Provider
    from llamafarm.transport import Transport
    from llamafarm.types import Attempt, Target

__all__ = ["OpenAI"]

_PATHS = {
    Operation.CHAT: "chat/completions",
    Operation.COMPLETION: "completions",
    Operation.EMBEDDING: "embeddings",
}
_CHECK_SECONDS = 5.0


class OpenAI:
    """An upstream for every target whose dialect is ``openai``. Holds nothing but its transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Send a request; a stream's chunks follow as they come, a plain answer is one chunk and already there."""
        target = attempt.target
        endpoint = endpoint_of(target).join(_PATHS[attempt.call.operation])
        peer = Peer.of(target, endpoint)
        headers = headers_for(target, peer)
        streamed = attempt.call.stream and attempt.call.operation is not Operation.EMBEDDING
        body = body_of(attempt, peer, streamed=streamed)
        limits = Limits.of(attempt, streamed=streamed)
        try:
            async with asyncio.timeout(limits.first_token - limits.started):
                response = await named(self._transport.post(endpoint, headers, body), target)
                try:
                    await require_answer(response, peer, endpoint, streamed=streamed)
                    if streamed:
                        return ChunkStream(response, peer, limits)
                    chunk = await named(read_whole(response, attempt.call, peer, endpoint), target)
                except BaseException:
                    response.close()
                    raise
        except TimeoutError:
            raise _late(peer, limits, streamed=streamed) from None
        return _Whole(chunk)

    async def check(self, target: Target) -> Status:
        """Ask for the list of models, which costs nothing."""
        try:
            endpoint = endpoint_of(target).join("models")
            peer = Peer.of(target, endpoint)
            async with asyncio.timeout(_CHECK_SECONDS):
                response = await named(self._transport.get(endpoint, headers_for(target, peer)), target)
                try:
                    body = await response.read(PLAIN_BODY_LIMIT, cut=True)
                finally:
                    response.close()
            return read_models(response.status, response.headers, body, target, peer)
        except TimeoutError:
            return Status(ok=False, detail=f"{peer} did not answer within {_CHECK_SECONDS:g} s")
        except AttemptError as error:
            return Status(ok=False, detail=str(error))

    async def aclose(self) -> None:
        """Let go of nothing: the transport belongs to whoever made it."""


class _Whole:
    """An answer that came in one piece."""

    __slots__ = ("_chunk",)

    def __init__(self, chunk: Chunk) -> None:
        self._chunk: Chunk | None = chunk

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Give nothing more."""
        self._chunk = None


def _late(peer: Peer, limits: Limits, *, streamed: bool) -> AttemptTimeoutError:
    if streamed:
        return limits.late(peer)
    return AttemptTimeoutError(
        f"{peer} sent no whole answer within {limits.first_token_seconds:g} s; "
        f"the server may be overloaded, or raise timeout",
    )


if TYPE_CHECKING:
    _: Provider = OpenAI
