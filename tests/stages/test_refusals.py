"""Content that a vendor or its model declines: who is asked then, and what the refusal cost."""

import pytest

from llamafarm import errors
from llamafarm.farm import AnswerStream, Farm, make_call
from llamafarm.testing.fake_server import FakeServer, answer, events, reply
from llamafarm.types import Chunk, Usage
from tests.making import NO_GPU, Scripted, strategy

TEXT = """
name: two
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: ma, price: {input: 1, output: 10}}}
  b: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: mb, price: {input: 1, output: 10}}}
fallback_chain: [a, b]
optimization: {retry_policy: {max_attempts: 1}%s}
"""
OVER = ", failover_on: [content_policy]"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}


async def ask(made, *, stream):
    """Give the call and its answer."""
    call = make_call({"messages": [{"role": "user", "content": "Hi"}]}, {"max_tokens": 500}, stream=stream)
    async with made as farm:
        if not stream:
            return call, await farm.ask(call)
        answering = AnswerStream(call, farm.send)
        async for _ in answering:
            pass
        return call, answering.answer


async def refused(behaviour, *, stream, optimization=OVER):
    async with FakeServer(behaviour) as first, FakeServer(answer("Yes.")) as second:
        text = TEXT % (first.base_url, second.base_url, optimization)
        return await ask(Farm(strategy(text), environment={}, hardware=NO_GPU), stream=stream)


def message(finish, usage=None, **said):
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", **said}, "finish_reason": finish}]}
    return whole if usage is None else {**whole, "usage": usage}


def streamed(*deltas, finish, usage=None):
    pieces = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    pieces.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return events(*pieces, *([] if usage is None else [{"choices": [], "usage": usage}]))


REFUSALS = {
    "plain, empty": (False, lambda usage: reply(200, message("content_filter", usage, content=""))),
    "plain, with text": (False, lambda usage: reply(200, message("content_filter", usage, content="I"))),
    "plain, in words": (False, lambda usage: reply(200, message("stop", usage, content=None, refusal="I cannot"))),
    "streamed, empty": (True, lambda usage: streamed(finish="content_filter", usage=usage)),
    "streamed, in words": (
        True,
        lambda usage: streamed({"refusal": "I"}, {"refusal": " cannot"}, finish="stop", usage=usage),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_the_next_is_asked_where_the_file_says_so_and_what_it_took_is_paid(case):
    stream, behaviour = REFUSALS[case]
    call, given = await refused(behaviour(USAGE), stream=stream)
    assert given.text == "Yes."
    assert [(record.target, record.outcome) for record in call.attempts] == [("a", "content_policy"), ("b", "ok")]
    assert call.attempts[0].cost == 1_000 * 1_000 + 50 * 10_000
    assert (call.spent, call.held) == (sum(record.cost for record in call.attempts), 0)


@pytest.mark.parametrize("case", REFUSALS)
async def test_without_a_usage_it_costs_its_worst_case(case):
    stream, behaviour = REFUSALS[case]
    call, _ = await refused(behaviour(None), stream=stream)
    assert call.attempts[0].cost > 500 * 10_000


@pytest.mark.parametrize("case", REFUSALS)
async def test_else_it_is_passed_on(case):
    stream, behaviour = REFUSALS[case]
    call, given = await refused(behaviour(USAGE), stream=stream, optimization="")
    assert given.target == "a"
    assert [record.outcome for record in call.attempts] == ["ok"]
    assert given.usage == Usage(1000, 50)


async def test_a_refusal_at_the_end_of_what_is_held_back_until_it_is_whole():
    behaviour = streamed({"content": "First you"}, finish="content_filter", usage=USAGE)
    call, given = await refused(behaviour, stream=True, optimization=OVER + ", stream_recovery: buffer")
    assert given.text == "Yes."
    assert call.attempts[0].cost == 1_500_000


async def test_one_choice_of_several_is_no_refusal_of_all():
    choices = [
        {"index": 0, "message": {"content": ""}, "finish_reason": "content_filter"},
        {"index": 1, "message": {"content": "Yes"}, "finish_reason": "stop"},
    ]
    _, given = await refused(reply(200, {"choices": choices}), stream=False)
    assert given.target == "a"
    assert [choice.text for choice in given.choices] == ["", "Yes"]


async def test_a_refusal_in_words_is_not_gone_on_with():
    upstream = Scripted({"a": [[Chunk(text="I ca", refusal=True), errors.StreamCutError("x")]], "b": ["nnot"]})
    text = TEXT.replace("default_model: mb", "default_model: mb, supports: [prefill]") % ("http://a", "http://b", "")
    made = Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU)
    with pytest.raises(errors.StreamCutError):
        await ask(made, stream=True)
    assert len(upstream.sent) == 1
