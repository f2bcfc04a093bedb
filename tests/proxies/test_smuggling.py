"""Requests that a proxy in front and the gateway might cut apart differently (QUALITY: attack 13; CVE-2025-43859).

Behind each attack somebody else asks over the same proxy. What the gateway has answered, whoever asked for it has got:
a request that the gateway saw and the proxy did not would have its answer nowhere, or with somebody else.
"""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.load.client import Client
from tests.load.program import gateway, strategies, tell, until, vendor
from tests.server.http.test_broken_requests import CORPUS

pytestmark = pytest.mark.proxies

SECONDS = 20
HERE = Path(__file__).parent
COMMANDS = {
    "nginx": ["nginx", "-e", "{folder}/nginx.log", "-p", "{folder}", "-c", "{folder}/nginx.conf"],
    "haproxy": ["haproxy", "-db", "-q", "-f", "{folder}/haproxy.cfg"],
}
FILES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}
BEHIND = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\nGET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n"
CODINGS = [
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked ",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunk",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding\n: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\r\n Transfer-Encoding: chunked",
    b"transfer_encoding: chunked",
    b"TRANSFER-ENCODING: CHUNKED",
    b"Transfer-Encoding: chunked\0",
    b"Transfer-Encoding: gzip, chunked",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    b"Connection: Content-Length\r\nTransfer-Encoding: chunked",
]
ENDS = [b"0\r\n\r\n", b"0\n\n", b"0\r\n\n", b"00000000000000000\r\n\r\n", b"0;a\r\n\r\n", b"0;a\n\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0 \r\n\r\n"]  # fmt: skip
"""Of a chunked body; what is no end for one may be for another."""


def _hidden(number):
    """Give a request that only a gateway that was fooled would see."""
    body = json.dumps({"messages": [{"role": "user", "content": f"smuggled {number}"}]}).encode()
    return POST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _attacks():
    """Give each attack with its name: those of the gateway's own tests, asked of its real URLs, and hidden requests."""
    for name, (_, sent) in CORPUS.items():
        real = sent.replace(b"POST / ", b"POST /v1/chat/completions ").replace(b"GET / ", b"GET /v1/models ")
        yield name, real + BEHIND
    for number, coding in enumerate(CODINGS):
        hidden = _hidden(number)
        short = b"0\r\n\r\n" + hidden
        yield (
            f"length first: {coding}",
            POST + b"Content-Length: %d\r\n%b\r\n\r\n%b" % (len(short), coding, short) + BEHIND,
        )
        hidden = _hidden(100 + number)
        chunk = b"%x\r\n" % len(hidden)
        long = chunk + hidden + b"\r\n0\r\n\r\n"
        yield (
            f"coding first: {coding}",
            POST + b"%b\r\nContent-Length: %d\r\n\r\n%b" % (coding, len(chunk), long) + BEHIND,
        )
    for number, end in enumerate(ENDS):
        head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
        yield f"an end: {end}", head + b"2\r\n{}\r\n" + end + _hidden(200 + number) + BEHIND


def _ports(count):
    socks = [socket.socket() for _ in range(count)]
    for sock in socks:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


@contextlib.asynccontextmanager
async def proxy(name, folder, port):
    """Start a proxy in front of a port; give the ports of its three servers."""
    ports = dict(zip(("FIRST", "SECOND", "TLS"), _ports(3), strict=True))
    making = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-out", str(folder / "cert"), "-keyout", str(folder / "key")]
    await asyncio.to_thread(subprocess.run, [*making.split(), *files], check=True, capture_output=True)
    (folder / "pair.pem").write_bytes((folder / "cert").read_bytes() + (folder / "key").read_bytes())
    text = (HERE / FILES[name]).read_text()
    for word, value in {**ports, "GATEWAY": port, "FOLDER": folder}.items():
        text = re.sub(rf"\b{word}\b", str(value), text)
    (folder / FILES[name]).write_text(text)
    command = [part.format(folder=folder) for part in COMMANDS[name]]
    with (folder / f"{name}.out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
    try:

        async def listening():
            assert process.returncode is None, (folder / f"{name}.out").read_text()
            try:
                async with Client.to(ports["TLS"]):
                    return True
            except ConnectionError:
                return False

        await until(listening)
        yield ports
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest.fixture(params=COMMANDS)
async def front(request, tmp_path):
    """A proxy before a gateway before a vendor."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed: apt-get install {request.param}")
    folder = tmp_path / "proxy"
    folder.mkdir()
    async with vendor("--keep") as behind:
        text = strategies(behind.port, server="hosts: [test]")
        async with gateway(tmp_path, text) as running, proxy(request.param, folder, running.port) as ports:
            yield request.param, ports, running, behind


async def _attack(port, sent):
    """Send an attack, and read all that comes back; the proxy has to end it."""
    async with asyncio.timeout(SECONDS), Client.to(port) as client:
        with contextlib.suppress(ConnectionError):
            await client.send(sent)
        return await client.rest()


async def _victim(port, name):
    """Ask as somebody else; the answer has to be the one to this question."""
    async with asyncio.timeout(SECONDS), Client.to(port) as client:
        answer = await client.ask(f"victim {name}")
        assert answer.status == 200, f"behind {name!r} somebody else got {answer.body[:200]!r}"
        assert answer.text == f"victim {name}|m"
        return answer.headers["x-request-id"]


@pytest.mark.parametrize("server", ["FIRST", "SECOND"])
async def test_a_proxy_and_the_gateway_see_the_same_requests(front, server):
    name, ports, running, behind = front
    given, victims, counts = {}, set(), {"refused": 0, "answered": 0}
    attacks = dict(_attacks())
    for attack, sent in attacks.items():
        got = await _attack(ports[server], sent)
        for number in re.findall(rb"x-request-id: (\S+)", got):
            given[number.decode()] = attack
        counts["refused" if b" 200 " not in got else "answered"] += 1
        for prompt in re.findall(rb"smuggled \d+(?=\|)", got):
            given[prompt.decode()] = attack
        victims.add(await _victim(ports[server], attack))
    logged = {line["request"]: line for line in _logged(running)}
    unseen = [line for number, line in logged.items() if number not in given and number not in victims]
    prompts = (await behind.stats())["prompts"]
    tell(
        f"{name}, {server}: {len(attacks)} attacks ({counts}); the gateway saw {len(logged)} requests, of which"
        f" {len(unseen)} have no answer; {sum(p.startswith('smuggled') for p in prompts)} hidden ones were plain to the"
        " proxy, too, and answered to who sent them"
    )
    assert len(victims) == len(attacks)
    assert unseen == []
    assert {prompt for prompt in prompts if prompt.startswith("smuggled")} <= set(given)
    assert sum(prompt.startswith("victim") for prompt in prompts) == len(attacks)


def _logged(running):
    """Give the lines of the access log."""
    for line in running.said().splitlines():
        if line.startswith("{") and "request" in (read := json.loads(line)):
            yield read


async def test_tls_ends_at_the_proxy(front):
    """Plain and streamed, over one connection."""
    _, ports, _, _ = front
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(SECONDS), Client.to(ports["TLS"], ssl=trust) as client:
        for stream in (False, True, False):
            answer = await client.ask("say it", stream=stream)
            assert (answer.status, answer.text) == (200, "say it|m")
