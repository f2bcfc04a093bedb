"""What every API's requests have in common: which model, whose tags, streamed or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llamafarm.errors import BadCallError
from llamafarm.types import Call, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamafarm.server.http.messages import Head

__all__ = ["call_of", "tags_of"]

_TAGS = "x-llamafarm-tags"


def call_of(body: Mapping[str, Any], head: Head, operation: Operation, *, own: Iterable[str] = ()) -> Call:
    """Make a call of a request in OpenAI's format of the operation; fields called `own` are not for the target.

    Raises `BadCallError` where model, stream, user or metadata is of another kind than the API's.
    """
    model, stream, user = body.get("model"), body.get("stream"), body.get("user")
    if model is not None and not isinstance(model, str):
        raise BadCallError(f"model is {model!r:.40}: expected the name of a strategy, a target, an alias or a model")
    if stream is not None and not isinstance(stream, bool):
        raise BadCallError(f"stream is {stream!r:.40}: expected true or false")
    metadata = body.get("metadata")
    dropped = {"model", "stream", *own}
    kept = {name: value for name, value in body.items() if name not in dropped}
    if "metadata" in kept and isinstance(metadata, Mapping) and "tags" in metadata:
        # They are for us: vendors refuse a list among their metadata.
        kept["metadata"] = {name: value for name, value in metadata.items() if name != "tags"}
    return Call(
        body=kept,
        operation=operation,
        model=model or None,
        stream=bool(stream),
        tags=tags_of(head, metadata),
        metadata=metadata if isinstance(metadata, Mapping) else {},
        user=user if isinstance(user, str) else None,
    )


def tags_of(head: Head, metadata: object) -> frozenset[str]:
    """Give the tags of a request: those of its header, and of its metadata, a list or a text with commas.

    Raises `BadCallError` where they, or the metadata, are anything else.
    """
    if metadata is not None and not isinstance(metadata, Mapping):
        raise BadCallError(f"metadata is {metadata!r:.40}: expected an object")
    given = metadata.get("tags") if metadata else None
    if isinstance(given, str):
        given = given.split(",")
    if given is not None and not (isinstance(given, list) and all(isinstance(tag, str) for tag in given)):
        raise BadCallError(f"metadata.tags is {given!r:.40}: expected a list of texts, or one text with commas between")
    every = (*head.headers.get(_TAGS, "").split(","), *(given or ()))
    return frozenset(tag.strip() for tag in every if tag.strip())
