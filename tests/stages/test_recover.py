"""A stream that is cut: who goes on, what the reader gets, and when it must be an error instead."""

import asyncio
import gc
import time

import pytest

from llamafarm import errors
from llamafarm.farm import Farm
from llamafarm.planning import money
from llamafarm.stages.recover import Beginning
from llamafarm.types import Call, Chunk, Operation, ToolCall, Usage
from tests.making import NO_GPU, Scripted, strategy

CUT = errors.StreamCutError("it broke")
TEXT = """
name: chained
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma%s}}
  b: {type: openai_compatible, config: {provider: custom, base_url: 'https://b.example/v1', default_model: mb}}
  c: {type: openai_compatible, config: {provider: custom, base_url: 'https://c.example/v1', default_model: mc, supports: [prefill]}}
  d: {type: openai_compatible, config: {provider: custom, base_url: 'https://d.example/v1', default_model: md, supports: [prefill]}}
fallback_chain: [a, b, c, d]
optimization: {retry_policy: {max_attempts: 1}%s}
%s
"""


def farm(scripts, own="", optimization="", more=""):
    upstream = Scripted(scripts, Usage(30, 7))
    text = TEXT % (own, optimization, more)
    return Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU), upstream


async def read(opened, **options):
    """Give the text, the error that ended it, and the answer."""
    stream = opened.stream("Hi", **options)
    text, error = "", None
    try:
        async for chunk in stream:
            text += chunk.text
    except errors.LlamaFarmError as caught:
        error = caught
    return text, error, stream.answer if stream.has_begun else None


def tried(answer):
    return [(attempt.target, attempt.outcome) for attempt in answer.attempts]


async def test_the_first_later_target_that_can_goes_on():
    made, upstream = farm({"a": [["Once upon", " a ti", CUT]], "c": [["me there", " was."]]})
    async with made as opened:
        text, error, answer = await read(opened, max_tokens=100)
    assert (text, error) == ("Once upon a time there was.", None)
    assert tried(answer) == [("a", "stream_cut"), ("c", "ok")]
    assert (answer.target, answer.model, answer.finish_reason, answer.text) == ("c", "mc", "stop", text)
    sent = upstream.sent[-1]
    assert sent.beginning == "Once upon a ti"
    assert sent.body["max_tokens"] < 100
    assert sent.body["messages"] == [{"role": "user", "content": "Hi"}], "the beginning is the provider's to put in"


async def test_who_cannot_go_on_is_nobody_to_leave_time_to():
    made, upstream = farm({"a": [["One ", CUT]], "c": [["two ", CUT]], "d": [["three"]]})
    async with made as opened:
        await read(opened)
    assert [(attempt.target.name, attempt.last) for attempt in upstream.sent] == [
        ("a", False),
        ("c", False),
        ("d", True),
    ]
    text = TEXT.replace("fallback_chain: [a, b, c, d]", "fallback_chain: [a, c, b]") % ("", "", "")
    upstream = Scripted({"a": [["One ", CUT]], "c": [["two"]]})
    async with Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        await read(opened)
    assert [(attempt.target.name, attempt.last) for attempt in upstream.sent] == [("a", False), ("c", True)]


async def test_it_can_happen_again():
    made, _ = farm({"a": [["One ", CUT]], "c": [["two ", CUT]], "d": [["three"]]})
    async with made as opened:
        text, error, answer = await read(opened)
    assert (text, error) == ("One two three", None)
    assert tried(answer) == [("a", "stream_cut"), ("c", "stream_cut"), ("d", "ok")]


async def test_one_that_fails_to_go_on_gives_way_to_the_next():
    made, _ = farm({"a": [["One ", CUT]], "c": [errors.TransientError("busy")], "d": [["two"]]})
    async with made as opened:
        text, error, answer = await read(opened)
    assert (text, error) == ("One two", None)
    assert tried(answer) == [("a", "stream_cut"), ("c", "transient"), ("d", "ok")]


async def test_with_nobody_to_go_on_it_is_an_error():
    down = errors.TransientError("busy")
    made, _ = farm({"a": [["One ", CUT]], "c": [down], "d": [down]})
    async with made as opened:
        text, error, answer = await read(opened)
    assert text == "One "
    assert isinstance(error, errors.StreamCutError)
    assert "no other target could go on with it" in str(error)
    assert answer.finish_reason is None


@pytest.mark.key("strategies[].optimization.stream_recovery")
async def test_error_ends_it_there():
    made, upstream = farm({"a": [["One ", CUT]], "c": [["two"]]}, optimization=", stream_recovery: error")
    async with made as opened:
        text, error, _ = await read(opened)
    assert (text, error) == ("One ", CUT)
    assert len(upstream.sent) == 1


@pytest.mark.key("strategies[].components{}.config<cloud>.stream_recovery")
async def test_a_target_has_its_own():
    made, _ = farm({"a": [["One ", CUT]], "c": [["two"]]}, own=", stream_recovery: error")
    async with made as opened:
        assert (await read(opened))[1] is CUT
    made, _ = farm({"a": [["One ", CUT]], "b": ["whole"]}, own=", stream_recovery: buffer")
    async with made as opened:
        assert (await read(opened))[:2] == ("whole", None)


APP = TEXT.replace(
    "a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma%s}}",
    "a: {type: vllm, config: {default_model: ma%s}}",
)


@pytest.mark.key("strategies[].components{}.config<app>.stream_recovery")
async def test_an_application_has_its_own():
    for own, expected in (("", ("One two", None)), (", stream_recovery: error", ("One ", CUT))):
        upstream = Scripted({"a": [["One ", CUT]], "c": [["two"]]})
        made = Farm(strategy(APP % (own, "", "")), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU)
        async with made as opened:
            assert (await read(opened))[:2] == expected


async def test_buffer_passes_nothing_on_before_it_is_whole():
    made, upstream = farm({"a": [["One ", CUT]], "b": [["all", " of it"]]}, optimization=", stream_recovery: buffer")
    async with made as opened:
        text, error, answer = await read(opened)
    assert (text, error) == ("all of it", None)
    assert tried(answer) == [("a", "stream_cut"), ("b", "ok")]
    assert upstream.sent[-1].beginning == ""


async def test_buffer_has_a_time_too():
    async def slow(attempt):
        yield Chunk(text="a")
        await asyncio.sleep(30)

    made, upstream = farm({"b": ["whole"]}, optimization=", stream_recovery: buffer, timeout_seconds: 0.5")
    send = upstream.send

    async def sent(attempt):
        return slow(attempt) if attempt.target.name == "a" else await send(attempt)

    upstream.send = sent
    async with made as opened:
        text, error, answer = await read(opened)
    assert (text, error) == ("whole", None)
    assert tried(answer)[0] == ("a", "timeout")
    assert "stream_recovery is buffer" in answer.attempts[0].error


TOOL = Chunk(tool_calls=(ToolCall(0, "c1", "f", "{"),))


@pytest.mark.parametrize(
    ("pieces", "options"),
    [
        ([TOOL], {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        (["text ", TOOL], {}),
        ([Chunk(reasoning="hm"), "text"], {}),
        (["text", Chunk(text=" more", skipped=1)], {}),
        (["text"], {"response_format": {"type": "json_object"}}),
        (["text"], {"n": 2}),
        (["text"], {"logprobs": True}),
    ],
)
async def test_what_is_more_than_text_is_not_gone_on_with(pieces, options):
    made, upstream = farm({"a": [[*pieces, CUT]], "c": [["no"]], "d": [["no"]]})
    async with made as opened:
        _, error, _ = await read(opened, **options)
    assert isinstance(error, errors.StreamCutError)
    assert len(upstream.sent) == 1


async def test_behind_mere_blanks_whoever_is_next_answers_from_the_start():
    made, upstream = farm({"a": [[" \n", CUT]], "b": [["\n", "Hello"]]})
    async with made as opened:
        text, error, answer = await read(opened)
    assert (text.strip(), error, answer.target) == ("Hello", None, "b")
    assert upstream.sent[-1].beginning == ""


async def test_text_format_may_be_said_outright():
    made, _ = farm({"a": [["One ", CUT]], "c": [["two"]]})
    async with made as opened:
        assert (await read(opened, response_format={"type": "text"}))[0] == "One two"


async def test_an_error_inside_the_stream_is_a_cut_too():
    made, _ = farm({"a": [["One ", errors.QuotaError("no money")]], "c": [["two"]]})
    async with made as opened:
        text, error, answer = await read(opened)
    assert (text, error) == ("One two", None)
    assert tried(answer) == [("a", "quota"), ("c", "ok")]


async def test_a_refusal_to_the_caller_is_not_recovered():
    refused = errors.ContentPolicyError("no")
    made, upstream = farm({"a": [["One ", refused]], "c": [["two"]]})
    async with made as opened:
        assert (await read(opened))[1] is refused
    assert len(upstream.sent) == 1


async def test_the_switch_is_marked_and_no_bytes_of_another_answer_are_passed_on():
    first, second = Chunk(b'{"id":"1"}', "One "), Chunk(b'{"id":"2"}', "two")
    made, _ = farm({"a": [[first, CUT]], "c": [[second, " three"]]})
    async with made as opened:
        chunks = [chunk async for chunk in opened.stream("Hi")]
    assert [(chunk.raw, chunk.text, chunk.resumed_by) for chunk in chunks] == [
        (b'{"id":"1"}', "One ", ""),
        (b"", "two", "c"),
        (b"", " three", ""),
        (b"", "", ""),
    ]


async def test_usage_counts_what_came_before_as_output():
    made, _ = farm({"a": [["One two three four ", CUT]], "c": [["five"]]})
    async with made as opened:
        _, _, answer = await read(opened)
    given = Beginning("One two three four ").tokens
    assert answer.usage == Usage(30 - given, 7 + given, estimated=True)


@pytest.mark.parametrize(
    ("came", "follows", "whole"),
    [
        (["Hello "], [" world"], "Hello world"),
        (["Hello "], ["world"], "Hello world"),
        (["Hello"], [" world"], "Hello world"),
        (["Hel"], ["lo"], "Hello"),
        (["One.\n"], ["\n\nTwo"], "One.\n\nTwo"),
        (["One.\n\n"], ["\n", "\n", "Two"], "One.\n\nTwo"),
        (["One.\n\n"], ["\nTwo"], "One.\n\nTwo"),
        (["One. "], ["\n\nTwo"], "One. \n\nTwo"),
        (["One.\n"], [" ", "Two"], "One.\nTwo"),
        (["One. "], ["", " ", " Two"], "One.  Two"),
        (["a\n  "], ["\n  b"], "a\n  b"),
        (["x = 1\n\n"], ["\n", "    ", "def f"], "x = 1\n\n    def f"),
        (["x = 1\n\n"], ["\n    def f"], "x = 1\n\n    def f"),
        (["x = 1\n\n  "], ["\n    def f"], "x = 1\n\n    def f"),
        (["a \n"], [" \n", "b"], "a \nb"),
        (["x = 1\n"], ["    def f"], "x = 1\n    def f"),
        (["x = 1\n  "], ["    def f"], "x = 1\n    def f"),
        (["x = 1\n"], ["\n", "\n", "\tdef f"], "x = 1\n\n\tdef f"),
    ],
)
async def test_no_blank_twice(came, follows, whole):
    made, _ = farm({"a": [[*came, CUT]], "c": [follows]})
    async with made as opened:
        assert (await read(opened))[:2] == (whole, None)


async def test_the_money_of_one_request_holds_over_all_its_parts():
    priced = ", price: {input: 1, output: 1000}"
    more = "constraints: {max_cost_per_request: 0.3}"
    text = TEXT.replace("supports: [prefill]", "supports: [prefill], price: {input: 1, output: 1000}") % (
        priced,
        "",
        more,
    )
    upstream = Scripted({"a": [["One ", CUT]], "c": [["two"]], "d": [["two"]]})
    async with Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        _, error, answer = await read(opened)
    assert isinstance(error, errors.StreamCutError)
    assert answer.cost_usd <= 0.3
    assert [attempt.target.name for attempt in upstream.sent] == ["a"], "what is left buys nothing"


async def test_leaving_cancels_whoever_is_at_it():
    made, upstream = farm({"a": [["One ", CUT]], "c": [["two ", "three"]]})
    async with made as opened:
        stream = opened.stream("Hi")
        assert [(await anext(stream)).text for _ in range(2)] == ["One ", "two "]
        await stream.aclose()
        assert upstream.closed == 2
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_completions_go_on_at_any_target():
    made, upstream = farm({"a": [["One ", CUT]], "b": [["two"]]})
    async with made as opened:
        call = Call({"prompt": "Count"}, Operation.COMPLETION, stream=True)
        reply = await opened.send(call)
        assert "".join([chunk.text async for chunk in reply]) == "One two"
    assert upstream.sent[-1].beginning == "One"


async def test_the_clock_begins_anew():
    made, upstream = farm({"a": [["One ", CUT]], "c": [["two"]]}, optimization=", timeout_seconds: 5")
    async with made as opened:
        stream = opened.stream("Hi")
        await anext(stream)
        first = upstream.sent[0].call
        first.started -= 100  # it has been streaming for longer than timeout_seconds
        given = first.input_bytes
        assert "".join([chunk.text async for chunk in stream]) == "two"
    again = upstream.sent[-1]
    assert again.deadline > time.monotonic() + 1, "it has its time from the cut on"
    assert money.input_bound(again.target, again.call) == given + len("One ")


async def test_behind_the_finish_reason_nothing_is_gone_on_with():
    made, upstream = farm({"a": [["One.", Chunk(finish_reason="stop"), errors.TransientError("odd")]], "c": [["no"]]})
    async with made as opened:
        text, error, _ = await read(opened)
    assert text == "One."
    assert isinstance(error, errors.TransientError)
    assert len(upstream.sent) == 1


async def test_a_400_to_what_was_added_does_not_end_it():
    made, _ = farm({"a": [["One ", CUT]], "c": [errors.BadRequestError("no prefill")], "d": [["two"]]})
    async with made as opened:
        text, error, answer = await read(opened)
    assert (text, error) == ("One two", None)
    assert tried(answer) == [("a", "stream_cut"), ("c", "bad_request"), ("d", "ok")]


async def test_a_refusal_in_mid_stream_is_gone_on_with_where_the_file_says_so():
    made, _ = farm(
        {"a": [["One ", errors.ContentPolicyError("no")]], "c": [["two"]]},
        optimization=", failover_on: [content_policy]",
    )
    async with made as opened:
        assert (await read(opened))[:2] == ("One two", None)


async def test_the_usage_of_a_part_is_not_that_of_the_whole():
    made, upstream = farm({"a": [[Chunk(text="One ", usage=Usage(9, 1)), CUT]], "c": [["two"]]})
    upstream.usage = None
    async with made as opened:
        _, _, answer = await read(opened)
    assert answer.usage is None


class Waiting(Scripted):
    """As scripted, but c never answers."""

    def __init__(self, scripts):
        super().__init__(scripts)
        self.asked, self.cancelled = asyncio.Event(), False

    async def send(self, attempt):
        if attempt.target.name != "c":
            return await super().send(attempt)
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled = True


@pytest.mark.parametrize("close", ["reply", "farm"])
async def test_closing_while_the_next_is_asked_cancels_it(close):
    upstream = Waiting({"a": [["One ", CUT]]})
    async with Farm(
        strategy(TEXT % ("", "", "")), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU
    ) as made:
        call = Call({"messages": [{"role": "user", "content": "Hi"}]}, stream=True)
        reply = await made.send(call)
        assert (await anext(reply)).text == "One "
        reading = asyncio.ensure_future(anext(reply))
        await upstream.asked.wait()
        await (reply.aclose() if close == "reply" else made.aclose())
        assert upstream.cancelled
        with pytest.raises((errors.LlamaFarmError, StopAsyncIteration)):
            await reading
        assert call.held == 0


async def test_a_reader_that_is_cancelled_while_the_next_is_asked_cancels_it():
    upstream = Waiting({"a": [["One ", CUT]]})
    async with Farm(
        strategy(TEXT % ("", "", "")), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU
    ) as made:
        reading = asyncio.ensure_future(read(made))
        await upstream.asked.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert upstream.cancelled


class Sink:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


async def test_what_is_recorded_names_who_answered():
    down = errors.TransientError("busy")
    for rest, named in (({"c": [["two"]]}, "c"), ({"c": [down], "d": [down]}, "a")):
        sink = Sink()
        upstream = Scripted({"a": [["One ", CUT]], **rest})
        text = TEXT % ("", "", "")
        async with Farm(
            strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU, sinks=[sink]
        ) as opened:
            await read(opened)
        assert [event.target for event in sink.events] == [named]


async def test_what_vouches_for_the_text_of_one_target_is_not_gone_on_with():
    signed = Chunk(thinking_block={"type": "thinking", "thinking": "", "signature": "s"})
    made, upstream = farm({"a": [[signed, "One ", CUT]], "c": [["two"]]})
    async with made as opened:
        assert isinstance((await read(opened))[1], errors.StreamCutError)
    assert len(upstream.sent) == 1


async def test_closing_while_the_next_is_asked_reports_what_that_cost():
    sink = Sink()
    upstream = Waiting({"a": [["One ", CUT]]})
    text = TEXT.replace("default_model: mc", "default_model: mc, price: {input: 1, output: 10}") % (
        ", price: {input: 1, output: 10}",
        "",
        "",
    )
    async with Farm(
        strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU, sinks=[sink]
    ) as made:
        stream = made.stream("Hi", max_tokens=100)
        assert (await anext(stream)).text == "One "
        reading = asyncio.ensure_future(anext(stream))
        await upstream.asked.wait()
        await stream.aclose()
        await asyncio.gather(reading, return_exceptions=True)
    (event,) = sink.events
    assert event.ended == "abandoned"
    assert [record.target for record in event.attempts] == ["a", "c"]
    assert event.cost == sum(record.cost for record in event.attempts) > 2 * 100 * 10_000


async def test_a_stream_that_was_gone_on_with_and_is_dropped_ends_at_once():
    made, upstream = farm({"a": [["One ", CUT]], "c": [["two ", "three"]]})
    gc.disable()
    try:
        async with made as opened:
            async for chunk in opened.stream("Hi"):
                if chunk.text == "two ":
                    break
            del chunk
            await asyncio.sleep(0.05)  # an iterator that is dropped is closed by the loop
            assert upstream.closed == 2
    finally:
        gc.enable()


async def test_a_prompt_shorter_than_what_came_before_the_cut_has_a_token_all_the_same():
    made, upstream = farm({"a": [["One two three four ", CUT]], "c": [["five"]]})
    upstream.usage = Usage(2, 1)
    async with made as opened:
        _, _, answer = await read(opened)
    assert answer.usage == Usage(1, 1 + Beginning("One two three four ").tokens, estimated=True)


async def test_leaving_a_stream_while_it_is_read_asks_nobody_to_go_on():
    """What its own end breaks off is no cut."""

    class Leaving(Scripted):
        async def _events(self, step):
            yield Chunk(text="One ")
            await left.wait()
            raise CUT

    left, upstream = asyncio.Event(), Leaving({"a": ["x"]})
    text = TEXT % ("", "", "")
    async with Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as made:
        reply = await made.send(Call({"messages": [{"role": "user", "content": "Hi"}]}, stream=True))
        await anext(reply)
        reading = asyncio.ensure_future(anext(reply))
        await asyncio.sleep(0)
        left.set()
        reply.leave("abandoned")
        with pytest.raises(errors.StreamCutError):
            await reading
    assert len(upstream.sent) == 1
