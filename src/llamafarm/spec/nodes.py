"""A YAML document as nodes that know their places, and what a scalar means: the core schema of YAML 1.2."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "NOWHERE",
    "Key",
    "Mapping",
    "Node",
    "Place",
    "Scalar",
    "Sequence",
    "Value",
    "child",
    "is_null",
    "plain_value",
    "python_value",
]

Value = str | int | float | bool | None


class Place(NamedTuple):
    """Where something stands: both 1-based, the column in characters."""

    line: int
    column: int


NOWHERE = Place(0, 0)


@dataclass(slots=True)
class Scalar:
    """One value, not yet interpreted: `${…}` may change what it is."""

    text: str
    plain: bool
    """Whether it stands without quotes, so that its text decides its type."""
    place: Place
    end: Place = NOWHERE
    """Just behind it; of a text over several lines on the last of them, or at the start of the next."""


@dataclass(slots=True)
class Sequence:
    """A list."""

    place: Place
    items: list[Node] = field(default_factory=list)


class Key(NamedTuple):
    """A key of a mapping: where it stands, and its value."""

    place: Place
    value: Node


@dataclass(slots=True)
class Mapping:
    """A mapping whose keys are strings, each given once."""

    place: Place
    keys: dict[str, Key] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_STARTS = frozenset("+-.0123456789")
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 300
"""Characters; what is longer stays text, so no number is slow to read."""
_SIMPLE_NAME = re.compile(r"[A-Za-z0-9_-]+")


def plain_value(text: str) -> Value:
    """Give what an unquoted scalar means: null, true, 12, 0o14, 2e-4, or the text itself."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text[0] not in _STARTS or len(text) > _LONGEST_NUMBER:
        return text
    if _WHOLE.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base)
    if _REAL.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _SPECIAL.fullmatch(text) else text


def is_null(node: Node) -> bool:
    """Tell whether a node stands for `null`, however that is written: not given."""
    return isinstance(node, Scalar) and node.plain and plain_value(node.text) is None


def python_value(node: Node) -> object:
    """Give a node as plain Python values, `${…}` untouched: what another YAML 1.2 reader would see."""
    match node:
        case Scalar():
            return plain_value(node.text) if node.plain else node.text
        case Sequence():
            return [python_value(item) for item in node.items]
        case Mapping():
            return {name: python_value(key.value) for name, key in node.keys.items()}


def child(path: str, part: str | int) -> str:
    """Give the path of a key or an item: ``a.b``, ``a[0]``, and ``a["b.c"]`` where the name is no simple word."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    if not _SIMPLE_NAME.fullmatch(part):
        return f"{path}[{json.dumps(part, ensure_ascii=False)}]"
    return f"{path}.{part}" if path else part
