"""Reads blocks of content into parts of OpenAI's; what those have no word for stays the block it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.server.formats.anthropic.fields import LIST, OBJECT, TEXT, item, optional, required

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["content_of", "part_of"]

_PICTURE = {"type", "source", "cache_control"}
_DOCUMENT = {"type", "source", "cache_control", "title"}
_INLINE = {"type", "media_type", "data"}


def content_of(content: Any, place: str) -> str | list[dict[str, Any]]:
    """Give a content, a text or a list of blocks, as OpenAI has it. Raises `BadCallError` naming the place."""
    if isinstance(content, str):
        return content
    return [part_of(block, f"{place}.{at}") for at, block in enumerate(item(content, LIST, place))]


def part_of(block: Any, place: str) -> dict[str, Any]:
    """Give one block as a part. Raises `BadCallError`."""
    match required(item(block, OBJECT, place), "type", TEXT, place):
        case "text":
            required(block, "text", TEXT, place)
        case "image":
            return _picture(block, required(block, "source", OBJECT, place), f"{place}.source")
        case "document":
            return _document(block, required(block, "source", OBJECT, place), f"{place}.source")
        case _:
            pass
    return dict(block)


def _picture(block: Mapping[str, Any], source: Mapping[str, Any], place: str) -> dict[str, Any]:
    match required(source, "type", TEXT, place):
        case "base64":
            media = required(source, "media_type", TEXT, place)
            url = f"data:{media};base64,{required(source, 'data', TEXT, place)}"
            is_all = source.keys() <= _INLINE
        case "url":
            url = required(source, "url", TEXT, place)
            is_all = source.keys() <= {"type", "url"} and url[:8].lower().startswith(("http:", "https:"))
        case _:
            return dict(block)
    if not is_all or not block.keys() <= _PICTURE:
        return dict(block)
    return {"type": "image_url", "image_url": {"url": url}, **_mark(block)}


def _document(block: Mapping[str, Any], source: Mapping[str, Any], place: str) -> dict[str, Any]:
    if required(source, "type", TEXT, place) == "base64":
        media = required(source, "media_type", TEXT, place)
        data = required(source, "data", TEXT, place)
        if media == "application/pdf" and source.keys() <= _INLINE and block.keys() <= _DOCUMENT:
            title = optional(block, "title", TEXT)
            name = {"filename": title} if title else {}
            return {"type": "file", "file": {**name, "file_data": f"data:{media};base64,{data}"}, **_mark(block)}
    return dict(block)


def _mark(block: Mapping[str, Any]) -> dict[str, Any]:
    return {"cache_control": block["cache_control"]} if block.get("cache_control") is not None else {}
