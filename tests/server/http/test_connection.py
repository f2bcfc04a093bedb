"""Requests and answers over real sockets: in order, whole, and let go of when the client is gone."""

import asyncio
import json
import socket
import ssl

import pytest

from tests.server.http.echo import Client, Echo, request, until


async def test_a_request_is_answered_and_the_connection_goes_on(serve):
    listener = await serve()
    async with Client.to(listener) as client:
        for number in range(3):
            await client.send(request(f"/a/%2e%2e//b\\c?n={number}&x=%20?", method="POST", body=b"x" * number))
            status, headers, body = await client.answer()
            said = json.loads(body)
            assert status == 200
            assert "connection" not in headers
            assert headers["date"].endswith(" GMT")
            assert (said["path"], said["query"]) == ("/a/%2e%2e//b\\c", f"n={number}&x=%20?")
            assert (said["method"], said["length"], said["peer"]) == ("POST", number, "127.0.0.1")
        assert listener.connections == 1


async def test_repeated_headers_are_joined_and_names_are_lower_case(serve):
    listener = await serve()
    async with Client.to(listener) as client:
        await client.send(request(headers=["X-Tag: a ", "x-tag:\tb", "X-Bytes: \xe9", "X-Empty:"]))
        said = json.loads((await client.answer())[2])["headers"]
    assert said == {"host": "test", "x-tag": "a, b", "x-bytes": "\xc3\xa9", "x-empty": ""}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH"])
async def test_every_method_reaches_the_application(serve, method):
    async with Client.to(await serve()) as client:
        for _ in range(2):
            await client.send(request(method=method))
            status, headers, body = await client.answer(method=method)
            assert status == 200
            assert (body == b"") is (method == "HEAD")
            assert int(headers["content-length"]) > 0


async def test_a_stream_is_chunked_and_the_connection_goes_on(serve):
    async with Client.to(await serve()) as client:
        for method in ("GET", "HEAD", "POST"):
            await client.send(request("/stream", method=method))
            status, headers, body = await client.answer(method=method)
            assert (status, headers["transfer-encoding"]) == (200, "chunked")
            assert body == (b"" if method == "HEAD" else b"one two three")


@pytest.mark.parametrize(
    ("asked", "goes_on"), [([], False), (["Connection: keep-alive"], True), (["Connection: close"], False)]
)
async def test_http_1_0_closes_unless_it_asks_otherwise(serve, asked, goes_on):
    async with Client.to(await serve()) as client:
        await client.send(request(version="1.0", headers=asked))
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "keep-alive" if goes_on else "close")
        if goes_on:
            await client.send(request(version="1.0"))
            assert (await client.answer())[0] == 200
        assert await client.rest() == b""


async def test_a_stream_to_http_1_0_ends_with_the_connection(serve):
    async with Client.to(await serve()) as client:
        await client.send(request("/stream", version="1.0", headers=["Connection: keep-alive"]))
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (200, "close", b"one two three")
        assert "transfer-encoding" not in headers


async def test_connection_close_is_heeded(serve):
    async with Client.to(await serve()) as client:
        await client.send(request(headers=["Connection: foo, Close"]))
        assert (await client.answer())[1]["connection"] == "close"
        assert await client.rest() == b""


async def test_pipelined_requests_are_answered_in_order(serve):
    paths = ["/a", "/stream", "/forbidden", "/b", "/silent", "/c"] * 5
    listener = await serve()
    chunked = (
        b"POST /d HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
    )
    async with Client.to(listener) as client:
        await client.send(
            b"".join([request(path) for path in paths]) + chunked + request("/e", method="POST", body=b"12")
        )
        for path in paths:
            status, _, body = await client.answer()
            assert status == {"/forbidden": 401, "/silent": 500}.get(path, 200)
            if len(path) == 2:
                assert json.loads(body)["path"] == path
        for path, length in (("/d", 3), ("/e", 2)):
            said = json.loads((await client.answer())[2])
            assert (said["path"], said["length"]) == (path, length)


async def test_reading_stops_while_an_answer_is_awaited(serve):
    echo = Echo()
    listener = await serve(echo, pipelined_bytes=1000)
    many = 20_000
    async with Client.to(listener) as client:
        await client.send(request("/wait"))
        await echo.entered.wait()
        client.writer.write(request("/next") * many)
        connection = next(iter(listener._connections.members))
        await until(lambda: not connection._reading)
        held = len(connection._pending)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(connection._pending) == held <= 1000 + 256 * 1024
        echo.going_on.set()
        assert (await client.answer())[2] == b"waited"
        for _ in range(100):
            assert json.loads((await client.answer())[2])["path"] == "/next"


async def test_100_continue_comes_after_admission_and_before_the_body(serve):
    expect = ["Expect: 100-continue"]
    async with Client.to(await serve()) as client:
        await client.send(request(method="POST", body=b"abc", headers=expect)[:-3])
        assert (await client.answer())[0] == 100
        await client.send(b"abc")
        assert json.loads((await client.answer())[2])["length"] == 3
        await client.send(request(method="POST", body=b"abc", headers=expect))
        assert (await client.answer())[0] == 200
        await client.send(request("/forbidden", method="POST", body=b"abc", headers=expect)[:-3])
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (401, "close", b"no key")
        assert await client.rest() == b""


async def test_a_refusal_without_a_body_to_come_keeps_the_connection(serve):
    async with Client.to(await serve()) as client:
        for _ in range(3):
            await client.send(request("/forbidden"))
            assert (await client.answer())[::2] == (401, b"no key")


async def test_a_refused_upload_reads_its_answer(serve):
    body = b"x" * (4 << 20)
    async with Client.to(await serve()) as client:
        await client.send(request("/forbidden", method="POST", body=body))
        assert (await client.answer())[::2] == (401, b"no key")
        assert await client.rest() == b""


async def test_the_client_s_end_cancels_the_handler(serve):
    echo = Echo()
    listener = await serve(echo)
    for path in ("/wait", "/slow_stream"):
        echo.entered.clear()
        echo.cancelled.clear()
        async with Client.to(listener) as client:
            await client.send(request(path, method="POST", body=b"{}"))
            await echo.entered.wait()
            client.vanish()
            await echo.cancelled.wait()
    await until(lambda: not listener.connections and not listener.requests)


async def test_a_reset_cancels_the_handler(serve):
    echo = Echo()
    async with Client.to(await serve(echo)) as client:
        await client.send(request("/wait"))
        await echo.entered.wait()
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.writer.transport.abort()
        await echo.cancelled.wait()


@pytest.mark.parametrize(("path", "whole"), [("/wait", b"waited"), ("/slow_stream", b"begundone")])
async def test_a_client_that_ends_only_its_own_side_is_answered(serve, path, whole):
    echo = Echo()
    async with Client.to(await serve(echo)) as client:
        await client.send(request("/a") + request(path) + request("/b"))
        client.end()
        await echo.entered.wait()
        await asyncio.sleep(0.05)  # some looks at whether it has been reset
        assert not echo.cancelled.is_set()
        echo.going_on.set()
        assert json.loads((await client.answer())[2])["path"] == "/a"
        assert (await client.answer())[::2] == (200, whole)
        assert json.loads((await client.answer())[2])["path"] == "/b"
        assert await client.rest() == b""


@pytest.mark.parametrize("sent", [b"", b"GET /", request(method="POST", body=b"abc")[:-1], request() + b"GET"])
async def test_what_ends_before_it_is_whole_is_closed(serve, sent):
    echo = Echo()
    async with Client.to(await serve(echo)) as client:
        if sent:
            await client.send(sent)
        client.end()
        answered = await client.rest()
        assert answered.count(b"HTTP/1.1 ") == len(echo.seen) == sent.startswith(request())


async def test_a_client_that_takes_nothing_is_waited_for_and_then_cut(serve):
    echo = Echo()
    listener = await serve(echo, write_timeout=0.3)
    async with Client.to(listener, limit=1024) as client:
        await client.send(request("/flood"))
        await echo.cancelled.wait()
        assert echo.written < 64 << 20
    await until(lambda: not listener.connections)


async def test_a_client_that_takes_a_little_is_not_cut(serve):
    body = b"x" * (16 << 20)

    class Large(Echo):
        async def answer(self, request, responder):
            responder.send(200, [], body)

    async with Client.to(await serve(Large(), write_timeout=0.5), limit=1024) as client:
        await client.send(request())
        assert (await client.head())[1]["content-length"] == str(len(body))
        left = len(body)
        while left:
            got = len(await client.reader.read(1 << 20))
            assert got
            left -= got
            await asyncio.sleep(0 if left < 15 << 20 else 0.001)


@pytest.mark.usefixtures("quiet")
async def test_a_handler_that_fails_or_says_nothing_is_a_500(serve, caplog):
    echo = Echo()
    async with Client.to(await serve(echo)) as client:
        for path in ("/fail", "/silent", "/fail"):
            await client.send(request(path))
            status, headers, body = await client.answer()
            assert (status, headers["x-refused"]) == (500, "yes")
            assert b"secret" not in body
        await client.send(request())
        assert (await client.answer())[0] == 200
        await client.send(request("/bug"))
        assert (await client.answer())[0] == 500
        assert await client.rest() == b""


async def test_what_failed_is_logged_without_its_text(serve, caplog):
    async with Client.to(await serve()) as client:
        await client.send(request("/fail?key=secret"))
        await client.answer()
    logged = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage().partition(" at ")[0] for record in logged] == ["GET /fail failed: ValueError"]
    assert "secret" not in logged[0].getMessage()
    assert "echo.py" in logged[0].getMessage()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("path", ["/fail_late", "/unended"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_half_answer_does_not_pass_for_a_whole_one(serve, path, version):
    async with Client.to(await serve()) as client:
        await client.send(request(path, version=version))
        got = await client.rest()
        assert not got.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "headers",
    [
        [("x", "a\r\nSet-Cookie: b")],
        [("x\n", "a")],
        [("x", "\0")],
        [("x", "日")],
        [("Content-Length", "5")],
        [("transfer-encoding", "chunked")],
        [("connection", "keep-alive")],
    ],
)
@pytest.mark.usefixtures("quiet")
async def test_headers_that_break_an_answer_are_refused(serve, headers):
    class Broken(Echo):
        async def answer(self, request, responder):
            responder.send(200, headers, b"")

    async with Client.to(await serve(Broken())) as client:
        await client.send(request())
        status, got, _ = await client.answer()
        assert status == 500
        assert "set-cookie" not in {name.lower() for name in got}


async def test_tls_serves_and_its_end_cancels(serve, certificate):
    echo = Echo()
    listener = await serve(echo, certificate=certificate.read())
    async with Client.to(listener, ssl=certificate.trust(), server_hostname="localhost") as client:
        await client.send(request(method="POST", body=b"x" * 100_000))
        assert json.loads((await client.answer())[2])["length"] == 100_000
        assert client.writer.get_extra_info("ssl_object").version() in {"TLSv1.2", "TLSv1.3"}
        await client.send(request("/wait"))
        await echo.entered.wait()
        client.vanish()
        await echo.cancelled.wait()


async def test_old_tls_is_not_spoken(serve, certificate):
    context = certificate.trust()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    listener = await serve(certificate=certificate.read())
    with pytest.raises(ssl.SSLError):
        async with Client.to(listener, ssl=context, server_hostname="localhost"):
            pass


async def test_an_answer_is_given_once_and_in_order(serve):
    found = []

    class Disorderly(Echo):
        async def answer(self, request, responder):
            async def attempt(call):
                try:
                    result = call()
                    if result is not None:
                        await result
                except (RuntimeError, ValueError) as error:
                    found.append(type(error).__name__)

            await attempt(lambda: responder.write(b"x"))
            await attempt(responder.end)
            await attempt(lambda: responder.send(100, [], b""))
            responder.start(200, [])
            await attempt(lambda: responder.send(200, [], b""))
            await attempt(lambda: responder.start(200, []))
            responder.end()
            await attempt(responder.end)
            await attempt(lambda: responder.write(b"x"))

    async with Client.to(await serve(Disorderly())) as client:
        await client.send(request())
        assert (await client.answer())[::2] == (200, b"")
    assert found == ["RuntimeError", "RuntimeError", "ValueError", *["RuntimeError"] * 4]


@pytest.mark.parametrize("begun", [False, True])
async def test_an_aborted_answer_is_cut(serve, begun):
    class Aborting(Echo):
        async def answer(self, request, responder):
            if begun:
                responder.start(200, [])
            responder.abort()

    listener = await serve(Aborting())
    async with Client.to(listener) as client:
        await client.send(request() * 2)
        assert not (await client.rest()).endswith(b"0\r\n\r\n")
        await until(lambda: not listener.connections and not listener.requests)


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_has_none(serve, status):
    class Bodiless(Echo):
        async def answer(self, request, responder):
            if request.head.path == "/stream":
                responder.start(status, [])
                await responder.write(b"x")
                responder.end()
            else:
                responder.send(status, [], b"x")

    async with Client.to(await serve(Bodiless())) as client:
        for path in ("/", "/stream", "/"):
            await client.send(request(path))
            got, headers, _ = await client.answer()
            assert got == status
            assert not {"content-length", "transfer-encoding"} & set(headers)


async def test_a_handler_that_has_answered_may_finish_behind_its_client(serve):
    finished = asyncio.Event()

    class Settling(Echo):
        async def answer(self, request, responder):
            responder.send(200, [], b"ok")
            await self.going_on.wait()
            finished.set()

    echo = Settling()
    listener = await serve(echo)
    async with Client.to(listener) as client:
        await client.send(request())
        assert (await client.answer())[2] == b"ok"
        client.writer.transport.abort()
        await until(lambda: not listener.connections or next(iter(listener._connections.members))._ended)
        echo.going_on.set()
        await finished.wait()
