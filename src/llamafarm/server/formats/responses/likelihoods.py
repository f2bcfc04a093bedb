"""Reads how likely each token of an answer was, from the bytes of targets that speak OpenAI's format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from llamafarm.server.formats.protocol import passes_through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamafarm.reply import Reply
    from llamafarm.types import Chunk

__all__ = ["likelihoods_in", "without_bytes"]


class _Candidate(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Token(_Candidate):
    top_logprobs: Annotated[list[_Candidate], msgspec.Meta(max_length=32)] | None = None


class _Likelihoods(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    logprobs: _Likelihoods | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None


_events = msgspec.json.Decoder(_Event)


def likelihoods_in(chunk: Chunk, reply: Reply) -> list[dict[str, Any]]:
    """Give the tokens of a chunk as an output text's `logprobs`; none where the target says nothing readable."""
    if not passes_through(chunk, reply, "openai"):
        return []
    try:
        event = _events.decode(chunk.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    found = event.choices[0].logprobs if event.choices else None
    return [
        {**_candidate(token), "top_logprobs": [_candidate(other) for other in token.top_logprobs or ()]}
        for token in (found and found.content) or ()
    ]


def without_bytes(tokens: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the same as the events of a text have it: the tokens' bytes stand only in the part they end up in."""
    return [
        {
            "token": token["token"],
            "logprob": token["logprob"],
            "top_logprobs": [{"token": other["token"], "logprob": other["logprob"]} for other in token["top_logprobs"]],
        }
        for token in tokens
    ]


def _candidate(token: _Candidate) -> dict[str, Any]:
    raw = list(token.token.encode()) if token.bytes is None else token.bytes
    return {"token": token.token, "logprob": token.logprob, "bytes": raw}
