import asyncio
import time

import msgspec
import pytest

from llamafarm import Farm
from llamafarm.errors import (
    AttemptTimeoutError,
    BadReplyError,
    BadRequestError,
    ConnectError,
    ContextExceededError,
    CredentialsError,
    ModelMissingError,
    QuotaError,
    StreamCutError,
    TransientError,
    UntranslatableError,
)
from llamafarm.providers.ollama.provider import Ollama
from llamafarm.testing import Bench, FakeServer, Scenario, check_provider
from llamafarm.testing.fake_server import raw, reply, silence
from llamafarm.testing.provider_check import CANARY
from llamafarm.transport import HttpTransport
from llamafarm.types import Attempt, Call, Operation, Secret, Target, Usage
from tests.making import strategy
from tests.providers.ollama_server import FakeOllama, Model, ndjson

HI = {"messages": [{"role": "user", "content": "Say hello."}]}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n"
HELLO = b'{"message":{"role":"assistant","content":"Hello"},"done":false}\n'


@pytest.fixture
async def upstream():
    transport = HttpTransport()
    yield Ollama(transport)
    await transport.aclose()


def target(server, **changes):
    url = server if isinstance(server, str) else server.base_url
    given = {"model": "fake-model", "base_url": url, "context_window": 64, "api_key": Secret(CANARY, "OLLAMA_KEY")}
    return Target("there", "ollama", "ollama", **{**given, **changes})


def attempt(where, operation=Operation.CHAT, *, stream=True, body=None, **more):
    given = {"model": where.model, **(HI if body is None else body)}
    return Attempt(Call(given, operation, stream=stream), where, given, time.monotonic() + 5, **more)


async def send(upstream, tried):
    async with asyncio.timeout(8):
        return [chunk async for chunk in await upstream.send(tried)]


async def fails(upstream, tried, kind):
    with pytest.raises(kind) as caught:
        await send(upstream, tried)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert CANARY not in str(caught.value)
    return str(caught.value)


def refuse(status, error, headers=None):
    return reply(status, {"error": error}, headers)


async def unauthorized(request, writer):
    await refuse(401, f"unauthorized: {CANARY}")(request, writer)


async def unfinished(request, writer):
    behave = raw(HEAD + HELLO)
    if not request.json.get("stream"):
        behave = reply(200, {"message": {"role": "assistant", "content": "Hello"}, "done": False})
    await behave(request, writer)


SCRIPTS = {
    Scenario.CUT: raw(HEAD + HELLO),
    Scenario.UNFINISHED: unfinished,
    Scenario.ENDLESS: raw(HEAD + HELLO, close=False),
    Scenario.SILENT: silence(),
    Scenario.UNAUTHORIZED: unauthorized,
    Scenario.RATE_LIMITED: refuse(429, "too many requests", {"retry-after": "7"}),
    Scenario.OVERLOADED: refuse(503, "server busy, please try again.  maximum pending requests exceeded"),
    Scenario.TOO_LONG: refuse(400, "the input length exceeds the context length"),
    Scenario.MODEL_MISSING: refuse(404, "model 'fake-model' not found"),
}
MODELS = {
    Scenario.ANSWER: Model(),
    Scenario.TOOLS: Model(text="", calls=(("weather", {"city": "Paris"}),)),
    Scenario.NO_USAGE: Model(input_tokens=None),
}


async def test_it_keeps_the_promises_of_a_provider():
    transport = HttpTransport()
    servers = {scenario: FakeServer(script) for scenario, script in SCRIPTS.items()}
    servers |= {scenario: FakeOllama(model, token=CANARY) for scenario, model in MODELS.items()}
    targets = {Scenario.REFUSED: target("http://127.0.0.1:9")}

    async def disconnected():
        for scenario in (Scenario.ENDLESS, Scenario.SILENT):
            await servers[scenario].until_disconnected()

    for scenario, server in servers.items():
        await server.__aenter__()
        targets[scenario] = target(server)
    try:
        await check_provider(Bench(Ollama(transport), targets, disconnected))
    finally:
        await transport.aclose()
        for server in servers.values():
            await server.__aexit__()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_chat(upstream, stream):
    async with FakeOllama(Model(thinking="Well then")) as server:
        tried = attempt(target(server), stream=stream, body={**HI, "reasoning_effort": "high"})
        chunks = await send(upstream, tried)
    assert "".join(chunk.text for chunk in chunks) == "Hello world"
    assert "".join(chunk.reasoning for chunk in chunks).replace(" ", "") == "Wellthen"
    assert chunks[-1].usage == Usage(9, 2)
    (said,) = server.said
    assert said.body["options"]["num_ctx"] == 64
    assert said.body["think"] == "high"
    assert tried.notes == []


@pytest.mark.parametrize("stream", [True, False])
async def test_a_completion_goes_on_from_its_prompt(upstream, stream):
    async with FakeOllama(Model(text="one two three")) as server:
        tried = attempt(target(server), Operation.COMPLETION, stream=stream, body={"prompt": "Count:", "max_tokens": 2})
        chunks = await send(upstream, tried)
    assert "".join(chunk.text for chunk in chunks) == "one two"
    assert chunks[-1].finish_reason == "length"
    assert server.paths() == ["/api/generate"]
    assert server.said[0].body["raw"] is True


async def test_embeddings(upstream):
    async with FakeOllama() as server:
        tried = attempt(target(server), Operation.EMBEDDING, stream=True, body={"input": ["a b", "c"], "dimensions": 2})
        (chunk,) = await send(upstream, tried)
    assert chunk.vectors == ((0.3, 0.5), (0.1, 0.5))
    assert chunk.usage == Usage(3, 0)
    assert b'"embeddings"' in chunk.raw


@pytest.mark.parametrize("body", [{"embeddings": []}, {"embeddings": [[]]}, {}, {"embeddings": [["x"]]}, []])
async def test_embeddings_that_are_none(upstream, body):
    async with FakeServer(reply(200, body)) as server:
        said = await fails(upstream, attempt(target(server), Operation.EMBEDDING, body={"input": "a"}), BadReplyError)
    assert "is this Ollama?" in said


async def test_it_goes_on_from_a_beginning(upstream):
    async with FakeOllama(Model(text="one two three")) as server:
        chunks = await send(upstream, attempt(target(server), beginning="one two"))
    assert "".join(chunk.text for chunk in chunks) == " three"


async def test_a_template_that_begins_anew_repeats_nothing(upstream):
    begun = "The quick brown fox jumps over the lazy dog."
    line = msgspec.json.encode({"message": {"content": f"{begun} And more."}, "done": False})
    async with FakeServer(ndjson(line + b"\n", b'{"done":true}\n')) as server:
        chunks = await send(upstream, attempt(target(server), beginning=begun))
    assert "".join(chunk.text for chunk in chunks) == " And more."


async def test_what_the_caller_began_is_not_repeated_either(upstream):
    own = [{"type": "text", "text": "Well,"}, {"type": "text", "text": "then: "}]
    begun = "The quick brown fox jumps over the lazy dog."
    body = {"messages": [{"role": "user", "content": "Go"}, {"role": "assistant", "content": own}]}
    line = msgspec.json.encode({"message": {"content": f"Well,\nthen: {begun} And more."}, "done": False})
    async with FakeServer(ndjson(line + b"\n", b'{"done":true}\n')) as server:
        chunks = await send(upstream, attempt(target(server), beginning=begun, body=body))
    assert "".join(chunk.text for chunk in chunks) == " And more."


async def test_a_prompt_that_does_not_fit_is_an_error_and_never_cut(upstream):
    long = {"messages": [{"role": "user", "content": "word " * 65}]}
    async with FakeOllama() as server:
        said = await fails(upstream, attempt(target(server), body=long), ContextExceededError)
        assert "request (65 tokens) exceeds the available context size (64 tokens)" in said
        assert '{"error"' not in said
        await send(upstream, attempt(target(server, context_window=65), body=long))
        assert server.said[-1].read == 65
        too_long = attempt(target(server), Operation.EMBEDDING, body={"input": "word " * 65})
        await fails(upstream, too_long, ContextExceededError)


@pytest.mark.parametrize("status", [400, 500])
async def test_old_words_for_a_prompt_that_does_not_fit(upstream, status):
    async with FakeServer(refuse(status, "the input length exceeds the context length")) as server:
        await fails(upstream, attempt(target(server)), ContextExceededError)


async def test_a_model_it_does_not_have(upstream):
    async with FakeOllama() as server:
        said = await fails(upstream, attempt(target(server, model="llama3.2:3b")), ModelMissingError)
    assert "model 'llama3.2:3b' not found; fetch it with `ollama pull llama3.2:3b`" in said


@pytest.mark.parametrize("behind", ["/v1", "/api", "/v1/", ""])
async def test_what_people_write_behind_the_address_is_no_matter(upstream, behind):
    async with FakeOllama() as server:
        there = target(server.base_url + behind)
        await send(upstream, attempt(there))
        assert (await upstream.check(there)).ok
    assert server.paths() == ["/api/chat", "/api/version", "/api/tags"]


async def test_another_path_is_no_missing_model(upstream):
    async with FakeOllama() as server:
        said = await fails(upstream, attempt(target(server.base_url + "/llm")), ModelMissingError)
    assert "ollama pull" not in said
    assert "base_url" in said


@pytest.mark.parametrize(
    ("status", "error", "kind", "said"),
    [
        (
            400,
            "registry.ollama.ai/library/gemma:2b does not support tools",
            UntranslatableError,
            "does not support tools",
        ),
        (400, 'option "seed" must be of type integer', BadRequestError, "seed"),
        (401, "unauthorized", CredentialsError, "check OLLAMA_KEY"),
        (429, "you have reached your weekly usage limit", QuotaError, "weekly"),
        (500, "model requires more system memory (18.2 GiB) than is available (7.1 GiB)", TransientError, "18.2 GiB"),
        (503, "server busy, please try again.  maximum pending requests exceeded", TransientError, "busy"),
    ],
)
async def test_refusals(upstream, status, error, kind, said):
    async with FakeServer(refuse(status, error)) as server:
        assert said in await fails(upstream, attempt(target(server)), kind)


async def test_reasoning_is_not_asked_of_a_model_that_has_none(upstream):
    async with FakeOllama(Model(capabilities=("completion",))) as server:
        for _ in range(2):
            tried = attempt(target(server), body={**HI, "reasoning_effort": "low"})
            await send(upstream, tried)
            assert tried.notes == ["fake-model does not reason: reasoning_effort was left out"]
        assert "think" not in server.said[0].body
    assert server.paths() == ["/api/show", "/api/chat", "/api/chat"], "asked once"


async def test_reasoning_is_asked_for_where_nothing_is_known(upstream):
    async with FakeServer(refuse(404, "no such path"), ndjson(HELLO, b'{"done":true}\n')) as server:
        chunks = await send(upstream, attempt(target(server), body={**HI, "think": True}))
    assert chunks[0].text == "Hello"
    assert server.requests[1].json["think"] is True


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (reply(200, "<html>Sign in</html>", {"content-type": "text/html"}), BadReplyError),
        (reply(200, {"message": {"content": "Hel"}, "done": False}), BadReplyError),
        (reply(200, {"model": "m", "done": True, "done_reason": "load"}), BadReplyError),
        (reply(200, {"error": "the input length exceeds the context length"}), ContextExceededError),
        (reply(200, {"error": "server busy, please try again.  maximum pending requests exceeded"}), TransientError),
        (reply(200, {"error": "you have reached your weekly usage limit"}), QuotaError),
        (reply(200, {}), BadReplyError),
        (reply(200, b"\xff"), BadReplyError),
    ],
)
async def test_plain_answers_that_are_none(upstream, script, kind):
    async with FakeServer(script) as server:
        await fails(upstream, attempt(target(server), stream=False), kind)


async def test_a_broken_answer(upstream):
    async with FakeOllama(Model(breaks_with="model runner has unexpectedly stopped")) as server:
        assert "unexpectedly stopped" in await fails(upstream, attempt(target(server)), StreamCutError)
        await fails(upstream, attempt(target(server), stream=False), TransientError)


async def test_a_model_that_takes_too_long_to_load(upstream):
    async with FakeServer(silence()) as server:
        said = await fails(upstream, attempt(target(server), ttft=0.05), AttemptTimeoutError)
        assert "no first token" in said
        await server.until_disconnected()


async def test_nothing_listens(upstream):
    said = await fails(upstream, attempt(target("http://127.0.0.1:9")), ConnectError)
    assert "nothing listens there" in said


# check


@pytest.mark.parametrize("asked", ["fake-model", "fake-model:latest", "Fake-Model", "library/fake-model"])
async def test_check_finds_the_model(upstream, asked):
    async with FakeOllama() as server:
        status = await upstream.check(target(server, model=asked))
    assert status.ok
    assert status.models == ("fake-model:latest",)


async def test_check_says_how_to_get_a_model(upstream):
    async with FakeOllama(Model("llama3.2:3b"), Model("hf.co/a/b:Q4")) as server:
        status = await upstream.check(target(server, model="llama3.2"))
    assert not status.ok
    assert "it has llama3.2:3b, hf.co/a/b:Q4" in status.detail
    assert "`ollama pull llama3.2`" in status.detail
    async with FakeServer(reply(200, {"version": "1"}), reply(200, {"models": []})) as server:
        assert "(it has none)" in (await upstream.check(target(server))).detail


@pytest.mark.parametrize(
    "script",
    [
        reply(200, "<html>", {"content-type": "text/html"}),
        reply(404, {"error": {"message": "File Not Found"}}),
        reply(200, {"version": 3}),
        reply(302, "", {"location": "/login"}),
    ],
)
async def test_check_tells_something_else_on_the_port(upstream, script):
    async with FakeServer(script) as server:
        status = await upstream.check(target(server))
    assert not status.ok
    assert "something else is there; check base_url" in status.detail
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "second", [reply(200, {"models": None}), reply(500, {"error": "oh"}), raw(b"nonsense\r\n\r\n")]
)
async def test_check_never_raises(upstream, second):
    async with FakeServer(reply(200, {"version": "1"}), second) as server:
        assert not (await upstream.check(target(server))).ok


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        ({**HI, "n": 2}, Operation.CHAT),
        ({"model": "m", "prompt": "a lama"}, Operation.IMAGE),
        ({**HI, "response_format": {"type": "grammar", "grammar": "x"}}, Operation.CHAT),
        (
            {
                "model": "m",
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}],
                    }
                ],
            },
            Operation.CHAT,
        ),
    ],
)
async def test_what_it_cannot_be_asked_for_is_not_sent_and_another_may_take_it(upstream, body, operation):
    async with FakeServer() as server:
        tried = attempt(target(server), body=body, operation=operation)
        assert "a target in OpenAI's format may take it" in await fails(upstream, tried, UntranslatableError)
        assert server.requests == []
    assert UntranslatableError.try_next


@pytest.mark.parametrize(
    "refusal", ['think value "high" is not supported for this model', 'invalid think value: "high"']
)
async def test_a_model_that_cannot_be_told_how_hard_to_think_thinks(upstream, refusal):
    shown = reply(200, {"details": {}, "model_info": {}, "capabilities": ["thinking"]})
    async with FakeServer(shown, refuse(400, refusal), ndjson(HELLO, b'{"done":true}\n')) as server:
        tried = attempt(target(server), body={**HI, "reasoning_effort": "high"})
        chunks = await send(upstream, tried)
        asked = [request.json.get("think") for request in server.requests]
    assert chunks[0].text == "Hello"
    assert asked == [None, "high", True]
    assert tried.notes == ["think high sent as true: fake-model takes no other"]


async def test_another_refusal_of_such_a_request_is_one(upstream):
    shown = reply(200, {"details": {}, "model_info": {}, "capabilities": ["thinking"]})
    async with FakeServer(shown, refuse(400, "seed must be an integer")) as server:
        await fails(upstream, attempt(target(server), body={**HI, "reasoning_effort": "high"}), BadRequestError)
        assert len(server.requests) == 2


async def test_a_model_without_tools_gives_way_to_the_next_target():
    text = """
    name: one
    description: d
    components:
      model_app: {type: ollama, config: {base_url: "%s", default_model: gemma}}
      cloud_api: {type: openai_compatible, config: {provider: custom, base_url: "%s", default_model: m}}
    fallback_chain: [model_app, cloud_api]
    """
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    async with (
        FakeOllama(Model("gemma:latest", capabilities=("completion",))) as ollama,
        FakeServer() as cloud,
        Farm(strategy(text % (ollama.base_url, cloud.base_url))) as farm,
    ):
        found = await farm.generate("Hi", tools=[tool])
    asked = [(each.target, each.outcome) for each in found.attempts]
    assert asked == [("model_app", "untranslatable"), ("cloud_api", "ok")]
