"""An answer says what a careful caller must know of it: that a piece is missing, that others went on with it."""

import pytest

from llamafarm.errors import StreamCutError
from llamafarm.farm import Farm
from llamafarm.testing.fake_server import FakeServer
from llamafarm.types import Chunk
from tests.faults import far_ends
from tests.making import NO_GPU, Scripted, strategy

TEXT = """
name: marked
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: ma, supports: [prefill]}}
  b: {type: openai_compatible, config: {provider: custom, base_url: 'https://b.example/v1', default_model: mb, supports: [prefill]}}
  c: {type: openai_compatible, config: {provider: custom, base_url: 'https://c.example/v1', default_model: mc, supports: [prefill]}}
fallback_chain: [a, b, c]
optimization: {retry_policy: {max_attempts: 1}, stream_recovery: %s}
"""
CUT = StreamCutError("it broke")


def scripted(recovery="continue", **scripts):
    text = TEXT % ("https://a.example/v1", recovery)
    return Farm(strategy(text), environment={}, upstreams={"openai": Scripted(scripts)}, hardware=NO_GPU)


async def streamed(made, **options):
    async with made as farm, farm.stream("Hi", **options) as stream:
        chunks = [chunk async for chunk in stream]
        return stream.answer, chunks


async def test_malformed_events_are_counted():
    async with FakeServer(far_ends.malformed_event()) as server:
        text = TEXT % (server.base_url, "continue")
        answer, chunks = await streamed(Farm(strategy(text), environment={}, hardware=NO_GPU))
    assert answer.text == far_ends.TEXT
    assert sum(chunk.skipped for chunk in chunks) == 1, "the server did send one"
    assert (answer.skipped, answer.resumed_by) == (1, ())


async def test_malformed_events_at_several_places_add_up_those_behind_the_last_piece_too():
    pieces = [Chunk(text="One"), Chunk(text=" two", skipped=2), Chunk(finish_reason="stop"), Chunk(skipped=1)]
    answer, _ = await streamed(scripted(a=[pieces]))
    assert (answer.text, answer.skipped) == ("One two", 3)


async def test_an_answer_so_far_knows_what_it_misses():
    async with scripted(a=[[Chunk(text="One"), Chunk(text=" two", skipped=1), CUT]]) as farm:
        stream = farm.stream("Hi")
        with pytest.raises(StreamCutError):
            async for _ in stream:
                pass
        assert (stream.answer.text, stream.answer.skipped) == ("One two", 1)


async def test_whoever_goes_on_is_named_in_order():
    made = scripted(a=[["Once", CUT]], b=[[" upon", CUT]], c=[[" a time"]])
    answer, chunks = await streamed(made)
    assert answer.text == "Once upon a time"
    assert (answer.target, answer.resumed_by) == ("c", ("b", "c"))
    assert [chunk.resumed_by for chunk in chunks if chunk.resumed_by] == ["b", "c"]
    assert answer.usage.estimated


async def test_whoever_only_answered_instead_did_not_go_on():
    detour, _ = await streamed(scripted(a=[[CUT]], b=[["All of it"]]))
    whole, _ = await streamed(scripted("buffer", a=[[Chunk(text="One", skipped=1), CUT]], b=[["All of it"]]))
    for answer in (detour, whole):
        assert (answer.text, answer.target) == ("All of it", "b")
        assert (answer.skipped, answer.resumed_by) == (0, ()), "the hole was in what nobody was given"
