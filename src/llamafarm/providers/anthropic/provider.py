"""Speaks Anthropic's Messages format; a request, which is in OpenAI's, is translated on the way, and so is the reply.

A request that its client wrote in Anthropic's format is sent as it came (`providers.anthropic.native`).

What Anthropic cannot be asked for is left out or translated, and noted in `Attempt.notes`; what would make another
answer of it (``n`` above 1, audio) is left to others. A schema for the answer is sent as `output_config.format`; to a
model without it as a tool that has to be called, whose arguments then are the answer's text. ``pause_turn``, at which
the vendor breaks off a long turn of its own tools, is the finish reason ``length``: it is not the whole answer.

Where a model deviates, `Target.quirks` says so by these words:

======================== ===============================================================================================
``always_thinks``        thinking cannot be switched off: it is asked for low effort instead
``no_beginning``         goes on from no given beginning: a request that ends with one is left to others
``no_adaptive_thinking`` thinks only up to a budget of tokens: `reasoning_effort` becomes one, within `max_tokens`
``no_effort``            `output_config.effort` is refused
``no_forced_tools``      a tool cannot be forced: `tool_choice` is sent as ``auto``
``no_json_schema``       has no structured outputs, and no strict tools
``no_max_effort``        the effort ``max`` is refused: a lower one is sent
``no_temperature``       sampling parameters are refused: `temperature`, `top_p` and `top_k` are left out
``no_thinking``          does not think: `reasoning_effort` and `thinking` are left out
``no_thinking_budget``   takes no budget: `thinking` of the type ``enabled`` is sent as ``adaptive``
``no_xhigh_effort``      the effort ``xhigh`` is refused: ``high`` is sent
``one_sampler``          `temperature` and `top_p` are refused together: `top_p` is left out
``system_in_turns``      takes a system message inside the conversation, behind a turn of the user's
``thinks_between_tools`` thinking can be switched off only outside of tool use: ``between_tools`` is sent
``thinks_unasked``       thinks unless told not to: in a stream it is asked to show a summary of it
======================== ===============================================================================================
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from llamafarm.continuing import Continued, callers_own, without_trailing_space
from llamafarm.errors import BadReplyError, UntranslatableError
from llamafarm.providers.anthropic.native import native_request, with_headers
from llamafarm.providers.anthropic.reply import chunks_of_message, decode_message
from llamafarm.providers.anthropic.request import translate
from llamafarm.providers.anthropic.stream import AnthropicStream
from llamafarm.providers.complaints import read_inner
from llamafarm.providers.decoding import MalformedError
from llamafarm.providers.failures import Peer, classify_inner
from llamafarm.providers.openai.check import read_models
from llamafarm.providers.requesting import ELSEWHERE, Whole, check, encode, endpoint_of, exchange, require_success
from llamafarm.transport.protocol import PLAIN_BODY_LIMIT
from llamafarm.types import Operation, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llamafarm.providers import Provider
    from llamafarm.providers.anthropic.request import Translation
    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Endpoint, Response, Transport
    from llamafarm.types import Attempt, Chunk, Target

__all__ = ["Anthropic"]

_OK = 200
_ALL = "limit=1000"
"""A page of the list of models has 20 unless it is asked for more."""


class Anthropic:
    """An upstream for every target whose dialect is ``anthropic``. Holds nothing but its transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Send a request; a stream's chunks follow as they come, a plain answer is one chunk and already there."""
        endpoint = endpoint_of(attempt.target).join(_path(attempt.target, "messages"))
        peer = Peer.of(attempt.target, endpoint)
        streamed = attempt.call.stream
        translation = _translated(attempt, peer)
        attempt.notes += translation.notes

        async def read(response: Response, peer: Peer, limits: Limits) -> AsyncIterator[Chunk]:
            await require_success(response, peer, limits=limits)
            if not streamed:
                return await _read_whole(response, peer, endpoint, translation.answer_tool)
            await _require_stream(response, peer, endpoint)
            return AnthropicStream(response, peer, limits, translation.answer_tool)

        body = encode(translation.body, peer)
        events = await exchange(self._transport, endpoint, body, with_headers(attempt), streamed=streamed, read=read)
        if not attempt.beginning:
            return events
        given, cut = without_trailing_space(attempt.beginning)
        return Continued(events, callers_own(attempt.body.get("messages")) + given, cut=cut)

    async def check(self, target: Target) -> Status:
        """Ask for the list of models, and for the model itself where its name is not in it: it may be an alias."""
        path = _path(target, "models")
        status = await check(self._transport, target, path, read_models, query=_ALL)
        if status.ok or not status.models:
            return status
        alias = await check(self._transport, target, f"{path}/{quote(target.model, safe='')}", _read_model)
        return replace(alias, models=status.models) if alias.ok else status

    async def aclose(self) -> None:
        """Let go of nothing: the transport belongs to whoever made it."""


def _path(target: Target, name: str) -> str:
    """Give a path behind a `base_url`, which people write with and without its ``/v1``."""
    path = (target.base_url or "").partition("?")[0].rstrip("/")
    return name if path.endswith("/v1") else f"v1/{name}"


def _read_model(status: int, _headers: Mapping[str, str], body: bytes, _target: Target, peer: Peer) -> Status:
    try:
        known = status == _OK and isinstance(msgspec.json.decode(body, type=dict[str, object]).get("id"), str)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        known = False
    return Status(ok=known, detail=f"{peer} answers" if known else f"{peer} does not know the model")


def _translated(attempt: Attempt, peer: Peer) -> Translation:
    if attempt.call.operation is not Operation.CHAT:
        raise UntranslatableError(f"{peer} takes chat requests only, not {attempt.call.operation}; {ELSEWHERE}")
    target = attempt.target
    try:
        return native_request(attempt) or translate(
            attempt.body,
            target.quirks,
            max_output=target.max_output,
            beginning=attempt.beginning,
            streamed=attempt.call.stream,
        )
    except UntranslatableError as error:
        raise UntranslatableError(f"{peer}: the request cannot be translated: {error}; {ELSEWHERE}") from None


async def _read_whole(response: Response, peer: Peer, endpoint: Endpoint, answer_tool: str | None) -> Whole:
    body = await response.read(PLAIN_BODY_LIMIT)
    try:
        message, raw = decode_message(body)
        if message.type == "error" or bytes(message.error) not in (b"", b"null"):
            raise classify_inner(read_inner(raw), peer)
        return Whole(*chunks_of_message(message, raw, answer_tool))
    except MalformedError as error:
        raise _not_an_answer(f"what is no answer ({error})", peer, endpoint) from None


async def _require_stream(response: Response, peer: Peer, endpoint: Endpoint) -> None:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        await _read_whole(response, peer, endpoint, None)  # an error in the place of a stream says more
        raise _not_an_answer(f"{kind} instead of a stream", peer, endpoint)
    if kind == "text/html":
        raise _not_an_answer(kind, peer, endpoint)


def _not_an_answer(what: str, peer: Peer, endpoint: Endpoint) -> BadReplyError:
    return BadReplyError(f"{peer} answered {what} at {endpoint.shown}; is this an Anthropic-compatible endpoint?")


if TYPE_CHECKING:
    _: Provider = Anthropic
