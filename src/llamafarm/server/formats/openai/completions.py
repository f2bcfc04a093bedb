"""``/v1/completions``: the legacy format, of texts that go on, and of gaps that are filled (`suffix`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from llamafarm.server.formats.openai import schema
from llamafarm.server.formats.openai.mending import Identity, as_count, mended_text_choice
from llamafarm.server.formats.openai.requests import Wanted, read_call
from llamafarm.server.formats.openai.stream import CompletionEvents
from llamafarm.server.formats.openai.values import text_choice, text_finish
from llamafarm.server.formats.openai.whole import whole_completion
from llamafarm.server.formats.protocol import speaks
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamafarm.reply import Reply
    from llamafarm.server.formats.openai.mending import Fields
    from llamafarm.server.formats.protocol import Dialect, EventWriter, Format
    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call, Chunk

__all__ = ["Completions"]

_KIND = "text_completion"
_TEXT = "\0"
"""Stands where a text will be."""


class Completions:
    """Legacy completions, whole and streamed."""

    dialect: Dialect = "openai"

    def read(self, body: dict[str, Any], head: Head) -> Call:
        """Understand a request. Raises `BadCallError`."""
        return read_call(body, head, Operation.COMPLETION)

    def whole(self, call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:
        """Write a plain answer: as it came where it keeps OpenAI's schema, else filled in, or from its values."""
        return whole_completion(
            reply,
            chunks,
            _identity(call, reply),
            kind=_KIND,
            judge=schema.text_whole,
            mended=_whole_choice,
            written=text_choice,
        )

    def stream(self, call: Call, reply: Reply) -> EventWriter:
        """Begin to write a streamed answer."""
        passes = speaks(reply.target, "openai")
        return CompletionEvents(TextPieces(), _identity(call, reply), Wanted.of(call), passes=passes)


def _identity(call: Call, reply: Reply) -> Identity:
    return Identity(f"cmpl-{call.id.removeprefix('req_')}", int(time.time()), reply.target.model)


def _whole_choice(place: int, choice: Fields) -> Fields:
    return mended_text_choice(place, choice, ended=True)


class TextPieces:
    """`Pieces` of a legacy completion: text, and at its end the reason for it."""

    kind = _KIND
    judge = schema.text_event

    __slots__ = ("_offsets",)

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}
        """How many characters of each choice have come with events that are judged."""

    def mended(self, place: int, choice: Fields) -> Fields:
        """Fill in a choice of an event."""
        index = as_count(choice.get("index"), place)
        return mended_text_choice(place, choice, ended=False, offset=self._offsets.get(index, 0))

    def opening(self, _: schema.TextEvent) -> list[dict[str, Any]]:
        """Give nothing: a text begins with itself."""
        return []

    def saw(self, event: schema.TextEvent) -> None:
        """Note how long each choice is."""
        for choice in event.choices:
            self._offsets[choice.index] = self._offsets.get(choice.index, 0) + len(choice.text)

    def plain(self, chunk: Chunk) -> bool:
        """Whether a chunk is more text of the first choice and nothing else."""
        return bool(chunk.text and not chunk.index and chunk.finish_reason is None)

    def around_text(self) -> tuple[dict[str, Any], str]:
        """Give the choice of such a chunk, and what stands for its text."""
        return {"index": 0, "text": _TEXT, "logprobs": None, "finish_reason": None}, _TEXT

    def choices(self, chunk: Chunk) -> list[dict[str, Any]]:
        """Give the choice of a chunk; reasoning and tool calls have no place in this format."""
        if not chunk.text and chunk.finish_reason is None:
            return []
        reason = None if chunk.finish_reason is None else text_finish(chunk.finish_reason)
        return [{"index": chunk.index, "text": chunk.text, "logprobs": None, "finish_reason": reason}]


if TYPE_CHECKING:
    _: Format = Completions()
