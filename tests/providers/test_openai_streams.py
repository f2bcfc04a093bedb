import asyncio
import gc
import json

import msgspec
import pytest

from llamafarm.errors import (
    AttemptTimeoutError,
    BadReplyError,
    ContentPolicyError,
    ContextExceededError,
    QuotaError,
    RateLimitError,
    StreamCutError,
    TransientError,
)
from llamafarm.providers import stream
from llamafarm.testing.fake_server import FakeServer, events, raw, reply, reset
from llamafarm.types import Operation, ToolCall, Usage

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def piece(text="", finish=None, index=0, **delta):
    delta = {"content": text, **delta} if text else delta
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def sse(*payloads):
    return b"".join(b"data: %b\n\n" % (p if isinstance(p, bytes) else msgspec.json.encode(p)) for p in payloads)


USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


@pytest.mark.parametrize(
    "last",
    [
        [piece(finish="stop"), {"choices": [], "usage": USAGE}],
        [{**piece(finish="stop"), "usage": USAGE}],
        [{**piece(finish="stop"), "x_groq": {"id": "r", "usage": USAGE}}],
        [{**piece(finish="stop"), "usage": None, "x_groq": {"usage": USAGE}}],
        [piece(finish="stop"), {"usage": USAGE}],
    ],
)
@pytest.mark.parametrize("done", [True, False])
async def test_wherever_the_usage_is(rig, last, done):
    async with FakeServer(events(piece(role="assistant"), piece("Hello"), *last, done=done)) as server:
        chunks = await rig.send(server)
        assert [chunk.usage for chunk in chunks if chunk.usage] == [Usage(9, 2)]
        assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
        assert chunks[0].has_token is False
        assert all(chunk.raw for chunk in chunks)
        assert msgspec.json.decode(chunks[1].raw) == piece("Hello")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "nine",
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": 9, "completion_tokens": -2},
        {"prompt_tokens": 10**12, "completion_tokens": 2},
        {"prompt_tokens": 10**400, "completion_tokens": 2},
        {"prompt_tokens": "9", "completion_tokens": 2},
        {"prompt_tokens": True, "completion_tokens": 2},
        {"prompt_tokens": 9.5, "completion_tokens": 2},
        {"prompt_tokens": 9},
        {"completion_tokens": 2},
        {"prompt_tokens": 9, "completion_tokens": None, "total_tokens": 11},
        b'{"prompt_tokens": NaN, "completion_tokens": 2}',
        b'{"prompt_tokens": 9, "completion_tokens": Infinity}',
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_usage_that_makes_no_sense_is_none(rig, usage, stream):
    text = usage if isinstance(usage, bytes) else json.dumps(usage).encode()
    if stream:
        tail = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":' + text + b"}"
        script = raw(HEAD + sse(piece("Hello"), tail))
    else:
        body = b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}],"usage":' + text + b"}"
        script = raw(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    async with FakeServer(script) as server:
        chunks = await rig.send(server, stream=stream)
        assert "".join(chunk.text for chunk in chunks) == "Hello"
        assert chunks[-1].finish_reason == "stop"
        assert all(chunk.usage is None for chunk in chunks)
        msgspec.json.decode(chunks[-1].raw)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(9, 2, cached_tokens=4)),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 40}}, Usage(9, 2)),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": -4}}, Usage(9, 2)),
        ({**USAGE, "prompt_tokens_details": "none"}, Usage(9, 2)),
        ({**USAGE, "prompt_cache_hit_tokens": 3}, Usage(9, 2, cached_tokens=3)),
        ({**USAGE, "completion_tokens_details": {"reasoning_tokens": 1}}, Usage(9, 2, reasoning_tokens=1)),
        (
            {**USAGE, "total_tokens": 111, "completion_tokens_details": {"reasoning_tokens": 100}},
            Usage(9, 102, reasoning_tokens=100),
        ),
        ({**USAGE, "total_tokens": 1}, Usage(9, 2)),
        ({"prompt_tokens": 9.0, "completion_tokens": 2}, Usage(9, 2)),
        ({"prompt_tokens": 9, "total_tokens": 9}, Usage(9, 0)),
    ],
)
async def test_the_parts_of_a_usage(rig, usage, expected):
    async with FakeServer(events({**piece("x", "stop"), "usage": usage})) as server:
        (chunk,) = await rig.send(server)
        assert chunk.usage == expected


async def test_tool_calls_come_in_pieces_in_any_order(rig):
    def call(index, **function):
        return piece(tool_calls=[{"index": index, "function": function}])

    opening = piece(
        tool_calls=[{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]
    )
    pieces = [call(1, name="g", arguments='{"b"'), opening, call(1, arguments=":2}"), call(0, arguments="{}")]
    async with FakeServer(events(*pieces, piece(finish="tool_calls"))) as server:
        chunks = await rig.send(server)
        calls = [call for chunk in chunks for call in chunk.tool_calls]
        assert calls == [
            ToolCall(1, name="g", arguments='{"b"'),
            ToolCall(0, "a", "f"),
            ToolCall(1, arguments=":2}"),
            ToolCall(0, arguments="{}"),
        ]
        assert chunks[0].has_token


@pytest.mark.parametrize(
    ("delta", "text", "reasoning", "calls"),
    [
        ({"reasoning_content": "hm"}, "", "hm", ()),
        ({"reasoning": "hm", "reasoning_content": "hm"}, "", "hm", ()),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, "", "hm", ()),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", "", ()),
        ({"refusal": "no"}, "no", "", ()),
        ({"tool_calls": [{"id": "i", "function": {"name": "f", "arguments": {"a": 1}}}]}, "", "", (("f", '{"a":1}'),)),
        ({"function_call": {"name": "f", "arguments": "{}"}}, "", "", (("f", "{}"),)),
    ],
)
async def test_vendors_ways_to_say_it(rig, delta, text, reasoning, calls):
    async with FakeServer(events(piece(**delta), piece(finish="stop"))) as server:
        chunk, _ = await rig.send(server)
        assert (chunk.text, chunk.reasoning) == (text, reasoning)
        assert tuple((call.name, call.arguments) for call in chunk.tool_calls) == calls
        assert chunk.has_token


async def test_several_choices(rig):
    both = {"choices": [*piece("a", index=0)["choices"], *piece("b", index=1)["choices"]]}
    async with FakeServer(events(both, piece(finish="stop", index=0), piece(finish="stop", index=1))) as server:
        chunks = await rig.send(server)
        assert [(chunk.index, chunk.text) for chunk in chunks[:2]] == [(0, "a"), (1, "b")]
        assert [bool(chunk.raw) for chunk in chunks[:2]] == [True, False]
    async with FakeServer(events(both, piece(finish="stop", index=0))) as server:
        await rig.fails(server, StreamCutError)


@pytest.mark.parametrize(
    "bad", ["{", "not json", '{"choices":[{"delta":{"content":5}}]}', "[1]", b"\xff", "[" * 100_000]
)
async def test_a_malformed_event_is_left_out_and_counted(rig, bad):
    async with FakeServer(events(piece("a"), bad, bad, piece("b"), piece(finish="stop"))) as server:
        chunks = await rig.send(server)
        assert [(chunk.text, chunk.skipped) for chunk in chunks] == [("a", 0), ("b", 2), ("", 0)]
    async with FakeServer(events(piece("a"), piece(finish="stop"), bad)) as server:
        chunks = await rig.send(server)
        assert sum(chunk.skipped for chunk in chunks) == 1
    async with FakeServer(events(piece("a"), bad)) as server:
        assert "1 malformed" in str(await rig.fails(server, StreamCutError))


@pytest.mark.parametrize(
    "end", [events(piece("Hello")), events(piece("Hello"), done=False), raw(HEAD + sse(piece("Hello")))]
)
async def test_an_end_without_a_finish_reason_is_a_cut(rig, end):
    async with FakeServer(end) as server:
        assert (await rig.fails(server, StreamCutError)).seen == "Hello"


async def test_a_reset_is_a_cut_and_after_the_finish_reason_it_is_not(rig):
    async with FakeServer(reset(HEAD + sse(piece("Hello")))) as server:
        await rig.fails(server, StreamCutError)
    chunked = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    whole = sse(piece("Hello"), piece(finish="stop"))
    async with FakeServer(raw(chunked, b"%x\r\n%b\r\n" % (len(whole), whole))) as server:
        assert [chunk.text for chunk in await rig.send(server)] == ["Hello", ""]


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        ({"error": {"message": "busy", "type": "server_error"}}, TransientError, StreamCutError),
        ({"error": {"message": "slow", "code": "rate_limit_exceeded"}}, RateLimitError, StreamCutError),
        ({"error": {"message": "slow", "code": 429}}, RateLimitError, StreamCutError),
        ({"error": {"message": "?", "code": 502}, "choices": []}, TransientError, StreamCutError),
        ({"error": {"message": "out", "code": "insufficient_quota"}}, QuotaError, QuotaError),
        ({"error": {"message": "long", "code": "context_length_exceeded"}}, ContextExceededError, ContextExceededError),
        ({"error": {"message": "no", "code": "content_filter"}}, ContentPolicyError, ContentPolicyError),
        ({"error": "CUDA out of memory", "error_type": "generation"}, TransientError, StreamCutError),
        ({"object": "error", "message": "oops", "code": 500}, TransientError, StreamCutError),
        ({"error": "something"}, BadReplyError, StreamCutError),
        ({"x_groq": {"error": "over_capacity"}}, BadReplyError, StreamCutError),
    ],
)
async def test_an_error_inside(rig, error, before, after):
    async with FakeServer(events(error), events(piece("Hello"), error)) as server:
        first = await rig.fails(server, before)
        assert first.seen == ""
        assert "acme (127.0.0.1:" in str(first)
        assert (await rig.fails(server, after)).seen == "Hello"


async def test_finish_reason_error_is_a_cut(rig):
    async with FakeServer(events(piece("Hello"), piece(finish="error"))) as server:
        assert (await rig.fails(server, StreamCutError)).seen == "Hello"


async def test_an_endless_line_is_refused(rig):
    async with FakeServer(raw(HEAD, b"data: ", *[b"x" * 2**20] * 9, close=False)) as server:
        await rig.fails(server, BadReplyError)
        await server.until_disconnected()


async def test_connections_of_whole_streams_are_used_again(rig):
    async with FakeServer() as server:
        await rig.send(server)
        first = server.connections  # 2 where it was knocked at, before the HTTP library was loaded
        for _ in range(2):
            await rig.send(server)
        assert server.connections == first


@pytest.mark.parametrize("read", [0, 1])
async def test_a_stream_that_is_left_is_cancelled_at_once(rig, read):
    async with FakeServer(raw(HEAD + sse(piece("a"), piece("b")), close=False)) as server:
        stream = await rig.upstream.send(rig.attempt(rig.target(server)))
        for _ in range(read):
            await anext(stream)
        await stream.aclose()
        await stream.aclose()
        await server.until_disconnected()
        with pytest.raises(StreamCutError):
            await anext(stream)


async def test_a_stream_that_is_forgotten_is_cancelled(rig):
    async with FakeServer(raw(HEAD + sse(piece("a")), close=False)) as server:
        stream = await rig.upstream.send(rig.attempt(rig.target(server)))
        await anext(stream)
        del stream
        gc.collect()
        await server.until_disconnected()


async def test_a_reader_that_is_cancelled_may_close(rig):
    async with FakeServer(raw(HEAD + sse(piece("a")), close=False)) as server:
        stream = await rig.upstream.send(rig.attempt(rig.target(server)))
        await anext(stream)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await stream.aclose()
        await server.until_disconnected()


OVERSIZED = b"data: " + b"x" * (9 * 1024**2)
FAILS = sse({"error": {"message": "oops", "type": "server_error"}})


@pytest.mark.parametrize("behind", [FAILS, OVERSIZED, sse(piece("late")) + FAILS, sse(piece(finish="error"))])
async def test_nothing_that_goes_wrong_behind_the_finish_reason_makes_an_answer_incomplete(rig, behind):
    async with FakeServer(raw(HEAD + sse(piece("Hello"), piece(finish="stop")) + behind, close=False)) as server:
        chunks = await rig.send(server)
        await server.until_disconnected()
    assert "".join(chunk.text for chunk in chunks).removesuffix("late") == "Hello"
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]


ONE_OF_TWO = HEAD + sse(piece("A"), piece(finish="stop"))
TWO_PROMPTS = {"model": "m", "prompt": ["a", "b"]}


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        ({"model": "m", "messages": [], "n": 2}, Operation.CHAT),
        (TWO_PROMPTS, Operation.COMPLETION),
        ({"model": "m", "prompt": [[1, 2], [3]]}, Operation.COMPLETION),
    ],
)
async def test_a_choice_that_has_not_begun_is_missing(rig, body, operation):
    """Unless the server says that this is all: many ignore `n`."""
    async with FakeServer(raw(ONE_OF_TWO), raw(ONE_OF_TWO + FAILS), raw(ONE_OF_TWO + b"data: [DONE]\n\n")) as server:
        for _ in range(2):
            error = await rig.fails(server, StreamCutError, body=body, operation=operation)
            assert error.seen == "A"
        chunks = await rig.send(server, body=body, operation=operation)
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]


async def test_one_prompt_in_tokens_has_one_answer(rig):
    async with FakeServer(raw(ONE_OF_TWO)) as server:
        await rig.send(server, body={"model": "m", "prompt": [1, 2, 3]}, operation=Operation.COMPLETION)


async def test_choices_made_one_after_the_other_are_waited_for(rig, monkeypatch):
    monkeypatch.setattr(stream, "_TAIL_SECONDS", 0.02)
    second = sse(piece("B", index=1), piece(finish="stop", index=1))

    async def slowly(_request, writer):
        writer.write(ONE_OF_TWO)
        await writer.drain()
        await asyncio.sleep(0.3)
        writer.write(second)
        writer.close()

    async with FakeServer(slowly) as server:
        chunks = await rig.send(server, body={"model": "m", "messages": [], "n": 2})
    assert "".join(chunk.text for chunk in chunks) == "AB"


async def test_a_piece_of_a_tool_call_with_nothing_in_it_is_no_token(rig):
    empty = piece(tool_calls=[{"index": 0}])
    async with FakeServer(raw(HEAD + sse(empty), close=False)) as server:
        await rig.fails(server, AttemptTimeoutError, ttft=0.1)


async def test_an_event_with_a_million_choices_is_left_out(rig):
    flood = b'data: {"choices":[' + b",".join([b"{}"] * 300_000) + b"]}\n\n"
    async with FakeServer(raw(HEAD + flood + sse(piece("Hi"), piece(finish="stop")))) as server:
        chunks = await rig.send(server)
    assert "".join(chunk.text for chunk in chunks) == "Hi"
    assert sum(chunk.skipped for chunk in chunks) == 1
    assert len(chunks) < 5


async def test_a_usage_that_does_not_grow_is_no_sign_of_life(rig):
    async def repeats(_request, writer):
        writer.write(HEAD + sse(piece("Hi")))
        while not writer.is_closing():
            writer.write(sse({"choices": [], "usage": USAGE}))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with FakeServer(repeats) as server:
        error = await rig.fails(server, StreamCutError, idle=0.2)
    assert "silent" in str(error)


async def test_an_answer_of_millions_of_objects_is_not_even_read(rig):
    flood = b'{"choices":[' + b",".join([b"{}"] * 1_100_000) + b"]}"
    async with FakeServer(reply(200, flood, {"content-type": "application/json"})) as server:
        assert "1,000,000 objects" in str(await rig.fails(server, BadReplyError, stream=False))


async def test_the_input_of_a_custom_tool_comes_in_pieces(rig):
    begun = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "grep", "input": ""}}
    more = [{"index": 0, "custom": {"input": text}} for text in ("fo", "o.*")]
    pieces = [piece(tool_calls=[call]) for call in (begun, *more)]
    async with FakeServer(events(*pieces, piece(finish="tool_calls"))) as server:
        calls = [call for chunk in await rig.send(server) for call in chunk.tool_calls]
    assert calls == [
        ToolCall(0, "c1", "grep", "", "custom"),
        *(ToolCall(0, "", "", t, "custom") for t in ("fo", "o.*")),
    ]


async def test_pieces_of_a_custom_tools_input_are_a_sign_of_life(rig):
    async def behave(request, writer):
        writer.write(HEAD)
        for text in "abcdefgh":
            event = piece(tool_calls=[{"index": 0, "custom": {"input": text}}])
            writer.write(b"data: " + msgspec.json.encode(event) + b"\n\n")
            await writer.drain()
            await asyncio.sleep(0.2)
        writer.write(b"data: " + msgspec.json.encode(piece(finish="tool_calls")) + b"\n\n")
        writer.close()

    async with FakeServer(behave) as server:
        chunks = await rig.send(server, idle=1.0)
    assert "".join(call.arguments for chunk in chunks for call in chunk.tool_calls) == "abcdefgh"


async def test_a_custom_tool_call_in_a_plain_answer(rig):
    call = {"id": "c1", "type": "custom", "custom": {"name": "grep", "input": "foo"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    async with FakeServer(reply(200, whole)) as server:
        (chunk,) = await rig.send(server, stream=False)
    assert chunk.tool_calls == (ToolCall(0, "c1", "grep", "foo", "custom"),)
