import json
import time
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.errors import (
    AttemptError,
    BadReplyError,
    ContextExceededError,
    StreamCutError,
)
from llamafarm.providers.failures import Peer
from llamafarm.providers.ollama.reply import LineStream
from llamafarm.providers.ollama.wire import Translation, decode
from llamafarm.providers.stream import Limits
from llamafarm.types import Usage

STREAMS = Path(__file__).parent / "streams" / "ollama"
NAMES = sorted(path.stem for path in STREAMS.glob("*.ndjson"))
PEER = Peer("ollama", "localhost:11434", "m")


class Canned:
    """A response from memory, in given pieces."""

    status = 200
    headers = {}  # noqa: RUF012 - never changed

    def __init__(self, pieces):
        self.pieces = list(pieces)

    async def read(self, limit, *, cut=False):
        return b"".join(self.pieces)

    async def read_some(self):
        return self.pieces.pop(0) if self.pieces else b""

    def close(self):
        pass


def recorded(name):
    return (STREAMS / f"{name}.ndjson").read_bytes()


async def collect(*pieces):
    """Give the chunks of a stream, and the error that ended it."""
    stream = LineStream(Canned(pieces), PEER, Limits(time.monotonic(), float("inf"), 5.0))
    chunks, failure = [], None
    try:
        async for chunk in stream:
            chunks += [chunk]
    except AttemptError as error:
        failure = error
    return chunks, failure


def spoken(chunks):
    """What of the chunks must not depend on how the bytes came: made-up ids apart, everything."""
    calls = [(call.index, call.name, call.arguments) for chunk in chunks for call in chunk.tool_calls]
    rest = [(c.raw, c.text, c.reasoning, c.finish_reason, c.usage, c.index, c.skipped) for c in chunks]
    return rest, calls


def line(**fields):
    return msgspec.json.encode({"model": "m", **fields}) + b"\n"


def said(text, **fields):
    return line(message={"role": "assistant", "content": text}, done=False, **fields)


DONE = line(
    message={"role": "assistant", "content": ""}, done=True, done_reason="stop", prompt_eval_count=9, eval_count=2
)


async def test_a_text():
    chunks, failure = await collect(recorded("text"))
    assert failure is None
    assert "".join(chunk.text for chunk in chunks) == "The sky is blue, héllo 世界 🌍."
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert chunks[-1].usage == Usage(26, 7)
    assert b"".join(chunk.raw + b"\n" for chunk in chunks) == recorded("text")


async def test_reasoning_comes_apart_from_the_text():
    chunks, failure = await collect(recorded("thinking"))
    assert failure is None
    assert "".join(chunk.reasoning for chunk in chunks) == "Okay,\n17 × 3"  # noqa: RUF001 - as the model wrote it
    assert "".join(chunk.text for chunk in chunks) == "51!"


async def test_parallel_tool_calls():
    chunks, failure = await collect(recorded("tools_parallel"))
    assert failure is None
    calls = [call for chunk in chunks for call in chunk.tool_calls]
    assert [call.index for call in calls] == [0, 1, 2], "counted across lines"
    assert [call.name for call in calls] == ["get_temperature", "get_temperature", "get_time"]
    assert [json.loads(call.arguments) for call in calls] == [
        {"city": "New York", "n": 1.5},
        {"city": "Zürich", "tags": []},
        {},
    ]
    assert calls[0].id == "call_ab12", "an id that is given stays"
    assert all(call.id.startswith("call_") for call in calls)
    assert len({call.id for call in calls}) == 3
    assert chunks[-1].finish_reason == "tool_calls"


async def test_two_answers_never_share_a_made_up_id():
    first, second = [(await collect(recorded("tools_parallel")))[0] for _ in range(2)]
    assert first[2].tool_calls[0].id != second[2].tool_calls[0].id


async def test_a_completion_whose_prompt_was_in_the_cache():
    chunks, failure = await collect(recorded("generate"))
    assert failure is None
    assert "".join(chunk.text for chunk in chunks) == "  if b == 0:"
    assert chunks[-1].finish_reason == "length"
    assert all(chunk.usage is None for chunk in chunks), "not said is unknown, not nothing"


async def test_an_error_in_the_middle_is_a_cut():
    chunks, failure = await collect(recorded("error"))
    assert "".join(chunk.text for chunk in chunks) == "The sky"
    assert type(failure) is StreamCutError
    assert "unexpected EOF" in str(failure)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("the input length exceeds the context length", ContextExceededError),
        ('{"error":{"code":400,"message":"too much","type":"exceed_context_size_error"}}', ContextExceededError),
        ("something else", BadReplyError),
        ({"odd": "shape"}, BadReplyError),
    ],
)
async def test_an_error_before_the_first_token_is_what_it_says(error, kind):
    chunks, failure = await collect(line(error=error))
    assert chunks == []
    assert type(failure) is kind
    _, failure = await collect(said("Hel"), line(error=error))
    assert type(failure) is StreamCutError


@pytest.mark.parametrize("name", NAMES)
async def test_cut_at_every_byte(name):
    whole = recorded(name)
    ends_well = (await collect(whole))[1] is None
    last = len(whole.rstrip(b"\n"))
    for cut in range(len(whole) + 1):
        chunks, failure = await collect(whole[:cut])
        assert (failure is None) is (ends_well and cut >= last), cut
        assert failure is None or type(failure) is StreamCutError, cut
        assert b"".join(chunk.raw + b"\n" for chunk in chunks) in whole + b"\n"


@pytest.mark.parametrize("name", NAMES)
async def test_split_at_every_byte(name):
    whole = recorded(name)
    chunks, failure = await collect(whole)
    for cut in range(1, len(whole)):
        again, error = await collect(whole[:cut], whole[cut:])
        assert spoken(again) == spoken(chunks)
        assert (type(error), str(error)) == (type(failure), str(failure))
    single, _ = await collect(*(whole[at : at + 1] for at in range(len(whole))))
    assert spoken(single) == spoken(chunks)


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.lists(st.integers(0, 1500), max_size=8))
async def test_any_split_gives_the_same_chunks(name, cuts):
    whole = recorded(name)
    places = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    assert spoken((await collect(*pieces))[0]) == spoken((await collect(whole))[0])


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.just(b"\n"), st.just(b'{"done":false}\n')), max_size=9)
)
async def test_no_bytes_end_a_stream_well_or_crash_it(pieces):
    _, failure = await collect(*pieces)
    assert failure is not None


async def test_a_malformed_line_is_left_out_and_counted():
    chunks, failure = await collect(said("Hel"), b'{"message": \xff\n', b"{broken\n", b"\n", b"\r\n", said("lo"), DONE)
    assert failure is None
    assert "".join(chunk.text for chunk in chunks) == "Hello"
    assert [chunk.skipped for chunk in chunks] == [0, 2, 0]
    assert chunks[-1].usage == Usage(9, 2)


async def test_a_line_that_never_ends_is_not_kept(monkeypatch):
    monkeypatch.setattr("llamafarm.transport.ndjson.NDJSONParser.__init__.__defaults__", (100,))
    _, failure = await collect(said("Hel"), b"x" * 60, b"x" * 60)
    assert type(failure) is StreamCutError
    assert "longer than 100 bytes" in str(failure)


async def test_what_follows_the_last_line_is_left():
    chunks, failure = await collect(said("Hello") + DONE + said(" more"))
    assert failure is None
    assert "".join(chunk.text for chunk in chunks) == "Hello"


@pytest.mark.parametrize("reason", ["load", "unload"])
async def test_only_loading_is_no_answer(reason):
    _, failure = await collect(line(message={"role": "assistant", "content": ""}, done=True, done_reason=reason))
    assert type(failure) is BadReplyError
    assert f"only {reason}ed the model" in str(failure)
    assert "prompt empty" in str(failure)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_eval_count": 3}, None),
        ({"prompt_eval_count": 3, "eval_count": None}, None),
        ({"eval_count": 3}, None),
        ({"prompt_eval_count": -1, "eval_count": 3}, None),
        ({"prompt_eval_count": "3", "eval_count": 3}, None),
        ({"prompt_eval_count": True, "eval_count": 3}, None),
        ({"prompt_eval_count": 10**12, "eval_count": 3}, None),
    ],
)
async def test_counts(counts, usage):
    chunks, failure = await collect(said("Hi"), line(done=True, **counts))
    assert failure is None, "without a done_reason, as old versions end, it stopped"
    assert chunks[-1].usage == usage
    assert chunks[-1].finish_reason == "stop"


@pytest.mark.parametrize("reason", ["load", "unload"])
async def test_a_model_that_is_thrown_out_has_not_ended_its_answer(reason):
    chunks, failure = await collect(said("Hi"), line(done=True, done_reason=reason))
    assert "".join(chunk.text for chunk in chunks) == "Hi"
    assert type(failure) is StreamCutError


async def test_what_is_no_strict_json_is_read_all_the_same():
    chunks, failure = await collect(said("Hi"), b'{"done":true,"prompt_eval_count":3,"eval_count":NaN}\n')
    assert failure is None
    assert chunks[-1].usage is None
    assert msgspec.json.decode(chunks[-1].raw)["eval_count"] is None
    _, failure = await collect(b'{"error":' + b"1" * 5000 + b"}\n")
    assert type(failure) is BadReplyError


async def test_an_event_with_a_million_things_in_it_is_left_out():
    calls = b",".join([b"{}"] * 300_000)
    chunks, failure = await collect(b'{"message":{"tool_calls":[' + calls + b"]}}\n", said("Hi"), line(done=True))
    assert failure is None
    assert not any(chunk.tool_calls for chunk in chunks)
    assert sum(chunk.skipped for chunk in chunks) == 1


async def test_only_an_answer_of_nothing_needs_no_count():
    chunks, _ = await collect(line(message={"content": ""}, done=False), line(done=True, prompt_eval_count=3))
    assert chunks[-1].usage == Usage(3, 0)


ARGUMENTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=3)


@given(st.lists(st.lists(ARGUMENTS, max_size=3), max_size=4))
def test_calls_are_counted_and_named_whatever_lines_they_come_in(lines):
    translation = Translation()
    calls = []
    for some in lines:
        made = [{"function": {"index": 0, "name": "f", "arguments": arguments}} for arguments in some]
        reply, _ = decode(msgspec.json.encode({"message": {"content": "", "tool_calls": made}, "done": False}))
        calls += translation.chunk(reply, b"").tool_calls
    assert [call.index for call in calls] == list(range(len(calls)))
    assert len({call.id for call in calls}) == len(calls)
    assert [json.loads(call.arguments) for call in calls] == [arguments for some in lines for arguments in some]


async def test_arguments_that_are_text_already_stay_it():
    call = {"function": {"name": "f", "arguments": '{"a": 1}'}}
    chunks, _ = await collect(line(message={"tool_calls": [call]}, done=False), DONE)
    assert chunks[0].tool_calls[0].arguments == '{"a": 1}'
