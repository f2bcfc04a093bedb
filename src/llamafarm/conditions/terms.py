"""What a checked part of a condition is: its kind, how it is read from the facts, and whether it can change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llamafarm.conditions.facts import Facts, moments
from llamafarm.conditions.names import Kind

__all__ = ["EVERY_HOUR", "Read", "Term", "constant", "derived"]

Read = Callable[[Facts], Any]
"""Reads a value from the facts; None stands for one that is missing. Never raises."""

EVERY_HOUR = (1 << 7 * 24) - 1
"""The `Term.week` of what always holds."""
_TIMES = frozenset({"time.hour", "time.weekday"})


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a condition that has been checked and can be read."""

    kind: Kind
    read: Read
    source: str
    """As the condition has it, for messages."""
    offset: int
    names: frozenset[str] = frozenset()
    """Every fact that it depends on; `tag` for all tags."""
    may_miss: bool = False
    week: int | None = None
    """For a condition on the time alone: one bit for each hour of the week in which it holds."""
    only_with: frozenset[str] | None = None
    """For a condition: it holds only where the request has one of these tags; None: it may without."""
    is_constant: bool = False
    value: Any = None
    """What a constant reads as."""


def constant(kind: Kind, value: Any, like: Term) -> Term:
    """Make a term that always reads the same, at the place of another."""
    never = frozenset[str]() if value is False else None
    return Term(
        kind,
        lambda _: value,
        like.source,
        like.offset,
        may_miss=value is None,
        only_with=never,
        is_constant=True,
        value=value,
    )


def derived(
    kind: Kind,
    read: Read,
    parts: tuple[Term, ...],
    like: Term,
    *,
    week: int | None = None,
    only_with: frozenset[str] | None = None,
) -> Term:
    """Make a term that is worked out from others, and work it out now where it can never change.

    `week` is what the parts' weeks make, where the caller knows it; it counts if the parts ask for nothing but time.
    """
    if all(part.is_constant for part in parts):
        return constant(kind, read(moments()[0]), like)
    names = frozenset[str]().union(*(part.names for part in parts))
    if kind is not Kind.TRUTH or not names <= _TIMES:
        week = None
    else:
        week = _week(read) if week is None else week
        if week in (0, EVERY_HOUR):
            return constant(kind, week == EVERY_HOUR, like)
    may_miss = kind is not Kind.TRUTH and any(part.may_miss for part in parts)
    return Term(kind, read, like.source, like.offset, names, may_miss, week, only_with)


def _week(read: Read) -> int:
    return sum(1 << hour for hour, facts in enumerate(moments()) if read(facts))
