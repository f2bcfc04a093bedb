import asyncio

import pytest

from llamafarm.errors import (
    AttemptTimeoutError,
    BadReplyError,
    BadRequestError,
    ConnectError,
    ContextExceededError,
    CredentialsError,
    RateLimitError,
    StreamCutError,
    TransientError,
)
from llamafarm.testing.fake_server import FakeServer, answer, raw, reply, reset, silence
from llamafarm.types import Operation

from .conftest import KEY

HTML = "<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head></html>"
CHOICE = {"message": {"content": "Hello"}, "finish_reason": "stop"}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_page_instead_of_an_answer(rig, stream):
    async with FakeServer(reply(200, HTML, {"content-type": "text/html; charset=utf-8"})) as server:
        error = await rig.fails(server, BadReplyError, stream=stream)
        assert f"{server.base_url}/chat/completions; is this an OpenAI-compatible endpoint?" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"choices": []}',
        '{"choices": null}',
        '{"choices": [{}]',
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
async def test_what_is_no_answer(rig, body):
    async with FakeServer(reply(200, body)) as server:
        assert "OpenAI-compatible" in str(await rig.fails(server, BadReplyError, stream=False))


async def test_an_answer_without_a_finish_reason(rig):
    async with FakeServer(reply(200, {"choices": [{**CHOICE, "finish_reason": None}]})) as server:
        error = await rig.fails(server, BadReplyError, stream=False)
        assert "without a finish reason" in str(error)
        assert error.billed


@pytest.mark.parametrize("data", [None, [], [{"index": 0}], [{"embedding": None}], [{"embedding": []}]])
async def test_embeddings_without_vectors(rig, data):
    async with FakeServer(reply(200, {"data": data})) as server:
        await rig.fails(server, BadReplyError, stream=False, operation=Operation.EMBEDDING, body={"input": "x"})


async def test_a_stream_answered_in_one_piece(rig):
    error = {"error": {"message": "busy", "code": "server_error"}}
    async with FakeServer(reply(200, {"choices": [CHOICE]}), reply(200, error)) as server:
        assert "instead of a stream" in str(await rig.fails(server, BadReplyError))
        await rig.fails(server, TransientError)


async def test_a_plain_request_answered_with_a_stream(rig):
    async with FakeServer(reply(200, "data: {}\n\n", {"content-type": "text/event-stream"})) as server:
        await rig.fails(server, BadReplyError, stream=False)


@pytest.mark.parametrize("operation", [Operation.CHAT, Operation.EMBEDDING])
async def test_an_error_under_status_200(rig, operation):
    async with FakeServer(
        reply(200, {"error": {"message": "too long", "code": "context_length_exceeded"}}),
        reply(200, {"object": "error", "message": "slow down", "code": 429}),
    ) as server:
        await rig.fails(server, ContextExceededError, stream=False, operation=operation)
        await rig.fails(server, RateLimitError, stream=False, operation=operation)


@pytest.mark.parametrize("stream", [True, False])
async def test_statuses(rig, stream):
    async with FakeServer(
        reply(503, {"error": {"message": "busy"}}),
        reply(429, {"error": {"message": "slow"}}, {"retry-after": "7"}),
        reply(401, {"error": {"message": f"wrong key {KEY}"}}),
        reply(307, b"", {"location": "https://elsewhere.example/v1?token=secret"}),
    ) as server:
        await rig.fails(server, TransientError, stream=stream)
        assert (await rig.fails(server, RateLimitError, stream=stream)).retry_after == 7
        error = await rig.fails(server, CredentialsError, stream=stream)
        place = server.base_url.split("/")[2]
        assert str(error) == f"acme ({place}) answered 401: wrong key ***; check ACME_KEY"
        error = await rig.fails(server, BadReplyError, stream=stream)
        assert "a redirect to https://elsewhere.example/v1, and redirects are not followed" in str(error)
        assert not error.billed


async def test_an_error_body_without_end(rig):
    head = b"HTTP/1.1 400 x\r\ntransfer-encoding: chunked\r\n\r\n"
    flood = [head, b'a0000\r\n{"error": {"message": "' + b"x" * 70_000, *[b"x" * 70_000] * 7]
    async with FakeServer(raw(*flood, close=False)) as server:
        error = await rig.fails(server, BadRequestError)
        assert len(str(error)) < 500
        await server.until_disconnected()


async def test_no_answer(rig):
    async with FakeServer(silence()) as server:
        assert "no whole answer within 0.1 s" in str(
            await rig.fails(server, AttemptTimeoutError, stream=False, seconds=0.1)
        )
        assert "no first token within 0.1 s" in str(await rig.fails(server, AttemptTimeoutError, seconds=0.1))
        await server.until_disconnected()


async def test_a_body_that_drips(rig):
    async def drip(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while not request.gone.is_set():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with FakeServer(drip) as server:
        await rig.fails(server, AttemptTimeoutError, stream=False, seconds=0.2)
        await server.until_disconnected()


async def test_the_deadline_has_passed_already(rig):
    async with FakeServer() as server:
        await rig.fails(server, AttemptTimeoutError, seconds=-1)


async def test_refused_and_reset(rig):
    async with FakeServer(reset(), raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")) as server:
        assert str(await rig.fails(server, ConnectError, stream=False)).startswith("acme: 127.0.0.1:")
        error = await rig.fails(server, StreamCutError, stream=False)
        assert error.billed
    error = await rig.fails(server, ConnectError)
    assert str(error).startswith("acme: cannot connect to 127.0.0.1:")


async def test_check(rig):
    async with FakeServer(
        answer(models=("a", "fake-model")),
        answer(models=("models/fake-model",)),
        answer(models=()),
        reply(200, [{"id": "fake-model"}]),
        reply(200, {"data": [{"id": "path.gguf", "owned_by": "llamacpp"}]}),
    ) as server:
        status = await rig.upstream.check(rig.target(server))
        assert (status.ok, status.models) == (True, ("a", "fake-model"))
        for _ in range(4):
            status = await rig.upstream.check(rig.target(server))
            assert status.ok, status
        assert server.requests[0].path == "/v1/models"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (answer(models=tuple("abcdefg")), "does not list the model 'fake-model'; it lists a, b, c, d, e, …"),
        (reply(401, {"error": {"message": f"bad key {KEY}"}}), "answered 401: bad key ***; check ACME_KEY"),
        (reply(503, {"error": {"message": "Loading model"}}), "answered 503: Loading model"),
        (reply(200, HTML, {"content-type": "text/html"}), "answered text/html; is this an OpenAI-compatible endpoint?"),
        (reply(200, "{}"), "is this an OpenAI-compatible endpoint?"),
        (reply(200, '{"data": 5}'), "is this an OpenAI-compatible endpoint?"),
        (raw(b"SSH-2.0\r\n\r\n"), "did not answer in HTTP"),
    ],
)
async def test_check_says_what_is_wrong(rig, script, says):
    async with FakeServer(script) as server:
        status = await rig.upstream.check(rig.target(server))
        assert not status.ok
        assert says in status.detail
        assert KEY not in status.detail


async def test_check_of_a_place_without_a_list(rig):
    async with FakeServer(reply(404, {"detail": "Not Found"})) as server:
        assert (await rig.upstream.check(rig.target(server))).ok
        for changes in ({"provider": "custom"}, {"local": True, "provider": "vllm"}):
            status = await rig.upstream.check(rig.target(server, **changes))
            assert not status.ok
            assert "check base_url" in status.detail
    status = await rig.upstream.check(rig.target(server))
    assert "nothing listens there" in status.detail
    assert not status.ok
    assert "no base_url" in (await rig.upstream.check(rig.target("", base_url=None))).detail
