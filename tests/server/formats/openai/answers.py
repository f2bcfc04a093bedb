"""Any answer as values, and any answer in OpenAI's format with holes in it, for hypothesis to make up."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

from hypothesis import strategies as st

from llamafarm.farm.answers import gather
from llamafarm.providers.openai.wire import chunks_of, decode_completion
from llamafarm.reply import Reply
from llamafarm.types import Chunk, Target, ToolCall, Usage
from tests.server.formats.openai.making import call, event

__all__ = ["answers", "holed_answers", "put_together"]

texts = st.text(max_size=8)
words = st.text(min_size=1, max_size=8)
counts = st.integers(1, 10**6)
usages = st.none() | st.builds(Usage, counts, counts, cached_tokens=counts, reasoning_tokens=counts)
reasons = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
blocks = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": texts})


@st.composite
def _choice(draw, index):
    """Make one choice's chunks: text, reasoning, tool calls piece by piece, blocks of thinking."""
    kinds = draw(st.lists(st.sampled_from(["text", "reasoning", "call", "block", "nothing"]), max_size=8))
    chunks, calls = [], 0
    for kind in kinds:
        if kind == "text":
            chunks.append(Chunk(b"{}", draw(texts), index=index))
        elif kind == "reasoning":
            chunks.append(Chunk(b"{}", reasoning=draw(texts), index=index))
        elif kind == "block" and not index:
            chunks.append(Chunk(b"{}", thinking_block=draw(blocks)))
        elif kind == "call":
            chunks.append(Chunk(b"{}", tool_calls=(ToolCall(calls, draw(words), draw(words)),), index=index))
            pieces = draw(st.lists(words, max_size=3))
            chunks += [Chunk(b"{}", tool_calls=(ToolCall(calls, arguments=one),), index=index) for one in pieces]
            calls += 1
        else:
            chunks.append(Chunk(b"{}", index=index))
    return [*chunks, Chunk(b"{}", finish_reason=draw(reasons), index=index)]


@st.composite
def answers(draw, choices=3):
    """Make the chunks of an answer whose choices come mixed, its usage at its end."""
    queues = [draw(_choice(index)) for index in range(draw(st.integers(1, choices)))]
    chunks = []
    while queues:
        queue = draw(st.sampled_from(queues))
        chunks.append(queue.pop(0))
        queues = [one for one in queues if one]
    usage = draw(usages)
    return [*chunks[:-1], replace(chunks[-1], usage=usage)]


def _places(value, path=()):
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*path, name))


def _hole(value, path, fill):
    value = copy.deepcopy(value)
    *before, last = path
    inner = value
    for name in before:
        inner = inner[name]
    if fill is ...:
        del inner[last]
    else:
        inner[last] = fill
    return value


MISFITS = st.sampled_from([..., None, "", "x", 1, 1.5, -1, True, [], {}, [1], {"a": 1}])


@st.composite
def holed_answers(draw):
    """Make the chunks of an answer in OpenAI's format of which any parts are missing or of another kind.

    One event has text: of those that only bring more of it, what is true of the first is taken to be true of all.
    """
    call_piece = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    logprobs = {"content": [{"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}], "refusal": None}
    events = [
        event({"role": "assistant"}, service_tier="default"),
        event({"content": "a", "reasoning_content": "b", "refusal": None}),
        event({"tool_calls": [call_piece]}, system_fingerprint="f", obfuscation="o"),
        event({}, "tool_calls"),
        {**event(), "choices": [], "usage": usage},
    ]
    events[1]["choices"][0]["logprobs"] = logprobs
    made = []
    for one in events:
        for _ in range(draw(st.integers(0, 2))):
            one = _hole(one, draw(st.sampled_from(list(_places(one)))), draw(MISFITS))  # noqa: PLW2901
        try:
            made += chunks_of(*decode_completion(json.dumps(one).encode()))
        except ValueError:  # the reader of the target's answer leaves it out
            continue
    return made


async def _each(chunks):
    for chunk in chunks:
        yield chunk


def put_together(chunks):
    """Give the answer that the library makes of the chunks; nothing has to be waited for."""
    gathering = gather(call(), Reply(_each(map(replace, chunks)), TARGET))
    try:
        gathering.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError


TARGET = Target(name="t", provider="p", dialect="x", model="m-1")
