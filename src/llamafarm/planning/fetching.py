"""Finds what in a request would have whoever answers it reach out to other machines: addresses to fetch, searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["asked_fetches"]

_OWN_TOOLS = (None, "function", "custom")
"""Kinds of tools that the caller carries out; any other runs where the model does."""
_FIELDS = ("web_search_options", "plugins")


def asked_fetches(body: Mapping[str, Any]) -> Iterator[str]:
    """Name each such thing in a body in OpenAI's format. A part of an unknown shape is looked through, too."""
    yield from (name for name in _FIELDS if body.get(name))
    yield from (f"the tool {tool['type']}" for tool in _mappings(body.get("tools")) if _runs_there(tool))
    for message in _mappings(body.get("messages")):
        for part in _mappings(message.get("content")):
            yield from _addresses(part)
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
    start = value[:16].lstrip().lower()
    named = key.endswith("url") and bool(start) and not start.startswith("data:")
    return named or start.startswith(("http:", "https:"))


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
