"""Replies, made without a farm, and the events written of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llamafarm.reply import Reply
from llamafarm.server.formats.anthropic import Messages
from llamafarm.types import Target
from tests.server.formats.anthropic.asked import read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llamafarm.types import Chunk


async def _nothing() -> AsyncIterator[Chunk]:
    return
    yield


def reply(dialect: str = "openai", name: str = "there") -> Reply:
    return Reply(_nothing(), Target(name, "acme", dialect, "model-x"))


def asked():
    call = read(stream=True)
    call.id, call.input_tokens = "req_0f", 11
    return call


def writer(dialect: str = "openai"):
    return Messages().stream(asked(), reply(dialect))


def events(data: bytes) -> list[dict[str, Any]]:
    """Read events as a client does; the name of each has to be its type."""
    read = []
    for text in data.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in text.split("\n"))
        assert lines.keys() == {"event", "data"}
        event = json.loads(lines["data"])
        assert event["type"] == lines["event"]
        read.append(event)
    assert data.endswith(b"\n\n") or not data
    return read


def written(*chunks: Chunk, dialect: str = "openai") -> list[dict[str, Any]]:
    events_of = writer(dialect)
    return events(b"".join([*(events_of.write(chunk) for chunk in chunks), events_of.end()]))


def message(read: list[dict[str, Any]]) -> dict[str, Any]:
    """Put a message together from its events, as a client does; fails where the order is wrong."""
    first, *middle, told, last = [event for event in read if event["type"] != "ping"]
    assert (first["type"], told["type"], last) == ("message_start", "message_delta", {"type": "message_stop"})
    made, opened = first["message"], None
    for event in middle:
        if event["type"] == "content_block_start":
            assert opened is None, "blocks never overlap"
            opened = event["index"]
            assert opened == len(made["content"])
            made["content"].append({**event["content_block"], "json": ""})
            continue
        assert event["index"] == opened
        block = made["content"][opened]
        if event["type"] == "content_block_stop":
            opened = None
            if block["type"] == "tool_use":
                block["input"] = json.loads(block["json"] or "{}")
            del block["json"]
            continue
        delta = event["delta"]
        match delta["type"]:
            case "text_delta":
                block["text"] += delta["text"]
            case "thinking_delta":
                block["thinking"] += delta["thinking"]
            case "signature_delta":
                block["signature"] += delta["signature"]
            case "input_json_delta":
                block["json"] += delta["partial_json"]
            case other:
                raise AssertionError(other)
    assert opened is None
    return {**made, **told["delta"], "usage": {**made["usage"], **told["usage"]}}
