"""Writes a plain completion: as it came where it keeps OpenAI's schema, else filled in, else from its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.server.formats.openai.mending import identity_of, mend
from llamafarm.server.formats.openai.schema import fits
from llamafarm.server.formats.openai.values import choices_of, counts, encode
from llamafarm.server.formats.protocol import passes_through

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import msgspec

    from llamafarm.reply import Reply
    from llamafarm.server.formats.openai.mending import Fields, Identity
    from llamafarm.server.formats.openai.values import Choice
    from llamafarm.types import Chunk

__all__ = ["whole_completion"]


def whole_completion(
    reply: Reply,
    chunks: Sequence[Chunk],
    identity: Identity,
    *,
    kind: str,
    judge: msgspec.json.Decoder[Any],
    mended: Callable[[int, Fields], Fields],
    written: Callable[[Choice], dict[str, Any]],
) -> bytes:
    """Write an answer of a `kind`, each choice `mended` or `written`; `identity` is for one that has none."""
    usage = next((chunk.usage for chunk in reversed(chunks) if chunk.usage is not None), None)
    used = {} if usage is None else {"usage": counts(usage)}
    if chunks and passes_through(chunks[0], reply, "openai"):
        raw = chunks[0].raw
        if fits(raw, judge):
            return raw
        fields = encode({**used, **(mend(raw, kind, identity_of(raw, identity), mended) or {})})
        if fits(fields, judge):
            return fields
    return encode(
        {
            "id": identity.id,
            "object": kind,
            "created": identity.created,
            "model": identity.model,
            "choices": [written(choice) for choice in choices_of(chunks)],
            **used,
        }
    )
