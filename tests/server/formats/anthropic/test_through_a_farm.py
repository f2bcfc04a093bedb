"""Requests of the Messages API through a strategy: to Anthropic in the client's words, to others in OpenAI's."""

import json

import pytest

from llamafarm.errors import AllFailedError
from llamafarm.farm import Farm
from llamafarm.server.formats.anthropic import Messages
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer as openais_answer
from llamafarm.testing.fake_server import reply
from tests.making import NO_GPU, strategy
from tests.providers.anthropic_server import answer, start, stream, text
from tests.server.formats.anthropic.asked import MARK, SEARCH, head, request, said, user
from tests.server.formats.anthropic.replies import events, message

TEXT = """
name: mixed
description: d
components:
  claude:
    type: openai_compatible
    config: {provider: anthropic, base_url: '%s', default_model: claude-haiku-4-5, api_key: "${KEY}"}
  other: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: m, supports: [prefill, tools, vision]}}
fallback_chain: [%s]
optimization: {retry_policy: {max_attempts: 1}, stream_recovery: continue}
"""
DOWN = reply(500, {"error": {"message": "down"}})


async def through(claude, other, asked, chain="claude, other", **headers):
    """Ask, and give what the client reads and what each of the two servers got."""
    api = Messages()
    async with FakeServer(claude) as first, FakeServer(other) as second:
        made = strategy(TEXT % (first.base_url, second.base_url, chain), KEY="sk-1")
        async with Farm(made, environment={"KEY": "sk-1"}, hardware=NO_GPU) as farm:
            call = api.read(asked, head(**headers))
            call.model = None
            async with await farm.send(call) as got:
                if call.stream:
                    writer = api.stream(call, got)
                    data = b"".join([writer.write(chunk) async for chunk in got]) + writer.end()
                else:
                    data = api.whole(call, got, [chunk async for chunk in got])
    return data, [r.json for r in first.requests], [r.json for r in second.requests]


@pytest.mark.parametrize("streamed", [True, False])
async def test_anthropic_is_sent_the_clients_words_and_its_bytes_pass(streamed):
    asked = request(user(said("a", cache_control=MARK)), made_up=1, **({"stream": True} if streamed else {}))
    data, (got,), nothing = await through(answer(), openais_answer(), asked)
    assert got == {**asked, "model": "claude-haiku-4-5"}
    assert nothing == []
    if streamed:
        assert "ping" in [event["type"] for event in events(data)]
        assert message(events(data))["content"] == [said("Hello world")]
    else:
        assert json.loads(data)["content"] == [said("Hello world")]


@pytest.mark.parametrize("streamed", [True, False])
async def test_another_vendor_is_sent_openais_words_when_anthropic_fails(streamed):
    asked = request(user(said("a", cache_control=MARK)), system=[said("S", cache_control=MARK)], stream=streamed)
    data, _, (got,) = await through(DOWN, openais_answer("Hello"), asked)
    assert got["messages"] == [{"role": "system", "content": [said("S")]}, user(said("a"))]
    made = message(events(data)) if streamed else json.loads(data)
    assert (made["content"], made["model"], made["stop_reason"]) == ([said("Hello")], "m", "end_turn")


async def test_what_only_anthropic_does_goes_on_to_anthropic():
    asked = request(tools=[SEARCH])
    data, (got,), nothing = await through(answer(), openais_answer(), asked, "other, claude")
    assert (got["tools"], nothing) == ([SEARCH], [])
    assert json.loads(data)["content"] == [said("Hello world")]
    with pytest.raises(AllFailedError, match="web_search_20250305 is of Anthropic's own") as caught:
        await through(answer(), openais_answer(), asked, "other")
    assert caught.value.status == 400


async def test_another_vendor_goes_on_where_anthropics_stream_was_cut():
    cut = stream(start(), *text("Once upon a midnight dreary, ", index=0)[:2])
    data, _, (got,) = await through(cut, openais_answer("while I pondered"), request(stream=True))
    assert got["messages"][-1] == {"role": "assistant", "content": "Once upon a midnight dreary,"}
    made = message(events(data))
    assert made["content"] == [said("Once upon a midnight dreary, while I pondered")]
    assert (made["id"], made["model"]) == ("msg_1", "claude-x")


async def test_anthropic_goes_on_where_anothers_stream_was_cut():
    piece = {"choices": [{"index": 0, "delta": {"content": "Once upon a midnight dreary, "}, "finish_reason": None}]}
    head_ = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"

    async def cut(_, writer):
        writer.write(head_ + b"data: " + json.dumps(piece).encode() + b"\n\n")
        await writer.drain()
        writer.close()

    asked = request(stream=True, made_up=1)
    data, (got,), _ = await through(answer(), cut, asked, "other, claude")
    assert got["messages"][-1]["content"] == [said("Once upon a midnight dreary,")]
    assert got["made_up"] == 1
    assert got["max_tokens"] < asked["max_tokens"]
    made = message(events(data))
    assert made["content"] == [said("Once upon a midnight dreary, Hello world")]
