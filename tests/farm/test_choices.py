"""Several choices, and several tool calls, stay apart wherever they stand in the answer."""

import itertools
import json

import pytest

from llamafarm.farm import Farm
from llamafarm.testing.fake_server import FakeServer, events, reply
from llamafarm.types import Choice, Chunk, ToolCall, Usage
from tests.making import NO_GPU, Scripted, strategy

TWO = """
name: two
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: ma, max_retries: 0}}
  b: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: mb, max_retries: 0}}
fallback_chain: [a, b]
"""


def choice(index, text, **more):
    return {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}


async def plain(*choices, **options):
    async with FakeServer(reply(200, {"choices": choices})) as first, FakeServer() as second:
        made = Farm(strategy(TWO % (first.base_url, second.base_url)), environment={}, hardware=NO_GPU)
        async with made as farm:
            return await farm.generate("Hi", **options)


async def streamed(*deltas, **options):
    parts = [{"choices": [delta]} for delta in deltas]
    first = FakeServer(events(*(json.dumps(part).encode() for part in parts), b"[DONE]"))
    async with first, FakeServer() as second:
        made = Farm(strategy(TWO % (first.base_url, second.base_url)), environment={}, hardware=NO_GPU)
        async with made as farm, farm.stream("Hi", **options) as stream:
            chunks = [chunk async for chunk in stream]
            return stream.answer, chunks


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_text_is_that_of_choice_0_wherever_it_stands(order):
    answer = await plain(*(choice(index, f"text {index}") for index in order), n=3)
    assert (answer.text, answer.finish_reason, answer.target) == ("text 0", "stop", "a")
    assert answer.choices == tuple(Choice(index, f"text {index}", finish_reason="stop") for index in range(3))
    assert [found["index"] for found in json.loads(answer.raw)["choices"]] == list(order), "as the target sent it"


@pytest.mark.parametrize("index", [None, 0])
async def test_choices_without_their_own_places_are_taken_as_they_stand(index):
    answer = await plain(choice(index, "first"), choice(index, "second"), n=2)
    assert [found.text for found in answer.choices] == ["first", "second"]
    assert answer.text == "first"


async def test_an_answer_without_choice_0_gives_way_to_the_next_target():
    answer = await plain(choice(1, "lost"), choice(2, "lost"), n=3)
    assert (answer.text, answer.target) == ("Hello world", "b")
    assert [record.outcome for record in answer.attempts] == ["bad_reply", "ok"]
    assert "without choice 0: its choices are 1, 2" in answer.attempts[0].error


async def test_the_choices_of_a_stream_have_their_index():
    answer, chunks = await streamed(
        {"index": 1, "delta": {"content": "B"}},
        {"index": 0, "delta": {"content": "A"}},
        {"index": 1, "delta": {"content": "b"}, "finish_reason": "length"},
        {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"},
        n=2,
    )
    assert [(chunk.index, chunk.text) for chunk in chunks] == [(1, "B"), (0, "A"), (1, "b"), (0, "a")]
    assert answer.choices == (Choice(0, "Aa", finish_reason="stop"), Choice(1, "Bb", finish_reason="length"))
    assert (answer.text, answer.finish_reason) == ("Aa", "stop")


async def test_a_stream_without_choice_0_is_no_whole_answer():
    async with FakeServer(
        events(
            json.dumps({"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "stop"}]}).encode(),
            b"[DONE]",
        )
    ) as server:
        made = Farm(strategy(TWO % (server.base_url, server.base_url)), environment={}, hardware=NO_GPU)
        async with made as farm, farm.stream("Hi") as stream:
            with pytest.raises(Exception, match="no choice 0, only 1"):
                async for _ in stream:
                    pass
            assert stream.answer.attempts[-1].outcome == "bad_reply"


def piece(index=None, call_id=None, name=None, arguments=""):
    found = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return {name: value for name, value in found.items() if value is not None}


def delta(*pieces, finish=None):
    return {"index": 0, "delta": {"tool_calls": list(pieces)}, "finish_reason": finish}


A, B = ToolCall(0, "a", "f", '{"x":1}'), ToolCall(1, "b", "g", '{"y":2}')


@pytest.mark.parametrize("index", [None, 0])
async def test_another_id_at_a_used_index_opens_another_call(index):
    answer, chunks = await streamed(
        delta(piece(index, "a", "f", '{"x":1}')),
        delta(piece(index, "b", "g", '{"y":')),
        delta(piece(index, "b", None, "2")),
        delta(piece(index, None, None, "}"), finish="tool_calls"),
    )
    assert answer.tool_calls == (A, B)
    places = [call.index for chunk in chunks for call in chunk.tool_calls]
    assert places == [0, 1, 1, 1], "who reads the chunks can tell them apart too"


async def test_a_repeated_id_goes_on_with_its_call():
    answer, _ = await streamed(
        delta(piece(0, "a", "f", '{"x"')), delta(piece(0, "a", None, ":1}"), finish="tool_calls")
    )
    assert answer.tool_calls == (A,)


async def test_an_index_that_had_to_be_given_away_is_given_anew():
    answer, _ = await streamed(
        delta(piece(0, "a", "f", '{"x":1}')),
        delta(piece(0, "b", "g", '{"y":2}')),
        delta(piece(1, "c", "h", '{"z":')),
        delta(piece(1, None, None, "3}"), finish="tool_calls"),
    )
    assert answer.tool_calls == (A, B, ToolCall(2, "c", "h", '{"z":3}'))


async def test_pieces_out_of_order_are_kept_apart_by_index():
    answer, _ = await streamed(
        delta(piece(1, "b", "g", '{"y":')),
        delta(piece(0, "a", "f", '{"x":')),
        delta(piece(1, None, None, "2}"), piece(0, None, None, "1}"), finish="tool_calls"),
    )
    assert answer.tool_calls == (A, B)


@pytest.mark.parametrize("ids", [("a", "b"), ("", "")])
@pytest.mark.parametrize("index", [None, 0])
async def test_in_a_plain_answer_the_place_says_which_call_it_is(index, ids):
    calls = [piece(index, ids[0], "f", '{"x":1}'), piece(index, ids[1], "g", '{"y":2}')]
    answer = await plain({"index": 0, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"})
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("f", '{"x":1}'), ("g", '{"y":2}')]


async def test_calls_of_different_choices_have_their_own_places():
    chunks = [
        Chunk(tool_calls=(ToolCall(0, "a", "f", "{}"),)),
        Chunk(tool_calls=(ToolCall(0, "b", "g", "{}"),), index=1),
        Chunk(finish_reason="tool_calls", index=1),
    ]
    made = Farm(
        strategy(TWO % ("http://a.example/v1", "http://b.example/v1")),
        environment={},
        upstreams={"openai": Scripted({"a": [chunks]})},
        hardware=NO_GPU,
    )
    async with made as farm:
        answer = await farm.generate("Hi", n=2)
    assert [[call.id for call in found.tool_calls] for found in answer.choices] == [["a"], ["b"]]


@pytest.mark.parametrize("index", [None, 0])
@pytest.mark.parametrize("name", ["g", "f"])
async def test_calls_with_one_index_and_no_ids_stay_apart(index, name):
    answer, _ = await streamed(
        delta(piece(index, "", "f", '{"x"'), finish=None),
        delta(piece(index, "", "f", ":1}")),
        delta(piece(index, "", name, '{"y":2}'), finish="tool_calls"),
    )
    assert answer.tool_calls == (ToolCall(0, "", "f", '{"x":1}'), ToolCall(1, "", name, '{"y":2}'))


async def test_pieces_that_repeat_their_ids_may_come_by_turns():
    answer, _ = await streamed(
        delta(piece(0, "a", "f")),
        delta(piece(0, "b", "g")),
        delta(piece(0, "a", None, '{"x":1}')),
        delta(piece(0, "b", None, '{"y":')),
        delta(piece(0, None, None, "2}"), finish="tool_calls"),
    )
    assert answer.tool_calls == (A, B)


async def test_one_id_at_several_indices_is_no_sign_of_one_call():
    answer, _ = await streamed(
        delta(piece(0, "call", "f", '{"x":1}')), delta(piece(1, "call", "g", '{"y":2}'), finish="tool_calls")
    )
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("f", '{"x":1}'), ("g", '{"y":2}')]


async def test_a_call_that_is_sent_with_its_name_and_id_each_time_is_one():
    answer, _ = await streamed(
        delta(piece(0, "a", "f", '{"x"')),
        delta(piece(0, "a", "f", ":1}")),
        delta(piece(0, "a", "f", "\n"), finish="tool_calls"),
    )
    assert answer.tool_calls == (ToolCall(0, "a", "f", '{"x":1}\n'),)


async def test_the_usage_of_all_choices_of_one_event_is_theirs():
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    whole = {"choices": [choice(0, "A"), choice(1, "B")], "usage": usage}
    parts = [{"index": at, "delta": {"content": "x"}, "finish_reason": "stop"} for at in (0, 1)]
    async with FakeServer(reply(200, whole), events({"choices": parts, "usage": usage})) as server:
        made = Farm(strategy(TWO % (server.base_url, server.base_url)), environment={}, hardware=NO_GPU)
        async with made as farm:
            assert (await farm.generate("Hi", n=2)).usage == Usage(9, 4)
            async with farm.stream("Hi", n=2) as stream:
                assert [chunk.text async for chunk in stream] == ["x", "x"]
                assert stream.answer.usage == Usage(9, 4)
