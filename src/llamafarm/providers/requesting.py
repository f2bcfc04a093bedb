"""Sends an attempt's request and waits for its answer within the attempt's time, whatever the dialect."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from llamafarm.errors import (
    AttemptError,
    AttemptTimeoutError,
    BadReplyError,
    BadRequestError,
    ConnectError,
    CredentialsError,
)
from llamafarm.providers.failures import Peer, classify
from llamafarm.providers.finishing import is_interruption
from llamafarm.providers.stream import Limits
from llamafarm.transport import Endpoint
from llamafarm.transport.protocol import ERROR_BODY_LIMIT, PLAIN_BODY_LIMIT
from llamafarm.types import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from typing import Any

    from llamafarm.transport import Response, Transport
    from llamafarm.types import Attempt, Chunk, Target

    Classify = Callable[[int, Mapping[str, str], bytes, Peer], AttemptError]
    Judge = Callable[[int, Mapping[str, str], bytes, Target, Peer], Status]

__all__ = [
    "ELSEWHERE",
    "Whole",
    "check",
    "encode",
    "endpoint_of",
    "exchange",
    "headers_for",
    "named",
    "require_success",
]

ELSEWHERE = "a target in OpenAI's format may take it"
"""What a message advises where another format has no word for a request."""
_KEY = "{key}"
_CHECK_SECONDS = 5.0
_ERROR_BODY_SECONDS = 5.0
"""The status has decided already; the body only says why."""
_ERROR_BODY_SHARE = 0.8
"""Of the attempt's own time, which is not to end before the status has been heard."""
_SUCCESS, _REDIRECT = 200, 300

T = TypeVar("T")


def endpoint_of(target: Target) -> Endpoint:
    """Read a target's `base_url`. Raises `ConnectError` where there is none, or it is no URL."""
    if target.base_url is None:
        raise ConnectError(f"{target.provider}: the target {target.name!r} has no base_url; give it one")
    try:
        return Endpoint.parse(target.base_url)
    except ValueError as error:
        raise ConnectError(f"{target.provider}: {error}") from None


def headers_for(target: Target, peer: Peer) -> dict[str, str]:
    """Give a request's headers, by lower-case names, the key among them.

    A header whose value holds ``{key}`` is how the key is sent, and is left out where there is none; without such a
    header it is sent as a bearer token. Raises `CredentialsError` for a key that is not set or cannot be sent.
    """
    key = _key(target, peer)
    templates = {name.lower(): value for name, value in target.headers.items()}
    if "authorization" not in templates and not any(_KEY in value for value in templates.values()):
        templates["authorization"] = f"Bearer {_KEY}"
    headers = {"content-type": "application/json"}
    for name, value in templates.items():
        if _KEY not in value:
            headers[name] = value
        elif key is not None:
            headers[name] = value.replace(_KEY, key)
    return headers


def _key(target: Target, peer: Peer) -> str | None:
    secret = target.api_key
    if secret is None:
        return None
    if not secret.is_set:
        raise CredentialsError(f"{peer} needs an API key; set {secret.origin}")
    key = secret.reveal()
    if not key.isascii() or not key.isprintable():
        raise CredentialsError(f"{peer}: the API key from {secret.origin} holds a line break or an odd character")
    return key


def encode(body: Mapping[str, Any], peer: Peer) -> bytes:
    """Write a request's body as JSON. Raises `BadRequestError` where that cannot be."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise BadRequestError(f"{peer}: the request's text holds half a surrogate pair, which is no Unicode") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequestError(f"{peer}: the request cannot be written: {error}") from None


async def named(work: Awaitable[T], target: Target) -> T:
    """Put the provider's name in front of what the transport, which knows only hosts, says."""
    try:
        return await work
    except AttemptError as error:
        if str(error).startswith(f"{target.provider} "):
            raise
        raise type(error)(f"{target.provider}: {error}") from None


async def exchange(
    transport: Transport,
    endpoint: Endpoint,
    body: bytes,
    attempt: Attempt,
    *,
    streamed: bool,
    read: Callable[[Response, Peer, Limits], Awaitable[AsyncIterator[Chunk]]],
) -> AsyncIterator[Chunk]:
    """Post an attempt's body and give what `read` makes of the answer: a stream, or a `Whole` that is read already.

    A stream's headers, and all of a plain answer, are waited for until the attempt's time is up. Where `read` fails,
    the response is closed. Raises `AttemptError`.
    """
    target = attempt.target
    peer = Peer.of(target, endpoint)
    headers = headers_for(target, peer)
    limits = Limits.of(attempt, streamed=streamed)
    try:
        async with asyncio.timeout(limits.first_token - limits.started):
            response = await named(transport.post(endpoint, headers, body), target)
            try:
                return await named(read(response, peer, limits), target)
            except BaseException:
                response.close()
                raise
    except TimeoutError:
        raise _late(peer, limits, streamed=streamed) from None


def _late(peer: Peer, limits: Limits, *, streamed: bool) -> AttemptTimeoutError:
    if streamed:
        return limits.late(peer)
    return AttemptTimeoutError(f"{peer} sent no whole answer within {limits.first_token_seconds:g} s; {limits.advice}")


async def require_success(
    response: Response, peer: Peer, classify: Classify = classify, *, limits: Limits | None = None
) -> None:
    """Raise the error that a status other than 2xx stands for, as `classify` has it, within the attempt's `limits`."""
    if not _SUCCESS <= response.status < _REDIRECT:
        raise classify(response.status, response.headers, await _error_body(response, limits), peer)


async def _error_body(response: Response, limits: Limits | None) -> bytes:
    left = _ERROR_BODY_SECONDS if limits is None else _ERROR_BODY_SHARE * (limits.first_token - time.monotonic())
    try:
        async with asyncio.timeout(max(0.0, min(_ERROR_BODY_SECONDS, left))):
            return await response.read(ERROR_BODY_LIMIT, cut=True)
    except TimeoutError:
        return b""
    finally:
        response.close()


class Whole:
    """An answer that came in one piece: one chunk, and further ones only for what one cannot hold.

    Raises `BadReplyError` where a finish reason says that it was broken off.
    """

    __slots__ = ("_chunks",)

    def __init__(self, *chunks: Chunk) -> None:
        for chunk in chunks:
            if is_interruption(chunk.finish_reason):
                raise BadReplyError(f"ended its answer with an error (finish reason {str(chunk.finish_reason)[:60]!r})")
        self._chunks = list(reversed(chunks))

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        if not self._chunks:
            raise StopAsyncIteration
        return self._chunks.pop()

    async def aclose(self) -> None:
        """Give nothing more."""
        self._chunks = []


async def check(transport: Transport, target: Target, path: str, judge: Judge, *, query: str = "") -> Status:
    """Ask a target with a GET, whose answer `judge` turns into a status. Never raises for a target's failure."""
    try:
        endpoint = endpoint_of(target).join(path)
        if query:
            endpoint = replace(endpoint, query="&".join(filter(None, (endpoint.query, query))))
        peer = Peer.of(target, endpoint)
        async with asyncio.timeout(_CHECK_SECONDS):
            response = await named(transport.get(endpoint, headers_for(target, peer)), target)
            try:
                body = await response.read(PLAIN_BODY_LIMIT, cut=True)
            finally:
                response.close()
        return judge(response.status, response.headers, body, target, peer)
    except TimeoutError:
        return Status(ok=False, detail=f"{peer} did not answer within {_CHECK_SECONDS:g} s")
    except AttemptError as error:
        return Status(ok=False, detail=str(error))
