from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.transport import Event, OversizedEventError, SSEParser


def parse(*blocks: bytes, limit: int = 1000) -> list[Event]:
    parser = SSEParser(limit)
    events = [event for block in blocks for event in parser.feed(block)]
    return events + parser.end()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b": keep-alive\n\n: again\n\ndata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"id: 7\nretry: 3\nodd: x\ndata: a\n\n", [b"a"]),
        (b"\n\n\n", []),
        (b"", []),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        ("data: Grüße\u2028\x0b\x0c\x1c\x85\n\n".encode(), ["Grüße\u2028\x0b\x0c\x1c\x85".encode()]),
    ],
)
def test_data(stream, expected):
    assert [event.data for event in parse(stream)] == expected


def test_names_belong_to_one_event():
    assert parse(b"event: error\ndata: a\n\ndata: b\n\n") == [Event(b"a", b"error"), Event(b"b")]


def test_a_name_without_data_is_no_event():
    assert parse(b"event: ping\n\ndata: a\n\n") == [Event(b"a")]


STREAM = b"\xef\xbb\xbfdata: one\r\n\r\n: c\r\ndata: two\rdata: three\r\revent: x\ndata: \xc3\xa4\n\ndata: end"


def test_cut_in_two_at_every_byte():
    whole = parse(STREAM)
    assert [event.data for event in whole] == [b"one", b"two\nthree", b"\xc3\xa4", b"end"]
    for cut in range(len(STREAM) + 1):
        assert parse(STREAM[:cut], STREAM[cut:]) == whole


LINES = st.sampled_from(
    [b"data: x", b"data:", b": c", b"event: e", b"", b"", b"\xef\xbb\xbf", b"data: \xf0\x9f\x8d\xba"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=12), st.lists(st.integers(0, 200), max_size=8))
def test_any_split_gives_the_same_events(lines, cuts):
    stream = b"".join(line + end for line, end in lines)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert parse(*pieces) == parse(stream)
    assert parse(*(stream[at : at + 1] for at in range(len(stream)))) == parse(stream)


@given(st.binary(max_size=200))
def test_no_bytes_crash_it(stream):
    parse(stream)


@pytest.mark.parametrize("blocks", [[b"data: " + b"x" * 2000], [b"x" * 10] * 200, [b"data: " + b"x" * 90 + b"\n"] * 12])
def test_a_line_or_event_above_the_limit_is_refused(blocks):
    with pytest.raises(OversizedEventError):
        parse(*blocks, limit=1000)


def test_many_small_events_are_not_above_the_limit():
    assert len(parse(*[b"data: " + b"x" * 90 + b"\n\n"] * 100, limit=1000)) == 100
