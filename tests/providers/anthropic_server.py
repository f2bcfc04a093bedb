"""A little Anthropic on a loopback port: its paths, its checks of a request, its events and its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from llamafarm.testing.fake_server import raw, reply

STREAMS = Path(__file__).parent / "streams" / "anthropic"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_1\r\n\r\n"
USAGE = {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 2}


def sse(*events: dict[str, Any]) -> bytes:
    """Write events as the vendor does."""
    lines = (b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event)) for event in events)
    return b"".join(lines)


def recorded(name: str) -> bytes:
    return (STREAMS / f"{name}.sse").read_bytes()


def start(usage: dict[str, Any] | None = None) -> dict[str, Any]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-x"}
    counts = {**USAGE, "output_tokens": 1} if usage is None else usage
    return {"type": "message_start", "message": {**head, "stop_reason": None, "usage": counts}}


def block(index: int, **content: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index: int, **piece: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": piece}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(reason: str = "end_turn", usage: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    counts = {"output_tokens": 2} if usage is None else usage
    told = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": counts}
    return told, {"type": "message_stop"}


def text(*pieces: str, index: int = 0) -> list[dict[str, Any]]:
    deltas = (delta(index, type="text_delta", text=piece) for piece in pieces)
    return [block(index, type="text", text=""), *deltas, stop(index)]


PING = {"type": "ping"}


def whole(*content: dict[str, Any], reason: str | None = "end_turn", usage: Any = USAGE, **more: Any):
    """Answer a plain request."""
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": list(content)}
    return reply(200, {**body, "stop_reason": reason, "stop_sequence": None, "usage": usage, **more})


def stream(*events: dict[str, Any], close: bool = True):
    return raw(HEAD + sse(*events), close=close)


def fails(status: int, kind: str, message: str, headers: dict[str, str] | None = None, **fields: Any):
    error = {"type": kind, "message": message, **fields}
    body = {"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
    return reply(status, body, {"request-id": "req_011CSHoEeqs5C35K2UUqR7Fy", **(headers or {})})


def answer(usage: dict[str, Any] | None = None, models: tuple[str, ...] = ("fake-model",)):
    """Answer as the vendor would, having looked at the request as it does."""

    async def behave(request, writer):
        assert request.headers["anthropic-version"] == "2023-06-01"
        assert "authorization" not in request.headers
        if request.method == "GET":
            assert request.path == "/v1/models?limit=1000"
            data = [{"type": "model", "id": name, "display_name": name} for name in models]
            await reply(200, {"data": data, "has_more": False})(request, writer)
            return
        assert request.path == "/v1/messages"
        body = request.json
        assert body["max_tokens"] >= 1
        assert body["messages"][0]["role"] == "user"
        if body.get("stream"):
            counts = USAGE if usage is None else usage
            written = {"output_tokens": counts["output_tokens"]} if counts else {}
            events = [start(counts), PING, *text("Hello", " world"), PING, *end(usage=written)]
            await stream(*events)(request, writer)
        else:
            said = {"type": "text", "text": "Hello world"}
            await whole(said, usage=USAGE if usage is None else usage)(request, writer)

    return behave
