"""A real HTTP server on a loopback port that speaks OpenAI's format, from a script, down to the last byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import msgspec

from llamafarm.stages.verify import count_inputs

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

__all__ = ["Behaviour", "FakeServer", "Request", "answer", "events", "raw", "reply", "reset", "silence"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the client has closed the connection."""

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


Behaviour: TypeAlias = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
"""What the server does with one request. It may write anything, and close the writer."""

_ACCEPT_TURNS = 5
"""Turns of the event loop within which asyncio hands over a connection that it has just accepted."""
_USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def reply(
    status: int, body: bytes | str | dict[str, Any] | list[Any], headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Answer every request with this status, body and headers."""
    content = msgspec.json.encode(body) if isinstance(body, dict | list) else body
    content = content.encode() if isinstance(content, str) else content

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        lines = {"content-type": "application/json", "content-length": str(len(content)), **(headers or {})}
        writer.write(_head(status, lines) + content)
        await writer.drain()

    return behave


def answer(
    text: str = "Hello world",
    usage: Mapping[str, Any] | None = None,
    models: Sequence[str] = ("fake-model",),
) -> Behaviour:
    """Answer as a model would: whole or streamed, chat, legacy completion, embedding or list, as the request asks."""
    counts = dict(_USAGE if usage is None else usage)

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "GET":
            listed = [{"id": name, "object": "model", "owned_by": "fake"} for name in models]
            await reply(200, {"object": "list", "data": listed})(request, writer)
        elif request.path.partition("?")[0].endswith("/embeddings"):
            count = count_inputs(request.json.get("input"))
            data = [{"object": "embedding", "index": place, "embedding": [0.6, 0.8]} for place in range(count)]
            await reply(200, {"object": "list", "data": data, "usage": counts})(request, writer)
        elif request.json.get("stream"):
            await events(*_stream(text, counts, chat=request.path.partition("?")[0].endswith("/chat/completions")))(
                request, writer
            )
        else:
            await reply(200, _whole(text, counts, request))(request, writer)

    return behave


def events(*payloads: bytes | str | dict[str, Any], done: bool = True) -> Behaviour:
    """Stream these events, each as one chunk of the body, with ``[DONE]`` at the end."""
    last: tuple[str, ...] = ("[DONE]",) if done else ()

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        for payload in (*payloads, *last):
            data = msgspec.json.encode(payload) if isinstance(payload, dict) else payload
            event = b"data: " + (data.encode() if isinstance(data, str) else data) + b"\n\n"
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    return behave


def raw(*pieces: bytes, close: bool = True) -> Behaviour:
    """Write these bytes, head and all, in pieces the client sees apart; then close, or stay silent."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if close:
            writer.close()
        else:
            await request.gone.wait()

    return behave


def silence() -> Behaviour:
    """Never answer."""
    return raw(close=False)


def reset(*pieces: bytes) -> Behaviour:
    """Write these bytes and reset the connection."""

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        writer.transport.abort()

    return behave


class FakeServer:
    """Serves its script: a behaviour for each request, of which the last stays.

    ::

        async with FakeServer(reply(429, {"error": {"message": "slow down"}}), answer("Paris.")) as server:
            ...  # a target with base_url server.base_url
    """

    def __init__(self, *script: Behaviour, tls: ssl.SSLContext | None = None, socket: Path | None = None) -> None:
        self.script = list(script) or [answer()]
        self.requests: list[Request] = []
        """What has come in, in order."""
        self.connections = 0
        """How many connections have been opened."""
        self.base_url = ""
        """The address with ``/v1``, once the server runs."""
        self._tls = tls
        self._socket = socket
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._idle = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    async def until_disconnected(self, seconds: float = 5.0) -> None:
        """Wait until no client is connected, not even by a connection it keeps; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while self._open:
                self._idle.clear()
                await self._idle.wait()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            self._server = await loop.create_unix_server(self._protocol, self._socket)
            self.base_url = f"unix:{self._socket}:/v1"
        else:
            self._server = await loop.create_server(self._protocol, "127.0.0.1", 0, ssl=self._tls)
            port = self._server.sockets[0].getsockname()[1]
            self.base_url = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        # Until Python 3.12 a connection that is just being accepted is lost, and never closed, by closing the server.
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await asyncio.sleep(0)  # transports report their end one turn after they are closed

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = _Reader()
        return asyncio.StreamReaderProtocol(reader, lambda _, writer: self._accept(reader, writer))

    def _accept(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task).close()  # again, for a task that was cancelled before it ran
        self._idle.set()

    async def _serve(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                request = await _read(reader)
                self.requests.append(request)
                behave = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                await behave(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


class _Reader(asyncio.StreamReader):
    """A reader that says when the client has gone, while nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


async def _read(reader: _Reader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body, reader.gone)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} x\r\n{lines}\r\n".encode("latin-1")


def _whole(text: str, usage: Mapping[str, Any], request: Request) -> dict[str, Any]:
    chat = request.path.partition("?")[0].endswith("/chat/completions")
    said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    return {
        "id": "fake-1",
        "object": "chat.completion" if chat else "text_completion",
        "created": 0,
        "model": request.json.get("model", "fake-model"),
        "choices": [{"index": 0, **said, "finish_reason": "stop"}],
        "usage": usage,
    }


def _stream(text: str, usage: Mapping[str, Any], *, chat: bool) -> list[dict[str, Any]]:
    def event(piece: str, finish: str | None = None) -> dict[str, Any]:
        said = {"delta": {"content": piece} if piece else {}} if chat else {"text": piece}
        kind = "chat.completion.chunk" if chat else "text_completion"
        choice = {"index": 0, **said, "finish_reason": finish}
        return {"id": "fake-1", "object": kind, "created": 0, "model": "fake-model", "choices": [choice]}

    words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))]
    closing = {**event(""), "choices": [], "usage": usage}
    return [*(event(word) for word in words), event("", "stop"), closing]
