"""Recorded streams: whole, cut at every byte, split at every byte; and what is late, silent or over."""

import asyncio
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.errors import AttemptError, AttemptTimeoutError, StreamCutError
from llamafarm.providers.anthropic.stream import AnthropicStream
from llamafarm.providers.failures import Peer
from llamafarm.providers.stream import Limits
from llamafarm.types import ToolCall, Usage
from tests.providers.anthropic_server import PING, STREAMS, block, delta, end, recorded, sse, start, stop, text

NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))


PEER = Peer("anthropic", "x")


class Canned:
    """A response from memory, in given pieces; after the last it breaks off, waits for ever, or ends."""

    status = 200
    headers = {}  # noqa: RUF012 - never changed

    def __init__(self, pieces, *, breaks=False, hangs=False):
        self.pieces = list(pieces)
        self.breaks, self.hangs = breaks, hangs
        self.closed = asyncio.Event()

    async def read_some(self):
        if self.pieces:
            return self.pieces.pop(0)
        if self.hangs:
            await self.closed.wait()
        if self.breaks or self.hangs:
            raise StreamCutError("the connection was lost")
        return b""

    def close(self):
        self.closed.set()


async def collect(pieces, answer_tool=None, limits=None, **options):
    """Give the chunks, and the error that ended them or None."""
    limits = limits or Limits(time.monotonic(), float("inf"), 60.0)
    stream = AnthropicStream(Canned(pieces, **options), PEER, limits, answer_tool)
    chunks = []
    try:
        async for chunk in stream:
            chunks += [chunk]
    except AttemptError as error:
        return chunks, error
    return chunks, None


def joined(chunks):
    """What a reader has of them in the end."""
    calls = {}
    for call in (call for chunk in chunks for call in chunk.tool_calls):
        before = calls.setdefault(call.index, ToolCall(call.index))
        calls[call.index] = ToolCall(
            call.index, before.id + call.id, before.name + call.name, before.arguments + call.arguments
        )
    return {
        "text": "".join(chunk.text for chunk in chunks),
        "reasoning": "".join(chunk.reasoning for chunk in chunks),
        "blocks": [chunk.thinking_block for chunk in chunks if chunk.thinking_block is not None],
        "calls": list(calls.values()),
        "finish": [chunk.finish_reason for chunk in chunks if chunk.finish_reason],
        "usage": [chunk.usage for chunk in chunks if chunk.usage],
    }


async def test_text():
    chunks, error = await collect([recorded("text")])
    assert error is None
    assert joined(chunks) == {
        "text": "Hello, wörld 🦙",
        "reasoning": "",
        "blocks": [],
        "calls": [],
        "finish": ["stop"],
        "usage": [Usage(377, 15, cached_tokens=345, cache_write_tokens=20)],
    }
    assert sum(chunk.has_token for chunk in chunks) == 2
    sent = [line[6:] for line in recorded("text").split(b"\n") if line.startswith(b"data: ")]
    assert [chunk.raw for chunk in chunks] == sent


async def test_thinking():
    chunks, error = await collect([recorded("thinking")])
    seen = joined(chunks)
    assert error is None
    assert (seen["text"], seen["reasoning"], seen["finish"]) == ("51", "17 times 3 is 51.", ["stop"])
    first, second = seen["blocks"]
    assert first["thinking"] == seen["reasoning"]
    assert first["signature"].startswith("EqQBCgIYAhIM")
    assert second["type"] == "redacted_thinking"
    assert second["data"].startswith("EmwKAhgBEgy3")
    assert seen["usage"] == [Usage(40, 80, reasoning_tokens=71)]


async def test_parallel_tools():
    chunks, error = await collect([recorded("tools")])
    seen = joined(chunks)
    assert error is None
    assert seen["finish"] == ["tool_calls"]
    assert seen["calls"] == [
        ToolCall(0, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather", '{"city": "San Francisco, CA"}'),
        ToolCall(1, "toolu_01A09q90qw90lq917835lq9", "get_time", "{}"),
    ]
    first = next(chunk for chunk in chunks if chunk.tool_calls)
    assert first.tool_calls == (ToolCall(0, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather"),)


async def test_a_refusal():
    seen = joined((await collect([recorded("refusal")]))[0])
    assert (seen["text"], seen["finish"]) == ("I can", ["content_filter"])


async def test_an_error_in_the_middle_is_a_cut():
    chunks, error = await collect([recorded("error")])
    assert type(error) is StreamCutError
    assert error.code == "overloaded_error"
    assert "Overloaded" in str(error)
    assert joined(chunks)["text"] == "Hel"


async def test_the_vendors_own_tools_are_no_tool_calls():
    seen = joined((await collect([recorded("search")]))[0])
    assert seen["text"] == "I'll check. It is mild."
    assert seen["calls"] == [ToolCall(0, "toolu_01XFDUDYJgAACzvnptvVoYEL", "note", '{"a":1}')]
    assert seen["usage"] == [Usage(10682, 510)]


@pytest.mark.parametrize("name", NAMES)
async def test_cut_at_every_byte(name):
    body = recorded(name)
    whole, error = await collect([body])
    finish = body.find(b"stop_reason", body.find(b"message_delta"))
    for at in range(len(body)):
        chunks, cut = await collect([body[:at]], breaks=at % 2 == 0)
        if cut is None:
            assert name != "error"
            assert at > finish
            assert joined(chunks) == joined(whole)
        else:
            assert type(cut) is StreamCutError
            assert chunks == whole[: len(chunks)]
    assert (error is None) is (name != "error")


@pytest.mark.parametrize("name", NAMES)
async def test_split_at_every_byte(name):
    body = recorded(name)
    expected = repr(await collect([body]))
    assert repr(await collect([body[at : at + 1] for at in range(len(body))])) == expected
    for at in range(1, len(body)):
        assert repr(await collect([body[:at], body[at:]])) == expected
    assert repr(await collect([body.replace(b"\n", b"\r\n")])) == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, len(recorded("tools"))), max_size=10))
async def test_any_split_gives_the_same_chunks(cuts):
    body = recorded("tools")
    places = sorted({0, *cuts, len(body)})
    assert await collect(body[a:b] for a, b in pairwise(places)) == await collect([body])


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=40),
            st.sampled_from([b"data: ", b"\n\n", sse(start()), sse(*text("x")), sse(block(1, type="tool_use"))]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.dictionaries(
                        st.sampled_from(["type", "delta", "content_block", "index", "message", "usage", "text"]), inner
                    )
                    | st.lists(inner, max_size=2)
                ),
                max_leaves=8,
            )
            .filter(lambda event: isinstance(event, dict) and event.get("type") != "message_delta")
            .map(lambda event: sse({**event, "type": str(event.get("type"))})),
        ),
        max_size=12,
    )
)
async def test_no_bytes_end_a_stream_well_or_crash_it(pieces):
    _, error = await collect(pieces)
    assert isinstance(error, AttemptError)


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b'"x"',
        b"{}",
        b'{"type":5}',
        b'{"type":"content_block_delta","index":0}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":[]}}',
        b'{"type":"content_block_start","index":1}',
        b'{"type":"content_block_stop"}',
        b'{"type":"message_delta","usage":{}}',
    ],
)
async def test_a_malformed_event_is_left_out_and_counted(bad, caplog):
    events = [sse(start(), *text("a")), b"data: " + bad + b"\n\n", sse(*text("b", index=1), *end())]
    chunks, error = await collect(events)
    assert error is None
    assert joined(chunks)["text"] == "ab"
    assert sum(chunk.skipped for chunk in chunks) == 1
    assert "malformed" in caplog.text


@pytest.mark.parametrize(
    "unknown",
    [
        {"type": "brand_new"},
        {"type": "brand_new", "delta": None, "index": None},
        {"type": "message_delta", "delta": {"stop_reason": None}},
        delta(7, type="text_delta", text=""),
        delta(7, type="input_json_delta", partial_json="1"),
        delta(0, type="brand_new_delta", text=None),
        stop(7),
        block(7, type="brand_new", text="not said", input={}),
    ],
)
async def test_what_is_new_is_passed_on_as_it_is(unknown):
    chunks, error = await collect([sse(start(), *text("a"), unknown, *end())])
    assert error is None
    assert joined(chunks)["text"] == "a"
    assert not any(chunk.skipped for chunk in chunks)


async def test_input_that_comes_at_once():
    call = block(0, type="tool_use", id="t", name="f", input={"a": 1})
    chunks, _ = await collect([sse(start(), call, stop(0), *end("tool_use"))])
    assert joined(chunks)["calls"] == [ToolCall(0, "t", "f", '{"a":1}')]


async def test_an_answer_that_comes_as_a_tools_arguments():
    call = block(0, type="tool_use", id="t", name="answer", input={})
    pieces = [delta(0, type="input_json_delta", partial_json=piece) for piece in ("", '{"a":', "1}")]
    chunks, _ = await collect([sse(start(), call, *pieces, stop(0), *end("tool_use"))], "answer")
    seen = joined(chunks)
    assert (seen["text"], seen["calls"], seen["finish"]) == ('{"a":1}', [], ["stop"])
    chunks, _ = await collect([sse(start(), call, stop(0), *end("tool_use"))], "answer")
    assert joined(chunks)["text"] == "{}"


@pytest.mark.parametrize(
    ("begun", "ended", "usage"),
    [
        ({"input_tokens": 5, "output_tokens": 1}, {"output_tokens": 7}, Usage(5, 7)),
        ({"input_tokens": 5, "output_tokens": 9}, {"output_tokens": 7}, Usage(5, 7)),
        ({"input_tokens": 5, "output_tokens": 1}, {"input_tokens": 8, "output_tokens": 7}, Usage(8, 7)),
        ({"input_tokens": 5, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 7}, Usage(5, 7)),
        ({}, {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 3}, Usage(8, 7, 3)),
        ({"input_tokens": 5}, {}, None),
        ({}, {"output_tokens": 7}, None),
        ({"input_tokens": -5}, {"output_tokens": 7}, None),
        ({"input_tokens": 5}, {"output_tokens": 10**12}, None),
        *(
            ({"input_tokens": 5, "output_tokens": 1}, ended, None)
            for ended in (
                {},
                {"output_tokens": None},
                {"output_tokens": -5},
                {"output_tokens": 1e300},
                {"output_tokens": "65"},
            )
        ),
        (
            {"input_tokens": 5, "cache_read_input_tokens": None},
            {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 8}},
            Usage(5, 7),
        ),
    ],
)
async def test_usage_of_a_stream(begun, ended, usage):
    chunks, _ = await collect([sse(start(begun), *text("a"), *end(usage=ended))])
    assert joined(chunks)["usage"] == ([] if usage is None else [usage])


async def test_the_usage_of_the_beginning_is_not_that_of_the_whole():
    ending = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    begun = start({"input_tokens": 5, "output_tokens": 1})
    chunks, _ = await collect([sse(begun, *text("a"), ending, {"type": "message_stop"})])
    assert joined(chunks)["usage"] == []


async def test_half_a_usage_is_none_for_an_answer_that_is_cut():
    chunks, error = await collect([sse(start(), *text("a"))])
    assert type(error) is StreamCutError
    assert joined(chunks)["usage"] == []


@pytest.mark.parametrize("events", [[start()], [start(), PING], [start(), block(0, type="text", text=""), PING]])
async def test_pings_are_no_tokens(events):
    now = time.monotonic()
    _, error = await collect([sse(*events)], limits=Limits(now, now + 0.05, 5.0), hangs=True)
    assert type(error) is AttemptTimeoutError


async def test_silence_after_a_token_is_a_cut():
    now = time.monotonic()
    chunks, error = await collect([sse(start(), *text("a"), PING)], limits=Limits(now, now + 60, 0.05), hangs=True)
    assert type(error) is StreamCutError
    assert "silent for 0.05 s" in str(error)
    assert joined(chunks)["text"] == "a"


async def test_the_vendors_own_tool_is_no_silence(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    tool = [
        block(1, type="server_tool_use", id="s", name="web_search", input={}),
        delta(1, type="input_json_delta", partial_json="{"),
        stop(1),
        block(2, type="web_search_tool_result", content=[]),
        stop(2),
    ]
    stream = AnthropicStream(
        Canned([sse(start(), *text("a")), *map(sse, tool), sse(PING)]), PEER, Limits(0.0, 9e9, 5.0)
    )
    due = []
    for _ in range(7):
        await stream._fill()
        due.append(stream._due())
    assert all(earlier < later for earlier, later in pairwise(due[:-1]))
    assert due[-1] == due[-2], "a ping is no sign of progress"


async def test_nothing_is_waited_for_behind_message_stop():
    chunks, error = await collect([sse(start(), *text("a"), *end())], hangs=True)
    assert error is None
    assert joined(chunks)["finish"] == ["stop"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "length"),
        ("tool_use", "stop"),
        ("brand_new", "stop"),
    ],
)
async def test_finish_reasons(reason, finish):
    chunks, _ = await collect([sse(start(), *text("a"), *end(reason))])
    assert joined(chunks)["finish"] == [finish]
