"""An application that says what it was asked, and a client that sends bytes as they are."""

import asyncio
import contextlib
import json

from llamafarm.server.http.messages import Refusal

DEADLINE = 20
"""Seconds after which a test that hangs fails."""


class Echo:
    """Answers with what came; under some paths otherwise. Keeps what it saw."""

    def __init__(self):
        self.seen = []
        self.refused = []
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()
        self.going_on = asyncio.Event()
        self.written = 0

    def admit(self, head):
        if head.path == "/forbidden":
            raise Refusal(401, [("content-type", "text/plain")], b"no key")
        if head.path == "/bug":
            raise KeyError("secret text")
        return self.answer

    def refuse(self, status, message, head):
        self.refused.append((status, message))
        return Refusal(status, [("x-refused", "yes")], message.encode())

    async def answer(self, request, responder):
        head = request.head
        self.seen.append(request)
        await getattr(self, head.path[1:], self.echo)(request, responder)

    async def echo(self, request, responder):
        said = {"method": request.head.method, "path": request.head.path, "query": request.head.query}
        said |= {"headers": dict(request.head.headers), "length": len(request.body), "peer": request.head.peer}
        responder.send(200, [("content-type", "application/json")], json.dumps(said).encode())

    async def stream(self, request, responder):
        responder.start(200, [("content-type", "text/event-stream")])
        for part in (b"one ", b"", b"two ", b"three"):
            await responder.write(part)
        responder.end()

    async def wait(self, request, responder):
        self.entered.set()
        try:
            await self.going_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        responder.send(200, [], b"waited")

    async def slow_stream(self, request, responder):
        responder.start(200, [])
        await responder.write(b"begun")
        self.entered.set()
        try:
            await self.going_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await responder.write(b"done")
        responder.end()

    async def flood(self, request, responder):
        self.entered.set()
        responder.start(200, [])
        try:
            while True:
                await responder.write(b"x" * 65536)
                self.written += 65536
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def fail(self, request, responder):
        raise ValueError("secret text")

    async def silent(self, request, responder):
        pass

    async def fail_late(self, request, responder):
        responder.start(200, [])
        await responder.write(b"half")
        raise ValueError("secret text")

    async def unended(self, request, responder):
        responder.start(200, [])
        await responder.write(b"half")


async def until(holds):
    """Wait until `holds()`."""
    async with asyncio.timeout(DEADLINE):
        while not holds():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.001)


class Client:
    """One TCP connection."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, listener, **options):
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, **options)
            try:
                yield cls(reader, writer)
            finally:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def head(self):
        """Read an answer's status and headers."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = [tuple(line.split(": ", 1)) for line in lines]
        assert len(dict(headers)) == len(headers)
        return int(status), dict(headers)

    async def answer(self, *, method="GET"):
        """Read one whole answer: status, headers, body."""
        status, headers = await self.head()
        if method == "HEAD" or status in {100, 204, 304}:
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += await self.reader.readexactly(size)
                assert await self.reader.readexactly(2) == b"\r\n"
            assert await self.reader.readexactly(2) == b"\r\n"
            return status, headers, body
        if "content-length" in headers:
            return status, headers, await self.reader.readexactly(int(headers["content-length"]))
        return status, headers, await self.reader.read()

    async def rest(self):
        """Everything until the server closes; a reset counts as its end."""
        got = b""
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(65536):
                got += data
        return got

    def end(self):
        """Say that nothing more comes, and go on reading."""
        self.writer.write_eof()

    def vanish(self):
        """Close as a process that ends does."""
        self.writer.close()


def request(path="/", *, method="GET", body=b"", version="1.1", headers=()):
    """Make a plain request."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
