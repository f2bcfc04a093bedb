"""Where the texts and the media of a request's body are; a part of an unknown shape counts as absent, never fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

__all__ = ["Media", "Turn", "prompt_weight", "turns_of", "weight"]

_NODE_BYTES = 8
"""What a template may put around one key or value: quotes, a colon, a comma, a line break and its indent."""
_NUMBER_BYTES = 32
"""No number that JSON libraries write for a 64-bit value is longer."""
_WORD = 64
"""Bits; an integer that has more counts a byte for each."""
_FEW = 1000
"""Values in a row that are gone through one by one."""


@dataclass(frozen=True, slots=True)
class Media:
    """What a turn holds besides text."""

    image_urls: tuple[str, ...] = ()
    """One for each image; a whole image where it is a ``data:`` URL, empty where the part has none."""
    audio: int = 0
    files: int = 0


_NO_MEDIA = Media()


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, or the prompt of a completion, or the input of an embedding."""

    role: str
    texts: tuple[str, ...]
    media: Media = _NO_MEDIA
    token_ids: int = 0
    """Tokens that came as numbers instead of text."""
    rest: Mapping[str, Any] | None = None
    """The other fields of a message, where it has some: tool calls, a name."""


def turns_of(body: Mapping[str, Any]) -> tuple[Turn, ...]:
    """Give the turns of a body in OpenAI's format, of whichever operation it is."""
    turns = [_message(message) for message in _items(body.get("messages")) if isinstance(message, Mapping)]
    # Both are looked at whatever the operation: what a target ignores costs nothing, what is missed might.
    turns.extend(_prompt(body[key]) for key in ("prompt", "input") if body.get(key) is not None)
    return tuple(turns)


def weight(value: object) -> int:
    """Bound the bytes of a JSON value as a template writes it out, its markup and indents included."""
    total = 0
    waiting = [value]
    while waiting:
        if len(waiting) > _FEW:
            return total + _weight_of_many(waiting)
        item = waiting.pop()
        total += _NODE_BYTES
        if isinstance(item, str):
            total += len(item) if item.isascii() else len(item.encode("utf-8", "surrogatepass"))
        elif isinstance(item, Mapping):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, int) and item.bit_length() > _WORD:
            total += item.bit_length()
        else:
            total += _NUMBER_BYTES
    return total


def _weight_of_many(level: Sequence[Any]) -> int:
    """Give the same for values, a whole level of them at a time: a million tiny ones must not hold others up."""
    total = 0
    while level:
        kinds = set(map(type, level))
        texts = _of_kind(level, kinds, str)
        mappings = _of_kind(level, kinds, Mapping)
        lists = _of_kind(level, kinds, list | tuple)
        integers = _of_kind(level, kinds, int)
        others = len(level) - len(texts) - len(mappings) - len(lists)
        total += _NODE_BYTES * len(level) + _NUMBER_BYTES * others + _text_bytes(texts)
        if integers and max((max(integers), -min(integers))).bit_length() > _WORD:
            total += sum(item.bit_length() for item in integers)
        level = [*chain.from_iterable(mappings), *chain.from_iterable(m.values() for m in mappings), *chain(*lists)]
    return total


def _of_kind(level: Sequence[Any], kinds: set[type], kind: Any) -> Sequence[Any]:
    wanted = {each for each in kinds if issubclass(each, kind)}
    return level if wanted == kinds else [item for item in level if type(item) in wanted] if wanted else ()


def _text_bytes(texts: Sequence[str]) -> int:
    joined = "".join(texts)
    return len(joined) if joined.isascii() else len(joined.encode("utf-8", "surrogatepass"))


def prompt_weight(prompt: object) -> int:
    """Bound the tokens of a prompt as `weight` does, but count a token that comes as a number as the one it is."""
    if isinstance(prompt, list | tuple):
        return sum(_item_weight(item) for item in prompt)
    return weight(prompt)


def _item_weight(item: object) -> int:
    if isinstance(item, list | tuple) and all(isinstance(token, int) for token in item):
        return len(item)
    return 1 if isinstance(item, int) else weight(item)


def _message(message: Mapping[str, Any]) -> Turn:
    role = message.get("role")
    texts, media = _content(message.get("content"))
    rest = {key: value for key, value in message.items() if key not in ("role", "content")} or None
    return Turn(role if isinstance(role, str) else "", texts, media, rest=rest)


def _content(content: object) -> tuple[tuple[str, ...], Media]:
    if isinstance(content, str):
        return (content,), _NO_MEDIA
    texts: list[str] = []
    images: list[str] = []
    audio = files = 0
    for part in _items(content):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping):
            kind = part.get("type")
            if isinstance(text := part.get("text"), str):
                texts.append(text)
            if kind == "image_url" or "image_url" in part:
                images.append(_url(part.get("image_url")))
            audio += kind == "input_audio" or "input_audio" in part
            files += kind == "file" or "file" in part
    return tuple(texts), Media(tuple(images), audio, files)


def _url(image: object) -> str:
    url = image.get("url") if isinstance(image, Mapping) else image
    return url if isinstance(url, str) else ""


def _prompt(prompt: object) -> Turn:
    """Read a text, a list of texts, a list of token numbers, or a list of such lists."""
    texts: list[str] = []
    token_ids = 0
    for item in (prompt,) if isinstance(prompt, str) else _items(prompt):
        if isinstance(item, str):
            texts.append(item)
        else:
            token_ids += len(item) if isinstance(item, list | tuple) else isinstance(item, int)
    return Turn("user", tuple(texts), token_ids=token_ids)


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
