"""Reads JSON as servers really write it: bytes into the few fields that matter, and counts that make sense."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, TypeVar

import msgspec

__all__ = ["MalformedError", "Short", "count", "decode", "loosely", "says_nothing"]

_MOST_TOKENS = 1_000_000_000
"""A usage above it is nonsense: no window and no answer is nearly that long."""
_MOST_OBJECTS = 1_000_000
"""In one event or answer: 64 MB of empty ones would take gigabytes once they are read."""

_NOTHING = (b"", b"null", b"{}", b'""', b"false")

T = TypeVar("T")
Short = Annotated[list[T], msgspec.Meta(max_length=4096)]
"""A list of which each item becomes an object of ours: one event, or answer, could hold millions of empty ones."""


class MalformedError(ValueError):
    """The bytes are not what the format says."""


def decode(decoder: msgspec.json.Decoder[T], data: bytes) -> tuple[T, bytes]:
    """Decode JSON; give its bytes too, as JSON that every client can read. Raises `MalformedError`."""
    if len(data) > _MOST_OBJECTS and data.count(b"{") > _MOST_OBJECTS:
        raise MalformedError(f"it holds more than {_MOST_OBJECTS:,} objects")
    try:
        return decoder.decode(data), data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if b"NaN" not in data and b"Infinity" not in data:
            raise MalformedError(str(error)) from None
    # Python servers write NaN and Infinity, which JSON does not have: they become null.
    try:
        mended = msgspec.json.encode(json.loads(data, parse_constant=lambda _: None))
        return decoder.decode(mended), mended
    except (ValueError, RecursionError) as error:
        raise MalformedError(str(error)) from None


def says_nothing(error: msgspec.Raw) -> bool:
    """Whether the field for an error is left out, or holds what servers write there when there is none."""
    return bytes(error) in _NOTHING


def loosely(data: bytes) -> Any:
    """Decode JSON whose texts may not be UTF-8, to look at what it says. Raises ValueError or RecursionError."""
    return json.loads(data.decode("utf-8", "replace"))


def count(value: Any) -> int | None:
    """Read a number of tokens; None where it is none, or makes no sense (negative, huge, a fraction)."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
        return value
    return None
