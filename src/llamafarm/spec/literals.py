"""Which secrets stand in a strategy file itself: under keys named like one, misspelt ones too, and in addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from llamafarm.spec.key_paths import keys
from llamafarm.spec.masking import is_secret_name, secrets_in_addresses
from llamafarm.spec.nodes import Key, Mapping, Node, Scalar, Sequence
from llamafarm.spec.shape import CONFIG_CLASSES

__all__ = ["keyed", "literal_pieces", "literal_secrets", "looks_secret", "secret_scalars"]

_REFERENCE = re.compile(r"\$\{[^{}]*\}?")
_DEFAULT = re.compile(r"\$\{\w+:-([^{}]*)\}")
_NAMED_BY_USER = frozenset({"aliases", "components", "models", "weights"})
"""Mappings whose keys are names of the user's own and say nothing about the values."""
_GENERATED = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[^\s/:]{8,}")
"""A word with letters and digits, and no part of a path or an address."""


@cache
def _known_words() -> str:
    return "\n".join([*keys(), *CONFIG_CLASSES])


def literal_secrets(root: Node) -> Iterator[str]:
    """Give every value that no message may show. A word of the file format itself, like `ollama`, is no secret."""
    for key, scalar in _scalars(root):
        values = literal_pieces(scalar.text) if is_secret_name(key) else secrets_in_addresses(scalar.text)
        yield from (value for value in values if value and value not in _known_words())


def secret_scalars(root: Node) -> Iterator[Scalar]:
    """Give every scalar whose key has the name of a secret."""
    return (scalar for key, scalar in _scalars(root) if is_secret_name(key))


def literal_pieces(text: str) -> Iterator[str]:
    """Give what of a text stands in the file itself: around references, and as their defaults."""
    if "${" not in text:
        yield text
        return
    yield from (piece.strip() for piece in _REFERENCE.split(text))
    yield from _DEFAULT.findall(text)


def looks_secret(scalar: Scalar) -> bool:
    """Tell whether a value may be a secret though nothing is known of its key."""
    return _GENERATED.fullmatch(scalar.text) is not None


def keyed(root: Node) -> Iterator[tuple[str, Key]]:
    """Give every key of a document with its name, each once however many aliases repeat it."""
    seen: set[int] = set()
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Scalar) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Mapping):
            yield from node.keys.items()
            waiting += [key.value for key in node.keys.values()]
        else:
            waiting += node.items


def _scalars(root: Node) -> Iterator[tuple[str, Scalar]]:
    """Give every scalar with the name of the key that it, or the list it is in, stands under."""
    seen: set[tuple[int, str]] = set()
    waiting: list[tuple[str, Node, bool]] = [("", root, False)]
    while waiting:
        name, node, is_named_by_user = waiting.pop()
        match node:
            case Scalar():
                yield name, node
            case Sequence() if (id(node), name) not in seen:
                seen.add((id(node), name))
                waiting += [(name, item, False) for item in node.items]
            case Mapping() if (id(node), name) not in seen:
                seen.add((id(node), name))
                waiting += [
                    ("" if is_named_by_user else inner, key.value, inner in _NAMED_BY_USER)
                    for inner, key in node.keys.items()
                ]
