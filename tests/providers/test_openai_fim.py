"""Filling a gap between a prompt and a suffix: who can, where each is asked, and in what format it answers."""

import msgspec
import pytest

from llamafarm import Farm
from llamafarm.errors import BadReplyError, NoTargetError, StreamCutError, UntranslatableError
from llamafarm.testing.fake_server import FakeServer, answer, events, reply
from llamafarm.types import Operation, Usage
from tests.making import call, order, strategy

BODY = {"model": "m", "prompt": "def f(", "suffix": "return 1"}


async def fill(rig, server, fim, *, stream=True, body=None, **changes):
    return await rig.send(
        server, operation=Operation.COMPLETION, stream=stream, body=body or BODY, changes={"fim": fim, **changes}
    )


def texts(chunks):
    events = [msgspec.json.decode(chunk.raw) for chunk in chunks if chunk.raw]
    return "".join(choice["text"] for event in events for choice in event["choices"])


@pytest.mark.parametrize("stream", [True, False])
async def test_legacy_completions_take_the_suffix_along(rig, stream):
    async with FakeServer(answer("x):")) as server:
        chunks = await fill(rig, server, "completions", stream=stream)
        assert server.requests[0].path == "/v1/completions"
        assert server.requests[0].json["suffix"] == "return 1"
    assert "".join(chunk.text for chunk in chunks) == "x):"


async def test_deepseek_is_asked_elsewhere(rig):
    async with FakeServer(answer()) as server, FakeServer(answer("x):")) as beta:
        await fill(rig, server, "completions", fim_url=beta.base_url)
        await fill(rig, server, "completions", fim_url=beta.base_url, body={"model": "m", "prompt": "x"})
        assert server.requests == []
        assert [request.path for request in beta.requests] == ["/v1/completions"] * 2


def as_chat(*pieces, stream):
    whole = {"index": 0, "message": {"role": "assistant", "content": "".join(pieces)}, "finish_reason": "stop"}
    if not stream:
        usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
        return reply(200, {"object": "chat.completion", "choices": [whole], "usage": usage})
    made = [{"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    return events(*made, {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]})


@pytest.mark.parametrize("stream", [True, False])
async def test_mistral_has_a_path_of_its_own_and_answers_as_chat(rig, stream):
    async with FakeServer(as_chat("x", "):", stream=stream)) as server:
        chunks = await fill(rig, server, "fim", stream=stream)
        assert server.requests[0].path == "/v1/fim/completions"
    assert "".join(chunk.text for chunk in chunks) == texts(chunks) == "x):"
    assert chunks[-1].finish_reason == "stop"
    assert {msgspec.json.decode(chunk.raw)["object"] for chunk in chunks} == {"text_completion"}


def native(content="", stop=False, **more):
    return {"index": 0, "content": content, "tokens": [1], "stop": stop, "id_slot": 0, **more}


LAST = native(stop=True, stop_type="eos", tokens_predicted=3, tokens_evaluated=12, truncated=False)


@pytest.mark.parametrize("stream", [True, False])
async def test_llama_server_is_asked_in_its_own_format(rig, stream):
    streamed = events(native("x"), native("):"), LAST, done=False)
    whole = reply(200, {**LAST, "content": "x):"})
    body = {**BODY, "max_tokens": 20, "stop": "\n", "temperature": 0.1, "user": "u", "n": 1}
    async with FakeServer(streamed if stream else whole) as server:
        chunks = await fill(rig, server, "infill", stream=stream, body=body)
        (request,) = server.requests
    assert request.path == "/infill"
    assert request.json == {
        "input_prefix": "def f(", "input_suffix": "return 1", "prompt": "", "stream": stream,
        "n_predict": 20, "stop": ["\n"], "temperature": 0.1,
    }  # fmt: skip
    assert "".join(chunk.text for chunk in chunks) == texts(chunks) == "x):"
    assert chunks[-1].finish_reason == "stop"
    assert (chunks[-1].usage.input_tokens, chunks[-1].usage.output_tokens) == (12, 3)
    assert msgspec.json.decode(chunks[-1].raw)["usage"]["total_tokens"] == 15


async def test_llama_server_stopped_by_the_limit(rig):
    async with FakeServer(reply(200, {**LAST, "stop_type": "limit"})) as server:
        (chunk,) = await fill(rig, server, "infill", stream=False)
    assert chunk.finish_reason == "length"


async def test_llama_server_without_an_end(rig):
    async with FakeServer(events(native("x"), done=False)) as server:
        await rig.fails(server, StreamCutError, operation=Operation.COMPLETION, body=BODY, changes={"fim": "infill"})
    async with FakeServer(reply(200, native("x"))) as server:
        await rig.fails(
            server, BadReplyError, operation=Operation.COMPLETION, body=BODY, changes={"fim": "infill"}, stream=False
        )


async def test_llama_server_goes_on_and_takes_only_texts(rig):
    async with FakeServer(reply(200, {**LAST, "content": "):"})) as server:
        attempt = rig.attempt(rig.target(server, fim="infill"), stream=False, operation=Operation.COMPLETION, body=BODY)
        attempt.beginning = "x"
        _ = [chunk async for chunk in await rig.upstream.send(attempt)]
        assert server.requests[0].json["input_prefix"] == "def f(x"
        await rig.fails(
            server,
            UntranslatableError,
            operation=Operation.COMPLETION,
            body={**BODY, "prompt": ["a", "b"]},
            changes={"fim": "infill"},
        )


async def test_without_a_suffix_llama_server_is_asked_as_ever(rig):
    async with FakeServer(answer()) as server:
        await fill(rig, server, "infill", body={"model": "m", "prompt": "x", "suffix": ""})
        assert server.requests[0].path == "/v1/completions"


CHAIN = """
name: one
description: d
components:
  chat: {type: openai_compatible, config: {provider: openai, api_key: k, default_model: gpt-4o}}
  legacy: {type: openai_compatible, config: {provider: openai, api_key: k, default_model: gpt-3.5-turbo-instruct}}
  code: {type: openai_compatible, config: {provider: mistral, api_key: k, default_model: codestral-latest}}
  unknown: {type: openai_compatible, config: {provider: custom, base_url: "https://a.example", default_model: m}}
  said: {type: openai_compatible, config: {provider: custom, base_url: "https://a.example", default_model: n, supports: [fim]}}
  server: {type: llamacpp, config: {base_url: "http://localhost:1", default_model: starcoder, supports: [fim]}}
  denied: {type: openai_compatible, config: {provider: mistral, api_key: k, default_model: codestral-2, supports: [tools]}}
fallback_chain: [chat, legacy, code, unknown, said, server, denied]
"""


def completion(**body):
    made = call()
    made.operation, made.body = Operation.COMPLETION, {"prompt": "def f(", **body}
    return made


def test_a_suffix_goes_only_where_it_is_understood():
    assert order(CHAIN, completion(suffix="return 1")) == ["legacy", "code", "said", "server"]
    everywhere = ["chat", "legacy", "code", "unknown", "said", "server", "denied"]
    assert order(CHAIN, completion(suffix="")) == order(CHAIN, completion()) == everywhere
    with pytest.raises(NoTargetError, match=r"it has no fill-in-the-middle \(supports: \[fim\] says that it has\)"):
        order(CHAIN.replace("[chat, legacy, code, unknown, said, server, denied]", "[chat]"), completion(suffix="x"))


async def test_the_library_fills_in():
    async with FakeServer(reply(200, {**LAST, "content": "x):"})) as server:
        address = server.base_url.removesuffix("/v1")
        text = CHAIN.replace("http://localhost:1", address)
        text = text.replace("[chat, legacy, code, unknown, said, server, denied]", "[server]")
        async with Farm(strategy(text)) as farm:
            found = await farm.complete("def f(", suffix="return 1")
    assert (found.text, found.target) == ("x):", "server")


@pytest.mark.parametrize(
    ("odd", "usage"),
    [
        ({"tokens_predicted": -50}, None),
        ({"tokens_predicted": 10**17}, None),
        ({"tokens_predicted": "50"}, None),
        ({"tokens_evaluated": None}, None),
        ({"error": None}, Usage(12, 3)),
        ({"error": {}}, Usage(12, 3)),
        ({"timings": "NaN"}, Usage(12, 3)),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_llama_servers_answer_is_read_as_servers_really_write(rig, stream, odd, usage):
    last = msgspec.json.encode({**LAST, "content": "" if stream else "x", **odd}).replace(b'"NaN"', b"NaN")
    behaviour = events(native("x", error=None), last, done=False) if stream else reply(200, last)
    async with FakeServer(behaviour) as server:
        chunks = await fill(rig, server, "infill", stream=stream)
    assert "".join(chunk.text for chunk in chunks) == "x"
    assert (chunks[-1].finish_reason, chunks[-1].usage) == ("stop", usage)
