"""Undoes a body's `Content-Encoding` piece by piece, so that no small body can fill the memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Decoder", "Inflate", "Plain", "decoder"]

_PIECE = 256 * 1024
"""Bytes a decoder gives at a time at most: a reader with a limit stops a bomb within one piece of it."""
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class Decoder(Protocol):
    """Turns a body's bytes as sent into the bytes meant. ValueError says why it cannot."""

    def decode(self, block: bytes) -> Iterator[bytes]:
        """Give what a block of the body stands for, in pieces of bounded size."""

    def end(self) -> None:
        """Raise ValueError where the body ended too early."""


class Plain:
    """No encoding."""

    __slots__ = ()

    def decode(self, block: bytes) -> Iterator[bytes]:
        """Give the block as it is."""
        yield block

    def end(self) -> None:
        """Nothing can be missing that HTTP itself would not have noticed."""


class Inflate:
    """gzip or deflate."""

    __slots__ = ("_inflate",)

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)

    def decode(self, block: bytes) -> Iterator[bytes]:
        """Give what the block inflates to, a bounded piece at a time."""
        while block:
            if self._inflate.eof:  # a gzip body may have several members (RFC 1952, 2.2)
                self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                piece = self._inflate.decompress(block, _PIECE)
            except zlib.error as error:
                raise ValueError(f"its compressed body is damaged ({error})") from None
            if piece:
                yield piece
            # At the end of a member both may hold what is left: only the one that is meant for it is looked at.
            block = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def end(self) -> None:
        """Raise ValueError unless the compressed stream came to its own end."""
        if not self._inflate.eof:
            raise ValueError("its compressed body ends too early")


def decoder(content_encoding: str) -> Decoder:
    """Choose by the header's value; ValueError for an encoding that was not asked for."""
    match content_encoding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip" | "deflate":
            return Inflate()
        case other:
            raise ValueError(f"its body has Content-Encoding {other[:40]!r}, which was not asked for")
