"""Sizes as people write them."""

import pytest

from llamafarm.spec import parse_bytes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("256 MB", 256_000_000),
        ("256MB", 256_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("4k", 4_000),
        ("2 TiB", 2 * 2**40),
        ("7 b", 7),
        ("12", 12),
        (4096, 4096),
    ],
)
def test_sizes(size, expected):
    assert parse_bytes(size) == expected


@pytest.mark.parametrize("size", ["", "MB", "-1 MB", "1 XB", "1 ib", "many", "1e9", "1 MB MB"])
def test_what_is_no_size(size):
    with pytest.raises(ValueError, match="is no size"):
        parse_bytes(size)
