"""Errors that are written as no vendor should: the right class all the same, and no key in what is said."""

import time

import msgspec
import pytest

from llamafarm.errors import BadReplyError, BadRequestError, StreamCutError, TransientError
from llamafarm.providers.complaints import read_error_body, read_inner
from llamafarm.testing.fake_server import FakeServer, events, raw, reply
from tests.providers.conftest import KEY

BAD_UTF8 = b'{"error":"\xff\xfe it broke"}'
PIECE = {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_that_is_no_utf8(rig, stream):
    behaviour = events(BAD_UTF8, done=False) if stream else reply(200, BAD_UTF8, {"content-type": "application/json"})
    async with FakeServer(behaviour) as server:
        error = await rig.fails(server, BadReplyError, stream=stream)
        assert "it broke" in str(error)


async def test_an_error_that_is_no_utf8_in_mid_stream(rig):
    async with FakeServer(events(PIECE, BAD_UTF8, done=False)) as server:
        assert (await rig.fails(server, StreamCutError)).seen == "Hel"


@pytest.mark.parametrize("place", [5, None, "body", {"a": 1}, ["body", 0, "n"]])
async def test_a_validation_error_with_an_odd_place(rig, place):
    body = msgspec.json.encode({"detail": [{"loc": place, "msg": "it is wrong"}]})
    async with FakeServer(reply(422, body, {"content-type": "application/json"})) as server:
        assert "it is wrong" in str(await rig.fails(server, BadRequestError, stream=False))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 5000, b"[]", b"null", b"1", b'{"error":{"message":{"a":[1]}}}']
)
def test_nothing_that_can_stand_in_a_body_fails(body):
    assert isinstance(read_error_body(body).message, str)
    assert isinstance(read_inner(body).message, str)


async def test_a_plain_answer_that_ended_with_an_error_is_none(rig):
    choice = {"index": 0, "message": {"content": "partial ans"}, "finish_reason": "error"}
    body = msgspec.json.encode({"choices": [choice]})
    async with FakeServer(reply(200, body, {"content-type": "application/json"})) as server:
        assert "ended its answer with an error" in str(await rig.fails(server, BadReplyError, stream=False))


@pytest.mark.parametrize("status", [101, 199])
async def test_a_status_that_is_no_answer(rig, status):
    async with FakeServer(raw(b"HTTP/1.1 %d Odd\r\ncontent-length: 0\r\n\r\n" % status)) as server:
        with pytest.raises(Exception) as caught:
            await rig.send(server, stream=False)
        assert caught.value.try_next


async def test_a_check_shows_no_key_that_a_server_echoes(rig):
    for body, kind in (
        (msgspec.json.encode({"data": [{"id": KEY}]}), "application/json"),
        (b"hello", f"text/{KEY}"),
    ):
        async with FakeServer(reply(200, body, {"content-type": kind})) as server:
            status = await rig.upstream.check(rig.target(server))
            assert not status.ok
            assert KEY not in status.detail + repr(status.models)


async def test_an_error_whose_body_is_slow_is_what_its_status_says(rig):
    """And not a timeout, for which the vendor might have worked."""
    head = b"HTTP/1.1 503 x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    for stream in (True, False):
        async with FakeServer(raw(head, close=False)) as server:
            began = time.monotonic()
            error = await rig.fails(server, TransientError, stream=stream, seconds=1.0)
            assert error.upstream_status == 503
            assert time.monotonic() < began + 4, "the longest wait for an error's body is 5 s"
