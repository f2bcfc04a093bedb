"""Where a server listens, which certificate it shows, and how it ends."""

import asyncio
import errno
import os
import socket

import pytest

from llamafarm.errors import ConfigError, ResourceError
from llamafarm.server.http.limits import Limits
from llamafarm.server.http.sockets import handed_down, open_sockets
from llamafarm.server.http.tls import Certificate
from tests.server.http.echo import DEADLINE, Client, Echo, request, until


def _listening(family=socket.AF_INET, where=("127.0.0.1", 0)):
    sock = socket.socket(family)
    sock.bind(where)
    sock.listen()
    return sock


async def test_port_0_is_a_free_one_and_can_be_read(serve):
    listener = await serve()
    assert listener.port > 0
    assert listener.addresses == (f"127.0.0.1:{listener.port}",)


async def test_ipv6(serve):
    try:
        opened = open_sockets("::1", 0)
    except (ConfigError, ResourceError):
        pytest.skip("no IPv6 here")
    listener = await serve(sockets=opened)
    assert listener.addresses == (f"[::1]:{listener.port}",)
    reader, writer = await asyncio.open_connection("::1", listener.port)
    writer.write(request(headers=["Connection: close"]))
    assert b'"peer": "::1"' in await reader.read()
    writer.close()


def test_every_address_of_a_name_has_the_same_port():
    opened = open_sockets("localhost", 0)
    try:
        assert len({sock.getsockname()[1] for sock in opened}) == 1
    finally:
        for sock in opened:
            sock.close()


async def test_a_unix_socket(serve, tmp_path):
    path = str(tmp_path / "s")
    echo = Echo()
    listener = await serve(echo, sockets=[_listening(socket.AF_UNIX, path)])
    assert (listener.addresses, listener.port) == ((path,), 0)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request(headers=["Connection: close"]))
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert echo.seen[0].head.peer == ""
    writer.close()


def test_a_port_in_use_is_named():
    with _listening() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ResourceError, match=rf"cannot listen on 127\.0\.0\.1:{port}: another program has that port.*--port"
        ):
            open_sockets("127.0.0.1", port)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.EACCES, ResourceError, "permission denied"),
        (errno.EADDRNOTAVAIL, ConfigError, "no address of this machine"),
        (errno.EMFILE, ResourceError, "Too many open files"),
    ],
)
def test_an_address_that_cannot_be_had_is_named(monkeypatch, code, kind, words):
    def bind(sock, where):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(kind, match=rf"cannot listen on 127\.0\.0\.1:80: {words}"):
        open_sockets("127.0.0.1", 80)


def test_a_name_nobody_has_is_an_error():
    with pytest.raises(ConfigError, match=r"cannot listen on nobody\.invalid:80"):
        open_sockets("nobody.invalid", 80)


def test_systemd_s_sockets_are_taken_over(monkeypatch):
    with _listening() as first, _listening() as second:
        above = 900
        os.dup2(first.fileno(), above)
        os.dup2(second.fileno(), above + 1)
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "OTHER": "x"}
        taken = handed_down(environment, first=above)
        try:
            assert [sock.getsockname() for sock in taken] == [first.getsockname(), second.getsockname()]
            assert not any(sock.get_inheritable() for sock in taken)
            assert environment == {"OTHER": "x"}
        finally:
            for sock in taken:
                sock.close()


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": "x", "LISTEN_FDS": "1"}],
)
def test_sockets_for_another_process_are_left_alone(environment):
    before = dict(environment)
    assert handed_down(environment) == []
    assert environment == before


@pytest.mark.parametrize("count", ["", "-1", "x", "²", "1e3", "9999"])
def test_a_count_that_is_none_is_an_error(count):
    with pytest.raises(ConfigError, match="LISTEN_FDS"):
        handed_down({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})


def test_what_cannot_be_listened_on_is_an_error():
    above = 900
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}
    with _listening() as good, socket.socket() as idle:
        os.dup2(good.fileno(), above)
        os.dup2(idle.fileno(), above + 1)
        with pytest.raises(ConfigError, match="descriptor 901 is no listening stream socket"):
            handed_down(dict(environment), first=above)
        with pytest.raises(ConfigError, match="descriptor 900, which is no open socket"):
            handed_down(dict(environment), first=above)


async def _shown(listener, context):
    async with Client.to(listener, ssl=context, server_hostname="localhost") as client:
        await client.send(request())
        assert (await client.answer())[0] == 200
        subject = client.writer.get_extra_info("peercert")["subject"]
        return dict(pair for part in subject for pair in part)["commonName"]


async def test_a_certificate_is_reloaded_and_a_broken_one_is_not(serve, certificate):
    listener = await serve(certificate=certificate.read())
    async with Client.to(listener, ssl=certificate.trust(0), server_hostname="localhost") as before:
        assert await _shown(listener, certificate.trust(0)) == "first"
        certificate.write(1, 0)
        with pytest.raises(ConfigError, match=r"server\.key: is not the key of .*server\.pem"):
            listener.reload_certificate()
        assert await _shown(listener, certificate.trust(0)) == "first"
        certificate.write(1, 1)
        listener.reload_certificate()
        assert await _shown(listener, certificate.trust(1)) == "second"
        await before.send(request())
        assert (await before.answer())[0] == 200


def test_a_certificate_that_cannot_be_used_is_an_error(certificate, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.pem: cannot be read"):
        Certificate(tmp_path / "none.pem", certificate.key)
    certificate.key.write_text("nonsense")
    with pytest.raises(ConfigError, match="no usable certificate and key"):
        certificate.read()


async def test_a_slow_handshake_is_cut(serve, certificate):
    listener = await serve(certificate=certificate.read(), header_timeout=0.2)
    async with Client.to(listener) as client:
        assert await client.rest() == b""


async def test_draining_lets_the_busy_finish_and_closes_the_idle(serve):
    echo = Echo()
    listener = await serve(echo)
    async with Client.to(listener) as idle, Client.to(listener) as busy, Client.to(listener) as half:
        await idle.send(request())
        assert (await idle.answer())[0] == 200
        await busy.send(request("/wait"))
        await echo.entered.wait()
        await half.send(request(method="POST", body=b"abc")[:-2])
        await until(lambda: listener.connections == 3)
        drained = asyncio.create_task(listener.drain(DEADLINE))
        assert await idle.rest() == b""
        with pytest.raises(OSError):
            async with Client.to(listener):
                pass
        assert (listener.connections, listener.requests, drained.done()) == (2, 1, False)
        await half.send(b"bc")
        assert (await half.answer())[1]["connection"] == "close"
        echo.going_on.set()
        status, headers, body = await busy.answer()
        assert (status, headers["connection"], body) == (200, "close", b"waited")
        assert await drained is True
        assert (listener.connections, listener.requests) == (0, 0)


async def test_draining_ends_with_its_time_and_closing_cuts_the_rest(serve):
    echo = Echo()
    listener = await serve(echo)
    async with Client.to(listener) as client:
        await client.send(request("/slow_stream"))
        await echo.entered.wait()
        assert await listener.drain(0.05) is False
        assert not echo.cancelled.is_set()
        await listener.close()
        assert echo.cancelled.is_set()
        assert (listener.connections, listener.requests) == (0, 0)
        assert not (await client.rest()).endswith(b"0\r\n\r\n")


async def test_a_connection_that_has_just_come_is_given_its_request(serve):
    listener = await serve()
    async with Client.to(listener) as client:
        await until(lambda: listener.connections)
        drained = asyncio.create_task(listener.drain(DEADLINE))
        await asyncio.sleep(0)
        await client.send(request())
        assert (await client.answer())[1]["connection"] == "close"
        assert await drained is True


async def test_limits_may_be_changed_for_connections_to_come(serve):
    listener = await serve()
    async with Client.to(listener) as before:
        await before.send(request())
        assert (await before.answer())[0] == 200
        listener.limits = Limits(body_bytes=2)
        async with Client.to(listener) as after:
            for client, status in ((before, 200), (after, 413)):
                await client.send(request(method="POST", body=b"abc"))
                assert (await client.answer())[0] == status
