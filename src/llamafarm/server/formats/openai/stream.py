"""Writes a streamed completion as OpenAI's events: as they came where they keep its schema, else filled in or anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from llamafarm.providers.openai.wire import chunks_of, decode_completion
from llamafarm.server.failures import document, failure_of
from llamafarm.server.formats.openai.mending import Identity, identity_of, mend
from llamafarm.server.formats.openai.values import counts, encode
from llamafarm.server.formats.protocol import continued_by, on_one_line

if TYPE_CHECKING:
    from llamafarm.errors import LlamaFarmError
    from llamafarm.server.formats.openai.mending import Fields
    from llamafarm.server.formats.openai.requests import Wanted
    from llamafarm.server.formats.openai.schema import Event, TextEvent
    from llamafarm.types import Chunk, Usage

__all__ = ["CompletionEvents", "Pieces", "framed"]

_DONE = b"data: [DONE]\n\n"


class Pieces(Protocol):
    """What one kind of completion has in its events, of one answer."""

    @property
    def kind(self) -> str:
        """The `object` of its events."""

    @property
    def judge(self) -> msgspec.json.Decoder[Event] | msgspec.json.Decoder[TextEvent]:
        """What decodes an event that keeps the schema."""

    def mended(self, place: int, choice: Fields) -> Fields:
        """Fill in a choice of an event."""

    def opening(self, event: Any) -> list[dict[str, Any]]:
        """Give the choices that have to come before an answer's first event, where it leaves out what opens it."""

    def saw(self, event: Any) -> None:
        """Note what of the things that come once has come with an event."""

    def choices(self, chunk: Chunk) -> list[dict[str, Any]]:
        """Give the choices of a chunk from its values, one an event."""

    def plain(self, chunk: Chunk) -> bool:
        """Whether a chunk is more text of the first choice and nothing else."""

    def around_text(self) -> tuple[dict[str, Any], str]:
        """Give the choice of such a chunk, and the text in it that stands where its own belongs."""


def framed(raw: bytes) -> bytes:
    """Write an event; line breaks between its values would cut it, and clients fail on what is not UTF-8."""
    raw = on_one_line(raw)
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            raw = raw.decode("utf-8", "replace").encode()
    return b"data: %b\n\n" % raw


class CompletionEvents:
    """An `EventWriter` for chat and legacy completions.

    While the target speaks OpenAI's format, events go out as they came. Each is judged by the schema until one with
    text has kept it; after that those that only bring more text are taken to be like it. Once one has not, the rest
    are filled in. The usage is kept until the end, wherever it came, so that it comes once and only where wanted.
    """

    __slots__ = (
        "_early",
        "_heads",
        "_identity",
        "_is_known",
        "_judge",
        "_mends",
        "_opened",
        "_passes",
        "_pieces",
        "_trusted",
        "_usage",
        "_usage_event",
        "_usage_said",
        "_wanted",
    )

    def __init__(self, pieces: Pieces, identity: Identity, wanted: Wanted, *, passes: bool) -> None:
        """Take `passes`, whether the target's events are in OpenAI's format; `identity` is for those that have none."""
        self._pieces = pieces
        self._judge = pieces.judge.decode
        self._identity = identity
        self._wanted = wanted
        self._passes = passes
        self._is_known = not passes  # the identity is the answer's own
        self._early: list[Chunk] = []
        """Events without an identity that came before the one that has it, such as Azure's about its filters."""
        self._opened = False
        self._trusted = False
        self._mends = False
        self._usage: Usage | None = None
        self._usage_event: bytes | None = None
        """How its source told of that usage; None: it is written anew."""
        self._usage_said: bytes | None = None
        """What the event at hand tells, before it is known whether that makes sense."""
        self._heads: tuple[bytes, bytes] | None = None

    def write(self, chunk: Chunk) -> bytes:
        """Give the events of the next chunk."""
        if not self._passes or chunk.resumed_by:
            return self._switched(chunk) if chunk.resumed_by else self._anew(chunk)
        raw = chunk.raw
        if not raw:
            return self._further(chunk)
        if self._trusted and chunk.text and not (chunk.finish_reason or chunk.usage or chunk.tool_calls):
            return framed(raw)
        if self._mends:
            return self._mended(chunk)
        try:
            event = self._judge(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._mends, self._trusted = True, False
            return self._mended(chunk)
        if event.usage is not None and chunk.usage is not None and not event.choices:
            self._usage_said = raw
            return self._further(chunk)
        if event.usage is not None or chunk.usage is not None:
            return self._mended(chunk)
        self._trusted = bool(chunk.text and event.choices)
        return self._given(raw, event)

    def end(self) -> bytes:
        """Give the usage, where it is wanted and known, and the mark of a whole answer."""
        if not self._wanted.usage or self._usage is None:
            return _DONE
        event = self._usage_event or encode({**self._frame([]), "usage": counts(self._usage)})
        return framed(event) + _DONE

    def fail(self, error: LlamaFarmError, request_id: str) -> bytes:
        """Give the error, and no mark of the end: the answer is not whole. OpenAI's clients raise at this event."""
        return framed(encode(document(failure_of(error), "openai", request_id)))

    # As it came

    def _given(self, raw: bytes, event: Any) -> bytes:
        """Frame an event that keeps the schema, and put in front of the first what it leaves out."""
        self._know(raw)
        early, self._early = self._early, []
        before = b"".join(map(self._mended, early))
        if event.choices:
            if not self._opened:
                before += b"".join(map(self._event, self._pieces.opening(event)))
                self._opened = True
            self._pieces.saw(event)
        return before + framed(raw)

    def _know(self, raw: bytes) -> None:
        if not self._is_known:
            self._identity, self._is_known = identity_of(raw, self._identity), True

    def _further(self, chunk: Chunk) -> bytes:
        """Take the usage of an event; of several choices' it is with the last, whose chunk has no bytes."""
        if chunk.usage is not None:
            self._usage, self._usage_event, self._usage_said = chunk.usage, self._usage_said, None
        return b""

    # Filled in

    def _mended(self, chunk: Chunk) -> bytes:
        """Fill in an event, and take its usage out."""
        identity = self._identity if self._is_known else identity_of(chunk.raw, self._identity)
        event = mend(chunk.raw, self._pieces.kind, identity, self._pieces.mended)
        self._usage_said = None
        if event is None:  # no completion at all: that says nothing of those that follow
            self._mends = False
            return b""
        if not event["choices"] and not self._is_known:
            self._mends = False
            self._early.append(chunk)
            return b""
        self._know(chunk.raw)
        used = event.pop("usage", None)
        if used is not None and bytes(used) != b"null":
            self._usage_said = encode({**(self._frame([]) if event["choices"] else event), "usage": used})
            if not event["choices"]:
                return self._further(chunk)
        self._further(chunk)
        if self._wanted.usage:
            event["usage"] = None
        written = encode(event)
        try:
            return self._given(written, self._judge(written))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            reply, raw = decode_completion(chunk.raw)
        return b"".join(self._anew(replace(one, usage=None)) for one in chunks_of(reply, raw))

    # Anew

    def _switched(self, chunk: Chunk) -> bytes:
        """Mark in a comment, which clients leave out, that another target goes on."""
        self._passes = False
        self._is_known = True
        return continued_by(chunk.resumed_by) + self._anew(chunk)

    def _anew(self, chunk: Chunk) -> bytes:
        if chunk.usage is not None:
            self._usage, self._usage_event = chunk.usage, None
        if self._pieces.plain(chunk):
            before, behind = self._heads or self._around()
            return before + encode(chunk.text) + behind
        return b"".join(map(self._event, self._pieces.choices(chunk)))

    def _around(self) -> tuple[bytes, bytes]:
        """Write once what stands around every piece of text."""
        choice, text = self._pieces.around_text()
        before, _, behind = self._event(choice).rpartition(encode(text))
        self._heads = before, behind
        return self._heads

    def _event(self, choice: dict[str, Any]) -> bytes:
        event = self._frame([choice])
        if self._wanted.usage:
            event["usage"] = None
        return framed(encode(event))

    def _frame(self, choices: list[dict[str, Any]]) -> Fields:
        identity = self._identity
        return {
            "id": identity.id,
            "object": self._pieces.kind,
            "created": identity.created,
            "model": identity.model,
            "choices": choices,
        }
