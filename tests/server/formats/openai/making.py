"""What these tests make: calls, replies that nobody sends, and what a client reads of the bytes."""

from __future__ import annotations

import json

from llamafarm.providers.openai.wire import chunks_of, decode_completion, whole_chunks
from llamafarm.reply import Reply
from llamafarm.server.http.messages import Head
from llamafarm.types import Call, Target

__all__ = ["call", "data_of", "event", "given", "head", "options", "reply", "streamed", "whole_given"]

ASKED = {"stream_options": {"include_usage": True}}


def head(**headers):
    return Head("POST", "/v1/chat/completions", "", headers)


def call(**body):
    return Call(body=body, id="req_7", stream=True)


def options(*, asked):
    return ASKED if asked else {}


async def _nothing():
    return
    yield


def reply(dialect="anthropic", model="m-1", name="t"):
    """Make a reply of a target; the tests hand its chunks to the format themselves."""
    return Reply(_nothing(), Target(name=name, provider="p", dialect=dialect, model=model))


def given(*events):
    """Make the chunks of events as a target in OpenAI's format sends them."""
    made = []
    for one in events:
        raw = one if isinstance(one, bytes) else json.dumps(one).encode()
        made += chunks_of(*decode_completion(raw))
    return made


def whole_given(body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return whole_chunks(*decode_completion(raw))


def streamed(form, asked, from_reply, chunks):
    """Write a whole stream, as the gateway does."""
    writer = form.stream(asked, from_reply)
    return b"".join([writer.write(chunk) for chunk in chunks]) + writer.end()


def data_of(stream):
    """Read the data of each event as JSON; the mark of the end as it is."""
    blocks = stream.decode().split("\n\n")
    assert blocks.pop() == ""
    found = [block.removeprefix("data: ") for block in blocks if not block.startswith(":")]
    assert all("\n" not in block for block in found)
    return [one if one == "[DONE]" else json.loads(one) for one in found]


def event(delta=None, finish=None, *, index=0, **more):
    """Make an event that keeps OpenAI's schema."""
    return {
        "id": "chatcmpl-up",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-x",
        "choices": [{"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": finish}],
        **more,
    }
