"""``/v1/images/generations``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from llamafarm.errors import BadReplyError
from llamafarm.server.failures import document, failure_of
from llamafarm.server.formats.openai.requests import read_call
from llamafarm.server.formats.openai.schema import fits
from llamafarm.server.formats.openai.values import encode
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.errors import LlamaFarmError
    from llamafarm.reply import Reply
    from llamafarm.server.formats.protocol import Dialect, EventWriter, Format
    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call, Chunk

__all__ = ["Images"]


class Parts(msgspec.Struct, gc=False):
    """Of what kind tokens were."""

    image_tokens: int
    text_tokens: int


class Counts(msgspec.Struct, gc=False):
    """A usage."""

    input_tokens: int
    input_tokens_details: Parts
    output_tokens: int
    total_tokens: int
    output_tokens_details: Parts | None = None


class Picture(msgspec.Struct, gc=False):
    """One picture."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class Answer(msgspec.Struct, gc=False):
    """An answer, as the schema requires it."""

    created: int
    data: list[Picture]
    background: Literal["transparent", "opaque"] | None = None
    output_format: Literal["png", "webp", "jpeg", "gif", "svg"] | None = None
    quality: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    size: str | None = None
    usage: Counts | None = None


_answer = msgspec.json.Decoder(Answer)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OPTIONAL = {
    field.name: msgspec.json.Decoder(field.type) for field in msgspec.structs.fields(Answer) if not field.required
}
_created = msgspec.json.Decoder(int)


class Images:
    """Pictures, whole; streamed, each comes with one event when all are there: vendors may send no partial ones."""

    dialect: Dialect = "openai"

    def read(self, body: dict[str, Any], head: Head) -> Call:
        """Understand a request. Raises `BadCallError`."""
        return read_call(body, head, Operation.IMAGE)

    def whole(self, call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:  # noqa: ARG002 - as every format's
        """Write the answer as it came, or filled in where it does not keep OpenAI's schema."""
        return _mended(chunks[0].raw)

    def stream(self, call: Call, reply: Reply) -> EventWriter:
        """Begin to write pictures as events."""
        return PictureEvents(call.body, reply.target.name)


def _mended(raw: bytes) -> bytes:
    if fits(raw, _answer):
        return raw
    fields: dict[str, Any] = dict(_object.decode(raw))
    if not fits(fields.get("created", b""), _created):
        fields["created"] = int(time.time())
    for name, decoder in _OPTIONAL.items():
        if name in fields and not fits(fields[name], decoder):
            del fields[name]
    return encode(fields)


class PictureEvents:
    """Writes each picture as the event that completes it."""

    __slots__ = ("_asked", "_target")

    def __init__(self, asked: Mapping[str, Any], target: str) -> None:
        self._asked = asked
        self._target = target

    def write(self, chunk: Chunk) -> bytes:
        """Give the events of the answer's pictures. Raises `BadReplyError` for one that is only an address."""
        if not chunk.raw:
            return b""
        answer = msgspec.json.decode(_mended(chunk.raw))
        return b"".join(self._event(answer, picture) for picture in answer["data"])

    def _event(self, answer: Mapping[str, Any], picture: Mapping[str, Any]) -> bytes:
        if not picture.get("b64_json"):
            raise BadReplyError(f"{self._target} gave only the address of a picture: ask without stream to get that")
        kind = "image_generation.completed"
        event = {
            "type": kind,
            "b64_json": picture["b64_json"],
            "created_at": answer["created"],
            **{name: self._setting(answer, name, usual) for name, usual in _SETTINGS.items()},
        }
        event["usage"] = answer.get("usage") or _NO_USAGE
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode(event))

    def _setting(self, answer: Mapping[str, Any], name: str, usual: str) -> Any:
        return answer.get(name) or self._asked.get(name) or usual

    def end(self) -> bytes:
        """Give nothing: this API has no mark of the end."""
        return b""

    def fail(self, error: LlamaFarmError, request_id: str) -> bytes:
        """Give the error, at which OpenAI's clients raise."""
        return b"event: error\ndata: %b\n\n" % encode(document(failure_of(error), "openai", request_id))


_NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
"""Where the answer says nothing of it: clients require one of an event, and no model here counts a picture's."""
_SETTINGS = {"background": "auto", "output_format": "png", "quality": "auto", "size": "auto"}
"""What an event says of its picture: as the answer has it, or the request, or as it is where nobody says."""


if TYPE_CHECKING:
    _: Format = Images()
