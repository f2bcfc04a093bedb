"""What stands behind the proxy: a model that can go on from a beginning, and the many ways a server can be wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

from llamafarm.testing.fake_server import answer, events, raw, reply

TEXT = (
    "Two roads lead to Rome.\n\n  One is short,\tthe other  long: 日本語, 🦙 — “führt hin”,\n"
    "def twice(x):\n    return x * 2\n\nWhoever takes the short one sees less of the country, and whoever takes the long\n"
    "one sees more of it than there was time for.  Both of them pass  the same inn, where nobody asks which way you came.\n"
    "\nAnd with this last line the answer ends."
)
PRICE = "price: {input: 1, output: 10}"
MODEL_USAGE = {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
STREAM = {"content-type": "text/event-stream"}


def model(text: str = TEXT, usage: Any = None):
    """A model that says one text; given a beginning of it, it says the rest."""

    async def behave(request, writer):
        last = request.json["messages"][-1]
        rest = text
        if last["role"] == "assistant":
            assert text.startswith(last["content"])
            rest = text.removeprefix(last["content"])
        await answer(rest, MODEL_USAGE if usage is None else usage)(request, writer)

    return behave


def either(plain, streamed):
    """Answer a plain request one way and a streamed one another."""

    async def behave(request, writer):
        await (streamed if request.json.get("stream") else plain)(request, writer)

    return behave


def piece(text: str = "", finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {"content": text} if text else {}
    return {"id": "x", "choices": [{"index": 0, "delta": {**delta, **more}, "finish_reason": finish}]}


def pieces(text: str = TEXT) -> list[dict[str, Any]]:
    words = text.split(" ")
    return [piece(word if at == 0 else f" {word}") for at, word in enumerate(words)]


def whole(text: str = TEXT, finish: str | None = "stop", usage: Any = None, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, **more}
    body = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return body if usage is None else {**body, "usage": usage}


def with_usage(usage: str):
    """A whole answer whose usage is this JSON, valid or not."""
    last = json.dumps({"choices": [], "usage": 0}).replace("0", usage)
    return either(
        reply(200, json.dumps(whole(usage=0)).replace('"usage": 0', f'"usage": {usage}')),
        events(*pieces(), piece(finish="stop"), last),
    )


def without_usage():
    return either(reply(200, whole()), events(*pieces(), piece(finish="stop")))


def failing(status: int, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return reply(status, {"error": {"message": "not now", "type": "x"}}, named)


def inside(error: dict[str, Any], begun: list[dict[str, Any]] | None = None):
    """An error where an answer should be; in a stream behind the pieces that came before it."""
    return either(reply(200, {"error": error}), events(*(begun or []), {"error": error}, done=False))


def malformed_event():
    """One event in the middle is no JSON; the text is whole without it."""
    half = pieces()
    return events(*half[:3], '{"choices": [{"del', *half[3:], piece(finish="stop"))


def no_finish_reason():
    return either(reply(200, whole(finish=None)), events(*pieces()))


def no_done(*, ends: bool):
    """A whole stream without `[DONE]`, which then ends or stays open."""

    async def behave(request, writer):
        body = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in [*pieces(), piece(finish="stop")])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + body)
        await writer.drain()
        if ends:
            writer.close()
        else:
            await request.gone.wait()

    return behave


def endless(head: bytes, block: bytes, *, framed: bool = True):
    """Write a block again and again until the client has enough."""

    async def behave(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"transfer-encoding: chunked\r\n\r\n")
        part = b"%x\r\n%b\r\n" % (len(block), block) if framed else block
        if not framed:
            writer.write(b"fffffffff\r\n")
        while not request.gone.is_set():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)

    return behave


def bomb(content_type: str, block: bytes, mebibytes: int = 512):
    """A small compressed body that would fill the memory."""
    # A gzip file is made of members: one, many times over, inflates to as many times its size.
    packed = gzip.compress(block * (2**20 // len(block))) * mebibytes
    head = {"content-type": content_type, "content-encoding": "gzip", "content-length": str(len(packed))}
    return reply(200, packed, head)


def tool_pieces(*calls: dict[str, Any]):
    """Stream pieces of tool calls as they are given here."""
    return events(*(piece(tool_calls=[call]) for call in calls), piece(finish="tool_calls"))


def call(index: int, call_id: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:
    function = {"name": name} if name else {}
    first = {"id": call_id, "type": "function"} if call_id else {}
    return {"index": index, **first, "function": {**function, "arguments": arguments}}


def self_signed() -> SSLContext:
    folder = Path(__file__).parents[1] / "transport"
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server-certificate.pem", folder / "server-key.pem")
    return context


NOT_HTTP = raw(b"220 mail.example ESMTP\r\n")
HTML = reply(200, "<html>log in</html>", {"content-type": "text/html"})
REDIRECT = reply(302, b"", {"location": "https://login.example/"})
EMPTY = either(reply(200, b""), reply(200, b"", STREAM))
SWAPPED = either(events(*pieces(), piece(finish="stop")), reply(200, whole()))
"""A stream where an answer was asked for, and the other way round."""
BROKEN_JSON = either(reply(200, b'{"choices": [{"mess'), reply(200, b'data: {"choices": [{\n\n' * 3, STREAM))
