"""Which regular expressions a condition may use: those that take linear time, and are small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.conditions.error import ConditionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.conditions.facts import Facts

__all__ = ["compile_pattern", "containing"]

_LARGEST_PROGRAM = 1000
"""Instructions of a compiled pattern: what one character of text can cost at worst."""
_MEMORY_TO_TRY = 256 * 1024
"""Bytes in which a pattern must compile: a huge one gives up after two milliseconds, not after fifty."""
_MOST_ONE_BY_ONE = 20_000
"""Characters times texts that are looked for one by one: for so few that is quicker than one search for all."""
_MEMORY_FOR_MANY = 64 * 1024 * 1024
"""Bytes that a search for many texts at once may take on the worst text: with less it starts over again and again."""


def compile_pattern(pattern: str, offset: int) -> Callable[[bytes], Any]:
    """Compile a pattern to a search in UTF-8 text. Raises `ConditionError` with the reason it is refused for."""
    import re2

    source = pattern.encode("utf-8", "replace")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    memory = options.max_mem
    options.max_mem = _MEMORY_TO_TRY
    try:
        trial = re2.compile(source, options)
        if trial.programsize > _LARGEST_PROGRAM:
            raise ConditionError(f"the pattern is too large: {trial.programsize} steps of {_LARGEST_PROGRAM}", offset)
        options.max_mem = memory
        search: Callable[[bytes], Any] = re2.compile(source, options).search
    except re2.error as error:
        raise ConditionError(f"the pattern is not usable: {_reason(error)}", offset) from None
    return search


def containing(needles: tuple[str, ...]) -> Callable[[Facts], bool]:
    """Make a search for any of some texts, all folded; its time grows with the text, not with their number."""
    if len(needles) == 1:
        (needle,) = needles
        return lambda facts: needle in facts.input.folded
    search = None

    def contains_any(facts: Facts) -> bool:
        nonlocal search
        folded = facts.input.folded
        if len(folded) * len(needles) > _MOST_ONE_BY_ONE:
            search = search or _any_of(needles)
            return search(facts.input.folded_encoded) is not None
        for needle in needles:  # noqa: SIM110 — a third of the time of any() over a generator, on every request
            if needle in folded:
                return True
        return False

    return contains_any


def _any_of(needles: tuple[str, ...]) -> Callable[[bytes], Any]:
    import re2

    options = re2.Options()
    options.never_capture = True
    options.max_mem = _MEMORY_FOR_MANY
    pattern = "|".join(map(re2.escape, needles)).encode("utf-8", "replace")
    search: Callable[[bytes], Any] = re2.compile(pattern, options).search
    return search


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if "perl operator" in reason or "escape sequence" in reason:
        return f"{reason} (look-around and back-references are left out, because their time has no bound)"
    return reason
