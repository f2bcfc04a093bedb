"""Turns the parts of a message's content from OpenAI's format into Anthropic's blocks."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec

from llamafarm.errors import UntranslatableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llamafarm.providers.anthropic.notes import Notes

__all__ = ["blocks_of", "cache_mark", "tool_id", "tool_input"]

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,(.*)", re.DOTALL | re.IGNORECASE)
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_REFUSED = {"input_audio": "audio", "audio": "audio", "video_url": "video", "input_video": "video"}


def cache_mark(part: dict[str, Any]) -> dict[str, Any]:
    """Give a part's ``cache_control``, which only Anthropic has, as it is to stand in a block."""
    mark = part.get("cache_control")
    return {"cache_control": mark} if isinstance(mark, dict) else {}


def blocks_of(content: Any, place: str, notes: Notes) -> list[dict[str, Any]]:
    """Give a content's blocks; texts that are empty are left out, for Anthropic refuses them.

    A block of Anthropic's own is kept as it is. Raises `UntranslatableError` naming the place.
    """
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list | tuple):
        raise UntranslatableError(f"{place}.content is neither a text nor a list of parts")
    return [block for at, part in enumerate(content) for block in _of_part(part, f"{place}.content[{at}]", notes)]


def _of_part(part: Any, place: str, notes: Notes) -> Iterator[dict[str, Any]]:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if not isinstance(part, dict):
        raise UntranslatableError(f"{place} is no content part")
    kind = part.get("type")
    if kind in ("text", "input_text", "output_text", "refusal"):
        text = part.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise UntranslatableError(f"{place} has no text")
        if text:
            own = {name: value for name, value in part.items() if name in ("cache_control", "citations") and value}
            yield {"type": "text", "text": text, **own}
    elif kind == "image_url":
        yield {**_image(part.get("image_url"), place, notes), **cache_mark(part)}
    elif kind == "file":
        yield {**_file(part.get("file"), place), **cache_mark(part)}
    elif isinstance(kind, str) and kind not in _REFUSED:
        yield dict(part)
    else:
        what = _REFUSED.get(kind) if isinstance(kind, str) else None
        raise UntranslatableError(f"{place}: Anthropic takes no {what}" if what else f"{place} has no type")


def _image(image: Any, place: str, notes: Notes) -> dict[str, Any]:
    if isinstance(image, str):
        image = {"url": image}
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str):
        raise UntranslatableError(f"{place}.image_url has no url")
    if image.get("detail") not in (None, "auto"):
        notes.left_out("image detail")
    if url[:5].lower() == "data:":
        media, data = _data_url(url, f"{place}.image_url")
        return {"type": "image", "source": {"type": "base64", "media_type": media or "image/png", "data": data}}
    if url.partition(":")[0].lower() in ("http", "https"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise UntranslatableError(f"{place}.image_url is neither an http(s) nor a data URL")


def _file(file: Any, place: str) -> dict[str, Any]:
    file = file if isinstance(file, dict) else {}
    name, data, file_id = file.get("filename"), file.get("file_data"), file.get("file_id")
    title = {"title": name} if isinstance(name, str) and name else {}
    if isinstance(file_id, str) and not data:
        return {"type": "document", "source": {"type": "file", "file_id": file_id}, **title}
    if not isinstance(data, str) or not data:
        raise UntranslatableError(f"{place}.file has neither file_data nor file_id")
    if data[:5].lower() == "data:":
        media, data = _data_url(data, f"{place}.file.file_data")
    else:
        media = "application/pdf"
    if media.startswith("image/"):
        return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}
    if media == "application/pdf":
        return {"type": "document", "source": {"type": "base64", "media_type": media, "data": data}, **title}
    if media.startswith("text/"):
        try:
            text = base64.b64decode(data, validate=True).decode()
        except ValueError:
            raise UntranslatableError(f"{place}.file is no text in UTF-8") from None
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}, **title}
    raise UntranslatableError(f"{place}.file: Anthropic takes PDF, text and images, not {media or 'an unnamed type'}")


def _data_url(url: str, place: str) -> tuple[str, str]:
    """Split a data URL into its media type and base64 text."""
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise UntranslatableError(f"{place} is no valid data URL")
    media, data = (match[1] or "").lower(), match[4]
    if not match[3]:
        return media, base64.b64encode(unquote_to_bytes(data)).decode()
    data = "".join(data.split())
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise UntranslatableError(f"{place} holds no valid base64") from None
    return media, data


def tool_id(call_id: Any, place: str) -> str:
    """Give a tool call's id in the letters that Anthropic allows, different ones for different ids."""
    if not isinstance(call_id, str) or not call_id:
        raise UntranslatableError(f"{place} has no id")
    if _TOOL_ID.fullmatch(call_id):
        return call_id
    mark = zlib.crc32(call_id.encode("utf-8", "surrogatepass"))
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', call_id)}_{mark:08x}"


def tool_input(arguments: Any, place: str) -> dict[str, Any]:
    """Read a tool call's arguments, JSON text at OpenAI, into the object they are at Anthropic."""
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    value = arguments
    if isinstance(arguments, str):
        try:
            value = msgspec.json.decode(arguments)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise UntranslatableError(f"{place}.arguments is no valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise UntranslatableError(f"{place}.arguments is no JSON object")
    return value
