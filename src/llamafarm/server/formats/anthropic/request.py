"""Reads a request of the Messages API into a call: in OpenAI's format for the planning, and as it came."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from llamafarm.errors import BadCallError
from llamafarm.server.formats.anthropic.conversation import messages_of
from llamafarm.server.formats.anthropic.fields import NUMBER, OBJECT, SWITCH, TEXT, WHOLE, optional, required, texts
from llamafarm.server.formats.anthropic.tools import effort_in, format_of, tool_fields
from llamafarm.server.formats.reading import call_of
from llamafarm.types import Native, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call

__all__ = ["DIALECT", "read_count", "read_messages"]

DIALECT: Final = "anthropic"
_READ = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "metadata",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "service_tier",
    }
)
"""Any other field is kept under its own name: it may be billed, and planning has to see it."""
_TIERS = {"standard_only": "default"}
_BETA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_BETAS = 64


def read_messages(body: Mapping[str, Any], head: Head) -> Call:
    """Read a request for an answer. Raises `BadCallError`, which names the field as Anthropic does."""
    limit = required(body, "max_tokens", WHOLE)
    if limit < 1:
        raise BadCallError("max_tokens: Input should be greater than or equal to 1")
    return _read(body, head, {"max_tokens": limit})


def read_count(body: Mapping[str, Any], head: Head) -> Call:
    """Read a request for the number of tokens a prompt has: it has no limit, and nothing is sent. Raises the same."""
    return _read({name: value for name, value in body.items() if name not in ("max_tokens", "stream")}, head, {})


def _read(body: Mapping[str, Any], head: Head, limits: dict[str, Any]) -> Call:
    model = required(body, "model", TEXT)
    read: dict[str, Any] = {"model": model, "messages": messages_of(body), **limits, **_settings(body)}
    metadata = optional(body, "metadata", OBJECT) or {}
    user = optional(metadata, "user_id", TEXT, "metadata")
    if user:
        read["user"] = user
    read |= tool_fields(body)
    if (effort := effort_in(body)) is not None:
        read["reasoning_effort"] = effort
    if (form := format_of(body)) is not None:
        read["response_format"] = form
    read |= {name: value for name, value in body.items() if name not in _READ and value is not None}
    call = call_of({**read, "metadata": metadata}, head, Operation.CHAT, own=("metadata",))
    call.native = Native(DIALECT, body, _headers(head))
    return call


def _settings(body: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {
        "temperature": optional(body, "temperature", NUMBER),
        "top_p": optional(body, "top_p", NUMBER),
        "top_k": optional(body, "top_k", WHOLE),
        "stop": texts(body, "stop_sequences") or None,
        "stream": optional(body, "stream", SWITCH),
    }
    tier = optional(body, "service_tier", TEXT)
    given["service_tier"] = _TIERS.get(tier, tier)
    return {name: value for name, value in given.items() if value is not None}


def _headers(head: Head) -> dict[str, str]:
    """Give what of the headers belongs to the request: the names of betas, and nothing that is not such a name."""
    names = [name.strip() for name in head.headers.get("anthropic-beta", "").split(",")]
    betas = [name for name in names if _BETA.fullmatch(name)][:_MOST_BETAS]
    return {"anthropic-beta": ",".join(betas)} if betas else {}
