"""What a request in OpenAI's format says that only the writing of its answer needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llamafarm.errors import BadCallError
from llamafarm.server.formats.reading import call_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call, Operation

__all__ = ["Wanted", "read_call"]


def read_call(body: Mapping[str, Any], head: Head, operation: Operation) -> Call:
    """Make a call of a request's body. Raises `BadCallError` for a field of the wrong kind."""
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise BadCallError(f"stream_options is {options!r:.60}: expected an object")
    for name in ("include_usage", "include_obfuscation"):
        if options and not isinstance(options.get(name), bool | None):
            raise BadCallError(f"stream_options.{name} is {options[name]!r:.40}: expected true or false")
    return call_of(body, head, operation)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a request decides how its answer is written."""

    usage: bool = False
    """Whether a stream's client wants its usage."""
    functions: bool = False
    """Whether the client knows only the deprecated `functions`, and no tools."""

    @classmethod
    def of(cls, call: Call) -> Self:
        """Read it from a call's body."""
        options = call.body.get("stream_options")
        return cls(
            usage=isinstance(options, dict) and options.get("include_usage") is True,
            functions=bool(call.body.get("functions")) and not call.body.get("tools"),
        )
