"""Turns what a person has at hand, a prompt and pictures, into the messages of a request."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from llamafarm.errors import BadCallError
from llamafarm.farm.reading import read_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["as_text", "image_part", "listed", "messages_of", "user_message"]

_MAX_IMAGE_BYTES = 20 * 1024 * 1024
"""The most a picture may have: the smallest of the limits that the large vendors state for one request's image."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def as_text(what: str, given: object) -> str:
    """Give a text back. Raises BadCallError for anything else, such as None."""
    if not isinstance(given, str):
        raise BadCallError(f"{what} is {given!r:.40}: expected a text")
    return given


def listed(what: str, one: str, given: object) -> list[Any]:
    """Make a list of what a caller may give as any sequence; raises BadCallError where it is only `one` by itself."""
    if isinstance(given, str | bytes | PurePath | Mapping):
        raise BadCallError(f"{what}: expected a list: put the one {one} into a list")
    if not isinstance(given, Iterable):
        raise BadCallError(f"{what}: expected a list, not {given!r:.40}")
    return list(given)


def user_message(prompt: str, images: Sequence[str | Path] = ()) -> dict[str, Any]:
    """Make a user's message; `images` are paths or http(s) URLs."""
    if not images:
        return {"role": "user", "content": prompt}
    parts: list[dict[str, Any]] = [{"type": "text", "text": prompt}] if prompt else []
    return {"role": "user", "content": [*parts, *(image_part(image) for image in listed("images", "picture", images))]}


def messages_of(prompt: str, *, system: str | None = None, images: Sequence[str | Path] = ()) -> list[dict[str, Any]]:
    """Make the messages of a one-turn request. Raises BadCallError for an empty prompt or an unusable picture."""
    if not as_text("the prompt", prompt).strip() and not images:
        raise BadCallError("the prompt is empty")
    before = [{"role": "system", "content": as_text("system", system)}] if system is not None else []
    return [*before, user_message(prompt, images)]


def image_part(image: str | Path) -> dict[str, Any]:
    """Make the content part of a picture: a URL is passed on as it is, a file is read and sent with the request."""
    if isinstance(image, str) and image.startswith(("http://", "https://", "data:")):
        try:
            image.encode()
        except UnicodeEncodeError as error:
            raise BadCallError(f"image {image[:40]!r}: not UTF-8 text (character {error.start + 1})") from error
        return {"type": "image_url", "image_url": {"url": image}}
    if not isinstance(image, str | PurePath):
        raise BadCallError(f"an image is {image!r:.40}: expected a path or a URL")
    try:
        data = read_file(image, _MAX_IMAGE_BYTES)
    except ValueError as error:
        raise BadCallError(f"image {image}: {error}") from error
    encoded = base64.b64encode(data).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{_media_type(data, image)};base64,{encoded}"}}


def _media_type(data: bytes, image: str | Path) -> str:
    for signature, media_type in _SIGNATURES:
        if data.startswith(signature):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise BadCallError(f"image {image}: not a PNG, JPEG, GIF or WebP file")
