"""Looks at the fields of a request, and says of one that is wrong where it is, in the way Anthropic does.

A request comes out of JSON, so a value's type is exactly one of a few. Where a field is, is put together only for a
message: requests have hundreds of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LIST", "NUMBER", "OBJECT", "SWITCH", "TEXT", "WHOLE", "Kind", "item", "optional", "required", "texts"]


class Kind(NamedTuple):
    """What a value must be."""

    types: tuple[type, ...]
    expected: str


TEXT = Kind((str,), "a valid string")
OBJECT = Kind((dict,), "an object")
LIST = Kind((list,), "a valid list")
WHOLE = Kind((int,), "a valid integer")
NUMBER = Kind((int, float), "a valid number")
SWITCH = Kind((bool,), "a valid boolean")


def required(body: Mapping[str, Any], name: str, kind: Kind, place: str = "") -> Any:
    """Give a field that must be there. Raises `BadCallError`, as all of these do."""
    value = body.get(name)
    if type(value) not in kind.types:
        raise _wrong(value, kind, f"{place}.{name}" if place else name)
    return value


def optional(body: Mapping[str, Any], name: str, kind: Kind, place: str = "") -> Any:
    """Give a field; None where it is not there, or null."""
    return None if body.get(name) is None else required(body, name, kind, place)


def item(value: Any, kind: Kind, place: str) -> Any:
    """Give an item of a list."""
    if type(value) not in kind.types:
        raise _wrong(value, kind, place)
    return value


def texts(body: Mapping[str, Any], name: str) -> list[str]:
    """Give a list of texts; empty where it is not there."""
    return [item(value, TEXT, f"{name}.{at}") for at, value in enumerate(optional(body, name, LIST) or ())]


def _wrong(value: Any, kind: Kind, place: str) -> BadCallError:
    return BadCallError(f"{place}: {'Field required' if value is None else f'Input should be {kind.expected}'}")
