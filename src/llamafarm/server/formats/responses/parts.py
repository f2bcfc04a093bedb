"""Turns the parts of a content, as the Responses API has them, into those of OpenAI's chat format."""

from __future__ import annotations

from typing import Any

from llamafarm.errors import BadCallError

__all__ = ["answer_text", "content_of", "texts_of"]

_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_OF_AN_ANSWER = ("annotations", "logprobs")


def content_of(content: Any, place: str) -> str | list[dict[str, Any]]:
    """Give a message's content; one part that is only text becomes that text, which every target takes.

    Raises `BadCallError` naming the place.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadCallError(f"{place} is {content!r:.40}: expected a text or a list of parts")
    parts = [_part(part, f"{place}[{at}]") for at, part in enumerate(content)]
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts or ""


def answer_text(content: Any, place: str) -> tuple[str, str]:
    """Give the text of an earlier answer, and the words of its refusal. Raises `BadCallError` naming the place."""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        raise BadCallError(f"{place} is {content!r:.40}: expected a text or a list of parts")
    said: list[str] = []
    refused: list[str] = []
    for at, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "refusal":
            refused.append(_text(part, "refusal", f"{place}[{at}]"))
        elif kind in _TEXTS:
            said.append(_text(part, "text", f"{place}[{at}]"))
        else:
            raise BadCallError(f"{place}[{at}] is of type {kind!r:.40}: an answer consists of output_text and refusal")
    return "".join(said), "".join(refused)


def texts_of(parts: Any, place: str) -> list[str]:
    """Give the texts of a reasoning item's `summary` or `content`. Raises `BadCallError` naming the place."""
    if parts is None:
        return []
    if not isinstance(parts, list):
        raise BadCallError(f"{place} is {parts!r:.40}: expected a list of parts")
    return [_text(part, "text", f"{place}[{at}]") for at, part in enumerate(parts)]


def _text(part: Any, name: str, place: str) -> str:
    text = part.get(name) if isinstance(part, dict) else None
    if not isinstance(text, str):
        raise BadCallError(f"{place}.{name} is {text!r:.40}: expected a text")
    return text


def _part(part: Any, place: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise BadCallError(f"{place} is {part!r:.40}: expected a part with a type")
    match part.get("type"):
        case kind if kind in _TEXTS:
            return {"type": "text", "text": _text(part, "text", place), **_beside(part, "text", *_OF_AN_ANSWER)}
        case "refusal":
            return {"type": "text", "text": _text(part, "refusal", place)}
        case "input_image":
            return _image(part, place)
        case "input_file":
            return _file(part, place)
        case "input_audio":
            return {"type": "input_audio", **_beside(part)}
        case kind:
            raise BadCallError(
                f"{place} is of type {kind!r:.40}: expected input_text, input_image, input_file or input_audio"
            )


def _image(part: dict[str, Any], place: str) -> dict[str, Any]:
    url, detail = part.get("image_url"), part.get("detail")
    if not isinstance(url, str) or not url:
        if part.get("file_id"):
            raise BadCallError(
                f"{place} names a stored file, and this endpoint has none: give image_url, or a data: URL"
            )
        raise BadCallError(f"{place}.image_url is {url!r:.40}: expected an http(s) or data: URL")
    image = {"url": url, **({"detail": detail} if detail is not None else {})}
    return {"type": "image_url", "image_url": image, **_beside(part, "image_url", "detail", "file_id")}


def _file(part: dict[str, Any], place: str) -> dict[str, Any]:
    """Give a file's part. Its `file_id` is the target's business, as in chat; a chat has no place for an address."""
    file = {name: part[name] for name in ("filename", "file_data", "file_id") if part.get(name) is not None}
    for name, value in file.items():
        if not isinstance(value, str):
            raise BadCallError(f"{place}.{name} is {value!r:.40}: expected a text")
    if "file_data" not in file and "file_id" not in file:
        if part.get("file_url"):
            raise BadCallError(f"{place}.file_url: nobody behind this endpoint fetches files; give file_data")
        raise BadCallError(f"{place} has neither file_data nor file_id")
    return {"type": "file", "file": file, **_beside(part, "filename", "file_data", "file_id", "file_url", "detail")}


def _beside(part: dict[str, Any], *known: str) -> dict[str, Any]:
    """Give the fields of a part that are passed on as they are."""
    return {name: value for name, value in part.items() if name != "type" and name not in known and value is not None}
