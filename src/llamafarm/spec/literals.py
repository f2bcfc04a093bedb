"""Which secrets stand in a strategy file itself: under keys named like one, misspelt ones too, and in addresses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache

from llamafarm.spec.key_paths import keys, word
from llamafarm.spec.masking import is_secret_name, secrets_in_addresses
from llamafarm.spec.nodes import Key, Mapping, Node, Scalar, Sequence, is_null, plain_value
from llamafarm.spec.shape import CONFIG_CLASSES
from llamafarm.spec.suggest import Suggestions

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
        if is_secret_name(key):
            values = literal_pieces(scalar.text) if not _is_no_text(scalar) else iter(())
        else:
            values = secrets_in_addresses(scalar.text)
        yield from (value for value in values if value and value not in _known_words())


def secret_scalars(root: Node) -> Iterator[Scalar]:
    """Give every scalar whose key has the name of a secret."""
    return (scalar for key, scalar in _scalars(root) if is_secret_name(key) and not _is_no_text(scalar))


def _is_no_text(scalar: Scalar) -> bool:
    """Tell whether a scalar is `null`, `true` or `false`: no secret, and a word that stands everywhere."""
    return scalar.plain and (is_null(scalar) or isinstance(plain_value(scalar.text), bool))


def literal_pieces(text: str) -> Iterator[str]:
    """Give what of a text stands in the file itself: around references, and as their defaults."""
    if "${" not in text:
        yield text
        return
    yield from (piece.strip() for piece in _REFERENCE.split(text))
    yield from _DEFAULT.findall(text)


def looks_secret(name: str, scalar: Scalar) -> bool:
    """Tell whether a value may be a secret though nothing is known of its key, which no key of ours resembles."""
    return _GENERATED.fullmatch(scalar.text) is not None and not _is_harmless(name)


@cache
def _is_harmless(name: str) -> bool:
    """Tell whether a key is one of ours that holds no secret, in a wrong place, misspelt, or as others call it."""
    ours = {word(part) for path in keys() for part in path.split(".")}
    alike = {*Suggestions().synonyms(name), *difflib.get_close_matches(name.lower(), ours, cutoff=0.8)} & ours
    return bool(alike) and not any(map(is_secret_name, (name, *alike)))


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
