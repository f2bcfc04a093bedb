"""Decides which kind of failure Ollama's ``{"error": "text"}`` stands for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import (
    AttemptError,
    BadRequestError,
    ContextExceededError,
    ModelMissingError,
    StreamCutError,
    TransientError,
    UntranslatableError,
)
from llamafarm.providers import failures
from llamafarm.providers.complaints import read_complaint, read_inner
from llamafarm.providers.decoding import loosely
from llamafarm.providers.masking import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.providers.failures import Peer

__all__ = ["classify", "classify_inner"]

_TOO_LONG = re.compile(r"(?i)exceeds the (?:available )?context (?:length|size)")
_UNABLE = re.compile(r"(?i)\bdoes not support \w+|missing data required for image input")
"""How a request is refused that another model may take: one without tools, pictures, fill-in-the-middle …"""
_INTERNAL = 500


def classify(status: int, headers: Mapping[str, str], body: bytes, peer: Peer) -> AttemptError:
    """Turn an answer with a status other than 2xx into the error it stands for.

    Since 0.30 an error of the engine behind it (llama-server) comes as that engine's whole JSON inside the text.
    """
    try:
        said = loosely(body)
    except (ValueError, RecursionError):
        return failures.classify(status, headers, body, peer)
    said = _unwrapped(said)
    error = failures.classify(status, headers, msgspec.json.encode(said), peer)
    if isinstance(error, TransientError) and status == _INTERNAL and _TOO_LONG.search(str(error)):
        return ContextExceededError(str(error), upstream_status=status)  # some versions' embedding says so with 500
    if type(error) is BadRequestError and _UNABLE.search(str(error)):
        return UntranslatableError(str(error), upstream_status=status)
    if isinstance(error, ModelMissingError) and isinstance(said, dict) and "error" in said:
        reason = one_line(read_complaint(said).message, peer.secrets)
        advice = f"fetch it with `ollama pull {peer.model}`"
        return ModelMissingError(f"{peer} answered {status}: {reason}; {advice}", upstream_status=status)
    return error


def classify_inner(data: bytes, peer: Peer, *, begun: bool = False) -> AttemptError:
    """Turn an error inside an answer with status 200 into the error it stands for; once `begun`, that is a cut."""
    try:
        complaint = read_complaint(_unwrapped(loosely(data)))
    except (ValueError, RecursionError):
        complaint = read_inner(data)
    error = failures.classify_inner(complaint, peer, begun=begun)
    if begun and not isinstance(error, StreamCutError):
        return StreamCutError(str(error), upstream_status=error.upstream_status, code=error.code)
    return error


def _unwrapped(said: Any) -> Any:
    inner = said.get("error") if isinstance(said, dict) else None
    if not isinstance(inner, str) or not inner.lstrip().startswith("{"):
        return said
    try:
        unwrapped = msgspec.json.decode(inner)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return said
    return unwrapped if isinstance(unwrapped, dict) and unwrapped.get("error") else said
