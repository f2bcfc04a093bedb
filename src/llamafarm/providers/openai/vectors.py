"""Reads the vectors of an embedding answer in OpenAI's format: numbers, or base64 of 32-bit floats, in their order."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import TYPE_CHECKING

import msgspec

from llamafarm.providers.decoding import MalformedError, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_vectors"]

_FLOAT_BYTES = 4


class Row(msgspec.Struct, gc=False):
    """The embedding of one input, and which input that is; without an index rows are in their inputs' order."""

    embedding: tuple[float, ...] | str
    index: int | None = None


class Rows(msgspec.Struct, gc=False):
    """The answer to an embedding request."""

    data: list[Row]


_rows = msgspec.json.Decoder(Rows)


def read_vectors(body: bytes) -> tuple[tuple[float, ...], ...]:
    """Give an answer's vectors in the order of their inputs. Raises `MalformedError`."""
    rows = decode(_rows, body)[0].data
    vectors = tuple(_numbers(row.embedding) for row in _in_order(rows))
    if not all(vectors):
        raise MalformedError("it has an empty vector")
    return vectors


def _in_order(rows: Sequence[Row]) -> Sequence[Row]:
    places = {row.index: row for row in rows}
    if places.keys() == {None}:
        return rows
    if len(places) != len(rows) or places.keys() != set(range(len(rows))):
        given = ", ".join("none" if row.index is None else str(row.index) for row in rows[:10])
        raise MalformedError(f"its {len(rows)} vectors have the indices {given}")
    return [places[index] for index in range(len(rows))]


def _numbers(embedding: tuple[float, ...] | str) -> tuple[float, ...]:
    if isinstance(embedding, tuple):
        return embedding
    try:
        packed = base64.b64decode(embedding, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"a vector is a text that is not base64: {error}") from None
    if len(packed) % _FLOAT_BYTES:
        raise MalformedError(f"a vector in base64 has {len(packed)} bytes, which are no 32-bit floats")
    return struct.unpack(f"<{len(packed) // _FLOAT_BYTES}f", packed)
