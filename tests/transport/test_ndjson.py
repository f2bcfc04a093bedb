from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.transport import Event, NDJSONParser, OversizedEventError


def lines(*pieces, limit=1000):
    parser = NDJSONParser(limit)
    events = [event for piece in pieces for event in parser.feed(piece)]
    events += parser.end()
    assert parser.end() == []
    assert all(event == Event(event.data, b"") for event in events)
    return [event.data for event in events]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n\r\n\n  {"b":2}  \n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\n{"b":', [b'{"a":1}', b'{"b":']),
        ('{"a":"\u2028\x85\x0c"}\n'.encode(), ['{"a":"\u2028\x85\x0c"}'.encode()]),
    ],
)
def test_lines(body, expected):
    assert lines(body) == expected
    assert lines(*(body[at : at + 1] for at in range(len(body)))) == expected


@given(st.binary(max_size=60).map(lambda data: data.replace(b"a", b"\n")), st.lists(st.integers(0, 60), max_size=6))
def test_any_split_gives_the_same_lines(body, cuts):
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    assert lines(*(body[start:end] for start, end in pairwise(places))) == lines(body)
    assert lines(body) == [line.strip() for line in body.split(b"\n") if line.strip()]


def test_a_line_that_never_ends_is_not_kept():
    assert lines(b"x" * 10, limit=10) == [b"x" * 10]
    with pytest.raises(OversizedEventError, match="longer than 10 bytes"):
        lines(b"x" * 6, b"x" * 5, limit=10)
