"""Refuses requests that make no sense, before anything is counted by what they say: a negative limit buys nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.errors import BadCallError
from llamafarm.types import Operation

if TYPE_CHECKING:
    from llamafarm.types import Call

__all__ = ["check_request"]

_COUNTS = ("max_tokens", "max_completion_tokens", "n", "best_of")


def check_request(call: Call) -> None:
    """Raise BadCallError where a count is no whole number from 1, or a conversation has no messages."""
    for name in _COUNTS:
        value = call.body.get(name)
        if value is not None and not _is_count(value):
            raise BadCallError(f"{name} is {value!r}: expected a whole number from 1")
    if call.operation is Operation.CHAT:
        messages = call.body.get("messages")
        if not isinstance(messages, list | tuple) or not messages:
            raise BadCallError("there are no messages: expected a list of objects with role and content")
        if not all(isinstance(message, dict) for message in messages):
            raise BadCallError("a message is not an object with role and content")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
