"""Which facts a condition can name, of what kind each is, and which name a misspelt one was meant to be."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["CALLS", "GROUPS", "NAMES", "WEEKDAYS", "Kind", "Name", "known_name_near", "nearest"]


class Kind(StrEnum):
    """What a value is, in the words of the messages."""

    TRUTH = "true or false"
    NUMBER = "a number"
    TEXT = "a text"
    WEEKDAY = "a weekday"
    NUMBERS = "a list of numbers"
    TEXTS = "a list of texts"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Name:
    """One fact: its kind, and whether a request may lack it."""

    kind: Kind
    may_miss: bool = False


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

NAMES: Mapping[str, Name] = MappingProxyType(
    {
        "input.length": Name(Kind.NUMBER),
        "input.tokens": Name(Kind.NUMBER),
        "input.text": Name(Kind.TEXT),
        "input.all_text": Name(Kind.TEXT),
        "input.system": Name(Kind.TEXT, may_miss=True),
        "input.messages": Name(Kind.NUMBER),
        "input.has_images": Name(Kind.TRUTH),
        "input.requires_vision": Name(Kind.TRUTH),
        "input.requires_tools": Name(Kind.TRUTH),
        "input.requires_json": Name(Kind.TRUTH),
        "input.requires_audio": Name(Kind.TRUTH),
        "input.is_code": Name(Kind.TRUTH),
        "request.model": Name(Kind.TEXT, may_miss=True),
        "request.stream": Name(Kind.TRUTH),
        "request.max_tokens": Name(Kind.NUMBER, may_miss=True),
        "request.temperature": Name(Kind.NUMBER, may_miss=True),
        "request.user": Name(Kind.TEXT, may_miss=True),
        "request.tags": Name(Kind.TEXTS),
        "time.hour": Name(Kind.NUMBER),
        "time.weekday": Name(Kind.WEEKDAY),
        "budget.daily_left": Name(Kind.NUMBER, may_miss=True),
        "budget.monthly_left": Name(Kind.NUMBER, may_miss=True),
        "budget.daily_used": Name(Kind.NUMBER, may_miss=True),
    }
)
"""The facts that are read as they stand; each is the attribute of that path on `Facts`."""

CALLS: Mapping[str, str] = MappingProxyType(
    {
        "input.contains": 'input.contains("…")',
        "input.matches": 'input.matches("…")',
        "request.metadata": 'request.metadata["…"]',
        "tag": 'tag("…")',
    }
)
"""What takes an argument, and how it is written."""

GROUPS = frozenset(name.partition(".")[0] for name in NAMES)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Give the known spelling that a word was most likely meant to be; None where none is close."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)), None)


def known_name_near(word: str) -> str | None:
    """Give the fact that a bare word spells all but right (`input_length`, `imput`); None for an ordinary tag.

    Cheap enough for thousands of rules: a look-up for each character left out, no distance computed.
    """
    squeezed = word.replace("_", "").lower()
    exact, near = _spellings()
    if squeezed in exact:
        return exact[squeezed]
    return next((near[cut] for cut in _cuts(squeezed) if cut in near), None)


_SHORTEST_NEAR = 5
"""Letters from which a slip of one is taken for a misspelling: `imput` is one, while `test` is a tag, not `text`."""


@functools.cache
def _spellings() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Give every way to write a fact without its dot, and each of those with at most one letter left out."""
    exact: dict[str, str] = {}
    for name in (*NAMES, *CALLS):
        group, _, rest = name.partition(".")
        if rest:
            exact.setdefault(rest.replace("_", ""), name)
            exact[(group + rest).replace("_", "")] = name
    for group in sorted(GROUPS):
        exact[group] = f"{group}.…"
    long = [(spelling, name) for spelling, name in exact.items() if len(spelling) >= _SHORTEST_NEAR]
    near = {cut: name for spelling, name in reversed(long) for cut in _cuts(spelling)}
    return exact, near


def _cuts(word: str) -> Iterator[str]:
    """Give a word and all it becomes with one letter left out; two words that share one are a slip apart."""
    yield word
    for position in range(len(word)):
        yield word[:position] + word[position + 1 :]
