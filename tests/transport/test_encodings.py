"""Bodies that are compressed: what is in them, and what must not hang."""

import gzip
import zlib

import pytest

from llamafarm.transport.encodings import decoder


def decoded(encoding, *blocks):
    made = decoder(encoding)
    pieces = [piece for block in blocks for piece in made.decode(block)]
    made.end()
    return b"".join(pieces)


@pytest.mark.parametrize("size", [0, 10, 2**20 + 7])
def test_several_members_are_one_body(size):
    first, second = b"a" * size, b"b" * size
    body = gzip.compress(first) + gzip.compress(second)
    assert decoded("gzip", body) == first + second
    assert decoded("gzip", *(body[at : at + 100] for at in range(0, len(body), 100))) == first + second


def test_what_follows_and_is_no_member_is_damage():
    for size in (10, 2**20):
        with pytest.raises(ValueError, match="damaged"):
            decoded("gzip", gzip.compress(b" " * size) + b"garbage")


def test_pieces_are_bounded():
    sizes = [len(piece) for piece in decoder("deflate").decode(zlib.compress(b"x" * 10**7))]
    assert sum(sizes) == 10**7
    assert max(sizes) <= 256 * 1024
