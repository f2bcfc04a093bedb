"""Gives what fills a gap in the format of legacy completions: from llama-server's own format, or from that of chat."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import msgspec

from llamafarm.errors import BadReplyError, UntranslatableError
from llamafarm.providers.complaints import read_inner
from llamafarm.providers.decoding import MalformedError, count, decode, says_nothing
from llamafarm.providers.failures import classify_inner
from llamafarm.providers.requesting import endpoint_of
from llamafarm.providers.stream import ChunkStream
from llamafarm.transport import SSEParser
from llamafarm.transport.protocol import PLAIN_BODY_LIMIT
from llamafarm.types import Chunk, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llamafarm.providers.failures import Peer
    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Endpoint, Event, Response
    from llamafarm.types import Attempt, Target

__all__ = ["AsCompletion", "InfillStream", "infill_body", "infill_endpoint", "read_infill"]

_SAME = ("temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty", "logit_bias")
"""What has one name in both formats."""
_PATH = "/v1"


class Piece(msgspec.Struct, gc=False):
    """An event, or a whole answer."""

    content: str = ""
    stop: bool = False
    stop_type: str = ""
    tokens_predicted: Any = None
    tokens_evaluated: Any = None
    error: msgspec.Raw = msgspec.Raw()


_piece = msgspec.json.Decoder(Piece)


def infill_endpoint(target: Target) -> Endpoint:
    """Give the place to ask: beside the OpenAI-compatible paths, not under them."""
    endpoint = endpoint_of(target)
    return replace(endpoint, path=endpoint.path.removesuffix(_PATH)).join("infill")


def infill_body(attempt: Attempt, peer: Peer, *, streamed: bool) -> dict[str, Any]:
    """Write a completion with a suffix in this format. Raises `UntranslatableError` for a prompt that is no text."""
    given = attempt.body
    prompt, suffix = given.get("prompt"), given.get("suffix")
    if not isinstance(prompt, str) or not isinstance(suffix, str):
        raise UntranslatableError(
            f"{peer} fills in between two texts: the prompt and the suffix have to be one text each"
        )
    body = {"input_prefix": prompt + attempt.beginning, "input_suffix": suffix, "prompt": "", "stream": streamed}
    body |= {name: given[name] for name in _SAME if given.get(name) is not None}
    limit = given.get("max_tokens") or given.get("max_completion_tokens")
    if limit is not None:
        body["n_predict"] = limit
    if given.get("stop"):
        body["stop"] = [given["stop"]] if isinstance(given["stop"], str) else list(given["stop"])
    return body


async def read_infill(response: Response, target: Target, peer: Peer) -> Chunk:
    """Read a plain answer into the one chunk it is. Raises `BadReplyError` where it is not one, or not complete."""
    body = await response.read(PLAIN_BODY_LIMIT)
    try:
        piece, body = decode(_piece, body)
    except MalformedError as error:
        raise BadReplyError(f"{peer} answered what is no answer ({error}); is this llama-server?") from None
    if not says_nothing(piece.error):
        raise classify_inner(read_inner(body), peer)
    if not piece.stop:
        raise BadReplyError(f"{peer} gave an answer without its end: it may be cut short")
    return _chunk(piece, target)


class InfillStream(ChunkStream):
    """The chunks of one streamed answer; the event that says ``stop`` ends it."""

    __slots__ = ("_target",)

    def __init__(self, response: Response, target: Target, peer: Peer, limits: Limits) -> None:
        super().__init__(response, peer, limits, SSEParser())
        self._target = target

    def _take(self, event: Event) -> None:
        data = event.data.strip()
        if not data or data == b"[DONE]":
            return
        try:
            piece, data = decode(_piece, data)
        except MalformedError as error:
            self._skip(error)
            return
        if not says_nothing(piece.error):
            self._fail(classify_inner(read_inner(data), self._peer, begun=self._begun))
            return
        self._give(_chunk(piece, self._target))
        if piece.stop:
            self._end()


def _chunk(piece: Piece, target: Target) -> Chunk:
    finish = None
    if piece.stop:
        finish = "length" if piece.stop_type == "limit" else "stop"
    usage = None
    given, made = count(piece.tokens_evaluated), count(piece.tokens_predicted)
    if piece.stop and given is not None and made is not None:
        usage = Usage(given, made)
    event: Mapping[str, Any] = {
        "id": "cmpl-infill",
        "object": "text_completion",
        "created": int(time.time()),
        "model": target.model,
        "choices": [{"index": 0, "text": piece.content, "logprobs": None, "finish_reason": finish}],
    }
    if usage is not None:
        total = usage.input_tokens + usage.output_tokens
        counts = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens, "total_tokens": total}
        event = {**event, "usage": counts}
    return Chunk(msgspec.json.encode(event), piece.content, finish_reason=finish, usage=usage)


class AsCompletion:
    """The chunks of an answer in the format of chat, each with the bytes of a legacy completion."""

    def __init__(self, events: AsyncIterator[Chunk]) -> None:
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        chunk = await anext(self._events)
        if chunk.raw:
            event: dict[str, Any] = msgspec.json.decode(chunk.raw)
            choices = [_as_legacy(choice) for choice in event.get("choices") or ()]
            chunk.raw = msgspec.json.encode({**event, "object": "text_completion", "choices": choices})
        return chunk

    async def aclose(self) -> None:
        """Cancel the request at the target at once."""
        await self._events.aclose()  # type: ignore[attr-defined]  # every upstream's iterator has one


def _as_legacy(choice: Mapping[str, Any]) -> dict[str, Any]:
    message = choice.get("delta") or choice.get("message") or {}
    rest = {name: value for name, value in choice.items() if name not in ("delta", "message")}
    return {"logprobs": None, **rest, "text": message.get("content") or ""}
