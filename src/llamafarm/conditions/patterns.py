"""Which regular expressions a condition may use: those that take linear time, and are small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.conditions.error import ConditionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compile_pattern"]

_LARGEST_PROGRAM = 1000
"""Instructions of a compiled pattern: what one character of text can cost at worst."""
_MEMORY_TO_TRY = 256 * 1024
"""Bytes in which a pattern must compile: a huge one gives up after two milliseconds, not after fifty."""


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


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if "perl operator" in reason or "escape sequence" in reason:
        return f"{reason} (look-around and back-references are left out, because their time has no bound)"
    return reason
