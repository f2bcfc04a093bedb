"""A client over a bare socket: it costs little, sends what it is told to, and reads an answer to its last byte."""

import asyncio
import contextlib
import json
import socket
import struct
from dataclasses import dataclass

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_DROP = struct.pack("ii", 1, 0)


def chat(prompt, *, stream=False):
    """Give a request's body."""
    return json.dumps({"messages": [{"role": "user", "content": prompt}], "stream": stream}).encode()


def post(body, head=HEAD):
    """Give a whole request."""
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict
    body: bytes

    @property
    def events(self):
        """The payloads of a stream's events."""
        return [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]

    @property
    def text(self):
        """What the model said, whole or streamed; a stream has to have come to its end."""
        if not self.headers["content-type"].startswith("text/event-stream"):
            return json.loads(self.body)["choices"][0]["message"]["content"]
        *events, last = self.events
        assert last == b"[DONE]", self.body[-500:]
        choices = [choice for event in events for choice in json.loads(event)["choices"]]
        assert choices[-1]["finish_reason"] == "stop"
        return "".join(choice["delta"].get("content") or "" for choice in choices)


class Client:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port, **options):
        """Connect, and close behind."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(self, data):
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, prompt, *, stream=False):
        """Ask, and read the whole answer."""
        self.writer.write(post(chat(prompt, stream=stream)))
        return await self.answer()

    async def get(self, path):
        """Ask for what is at a path."""
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return await self.answer()

    async def answer(self):
        """Read one answer; raises IncompleteReadError where it is cut."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:-2])
        if "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join([chunk async for chunk in self.chunks()])
        else:
            body = await self.reader.read()
        return Answer(int(lines[0].split(" ")[1]), headers, body)

    async def chunks(self):
        """Read the pieces of a body in chunks."""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        assert await self.reader.readexactly(2) == b"\r\n"

    async def rest(self):
        """Read everything until the other side closes; a reset is an end, too."""
        got = b""
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(65536):
                got += data
        return got

    def vanish(self, *, reset=False):
        """Close as a process that ends does, or as one whose host is gone."""
        if reset:
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
            self.writer.transport.abort()
        else:
            self.writer.close()
