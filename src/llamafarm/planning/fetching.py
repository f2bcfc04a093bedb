"""Finds what in a request would have whoever answers it reach out to other machines: addresses to fetch, searches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["asked_fetches"]

_OWN_TOOLS = (None, "function", "custom")
"""Kinds of tools that the caller carries out; any other runs where the model does."""
_FIELDS = (
    "container",
    "enable_search",
    "kv_transfer_params",
    "mcp_servers",
    "plugins",
    "search_parameters",
    "web_search",
    "web_search_options",
)
"""Fields that ask for it by being there: an empty object is a search with a vendor's own settings."""
_NOT_ASKED: tuple[Any, ...] = (None, False, [], ())
_TEXTS = frozenset(
    (
        "chat_template",
        "functions",
        "grammar",
        "input",
        "json_schema",
        "logit_bias",
        "messages",
        "metadata",
        "output_config",
        "prediction",
        "prompt",
        "response_format",
        "stop",
        "stop_sequences",
        "suffix",
        "system",
        "tools",
        "user",
    )
)
"""Fields of a request that hold words or schemas, in which an address is only written, or that are looked at apart."""
_TEXTS_OF_MESSAGES = frozenset(
    ("content", "function_call", "name", "reasoning", "reasoning_content", "reasoning_details", "refusal", "role")
) | {"thinking_blocks", "tool_call_id", "tool_calls", "tool_name"}
_PLACE = re.compile(r"(?:url|uri|host|hostname|addr|address|endpoint)s?$")
"""How fields are called in which a machine is named."""
_SCHEME = re.compile(r"\s*(?!data:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def asked_fetches(body: Mapping[str, Any]) -> Iterator[str]:
    """Name each such thing in a body in OpenAI's format. A part of an unknown shape is looked through, too."""
    named = [name for name in _FIELDS if body.get(name) not in _NOT_ASKED]
    yield from named
    for name, value in body.items():
        if name not in _TEXTS and name not in named:
            yield from _addresses({name: value})
    yield from (f"the tool {tool['type']}" for tool in _mappings(body.get("tools")) if _runs_there(tool))
    for message in _mappings(body.get("messages")):
        for part in _mappings(message.get("content")):
            yield from _addresses(part)
        yield from _addresses({name: value for name, value in message.items() if name not in _TEXTS_OF_MESSAGES})
    for key in ("input", "prompt"):
        for part in _mappings(body.get(key)):
            yield from _addresses(part)


def _runs_there(tool: Mapping[str, Any]) -> bool:
    return tool.get("type") not in _OWN_TOOLS


def _addresses(part: Mapping[str, Any]) -> Iterator[str]:
    """Give the keys under which a part has an address in place of the thing itself, whatever kind of part it is."""
    waiting: list[tuple[str, Any]] = [(str(key), value) for key, value in part.items() if key not in ("text", "type")]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend((key if name == "url" else str(name), inner) for name, inner in value.items())
        elif isinstance(value, list | tuple):
            waiting.extend((key, inner) for inner in value)
        elif isinstance(value, str) and _is_address(key, value):
            yield key


def _is_address(key: str, value: str) -> bool:
    start = value[:40].lstrip().lower()
    named = _PLACE.search(key.lower()) is not None and bool(start) and not start.startswith("data:")
    return named or start.startswith(("http:", "https:")) or _SCHEME.match(start) is not None


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
