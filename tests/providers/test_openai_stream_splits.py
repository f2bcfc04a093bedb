from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.errors import AttemptError, StreamCutError
from llamafarm.providers.failures import Peer
from llamafarm.providers.openai.stream import OpenAIStream
from llamafarm.providers.stream import Limits
from llamafarm.testing.fake_server import FakeServer, raw

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
SMALL = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\n'
    b"data: [DONE]\n\n"
)


async def test_cut_at_every_byte(rig):
    finish = SMALL.index(b'"stop"}]}') + len(b'"stop"}]}')
    for cut in range(len(SMALL) + 1):
        async with FakeServer(raw(HEAD + SMALL[:cut])) as server:
            try:
                chunks = await rig.send(server)
            except StreamCutError:
                assert cut < finish
            else:
                assert cut >= finish
                assert "".join(chunk.text for chunk in chunks) == "Hello"


class Canned:
    """A response from memory, in given pieces."""

    status = 200
    headers = {}  # noqa: RUF012 - never changed

    def __init__(self, pieces):
        self.pieces = list(pieces)

    async def read(self, limit, *, cut=False):
        return b"".join(self.pieces)

    async def read_some(self):
        return self.pieces.pop(0) if self.pieces else b""

    def close(self):
        pass


async def collect(pieces):
    stream = OpenAIStream(Canned(pieces), Peer("acme", "x"), Limits(0.0, float("inf"), 5.0))
    seen = []
    try:
        async for chunk in stream:
            seen += [chunk]
    except AttemptError as error:
        seen += [str(error)]
    return seen


@settings(deadline=None)
@given(st.lists(st.integers(0, len(SMALL)), max_size=10))
async def test_any_split_of_a_stream_gives_the_same_chunks(cuts):
    places = sorted({0, *cuts, len(SMALL)})
    assert await collect(SMALL[a:b] for a, b in pairwise(places)) == await collect([SMALL])


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.just(b"data: "), st.just(b"\n\n")), max_size=12))
async def test_no_bytes_end_a_stream_well_or_crash_it(pieces):
    (*_, last) = await collect(pieces)
    assert isinstance(last, str)
